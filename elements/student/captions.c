/* SPDX-License-Identifier: MIT */
#include "student/captions.h"

#include <string.h>

#include <seed/rng.h>

struct _SeedCaptions {
  SeedTextModel *model;
  guint dim, max_cached;
  GHashTable *cache; /* text -> float[dim] */
};

SeedCaptions *
seed_captions_new (SeedTextModel *model, gsize cache_bytes)
{
  SeedCaptions *captions = g_new0 (SeedCaptions, 1);

  captions->model = seed_text_model_ref (model);
  captions->dim = seed_text_model_get_info (model)->dim;
  captions->max_cached = (guint) MAX (1, cache_bytes / (captions->dim * sizeof (float)));
  captions->cache = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return captions;
}

void
seed_captions_free (SeedCaptions *captions)
{
  if (!captions)
    return;
  seed_text_model_unref (captions->model);
  g_hash_table_unref (captions->cache);
  g_free (captions);
}

static gboolean
is_good (const char *text)
{
  gsize size = text ? strnlen (text, SEED_TEXT_MAX_BYTES + 1) : 0;

  return size > 0 && size <= SEED_TEXT_MAX_BYTES && g_utf8_validate (text, (gssize) size, NULL);
}

static void
keep (SeedCaptions *captions, const char *text, const float *embedding)
{
  if (g_hash_table_size (captions->cache) >= captions->max_cached)
    g_hash_table_remove_all (captions->cache);
  g_hash_table_insert (
      captions->cache, g_strdup (text), g_memdup2 (embedding, captions->dim * sizeof (float)));
}

/* Those that are not known, all at once; FALSE when the encoder refuses them. */
static gboolean
encode_new (SeedCaptions *captions, const GPtrArray *texts, const GArray *places, float *out)
{
  g_autofree float *embeddings = g_new (float, (gsize) texts->len * captions->dim);

  if (texts->len == 0)
    return TRUE;
  if (!seed_text_encode (
          captions->model, (const char *const *) texts->pdata, texts->len, embeddings, NULL))
    return FALSE;
  for (guint i = 0; i < texts->len; i++) {
    const float *embedding = embeddings + (gsize) i * captions->dim;

    memcpy (out + (gsize) g_array_index (places, guint, i) * captions->dim, embedding,
        captions->dim * sizeof (float));
    keep (captions, g_ptr_array_index (texts, i), embedding);
  }
  return TRUE;
}

guint
seed_captions_encode (
    SeedCaptions *captions, const char *const *texts, guint n, float *out, gboolean *has)
{
  g_autoptr (GPtrArray) unknown = g_ptr_array_new ();
  g_autoptr (GArray) places = g_array_new (FALSE, FALSE, sizeof (guint));
  guint n_good = 0;

  for (guint i = 0; i < n; i++) {
    const float *known;

    has[i] = is_good (texts[i]);
    n_good += has[i];
    if (!has[i])
      continue;
    known = g_hash_table_lookup (captions->cache, texts[i]);
    if (known) {
      memcpy (out + (gsize) i * captions->dim, known, captions->dim * sizeof (float));
    } else {
      g_ptr_array_add (unknown, (gpointer) texts[i]);
      g_array_append_val (places, i);
    }
  }
  if (encode_new (captions, unknown, places, out))
    return n_good;
  for (guint i = 0; i < places->len; i++)
    has[g_array_index (places, guint, i)] = FALSE;
  return n_good - places->len;
}

guint
seed_captions_n_cached (const SeedCaptions *captions)
{
  return g_hash_table_size (captions->cache);
}

guint
seed_captions_draw (guint64 seed, const char *stream, guint64 frame, guint32 repeat, guint n)
{
  SeedRng rng;

  seed_rng_init (&rng,
      seed_hash (seed_hash (seed_hash_string (seed_hash_string (seed, "captions"), stream), frame),
          repeat));
  return (guint) seed_rng_below (&rng, n);
}

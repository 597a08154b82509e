/* SPDX-License-Identifier: MIT */
/* Embeddings of captions: as the encoder gives them, kept, and not asked of it for what is no text.
 */
#include <string.h>

#include "student/captions.h"

enum { N = 5, MAX_DIM = 64 };

static SeedTextModel *
load (const char *name)
{
  g_autofree char *folder = g_build_filename (SEED_TEST_DATA, "text", name, NULL);
  g_autoptr (GError) error = NULL;
  SeedTextModel *model = seed_text_model_load (folder, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (seed_text_model_get_info (model)->dim, <=, MAX_DIM);
  return model;
}

static void
check_encoder (const char *name)
{
  static const char *const texts[N] = { "a dog", NULL, "two cats", "a dog", "" };
  static const gboolean expected[N] = { TRUE, FALSE, TRUE, TRUE, FALSE };
  g_autoptr (SeedTextModel) model = load (name);
  g_autoptr (SeedCaptions) captions = seed_captions_new (model, SEED_CAPTIONS_CACHE_BYTES);
  gsize dim = seed_text_model_get_info (model)->dim;
  float out[N * MAX_DIM], again[N * MAX_DIM], alone[MAX_DIM];
  gboolean has[N];

  g_assert_cmpuint (seed_captions_encode (captions, texts, N, out, has), ==, 3);
  g_assert_cmpmem (has, sizeof has, expected, sizeof expected);
  g_assert_cmpuint (seed_captions_n_cached (captions), ==, 2);
  g_assert_cmpmem (out, dim * sizeof (float), out + 3 * dim, dim * sizeof (float));
  g_assert_true (seed_text_encode (model, texts + 2, 1, alone, NULL));
  for (guint k = 0; k < dim; k++)
    g_assert_cmpfloat_with_epsilon (alone[k], out[2 * dim + k], 1e-4f);
  g_assert_cmpuint (seed_captions_encode (captions, texts, N, again, has), ==, 3);
  for (guint i = 0; i < N; i++)
    if (has[i])
      g_assert_cmpmem (out + i * dim, dim * sizeof (float), again + i * dim, dim * sizeof (float));
}

static void
test_encoders (void)
{
  check_encoder ("clip");
  check_encoder ("bert");
}

static void
test_hostile (void)
{
  g_autofree char *huge = g_strnfill (SEED_TEXT_MAX_BYTES + 1, 'x');
  const char *texts[3] = { "\xff\xfe", huge, "fine" };
  g_autoptr (SeedTextModel) model = load ("bert");
  g_autoptr (SeedCaptions) captions = seed_captions_new (model, SEED_CAPTIONS_CACHE_BYTES);
  float out[3 * MAX_DIM];
  gboolean has[3];

  g_assert_cmpuint (seed_captions_encode (captions, texts, 3, out, has), ==, 1);
  g_assert_false (has[0] || has[1]);
  g_assert_true (has[2]);
}

static void
test_cache_is_bounded (void)
{
  g_autoptr (SeedTextModel) model = load ("bert");
  gsize bytes = 4 * seed_text_model_get_info (model)->dim * sizeof (float);
  g_autoptr (SeedCaptions) captions = seed_captions_new (model, bytes);
  float out[MAX_DIM];
  gboolean has;

  for (guint i = 0; i < 11; i++) {
    g_autofree char *text = g_strdup_printf ("%u birds", i);

    g_assert_cmpuint (
        seed_captions_encode (captions, (const char *const *) &text, 1, out, &has), ==, 1);
    g_assert_cmpuint (seed_captions_n_cached (captions), <=, 4);
  }
}

static void
test_draw (void)
{
  guint counts[5] = { 0 };

  for (guint64 frame = 0; frame < 1000; frame++) {
    guint which = seed_captions_draw (1, "a", frame, 0, 5);

    g_assert_cmpuint (which, ==, seed_captions_draw (1, "a", frame, 0, 5));
    g_assert_cmpuint (which, <, 5);
    counts[which]++;
  }
  for (guint i = 0; i < 5; i++)
    g_assert_cmpuint (counts[i], >, 150);
  for (guint frame = 0, others = 0; frame < 20; frame++) { /* another time, another caption */
    others += seed_captions_draw (1, "a", frame, 0, 5) != seed_captions_draw (1, "a", frame, 1, 5);
    g_assert_true (frame < 19 || others > 5);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/captions/encoders", test_encoders);
  g_test_add_func ("/captions/hostile", test_hostile);
  g_test_add_func ("/captions/cache-is-bounded", test_cache_is_bounded);
  g_test_add_func ("/captions/draw", test_draw);
  return g_test_run ();
}

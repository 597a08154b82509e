/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <seed/error.h>
#include <seed/model.h>

#include "nn/checkpoint.h"
#include "nn/vit-weights.h"

#define MAX_BATCH 4096u

struct _SeedModel {
  guint refs; /* guarded by the registry's lock */
  char *key;  /* in the registry */
  char *name;
  SeedCheckpoint checkpoint;
  SeedVitWeights *weights; /* of the checkpoint's values */
  SeedModelInfo info;
};

struct _SeedSession {
  SeedModel *model;
  SeedVit *vit;
  guint max_batch;
};

/*
 * Models by what they were loaded from, so that a folder is in memory once however many elements
 * name it. The registry owns no reference. Loading holds load_lock alone: two loaders of one folder
 * wait for each other, and everybody else's ref and unref do not wait for a disc.
 */
static struct {
  GMutex lock;
  GMutex load_lock;
  GHashTable *models; /* key -> SeedModel */
} registry;

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* What a model may be read from, by name. */
static GPtrArray *
list_files (const char *real_folder)
{
  g_autoptr (GDir) dir = g_dir_open (real_folder, 0, NULL);
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".json") || g_str_has_suffix (name, ".safetensors"))
      g_ptr_array_add (files, g_strdup (name));
  g_ptr_array_sort (files, compare_names);
  return files;
}

/*
 * The folder, the size and the state of the files; changes when any of them is replaced. Caller
 * frees.
 */
static char *
make_key (const char *real_folder, guint image_size)
{
  g_autoptr (GPtrArray) files = list_files (real_folder);
  GString *key = g_string_new (real_folder);

  g_string_append_printf (key, "\n%u", image_size);
  for (guint i = 0; i < files->len; i++) {
    const char *name = g_ptr_array_index (files, i);
    g_autofree char *path = g_build_filename (real_folder, name, NULL);
    struct stat stat_buf;

    if (stat (path, &stat_buf) < 0)
      continue;
    g_string_append_printf (key,
        "\n%s %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld", name,
        (guint64) stat_buf.st_ino, (gint64) stat_buf.st_size, (gint64) stat_buf.st_mtim.tv_sec,
        stat_buf.st_mtim.tv_nsec);
  }
  return g_string_free (key, FALSE);
}

static SeedModel *
lookup (const char *key)
{
  SeedModel *model;

  g_mutex_lock (&registry.lock);
  model = registry.models ? g_hash_table_lookup (registry.models, key) : NULL;
  if (model)
    model->refs++;
  g_mutex_unlock (&registry.lock);
  return model;
}

static void
publish (SeedModel *model)
{
  g_mutex_lock (&registry.lock);
  if (!registry.models)
    registry.models = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (registry.models, model->key, model);
  g_mutex_unlock (&registry.lock);
}

static void
free_model (SeedModel *model)
{
  seed_vit_weights_free (model->weights);
  seed_checkpoint_clear (&model->checkpoint);
  g_free (model->name);
  g_free (model->key);
  g_free (model);
}

static void
fill_info (SeedModel *model)
{
  const SeedCheckpoint *checkpoint = &model->checkpoint;
  const SeedVitConfig *config = &checkpoint->config;
  SeedModelInfo *info = &model->info;

  info->name = model->name;
  info->family = checkpoint->family;
  info->sha256 = checkpoint->sha256;
  info->image_size = config->image_size;
  info->patch_size = config->patch_size;
  info->n_words = seed_vit_config_n_words (config);
  info->summary_dim = seed_vit_config_summary_dim (config);
  info->token_dim = config->dim;
  memcpy (info->mean, config->mean, sizeof info->mean);
  memcpy (info->std, config->std, sizeof info->std);
  info->interpolation = checkpoint->interpolation;
  info->fit = checkpoint->fit;
  info->resize_size = checkpoint->resize_size;
  info->crop_size = checkpoint->crop_size;
  info->n_params = checkpoint->n_params;
  info->memory_bytes =
      checkpoint->params.total * sizeof (float) + seed_vit_weights_bytes (model->weights);
}

static SeedModel *
read_model (const char *real_folder, guint image_size, GError **error)
{
  SeedModel *model = g_new0 (SeedModel, 1);
  SeedCheckpoint *checkpoint = &model->checkpoint;

  model->refs = 1;
  model->key =
      make_key (real_folder, image_size); /* before reading: what is read is this or newer */
  if (!seed_checkpoint_load_sized (checkpoint, real_folder, image_size, NULL, 0, error)) {
    free_model (model);
    return NULL;
  }
  seed_vit_fold_normalisation (&checkpoint->config, &checkpoint->params, checkpoint->values);
  model->weights =
      seed_vit_weights_new (&checkpoint->config, &checkpoint->params, checkpoint->values, error);
  if (!model->weights) {
    g_prefix_error (error, "%s: ", real_folder);
    free_model (model);
    return NULL;
  }
  model->name = g_path_get_basename (real_folder);
  fill_info (model);
  return model;
}

/* With load_lock held. */
static SeedModel *
find_or_read (const char *real_folder, guint image_size, GError **error)
{
  g_autofree char *key = make_key (real_folder, image_size);
  SeedModel *model = lookup (key);

  if (model)
    return model;
  model = read_model (real_folder, image_size, error);
  if (!model)
    return NULL;
  g_free (key);
  key = make_key (real_folder, image_size);
  if (g_str_equal (key, model->key))
    publish (model);
  /* else a file was replaced meanwhile: this caller has a valid model, but nobody shares it */
  return model;
}

SeedModel *
seed_model_load (const char *folder, GError **error)
{
  return seed_model_load_sized (folder, 0, error);
}

SeedModel *
seed_model_load_sized (const char *folder, guint image_size, GError **error)
{
  g_autofree char *real_folder = realpath (folder, NULL);
  SeedModel *model;

  if (!real_folder) {
    int saved = errno;
    g_set_error (error, SEED_ERROR, saved == ENOENT ? SEED_ERROR_NOT_FOUND : SEED_ERROR_IO,
        "%s: cannot find the model's folder: %s", folder, g_strerror (saved));
    return NULL;
  }
  g_mutex_lock (&registry.load_lock);
  model = find_or_read (real_folder, image_size, error);
  g_mutex_unlock (&registry.load_lock);
  return model;
}

SeedModel *
seed_model_ref (SeedModel *model)
{
  g_mutex_lock (&registry.lock);
  model->refs++;
  g_mutex_unlock (&registry.lock);
  return model;
}

void
seed_model_unref (SeedModel *model)
{
  gboolean last;

  if (!model)
    return;
  g_mutex_lock (&registry.lock);
  last = --model->refs == 0;
  if (last && registry.models && g_hash_table_lookup (registry.models, model->key) == model)
    g_hash_table_remove (registry.models, model->key);
  g_mutex_unlock (&registry.lock);
  if (last)
    free_model (model);
}

const SeedModelInfo *
seed_model_get_info (const SeedModel *model)
{
  return &model->info;
}

/* Sessions */

SeedSession *
seed_session_new (SeedModel *model, guint max_batch, GError **error)
{
  SeedSession *session;
  SeedVit *vit;

  if (max_batch < 1 || max_batch > MAX_BATCH) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "model %s: a session for batches of %u images; 1 to %u are possible", model->name,
        max_batch, MAX_BATCH);
    return NULL;
  }
  vit =
      seed_vit_new (&model->checkpoint.config, &model->checkpoint.params, max_batch, FALSE, error);
  if (!vit) {
    g_prefix_error (error, "model %s: ", model->name);
    return NULL;
  }
  session = g_new (SeedSession, 1);
  *session = (SeedSession){ seed_model_ref (model), vit, max_batch };
  return session;
}

void
seed_session_free (SeedSession *session)
{
  if (!session)
    return;
  seed_vit_free (session->vit);
  seed_model_unref (session->model);
  g_free (session);
}

guint64
seed_session_memory_bytes (const SeedSession *session)
{
  return seed_vit_memory_bytes (session->vit);
}

void
seed_session_run (SeedSession *session, const guint8 *words, guint n, float *summary, float *tokens)
{
  static const float scale[3] = { 1, 1, 1 }, shift[3] = { 0, 0, 0 }; /* folded into the weights */
  const SeedVitConfig *config = &session->model->checkpoint.config;
  const SeedVitWeights *weights = session->model->weights;
  gsize dim = config->dim, n_rows = seed_vit_config_n_rows (config);
  gsize n_prefix = seed_vit_config_n_prefix (config), n_words = n_rows - n_prefix;
  const float *rows;

  g_return_if_fail (n >= 1 && n <= session->max_batch);
  rows = seed_vit_forward_packed (session->vit, weights, scale, shift, words, n);
  for (guint i = 0; tokens && i < n; i++)
    memcpy (tokens + i * n_words * dim, rows + (i * n_rows + n_prefix) * dim,
        n_words * dim * sizeof *rows);
  if (summary)
    seed_vit_summary (session->vit, weights, summary);
}

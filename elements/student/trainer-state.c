/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <string.h>

#include "student/trainer-private.h"

#define STATE_FILE "state.safetensors"
#define STATE_FORMAT "seed.student.state.v1"

/* The flat arrays of a state, in the order of its tensors. */
enum { STATE_VALUES, STATE_MOMENT1, STATE_MOMENT2, STATE_EMA, N_STATE_ARRAYS };

static const char *const state_names[N_STATE_ARRAYS] = { "values", "moment1", "moment2", "ema" };

static void
state_arrays (const SeedTrainer *trainer, float *arrays[N_STATE_ARRAYS])
{
  arrays[STATE_VALUES] = trainer->values;
  arrays[STATE_MOMENT1] = trainer->moment1;
  arrays[STATE_MOMENT2] = trainer->moment2;
  arrays[STATE_EMA] = trainer->ema;
}

/* A fingerprint of the parameter table: a state fits a student of the same table alone. */
static char *
params_fingerprint (const SeedParams *params)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];
    g_autofree char *line = g_strdup_printf (
        "%s %" G_GSIZE_FORMAT " %" G_GSIZE_FORMAT "\n", param->name, param->offset, param->size);

    g_checksum_update (checksum, (const guchar *) line, -1);
  }
  return g_strdup (g_checksum_get_string (checksum));
}

static gboolean
save_state (const SeedTrainer *trainer, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, STATE_FILE, NULL);
  g_autoptr (GHashTable) metadata = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  SeedTensor tensors[N_STATE_ARRAYS];
  float *arrays[N_STATE_ARRAYS];

  state_arrays (trainer, arrays);
  for (guint i = 0; i < N_STATE_ARRAYS; i++)
    tensors[i] = (SeedTensor){
      .name = state_names[i],
      .dtype = SEED_DTYPE_F32,
      .n_dims = 1,
      .shape = { trainer->params.total },
      .data = arrays[i],
      .size = trainer->params.total * sizeof (float),
    };
  g_hash_table_insert (metadata, "format", g_strdup (STATE_FORMAT));
  g_hash_table_insert (metadata, "step", g_strdup_printf ("%" G_GUINT64_FORMAT, trainer->step));
  g_hash_table_insert (metadata, "params", params_fingerprint (&trainer->params));
  return seed_safetensors_write (path, tensors, N_STATE_ARRAYS, metadata, error);
}

gboolean
seed_trainer_save (const SeedTrainer *trainer, const char *folder, GError **error)
{
  return seed_checkpoint_save (folder, &trainer->config.shape.vit, &trainer->params, trainer->ema,
             seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS, error) &&
         save_state (trainer, folder, error);
}

static gboolean
check_metadata (const SeedTrainer *trainer, const SeedSafetensors *st, const char *path,
    guint64 *step, GError **error)
{
  g_autofree char *expected = params_fingerprint (&trainer->params);
  const char *format = seed_safetensors_metadata (st, "format");
  const char *params = seed_safetensors_metadata (st, "params");
  const char *step_text = seed_safetensors_metadata (st, "step");

  if (g_strcmp0 (format, STATE_FORMAT) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: format is '%s', expected '%s'; it is not the state of a student", path,
        format ? format : "(none)", STATE_FORMAT);
    return FALSE;
  }
  if (g_strcmp0 (params, expected) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: the state belongs to a student of another size or geometry; use another checkpoint "
        "folder or the size and image-size it was made with",
        path);
    return FALSE;
  }
  if (!step_text || !g_ascii_string_to_unsigned (step_text, 10, 0, G_MAXINT64, step, NULL)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: metadata 'step' is no number", path);
    return FALSE;
  }
  return TRUE;
}

static gboolean
load_state (SeedTrainer *trainer, const char *path, GError **error)
{
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (path, error);
  float *arrays[N_STATE_ARRAYS];
  guint64 step;

  if (!st || !check_metadata (trainer, st, path, &step, error))
    return FALSE;
  state_arrays (trainer, arrays);
  for (guint i = 0; i < N_STATE_ARRAYS; i++) {
    const SeedTensor *tensor = seed_safetensors_lookup (st, state_names[i]);

    if (!tensor) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "%s: tensor '%s' is missing", path,
          state_names[i]);
      return FALSE;
    }
    if (!seed_tensor_to_float (tensor, path, arrays[i], trainer->params.total, error))
      return FALSE;
  }
  trainer->step = step;
  return TRUE;
}

gboolean
seed_trainer_resume (SeedTrainer *trainer, const char *folder, gboolean *resumed, GError **error)
{
  g_autofree char *path = g_build_filename (folder, STATE_FILE, NULL);

  *resumed = FALSE;
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!load_state (trainer, path, error))
    return FALSE;
  *resumed = TRUE;
  return TRUE;
}

static gboolean
same_network (const SeedTrainer *trainer, const SeedCheckpoint *checkpoint)
{
  if (checkpoint->params.n != trainer->params.n)
    return FALSE;
  for (guint i = 0; i < trainer->params.n; i++) {
    const SeedParam *mine = &trainer->params.items[i];
    const SeedParam *theirs = seed_params_lookup (&checkpoint->params, mine->name);

    if (!theirs || theirs->n_dims != mine->n_dims ||
        memcmp (theirs->shape, mine->shape, mine->n_dims * sizeof mine->shape[0]) != 0)
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_trainer_load_model (SeedTrainer *trainer, const char *folder, GError **error)
{
  SeedCheckpoint checkpoint = { 0 };
  gboolean ok;

  if (!seed_checkpoint_load (
          &checkpoint, folder, seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS, error))
    return FALSE;
  ok = same_network (trainer, &checkpoint);
  if (ok) {
    for (guint i = 0; i < trainer->params.n; i++) {
      const SeedParam *mine = &trainer->params.items[i];

      memcpy (trainer->values + mine->offset,
          checkpoint.values + seed_params_lookup (&checkpoint.params, mine->name)->offset,
          mine->size * sizeof (float));
    }
    memcpy (trainer->ema, trainer->values, trainer->params.total * sizeof (float));
  } else {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: the model has another size or geometry than the student (image-size, patch-size, "
        "size)",
        folder);
  }
  seed_checkpoint_clear (&checkpoint);
  return ok;
}

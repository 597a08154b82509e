/* SPDX-License-Identifier: MIT */
#include "student/student-files.h"

#include <string.h>

#include <seed/error.h>

#include "nn/hf-weights.h"

/* Which heads the model says anything of; what is wrong with a file its loading tells. */
static void
find_heads (const char *folder, gboolean *anchors, gboolean *text)
{
  g_autoptr (SeedHfWeights) weights = seed_hf_weights_open_with_heads (folder, NULL);

  *anchors = weights && seed_hf_weights_lookup (weights, seed_anchors_tensors[0].name, NULL);
  *text = weights && seed_hf_weights_lookup (weights, seed_student_text_tensors[0].name, NULL);
}

static gboolean
check_params (const SeedCheckpoint *checkpoint, const SeedStudentShape *shape, const char *folder,
    GError **error)
{
  SeedParams expected;
  gboolean ok = TRUE;

  seed_params_init (&expected);
  seed_student_append_params (shape, &expected);
  for (guint i = 0; ok && i < expected.n; i++) {
    const SeedParam *mine = &expected.items[i];
    const SeedParam *theirs = seed_params_lookup (&checkpoint->params, mine->name);

    ok = theirs && theirs->offset == mine->offset && theirs->n_dims == mine->n_dims &&
         memcmp (theirs->shape, mine->shape, mine->n_dims * sizeof mine->shape[0]) == 0;
    if (!ok)
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "%s: tensor '%s' has another shape than a student of width %u with embeddings of %u has",
          folder, mine->name, shape->vit.dim, shape->embed_dim);
  }
  seed_params_clear (&expected);
  return ok;
}

gboolean
seed_student_load (
    SeedCheckpoint *checkpoint, SeedStudentShape *shape, const char *folder, GError **error)
{
  SeedExtraTensor tensors[SEED_STUDENT_MAX_TENSORS];
  gboolean anchors, text;
  guint n;

  find_heads (folder, &anchors, &text);
  n = seed_student_tensors (anchors, text, tensors);
  if (!seed_checkpoint_load (checkpoint, folder, tensors, n, error))
    return FALSE;
  *shape = (SeedStudentShape){ .vit = checkpoint->config,
    .embed_dim = (guint) seed_params_lookup (&checkpoint->params, "embed_head.weight")->shape[0],
    .anchors = anchors };
  if (text)
    shape->text_dim =
        (guint) seed_params_lookup (&checkpoint->params, "text_head.weight")->shape[1];
  if (seed_student_shape_check (shape, error) && check_params (checkpoint, shape, folder, error))
    return TRUE;
  seed_checkpoint_clear (checkpoint);
  return FALSE;
}

gboolean
seed_student_save (const char *folder, const SeedStudentShape *shape, const SeedParams *params,
    const float *values, GError **error)
{
  SeedExtraTensor tensors[SEED_STUDENT_MAX_TENSORS];
  guint n = seed_student_tensors (shape->anchors, shape->text_dim > 0, tensors);

  return seed_checkpoint_save (folder, &shape->vit, params, values, tensors, n, error);
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/checkpoint.h"
#include "nn/hf-weights.h"
#include "seedctl-eval.h"
#include "student/student-files.h"

static char *
base_name (const char *folder)
{
  g_autofree char *absolute = g_canonicalize_filename (folder, NULL);

  return g_path_get_basename (absolute);
}

static void
take_text_head (SeedctlModel *model, const SeedCheckpoint *checkpoint, guint text_dim)
{
  const SeedParam *weight = seed_params_lookup (&checkpoint->params, "text_head.weight");
  const SeedParam *bias = seed_params_lookup (&checkpoint->params, "text_head.bias");

  model->text_dim = text_dim;
  model->text_head = g_new (float, weight->size + bias->size);
  memcpy (model->text_head, checkpoint->values + weight->offset, weight->size * sizeof (float));
  memcpy (model->text_head + weight->size, checkpoint->values + bias->offset,
      bias->size * sizeof (float));
}

static gboolean
open_student (SeedctlModel *model, const SeedctlEvalOptions *options, GError **error)
{
  SeedCheckpoint checkpoint = { 0 };
  SeedStudentShape shape;

  if (options->image_size || g_strcmp0 (options->precision, "float32") != 0 || options->backend) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: a student runs at its own image size and in float32; leave out --image-size, "
        "--precision and --backend",
        model->folder);
    return FALSE;
  }
  if (!seed_student_load (&checkpoint, &shape, model->folder, error))
    return FALSE;
  model->family = g_strdup (checkpoint.family);
  model->sha256 = g_strdup (checkpoint.sha256);
  model->precision = g_strdup ("float32");
  model->image_size = checkpoint.config.image_size;
  model->patch_size = checkpoint.config.patch_size;
  model->dim = shape.embed_dim;
  model->n_params = checkpoint.n_params;
  if (shape.text_dim > 0)
    take_text_head (model, &checkpoint, shape.text_dim);
  seed_checkpoint_clear (&checkpoint);
  return TRUE;
}

static gboolean
open_teacher (SeedctlModel *model, const SeedctlEvalOptions *options, GError **error)
{
  const SeedModelOptions wanted = { (guint) options->image_size, options->backend,
    options->precision };
  const SeedModelInfo *info;

  model->teacher = seed_model_load_full (model->folder, &wanted, error);
  if (!model->teacher)
    return FALSE;
  info = seed_model_get_info (model->teacher);
  model->family = g_strdup (info->family);
  model->sha256 = g_strdup (info->sha256);
  model->precision = g_strdup (info->precision);
  model->image_size = info->image_size;
  model->patch_size = info->patch_size;
  model->dim = info->summary_dim;
  model->n_params = info->n_params;
  return TRUE;
}

gboolean
seedctl_model_open (SeedctlModel *model, const SeedctlEvalOptions *options, GError **error)
{
  g_autoptr (SeedHfWeights) weights = seed_hf_weights_open_with_heads (options->model, error);

  *model = (SeedctlModel){ 0 };
  if (!weights)
    return FALSE;
  model->folder = g_strdup (options->model);
  model->name = base_name (options->model);
  model->is_student = seed_hf_weights_lookup (weights, "embed_head.weight", NULL) != NULL;
  model->has_anchors =
      model->is_student && seed_hf_weights_lookup (weights, "anchors", NULL) != NULL;
  return model->is_student ? open_student (model, options, error)
                           : open_teacher (model, options, error);
}

void
seedctl_model_clear (SeedctlModel *model)
{
  g_free (model->folder);
  g_free (model->name);
  g_free (model->family);
  g_free (model->sha256);
  g_free (model->precision);
  g_free (model->text_head);
  seed_model_unref (model->teacher);
  *model = (SeedctlModel){ 0 };
}

GstElement *
seedctl_model_make_element (
    const SeedctlModel *model, const SeedctlEvalOptions *options, gboolean tokens)
{
  GstElement *element =
      gst_element_factory_make (model->is_student ? "seedstudent" : "seedteacher", "model");

  if (!element)
    return NULL;
  g_object_set (element, "model", model->folder, "tokens", tokens, NULL);
  if (!model->is_student)
    g_object_set (element, "image-size", options->image_size, "precision", options->precision,
        "backend", options->backend ? options->backend : "auto", NULL);
  return element;
}

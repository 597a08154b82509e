/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/vit-weights.h"
#include "nn/layers.h"
#include "student/student.h"

#define MAX_EMBED_DIM 8192

struct _SeedStudent {
  SeedStudentShape shape;
  SeedLayers layers;
  SeedLayer head;
  SeedVit *vit;
  float scale[3], shift[3];
  guint max_batch, n;
  const real *values; /* packed in vit */
  const real *hidden; /* of the last forward, the transformer's */
  real *embedding;    /* [max_batch, E] */
  real *norm;         /* [max_batch] */
  real *d_head;       /* train: [max_batch, E] */
  real *d_hidden;     /* train: [max_batch, 1+N, d] */
};

const SeedExtraTensor seed_student_head_tensors[SEED_STUDENT_N_HEAD_TENSORS] = {
  { "embed_head.weight", TRUE, 2, { 0, 0 } },
  { "embed_head.bias", FALSE, 1, { 0 } },
};

const SeedExtraTensor seed_student_text_tensors[SEED_STUDENT_N_TEXT_TENSORS] = {
  { "text_head.weight", TRUE, 2, { 0, 0 } },
  { "text_head.bias", FALSE, 1, { 0 } },
};

static guint
add_tensors (SeedExtraTensor *tensors, guint at, const SeedExtraTensor *more, guint n)
{
  memcpy (tensors + at, more, n * sizeof *more);
  return at + n;
}

guint
seed_student_tensors (
    gboolean anchors, gboolean text, SeedExtraTensor tensors[SEED_STUDENT_MAX_TENSORS])
{
  guint n = add_tensors (tensors, 0, seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS);

  if (anchors)
    n = add_tensors (tensors, n, seed_anchors_tensors, SEED_ANCHORS_N_DESCRIBING);
  if (text)
    n = add_tensors (tensors, n, seed_student_text_tensors, SEED_STUDENT_N_TEXT_TENSORS);
  return n;
}

gboolean
seed_student_shape_check (const SeedStudentShape *shape, GError **error)
{
  if (!seed_vit_config_check (&shape->vit, error))
    return FALSE;
  if (shape->embed_dim < 1 || shape->embed_dim > MAX_EMBED_DIM) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "embedding width %u is outside 1..%u",
        shape->embed_dim, MAX_EMBED_DIM);
    return FALSE;
  }
  if (shape->anchors) {
    SeedAnchorsShape anchors;

    seed_anchors_shape_init (&anchors, &shape->vit);
    return seed_anchors_shape_check (&anchors, error);
  }
  return TRUE;
}

/* Weight [E, @in] and bias [E] of a head that ends in embeddings. */
static void
append_linear (const SeedExtraTensor *tensors, guint n, const SeedStudentShape *shape, guint in,
    SeedParams *params)
{
  const gsize dims[2] = { shape->embed_dim, in };

  for (guint i = 0; i < n; i++)
    seed_params_append (params, tensors[i].name, tensors[i].decay, tensors[i].n_dims, dims);
}

void
seed_student_append_params (const SeedStudentShape *shape, SeedParams *params)
{
  seed_vit_append_params (&shape->vit, params);
  append_linear (
      seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS, shape, shape->vit.dim, params);
  if (shape->anchors) {
    SeedAnchorsShape anchors;

    seed_anchors_shape_init (&anchors, &shape->vit);
    seed_anchors_append_describing (&anchors, params);
  }
  if (shape->text_dim > 0)
    append_linear (
        seed_student_text_tensors, SEED_STUDENT_N_TEXT_TENSORS, shape, shape->text_dim, params);
}

static gsize
hidden_stride (const SeedStudent *student)
{
  return (1 + (gsize) seed_vit_config_n_words (&student->shape.vit)) * student->shape.vit.dim;
}

SeedStudent *
seed_student_new (const SeedStudentShape *shape, const SeedParams *params, guint max_batch,
    gboolean train, const SeedBackend *backend, GError **error)
{
  g_autoptr (SeedVit) vit = NULL;
  SeedStudent *student;

  if (!seed_student_shape_check (shape, error))
    return NULL;
  if (!backend)
    backend = seed_backend_get ();
  vit = seed_vit_new_with (&shape->vit, params, max_batch, train, backend, error);
  if (!vit)
    return NULL;

  student = g_new0 (SeedStudent, 1);
  student->shape = *shape;
  student->layers = seed_layers (backend);
  student->head = seed_layer_find (params, "embed_head");
  student->vit = g_steal_pointer (&vit);
  seed_vit_config_normalisation (&shape->vit, student->scale, student->shift);
  student->max_batch = max_batch;
  student->embedding = seed_reals_new ((gsize) max_batch * shape->embed_dim);
  student->norm = seed_reals_new (max_batch);
  if (train) {
    student->d_head = seed_reals_new ((gsize) max_batch * shape->embed_dim);
    student->d_hidden = seed_reals_new (max_batch * hidden_stride (student));
  }
  return student;
}

void
seed_student_free (SeedStudent *student)
{
  if (!student)
    return;
  seed_vit_free (student->vit);
  g_aligned_free (student->embedding);
  g_aligned_free (student->norm);
  g_aligned_free (student->d_head);
  g_aligned_free (student->d_hidden);
  g_free (student);
}

gsize
seed_student_memory_bytes (const SeedStudent *student)
{
  gsize reals = (gsize) student->max_batch * (student->shape.embed_dim + 1);

  if (student->d_head)
    reals += student->max_batch * (student->shape.embed_dim + hidden_stride (student));
  return seed_vit_memory_bytes (student->vit) + reals * sizeof (real);
}

void
seed_student_set_values (SeedStudent *student, const real *values)
{
  student->values = values;
  seed_vit_pack (student->vit, values);
}

const real *
seed_student_forward (SeedStudent *student, const guint8 *words, guint n, const real **hidden)
{
  g_return_val_if_fail (student->values, NULL);
  g_return_val_if_fail (n >= 1 && n <= student->max_batch, NULL);

  student->n = n;
  student->hidden = seed_vit_run (student->vit, student->scale, student->shift, words, n);
  seed_linear_forward (&student->layers, &student->head, student->values, student->hidden,
      hidden_stride (student), n, student->embedding);
  seed_unit_rows (student->embedding, n, student->shape.embed_dim, student->norm);
  if (hidden)
    *hidden = student->hidden;
  return student->embedding;
}

const real *
seed_student_embedding (const SeedStudent *student)
{
  return student->embedding;
}

real *
seed_student_d_hidden (SeedStudent *student)
{
  g_return_val_if_fail (student->d_hidden && student->n > 0, NULL);

  memset (student->d_hidden, 0, student->n * hidden_stride (student) * sizeof (real));
  return student->d_hidden;
}

void
seed_student_backward (SeedStudent *student, const real *d_embedding, real *grads)
{
  guint e = student->shape.embed_dim, n = student->n;

  g_return_if_fail (student->d_head && n > 0);

  memcpy (student->d_head, d_embedding, (gsize) n * e * sizeof (real));
  seed_unit_rows_backward (student->embedding, student->norm, n, e, student->d_head);
  seed_linear_backward (&student->layers, &student->head, student->values, student->hidden,
      hidden_stride (student), student->d_head, n, SEED_GRADIENT_ADD, student->d_hidden,
      hidden_stride (student), grads);
  seed_vit_backward (student->vit, student->values, student->d_hidden, grads);
}

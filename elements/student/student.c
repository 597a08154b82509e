/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "student/student.h"

#define MAX_EMBED_DIM 8192
#define TINY 1e-12 /* an all-zero embedding stays zero instead of dividing by zero */

struct _SeedStudent {
  SeedStudentShape shape;
  const SeedParam *head_weight, *head_bias;
  SeedVit *vit;
  float scale[3], shift[3];
  guint max_batch, n;
  const real *values; /* packed in vit */
  const real *hidden; /* of the last forward, the transformer's */
  real *embedding;    /* [max_batch, E] */
  real *norm;         /* [max_batch] */
  real *d_head;       /* train: [max_batch, E] */
  real *d_hidden;     /* train: [max_batch, 1+N, d]; rows other than CLS stay zero */
};

const SeedExtraTensor seed_student_head_tensors[SEED_STUDENT_N_HEAD_TENSORS] = {
  { "embed_head.weight", TRUE, 2, { 0, 0 } },
  { "embed_head.bias", FALSE, 1, { 0 } },
};

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
  return TRUE;
}

void
seed_student_append_params (const SeedStudentShape *shape, SeedParams *params)
{
  gsize dims[2] = { shape->embed_dim, shape->vit.dim };

  seed_vit_append_params (&shape->vit, params);
  for (guint i = 0; i < SEED_STUDENT_N_HEAD_TENSORS; i++) {
    const SeedExtraTensor *tensor = &seed_student_head_tensors[i];

    seed_params_append (params, tensor->name, tensor->decay, tensor->n_dims, dims);
  }
}

static gsize
hidden_stride (const SeedStudent *student)
{
  return (1 + (gsize) seed_vit_config_n_words (&student->shape.vit)) * student->shape.vit.dim;
}

static real *
alloc_reals (gsize n)
{
  return g_aligned_alloc0 (n, sizeof (real), 64);
}

SeedStudent *
seed_student_new (const SeedStudentShape *shape, const SeedParams *params, guint max_batch,
    gboolean train, GError **error)
{
  g_autoptr (SeedVit) vit = NULL;
  SeedStudent *student;

  if (!seed_student_shape_check (shape, error))
    return NULL;
  vit = seed_vit_new (&shape->vit, params, max_batch, train, error);
  if (!vit)
    return NULL;

  student = g_new0 (SeedStudent, 1);
  student->shape = *shape;
  student->head_weight = seed_params_lookup (params, "embed_head.weight");
  student->head_bias = seed_params_lookup (params, "embed_head.bias");
  g_assert (student->head_weight && student->head_bias);
  student->vit = g_steal_pointer (&vit);
  seed_vit_config_normalisation (&shape->vit, student->scale, student->shift);
  student->max_batch = max_batch;
  student->embedding = alloc_reals ((gsize) max_batch * shape->embed_dim);
  student->norm = alloc_reals (max_batch);
  if (train) {
    student->d_head = alloc_reals ((gsize) max_batch * shape->embed_dim);
    student->d_hidden = alloc_reals (max_batch * hidden_stride (student));
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

static void
normalise_rows (real *rows, real *norms, guint n, guint dim)
{
  for (guint i = 0; i < n; i++) {
    real *row = rows + (gsize) i * dim;
    double square = TINY * TINY;
    real inverse;

    for (guint k = 0; k < dim; k++)
      square += (double) row[k] * row[k];
    norms[i] = (real) sqrt (square);
    inverse = 1 / norms[i];
    for (guint k = 0; k < dim; k++)
      row[k] *= inverse;
  }
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
  guint e = student->shape.embed_dim, d = student->shape.vit.dim;
  const real *bias, *weight;

  g_return_val_if_fail (student->values, NULL);
  g_return_val_if_fail (n >= 1 && n <= student->max_batch, NULL);

  bias = student->values + student->head_bias->offset;
  weight = student->values + student->head_weight->offset;
  student->n = n;
  student->hidden = seed_vit_run (student->vit, student->scale, student->shift, words, n);
  for (guint i = 0; i < n; i++)
    memcpy (student->embedding + (gsize) i * e, bias, e * sizeof (real));
  real_gemm (CblasRowMajor, CblasNoTrans, CblasTrans, (int) n, (int) e, (int) d, 1, student->hidden,
      (int) hidden_stride (student), weight, (int) d, 1, student->embedding, (int) e);
  normalise_rows (student->embedding, student->norm, n, e);
  if (hidden)
    *hidden = student->hidden;
  return student->embedding;
}

/* z = y/|y|: dL/dy = (g - z (z.g)) / |y| */
static void
normalise_rows_backward (
    const real *z, const real *norms, const real *g, guint n, guint dim, real *d_y)
{
  for (guint i = 0; i < n; i++) {
    gsize row = (gsize) i * dim;
    double dot = 0;

    for (guint k = 0; k < dim; k++)
      dot += (double) z[row + k] * g[row + k];
    for (guint k = 0; k < dim; k++)
      d_y[row + k] = (g[row + k] - z[row + k] * (real) dot) / norms[i];
  }
}

void
seed_student_backward (SeedStudent *student, const real *d_embedding, real *grads)
{
  guint e = student->shape.embed_dim, d = student->shape.vit.dim, n = student->n;
  int stride = (int) hidden_stride (student);
  real *d_bias = grads + student->head_bias->offset;

  g_return_if_fail (student->d_head && n > 0);

  normalise_rows_backward (student->embedding, student->norm, d_embedding, n, e, student->d_head);
  for (guint i = 0; i < n; i++)
    for (guint k = 0; k < e; k++)
      d_bias[k] += student->d_head[(gsize) i * e + k];
  real_gemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int) e, (int) d, (int) n, 1, student->d_head,
      (int) e, student->hidden, stride, 1, grads + student->head_weight->offset, (int) d);
  real_gemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) n, (int) d, (int) e, 1,
      student->d_head, (int) e, student->values + student->head_weight->offset, (int) d, 0,
      student->d_hidden, stride);
  seed_vit_backward (student->vit, student->values, student->d_hidden, grads);
}

/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "student/hadamard.h"
#include "nn/layers.h"
#include "student/standardise.h"

/* LAPACK, column-major; the lengths of character arguments follow as gfortran passes them. */
void dsyevd_ (const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
    double *w, double *work, const int *lwork, int *iwork, const int *liwork, int *info,
    size_t jobz_len, size_t uplo_len);

#define CHUNK_ROWS 64u
#define LEAST_VARIANCE 1e-20

struct _SeedStandardiseFit {
  char *name;
  guint dim;
  guint64 n_samples;
  double *shift; /* [C]: the first sample, so that sums of squares cancel nothing */
  double *sum;   /* [C] of x - shift */
  double *outer; /* [C, C] upper half: sum of (x - shift)(x - shift)^T */
  double *rows;  /* [CHUNK_ROWS, C] */
};

SeedStandardise *
seed_standardise_alloc (guint dim)
{
  SeedStandardise *standardise = g_new0 (SeedStandardise, 1);

  standardise->dim = dim;
  standardise->weight = g_new0 (float, (gsize) dim *dim);
  standardise->bias = g_new0 (float, dim);
  return standardise;
}

void
seed_standardise_free (SeedStandardise *standardise)
{
  if (!standardise)
    return;
  g_free (standardise->weight);
  g_free (standardise->bias);
  g_free (standardise);
}

void
seed_standardise_apply (const SeedStandardise *standardise, const float *x, gsize n, float *y)
{
  SeedLayers layers = seed_layers (NULL); /* float32: features may lie far from zero */
  gsize dim = standardise->dim;
  SeedLayer layer = { .out = (guint) dim, .in = (guint) dim };
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = (guint) n,
    .n = layer.out,
    .k = layer.in,
    .alpha = 1,
    .a = x,
    .stride_a = dim,
    .b = standardise->weight,
    .stride_b = dim,
    .beta = 1,
    .c = y,
    .stride_c = dim };

  for (gsize i = 0; i < n; i++)
    memcpy (y + i * dim, standardise->bias, dim * sizeof (float));
  layers.backend->gemm (&gemm);
}

SeedStandardiseFit *
seed_standardise_fit_new (const char *name, guint dim, GError **error)
{
  SeedStandardiseFit *fit;

  if (dim < 1 || dim > SEED_STANDARDISE_MAX_DIM) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%s: features of %u values cannot be standardised, expected 1 to %u", name, dim,
        SEED_STANDARDISE_MAX_DIM);
    return NULL;
  }
  fit = g_new0 (SeedStandardiseFit, 1);
  fit->name = g_strdup (name);
  fit->dim = dim;
  fit->shift = g_new0 (double, dim);
  fit->sum = g_new0 (double, dim);
  fit->outer = g_new0 (double, (gsize) dim *dim);
  fit->rows = g_new (double, CHUNK_ROWS *(gsize) dim);
  return fit;
}

void
seed_standardise_fit_free (SeedStandardiseFit *fit)
{
  if (!fit)
    return;
  g_free (fit->name);
  g_free (fit->shift);
  g_free (fit->sum);
  g_free (fit->outer);
  g_free (fit->rows);
  g_free (fit);
}

guint64
seed_standardise_fit_n_samples (const SeedStandardiseFit *fit)
{
  return fit->n_samples;
}

static gboolean
all_finite (const SeedStandardiseFit *fit, const float *x, gsize stride, gsize n, GError **error)
{
  for (gsize r = 0; r < n; r++)
    for (gsize k = 0; k < fit->dim; k++)
      if (!isfinite (x[r * stride + k])) {
        g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
            "%s: value %" G_GSIZE_FORMAT " of row %" G_GSIZE_FORMAT " is not finite", fit->name, k,
            r);
        return FALSE;
      }
  return TRUE;
}

gboolean
seed_standardise_fit_add (
    SeedStandardiseFit *fit, const float *x, gsize stride, gsize n, GError **error)
{
  int d = (int) fit->dim;

  if (!all_finite (fit, x, stride, n, error))
    return FALSE;
  for (gsize k = 0; fit->n_samples == 0 && n > 0 && k < fit->dim; k++)
    fit->shift[k] = x[k];
  for (gsize start = 0; start < n; start += CHUNK_ROWS) {
    gsize rows = MIN (CHUNK_ROWS, n - start);

    for (gsize r = 0; r < rows; r++)
      for (gsize k = 0; k < fit->dim; k++) {
        double value = x[(start + r) * stride + k] - fit->shift[k];

        fit->rows[r * fit->dim + k] = value;
        fit->sum[k] += value;
      }
    cblas_dsyrk (
        CblasRowMajor, CblasUpper, CblasTrans, d, (int) rows, 1, fit->rows, d, 1, fit->outer, d);
  }
  fit->n_samples += n;
  return TRUE;
}

/* Upper half, row-major. */
static double *
covariance (const SeedStandardiseFit *fit)
{
  gsize d = fit->dim;
  double n = (double) fit->n_samples;
  double *c = g_new0 (double, d *d);

  for (gsize i = 0; i < d; i++)
    for (gsize j = i; j < d; j++)
      c[i * d + j] = fit->outer[i * d + j] / n - (fit->sum[i] / n) * (fit->sum[j] / n);
  return c;
}

/* Row i of @a becomes the i-th eigenvector, its largest entry positive. */
static gboolean
eigenvectors (const SeedStandardiseFit *fit, double *a, GError **error)
{
  int n = (int) fit->dim, lwork = -1, liwork = -1, iwork_size, info;
  double work_size;
  g_autofree double *w = g_new (double, fit->dim), *work = NULL;
  g_autofree int *iwork = NULL;

  /* the upper half in row-major order is the lower half to LAPACK */
  dsyevd_ ("V", "L", &n, a, &n, w, &work_size, &lwork, &iwork_size, &liwork, &info, 1, 1);
  if (info == 0) {
    lwork = (int) work_size;
    liwork = iwork_size;
    work = g_new (double, lwork);
    iwork = g_new (int, liwork);
    dsyevd_ ("V", "L", &n, a, &n, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  }
  if (info != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "%s: the covariance of its features has no eigen-decomposition (LAPACK dsyevd: info %d)",
        fit->name, info);
    return FALSE;
  }
  for (gsize i = 0; i < fit->dim; i++) {
    double *row = a + i * fit->dim, largest = 0;

    for (gsize k = 0; k < fit->dim; k++)
      if (fabs (row[k]) > fabs (largest))
        largest = row[k];
    for (gsize k = 0; largest < 0 && k < fit->dim; k++)
      row[k] = -row[k];
  }
  return TRUE;
}

/* Fills @rotation [C, C] with H U^T / sqrt (C), or the identity. */
static gboolean
make_rotation (const SeedStandardiseFit *fit, double *vectors, double *rotation, GError **error)
{
  gsize d = fit->dim;
  g_autofree double *hadamard = g_new (double, d *d);
  int n = (int) d;

  if (!seed_hadamard (fit->dim, hadamard)) {
    memset (rotation, 0, d * d * sizeof *rotation);
    for (gsize i = 0; i < d; i++)
      rotation[i * d + i] = 1;
    return TRUE;
  }
  if (!eigenvectors (fit, vectors, error))
    return FALSE;
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1 / sqrt ((double) d), hadamard,
      n, vectors, n, 0, rotation, n);
  return TRUE;
}

SeedStandardise *
seed_standardise_fit_finish (const SeedStandardiseFit *fit, GError **error)
{
  gsize d = fit->dim;
  g_autofree double *vectors = NULL, *rotation = g_new (double, d *d);
  g_autoptr (SeedStandardise) standardise = NULL;
  double trace = 0, phi;

  if (fit->n_samples < 2) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: standardising needs 2 rows of features or more", fit->name);
    return NULL;
  }
  vectors = covariance (fit);
  for (gsize i = 0; i < d; i++)
    trace += vectors[i * d + i];
  phi = sqrt (trace / (double) d); /* the eigenvalues sum up to the trace */
  if (!(phi * phi > LEAST_VARIANCE) || !isfinite (phi)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "%s: its features of %" G_GUINT64_FORMAT
        " rows are all the same; calibrate on more varied frames",
        fit->name, fit->n_samples);
    return NULL;
  }
  if (!make_rotation (fit, vectors, rotation, error))
    return NULL;

  standardise = seed_standardise_alloc (fit->dim);
  standardise->n_samples = fit->n_samples;
  for (gsize i = 0; i < d; i++) {
    double bias = 0;

    for (gsize k = 0; k < d; k++) {
      standardise->weight[i * d + k] = (float) (rotation[i * d + k] / phi);
      bias -= rotation[i * d + k] / phi * (fit->shift[k] + fit->sum[k] / (double) fit->n_samples);
    }
    standardise->bias[i] = (float) bias;
  }
  return g_steal_pointer (&standardise);
}

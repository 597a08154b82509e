/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "fusion/whitening-private.h"

/* LAPACK, column-major; the lengths of character arguments follow as gfortran passes them. */
void dsyevd_ (const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
    double *w, double *work, const int *lwork, int *iwork, const int *liwork, int *info,
    size_t jobz_len, size_t uplo_len);
void dgesdd_ (const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s,
    double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
    int *iwork, int *info, size_t jobz_len);

#define CHUNK_ROWS 64u /* rows turned to double at a time: bounds the workspace */

/* Eigenvalues below this share of the largest are not usable: float32 summaries are rounded by
 * 2^-24 of themselves, which is a variance of 1e-15 in directions that the data does not have. */
#define RANK_TOLERANCE 1e-10
/* Of unit vectors whose largest variance is below this, rounding is all that differs. */
#define LEAST_VARIANCE 1e-13

typedef struct {
  SeedWhiteningTeacher info; /* owns its strings */
  double *shift;             /* [D]: the first sample, so that sums of squares cancel nothing */
  double *sum;               /* [D] of x^ - shift */
  double *outer;             /* [D, D] upper half: sum of (x^ - shift)(x^ - shift)^T */
  double *cross;             /* [D, D of the first]: with the first teacher; NULL for the first */
  double *rows;              /* [CHUNK_ROWS, D] workspace */
} FitTeacher;

struct _SeedWhiteningFit {
  guint n_teachers;
  guint64 n_samples;
  double floor;
  FitTeacher teachers[];
};

SeedWhiteningFit *
seed_whitening_fit_new (const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error)
{
  SeedWhiteningFit *fit;

  if (!seed_whitening_check_teachers (teachers, n_teachers, error))
    return NULL;
  seed_whitening_serial_blas ();
  fit = g_malloc0 (sizeof (SeedWhiteningFit) + n_teachers * sizeof (FitTeacher));
  fit->n_teachers = n_teachers;
  fit->floor = SEED_WHITENING_EIGENVALUE_FLOOR;
  for (guint t = 0; t < n_teachers; t++) {
    FitTeacher *f = &fit->teachers[t];
    gsize d = teachers[t].dim;

    f->info.name = g_strdup (teachers[t].name);
    f->info.space = g_strdup (teachers[t].space);
    f->info.dim = teachers[t].dim;
    f->shift = g_new0 (double, d);
    f->sum = g_new0 (double, d);
    f->outer = g_new0 (double, d *d);
    f->cross = t > 0 ? g_new0 (double, d *teachers[0].dim) : NULL;
    f->rows = g_new (double, CHUNK_ROWS *d);
  }
  return fit;
}

void
seed_whitening_fit_free (SeedWhiteningFit *fit)
{
  if (!fit)
    return;
  for (guint t = 0; t < fit->n_teachers; t++) {
    FitTeacher *f = &fit->teachers[t];

    g_free ((char *) f->info.name);
    g_free ((char *) f->info.space);
    g_free (f->shift);
    g_free (f->sum);
    g_free (f->outer);
    g_free (f->cross);
    g_free (f->rows);
  }
  g_free (fit);
}

void
seed_whitening_fit_set_floor (SeedWhiteningFit *fit, double floor)
{
  g_return_if_fail (floor > 0 && floor <= 1);

  fit->floor = floor;
}

guint64
seed_whitening_fit_n_samples (const SeedWhiteningFit *fit)
{
  return fit->n_samples;
}

static void
normalise_row (const float *row, guint d, double *out)
{
  double norm = 0;

  for (guint i = 0; i < d; i++)
    norm += (double) row[i] * row[i];
  norm = sqrt (norm);
  for (guint i = 0; i < d; i++)
    out[i] = row[i] / norm;
}

static void
load_rows (FitTeacher *f, const float *x, guint n)
{
  guint d = f->info.dim;

  for (guint r = 0; r < n; r++) {
    double *row = f->rows + (gsize) r * d;

    normalise_row (x + (gsize) r * d, d, row);
    for (guint i = 0; i < d; i++) {
      row[i] -= f->shift[i];
      f->sum[i] += row[i];
    }
  }
}

static void
accumulate (SeedWhiteningFit *fit, const float *const *summaries, guint start, guint n)
{
  int first = (int) fit->teachers[0].info.dim;

  for (guint t = 0; t < fit->n_teachers; t++) {
    FitTeacher *f = &fit->teachers[t];
    int d = (int) f->info.dim;

    load_rows (f, summaries[t] + (gsize) start * f->info.dim, n);
    cblas_dsyrk (
        CblasRowMajor, CblasUpper, CblasTrans, d, (int) n, 1.0, f->rows, d, 1.0, f->outer, d);
    if (t > 0)
      cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, d, first, (int) n, 1.0, f->rows, d,
          fit->teachers[0].rows, first, 1.0, f->cross, first);
  }
}

gboolean
seed_whitening_fit_add (
    SeedWhiteningFit *fit, const float *const *summaries, guint n, GError **error)
{
  for (guint t = 0; t < fit->n_teachers; t++) {
    const SeedWhiteningTeacher *info = &fit->teachers[t].info;
    double norm;

    for (guint r = 0; r < n; r++) {
      if (!seed_whitening_row_norm (info, summaries[t] + (gsize) r * info->dim, r, &norm, error))
        return FALSE;
    }
  }
  if (fit->n_samples == 0 && n > 0) {
    for (guint t = 0; t < fit->n_teachers; t++)
      normalise_row (summaries[t], fit->teachers[t].info.dim, fit->teachers[t].shift);
  }
  for (guint start = 0; start < n; start += CHUNK_ROWS)
    accumulate (fit, summaries, start, MIN (CHUNK_ROWS, n - start));
  fit->n_samples += n;
  return TRUE;
}

/* Eigenvalues ascending in @w; row i of @a becomes the eigenvector of w[i]. */
static gboolean
eigen (double *a, int n, double *w, int *info)
{
  int lwork = -1, liwork = -1, iwork_size;
  double work_size;
  g_autofree double *work = NULL;
  g_autofree int *iwork = NULL;

  /* the upper half in row-major order is the lower half to LAPACK */
  dsyevd_ ("V", "L", &n, a, &n, w, &work_size, &lwork, &iwork_size, &liwork, info, 1, 1);
  if (*info != 0)
    return FALSE;
  lwork = (int) work_size;
  liwork = iwork_size;
  work = g_new (double, lwork);
  iwork = g_new (int, liwork);
  dsyevd_ ("V", "L", &n, a, &n, w, work, &lwork, iwork, &liwork, info, 1, 1);
  return *info == 0;
}

static double *
covariance (const FitTeacher *f, guint64 n_samples)
{
  gsize d = f->info.dim;
  double n = (double) n_samples;
  double *c = g_new (double, d *d);

  for (gsize i = 0; i < d; i++) {
    for (gsize j = 0; j < d; j++)
      c[i * d + j] = j < i ? 0 : f->outer[i * d + j] / n - (f->sum[i] / n) * (f->sum[j] / n);
  }
  return c;
}

static double
sign_of (const double *vector, gsize d)
{
  gsize largest = 0;

  for (gsize i = 1; i < d; i++) {
    if (fabs (vector[i]) > fabs (vector[largest]))
      largest = i;
  }
  return vector[largest] < 0 ? -1 : 1;
}

static guint
usable_rank (const double *ascending, gsize d)
{
  guint rank = 0;

  while (rank < d && ascending[d - 1 - rank] > RANK_TOLERANCE * ascending[d - 1])
    rank++;
  return rank;
}

/* Fills the mean, eigenvalues and projection of @t; @projection: the same in double, caller frees.
 */
static gboolean
whiten_teacher (const SeedWhiteningFit *fit, guint t, SeedWhitening *whitening, double **projection,
    GError **error)
{
  const FitTeacher *f = &fit->teachers[t];
  WhitenedTeacher *w = &whitening->teachers[t];
  gsize d = f->info.dim;
  g_autofree double *vectors = covariance (f, fit->n_samples);
  g_autofree double *values = g_new (double, d);
  double largest;
  int info;

  if (!eigen (vectors, (int) d, values, &info)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "teacher \"%s\": the covariance of %" G_GUINT64_FORMAT
        " samples has no eigen-decomposition (LAPACK dsyevd: info %d)",
        f->info.name, fit->n_samples, info);
    return FALSE;
  }
  largest = values[d - 1];
  if (!(largest > LEAST_VARIANCE)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "teacher \"%s\": its summaries of %" G_GUINT64_FORMAT
        " samples are all the same, nothing to whiten; calibrate on more varied frames",
        f->info.name, fit->n_samples);
    return FALSE;
  }

  seed_whitening_set_width (whitening, t, MIN (SEED_WHITENING_MAX_WIDTH, usable_rank (values, d)));
  *projection = g_new (double, w->width *d);
  for (gsize i = 0; i < d; i++)
    w->mean[i] = (float) (f->shift[i] + f->sum[i] / (double) fit->n_samples);
  for (gsize r = 0; r < w->width; r++) {
    const double *vector = vectors + (d - 1 - r) * d;
    double value = values[d - 1 - r];
    double scale = sign_of (vector, d) / sqrt (MAX (value, fit->floor * largest));

    w->eigenvalues[r] = (float) value;
    for (gsize i = 0; i < d; i++) {
      (*projection)[r * d + i] = scale * vector[i];
      w->projection[r * d + i] = (float) (scale * vector[i]);
    }
  }
  return TRUE;
}

/* Thin SVD of the row-major @m [rows, cols] (overwritten): R = P Q^T [rows, cols]. */
static gboolean
procrustes (double *m, int rows, int cols, float *r, int *info)
{
  int rank = MIN (rows, cols), lwork = -1;
  g_autofree double *s = g_new (double, rank);
  g_autofree double *u = g_new (double, (gsize) cols *(gsize) rank);
  g_autofree double *vt = g_new (double, (gsize) rank *(gsize) rows);
  g_autofree double *product = g_new (double, (gsize) rows *(gsize) cols);
  g_autofree int *iwork = g_new (int, 8 * (gsize) rank);
  g_autofree double *work = NULL;
  double work_size;

  /* LAPACK sees the transpose M^T = U S V^T, so P = V and Q = U: R^T = U V^T, column-major R^T is
   * row-major R. */
  dgesdd_ ("S", &cols, &rows, m, &cols, s, u, &cols, vt, &rank, &work_size, &lwork, iwork, info, 1);
  if (*info != 0)
    return FALSE;
  lwork = (int) work_size;
  work = g_new (double, lwork);
  dgesdd_ ("S", &cols, &rows, m, &cols, s, u, &cols, vt, &rank, work, &lwork, iwork, info, 1);
  if (*info != 0)
    return FALSE;
  cblas_dgemm (CblasColMajor, CblasNoTrans, CblasNoTrans, cols, rows, rank, 1.0, u, cols, vt, rank,
      0.0, product, cols);
  for (gsize i = 0; i < (gsize) rows * (gsize) cols; i++)
    r[i] = (float) product[i];
  return TRUE;
}

/* X^T Y / n = W_t C W_1^T, with C the covariance of the teacher with the first. */
static gboolean
align_teacher (const SeedWhiteningFit *fit, guint t, SeedWhitening *whitening,
    double *const *projections, GError **error)
{
  const FitTeacher *f = &fit->teachers[t], *first = &fit->teachers[0];
  WhitenedTeacher *w = &whitening->teachers[t];
  int d = (int) f->info.dim, d1 = (int) first->info.dim;
  int k = (int) w->width, k1 = (int) whitening->teachers[0].width;
  double n = (double) fit->n_samples;
  g_autofree double *c = g_new (double, (gsize) d *(gsize) d1);
  g_autofree double *left = g_new (double, (gsize) k *(gsize) d1);
  g_autofree double *m = g_new (double, (gsize) k *(gsize) k1);
  int info;

  for (gsize i = 0; i < (gsize) d; i++) {
    for (gsize j = 0; j < (gsize) d1; j++) {
      gsize at = i * (gsize) d1 + j;

      c[at] = f->cross[at] / n - (f->sum[i] / n) * (first->sum[j] / n);
    }
  }
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, k, d1, d, 1.0, projections[t], d, c, d1,
      0.0, left, d1);
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasTrans, k, k1, d1, 1.0, left, d1, projections[0],
      d1, 0.0, m, k1);
  w->alignment = g_new (float, (gsize) k *(gsize) k1);
  if (procrustes (m, k, k1, w->alignment, &info))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
      "teacher \"%s\": cannot be aligned with \"%s\" (LAPACK dgesdd: info %d)", f->info.name,
      first->info.name, info);
  return FALSE;
}

SeedWhitening *
seed_whitening_fit_finish (const SeedWhiteningFit *fit, GError **error)
{
  double *projections[SEED_WHITENING_MAX_TEACHERS] = { NULL };
  SeedWhiteningTeacher teachers[SEED_WHITENING_MAX_TEACHERS];
  g_autoptr (SeedWhitening) whitening = NULL;
  gboolean ok = TRUE;

  if (fit->n_samples < SEED_WHITENING_MIN_SAMPLES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "whitening needs %u samples or more, it has %" G_GUINT64_FORMAT, SEED_WHITENING_MIN_SAMPLES,
        fit->n_samples);
    return NULL;
  }
  for (guint t = 0; t < fit->n_teachers; t++)
    teachers[t] = fit->teachers[t].info;
  whitening = seed_whitening_alloc (teachers, fit->n_teachers, fit->n_samples);
  whitening->floor = fit->floor;
  for (guint t = 0; ok && t < fit->n_teachers; t++)
    ok = whiten_teacher (fit, t, whitening, &projections[t], error);
  for (guint t = 1; ok && t < fit->n_teachers; t++)
    ok = align_teacher (fit, t, whitening, projections, error);
  for (guint t = 0; t < fit->n_teachers; t++)
    g_free (projections[t]);
  if (!ok)
    return NULL;
  seed_whitening_seal (whitening);
  return g_steal_pointer (&whitening);
}

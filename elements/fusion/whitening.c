/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "fusion/whitening-private.h"

void
seed_whitening_serial_blas (void)
{
  static gsize done;

  if (g_once_init_enter (&done)) {
    openblas_set_num_threads (1);
    g_once_init_leave (&done, 1);
  }
}

gboolean
seed_whitening_check_teachers (
    const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error)
{
  if (n_teachers == 0 || n_teachers > SEED_WHITENING_MAX_TEACHERS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "whitening of %u teachers: expected 1 to %u",
        n_teachers, SEED_WHITENING_MAX_TEACHERS);
    return FALSE;
  }
  for (guint t = 0; t < n_teachers; t++) {
    if (teachers[t].dim == 0 || teachers[t].dim > SEED_WHITENING_MAX_DIM) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
          "teacher \"%s\": a summary of %u values cannot be whitened, expected 1 to %u",
          teachers[t].name, teachers[t].dim, SEED_WHITENING_MAX_DIM);
      return FALSE;
    }
  }
  return TRUE;
}

SeedWhitening *
seed_whitening_alloc (const SeedWhiteningTeacher *teachers, guint n_teachers, guint64 n_samples)
{
  SeedWhitening *whitening =
      g_malloc0 (sizeof (SeedWhitening) + n_teachers * sizeof (WhitenedTeacher));

  seed_whitening_serial_blas ();
  g_atomic_ref_count_init (&whitening->ref_count);
  whitening->n_teachers = n_teachers;
  whitening->n_samples = n_samples;
  whitening->floor = SEED_WHITENING_EIGENVALUE_FLOOR;
  for (guint t = 0; t < n_teachers; t++) {
    WhitenedTeacher *teacher = &whitening->teachers[t];

    teacher->info.name = g_strdup (teachers[t].name);
    teacher->info.space = g_strdup (teachers[t].space);
    teacher->info.dim = teachers[t].dim;
  }
  return whitening;
}

void
seed_whitening_set_width (SeedWhitening *whitening, guint teacher, guint width)
{
  WhitenedTeacher *w = &whitening->teachers[teacher];

  w->width = width;
  w->mean = g_new (float, w->info.dim);
  w->eigenvalues = g_new (float, width);
  w->projection = g_new (float, (gsize) width * w->info.dim);
}

void
seed_whitening_seal (SeedWhitening *whitening)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint first = whitening->teachers[0].width;

  for (guint t = 0; t < whitening->n_teachers; t++) {
    const WhitenedTeacher *w = &whitening->teachers[t];
    gsize k = w->width, d = w->info.dim;

    g_checksum_update (checksum, (const guchar *) w->mean, (gssize) (d * sizeof (float)));
    g_checksum_update (checksum, (const guchar *) w->projection, (gssize) (k * d * sizeof (float)));
    if (t > 0)
      g_checksum_update (
          checksum, (const guchar *) w->alignment, (gssize) (k * first * sizeof (float)));
  }
  whitening->digest = g_strdup (g_checksum_get_string (checksum));
}

SeedWhitening *
seed_whitening_ref (SeedWhitening *whitening)
{
  g_atomic_ref_count_inc (&whitening->ref_count);
  return whitening;
}

void
seed_whitening_unref (SeedWhitening *whitening)
{
  if (!whitening || !g_atomic_ref_count_dec (&whitening->ref_count))
    return;
  for (guint t = 0; t < whitening->n_teachers; t++) {
    WhitenedTeacher *w = &whitening->teachers[t];

    g_free ((char *) w->info.name);
    g_free ((char *) w->info.space);
    g_free (w->mean);
    g_free (w->eigenvalues);
    g_free (w->projection);
    g_free (w->alignment);
  }
  g_free (whitening->digest);
  g_free (whitening);
}

guint
seed_whitening_n_teachers (const SeedWhitening *whitening)
{
  return whitening->n_teachers;
}

const SeedWhiteningTeacher *
seed_whitening_teacher (const SeedWhitening *whitening, guint teacher)
{
  g_return_val_if_fail (teacher < whitening->n_teachers, NULL);
  return &whitening->teachers[teacher].info;
}

guint
seed_whitening_width (const SeedWhitening *whitening, guint teacher)
{
  g_return_val_if_fail (teacher < whitening->n_teachers, 0);
  return whitening->teachers[teacher].width;
}

guint64
seed_whitening_n_samples (const SeedWhitening *whitening)
{
  return whitening->n_samples;
}

double
seed_whitening_floor (const SeedWhitening *whitening)
{
  return whitening->floor;
}

const char *
seed_whitening_digest (const SeedWhitening *whitening)
{
  return whitening->digest;
}

static double
sum_of_squares (const float *row, guint n)
{
  double sum = 0;

  for (guint i = 0; i < n; i++)
    sum += (double) row[i] * row[i];
  return sum;
}

gboolean
seed_whitening_row_norm (const SeedWhiteningTeacher *teacher, const float *row, guint index,
    double *norm, GError **error)
{
  double squares = sum_of_squares (row, teacher->dim);

  if (isfinite (squares) && squares > 0) {
    *norm = sqrt (squares);
    return TRUE;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
      "teacher \"%s\": summary in row %u of the batch is %s", teacher->name, index,
      squares == 0 ? "all zeros, which has no direction" : "not finite (NaN or infinity)");
  return FALSE;
}

gboolean
seed_whitening_project (const SeedWhitening *whitening, guint teacher, const float *x, guint n,
    float *scratch, float *y, GError **error)
{
  const WhitenedTeacher *w;
  guint d, k;

  g_return_val_if_fail (teacher < whitening->n_teachers, FALSE);
  w = &whitening->teachers[teacher];
  d = w->info.dim;
  k = w->width;

  for (guint r = 0; r < n; r++) {
    const float *row = x + (gsize) r * d;
    float *centred = scratch + (gsize) r * d;
    double norm;

    if (!seed_whitening_row_norm (&w->info, row, r, &norm, error))
      return FALSE;
    for (guint i = 0; i < d; i++)
      centred[i] = (float) (row[i] / norm) - w->mean[i];
  }
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (int) n, (int) k, (int) d, 1.0f, scratch,
      (int) d, w->projection, (int) d, 0.0f, y, (int) k);
  return TRUE;
}

gboolean
seed_whitening_apply (const SeedWhitening *whitening, guint teacher, const float *x, guint n,
    float *scratch, float *y, GError **error)
{
  guint k;

  if (!seed_whitening_project (whitening, teacher, x, n, scratch, y, error))
    return FALSE;

  k = whitening->teachers[teacher].width;
  for (guint r = 0; r < n; r++) {
    float *row = y + (gsize) r * k;
    double norm = sqrt (sum_of_squares (row, k));

    if (!isfinite (norm) || norm == 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "teacher \"%s\": summary in row %u of the batch has no direction once whitened (norm "
          "%g); "
          "calibrate on more, and more varied, frames",
          whitening->teachers[teacher].info.name, r, norm);
      return FALSE;
    }
    for (guint i = 0; i < k; i++)
      row[i] = (float) (row[i] / norm);
  }
  return TRUE;
}

void
seed_whitening_align (
    const SeedWhitening *whitening, guint teacher, const float *y, guint n, float *aligned)
{
  const WhitenedTeacher *w;
  int k, first;

  g_return_if_fail (teacher < whitening->n_teachers);
  w = &whitening->teachers[teacher];
  k = (int) w->width;
  first = (int) whitening->teachers[0].width;
  if (teacher == 0) {
    memcpy (aligned, y, (gsize) n * w->width * sizeof (float));
    return;
  }
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) n, first, k, 1.0f, y, k,
      w->alignment, first, 0.0f, aligned, first);
}

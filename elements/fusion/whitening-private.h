/* SPDX-License-Identifier: MIT */
#pragma once

#include "fusion/whitening.h"

typedef struct {
  SeedWhiteningTeacher info; /* owns its strings */
  guint width;               /* k */
  float *mean;               /* [D] */
  float *eigenvalues;        /* [k], descending */
  float *projection;         /* [k, D] */
  float *alignment;          /* [k, k of the first]; NULL for the first */
} WhitenedTeacher;

struct _SeedWhitening {
  gatomicrefcount ref_count;
  guint n_teachers;
  guint64 n_samples;
  double floor;
  char *digest;
  WhitenedTeacher teachers[];
};

/* Teachers are copied, numbers are to be filled in; then seed_whitening_seal. */
SeedWhitening *
seed_whitening_alloc (const SeedWhiteningTeacher *teachers, guint n_teachers, guint64 n_samples);
/* Allocates the arrays of @teacher, but for its alignment. */
void seed_whitening_set_width (SeedWhitening *whitening, guint teacher, guint width);
void seed_whitening_seal (SeedWhitening *whitening);

/* FALSE and SEED_ERROR_LIMIT/INVALID when no whitening of these teachers can be. */
gboolean seed_whitening_check_teachers (
    const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error);

/* |row|^2 in double; FALSE and SEED_ERROR_NUMERIC unless it is finite and positive. */
gboolean seed_whitening_row_norm (const SeedWhiteningTeacher *teacher, const float *row,
    guint index, double *norm, GError **error);

/* One BLAS call is one thread's work: parallelism is the pool's, and bits must not depend on it. */
void seed_whitening_serial_blas (void);

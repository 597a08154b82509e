/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * PHI-S (Ranzinger et al. 2024, arXiv 2410.01680): brings the features of teachers to one scale, so
 * that none of them, and no channel of one, drowns the others' losses.
 *
 *   y' = H U^T (y - mu) / phi,   phi^2 = the mean eigenvalue of the covariance
 *
 * U are its eigenvectors, H a Hadamard matrix over sqrt (C): every channel of y' has variance 1. A
 * rotation and one scale: no direction is blown up, and the original comes back exactly. Where no
 * Hadamard matrix of order C is built (hadamard.h) the rotation is the identity: y' = (y - mu) /
 * phi.
 */
typedef struct {
  guint dim;
  guint64 n_samples; /* rows it was fitted on */
  float *weight;     /* [C, C]: H U^T / phi */
  float *bias;       /* [C]: - weight mu */
} SeedStandardise;

#define SEED_STANDARDISE_MAX_DIM 4096u

void seed_standardise_free (SeedStandardise *standardise);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStandardise, seed_standardise_free)
/* Zeros, to be filled in. */
SeedStandardise *seed_standardise_alloc (guint dim);

/* @x, @y: [n, C], not the same. A region: not to be called from a task. */
void seed_standardise_apply (const SeedStandardise *standardise, const float *x, gsize n, float *y);

/* Accumulates mean and covariance in double. Belongs to one thread at a time. */
typedef struct _SeedStandardiseFit SeedStandardiseFit;

/* @name stands in errors. SEED_ERROR_LIMIT beyond SEED_STANDARDISE_MAX_DIM. */
SeedStandardiseFit *seed_standardise_fit_new (const char *name, guint dim, GError **error);
void seed_standardise_fit_free (SeedStandardiseFit *fit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStandardiseFit, seed_standardise_fit_free)
/* @x: [n, C], rows @stride apart. SEED_ERROR_NUMERIC, and nothing is taken, when one is not finite.
 */
gboolean seed_standardise_fit_add (
    SeedStandardiseFit *fit, const float *x, gsize stride, gsize n, GError **error);
guint64 seed_standardise_fit_n_samples (const SeedStandardiseFit *fit);
/* SEED_ERROR_NUMERIC when the features do not vary or LAPACK does not converge. */
SeedStandardise *seed_standardise_fit_finish (const SeedStandardiseFit *fit, GError **error);

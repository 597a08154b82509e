/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Whitening of teachers' summaries (after Whiten-MTD, arXiv 2312.09716; METHOD.md section 2):
 *
 *     x^ = x / |x|,   y = L^(-1/2) U^T (x^ - mu),   y^ = y / |y|
 *
 * mu and the covariance of x^ are accumulated in double over calibration samples; U holds the k
 * leading eigenvectors, L their eigenvalues, none taken smaller than a floor, 1e-5 of the largest;
 * k = min(512, D, usable rank). An eigenvector's sign is such that its entry of largest magnitude
 * is positive (the first of equals), so that one set of samples gives one result.
 *
 * Alignment (orthogonal Procrustes, Schoenemann 1966): with X and Y the unnormalised whitened
 * samples of a teacher and of the first teacher, R = P Q^T from the SVD P S Q^T of X^T Y; y R lies
 * in the first teacher's whitened space. Semi-orthogonal where the widths differ.
 */

#define SEED_WHITENING_MAX_TEACHERS 16u
#define SEED_WHITENING_MAX_DIM 4096u  /* D: width of a summary */
#define SEED_WHITENING_MAX_WIDTH 512u /* k */
/* Below this there is no covariance. n samples span n - 1 directions, so k is n - 1 at most: it
 * works, but whatever differs along other directions looks the same. Calibrate on several times D.
 */
#define SEED_WHITENING_MIN_SAMPLES 2u
#define SEED_WHITENING_EIGENVALUE_FLOOR 1e-5

/* @name: for messages; @space: the embedding space the summaries live in; @dim: D. */
typedef struct {
  const char *name, *space;
  guint dim;
} SeedWhiteningTeacher;

/* Frozen. Immutable and reference-counted: any number of threads may use it. */
typedef struct _SeedWhitening SeedWhitening;

SeedWhitening *seed_whitening_ref (SeedWhitening *whitening);
void seed_whitening_unref (SeedWhitening *whitening);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedWhitening, seed_whitening_unref)

guint seed_whitening_n_teachers (const SeedWhitening *whitening);
/* Strings live as long as @whitening. */
const SeedWhiteningTeacher *seed_whitening_teacher (const SeedWhitening *whitening, guint teacher);
/* k of @teacher. */
guint seed_whitening_width (const SeedWhitening *whitening, guint teacher);
/* Samples (frames times views) it was fitted on. */
guint64 seed_whitening_n_samples (const SeedWhitening *whitening);
/* The floor of its eigenvalues, as a share of the largest. */
double seed_whitening_floor (const SeedWhitening *whitening);
/* SHA-256 of all numbers in it, hex: names the whitened spaces. The same after save and load. */
const char *seed_whitening_digest (const SeedWhitening *whitening);

/*
 * @x: float32 [n, D] summaries; @scratch: n * D floats; @y: float32 [n, k] out.
 * SEED_ERROR_NUMERIC naming teacher and row when a summary is zero or not finite.
 */
gboolean seed_whitening_project (const SeedWhitening *whitening, guint teacher, const float *x,
    guint n, float *scratch, float *y, GError **error);
/* The same, then every row of @y over its norm; SEED_ERROR_NUMERIC also when that is zero. */
gboolean seed_whitening_apply (const SeedWhitening *whitening, guint teacher, const float *x,
    guint n, float *scratch, float *y, GError **error);
/* @aligned [n, k of the first teacher] = @y [n, k of @teacher] R. A copy for the first teacher. */
void seed_whitening_align (
    const SeedWhitening *whitening, guint teacher, const float *y, guint n, float *aligned);

/* Accumulates samples. Belongs to one thread at a time. */
typedef struct _SeedWhiteningFit SeedWhiteningFit;

/* SEED_ERROR_LIMIT for too many teachers or too wide a summary. */
SeedWhiteningFit *
seed_whitening_fit_new (const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error);
/* Another floor than SEED_WHITENING_EIGENVALUE_FLOOR, above 0 to 1: what is below it is noise. */
void seed_whitening_fit_set_floor (SeedWhiteningFit *fit, double floor);
void seed_whitening_fit_free (SeedWhiteningFit *fit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedWhiteningFit, seed_whitening_fit_free)

/*
 * @summaries: per teacher float32 [n, D]; row r of each is of the same image. All of it is taken
 * or, on SEED_ERROR_NUMERIC naming teacher and row, nothing.
 */
gboolean seed_whitening_fit_add (
    SeedWhiteningFit *fit, const float *const *summaries, guint n, GError **error);
guint64 seed_whitening_fit_n_samples (const SeedWhiteningFit *fit);

/*
 * Decomposes what was accumulated; @fit can go on. SEED_ERROR_INVALID with fewer than
 * SEED_WHITENING_MIN_SAMPLES, SEED_ERROR_NUMERIC naming the teacher when its summaries do not vary
 * or LAPACK does not converge.
 */
SeedWhitening *seed_whitening_fit_finish (const SeedWhiteningFit *fit, GError **error);

/*
 * One safetensors file for all teachers, replaced atomically. Metadata: format "seed-whitening",
 * version "1", samples, floor (1e-5 when missing), teachers (their count), teacher.T.name,
 * teacher.T.space. Tensors, float32: teacher.T.mean [D], teacher.T.eigenvalues [k] (as fitted,
 * before the floor), teacher.T.projection [k, D] (L^(-1/2) U^T) and, of all but the first,
 * teacher.T.alignment [k, k of the first].
 */
gboolean seed_whitening_save (const SeedWhitening *whitening, const char *path, GError **error);

/*
 * The whitening saved in @path for these teachers, in this order: spaces and dims must be the same
 * (SEED_ERROR_MISMATCH), names are taken from @teachers. Every other error names the file and the
 * tensor or key to blame.
 */
SeedWhitening *seed_whitening_load (
    const char *path, const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error);

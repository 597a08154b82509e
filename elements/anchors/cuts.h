/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Hard cuts in a stream of frames, from a signature of each: a histogram (of anchors, of colours),
 * an embedding, or both. The distance of two frames is the mean of
 *   histograms  sqrt (1 - sum_k sqrt (p_k q_k))       (Hellinger)     0..1
 *   embeddings  1 - cos, not above 1
 * over what there is; d_t is that of frames t-1 and t. Frame t begins a shot when
 *   1. d_t is at least `floor`, and at least `deviations` robust deviations (1.4826 MAD) above the
 *      median of the distances before it: what moves much must jump more;
 *   2. d_t is `peak` times every distance of the `lookahead` frames before and after: a dissolve, a
 *      wipe or a fade is many equal steps, a cut is one;
 *   3. no frame from t to t + lookahead comes back to one of t - 1 - lookahead to t - 1, that is,
 *      none is nearer than `back` d_t: a flash, or a bird before the lens, ends where it began;
 *   4. the last cut is `min_shot` frames away, and since then the distance has been below
 *      `hysteresis` times the threshold once.
 * A cut is known `lookahead` frames after it has come. A stream's first frame is no cut.
 */
#define SEED_CUTS_MAX_LOOKAHEAD 16
#define SEED_CUTS_MAX_HISTORY 1024

typedef struct {
  guint histogram_size; /* bins, or 0 */
  guint embedding_size; /* numbers, or 0 */
  guint lookahead;      /* frames, 0..SEED_CUTS_MAX_LOOKAHEAD; 3 */
  guint history;        /* frames whose distances make the threshold; 48 */
  double floor;         /* 0..1; 0.25 */
  double deviations;    /* 5 */
  double peak;          /* 2 */
  double back;          /* 0.5 */
  double hysteresis;    /* 0.6 */
  guint min_shot;       /* frames; 6 */
} SeedCutsConfig;

/* For signatures of these sizes, not both 0. */
void seed_cuts_config_init (SeedCutsConfig *config, guint histogram_size, guint embedding_size);

typedef struct {
  guint64 frame;    /* the shot's first, counted from the first frame pushed, which is 0 */
  double distance;  /* d_t */
  double threshold; /* that it was held against */
} SeedCut;

typedef struct _SeedCuts SeedCuts;

/* SEED_ERROR_INVALID naming what is out of range. */
SeedCuts *seed_cuts_new (const SeedCutsConfig *config, GError **error);
void seed_cuts_free (SeedCuts *cuts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedCuts, seed_cuts_free)
/* As new: for another stream, or after a gap. */
void seed_cuts_reset (SeedCuts *cuts);

/*
 * The next frame: @histogram, not negative, sums to 1; @embedding of any length; NULL for what the
 * configuration has 0 of. TRUE, with *@cut filled, when frame (this one - lookahead) is found to
 * begin a shot. A signature that is not finite counts as the one before it. Allocates nothing.
 */
gboolean
seed_cuts_push (SeedCuts *cuts, const float *histogram, const float *embedding, SeedCut *cut);

/* At the end of a stream, until it gives FALSE: cuts among the last `lookahead` frames. */
gboolean seed_cuts_flush (SeedCuts *cuts, SeedCut *cut);

/* d of the last two frames pushed; 0 after the first. */
double seed_cuts_get_distance (const SeedCuts *cuts);

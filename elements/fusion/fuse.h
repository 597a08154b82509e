/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Fusion of whitened summaries (METHOD.md section 3): strategies as a table, and what they compute.
 * Pure functions, any thread.
 */

#define SEED_FUSION_MAX_TEACHERS 16u

typedef enum {
  SEED_FUSION_OP_MAX,
  SEED_FUSION_OP_MIN,
  SEED_FUSION_OP_MEAN,
  SEED_FUSION_OP_MEDIAN, /* of an even count: the mean of the two in the middle */
  SEED_FUSION_OP_PICK,   /* one teacher's value: see seed_fusion_pick */
  SEED_FUSION_N_OPS,
} SeedFusionOp;

typedef enum {
  SEED_FUSION_AFFINITY, /* similarities are fused: [b, b] */
  SEED_FUSION_CONCAT,   /* features side by side: [n, sum of widths] */
  SEED_FUSION_ALIGNED,  /* features elementwise in the first teacher's space: [n, its width] */
} SeedFusionOutput;

typedef enum {
  SEED_FUSION_PICK_NONE,
  SEED_FUSION_PICK_RANDOM, /* drawn for every pair */
  SEED_FUSION_PICK_NAMED,  /* "single:NAME" */
} SeedFusionPick;

/* @diagonal, @off_diagonal: of an aligned features strategy both are the elementwise operation. */
typedef struct {
  const char *name;
  SeedFusionOutput output;
  SeedFusionOp diagonal, off_diagonal;
  SeedFusionPick pick;
} SeedFusionStrategy;

/*
 * The strategy @text names; @teacher_name (may be NULL) gets NAME of "single:NAME", pointing into
 * @text, or NULL. NULL and SEED_ERROR_INVALID listing the valid names otherwise.
 */
const SeedFusionStrategy *
seed_fusion_strategy_parse (const char *text, const char **teacher_name, GError **error);
/* "max-min, mean, ..., single:NAME, ...": for messages. Caller frees. */
char *seed_fusion_strategy_names (void);

/* What fusion must know of an item of the batch. @stream: not NULL; items with time -1 have none.
 */
typedef struct {
  const char *stream;
  guint64 frame;
  gint64 time_ns; /* within the stream; two items are compared only when both have one */
} SeedFusionItem;

typedef struct {
  const SeedFusionStrategy *strategy;
  guint single;               /* the teacher of "single:NAME" */
  guint64 seed;               /* of "random" */
  gint64 duplicate_window_ns; /* 0: no two items are too close in time */
  double duplicate_cosine;    /* 1 or more: no two items are too alike */
} SeedFusionParams;

/*
 * Who won how often: the teacher whose value was taken, or of a mean, which takes nobody's, the
 * largest on the diagonal and the smallest off it. Ties go to the first. Masked pairs have no
 * winner.
 */
typedef struct {
  guint64 diagonal[SEED_FUSION_MAX_TEACHERS];
  guint64 off_diagonal[SEED_FUSION_MAX_TEACHERS];
  guint64 n_diagonal, n_off_diagonal; /* pairs, the masked ones among them */
  guint64 masked;
} SeedFusionTally;

void seed_fusion_tally_add (SeedFusionTally *to, const SeedFusionTally *from);

/* Shares of wins, 0..1, each [n_teachers] and 0 where there was no pair; share of masked pairs
 * among those off the diagonal. */
void seed_fusion_tally_shares (const SeedFusionTally *tally, guint n_teachers, double *diagonal,
    double *off_diagonal, double *masked);

/* @y: float32 [b, 2, width]; @s: [b, b], s_ij = y_i,0 . y_j,1. */
void seed_fusion_similarity (const float *y, guint b, guint width, float *s);

/* The teacher that "random" draws for a pair: a pure function of its arguments, uniform. */
guint seed_fusion_draw (
    guint64 seed, const SeedFusionItem *row, const SeedFusionItem *column, guint n_teachers);

/*
 * @s: per teacher [b, b] similarities; @items: [b]; @f: [b, b] out, -INFINITY where masked.
 * An off-diagonal pair is masked when both items are of one stream and less than
 * duplicate_window_ns apart, or when the teachers' mean similarity is above duplicate_cosine.
 * @tally: added to.
 */
void seed_fuse_affinity (const SeedFusionParams *params, const float *const *s, guint n_teachers,
    const SeedFusionItem *items, guint b, float *f, SeedFusionTally *tally);

/*
 * @y: per teacher float32 [n, widths[t]], unit rows (aligned strategies: aligned with the first,
 * every width the same); @out: [n, width of the result], unit rows. SEED_ERROR_NUMERIC naming the
 * row when the teachers cancel out to zero.
 */
gboolean seed_fuse_features (const SeedFusionStrategy *strategy, const float *const *y,
    const guint *widths, guint n_teachers, guint n, float *out, GError **error);
/* Width of the result. */
guint seed_fuse_features_width (
    const SeedFusionStrategy *strategy, const guint *widths, guint n_teachers);

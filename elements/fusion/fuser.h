/* SPDX-License-Identifier: MIT */
#pragma once

#include "fusion/fuse.h"
#include "fusion/whitening.h"

/*
 * What a fusion does with one batch after another: while its whitening is not there it calibrates,
 * then it fuses. Belongs to one thread at a time. Allocates when a batch is larger than any before.
 */
typedef struct _SeedFuser SeedFuser;

typedef struct {
  const char *strategy;       /* a name of seed_fusion_strategy_names */
  guint calibration;          /* frames, SEED_WHITENING_MIN_SAMPLES or more */
  double eigenvalue_floor;    /* of the whitening; 0: the usual one */
  const char *whitening;      /* file, or NULL: loaded when it exists, else written once fitted */
  gint64 duplicate_window_ns; /* see SeedFusionParams */
  double duplicate_cosine;
  guint64 seed;
} SeedFuserOptions;

/*
 * @views: of every item; 2 for affinity. Errors: the strategy, its teacher, views, limits, a
 * whitening file that cannot be read, is of other teachers, or can never be written.
 */
SeedFuser *seed_fuser_new (const SeedFuserOptions *options, const SeedWhiteningTeacher *teachers,
    guint n_teachers, guint views, GError **error);
void seed_fuser_free (SeedFuser *fuser);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedFuser, seed_fuser_free)

/* NULL until it is fitted or loaded. */
SeedWhitening *seed_fuser_get_whitening (SeedFuser *fuser);
/* Frames fitted on so far, never more than options.calibration; 0 when loaded from a file. */
guint seed_fuser_n_calibrated (const SeedFuser *fuser);
SeedFusionOutput seed_fuser_output (const SeedFuser *fuser);
/* Width of features: exact once there is a whitening, before that the most it can be. */
guint seed_fuser_width (const SeedFuser *fuser);

/*
 * @summaries: per teacher float32 [b, views, D]. Takes as many of the first frames as are still
 * missing; with the last of them the whitening is fitted, frozen and saved.
 */
gboolean
seed_fuser_calibrate (SeedFuser *fuser, const float *const *summaries, guint b, GError **error);

/*
 * With a whitening only. @out: [b, b] (affinity) or [b, views, width] (features). @tally is added
 * to by affinity strategies.
 */
gboolean seed_fuser_run (SeedFuser *fuser, const float *const *summaries,
    const SeedFusionItem *items, guint b, float *out, SeedFusionTally *tally, GError **error);

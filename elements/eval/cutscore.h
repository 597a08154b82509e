/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * How well cuts were found: true and found cuts of a clip are matched one to one, each with the
 * nearest that is at most @tolerance frames away, in the order of the frames. Sums over clips give
 * precision, recall and F1 over all cuts.
 */
typedef struct {
  guint matched;  /* true cuts that were found */
  guint missed;   /* true cuts that were not */
  guint spurious; /* found where there is none; not counted of a clip whose list is partial */
} SeedCutScore;

/* Adds one clip's. Both lists ascend. @partial: the true list has the sure cuts only. */
void seed_cut_score_add (SeedCutScore *score, const guint64 *truth, guint n_truth,
    const guint64 *found, guint n_found, guint tolerance, gboolean partial);

/* 0..1, or NaN when there is nothing to divide by. */
double seed_cut_score_precision (const SeedCutScore *score);
double seed_cut_score_recall (const SeedCutScore *score);
double seed_cut_score_f1 (const SeedCutScore *score);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Near-duplicates of recent frames: a bounded memory of distinct ones. Works with any vector whose
 * cosine means likeness: an embedding, or the root of a histogram (seed_histogram_root).
 */
typedef struct _SeedDuplicates SeedDuplicates;

#define SEED_DUPLICATES_COSINE 0.94

/* Remembers up to @capacity frames; frames are duplicates when their cosine is above @cosine. */
SeedDuplicates *seed_duplicates_new (guint dim, guint capacity, double cosine);
void seed_duplicates_free (SeedDuplicates *duplicates);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedDuplicates, seed_duplicates_free)
void seed_duplicates_clear (SeedDuplicates *duplicates);
guint seed_duplicates_count (const SeedDuplicates *duplicates); /* frames remembered */

/*
 * TRUE when frame @id, @vector [dim] of any length, is a near-duplicate of a remembered one: the
 * nearest goes to *@of and its cosine to *@cosine (either may be NULL). Otherwise the frame is
 * remembered and the oldest is forgotten when there is no more room. A vector that is zero or not
 * finite is nobody's duplicate and not remembered. Allocates nothing.
 */
gboolean seed_duplicates_push (
    SeedDuplicates *duplicates, const float *vector, guint64 id, guint64 *of, double *cosine);

/* @root [n] = sqrt of each bin: a unit vector for a histogram that sums to 1, and the product of
 * two is their Bhattacharyya coefficient. May be in place. */
void seed_histogram_root (const float *histogram, guint n, float *root);

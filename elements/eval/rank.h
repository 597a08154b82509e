/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * Rankings by cosine, the ground of every measure of a representation. Pure functions of their
 * input: the same numbers for any count of threads. Work is spread over seed_pool, so nothing here
 * may be called from a pool's task.
 */

/* Vectors of @n things, with the class of each where there are classes. Borrows everything. */
typedef struct {
  const float *rows;    /* [n, dim], unit length: see seed_eval_normalise */
  const gint32 *labels; /* [n], class index or -1; NULL: no classes */
  guint n, dim;
} SeedEvalSet;

/*
 * Makes @rows [n, dim] unit vectors in place. SEED_ERROR_NUMERIC naming the first row with a value
 * that is not finite, or that is zero, which has no direction; @rows are undefined then.
 */
gboolean seed_eval_normalise (float *rows, guint n, guint dim, GError **error);

/*
 * What every measure by class asks of a set: it is not empty, every item has a class, and there are
 * two classes at least. @what names the set in errors ("training set"). SEED_ERROR_INVALID.
 */
gboolean seed_eval_check_classes (const SeedEvalSet *set, const char *what, GError **error);
/* Highest label + 1; 0 when there are no labels. */
guint seed_eval_n_classes (const SeedEvalSet *set);

/* SEED_ERROR_MISMATCH when the two are not of one width. */
gboolean seed_eval_check_widths (const SeedEvalSet *a, const SeedEvalSet *b, GError **error);

/* Called for every row of the queries, from any thread, in any order: @cosines [gallery->n] may be
 * overwritten, @scratch has room for 2 gallery->n numbers. */
typedef void (*SeedEvalRowFunc) (guint query, float *cosines, guint64 *scratch, gpointer data);

/* SEED_ERROR_MISMATCH when the two sets are not of one width; else TRUE after the last row. */
gboolean seed_eval_rank (const SeedEvalSet *queries, const SeedEvalSet *gallery,
    SeedEvalRowFunc func, gpointer data, GError **error);

/*
 * Orders items by falling cosine. Equal cosines count against the measure: what is not @relevant
 * comes first (a representation that gives everything the same vector earns nothing), then by
 * index. @relevant: [n] 0 or 1, or NULL. @skip: an item to leave out, or -1. Returns the count of
 * items ordered; their keys are in @scratch (of 2 n), best first: see the two functions below.
 */
guint seed_eval_order (
    const float *cosines, guint n, const guint8 *relevant, gint64 skip, guint64 *scratch);
static inline guint
seed_eval_order_item (guint64 key)
{
  return (guint) (key & 0x7fffffff);
}

static inline gboolean
seed_eval_order_is_relevant (guint64 key)
{
  return (key >> 31 & 1) != 0;
}

/* sum over relevant items of (relevant among the first r) / r, by their count; 0 when none is. */
double seed_eval_average_precision (const guint64 *order, guint n);
/* Place of the first relevant item, from 1; 0 when none is. */
guint seed_eval_first_relevant (const guint64 *order, guint n);

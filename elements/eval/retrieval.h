/* SPDX-License-Identifier: MIT */
#pragma once

#include "eval/rank.h"

/*
 * Retrieval by cosine. Recall@k is the share of queries with a right answer among the first k;
 * average precision is the mean, over the right answers, of the precision at their place; mAP its
 * mean over queries. Ties count against the representation (rank.h).
 */
#define SEED_RETRIEVAL_N_RECALLS 3u
extern const guint seed_retrieval_recalls[SEED_RETRIEVAL_N_RECALLS]; /* 1, 5, 10 */

typedef struct {
  guint n_queries; /* with a right answer in the gallery */
  guint n_without; /* queries left out since there is none */
  double map;
  double recall[SEED_RETRIEVAL_N_RECALLS];
} SeedRetrievalResult;

/*
 * An answer is right when it has the query's class. @queries NULL: every item of @gallery asks for
 * the others. Errors as seed_eval_knn; SEED_ERROR_INVALID too when no query has an answer.
 */
gboolean seed_eval_retrieval (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    SeedRetrievalResult *result, GError **error);

/*
 * @owners [queries->n]: the one right answer of each query, an index of @gallery. From texts to
 * images, from a crop to its photograph. SEED_ERROR_INVALID for an empty set or an owner that is
 * not there.
 */
gboolean seed_eval_retrieval_owned (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    const guint *owners, SeedRetrievalResult *result, GError **error);

/*
 * @owners [gallery->n]: the query that each of the gallery answers. From images to texts: any of an
 * image's captions is right.
 */
gboolean seed_eval_retrieval_owners (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    const guint *owners, SeedRetrievalResult *result, GError **error);

/*
 * Every pair of query and gallery item in one order: the average precision of the true pairs
 * (micro-AP, as copy detection is judged: Douze et al. 2021, arXiv 2106.09672). A representation
 * must not only rank well but be as sure of every pair. *@n_pairs (may be NULL): all pairs ranked.
 * SEED_ERROR_LIMIT above 2^31 pairs.
 */
gboolean seed_eval_micro_ap (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    const guint *owners, double *ap, guint64 *n_pairs, GError **error);

/* SPDX-License-Identifier: MIT */
#pragma once

#include "eval/rank.h"

/*
 * Classification by the k nearest neighbours under the cosine, votes weighted by exp (cos / T), as
 * it is usual for self-supervised models (Wu et al. 2018, arXiv 1805.01978: k = 20 or 200,
 * T = 0.07). Classes with equal votes are taken in the order of their index; of equally near
 * neighbours the first of the set.
 */
#define SEED_KNN_MAX_K 1000u

typedef struct {
  guint k;            /* 1..SEED_KNN_MAX_K; 20 */
  double temperature; /* above 0; 0.07 */
} SeedKnnConfig;

#define SEED_KNN_CONFIG_DEFAULT                                                                    \
  {                                                                                                \
    20, 0.07                                                                                       \
  }

typedef struct {
  guint k;           /* that was used: there may be fewer neighbours */
  guint n_queries;   /* items classified */
  double top1, top5; /* share of them whose class has the most votes, or is among the first 5 */
} SeedKnnResult;

/*
 * Classifies @test by @train; with @test NULL every item of @train by all others. Labels are class
 * indices common to both. SEED_ERROR_INVALID for an empty set, a missing label, one class, or a
 * configuration out of range; SEED_ERROR_MISMATCH for different widths.
 */
gboolean seed_eval_knn (const SeedEvalSet *train, const SeedEvalSet *test,
    const SeedKnnConfig *config, SeedKnnResult *result, GError **error);

/* SPDX-License-Identifier: MIT */
#pragma once

#include "eval/rank.h"

/*
 * A linear probe: multinomial logistic regression on frozen features.
 *
 *   mean over items of -log softmax (W x + b)[class] + lambda / 2 |W|^2
 *
 * x: features standardised by the mean and the deviation of each number over the training set.
 * Minimised by L-BFGS in double until no partial derivative is above the tolerance. lambda is the
 * one that classifies a held-out part of the training set best (of equals the largest), then all of
 * the training set is fitted anew. The same seed gives the same numbers.
 */
#define SEED_LINEAR_MAX_LAMBDAS 16u
#define SEED_LINEAR_MAX_ITERATIONS 100000u

typedef struct {
  guint64 seed;                            /* of the held-out part; 0 */
  double holdout;                          /* its share of every class, 0.05..0.5; 0.2 */
  guint n_lambdas;                         /* 1 fits without a sweep */
  double lambdas[SEED_LINEAR_MAX_LAMBDAS]; /* 0 or above */
  guint max_iterations;                    /* of one fit; 2000 */
  double tolerance;                        /* 1e-5 */
} SeedLinearConfig;

/* 1, 0.1, ... 1e-5, and the above. */
void seed_linear_config_init (SeedLinearConfig *config);

typedef struct {
  guint n_train, n_test;
  guint n_holdout;         /* of n_train */
  double top1, top5, loss; /* on the test set; loss without the penalty, in nats */
  double train_top1;
  double lambda;       /* that was chosen */
  double holdout_top1; /* of it; NaN without a sweep */
  guint iterations;    /* of the last fit */
  double gradient;     /* largest partial derivative at its end */
  gboolean converged;  /* the last fit is at its minimum */
} SeedLinearResult;

/* Neither set need be of unit length. Errors as seed_eval_knn. */
gboolean seed_eval_linear (const SeedEvalSet *train, const SeedEvalSet *test,
    const SeedLinearConfig *config, SeedLinearResult *result, GError **error);

/*
 * Cuts @set in two by classes: of each, the share @holdout (one at least when it has two items,
 * never all) is drawn with @seed. @held [n]: 1 for what is in the second part. Returns its size.
 */
guint seed_eval_split (const SeedEvalSet *set, double holdout, guint64 seed, guint8 *held);

/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/real.h"
#include <glib.h>

/*
 * Cross-entropy with smoothed labels (Szegedy et al. 2016, arXiv 1512.00567): the target of class c
 * is (1 - smoothing) for c and smoothing / C for every class. Of a mixed image (mixup, Zhang et al.
 * 2018, arXiv 1710.09412) it is share times that of its label and 1 - share times that of the
 * other's.
 */
typedef struct {
  guint n_items, views, n_classes;
  const gint32 *labels; /* [n_items], -1: unlabelled, takes no part */
  const gint32 *others; /* [n_items] of what each was mixed with, or NULL: nothing was */
  double share;         /* of the own label */
  double smoothing;
} SeedClassTargets;

typedef struct {
  double loss;     /* mean over the views of labelled items */
  guint n_items;   /* labelled */
  guint n_correct; /* views whose own label scores highest */
} SeedClassResult;

/* @logits: [n_items, views, n_classes]; @d_logits: the same, written, or NULL. Single-threaded. */
SeedClassResult
seed_classify_loss (const SeedClassTargets *targets, const real *logits, real *d_logits);

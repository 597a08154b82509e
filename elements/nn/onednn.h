/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"

/*
 * Single-threaded matrix products by oneDNN, for tasks: a primitive for every shape and form that
 * occurs, made when it first does and kept by the thread.
 */
typedef enum {
  SEED_ONEDNN_F32,
  SEED_ONEDNN_BF16,
  SEED_ONEDNN_U8,
  SEED_ONEDNN_S8,
  SEED_ONEDNN_S32,
} SeedOnednnType;

/* Weights in the order that oneDNN likes, with the descriptor it gave them. */
typedef struct _SeedOnednnWeights SeedOnednnWeights;

/* Zeroed before it is filled: it is compared byte by byte. */
typedef struct {
  gint64 m, n, k;
  SeedOnednnType x_type, w_type, y_type;
  gint64 x_strides[2]; /* of x [m, k] */
  gint64 is_packed;    /* w is SeedOnednnWeights of these types; else: */
  gint64 w_strides[2]; /* of w [k, n]; 0: as oneDNN likes it */
  gint64 y_stride;
  gint64 has_bias, activation; /* SeedActivation + 1, or 0 */
  gint64 residual_stride;      /* 0: none; -1: what is in y already */
} SeedOnednnProduct;

/* y = f (x w + bias) + residual. @w: SeedOnednnWeights or a matrix, as the product says. */
void seed_onednn_run (const SeedOnednnProduct *product, const void *x, const void *w,
    const float *bias, const float *residual, void *y);

/* Whether such a product can be made here. */
gboolean seed_onednn_can (const SeedOnednnProduct *product);

/*
 * @weight [out, in] of @type as it lies in memory; products will have x of @x_type, y of @y_type.
 * Two of the same shape and types are in the same order. NULL when oneDNN or memory fails.
 */
SeedOnednnWeights *seed_onednn_weights_new (guint out, guint in, const void *weight,
    SeedOnednnType type, SeedOnednnType x_type, SeedOnednnType y_type);
void seed_onednn_weights_free (SeedOnednnWeights *weights);
gsize seed_onednn_weights_bytes (const SeedOnednnWeights *weights);

/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/bf16.h"
#include "nn/vit.h"

/*
 * Who multiplies matrices. A backend keeps the weights of a linear layer in a form of its own
 * (another type, another order), and computes activations in `real` in and out, whatever it does in
 * between. Functions marked "region" spread their work over seed_pool and must not be called from a
 * task; "serial" ones are for tasks. All are thread-safe, allocate nothing, and give the same bits
 * for the same input, shapes and number of threads.
 */
typedef struct _SeedPackedLinear SeedPackedLinear;

/* What matrices are multiplied in; sums are always float32 (int32 for int8). */
typedef enum {
  SEED_PRECISION_FLOAT32,
  SEED_PRECISION_BFLOAT16,
  /* weights with a scale per output, activations with one per row, found as they come */
  SEED_PRECISION_INT8,
  SEED_N_PRECISIONS,
} SeedPrecision;

/* What a matrix of activations holds: `real`, or bfloat16 (SeedBf16). Strides count elements. */
typedef enum {
  SEED_ROWS_REAL,
  SEED_ROWS_BF16,
} SeedRowsType;

/*
 * What happens to a block of outputs while it is in cache, in this order; all of it optional.
 * y = residual + f (x W^T + bias). A scale per output (layer scale) belongs into W and bias.
 */
typedef struct {
  const real *bias; /* [out] */
  gboolean activate;
  SeedActivation activation;
  const real *residual; /* [m, out]; may be y itself when there is no activation */
  gsize residual_stride;
  SeedRowsType x_type, y_type; /* a residual goes with y of `real` */
} SeedEpilogue;

/*
 * One head over some of its queries (Vaswani et al. 2017, arXiv 1706.03762):
 * out = softmax (scale Q K^T) V, q and out [n_queries, dim], k and v [n_keys, dim], all of them of
 * @type. When @causal, query i sees keys 0..first_query + i.
 */
typedef struct {
  SeedRowsType type;
  guint n_queries, n_keys, dim;
  real scale;
  gboolean causal;
  guint first_query;
  const void *q, *k, *v;
  gsize stride; /* of q, k and v */
  void *out;
  gsize out_stride;
} SeedAttention;

/*
 * The way back through one head over all of its queries, which are as many as keys, not causal:
 * from @d_out [n, dim] to the gradients of q, k and v, of @of.type. out is not read.
 */
typedef struct {
  SeedAttention of;
  const real *d_out;
  gsize d_out_stride;
  void *d_q, *d_k, *d_v;
  gsize d_stride; /* of these three */
} SeedAttentionBackward;

/*
 * C [m, n] = alpha op(A) op(B) + beta C, row-major, op(A) is [m, k]. beta 0 does not read C. Types
 * other than `real` only where the backend's rows_type is another; a C of such goes with beta 0.
 */
typedef struct {
  gboolean transpose_a, transpose_b;
  guint m, n, k;
  real alpha;
  const void *a;
  gsize stride_a;
  const void *b;
  gsize stride_b;
  real beta;
  void *c;
  gsize stride_c;
  SeedRowsType a_type, b_type, c_type;
} SeedGemm;

/* Element @i of a matrix. */
static inline const void *
seed_rows_at (SeedRowsType type, const void *x, gsize i)
{
  return (const char *) x + i * (type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real));
}

typedef struct {
  const char *name;
  SeedPrecision precision;
  SeedRowsType rows_type; /* what it likes best between layers */
  gboolean borrows;       /* packed weights go on reading the ones they were made from */

  /* A handle for weights of this shape; empty until the first pack. */
  SeedPackedLinear *(*packed_new) (guint out, guint in);
  void (*packed_free) (SeedPackedLinear *packed);

  /*
   * (Re)packs @weight [out, in], which a backend that borrows needs as it is for as long as the
   * handle is used. Not while the handle is in use elsewhere.
   */
  void (*pack) (SeedPackedLinear *packed, const real *weight);

  /* Memory of the handle, without the weights it was packed from. */
  gsize (*packed_bytes) (const SeedPackedLinear *packed);

  /* region; @x [m, in] and @y [m, out] with strides, not overlapping */
  void (*linear) (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
      const SeedEpilogue *epilogue, void *y, gsize y_stride);

  /*
   * serial; the same for some of the rows, so that a task can take them through several layers
   * while they are in cache. NULL when the backend is faster over all rows at once.
   */
  void (*linear_rows) (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
      const SeedEpilogue *epilogue, void *y, gsize y_stride);

  /* serial; NULL: gemm_serial and a softmax between do it */
  void (*attention) (const SeedAttention *attention);
  void (*attention_backward) (const SeedAttentionBackward *attention);

  void (*gemm) (const SeedGemm *gemm);        /* region */
  void (*gemm_serial) (const SeedGemm *gemm); /* serial */
} SeedBackend;

/* float32 by OpenBLAS, the reference: always there. The first call tells it to keep to one thread.
 */
const SeedBackend *seed_backend_openblas (void);

/*
 * The backend of a name ("openblas", "native", "onednn") in one precision, or SEED_ERROR_INVALID,
 * SEED_ERROR_UNSUPPORTED (not built in, not in that precision, or not on this CPU) saying which
 * there are.
 */
const SeedBackend *seed_backend_find (const char *name, SeedPrecision precision, GError **error);

/*
 * @backend: a name as above; @precision: "float32", "bfloat16" or "int8"; each may be NULL or
 * "auto". By itself int8 is never chosen, and bfloat16 only for a @frozen model on a CPU that
 * multiplies it in hardware. @why: when not NULL, a sentence for the operator; free it.
 */
const SeedBackend *seed_backend_choose (
    const char *backend, const char *precision, gboolean frozen, char **why, GError **error);

/* "float32", "bfloat16", "int8" */
const char *seed_precision_name (SeedPrecision precision);
gboolean seed_precision_from_name (const char *name, SeedPrecision *precision, GError **error);

/* What training takes when nothing is said: the best in float32. */
const SeedBackend *seed_backend_get (void);

/*
 * Multiplies small matrices of several shapes and compares with plain loops, exactly (the values
 * are small integers). The result of the first call is kept. Some builds of OpenBLAS compute wrong
 * numbers on processors newer than they are: SEED_ERROR_UNSUPPORTED says how to get around it.
 */
gboolean seed_backend_self_test (GError **error);

/* The same for any gemm_serial; @name stands in the error. */
gboolean seed_backend_check_gemm (
    const char *name, void (*gemm_serial) (const SeedGemm *gemm), GError **error);

#ifndef SEED_REAL_DOUBLE
/* defined in backend-native.c and backend-onednn.c; NULL where the CPU does not multiply in it */
const SeedBackend *seed_backend_native (SeedPrecision precision);
const SeedBackend *seed_backend_onednn (SeedPrecision precision);
#endif

/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/vit.h"

/*
 * Who multiplies matrices. A backend keeps the weights of a linear layer in a form of its own
 * (another type, another order), and computes activations in `real` in and out, whatever it does in
 * between. Functions marked "region" spread their work over seed_pool and must not be called from a
 * task; "serial" ones are for tasks. All are thread-safe, allocate nothing, and give the same bits
 * for the same input, shapes and number of threads.
 */
typedef struct _SeedPackedLinear SeedPackedLinear;

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
} SeedEpilogue;

/* C [m, n] = alpha op(A) op(B) + beta C, row-major, op(A) is [m, k]. beta 0 does not read C. */
typedef struct {
  gboolean transpose_a, transpose_b;
  guint m, n, k;
  real alpha;
  const real *a;
  gsize stride_a;
  const real *b;
  gsize stride_b;
  real beta;
  real *c;
  gsize stride_c;
} SeedGemm;

typedef struct {
  const char *name;

  /* A handle for weights of this shape; empty until the first pack. */
  SeedPackedLinear *(*packed_new) (guint out, guint in);
  void (*packed_free) (SeedPackedLinear *packed);

  /*
   * (Re)packs @weight [out, in], which must stay as it is for as long as the handle is used: this
   * backend may have copied nothing. Not while the handle is in use elsewhere.
   */
  void (*pack) (SeedPackedLinear *packed, const real *weight);

  /* Memory of the handle, without the weights it was packed from. */
  gsize (*packed_bytes) (const SeedPackedLinear *packed);

  /* region; @x [m, in] and @y [m, out] with strides, not overlapping */
  void (*linear) (const SeedPackedLinear *packed, const real *x, gsize x_stride, guint m,
      const SeedEpilogue *epilogue, real *y, gsize y_stride);

  void (*gemm) (const SeedGemm *gemm);        /* region */
  void (*gemm_serial) (const SeedGemm *gemm); /* serial */
} SeedBackend;

/* The one in use. The first call sets it up: OpenBLAS is told to keep to one thread. */
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

/* defined in backend-openblas.c */
const SeedBackend *seed_backend_openblas (void);

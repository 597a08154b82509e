/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/*
 * The head that turns what a student has into what one teacher says (AM-RADIO, arXiv 2312.06709):
 *
 *   a = W_in x + b,  r = a + W_2 gelu (W_1 LN (a)),  y = W_out gelu (LN (r))
 *
 * Parameters "NAME.in", "NAME.norm1", "NAME.fc1", "NAME.fc2", "NAME.norm2", "NAME.out", each
 * ".weight" and ".bias".
 */
typedef struct _SeedAdaptor SeedAdaptor;

/* @in: width of x; @hidden: of a and r; @out: of y. */
void seed_adaptor_append_params (
    SeedParams *params, const char *name, guint in, guint hidden, guint out);

/* A workspace for up to @max_rows rows; the parameters are found by @name. */
SeedAdaptor *seed_adaptor_new (
    const SeedParams *params, const char *name, gsize max_rows, const SeedBackend *backend);
void seed_adaptor_free (SeedAdaptor *adaptor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedAdaptor, seed_adaptor_free)
gsize seed_adaptor_memory_bytes (const SeedAdaptor *adaptor);

/* @x [rows, in], which must stay until the way back. Returns y [rows, out], kept until the next. */
const real *
seed_adaptor_forward (SeedAdaptor *adaptor, const real *values, const real *x, guint rows);

/* dL/dy of the last forward. ADDS to @dx [rows, in] and to @grads. */
void seed_adaptor_backward (
    SeedAdaptor *adaptor, const real *values, const real *dy, real *dx, real *grads);

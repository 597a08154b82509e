/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The number type of everything that has a gradient. float in the product. The tests compile the
 * same sources a second time with SEED_REAL_DOUBLE to compare every gradient with central
 * differences where these have digits to spare. Use the macros for BLAS and libm.
 */
#include <cblas.h>
#include <math.h>

#ifdef SEED_REAL_DOUBLE
typedef double real;
#define real_gemm cblas_dgemm
#define real_exp exp
#define real_log log
#define real_sqrt sqrt
#define real_erf erf
#define real_tanh tanh
#define real_abs fabs
#else
typedef float real;
#define real_gemm cblas_sgemm
#define real_exp expf
#define real_log logf
#define real_sqrt sqrtf
#define real_erf erff
#define real_tanh tanhf
#define real_abs fabsf
#endif

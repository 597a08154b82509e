/* SPDX-License-Identifier: MIT */
/* For AVX2 with fused multiply-add (Intel since 2013, AMD since 2015). */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <glib.h>

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define KERNELS_NAME "avx2"
#define KERNELS_TABLE seed_kernels_avx2
#define VECTOR_SIZE 32
#include "nn/kernels-loops.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

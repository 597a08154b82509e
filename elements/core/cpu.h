/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Which variant of the kernel tables this process uses. A level includes those before it.
 */
typedef enum {
  SEED_CPU_C,      /* plain C for the compiler's baseline: SSE2 on x86-64, NEON on arm64 */
  SEED_CPU_AVX2,   /* AVX2 and FMA (Intel since 2013, AMD since 2015) */
  SEED_CPU_AVX512, /* AVX-512 F, BW, DQ, VL and VNNI (Intel since 2019, AMD since 2022) */
  SEED_CPU_AMX,    /* BF16 and AMX tiles of bfloat16 and int8 (Intel since 2023) */
} SeedCpuLevel;

#define SEED_N_CPU_LEVELS (SEED_CPU_AMX + 1)

/*
 * The level in use: the best that the CPU and the operating system can run, or the one that the
 * environment variable SEED_CPU (c, avx2, avx512, amx) names, where that is lower. Any other value
 * of SEED_CPU is ignored. Decided by the first call. Thread-safe.
 */
SeedCpuLevel seed_cpu_level (void);

/* The best level that can be run here, whatever SEED_CPU says. */
SeedCpuLevel seed_cpu_best_level (void);

/* "c", "avx2", "avx512", "amx" */
const char *seed_cpu_level_name (SeedCpuLevel level);

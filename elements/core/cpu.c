/* SPDX-License-Identifier: MIT */
#include "core/cpu.h"

static const char *const names[SEED_N_CPU_LEVELS] = { "c", "avx2", "avx512" };

SeedCpuLevel
seed_cpu_best_level (void)
{
#ifdef __x86_64__
  if (!__builtin_cpu_supports ("avx2") || !__builtin_cpu_supports ("fma"))
    return SEED_CPU_C;
  if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
      __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl") &&
      __builtin_cpu_supports ("avx512vnni"))
    return SEED_CPU_AVX512;
  return SEED_CPU_AVX2;
#else
  return SEED_CPU_C;
#endif
}

const char *
seed_cpu_level_name (SeedCpuLevel level)
{
  return names[level];
}

static gpointer
choose (gpointer unused)
{
  SeedCpuLevel best = seed_cpu_best_level ();
  const char *forced = g_getenv ("SEED_CPU");

  for (guint level = 0; forced && level < best; level++)
    if (g_str_equal (forced, names[level]))
      return GUINT_TO_POINTER (level);
  return GUINT_TO_POINTER (best);
}

SeedCpuLevel
seed_cpu_level (void)
{
  static GOnce once = G_ONCE_INIT;

  return (SeedCpuLevel) GPOINTER_TO_UINT (g_once (&once, choose, NULL));
}

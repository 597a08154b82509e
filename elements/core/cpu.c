/* SPDX-License-Identifier: MIT */
#include "core/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>

/* Of leaf 7 (Intel's manual, volume 2, CPUID); older compilers have no names for them. */
#define AMX_BF16 (1u << 22)
#define AMX_TILE (1u << 24)
#define AMX_INT8 (1u << 25)

/* Whether the kernel hands the registers out is asked when they are wanted: see tiles-amx.c. */
static gboolean
has_amx (void)
{
  const guint32 all = AMX_BF16 | AMX_TILE | AMX_INT8;
  guint32 a, b, c, d;

  return __get_cpuid_count (7, 0, &a, &b, &c, &d) && (d & all) == all &&
         __builtin_cpu_supports ("avx512bf16");
}
#endif

static const char *const names[SEED_N_CPU_LEVELS] = { "c", "avx2", "avx512", "amx" };

static SeedCpuLevel
ask_cpu (void)
{
#ifdef __x86_64__
  if (!__builtin_cpu_supports ("avx2") || !__builtin_cpu_supports ("fma"))
    return SEED_CPU_C;
  if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
      __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl") &&
      __builtin_cpu_supports ("avx512vnni"))
    return has_amx () ? SEED_CPU_AMX : SEED_CPU_AVX512;
  return SEED_CPU_AVX2;
#else
  return SEED_CPU_C;
#endif
}

static gpointer
ask_once (gpointer unused)
{
  return GUINT_TO_POINTER (ask_cpu ());
}

/* A virtual machine may take as long over CPUID as over a thousand rows. */
SeedCpuLevel
seed_cpu_best_level (void)
{
  static GOnce once = G_ONCE_INIT;

  return (SeedCpuLevel) GPOINTER_TO_UINT (g_once (&once, ask_once, NULL));
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

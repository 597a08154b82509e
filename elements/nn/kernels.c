/* SPDX-License-Identifier: MIT */
#include "nn/kernels.h"

const SeedKernels *
seed_kernels_for (SeedCpuLevel level)
{
  if (level > seed_cpu_best_level ())
    return NULL;
  switch (level) {
#ifdef __x86_64__
  case SEED_CPU_AMX: /* is for products alone */
  case SEED_CPU_AVX512:
    return seed_kernels_avx512 ();
  case SEED_CPU_AVX2:
    return seed_kernels_avx2 ();
#endif
  default:
    return seed_kernels_reference ();
  }
}

const SeedKernels *
seed_kernels_get (void)
{
  return seed_kernels_for (seed_cpu_level ());
}

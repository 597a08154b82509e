/* SPDX-License-Identifier: MIT */
#include "nn/kernels.h"

static gpointer
choose (gpointer unused)
{
#ifdef __x86_64__
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
    return (gpointer) seed_kernels_avx2 ();
#endif
  return (gpointer) seed_kernels_reference ();
}

const SeedKernels *
seed_kernels_get (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_once (&once, choose, NULL);
}

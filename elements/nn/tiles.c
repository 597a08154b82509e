/* SPDX-License-Identifier: MIT */
#include "core/cpu.h"
#include "nn/tiles.h"

#ifdef __x86_64__

static gboolean
has_avx512 (void)
{
  return seed_cpu_level () >= SEED_CPU_AVX512;
}

gboolean
seed_tiles_fast (SeedPrecision precision)
{
  switch (precision) {
  case SEED_PRECISION_FLOAT32:
    return has_avx512 ();
  case SEED_PRECISION_BFLOAT16:
    return has_avx512 () && __builtin_cpu_supports ("avx512bf16");
  case SEED_PRECISION_INT8: /* attention stays in bfloat16 */
    return has_avx512 () && __builtin_cpu_supports ("avx512bf16");
  case SEED_N_PRECISIONS:
    break;
  }
  return FALSE;
}

const SeedTiles *
seed_tiles_get (void)
{
  const SeedTiles *amx = seed_tiles_amx ();

  return amx ? amx : has_avx512 () ? seed_tiles_avx512 () : seed_tiles_reference ();
}

#else

gboolean
seed_tiles_fast (SeedPrecision precision)
{
  return FALSE;
}

const SeedTiles *
seed_tiles_get (void)
{
  return seed_tiles_reference ();
}

#endif

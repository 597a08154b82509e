/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* bfloat16: the upper half of a float, rounded to nearest even. */
typedef guint16 SeedBf16;

static inline SeedBf16
seed_bf16_from_float (float x)
{
  union {
    float f;
    guint32 u;
  } bits = { .f = x };
  guint32 is_nan = -(guint32) (x != x);
  guint32 rounded = (bits.u + 0x7fff + ((bits.u >> 16) & 1)) >> 16;

  /* rounding could carry the payload of a NaN away */
  return (SeedBf16) ((rounded & ~is_nan) | (((bits.u >> 16) | 0x40) & is_nan));
}

static inline float
seed_bf16_to_float (SeedBf16 x)
{
  union {
    guint32 u;
    float f;
  } bits = { .u = (guint32) x << 16 };

  return bits.f;
}

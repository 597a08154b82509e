/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/real.h"

/*
 * exp and erf for loops that must vectorise: libm's are calls and stay scalar. Float only; the
 * double build takes libm's, whose last digits finite differences need. No branches, no tables; NaN
 * stays NaN. The coefficients are minimax fits made for these intervals (iteratively reweighted
 * least squares in double).
 */

#define R(x) ((real) (x))

#ifdef SEED_REAL_DOUBLE

static inline real
seed_math_exp (real x)
{
  return exp (x);
}

static inline real
seed_math_erf (real x)
{
  return erf (x);
}

#else

typedef union {
  float f;
  unsigned u;
} SeedMathBits;

/*
 * @x, but @low below it and @high above. By masks, since gcc turns the obvious conditional into
 * paths of their own, computes what follows once for each, and in them meets denormals.
 */
static inline float
seed_math_choose (float x, float low, float high, unsigned below, unsigned above)
{
  SeedMathBits bits = { .f = x }, low_bits = { .f = low }, high_bits = { .f = high };

  bits.u = (bits.u & ~(below | above)) | (low_bits.u & below) | (high_bits.u & above);
  return bits.f;
}

/* Relative error < 2e-7 for -87 <= x <= 88; outside it saturates. */
static inline real
seed_math_exp (real x)
{
  /* 1.5 2^23: adding it rounds to an integer and leaves that in the low bits */
  const float magic = 12582912.0f;
  SeedMathBits shifted, power;
  float n, r, p;

  x = seed_math_choose (x, -87.0f, 88.0f, -(unsigned) (x < -87.0f), -(unsigned) (x > 88.0f));
  shifted.f = x * 1.44269504f + magic;
  n = shifted.f - magic;
  r = x - n * 0.693359375f; /* ln 2 in two parts, the first exact in n */
  r = r + n * 2.12194440e-4f;
  p = 1.38145e-3f;
  p = p * r + 8.36876e-3f;
  p = p * r + 4.166839e-2f;
  p = p * r + 1.666652e-1f;
  p = p * r + 4.9999993e-1f;
  power.u = (shifted.u << 23) + 0x3f800000u; /* 2^n */
  return power.f * (1.0f + (r + r * r * p));
}

/* Absolute error < 1.5e-7, relative error < 4e-7; exactly 1 and -1 from 3.92 on. */
static inline real
seed_math_erf (real x)
{
  const float end = 3.92f;
  unsigned below = -(unsigned) (x < -end), above = -(unsigned) (x > end);
  float u, p, q;

  x = seed_math_choose (x, -end, end, below, above);
  u = x * x;
  p = 2.050128255e-6f;
  p = p * u + 2.848767084e-4f;
  p = p * u + 3.765365983e-3f;
  p = p * u + 5.274795542e-2f;
  p = p * u + 1.904006725e-1f;
  p = p * u + 1.128379146f;
  q = 3.809182191e-5f;
  q = q * u + 1.162473779e-3f;
  q = q * u + 1.496871732e-2f;
  q = q * u + 1.141067142e-1f;
  q = q * u + 5.020709454e-1f;
  q = q * u + 1.0f;
  /* not left to rounding: GELU multiplies what is missing to 1 by x, however large */
  return seed_math_choose (x * p / q, -1.0f, 1.0f, below, above);
}

#endif

static inline real
seed_math_sigmoid (real x)
{
  return R (1) / (R (1) + seed_math_exp (-x));
}

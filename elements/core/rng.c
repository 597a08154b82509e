/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

static guint64
splitmix64 (guint64 *state)
{
  guint64 z = (*state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static inline guint64
rotl (guint64 x, int k)
{
  return (x << k) | (x >> (64 - k));
}

void
seed_rng_init (SeedRng *rng, guint64 seed)
{
  for (int i = 0; i < 4; i++)
    rng->s[i] = splitmix64 (&seed);
}

guint64
seed_rng_next (SeedRng *rng)
{
  guint64 *s = rng->s;
  guint64 result = rotl (s[1] * 5, 7) * 9;
  guint64 t = s[1] << 17;

  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl (s[3], 45);
  return result;
}

guint64
seed_rng_below (SeedRng *rng, guint64 bound)
{
  guint64 x, threshold;

  g_return_val_if_fail (bound > 0, 0);
  threshold = -bound % bound;
  do
    x = seed_rng_next (rng);
  while (x < threshold);
  return x % bound;
}

double
seed_rng_uniform (SeedRng *rng)
{
  return (double) (seed_rng_next (rng) >> 11) * 0x1p-53;
}

double
seed_rng_normal (SeedRng *rng)
{
  double u, v, r2;

  do {
    u = 2.0 * seed_rng_uniform (rng) - 1.0;
    v = 2.0 * seed_rng_uniform (rng) - 1.0;
    r2 = u * u + v * v;
  } while (r2 >= 1.0 || r2 == 0.0);
  return u * sqrt (-2.0 * log (r2) / r2);
}

guint64
seed_hash (guint64 seed, guint64 value)
{
  guint64 state = seed ^ (value * G_GUINT64_CONSTANT (0xd6e8feb86659fd93));

  splitmix64 (&state);
  return splitmix64 (&state);
}

guint64
seed_hash_string (guint64 seed, const char *text)
{
  guint64 h = G_GUINT64_CONSTANT (0xcbf29ce484222325); /* FNV-1a, then mixed */

  for (const guchar *p = (const guchar *) text; *p; p++)
    h = (h ^ *p) * G_GUINT64_CONSTANT (0x100000001b3);
  return seed_hash (seed, h);
}

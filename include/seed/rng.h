/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * A small, fast, reproducible generator (xoshiro256**, Blackman and Vigna 2018, seeded by
 * splitmix64). The same seed gives the same numbers on every machine. Plain data: copy it, save it.
 * Not thread-safe; give each thread its own. Never for secrets.
 */
typedef struct {
  guint64 s[4];
} SeedRng;

void seed_rng_init (SeedRng *rng, guint64 seed);

/** Uniform over all 64-bit values. */
guint64 seed_rng_next (SeedRng *rng);

/** Uniform over [0, @bound), without modulo bias; @bound > 0. */
guint64 seed_rng_below (SeedRng *rng, guint64 bound);

/** Uniform over [0, 1), 53 bits. */
double seed_rng_uniform (SeedRng *rng);

/** Standard normal (Marsaglia's polar method; nothing cached). */
double seed_rng_normal (SeedRng *rng);

/**
 * Mixes values into one seed. For draws that must be a pure function of (seed, stream, frame,
 * view): seed_hash (seed_hash_string (seed, stream), frame) and so on, then seed_rng_init.
 */
guint64 seed_hash (guint64 seed, guint64 value);
guint64 seed_hash_string (guint64 seed, const char *text);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/real.h"

/*
 * Hands out parts of one allocation, 64-byte aligned; without a base it only adds up what they
 * take. So a workspace is described once: a first pass for its size, a second for its places.
 */
typedef struct {
  char *base;
  gsize used;
  gboolean overflow; /* it does not fit in gsize */
} SeedArena;

#define SEED_ARENA_ALIGN 64

static inline void *
seed_arena_carve_bytes (SeedArena *arena, gsize rows, gsize columns, gsize element_size)
{
  gsize size, start = arena->used;

  if (__builtin_mul_overflow (rows, columns, &size) ||
      __builtin_mul_overflow (size, element_size, &size) ||
      __builtin_add_overflow (size, SEED_ARENA_ALIGN - 1, &size) ||
      __builtin_add_overflow (arena->used, size & ~(gsize) (SEED_ARENA_ALIGN - 1), &arena->used))
    arena->overflow = TRUE;
  return arena->base ? arena->base + start : NULL;
}

static inline real *
seed_arena_carve (SeedArena *arena, gsize rows, gsize columns)
{
  return seed_arena_carve_bytes (arena, rows, columns, sizeof (real));
}

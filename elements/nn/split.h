/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* A part of 0..n. */
typedef struct {
  gsize begin, n;
} SeedRange;

/*
 * Part @part of @n things cut into @n_parts nearly equal parts whose bounds, but for the last, are
 * multiples of @align. A pure function; parts may be empty when there are more of them than things.
 */
static inline SeedRange
seed_split (gsize n, guint n_parts, guint part, guint align)
{
  gsize units = (n + align - 1) / align;
  gsize begin = units * part / n_parts * align;
  gsize end = units * (part + 1) / n_parts * align;

  return (SeedRange){ MIN (begin, n), MIN (end, n) - MIN (begin, n) };
}

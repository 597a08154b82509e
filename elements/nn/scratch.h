/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Memory of the calling thread for the time of one task: at least @size bytes, 64-byte aligned,
 * grown when a larger piece is asked for and freed with the thread. The next call on the thread
 * gives the same memory again. What is in it is not kept.
 */
void *seed_scratch (gsize size);

/* Cuts pieces off it. */
static inline void *
seed_scratch_take (char **at, gsize size)
{
  void *piece = *at;

  *at += (size + 63) & ~(gsize) 63;
  return piece;
}

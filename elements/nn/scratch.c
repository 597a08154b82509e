/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "nn/scratch.h"

#define ALIGN 64

typedef struct {
  gsize size;
  void *memory;
} Scratch;

static void
scratch_free (gpointer data)
{
  Scratch *scratch = data;

  free (scratch->memory);
  g_free (scratch);
}

static GPrivate of_thread = G_PRIVATE_INIT (scratch_free);

void *
seed_scratch (gsize size)
{
  Scratch *scratch = g_private_get (&of_thread);

  if (!scratch) {
    scratch = g_new0 (Scratch, 1);
    g_private_set (&of_thread, scratch);
  }
  if (scratch->size < size) {
    free (scratch->memory);
    scratch->size = (size + ALIGN - 1) & ~(gsize) (ALIGN - 1);
    scratch->memory = aligned_alloc (ALIGN, scratch->size);
    if (!scratch->memory)
      g_error ("no memory for %" G_GSIZE_FORMAT " bytes of a thread's scratch", scratch->size);
  }
  return scratch->memory;
}

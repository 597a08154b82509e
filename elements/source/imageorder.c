/* SPDX-License-Identifier: MIT */
#include "source/imageorder.h"

#include <seed/rng.h>

void
seed_image_order (guint32 *order, guint n, gboolean shuffle, guint64 seed, guint64 epoch)
{
  SeedRng rng;

  for (guint i = 0; i < n; i++)
    order[i] = i;
  if (!shuffle)
    return;
  seed_rng_init (&rng, seed_hash (seed, epoch));
  for (guint i = n; i > 1; i--) {
    guint j = (guint) seed_rng_below (&rng, i);
    guint32 swap = order[i - 1];

    order[i - 1] = order[j];
    order[j] = swap;
  }
}

void
seed_image_cursor_init (
    SeedImageCursor *cursor, guint n, guint64 n_epochs, gboolean shuffle, guint64 seed)
{
  g_return_if_fail (n > 0);
  *cursor = (SeedImageCursor){ .n = n, .n_epochs = n_epochs, .shuffle = shuffle, .seed = seed };
  cursor->order = g_new (guint32, n);
  seed_image_order (cursor->order, n, shuffle, seed, 0);
}

void
seed_image_cursor_clear (SeedImageCursor *cursor)
{
  g_clear_pointer (&cursor->order, g_free);
}

void
seed_image_cursor_seek (SeedImageCursor *cursor, guint64 epoch, guint index)
{
  g_return_if_fail (index < cursor->n);
  if (epoch != cursor->epoch)
    seed_image_order (cursor->order, cursor->n, cursor->shuffle, cursor->seed, epoch);
  cursor->epoch = epoch;
  cursor->index = index;
}

void
seed_image_cursor_seek_to (SeedImageCursor *cursor, guint64 count)
{
  seed_image_cursor_seek (cursor, count / cursor->n, (guint) (count % cursor->n));
}

gboolean
seed_image_cursor_next (SeedImageCursor *cursor, guint *image)
{
  if (cursor->n_epochs > 0 && cursor->epoch >= cursor->n_epochs)
    return FALSE;
  *image = cursor->order[cursor->index];
  if (cursor->index + 1 < cursor->n)
    cursor->index++;
  else
    seed_image_cursor_seek (cursor, cursor->epoch + 1, 0);
  return TRUE;
}

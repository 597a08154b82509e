/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The order of an epoch: 0..@n-1, or with @shuffle a permutation of it (Fisher-Yates, Durstenfeld
 * 1964) that depends on @seed and @epoch alone.
 */
void seed_image_order (guint32 *order, guint n, gboolean shuffle, guint64 seed, guint64 epoch);

/**
 * A place in the run: image @index of the order of @epoch is next. Two numbers to save and come
 * back to. Not thread-safe.
 */
typedef struct {
  guint n;          /* images in an epoch, 1 or more */
  guint64 n_epochs; /* 0: for ever */
  gboolean shuffle;
  guint64 seed;
  guint64 epoch;
  guint index;
  guint32 *order; /* of epoch; owned */
} SeedImageCursor;

void seed_image_cursor_init (
    SeedImageCursor *cursor, guint n, guint64 n_epochs, gboolean shuffle, guint64 seed);
void seed_image_cursor_clear (SeedImageCursor *cursor);

/** @index < n. */
void seed_image_cursor_seek (SeedImageCursor *cursor, guint64 epoch, guint index);

/** To the image behind the first @count ones of the run: a pure function of it, without drawing the
 * orders in between. */
void seed_image_cursor_seek_to (SeedImageCursor *cursor, guint64 count);

/** FALSE after the last epoch; else @image is the one to show, and the cursor is behind it. */
gboolean seed_image_cursor_next (SeedImageCursor *cursor, guint *image);

G_END_DECLS

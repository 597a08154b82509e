/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The images of a folder tree or of a list file, in a fixed order, and the order in which epochs go
 * through them. Immutable once opened, so any thread may read it.
 *
 * A folder: every file below it whose name ends in .jpg, .jpeg, .jpe, .png, .gif, .bmp, .webp, .tif
 * or .tiff (any case) and does not begin with a dot; symbolic links are followed, every folder is
 * visited once. With SEED_IMAGE_LABELS_FOLDERS the folders directly below the location, sorted by
 * the bytes of their names, are the classes; an image directly in it has label -1.
 *
 * A list file: one "path" or "path,label" a line, paths relative to the file's folder; a path that
 * has a comma needs a label or a comma at its end. When every label is a whole number they are
 * taken as they are; else the distinct labels, sorted, are the classes.
 */
typedef struct _SeedImageSet SeedImageSet;

#define SEED_IMAGE_SET_MAX 10000000u /* entries of a set, and lines of a list */
#define SEED_IMAGE_SET_MAX_DEPTH 64u /* folders in one another */

typedef enum {
  SEED_IMAGE_LABELS_NONE, /* -1 for all */
  SEED_IMAGE_LABELS_FOLDERS,
} SeedImageLabels;

/** NULL with SEED_ERROR_IO, _NOT_FOUND (no image), _FORMAT (list) or _LIMIT. */
SeedImageSet *seed_image_set_open (const char *location, SeedImageLabels labels, GError **error);
void seed_image_set_free (SeedImageSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedImageSet, seed_image_set_free)

guint seed_image_set_n_images (const SeedImageSet *set);

/** File name encoding, any bytes; free with g_free. */
char *seed_image_set_dup_path (const SeedImageSet *set, guint image);

/** Class index, or -1. */
gint32 seed_image_set_get_label (const SeedImageSet *set, guint image);

/** Names by class index, NULL at the end; empty when labels are not named. UTF-8. */
const char *const *seed_image_set_get_classes (const SeedImageSet *set);

/** One line for each folder that was left out and why (the first 100 of them), NULL at the end. */
const char *const *seed_image_set_get_problems (const SeedImageSet *set);

/** Files left out because of their names. */
guint seed_image_set_n_ignored (const SeedImageSet *set);

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

/** FALSE after the last epoch; else @image is the one to show, and the cursor is behind it. */
gboolean seed_image_cursor_next (SeedImageCursor *cursor, guint *image);

G_END_DECLS

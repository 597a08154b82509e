/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The images of a location, in a fixed order, with what is known of each. Immutable once opened, so
 * any thread may read it. A location is one of
 *
 * A folder: every file below it whose name ends in .jpg, .jpeg, .jpe, .png, .gif, .bmp, .webp, .tif
 * or .tiff (any case) and does not begin with a dot; symbolic links are followed, every folder is
 * visited once. The folders directly below the location, sorted by the bytes of their names, are
 * the classes; an image directly in it has label -1.
 *
 * A tar file, plain or in gzip, or a folder or member in it ("set.tar/train"): the same of its
 * members, sorted as the files of a folder are, below
 * the innermost folder that all of them share. A plain one is read in place. One in gzip is
 * unpacked once, its images alone, into a file in g_get_tmp_dir() that has no name and goes with
 * the set. Links to members are followed when they are hard, never when they are symbolic.
 *
 * CIFAR binary batches (www.cs.toronto.edu/~kriz/cifar.html): a .bin file, or a folder or tar file
 * that has no images but .bin files, of which data_batch_*.bin or train.bin are taken, and others
 * when there are none of those. Labels are the label bytes (of CIFAR-100 the fine ones); a
 * batches.meta.txt or fine_label_names.txt beside them names the classes.
 *
 * A list: one "path", "path,label" or "path<TAB>label" a line; in a list without tabs a path that
 * has a comma needs a label or a comma at its end. Given as captions too, one "image<TAB>caption",
 * "image#number<TAB>caption" or "image<TAB>number<TAB>caption" a line: the images in the order in
 * which they first come. Relative paths of NAME.EXT begin at the first of its folder, images/,
 * NAME/, NAME/images/ in it that has one of the first 16. When every label is a whole number they
 * are taken as they are; else the distinct labels, sorted, are the classes.
 */
typedef struct _SeedImageSet SeedImageSet;

#define SEED_IMAGE_SET_MAX 10000000u        /* images, and entries of folders and tar files */
#define SEED_IMAGE_SET_MAX_DEPTH 64u        /* folders in one another */
#define SEED_IMAGE_SET_MAX_CLASSES 1000000u /* named ones */

/** How the bytes of an image are to be understood. */
typedef enum {
  SEED_IMAGE_ENCODED, /* an image file */
  SEED_IMAGE_PLANES,  /* uint8 [3, SEED_IMAGE_PLANES_SIDE, SEED_IMAGE_PLANES_SIDE], R, G, B */
} SeedImageCoding;

#define SEED_IMAGE_PLANES_SIDE 32

/**
 * @labels: "none": -1 for all. "folders" (or NULL): the set's own, as above. Else a file:
 * "path<TAB>label" a line, names or numbers; or one name a line, and then either all the set's
 * classes, in the order of their labels, or one label for each image in the order of the set.
 * @captions: NULL (or ""), or a list of captions as above. Paths in both are those below the
 * location, or file names alone where only one image is called so.
 *
 * NULL with SEED_ERROR_IO, _NOT_FOUND (no image; nothing that a file of labels or captions names),
 * _FORMAT, _MISMATCH (labels that do not fit the set), _UNSUPPORTED or _LIMIT.
 */
SeedImageSet *seed_image_set_open (
    const char *location, const char *labels, const char *captions, GError **error);
void seed_image_set_free (SeedImageSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedImageSet, seed_image_set_free)

guint seed_image_set_n_images (const SeedImageSet *set);

/**
 * The bytes of an image. Errors name it (SEED_ERROR_IO, _LIMIT, _FORMAT): it cannot be read, is
 * empty, too large, cut short, or has a label that does not exist.
 */
GBytes *
seed_image_set_read (const SeedImageSet *set, guint image, SeedImageCoding *coding, GError **error);

/** Its path, or "archive: member"; UTF-8, for messages. Free with g_free. */
char *seed_image_set_dup_name (const SeedImageSet *set, guint image);

/** Its path below the location, the member's name, or "batch.bin#record"; any bytes. */
const char *seed_image_set_get_path (const SeedImageSet *set, guint image);

/** Class index, or -1. */
gint32 seed_image_set_get_label (const SeedImageSet *set, guint image);

/** Its captions in the order of the list, @n of them; the set's. UTF-8. */
const char *const *seed_image_set_get_captions (const SeedImageSet *set, guint image, guint *n);

/** Names by class index, NULL at the end; empty when labels are not named. UTF-8. */
const char *const *seed_image_set_get_classes (const SeedImageSet *set);

/** One line for each thing that was left out and why (the first 100), NULL at the end. */
const char *const *seed_image_set_get_problems (const SeedImageSet *set);

/** Files and members left out: not images by their names, or refused. */
guint seed_image_set_n_ignored (const SeedImageSet *set);

/** Images that have a caption; 0 without a list of captions. */
guint seed_image_set_n_captioned (const SeedImageSet *set);

G_END_DECLS

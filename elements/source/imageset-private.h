/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/stat.h>

#include "source/imageset.h"
#include "source/table.h"

G_BEGIN_DECLS

/* Parts of a set while it is being opened. Functions return FALSE with an error. */

typedef struct {
  const char *path;    /* in the chunk; see seed_image_set_get_path */
  const char *refused; /* why it cannot be read, static; or NULL */
  guint64 offset;      /* in the store */
  guint32 size;
  guint32 store; /* index of the store + 1; 0: a file of its own */
  gint32 label;
  guint32 coding; /* SeedImageCoding */
} SeedImageEntry;

/* A file with many images in it. */
typedef struct {
  int fd;
  char *name; /* as the user knows it */
} SeedImageStore;

struct _SeedImageSet {
  char *root; /* where relative paths begin */
  GStringChunk *chunk;
  GArray *images;     /* of SeedImageEntry */
  GArray *stores;     /* of SeedImageStore */
  GPtrArray *classes; /* char *; NULL at the end once the set is open */
  GPtrArray *problems;
  guint n_ignored;

  SeedTable *captions;
  guint32 *first_caption; /* [images + 1], into caption_texts */
  const char **caption_texts;
  guint n_captioned;
};

gboolean seed_image_set_open_folder (SeedImageSet *set, const struct stat *st, GError **error);
gboolean seed_image_set_open_batch_files (
    SeedImageSet *set, const char *const *paths, guint n, GError **error);
/* @inside: the member or folder that is wanted, or NULL. */
gboolean seed_image_set_open_tar (
    SeedImageSet *set, const char *location, const char *inside, gboolean gzip, GError **error);
gboolean
seed_image_set_open_list (SeedImageSet *set, SeedTable *table, gboolean captions, GError **error);

/* --- CIFAR (imageset-cifar.c) --- */

typedef struct {
  char *path;   /* of the batch in the set */
  char *folder; /* of the batch in the set; "" at the top */
  guint store;  /* index + 1 */
  guint64 offset, size;
} SeedBatchFile;

void seed_batch_file_clear (gpointer batch);

/* @path: a .bin file by its name. */
gboolean seed_is_batch_name (const char *path);
/* A file that names the classes of batches. */
gboolean seed_is_batch_classes_name (const char *path);

/* Takes the records of those of @batches (of SeedBatchFile) that are for training, or of all. */
gboolean seed_image_set_add_batches (SeedImageSet *set, GArray *batches, GError **error);

/* Names the classes of batches from the bytes of such a file. */
void seed_image_set_name_batch_classes (
    SeedImageSet *set, const char *name, const char *text, gsize length);

/* --- labels and captions (imageset-texts.c) --- */

/* A label's text or NULL for each image: numbers when all are, else names. */
gboolean
seed_image_set_label_by_text (SeedImageSet *set, const char *const *labels, GError **error);
gboolean seed_image_set_load_labels (SeedImageSet *set, const char *path, GError **error);

/* Takes @table, which is split. */
gboolean seed_image_set_take_captions (SeedImageSet *set, SeedTable *table, GError **error);

/* --- bits (imageset.c) --- */

gboolean seed_is_image_name (const char *name);

/* How paths are sorted: as a walk through sorted folders meets them. */
int seed_compare_paths (const char *a, const char *b);

SeedImageEntry *seed_image_set_entry (const SeedImageSet *set, guint image);

/* Copies the path. */
gboolean seed_image_set_add (SeedImageSet *set, const SeedImageEntry *entry, GError **error);

/* Takes @fd; returns the index + 1. */
guint seed_image_set_add_store (SeedImageSet *set, int fd, const char *name);

/* All that can be had of @size bytes; as many as there are. -1 with errno. */
gssize seed_image_store_read (
    const SeedImageSet *set, guint store, guint64 offset, void *data, gsize size);

/* Any bytes become UTF-8. Returns the class's index. */
gint32 seed_image_set_add_class (SeedImageSet *set, const char *name);

void seed_image_set_note (SeedImageSet *set, const char *path, const char *why);

G_END_DECLS

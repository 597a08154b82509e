/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "source/imageset-private.h"

/*
 * CIFAR-10: records of one label byte and 3072 bytes of picture (red, green and blue planes of 32
 * rows of 32); CIFAR-100: a coarse label, a fine one, and the same picture. See
 * www.cs.toronto.edu/~kriz/cifar.html. The files say nothing of themselves, so the kind is the one
 * in whose records the labels are possible.
 */
#define PICTURE (3 * SEED_IMAGE_PLANES_SIDE * SEED_IMAGE_PLANES_SIDE)
#define MAX_CLASSES_TEXT (64 * 1024)

typedef struct {
  const char *name;
  guint n_labels; /* bytes before the picture; the last is the class */
  guint8 limits[2];
} Kind;

static const Kind kinds[] = {
  { "CIFAR-10", 1, { 10 } },
  { "CIFAR-100", 2, { 20, 100 } },
};

void
seed_batch_file_clear (gpointer batch)
{
  g_free (((SeedBatchFile *) batch)->path);
  g_free (((SeedBatchFile *) batch)->folder);
}

static const char *
base_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash ? slash + 1 : path;
}

gboolean
seed_is_batch_name (const char *path)
{
  return g_str_has_suffix (path, ".bin");
}

gboolean
seed_is_batch_classes_name (const char *path)
{
  const char *name = base_name (path);

  return g_str_equal (name, "batches.meta.txt") || g_str_equal (name, "fine_label_names.txt");
}

static gboolean
is_for_training (const char *path)
{
  const char *name = base_name (path);

  return g_str_has_prefix (name, "data_batch_") || g_str_equal (name, "train.bin");
}

/* --- records ---------------------------------------------------------------------------------- */

static guint
record_size (const Kind *kind)
{
  return kind->n_labels + PICTURE;
}

/* The labels of a record; FALSE: they are not there. */
static gboolean
read_labels (const SeedImageSet *set, const SeedBatchFile *batch, const Kind *kind, guint64 record,
    guint8 *labels)
{
  return seed_image_store_read (set, batch->store, batch->offset + record * record_size (kind),
             labels, kind->n_labels) == (gssize) kind->n_labels;
}

static gboolean
are_possible (const Kind *kind, const guint8 *labels)
{
  for (guint i = 0; i < kind->n_labels; i++) {
    if (labels[i] >= kind->limits[i])
      return FALSE;
  }
  return TRUE;
}

/* The share of the first 1000 whole records whose labels are possible. */
static double
plausibility (const SeedImageSet *set, const SeedBatchFile *batch, const Kind *kind)
{
  guint64 n = MIN (batch->size / record_size (kind), 1000), n_good = 0;

  for (guint64 i = 0; i < n; i++) {
    guint8 labels[2];

    n_good += read_labels (set, batch, kind, i, labels) && are_possible (kind, labels);
  }
  return n > 0 ? (double) n_good / (double) n : 0;
}

/* A size that fits counts for half of the labels. NULL: neither. */
static const Kind *
find_kind (const SeedImageSet *set, const SeedBatchFile *batch)
{
  const Kind *best = NULL;
  double most = 0.75;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    double score = plausibility (set, batch, &kinds[i]);

    if (batch->size % record_size (&kinds[i]) == 0)
      score += 0.5;
    if (score > most) {
      most = score;
      best = &kinds[i];
    }
  }
  return best;
}

static gboolean
add_record (
    SeedImageSet *set, const SeedBatchFile *batch, const Kind *kind, guint64 record, GError **error)
{
  g_autofree char *path = g_strdup_printf ("%s#%" G_GUINT64_FORMAT, batch->path, record);
  guint64 offset = batch->offset + record * record_size (kind) + kind->n_labels;
  guint64 end = batch->offset + batch->size;
  SeedImageEntry entry = { .path = path,
    .offset = offset,
    .size = PICTURE,
    .store = batch->store,
    .label = -1,
    .coding = SEED_IMAGE_PLANES };
  guint8 labels[2];

  if (offset + PICTURE > end || !read_labels (set, batch, kind, record, labels))
    entry.refused = "the batch is cut short within this record; get it again";
  else if (!are_possible (kind, labels))
    entry.refused = kind->n_labels == 1 ? "its label is not below 10"
                                        : "its labels are not below 20 (coarse) and 100 (fine)";
  else
    entry.label = labels[kind->n_labels - 1];
  return seed_image_set_add (set, &entry, error);
}

static gboolean
add_batch (SeedImageSet *set, const SeedBatchFile *batch, const Kind **common, GError **error)
{
  const Kind *kind = find_kind (set, batch);
  guint64 n;

  if (!kind || (*common && *common != kind)) {
    g_autofree char *shown = g_filename_display_name (batch->path);

    if (kind)
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "%s: %s, and batches before it are %s; give one of them alone", shown, kind->name,
          (*common)->name);
    else
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
          "%s: not a CIFAR batch (records of 3073 bytes with a label below 10, or of 3074 with two "
          "below 20 and 100)",
          shown);
    return FALSE;
  }
  *common = kind;
  n = (batch->size + record_size (kind) - 1) / record_size (kind);
  for (guint64 i = 0; i < n; i++) {
    if (!add_record (set, batch, kind, i, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_image_set_add_batches (SeedImageSet *set, GArray *batches, GError **error)
{
  const Kind *common = NULL;
  gboolean choose = FALSE;

  for (guint i = 0; i < batches->len; i++)
    choose |= is_for_training (g_array_index (batches, SeedBatchFile, i).path);
  for (guint i = 0; i < batches->len; i++) {
    const SeedBatchFile *batch = &g_array_index (batches, SeedBatchFile, i);

    if (choose && !is_for_training (batch->path))
      set->n_ignored++;
    else if (!add_batch (set, batch, &common, error))
      return FALSE;
  }
  return TRUE;
}

/* --- names ------------------------------------------------------------------------------------ */

void
seed_image_set_name_batch_classes (
    SeedImageSet *set, const char *name, const char *text, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedTable) table = NULL;
  gint32 most = -1;

  if (length > MAX_CLASSES_TEXT) {
    seed_image_set_note (set, name, "too large for names of classes");
    return;
  }
  table = seed_table_parse (name, text, length, &error);
  if (!table || !seed_table_check_text (table, &error)) {
    seed_image_set_note (set, name, error->message);
    return;
  }
  for (guint i = 0; i < set->images->len; i++)
    most = MAX (most, seed_image_set_entry (set, i)->label);
  if (most >= (gint32) seed_table_n_rows (table)) {
    seed_image_set_note (set, name, "fewer names than classes");
    return;
  }
  g_ptr_array_set_size (set->classes, 0);
  for (guint i = 0; i < seed_table_n_rows (table); i++)
    seed_image_set_add_class (set, seed_table_key (table, i));
}

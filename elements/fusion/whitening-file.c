/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "fusion/whitening-private.h"

#define FORMAT "seed-whitening"
#define VERSION "1"
#define MAX_TENSORS (4 * SEED_WHITENING_MAX_TEACHERS)

typedef enum { MEAN, EIGENVALUES, PROJECTION, ALIGNMENT, N_PARTS } Part;

static const char *const part_names[N_PARTS] = { "mean", "eigenvalues", "projection", "alignment" };

static float **
part_values (WhitenedTeacher *w, Part part)
{
  float **const values[N_PARTS] = { &w->mean, &w->eigenvalues, &w->projection, &w->alignment };

  return values[part];
}

static gboolean
has_part (guint teacher, Part part)
{
  return part != ALIGNMENT || teacher > 0;
}

static guint
part_shape (const SeedWhitening *whitening, guint teacher, Part part, guint64 shape[2])
{
  const WhitenedTeacher *w = &whitening->teachers[teacher];
  const struct {
    guint n_dims;
    guint64 shape[2];
  } shapes[N_PARTS] = {
    [MEAN] = { 1, { w->info.dim } },
    [EIGENVALUES] = { 1, { w->width } },
    [PROJECTION] = { 2, { w->width, w->info.dim } },
    [ALIGNMENT] = { 2, { w->width, whitening->teachers[0].width } },
  };

  shape[0] = shapes[part].shape[0];
  shape[1] = shapes[part].shape[1];
  return shapes[part].n_dims;
}

static char *
tensor_name (guint teacher, Part part)
{
  return g_strdup_printf ("teacher.%u.%s", teacher, part_names[part]);
}

static char *
teacher_key (guint teacher, const char *what)
{
  return g_strdup_printf ("teacher.%u.%s", teacher, what);
}

static GHashTable *
metadata_of (const SeedWhitening *whitening)
{
  GHashTable *metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  char floor[G_ASCII_DTOSTR_BUF_SIZE];

  g_hash_table_insert (metadata, g_strdup ("format"), g_strdup (FORMAT));
  g_hash_table_insert (metadata, g_strdup ("version"), g_strdup (VERSION));
  g_hash_table_insert (
      metadata, g_strdup ("samples"), g_strdup_printf ("%" G_GUINT64_FORMAT, whitening->n_samples));
  g_hash_table_insert (metadata, g_strdup ("floor"),
      g_strdup (g_ascii_dtostr (floor, sizeof floor, whitening->floor)));
  g_hash_table_insert (
      metadata, g_strdup ("teachers"), g_strdup_printf ("%u", whitening->n_teachers));
  for (guint t = 0; t < whitening->n_teachers; t++) {
    const SeedWhiteningTeacher *info = &whitening->teachers[t].info;

    g_hash_table_insert (metadata, teacher_key (t, "name"), g_strdup (info->name));
    g_hash_table_insert (metadata, teacher_key (t, "space"), g_strdup (info->space));
  }
  return metadata;
}

gboolean
seed_whitening_save (const SeedWhitening *whitening, const char *path, GError **error)
{
  g_autoptr (GHashTable) metadata = metadata_of (whitening);
  SeedTensor tensors[MAX_TENSORS] = { 0 };
  guint n = 0;
  gboolean ok;

  for (guint t = 0; t < whitening->n_teachers; t++) {
    for (Part p = 0; p < N_PARTS; p++) {
      SeedTensor *tensor = &tensors[n];

      if (!has_part (t, p))
        continue;
      tensor->name = tensor_name (t, p);
      tensor->dtype = SEED_DTYPE_F32;
      tensor->n_dims = part_shape (whitening, t, p, tensor->shape);
      tensor->data = *part_values ((WhitenedTeacher *) &whitening->teachers[t], p);
      seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &tensor->size);
      n++;
    }
  }
  ok = seed_safetensors_write (path, tensors, n, metadata, error);
  for (guint i = 0; i < n; i++)
    g_free ((char *) tensors[i].name);
  return ok;
}

static gboolean
expect_metadata (const SeedSafetensors *st, const char *path, const char *key, const char *expected,
    SeedErrorCode code, const char *advice, GError **error)
{
  const char *value = seed_safetensors_metadata (st, key);

  if (g_strcmp0 (value, expected) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, code, "%s: metadata \"%s\" is \"%s\", expected \"%s\"%s", path,
      key, value ? value : "(missing)", expected, advice);
  return FALSE;
}

static gboolean
check_metadata (const SeedSafetensors *st, const char *path, const SeedWhiteningTeacher *teachers,
    guint n_teachers, guint64 *n_samples, GError **error)
{
  static const char advice[] =
      "; remove the file to calibrate anew, or give these teachers a file of their own";
  g_autofree char *count = g_strdup_printf ("%u", n_teachers);
  const char *samples;

  if (!expect_metadata (st, path, "format", FORMAT, SEED_ERROR_FORMAT, "", error) ||
      !expect_metadata (st, path, "version", VERSION, SEED_ERROR_UNSUPPORTED, "", error) ||
      !expect_metadata (st, path, "teachers", count, SEED_ERROR_MISMATCH, advice, error))
    return FALSE;
  for (guint t = 0; t < n_teachers; t++) {
    g_autofree char *key = teacher_key (t, "space");

    if (!expect_metadata (st, path, key, teachers[t].space, SEED_ERROR_MISMATCH, advice, error))
      return FALSE;
  }
  samples = seed_safetensors_metadata (st, "samples");
  if (samples && g_ascii_string_to_unsigned (
                     samples, 10, SEED_WHITENING_MIN_SAMPLES, G_MAXUINT64, n_samples, NULL))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s: metadata \"samples\" is \"%s\", expected a number from %u", path,
      samples ? samples : "(missing)", SEED_WHITENING_MIN_SAMPLES);
  return FALSE;
}

static gboolean
read_floor (const SeedSafetensors *st, const char *path, double *floor, GError **error)
{
  const char *text = seed_safetensors_metadata (st, "floor");
  char *end;

  *floor = SEED_WHITENING_EIGENVALUE_FLOOR;
  if (!text)
    return TRUE;
  *floor = g_ascii_strtod (text, &end);
  if (*text && !*end && *floor > 0 && *floor <= 1)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s: metadata \"floor\" is \"%s\", expected a number above 0, up to 1", path, text);
  return FALSE;
}

/* No tensor that is none of ours: a file of something else must not pass. */
static gboolean
check_names (const SeedSafetensors *st, const char *path, guint n_teachers, GError **error)
{
  for (guint i = 0; i < seed_safetensors_n_tensors (st); i++) {
    const char *name = seed_safetensors_get (st, i)->name;
    gboolean known = FALSE;

    for (guint t = 0; t < n_teachers && !known; t++) {
      for (Part p = 0; p < N_PARTS && !known; p++) {
        g_autofree char *expected = tensor_name (t, p);

        known = has_part (t, p) && g_str_equal (name, expected);
      }
    }
    if (!known) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
          "%s: tensor \"%s\" does not belong into a whitening of %u teachers", path, name,
          n_teachers);
      return FALSE;
    }
  }
  return TRUE;
}

static const SeedTensor *
find_tensor (const SeedSafetensors *st, const char *path, guint teacher, Part part, GError **error)
{
  g_autofree char *name = tensor_name (teacher, part);
  const SeedTensor *tensor = seed_safetensors_lookup (st, name);

  if (!tensor)
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "%s: tensor \"%s\" is missing", path, name);
  return tensor;
}

static gboolean
expect_shape (
    const SeedTensor *tensor, const char *path, guint n_dims, const guint64 *shape, GError **error)
{
  g_autofree char *found = NULL, *expected = NULL;

  if (tensor->dtype == SEED_DTYPE_F32 && tensor->n_dims == n_dims &&
      memcmp (tensor->shape, shape, n_dims * sizeof *shape) == 0)
    return TRUE;
  found = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);
  expected = seed_tensor_describe (SEED_DTYPE_F32, shape, n_dims);
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s: tensor \"%s\" is %s, expected %s", path,
      tensor->name, found, expected);
  return FALSE;
}

/* k is what the file says, within what whitening of this teacher can have. */
static gboolean
read_width (
    const SeedSafetensors *st, const char *path, SeedWhitening *whitening, guint t, GError **error)
{
  const SeedTensor *tensor = find_tensor (st, path, t, PROJECTION, error);
  guint64 most = MIN (whitening->teachers[t].info.dim, SEED_WHITENING_MAX_WIDTH);

  if (!tensor)
    return FALSE;
  if (tensor->n_dims == 2 && tensor->shape[0] >= 1 && tensor->shape[0] <= most) {
    seed_whitening_set_width (whitening, t, (guint) tensor->shape[0]);
    return TRUE;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s: tensor \"%s\" must have 1 to %" G_GUINT64_FORMAT " rows of %u", path, tensor->name, most,
      whitening->teachers[t].info.dim);
  return FALSE;
}

static gboolean
read_part (const SeedSafetensors *st, const char *path, SeedWhitening *whitening, guint t,
    Part part, GError **error)
{
  const SeedTensor *tensor = find_tensor (st, path, t, part, error);
  float **values = part_values (&whitening->teachers[t], part);
  guint64 shape[2];
  guint n_dims = part_shape (whitening, t, part, shape);
  gsize n = shape[0] * (n_dims == 2 ? shape[1] : 1);

  if (!tensor || !expect_shape (tensor, path, n_dims, shape, error))
    return FALSE;
  if (!*values)
    *values = g_new (float, n);
  return seed_tensor_to_float (tensor, path, *values, n, error);
}

SeedWhitening *
seed_whitening_load (
    const char *path, const SeedWhiteningTeacher *teachers, guint n_teachers, GError **error)
{
  g_autoptr (SeedSafetensors) st = NULL;
  g_autoptr (SeedWhitening) whitening = NULL;
  guint64 n_samples;
  double floor;

  if (!seed_whitening_check_teachers (teachers, n_teachers, error))
    return NULL;
  st = seed_safetensors_open (path, error);
  if (!st || !check_metadata (st, path, teachers, n_teachers, &n_samples, error) ||
      !read_floor (st, path, &floor, error) || !check_names (st, path, n_teachers, error))
    return NULL;

  whitening = seed_whitening_alloc (teachers, n_teachers, n_samples);
  whitening->floor = floor;
  for (guint t = 0; t < n_teachers; t++) {
    if (!read_width (st, path, whitening, t, error))
      return NULL;
  }
  for (guint t = 0; t < n_teachers; t++) {
    for (Part p = 0; p < N_PARTS; p++) {
      if (has_part (t, p) && !read_part (st, path, whitening, t, p, error))
        return NULL;
    }
  }
  seed_whitening_seal (whitening);
  return g_steal_pointer (&whitening);
}

/* SPDX-License-Identifier: MIT */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "fusion/whitening.h"
#include "mixture.h"

#define DIM_A 6
#define DIM_B 4

static const SeedWhiteningTeacher teachers[] = { { "a", "space-a", DIM_A },
  { "b", "space-b", DIM_B } };

typedef struct {
  char *folder, *path;
  SeedWhitening *whitening;
} File;

static void
set_up (File *file, gconstpointer unused)
{
  g_autoptr (SeedWhiteningFit) fit = seed_whitening_fit_new (teachers, 2, NULL);
  g_autofree double *z = mixture_latent (50, DIM_A, 1);
  g_autofree float *x = NULL, *y = NULL;
  g_autoptr (GError) error = NULL;
  Mixture a, b;

  mixture_init (&a, DIM_A, DIM_A, 2);
  mixture_init (&b, DIM_B, DIM_A, 3);
  x = mixture_observe (&a, z, 50);
  y = mixture_observe (&b, z, 50);
  g_assert_true (seed_whitening_fit_add (fit, (const float *const[]){ x, y }, 50, NULL));
  seed_whitening_fit_set_floor (fit, 0.03125);
  file->whitening = seed_whitening_fit_finish (fit, NULL);
  file->folder = g_dir_make_tmp ("seed-whitening-XXXXXX", NULL);
  file->path = g_build_filename (file->folder, "w.safetensors", NULL);
  seed_whitening_save (file->whitening, file->path, &error);
  g_assert_no_error (error);
  mixture_clear (&a);
  mixture_clear (&b);
}

static void
tear_down (File *file, gconstpointer unused)
{
  g_unlink (file->path);
  g_rmdir (file->folder);
  g_free (file->path);
  g_free (file->folder);
  seed_whitening_unref (file->whitening);
}

static void
test_bits_survive (File *file, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedWhitening) loaded = seed_whitening_load (file->path, teachers, 2, &error);
  float x[DIM_A] = { 1, -2, 3, 0.5, -1, 2 }, scratch[DIM_A], before[DIM_A], after[DIM_A],
        aligned_before[DIM_A], aligned_after[DIM_A];

  g_assert_no_error (error);
  g_assert_cmpuint (seed_whitening_n_teachers (loaded), ==, 2);
  g_assert_cmpuint (seed_whitening_n_samples (loaded), ==, 50);
  g_assert_cmpfloat (seed_whitening_floor (loaded), ==, 0.03125);
  g_assert_cmpstr (seed_whitening_digest (loaded), ==, seed_whitening_digest (file->whitening));
  for (guint t = 0; t < 2; t++) {
    gsize n = seed_whitening_width (loaded, t) * sizeof (float);

    g_assert_cmpuint (
        seed_whitening_width (loaded, t), ==, seed_whitening_width (file->whitening, t));
    g_assert_true (seed_whitening_apply (file->whitening, t, x, 1, scratch, before, NULL));
    g_assert_true (seed_whitening_apply (loaded, t, x, 1, scratch, after, NULL));
    g_assert_cmpmem (before, n, after, n);
    seed_whitening_align (file->whitening, t, before, 1, aligned_before);
    seed_whitening_align (loaded, t, after, 1, aligned_after);
    g_assert_cmpmem (aligned_before, DIM_A * sizeof (float), aligned_after, DIM_A * sizeof (float));
  }
}

static void
assert_refused (
    const char *path, const SeedWhiteningTeacher *expected, guint n, int code, const char *says)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_whitening_load (path, expected, n, &error));
  g_assert_error (error, SEED_ERROR, code);
  if (!strstr (error->message, says) || !strstr (error->message, path))
    g_error ("\"%s\" says neither %s nor %s", error->message, says, path);
}

static void
test_other_teachers_are_refused (File *file, gconstpointer unused)
{
  SeedWhiteningTeacher other[] = { teachers[0], teachers[1] };
  g_autoptr (SeedWhitening) renamed = NULL;

  other[1].space = "space-c";
  assert_refused (file->path, other, 2, SEED_ERROR_MISMATCH, "teacher.1.space");
  other[1] = teachers[0];
  other[0] = teachers[1];
  assert_refused (file->path, other, 2, SEED_ERROR_MISMATCH, "teacher.0.space");
  assert_refused (file->path, teachers, 1, SEED_ERROR_MISMATCH, "\"teachers\"");
  other[0] = teachers[0];
  other[1] = teachers[1];
  other[1].dim = DIM_B + 1;
  assert_refused (file->path, other, 2, SEED_ERROR_MISMATCH, "teacher.1.mean");
  other[1].dim = DIM_B - 1;
  assert_refused (file->path, other, 2, SEED_ERROR_MISMATCH, "teacher.1.projection");

  /* a space is what it is by whatever name its teacher goes */
  other[1] = teachers[1];
  other[1].name = "renamed";
  renamed = seed_whitening_load (file->path, other, 2, NULL);
  g_assert_nonnull (renamed);
  g_assert_cmpstr (seed_whitening_teacher (renamed, 1)->name, ==, "renamed");
}

/* One field of an otherwise good file is changed. */
typedef struct {
  const char *tensor; /* to change or, when it is not there, to add */
  const char *key;    /* of metadata to change to @value, removed when NULL */
  const char *value;
  enum { KEEP, REMOVE, DTYPE, SHAPE, NOT_A_NUMBER, RENAME } change;
  int code;
} Damage;

static const Damage damages[] = {
  { .key = "format", .value = "something", .code = SEED_ERROR_FORMAT },
  { .key = "format", .code = SEED_ERROR_FORMAT },
  { .key = "version", .value = "2", .code = SEED_ERROR_UNSUPPORTED },
  { .key = "teachers", .value = "4294967298", .code = SEED_ERROR_MISMATCH },
  { .key = "samples", .value = "1", .code = SEED_ERROR_FORMAT },
  { .key = "samples", .value = "many", .code = SEED_ERROR_FORMAT },
  { .key = "samples", .code = SEED_ERROR_FORMAT },
  { .tensor = "teacher.0.mean", .change = REMOVE, .code = SEED_ERROR_NOT_FOUND },
  { .tensor = "teacher.1.alignment", .change = REMOVE, .code = SEED_ERROR_NOT_FOUND },
  { .tensor = "teacher.1.projection", .change = REMOVE, .code = SEED_ERROR_NOT_FOUND },
  { .tensor = "teacher.0.projection", .change = SHAPE, .code = SEED_ERROR_MISMATCH },
  { .tensor = "teacher.1.eigenvalues", .change = SHAPE, .code = SEED_ERROR_MISMATCH },
  { .tensor = "teacher.0.projection", .change = DTYPE, .code = SEED_ERROR_MISMATCH },
  { .tensor = "teacher.0.mean", .change = NOT_A_NUMBER, .code = SEED_ERROR_NUMERIC },
  { .tensor = "teacher.1.alignment", .change = NOT_A_NUMBER, .code = SEED_ERROR_NUMERIC },
  { .tensor = "teacher.0.mean", .change = RENAME, .code = SEED_ERROR_FORMAT },
};

static void
damage_tensor (SeedTensor *tensor, const Damage *damage, float *space)
{
  switch (damage->change) {
  case DTYPE:
    tensor->dtype = SEED_DTYPE_I32;
    break;
  case SHAPE: /* as many values in one row */
    tensor->shape[0] = tensor->size / sizeof (float) / 2;
    tensor->shape[1] = 2;
    tensor->n_dims = 2;
    break;
  case NOT_A_NUMBER:
    memcpy (space, tensor->data, tensor->size);
    space[tensor->size / sizeof (float) - 1] = NAN;
    tensor->data = space;
    break;
  case RENAME:
    tensor->name = "teacher.0.meat";
    break;
  default:
    break;
  }
}

static void
write_damaged (const char *path, const SeedSafetensors *st, const Damage *damage)
{
  static const char *const keys[] = { "format", "version", "samples", "teachers", "teacher.0.name",
    "teacher.0.space", "teacher.1.name", "teacher.1.space" };
  g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
  SeedTensor tensors[16];
  float space[64];
  guint n = 0;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    g_hash_table_insert (
        metadata, (char *) keys[i], (char *) seed_safetensors_metadata (st, keys[i]));
  if (damage->key && damage->value)
    g_hash_table_insert (metadata, (char *) damage->key, (char *) damage->value);
  else if (damage->key)
    g_hash_table_remove (metadata, damage->key);
  for (guint i = 0; i < seed_safetensors_n_tensors (st); i++) {
    tensors[n] = *seed_safetensors_get (st, i);
    if (g_strcmp0 (tensors[n].name, damage->tensor) == 0) {
      if (damage->change == REMOVE)
        continue;
      damage_tensor (&tensors[n], damage, space);
    }
    n++;
  }
  seed_safetensors_write (path, tensors, n, metadata, &error);
  g_assert_no_error (error);
}

static void
test_damaged_files_are_refused (File *file, gconstpointer unused)
{
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (file->path, NULL);
  g_autofree char *path = g_build_filename (file->folder, "damaged.safetensors", NULL);

  g_assert_nonnull (st);
  g_assert_cmpuint (seed_safetensors_n_tensors (st), ==, 7);
  for (guint i = 0; i < G_N_ELEMENTS (damages); i++) {
    const Damage *damage = &damages[i];

    write_damaged (path, st, damage);
    assert_refused (path, teachers, 2, damage->code,
        damage->change == RENAME ? "teacher.0.meat"
        : damage->key            ? damage->key
                                 : damage->tensor);
  }
  g_unlink (path);
}

static void
test_truncated_files_are_refused (File *file, gconstpointer unused)
{
  g_autofree char *path = g_build_filename (file->folder, "short.safetensors", NULL), *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (file->path, &bytes, &size, NULL));
  for (gsize n = 0; n < size; n += 1 + size / 40) {
    g_autoptr (GError) error = NULL;

    g_assert_true (g_file_set_contents (path, bytes, (gssize) n, NULL));
    g_assert_null (seed_whitening_load (path, teachers, 2, &error));
    g_assert_nonnull (strstr (error->message, path));
  }
  g_unlink (path);
  assert_refused (path, teachers, 2, SEED_ERROR_NOT_FOUND, "short.safetensors");
}

static void
test_failed_save_names_the_file (File *file, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_whitening_save (file->whitening, "/nowhere/w.safetensors", &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "/nowhere/w.safetensors"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add (path, File, NULL, set_up, func, tear_down)
  ADD ("/whitening-file/bits", test_bits_survive);
  ADD ("/whitening-file/other-teachers", test_other_teachers_are_refused);
  ADD ("/whitening-file/damaged", test_damaged_files_are_refused);
  ADD ("/whitening-file/truncated", test_truncated_files_are_refused);
  ADD ("/whitening-file/failed-save", test_failed_save_names_the_file);
  return g_test_run ();
}

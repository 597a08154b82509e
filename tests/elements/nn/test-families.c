/* SPDX-License-Identifier: MIT */
/*
 * Every family of checkpoints beside what its own library computes: see
 * generate-family-fixtures.py.
 */
#include <math.h>
#include <stdio.h>

#include <seed/error.h>
#include <seed/model.h>
#include <seed/safetensors.h>

#include "patchify/cutter.h"

#include "../patchify/test-frames.h"

#define LIMIT 1e-4 /* relative to the largest value; about 1e-6 is what float gives */

typedef struct {
  const char *folder, *family;
  guint image_size, patch_size, summary_dim, token_dim;
  const char *interpolation, *fit;
  guint resize_size, crop_size;
  guint other_sizes[2];
} Case;

static const Case cases[] = {
  { "dino-tiny", "vit", 16, 4, 24, 24, "bilinear", "squash", 16, 16, { 24, 12 } },
  { "deit-tiny-distilled", "deit", 16, 4, 24, 24, "bicubic", "squash", 20, 16, { 20 } },
  { "dinov2-tiny", "dinov2", 16, 4, 24, 24, "bicubic", "crop", 19, 16, { 28, 40 } },
  { "dinov2-tiny-swiglu-sharded", "dinov2", 16, 4, 24, 24, "bicubic", "crop", 19, 16, { 28 } },
  { "dinov2-tiny-bfloat16", "dinov2", 28, 4, 24, 24, NULL, NULL, 28, 28 },
  { "dinov2-tiny-registers", "dinov2_with_registers", 16, 4, 24, 24, "bicubic", "crop", 19, 16,
      { 28, 40 } },
  { "clip-tiny", "clip", 16, 4, 20, 24, "bicubic", "crop", 16, 16, { 24 } },
  { "clip-tiny-vision-bfloat16", "clip_vision_model", 16, 4, 24, 24, NULL, NULL, 16, 16 },
  { "clip-tiny-projection-float16", "clip_vision_model", 16, 4, 12, 24, NULL, NULL, 16, 16 },
  { "siglip-tiny", "siglip", 16, 4, 24, 24, "bicubic", "squash", 18, 18, { 24 } },
  { "siglip-tiny-vision", "siglip_vision_model", 16, 4, 24, 24, "bicubic", "squash", 16, 16 },
  { "timm-tiny", "timm", 16, 4, 24, 24, "bicubic", "crop", 17, 16, { 24, 12 } },
  { "timm-tiny-deit3", "timm", 16, 4, 24, 24, "bicubic", "crop", 16, 16, { 20 } },
  { "timm-tiny-dinov2-reg4", "timm", 16, 4, 24, 24, "bicubic", "crop", 16, 16, { 28 } },
  { "timm-tiny-dinov2-swiglu", "timm", 16, 4, 24, 24, "bicubic", "crop", 16, 16 },
  { "timm-tiny-clip", "timm", 16, 4, 24, 24, "bicubic", "crop", 16, 16 },
  { "timm-tiny-siglip", "timm", 16, 4, 24, 24, "bicubic", "squash", 17, 16, { 20 } },
  { "timm-tiny-gap-reg4", "timm", 16, 4, 24, 24, "bilinear", "crop", 17, 16 },
};

static char *
folder_of (const Case *c)
{
  return g_build_filename (SEED_TEST_DATA, "models", c->folder, NULL);
}

static SeedSafetensors *
open_expected (const Case *c)
{
  g_autofree char *path =
      g_build_filename (SEED_TEST_DATA, "models", c->folder, "expected.safetensors", NULL);
  g_autoptr (GError) error = NULL;
  SeedSafetensors *st = seed_safetensors_open (path, &error);

  g_assert_no_error (error);
  return st;
}

static SeedModel *
load (const Case *c, guint image_size)
{
  g_autofree char *folder = folder_of (c);
  g_autoptr (GError) error = NULL;
  SeedModel *model = seed_model_load_sized (folder, image_size, &error);

  g_assert_no_error (error);
  return model;
}

/* @image_size 0: the model's own */
static const SeedTensor *
expected (const SeedSafetensors *st, const char *name, guint image_size)
{
  g_autofree char *full =
      image_size ? g_strdup_printf ("%s.%u", name, image_size) : g_strdup (name);
  const SeedTensor *tensor = seed_safetensors_lookup (st, full);

  if (!tensor)
    g_error ("expected.safetensors has no %s", full);
  return tensor;
}

static void
assert_same (const Case *c, const SeedTensor *tensor, const float *values, gsize n)
{
  g_autofree float *wanted = g_new (float, n);
  g_autoptr (GError) error = NULL;
  double difference = 0, largest = 0;

  seed_tensor_to_float (tensor, c->folder, wanted, n, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++) {
    g_assert_true (isfinite (values[i]));
    difference = MAX (difference, fabs ((double) values[i] - wanted[i]));
    largest = MAX (largest, fabs ((double) wanted[i]));
  }
  g_test_message ("%s: relative error %g", tensor->name, difference / largest);
  g_assert_cmpfloat (largest, >, 0.1);
  g_assert_cmpfloat (difference / largest, <=, LIMIT);
}

static void
check_size (const Case *c, const SeedSafetensors *st, guint image_size)
{
  g_autoptr (SeedModel) model = load (c, image_size);
  const SeedModelInfo *info = seed_model_get_info (model);
  const SeedTensor *words = expected (st, "words", image_size);
  guint n = (guint) words->shape[0];
  gsize summary_size = (gsize) n * info->summary_dim;
  gsize tokens_size = (gsize) n * info->n_words * info->token_dim;
  g_autofree float *summary = g_new (float, summary_size);
  g_autofree float *tokens = g_new (float, tokens_size);
  g_autofree float *alone = g_new (float, summary_size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSession) session = seed_session_new (model, n + 1, &error);

  g_assert_no_error (error);
  if (image_size)
    g_assert_cmpuint (info->image_size, ==, image_size);
  g_assert_cmpuint (words->size, ==, (gsize) n * 3 * info->image_size * info->image_size);
  seed_session_run (session, words->data, n, summary, tokens);
  assert_same (c, expected (st, "summary", image_size), summary, summary_size);
  assert_same (c, expected (st, "tokens", image_size), tokens, tokens_size);
  seed_session_run (session, words->data, n, alone, NULL);
  g_assert_cmpmem (alone, summary_size * sizeof *alone, summary, summary_size * sizeof *summary);
}

static void
test_parity (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (SeedSafetensors) st = open_expected (c);

  check_size (c, st, 0);
  for (guint i = 0; i < G_N_ELEMENTS (c->other_sizes) && c->other_sizes[i]; i++)
    check_size (c, st, c->other_sizes[i]);
}

static void
test_info (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (SeedModel) model = load (c, 0);
  const SeedModelInfo *info = seed_model_get_info (model);

  g_assert_cmpstr (info->family, ==, c->family);
  g_assert_cmpuint (info->image_size, ==, c->image_size);
  g_assert_cmpuint (info->patch_size, ==, c->patch_size);
  g_assert_cmpuint (info->summary_dim, ==, c->summary_dim);
  g_assert_cmpuint (info->token_dim, ==, c->token_dim);
  g_assert_cmpuint (
      info->n_words * c->patch_size * c->patch_size, ==, c->image_size * c->image_size);
  g_assert_cmpstr (info->interpolation, ==, c->interpolation);
  g_assert_cmpstr (info->fit, ==, c->fit);
  g_assert_cmpuint (info->resize_size, ==, c->resize_size);
  g_assert_cmpuint (info->crop_size, ==, c->crop_size);
  g_assert_cmpuint (strlen (info->sha256), ==, 64);
}

/* Preprocessing: the noise picture of one size, cut as the model says, beside the reference. */

static guint8
word_pixel (const SeedModelInfo *info, const guint8 *words, guint x, guint y, guint channel)
{
  guint p = info->patch_size, side = info->image_size / p;
  gsize word = (gsize) (y / p) * side + x / p;

  return words[(word * 3 + channel) * p * p + (y % p) * p + x % p];
}

static void
check_picture (const SeedModelInfo *info, const SeedTensor *tensor, guint width, guint height)
{
  SeedWindow window = { info->resize_size, info->crop_size, info->image_size };
  g_autofree guint8 *pixels = make_pattern (PATTERN_NOISE, (gsize) 3 * width * height);
  g_autofree guint8 *words = g_malloc ((gsize) 3 * info->image_size * info->image_size);
  SeedFrame frame = rgb_frame (pixels, width, height, 3);
  const guint8 *wanted = tensor->data;
  g_autoptr (SeedCutter) cutter = NULL;
  SeedCut cut = { .augment = NULL };
  SeedFit fit;
  int worst = 0;

  g_assert_true (seed_fit_from_name (info->fit, &fit));
  g_assert_cmpuint (tensor->shape[0], ==, info->crop_size);
  cutter = seed_cutter_new (info->image_size, info->patch_size,
      g_str_equal (info->interpolation, "bicubic") ? SEED_FILTER_BICUBIC : SEED_FILTER_BILINEAR, 1);
  seed_fit_place_window (fit, width, height, 1, &window, &cut.place);
  seed_cutter_run (cutter, &frame, &cut, 1, words);
  for (guint y = 0; y < info->image_size; y++)
    for (guint x = 0; x < info->image_size; x++)
      for (guint c = 0; c < 3; c++)
        worst = MAX (worst,
            abs (word_pixel (info, words, x, y, c) - wanted[(y * info->crop_size + x) * 3 + c]));
  g_test_message ("%s: at most %d of 255 away", tensor->name, worst);
  g_assert_cmpint (worst, <=, 1);
}

static void
test_preprocessing (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (SeedModel) model = load (c, 0);
  g_autoptr (SeedSafetensors) st = open_expected (c);
  guint n = 0;

  for (guint i = 0; i < seed_safetensors_n_tensors (st); i++) {
    const SeedTensor *tensor = seed_safetensors_get (st, i);
    guint width, height;

    if (sscanf (tensor->name, "image.%ux%u", &width, &height) != 2)
      continue;
    check_picture (seed_model_get_info (model), tensor, width, height);
    n++;
  }
  g_assert_cmpuint (n, ==, 3);
}

/* Sizes */

static void
test_wrong_size (void)
{
  static const struct {
    guint size;
    int code;
    const char *message;
  } wrong[] = { { 18, SEED_ERROR_INVALID, "nearest are 16 and 20" },
    { 4 * 257, SEED_ERROR_LIMIT, "66049 words" }, { 3, SEED_ERROR_INVALID, "nearest are 0 and 4" },
    { 8196, SEED_ERROR_LIMIT, "image_size" } };
  g_autofree char *folder = folder_of (&cases[0]);

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (seed_model_load_sized (folder, wrong[i].size, &error));
    g_assert_error (error, SEED_ERROR, wrong[i].code);
    g_assert_true (g_str_has_prefix (error->message, folder));
    g_assert_nonnull (strstr (error->message, wrong[i].message));
  }
}

/* A size is a model of its own; asking for it by its number or by none is the same words. */
static void
test_size_scales_window (void)
{
  g_autoptr (SeedModel) own = load (&cases[1], 0);
  g_autoptr (SeedModel) twice = load (&cases[1], 32);
  g_autoptr (SeedModel) again = load (&cases[1], 32);
  const SeedModelInfo *info = seed_model_get_info (twice);

  g_assert_true (own != twice && twice == again);
  g_assert_cmpuint (info->image_size, ==, 32);
  g_assert_cmpuint (info->crop_size, ==, 32);
  g_assert_cmpuint (info->resize_size, ==, 40);
  g_assert_cmpuint (info->n_words, ==, 64);
}

static void
add (const char *what, const Case *c, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/families/%s/%s", what, c->folder);

  g_test_add_data_func (path, c, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    add ("info", &cases[i], test_info);
    add ("parity", &cases[i], test_parity);
    if (cases[i].fit)
      add ("preprocessing", &cases[i], test_preprocessing);
  }
  g_test_add_func ("/families/wrong-size", test_wrong_size);
  g_test_add_func ("/families/size-scales-window", test_size_scales_window);
  return g_test_run ();
}

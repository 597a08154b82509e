/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/hf-config.h"
#include "nn/hf-reader.h"

#define MAX_WORD 256u

enum {
  DO_NORMALIZE,
  IMAGE_MEAN,
  IMAGE_STD,
  DO_RESCALE,
  RESCALE_FACTOR,
  RESAMPLE,
  SIZE,
  DO_CENTER_CROP,
  CROP_SIZE,
  N_PREPROCESSOR_KEYS,
};

static const char *const preprocessor_keys[N_PREPROCESSOR_KEYS] = { "do_normalize", "image_mean",
  "image_std", "do_rescale", "rescale_factor", "resample", "size", "do_center_crop", "crop_size" };

typedef struct {
  gboolean normalise, rescale, centre_crop;
  double rescale_factor;
  guint size, crop_size; /* 0: not said */
  gsize pos[N_PREPROCESSOR_KEYS];
} Preprocessing;

static gboolean
read_three (SeedHfReader *reader, float values[3], gboolean positive)
{
  SeedJson *json = &reader->json;
  guint n = 0;

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    double value;

    if (!seed_json_read_number (json, &value))
      return FALSE;
    if (!isfinite ((float) value) || (positive && (float) value <= 0))
      return seed_json_fail (json, reader->pos, SEED_ERROR_INVALID, "a number out of range");
    if (n < 3)
      values[n] = (float) value;
    n++;
  }
  if (!json->error && n != 3)
    seed_json_fail (json, reader->pos, SEED_ERROR_INVALID, "expected 3 numbers, found %u", n);
  return !json->error;
}

/* The numbers are those of the Python imaging library. */
static gboolean
read_resample (SeedHfReader *reader, const char **interpolation)
{
  guint filter;

  if (!seed_hf_reader_read_uint (reader, &filter))
    return FALSE;
  if (filter != 2 && filter != 3)
    return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
        "filter %u is not supported; 2 (bilinear) and 3 (bicubic) are", filter);
  *interpolation = filter == 2 ? "bilinear" : "bicubic";
  return TRUE;
}

/* 224, [224, 224], {"height": 224, "width": 224} or {"shortest_edge": 224} */
static gboolean
read_size (SeedHfReader *reader, guint *size)
{
  SeedJson *json = &reader->json;
  guint height = 0, width = 0;

  if (seed_json_peek (json) != '{')
    return seed_hf_reader_read_square (reader, size);
  seed_json_open (json, '{');
  while (seed_json_next_member (json, reader->word, MAX_WORD)) {
    const char *key = reader->word->str;

    if (g_str_equal (key, "height") || g_str_equal (key, "shortest_edge"))
      seed_hf_reader_read_uint (reader, &height);
    if (g_str_equal (key, "width"))
      seed_hf_reader_read_uint (reader, &width);
    else if (g_str_equal (key, "shortest_edge"))
      width = height;
    else if (!g_str_equal (key, "height"))
      seed_json_skip (json);
  }
  if (json->error)
    return FALSE;
  if (height != width)
    return seed_hf_reader_fail_not_square (reader);
  *size = height;
  return TRUE;
}

static gboolean
read_preprocessor_key (
    SeedHfReader *reader, guint key, SeedHfConfig *config, Preprocessing *preprocessing)
{
  switch (key) {
  case DO_NORMALIZE:
    return seed_json_read_boolean (&reader->json, &preprocessing->normalise);
  case IMAGE_MEAN:
    return read_three (reader, config->vit.mean, FALSE);
  case IMAGE_STD:
    return read_three (reader, config->vit.std, TRUE);
  case DO_RESCALE:
    return seed_json_read_boolean (&reader->json, &preprocessing->rescale);
  case RESCALE_FACTOR:
    return seed_json_read_number (&reader->json, &preprocessing->rescale_factor);
  case RESAMPLE:
    return read_resample (reader, &config->interpolation);
  case SIZE:
    return read_size (reader, &preprocessing->size);
  case DO_CENTER_CROP:
    return seed_json_read_boolean (&reader->json, &preprocessing->centre_crop);
  case CROP_SIZE:
    return read_size (reader, &preprocessing->crop_size);
  default:
    return seed_json_skip (&reader->json);
  }
}

static gboolean
fail_preprocessing (
    SeedJson *json, const Preprocessing *preprocessing, guint key, SeedErrorCode code, char *reason)
{
  json->kind = "key";
  json->subject = preprocessor_keys[key];
  seed_json_fail (json, preprocessing->pos[key], code, "%s", reason);
  g_free (reason);
  return FALSE;
}

static gboolean
check_preprocessing (const Preprocessing *preprocessing, SeedHfConfig *config, SeedJson *json)
{
  guint size_key = preprocessing->centre_crop && preprocessing->crop_size > 0 ? CROP_SIZE : SIZE;
  guint size = size_key == SIZE ? preprocessing->size : preprocessing->crop_size;

  if (!preprocessing->rescale)
    return fail_preprocessing (json, preprocessing, DO_RESCALE, SEED_ERROR_UNSUPPORTED,
        g_strdup ("only true, the default, is supported"));
  if (fabs (preprocessing->rescale_factor * 255.0 - 1.0) > 1e-6)
    return fail_preprocessing (json, preprocessing, RESCALE_FACTOR, SEED_ERROR_UNSUPPORTED,
        g_strdup ("only 1/255, the default, is supported"));
  if (size > 0 && size != config->vit.image_size)
    return fail_preprocessing (json, preprocessing, size_key, SEED_ERROR_MISMATCH,
        g_strdup_printf ("is %u, but config.json has image_size %u", size, config->vit.image_size));
  for (guint c = 0; c < 3 && !preprocessing->normalise; c++) {
    config->vit.mean[c] = 0;
    config->vit.std[c] = 1;
  }
  return TRUE;
}

gboolean
seed_hf_preprocessor_parse (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  Preprocessing preprocessing = {
    .normalise = TRUE, .rescale = TRUE, .centre_crop = TRUE, .rescale_factor = 1.0 / 255.0
  };
  guint32 seen = 0;
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    guint key = 0;

    while (key < N_PREPROCESSOR_KEYS && !g_str_equal (preprocessor_keys[key], reader.key->str))
      key++;
    if (key < N_PREPROCESSOR_KEYS) {
      preprocessing.pos[key] = reader.pos;
      seed_hf_reader_mark_seen (&reader, key, &seen);
      if (!(seen & (1u << key)))
        key = N_PREPROCESSOR_KEYS; /* null */
    }
    read_preprocessor_key (&reader, key, config, &preprocessing);
  }
  if (seed_json_end (&reader.json))
    check_preprocessing (&preprocessing, config, &reader.json);
  return seed_hf_reader_finish (&reader, error);
}

static void
append_three (GString *text, const char *key, const float values[3])
{
  g_string_append_printf (text, "  \"%s\": [", key);
  for (guint c = 0; c < 3; c++) {
    g_string_append (text, c ? ", " : "");
    seed_json_append_float (text, values[c]);
  }
  g_string_append (text, "],\n");
}

char *
seed_hf_preprocessor_format (const SeedHfFamily *family, const SeedVitConfig *vit)
{
  GString *text = g_string_new ("{\n");

  g_string_append_printf (text, "  \"image_processor_type\": \"%s\",\n", family->image_processor);
  g_string_append (text, "  \"do_normalize\": true,\n  \"do_rescale\": true,\n");
  append_three (text, "image_mean", vit->mean);
  append_three (text, "image_std", vit->std);
  g_string_append (text, "  \"rescale_factor\": ");
  seed_json_append_double (text, 1.0 / 255.0);
  g_string_append_printf (text,
      ",\n  \"do_resize\": true,\n  \"size\": {\"height\": %u, \"width\": %u}\n}\n",
      vit->image_size, vit->image_size);
  return g_string_free (text, FALSE);
}

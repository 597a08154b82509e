/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "nn/hf-config.h"
#include "nn/hf-reader.h"

#define MAX_WORD 256u

enum {
  PROCESSOR_TYPE,
  EXTRACTOR_TYPE,
  DO_NORMALIZE,
  IMAGE_MEAN,
  IMAGE_STD,
  DO_RESCALE,
  RESCALE_FACTOR,
  RESAMPLE,
  DO_RESIZE,
  SIZE,
  DO_CENTER_CROP,
  CROP_SIZE,
  N_PREPROCESSOR_KEYS,
};

static const char *const preprocessor_keys[N_PREPROCESSOR_KEYS] = { "image_processor_type",
  "feature_extractor_type", "do_normalize", "image_mean", "image_std", "do_rescale",
  "rescale_factor", "resample", "do_resize", "size", "do_center_crop", "crop_size" };

#define HALF                                                                                       \
  {                                                                                                \
    0.5f, 0.5f, 0.5f                                                                               \
  }
#define CLIP_MEAN                                                                                  \
  {                                                                                                \
    0.48145466f, 0.4578275f, 0.40821073f                                                           \
  }
#define CLIP_STD                                                                                   \
  {                                                                                                \
    0.26862954f, 0.26130258f, 0.27577711f                                                          \
  }

/* What transformers' image processors do where the file says nothing. A size without a shape, an
 * int, is that of a square or of the shorter side. */
typedef struct {
  const char *name; /* before "ImageProcessor" */
  guint size;
  gboolean shorter_side;
  guint crop_size; /* 0: does not crop, whatever the file says */
  const char *interpolation;
  float mean[3], std[3];
} Processor;

static const Processor processors[] = {
  { "ViT", 224, FALSE, 0, "bilinear", HALF, HALF },
  { "DeiT", 256, FALSE, 224, "bicubic", HALF, HALF },
  { "CLIP", 224, TRUE, 224, "bicubic", CLIP_MEAN, CLIP_STD },
  { "Bit", 224, TRUE, 224, "bicubic", CLIP_MEAN, CLIP_STD },
  { "Siglip", 224, FALSE, 0, "bicubic", HALF, HALF },
};

static const char *const processor_suffixes[] = { "ImageProcessorFast", "ImageProcessor",
  "FeatureExtractor" };

typedef enum {
  UNSAID,
  ONE_NUMBER,
  SQUARE,
  SHORTER_SIDE,
} SizeKind;

typedef struct {
  const Processor *processor;
  gboolean normalise, rescale, resize, centre_crop;
  double rescale_factor;
  SizeKind size_kind, crop_kind; /* a crop is square whatever its kind */
  guint size, crop_size;
  gsize pos[N_PREPROCESSOR_KEYS];
} Preprocessing;

static const Processor *
find_processor (const char *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (processors); i++)
    for (guint s = 0; s < G_N_ELEMENTS (processor_suffixes); s++) {
      const char *name = processors[i].name;

      if (g_str_has_prefix (type, name) &&
          g_str_equal (type + strlen (name), processor_suffixes[s]))
        return &processors[i];
    }
  return NULL;
}

static gboolean
read_processor (SeedHfReader *reader, const Processor **processor)
{
  g_autofree char *shown = NULL;

  if (!seed_json_read_string (&reader->json, reader->word, MAX_WORD))
    return FALSE;
  *processor = find_processor (reader->word->str);
  if (*processor)
    return TRUE;
  shown = seed_json_show (reader->word->str);
  return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
      "%s is not supported; those of ViT, DeiT, CLIP, Bit and Siglip are", shown);
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

static gboolean
read_size_object (SeedHfReader *reader, guint *size, SizeKind *kind)
{
  SeedJson *json = &reader->json;
  guint height = 0, width = 0, edge = 0;

  seed_json_open (json, '{');
  while (seed_json_next_member (json, reader->word, MAX_WORD)) {
    const char *key = reader->word->str;
    guint *value = g_str_equal (key, "height")          ? &height
                   : g_str_equal (key, "width")         ? &width
                   : g_str_equal (key, "shortest_edge") ? &edge
                                                        : NULL;

    if (value)
      seed_hf_reader_read_uint (reader, value);
    else
      seed_json_skip (json);
  }
  if (json->error)
    return FALSE;
  if (height != width)
    return seed_hf_reader_fail_not_square (reader);
  if (edge == 0 && height == 0)
    return seed_json_fail (
        json, reader->pos, SEED_ERROR_UNSUPPORTED, "expected height and width, or shortest_edge");
  *size = edge > 0 ? edge : height;
  *kind = edge > 0 ? SHORTER_SIDE : SQUARE;
  return TRUE;
}

/* 224, [224, 224], {"height": 224, "width": 224} or {"shortest_edge": 224} */
static gboolean
read_size (SeedHfReader *reader, guint *size, SizeKind *kind)
{
  char first = seed_json_peek (&reader->json);

  if (first == '{')
    return read_size_object (reader, size, kind);
  *kind = first == '[' ? SQUARE : ONE_NUMBER;
  return seed_hf_reader_read_square (reader, size);
}

static gboolean
read_preprocessor_key (
    SeedHfReader *reader, guint key, SeedHfConfig *config, Preprocessing *preprocessing)
{
  switch (key) {
  case PROCESSOR_TYPE:
  case EXTRACTOR_TYPE:
    return read_processor (reader, &preprocessing->processor);
  case DO_NORMALIZE:
    return seed_json_read_boolean (&reader->json, &preprocessing->normalise);
  case IMAGE_MEAN:
    return seed_hf_reader_read_three (reader, config->vit.mean, FALSE);
  case IMAGE_STD:
    return seed_hf_reader_read_three (reader, config->vit.std, TRUE);
  case DO_RESCALE:
    return seed_json_read_boolean (&reader->json, &preprocessing->rescale);
  case RESCALE_FACTOR:
    return seed_json_read_number (&reader->json, &preprocessing->rescale_factor);
  case RESAMPLE:
    return read_resample (reader, &config->images.interpolation);
  case DO_RESIZE:
    return seed_json_read_boolean (&reader->json, &preprocessing->resize);
  case SIZE:
    return read_size (reader, &preprocessing->size, &preprocessing->size_kind);
  case DO_CENTER_CROP:
    return seed_json_read_boolean (&reader->json, &preprocessing->centre_crop);
  case CROP_SIZE:
    return read_size (reader, &preprocessing->crop_size, &preprocessing->crop_kind);
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

/* Where the file is silent the processor is not. */
static void
fill_in_sizes (Preprocessing *preprocessing, guint32 seen, const SeedHfConfig *config)
{
  const Processor *processor = preprocessing->processor;

  if (processor->crop_size == 0)
    preprocessing->centre_crop = FALSE;
  if (preprocessing->size_kind == UNSAID || preprocessing->size_kind == ONE_NUMBER)
    preprocessing->size_kind = processor->shorter_side ? SHORTER_SIDE : SQUARE;
  if (!(seen & (1u << SIZE)) && !(seen & (1u << CROP_SIZE)) && !config->family->any_size) {
    /* a processor saved without sizes is one whose defaults fitted, or that nobody looked at */
    gboolean fits = processor->crop_size == config->native_size;

    preprocessing->size = fits ? processor->size : config->native_size;
    preprocessing->crop_size = config->native_size;
    return;
  }
  if (!(seen & (1u << SIZE)))
    preprocessing->size = MAX (processor->size, preprocessing->crop_size);
  if (!(seen & (1u << CROP_SIZE)))
    preprocessing->crop_size = MIN (processor->crop_size, preprocessing->size);
}

static void
fill_in_colours (const Preprocessing *preprocessing, guint32 seen, SeedHfConfig *config)
{
  const Processor *processor = preprocessing->processor;

  if (!(seen & (1u << RESAMPLE)))
    config->images.interpolation = processor->interpolation;
  if (!(seen & (1u << IMAGE_MEAN)))
    memcpy (config->vit.mean, processor->mean, sizeof processor->mean);
  if (!(seen & (1u << IMAGE_STD)))
    memcpy (config->vit.std, processor->std, sizeof processor->std);
}

static gboolean
check_numbers (const Preprocessing *preprocessing, SeedJson *json)
{
  if (!preprocessing->rescale)
    return fail_preprocessing (json, preprocessing, DO_RESCALE, SEED_ERROR_UNSUPPORTED,
        g_strdup ("only true, the default, is supported"));
  if (fabs (preprocessing->rescale_factor * 255.0 - 1.0) > 1e-6)
    return fail_preprocessing (json, preprocessing, RESCALE_FACTOR, SEED_ERROR_UNSUPPORTED,
        g_strdup ("only 1/255, the default, is supported"));
  return TRUE;
}

/* What the model is given must be what it was made for, or what it resamples its positions to. */
static gboolean
decide_size (const Preprocessing *preprocessing, SeedHfConfig *config, SeedJson *json)
{
  SeedHfImages *images = &config->images;
  guint size_key = preprocessing->centre_crop ? CROP_SIZE : SIZE;
  guint given = preprocessing->centre_crop ? preprocessing->crop_size : preprocessing->size;

  if (!preprocessing->resize) {
    images->interpolation = NULL;
    return TRUE;
  }
  if (preprocessing->centre_crop && given > preprocessing->size)
    return fail_preprocessing (json, preprocessing, CROP_SIZE, SEED_ERROR_UNSUPPORTED,
        g_strdup_printf (
            "is %u, more than the size %u that images are resized to", given, preprocessing->size));
  if (given != config->native_size && !config->family->any_size)
    return fail_preprocessing (json, preprocessing, size_key, SEED_ERROR_MISMATCH,
        g_strdup_printf ("is %u, but config.json has image_size %u", given, config->native_size));
  images->fit = preprocessing->size_kind == SHORTER_SIDE ? "crop" : "squash";
  images->resize_size = preprocessing->size;
  images->crop_size = given;
  return TRUE;
}

static gboolean
check_preprocessing (
    Preprocessing *preprocessing, guint32 seen, SeedHfConfig *config, SeedJson *json)
{
  fill_in_sizes (preprocessing, seen, config);
  fill_in_colours (preprocessing, seen, config);
  for (guint c = 0; c < 3 && !preprocessing->normalise; c++) {
    config->vit.mean[c] = 0;
    config->vit.std[c] = 1;
  }
  return check_numbers (preprocessing, json) && decide_size (preprocessing, config, json);
}

gboolean
seed_hf_preprocessor_parse (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  const char *type = config->family->image_processor;
  Preprocessing preprocessing = { .normalise = TRUE,
    .rescale = TRUE,
    .resize = TRUE,
    .centre_crop = TRUE,
    .rescale_factor = 1.0 / 255.0 };
  guint32 seen = 0;
  SeedHfReader reader;

  if (!type) /* a family that says all of this in config.json */
    return TRUE;
  preprocessing.processor = find_processor (type);
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
    check_preprocessing (&preprocessing, seen, config, &reader.json);
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

static gboolean
fail_images (const SeedVitConfig *vit, const SeedHfImages *images, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "images resized to %u pixels, of which %u are cut out and %u used, cannot be asked of an "
      "image processor",
      images->resize_size, images->crop_size, vit->image_size);
  return FALSE;
}

/* Which processor makes images so: the whole image squashed (ViT), squashed and cut (DeiT), or its
 * shorter side resized and cut (BiT, as DINOv2 has it). */
static gboolean
append_sizes (GString *text, const SeedVitConfig *vit, const SeedHfImages *images, GError **error)
{
  gboolean keeps_aspect = g_strcmp0 (images->fit, "crop") == 0;
  gboolean cuts = keeps_aspect || images->resize_size != images->crop_size;

  if (images->crop_size != vit->image_size)
    return fail_images (vit, images, error);
  g_string_append_printf (text, "  \"image_processor_type\": \"%sImageProcessor\",\n",
      keeps_aspect ? "Bit"
      : cuts       ? "DeiT"
                   : "ViT");
  if (keeps_aspect)
    g_string_append_printf (text, "  \"size\": {\"shortest_edge\": %u},\n", images->resize_size);
  else
    g_string_append_printf (text, "  \"size\": {\"height\": %u, \"width\": %u},\n",
        images->resize_size, images->resize_size);
  if (cuts)
    g_string_append_printf (text,
        "  \"do_center_crop\": true,\n  \"crop_size\": {\"height\": %u, \"width\": %u},\n",
        images->crop_size, images->crop_size);
  return TRUE;
}

char *
seed_hf_preprocessor_format_images (
    const SeedVitConfig *vit, const SeedHfImages *images, GError **error)
{
  g_autoptr (GString) text = g_string_new ("{\n");

  if (!append_sizes (text, vit, images, error))
    return NULL;
  g_string_append_printf (
      text, "  \"resample\": %d,\n", g_strcmp0 (images->interpolation, "bicubic") == 0 ? 3 : 2);
  append_three (text, "image_mean", vit->mean);
  append_three (text, "image_std", vit->std);
  g_string_append (text, "  \"do_resize\": true,\n  \"do_normalize\": true,\n"
                         "  \"do_rescale\": true,\n  \"rescale_factor\": ");
  seed_json_append_double (text, 1.0 / 255.0);
  g_string_append (text, "\n}\n");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* SPDX-License-Identifier: MIT */
/*
 * Scene cuts and near-duplicates of one clip, for cuts.py:
 *   bench-cuts SIGNATURE CLIP [MODEL]
 * SIGNATURE: colour     a histogram of 16 x 4 x 4 bins of Y'CbCr
 *            thumbnail  the same, and 16 x 16 pixels without their mean as an embedding
 *            random     anchors and CLS of a mini student with seeded random weights
 *            model      anchors and embedding of a student's checkpoint MODEL that learned anchors
 * prints one JSON object: frames, cuts [[frame, distance, threshold], ..], duplicates, distances.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include "anchors/anchors.h"
#include "anchors/cuts.h"
#include "anchors/duplicates.h"
#include "nn/checkpoint.h"

#define SIDE 128 /* pixels of frames, unless a model says otherwise */
#define BINS 256
#define THUMB 16
#define REMEMBERED 256 /* distinct frames */
#define PATIENCE 20    /* seconds for a frame */
#define RANDOM_STD 8.0 /* of weights, in units of a training start: rows should differ */

typedef struct {
  SeedVitConfig config;
  SeedAnchorsShape shape;
  SeedParams params;
  float *values;
  SeedVit *vit;
  SeedAnchors *anchors;
  const SeedParam *head, *head_bias; /* embed head, or NULL: CLS itself */
  float scale[3], shift[3];
  guint8 *words;
} Model;

typedef struct {
  gboolean thumbnail;
  Model *model;
  guint side, embedding_size;
  float *histogram, *embedding;
  guint8 *rgb; /* [side, side, 3] */
} Signer;

static G_GNUC_NORETURN void
die (const char *what, const char *why)
{
  fprintf (stderr, "bench-cuts: %s: %s\n", what, why);
  exit (1);
}

/* Pixels */

static void
colour_histogram (const Signer *s)
{
  guint n = s->side * s->side;

  memset (s->histogram, 0, BINS * sizeof *s->histogram);
  for (guint i = 0; i < n; i++) {
    const guint8 *p = s->rgb + 3 * i;
    int y = (77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8;
    int cb = 128 + ((p[2] - y) * 144 >> 8), cr = 128 + ((p[0] - y) * 183 >> 8);

    s->histogram[(y >> 4) * 16 + CLAMP ((cb - 64) >> 5, 0, 3) * 4 + CLAMP ((cr - 64) >> 5, 0, 3)] +=
        1.0f / (float) n;
  }
}

static void
thumbnail (const Signer *s)
{
  guint block = s->side / THUMB;
  double mean = 0;

  memset (s->embedding, 0, s->embedding_size * sizeof *s->embedding);
  for (guint y = 0; y < block * THUMB; y++)
    for (guint x = 0; x < block * THUMB; x++)
      for (guint c = 0; c < 3; c++)
        s->embedding[((y / block) * THUMB + x / block) * 3 + c] +=
            s->rgb[(y * s->side + x) * 3 + c];
  for (guint i = 0; i < s->embedding_size; i++)
    mean += (double) s->embedding[i] / s->embedding_size;
  for (guint i = 0; i < s->embedding_size; i++)
    s->embedding[i] -= (float) mean - 1; /* a plain picture keeps a length */
}

/* Models */

static void
model_workspace (Model *m)
{
  SeedAnchorsConfig config;
  GError *error = NULL;

  seed_anchors_config_init (&config);
  seed_vit_config_normalisation (&m->config, m->scale, m->shift);
  m->vit = seed_vit_new (&m->config, &m->params, 1, FALSE, &error);
  if (m->vit)
    m->anchors = seed_anchors_new (&m->shape, &config, &m->params, 1, 0, NULL, &error);
  if (!m->anchors)
    die ("model", error->message);
  seed_anchors_normalise (m->anchors, m->values);
  seed_vit_pack (m->vit, m->values);
  m->words = g_malloc (3 * (gsize) m->config.image_size * m->config.image_size);
}

static void
model_random (Model *m)
{
  SeedRng rng;

  seed_vit_config_for_size (&m->config, "mini", SIDE);
  seed_anchors_shape_init (&m->shape, &m->config);
  seed_params_init (&m->params);
  seed_vit_append_params (&m->config, &m->params);
  seed_anchors_append_params (&m->shape, &m->params);
  m->values = g_aligned_alloc0 (m->params.total, sizeof (float), 64);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&m->params, m->values, &rng);
  for (guint i = 0; i < m->params.n; i++) {
    const SeedParam *param = &m->params.items[i];

    for (gsize k = 0; param->n_dims == 2 && k < param->size; k++)
      m->values[param->offset + k] *= (float) RANDOM_STD;
  }
  model_workspace (m);
}

/* What a student that learns anchors saves: embed head, then anchors. */
static void
model_load (Model *m, const char *folder)
{
  SeedExtraTensor extras[2 + SEED_ANCHORS_N_TENSORS] = {
    { "embed_head.weight", TRUE, 2, { 0 } },
    { "embed_head.bias", FALSE, 1, { 0 } },
  };
  const SeedParam *anchors, *hidden, *mlp;
  SeedCheckpoint checkpoint;
  GError *error = NULL;

  memcpy (extras + 2, seed_anchors_tensors, sizeof seed_anchors_tensors);
  if (!seed_checkpoint_load (&checkpoint, folder, extras, G_N_ELEMENTS (extras), &error))
    die (folder, error->message);
  m->config = checkpoint.config;
  m->params = checkpoint.params;
  m->values = checkpoint.values;
  anchors = seed_params_lookup (&m->params, "anchors");
  hidden = seed_params_lookup (&m->params, "anchor_head.fc1.weight");
  mlp = seed_params_lookup (&m->params, "anchor_cross.fc1.weight");
  m->head = seed_params_lookup (&m->params, "embed_head.weight");
  m->head_bias = seed_params_lookup (&m->params, "embed_head.bias");
  seed_anchors_shape_init (&m->shape, &m->config);
  m->shape.n_anchors = (guint) anchors->shape[0];
  m->shape.anchor_dim = (guint) anchors->shape[1];
  m->shape.head_dim = (guint) hidden->shape[0];
  m->shape.mlp_dim = (guint) mlp->shape[0];
  model_workspace (m);
}

static void
model_sign (const Signer *s)
{
  Model *m = s->model;
  guint patch = m->config.patch_size, grid = s->side / patch, d = m->config.dim;
  guint before = seed_vit_config_n_prefix (&m->config);
  const float *rows;
  SeedAnchorsRows words;

  for (guint y = 0; y < s->side; y++)
    for (guint x = 0; x < s->side; x++)
      for (guint c = 0; c < 3; c++) {
        gsize word = (y / patch) * grid + x / patch;

        m->words[((word * 3 + c) * patch + y % patch) * patch + x % patch] =
            s->rgb[(y * s->side + x) * 3 + c];
      }
  rows = seed_vit_run (m->vit, m->scale, m->shift, m->words, 1);
  words = (SeedAnchorsRows){ rows + before * d, (gsize) (before + grid * grid) * d };
  seed_anchors_describe (m->anchors, m->values, &words, 1, s->histogram, NULL);
  if (!m->head) {
    memcpy (s->embedding, rows, d * sizeof *rows);
    return;
  }
  memcpy (s->embedding, m->values + m->head_bias->offset, s->embedding_size * sizeof *rows);
  cblas_sgemv (CblasRowMajor, CblasNoTrans, (int) s->embedding_size, (int) d, 1,
      m->values + m->head->offset, (int) d, rows, 1, 1, s->embedding, 1);
}

static guint
signer_init (Signer *s, const char *name, const char *folder)
{
  guint bins = BINS;

  *s = (Signer){ .side = SIDE };
  if (g_str_equal (name, "thumbnail")) {
    s->thumbnail = TRUE;
    s->embedding_size = THUMB * THUMB * 3;
  } else if (g_str_equal (name, "random") || g_str_equal (name, "model")) {
    s->model = g_new0 (Model, 1);
    if (g_str_equal (name, "random"))
      model_random (s->model);
    else if (folder)
      model_load (s->model, folder);
    else
      die (name, "no folder of a checkpoint is given");
    s->side = s->model->config.image_size;
    bins = s->model->shape.n_anchors;
    s->embedding_size = s->model->head ? (guint) s->model->head->shape[0] : s->model->config.dim;
  } else if (!g_str_equal (name, "colour")) {
    die (name, "no such signature; use colour, thumbnail, random or model");
  }
  s->histogram = g_new0 (float, bins);
  s->embedding = g_new0 (float, MAX (s->embedding_size, 1));
  s->rgb = g_malloc (3 * (gsize) s->side * s->side);
  return bins;
}

static void
sign (const Signer *s)
{
  if (s->model) {
    model_sign (s);
    return;
  }
  colour_histogram (s);
  if (s->thumbnail)
    thumbnail (s);
}

/* Frames */

static GstElement *
open_clip (const char *clip, guint side)
{
  g_autofree char *text = g_strdup_printf (
      "filesrc name=file ! decodebin ! videoconvert ! videoscale method=lanczos add-borders=false "
      "! "
      "video/x-raw,format=RGB,width=%u,height=%u,pixel-aspect-ratio=1/1 ! appsink name=sink "
      "sync=false max-buffers=4",
      side, side);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (text, &error);
  g_autoptr (GstElement) file = NULL;

  if (!pipeline)
    die (clip, error->message);
  file = gst_bin_get_by_name (GST_BIN (pipeline), "file");
  g_object_set (file, "location", clip, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  return pipeline;
}

/* The error a pipeline has stopped with, or NULL. */
static char *
pipeline_error (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;

  if (!message)
    return NULL;
  gst_message_parse_error (message, &error, NULL);
  return g_strdup (error->message);
}

/* NULL at the end of the clip. */
static GstSample *
next_sample (GstElement *pipeline, GstAppSink *sink, const char *clip)
{
  for (guint i = 0; i < PATIENCE; i++) {
    GstSample *sample = gst_app_sink_try_pull_sample (sink, GST_SECOND);
    char *error;

    if (sample || gst_app_sink_is_eos (sink))
      return sample;
    error = pipeline_error (pipeline);
    if (error)
      die (clip, error);
  }
  die (clip, "no frame for a long time");
}

static gboolean
next_frame (GstElement *pipeline, GstAppSink *sink, const char *clip, guint side, guint8 *rgb)
{
  g_autoptr (GstSample) sample = next_sample (pipeline, sink, clip);
  GstVideoFrame frame;
  GstVideoInfo info;

  if (!sample || !gst_video_info_from_caps (&info, gst_sample_get_caps (sample)) ||
      !gst_video_frame_map (&frame, &info, gst_sample_get_buffer (sample), GST_MAP_READ))
    return FALSE;
  for (guint y = 0; y < side; y++)
    memcpy (rgb + 3 * (gsize) y * side,
        (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, 0) +
            y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0),
        3 * side);
  gst_video_frame_unmap (&frame);
  return TRUE;
}

static void
print_cut (const SeedCut *cut, guint *n)
{
  printf ("%s[%" G_GUINT64_FORMAT ", %.4f, %.4f]", (*n)++ ? ", " : "", cut->frame, cut->distance,
      cut->threshold);
}

int
main (int argc, char **argv)
{
  g_autoptr (SeedDuplicates) duplicates = NULL;
  g_autoptr (GString) distances = g_string_new (NULL);
  g_autoptr (SeedCuts) cuts = NULL;
  g_autoptr (GstElement) sink = NULL;
  GstElement *pipeline;
  SeedCutsConfig config;
  guint bins, frames = 0, n_cuts = 0, n_duplicates = 0;
  GError *error = NULL;
  Signer signer;
  SeedCut cut;

  gst_init (&argc, &argv);
  if (argc < 3 || argc > 4) {
    fprintf (stderr, "usage: bench-cuts colour|thumbnail|random|model CLIP [MODEL]\n");
    return 2;
  }
  bins = signer_init (&signer, argv[1], argc > 3 ? argv[3] : NULL);
  seed_cuts_config_init (&config, bins, signer.embedding_size);
  cuts = seed_cuts_new (&config, &error);
  if (!cuts)
    die ("cuts", error->message);
  duplicates = seed_duplicates_new (bins, REMEMBERED, SEED_DUPLICATES_COSINE);
  pipeline = open_clip (argv[2], signer.side);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");

  printf ("{\"cuts\": [");
  for (; next_frame (pipeline, GST_APP_SINK (sink), argv[2], signer.side, signer.rgb); frames++) {
    sign (&signer);
    if (seed_cuts_push (cuts, signer.histogram, signer.embedding, &cut))
      print_cut (&cut, &n_cuts);
    g_string_append_printf (distances, "%s%.4f", frames ? ", " : "", seed_cuts_get_distance (cuts));
    seed_histogram_root (signer.histogram, bins, signer.histogram);
    n_duplicates += seed_duplicates_push (duplicates, signer.histogram, frames, NULL, NULL);
  }
  while (seed_cuts_flush (cuts, &cut))
    print_cut (&cut, &n_cuts);
  printf ("], \"frames\": %u, \"duplicates\": %u, \"distances\": [%s]}\n", frames, n_duplicates,
      distances->str);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return frames > 0 ? 0 : 1;
}

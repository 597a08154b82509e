/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <gst/video/video.h>

#include "graph/pads.h"
#include "seed-run.h"

#define PATCHES "application/x-seed-patches"
#define FEATURES "application/x-seed-features"
#define AFFINITY "application/x-seed-affinity"

/* A number in caps that may still be open: exactly, at most, or anything. */
typedef struct {
  gint64 max; /* -1: not said */
  gboolean exact;
} Dimension;

static Dimension
dimension (const GstStructure *s, const char *field)
{
  const GValue *value = gst_structure_get_value (s, field);

  if (value && G_VALUE_HOLDS_INT (value))
    return (Dimension){ g_value_get_int (value), TRUE };
  if (value && GST_VALUE_HOLDS_INT_RANGE (value))
    return (Dimension){ gst_value_get_int_range_max (value), FALSE };
  return (Dimension){ -1, FALSE };
}

static Dimension
exactly (gint64 n)
{
  return (Dimension){ n, TRUE };
}

static Dimension
times (Dimension a, Dimension b)
{
  return (Dimension){ a.max < 0 || b.max < 0 ? -1 : a.max * b.max, a.exact && b.exact };
}

static Dimension
square_ratio (Dimension a, Dimension b)
{
  if (!a.exact || !b.exact || b.max <= 0)
    return (Dimension){ -1, FALSE };
  return exactly ((a.max / b.max) * (a.max / b.max));
}

/* "[<=32, 2, 196, 768]"; an open number is a "?". @bytes: of the whole, 0 when open. */
static char *
describe_shape (const char *dtype, guint item_size, const Dimension *shape, guint n, gint64 *bytes)
{
  GString *text = g_string_new (dtype);
  gint64 size = item_size;

  g_string_append (text, " [");
  for (guint i = 0; i < n; i++) {
    /* The first is the batch: what the caps say is its most. */
    gboolean known = shape[i].max >= 0 && (shape[i].exact || i == 0);

    size = known ? size * shape[i].max : 0;
    if (known)
      g_string_append_printf (
          text, "%s%s%" G_GINT64_FORMAT, i ? ", " : "", i ? "" : "<=", shape[i].max);
    else
      g_string_append_printf (text, "%s?", i ? ", " : "");
  }
  g_string_append_c (text, ']');
  *bytes += size;
  return g_string_free (text, FALSE);
}

static char *
describe_patches (const GstStructure *s, gint64 *bytes)
{
  Dimension side = dimension (s, "patch-size");
  Dimension shape[] = { dimension (s, "batch"), dimension (s, "views"),
    square_ratio (dimension (s, "image-size"), side), times (exactly (3), times (side, side)) };

  return describe_shape ("uint8", 1, shape, G_N_ELEMENTS (shape), bytes);
}

static char *
describe_features (const GstStructure *s, gint64 *bytes)
{
  Dimension grid = dimension (s, "grid"), token_dim = dimension (s, "token-dim");
  Dimension summary[] = { dimension (s, "batch"), dimension (s, "views"),
    dimension (s, "summary-dim") };
  Dimension tokens[] = { summary[0], summary[1], times (grid, grid), token_dim };
  g_autofree char *first = describe_shape ("float32", 4, summary, G_N_ELEMENTS (summary), bytes);
  g_autofree char *second = NULL;

  if (token_dim.exact && token_dim.max == 0)
    return g_steal_pointer (&first);
  second = describe_shape ("float32", 4, tokens, G_N_ELEMENTS (tokens), bytes);
  return g_strdup_printf ("%s, tokens %s", first, second);
}

static char *
describe_affinity (const GstStructure *s, gint64 *bytes)
{
  Dimension shape[] = { dimension (s, "batch"), dimension (s, "batch") };

  return describe_shape ("float32", 4, shape, G_N_ELEMENTS (shape), bytes);
}

/* What one buffer holds, "" for what is no tensor; @bytes is 0 when that is not known yet. */
static char *
describe_tensors (const GstCaps *caps, gint64 *bytes)
{
  const GstStructure *s = gst_caps_is_any (caps) ? NULL : gst_caps_get_structure (caps, 0);
  GstVideoInfo video;

  *bytes = 0;
  if (s && gst_structure_has_name (s, PATCHES))
    return describe_patches (s, bytes);
  if (s && gst_structure_has_name (s, FEATURES))
    return describe_features (s, bytes);
  if (s && gst_structure_has_name (s, AFFINITY))
    return describe_affinity (s, bytes);
  if (s && gst_caps_is_fixed (caps) && gst_structure_has_name (s, "video/x-raw") &&
      gst_video_info_from_caps (&video, caps))
    *bytes = (gint64) GST_VIDEO_INFO_SIZE (&video);
  return g_strdup ("");
}

static void
print_queue (const SeedPipelineLink *link, gint64 bytes)
{
  const SeedPlanLink *plan = link->plan;
  g_autofree char *size =
      bytes ? g_format_size_full ((guint64) (bytes * plan->frames), G_FORMAT_SIZE_IEC_UNITS) : NULL;

  printf ("    queue   %u %s, %s%s%s\n", plan->frames, plan->batches ? "batches" : "frames",
      plan->leak == SEED_LEAK_NONE  ? "waits when full"
      : plan->leak == SEED_LEAK_OLD ? "drops the oldest when full"
                                    : "drops the newest when full",
      size ? ", up to " : "", size ? size : "");
}

static void
report_mismatch (const SeedPipelineLink *link, const GstCaps *gives, const GstCaps *takes,
    SeedDiagnostics *diagnostics)
{
  const SeedPlanLink *plan = link->plan;
  g_autofree char *gives_text = seed_caps_describe (gives),
                  *takes_text = seed_caps_describe (takes);

  seed_diagnostics_add (diagnostics,
      g_array_index (plan->to->inputs, SeedGraphInput, plan->input).mark,
      "'%s' cannot be linked to '%s': it gives %s, expected %s", plan->from->name, plan->to->name,
      gives_text, takes_text);
}

/* Bytes the link's queue may hold, 0 when not known. */
static gint64
report_link (const SeedPipelineLink *link, SeedDiagnostics *diagnostics)
{
  g_autoptr (GstCaps) gives =
      link->src ? gst_pad_query_caps (link->src, NULL) : gst_caps_new_any ();
  g_autoptr (GstCaps) takes = gst_pad_query_caps (link->sink, NULL);
  g_autoptr (GstCaps) common = gst_caps_intersect (gives, takes);
  const SeedGraphInput *input =
      &g_array_index (link->plan->to->inputs, SeedGraphInput, link->plan->input);
  g_autofree char *tensors = NULL, *caps = NULL;
  gint64 bytes;

  if (gst_caps_is_empty (common)) {
    report_mismatch (link, gives, takes, diagnostics);
    return 0;
  }
  tensors = describe_tensors (common, &bytes);
  caps = seed_caps_describe (common);
  printf ("%s -> %s%s%s%s\n    caps    %s\n", link->plan->from->name, link->plan->to->name,
      input->pad ? " (" : "", input->pad ? input->key : "", input->pad ? ")" : "", caps);
  if (*tensors)
    printf ("    tensors %s\n", tensors);
  print_queue (link, bytes);
  return bytes * link->plan->frames;
}

static guint64
report_model (const SeedPipelineStage *stage)
{
  g_autoptr (GstStructure) stats = seed_run_element_stats (stage->element);
  const GValue *value = stats ? gst_structure_get_value (stats, "memory-bytes") : NULL;
  GValue bytes = G_VALUE_INIT;
  g_autofree char *size = NULL;
  const char *choice;
  guint64 n;

  if (!value || !g_value_type_transformable (G_VALUE_TYPE (value), G_TYPE_UINT64))
    return 0;
  g_value_init (&bytes, G_TYPE_UINT64);
  g_value_transform (value, &bytes);
  n = g_value_get_uint64 (&bytes);
  g_value_unset (&bytes);
  size = g_format_size_full (n, G_FORMAT_SIZE_IEC_UNITS);
  choice = gst_structure_get_string (stats, "multiplies");
  if (n)
    printf ("    %s: %s%s%s\n", GST_OBJECT_NAME (stage->element), size, choice ? "; " : "",
        choice ? choice : "");
  return n;
}

gboolean
seed_run_report (SeedRun *run, SeedDiagnostics *diagnostics)
{
  const SeedPipeline *pipeline = run->pipeline;
  g_autofree char *models_size = NULL, *queues_size = NULL;
  guint64 models = 0, queues = 0;
  guint open = 0;

  printf ("graph %s: %u nodes, %u links\n", run->graph->name, run->graph->nodes->len,
      pipeline->links->len);
  for (guint i = 0; i < pipeline->links->len; i++) {
    gint64 bytes = report_link (&g_array_index (pipeline->links, SeedPipelineLink, i), diagnostics);

    queues += (guint64) bytes;
    open += bytes == 0;
  }
  if (seed_diagnostics_count (diagnostics))
    return FALSE;
  printf ("memory\n");
  for (guint i = 0; i < pipeline->stages->len; i++)
    models += report_model (&g_array_index (pipeline->stages, SeedPipelineStage, i));
  models_size = g_format_size_full (models, G_FORMAT_SIZE_IEC_UNITS);
  queues_size = g_format_size_full (queues, G_FORMAT_SIZE_IEC_UNITS);
  printf ("    models: %s\n    queues: up to %s", models_size, queues_size);
  if (open)
    printf (", and %u more that hold buffers of a size not known yet", open);
  printf ("\n");
  return TRUE;
}

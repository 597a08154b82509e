/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "seedctl-eval.h"

static gboolean
take_frame (const SeedctlFrame *frame, gpointer data, GError **error)
{
  SeedctlFeatures *features = data;
  guint item = features->labels->len;

  if (features->set.dim > 0)
    g_array_append_vals (features->rows, frame->summary, features->set.dim);
  g_array_append_val (features->labels, frame->label);
  g_array_append_val (features->frames, frame->frame);
  for (guint i = 0; i < frame->n_captions; i++) {
    g_ptr_array_add (features->captions, g_strdup (frame->captions[i]));
    g_array_append_val (features->owners, item);
  }
  return TRUE;
}

static GstElement *
make_source (const SeedctlEvalOptions *options, const SeedctlDataOptions *data, GError **error)
{
  GstElement *source = gst_element_factory_make ("seedimagesrc", "images");

  if (!source) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "the elements of SEED are not installed");
    return NULL;
  }
  /* the order matters where a part of the set is asked for, and nowhere else */
  g_object_set (source, "location", data->location, "captions", data->captions, "shuffle",
      options->limit > 0, "seed", (guint64) options->seed, "epochs", (guint64) 1, NULL);
  if (data->labels)
    g_object_set (source, "labels", data->labels, NULL);
  return source;
}

/* What is known of the set while its source runs. */
typedef struct {
  SeedctlFeatures *features;
  GstElement *source;
  SeedctlFrameFunc func; /* of a task that looks at frames itself, or NULL */
  gpointer func_data;
} Taking;

static gboolean
take_first (const SeedctlFrame *frame, gpointer data, GError **error)
{
  Taking *taking = data;
  SeedctlFeatures *features = taking->features;

  if (!features->classes) {
    g_autoptr (GstStructure) stats = NULL;

    g_object_get (taking->source, "classes", &features->classes, "stats", &stats, NULL);
    gst_structure_get_uint (stats, "images", &features->n_images);
    if (!features->classes)
      features->classes = g_new0 (char *, 1);
  }
  return take_frame (frame, features, error) &&
         (!taking->func || taking->func (frame, taking->func_data, error));
}

static gboolean
finish (SeedctlFeatures *features, const SeedctlDataOptions *data, guint limit, GError **error)
{
  guint wanted = limit > 0 ? MIN (limit, features->n_images) : features->n_images;

  features->set.rows = (const float *) features->rows->data;
  features->set.labels = (const gint32 *) features->labels->data;
  features->set.n = features->labels->len;
  features->n_skipped = wanted > features->set.n ? wanted - features->set.n : 0;
  if (features->set.n == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "%s: gave no image", data->location);
    return FALSE;
  }
  if (features->set.dim > 0 && !seed_eval_normalise ((float *) features->rows->data,
                                   features->set.n, features->set.dim, error)) {
    g_prefix_error (error, "%s: ", data->location);
    return FALSE;
  }
  return TRUE;
}

/* @dim: of the vectors that are kept, 0: none are. */
static gboolean
run_set (SeedctlFeatures *features, const SeedctlModel *model, const SeedctlEvalOptions *options,
    const SeedctlDataOptions *data, SeedctlParts parts, guint dim, Taking *taking, GError **error)
{
  GstElement *source = make_source (options, data, error);
  gint64 start = g_get_monotonic_time ();
  gboolean ok;

  *features = (SeedctlFeatures){ .set = { .dim = dim } };
  features->rows = g_array_new (FALSE, FALSE, sizeof (float));
  features->labels = g_array_new (FALSE, FALSE, sizeof (gint32));
  features->frames = g_array_new (FALSE, FALSE, sizeof (guint64));
  features->captions = g_ptr_array_new_with_free_func (g_free);
  features->owners = g_array_new (FALSE, FALSE, sizeof (guint));
  if (!source)
    return FALSE;
  taking->features = features;
  taking->source = gst_object_ref (source);
  ok = seedctl_run_frames (
      model, options, source, parts, (guint) options->limit, take_first, taking, error);
  gst_object_unref (source);
  features->seconds = (double) (g_get_monotonic_time () - start) / G_TIME_SPAN_SECOND;
  return ok && finish (features, data, (guint) options->limit, error);
}

gboolean
seedctl_features_extract (SeedctlFeatures *features, const SeedctlModel *model,
    const SeedctlEvalOptions *options, const SeedctlDataOptions *data, GError **error)
{
  Taking taking = { 0 };

  return run_set (features, model, options, data, SEEDCTL_SUMMARY, model->dim, &taking, error);
}

gboolean
seedctl_features_visit (SeedctlFeatures *features, const SeedctlModel *model,
    const SeedctlEvalOptions *options, const SeedctlDataOptions *data, SeedctlParts parts,
    SeedctlFrameFunc func, gpointer func_data, GError **error)
{
  Taking taking = { .func = func, .func_data = func_data };

  return run_set (features, model, options, data, parts, 0, &taking, error);
}

static int
find_class (char **classes, const char *name)
{
  for (int i = 0; classes[i]; i++) {
    if (strcmp (classes[i], name) == 0)
      return i;
  }
  return -1;
}

gboolean
seedctl_features_align (SeedctlFeatures *test, const SeedctlFeatures *train, GError **error)
{
  guint n = g_strv_length (test->classes);

  if (n == 0 || !train->classes[0])
    return TRUE; /* numbers mean themselves */
  for (guint i = 0; i < test->set.n; i++) {
    gint32 *label = &g_array_index (test->labels, gint32, i);
    int found;

    if (*label < 0 || (guint) *label >= n)
      continue;
    found = find_class (train->classes, test->classes[*label]);
    if (found < 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "the test set has a class \"%s\" that the training set has not", test->classes[*label]);
      return FALSE;
    }
    *label = found;
  }
  return TRUE;
}

void
seedctl_features_clear (SeedctlFeatures *features)
{
  g_clear_pointer (&features->rows, g_array_unref);
  g_clear_pointer (&features->labels, g_array_unref);
  g_clear_pointer (&features->frames, g_array_unref);
  g_clear_pointer (&features->captions, g_ptr_array_unref);
  g_clear_pointer (&features->owners, g_array_unref);
  g_clear_pointer (&features->classes, g_strfreev);
}

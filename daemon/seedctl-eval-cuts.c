/* SPDX-License-Identifier: MIT */
#include <seed/anchors-meta.h>

#include "anchors/cuts.h"
#include "eval/clips.h"
#include "eval/cutscore.h"
#include "seedctl-eval.h"
#include "seedctl.h"

typedef struct {
  SeedCuts *cuts;
  GArray *found; /* guint64 */
  guint n_frames;
} Watch;

static gboolean
watch_frame (const SeedctlFrame *frame, gpointer data, GError **error)
{
  Watch *watch = data;
  SeedCut cut;

  watch->n_frames++;
  if (seed_cuts_push (watch->cuts, frame->histogram, frame->summary, &cut))
    g_array_append_val (watch->found, cut.frame);
  return TRUE;
}

static GstElement *
open_clip (const SeedClip *clip, const char *table, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (table);
  g_autofree char *beside = g_build_filename (folder, clip->file, NULL);
  g_autofree char *below = g_build_filename (folder, "clips", clip->file, NULL);
  g_autofree char *path =
      g_canonicalize_filename (g_file_test (beside, G_FILE_TEST_EXISTS) ? beside : below, NULL);
  g_autofree char *uri = NULL;
  GstElement *source;

  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "%s:%u: %s is neither beside the table nor in clips/", table, clip->line, clip->file);
    return NULL;
  }
  uri = g_filename_to_uri (path, NULL, error);
  source = uri ? gst_element_factory_make ("seeddecode", NULL) : NULL;
  if (source)
    g_object_set (source, "uri", uri, "deterministic", TRUE, NULL);
  else if (uri)
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "the elements of SEED are not installed");
  return source;
}

static JsonObject *
describe_clip (const SeedClip *clip, const Watch *watch, guint tolerance, SeedCutScore *total)
{
  JsonObject *object = json_object_new ();
  JsonArray *found = json_array_new ();
  SeedCutScore score = { 0 };

  for (guint i = 0; i < watch->found->len; i++)
    json_array_add_int_element (found, (gint64) g_array_index (watch->found, guint64, i));
  seed_cut_score_add (&score, (const guint64 *) clip->cuts->data, clip->cuts->len,
      (const guint64 *) watch->found->data, watch->found->len, tolerance,
      clip->list == SEED_CLIP_PARTIAL);
  total->matched += score.matched;
  total->missed += score.missed;
  total->spurious += score.spurious;
  json_object_set_int_member (object, "frames", watch->n_frames);
  json_object_set_array_member (object, "found", found);
  json_object_set_int_member (object, "matched", score.matched);
  json_object_set_int_member (object, "missed", score.missed);
  json_object_set_int_member (object, "spurious", score.spurious);
  return object;
}

static gboolean
run_clip (const SeedClip *clip, const SeedctlModel *model, const SeedctlEvalOptions *options,
    Watch *watch, GError **error)
{
  GstElement *source = open_clip (clip, options->data.location, error);
  SeedCutsConfig config;
  SeedCut cut;
  gboolean ok;

  if (!source)
    return FALSE;
  seed_cuts_config_init (&config, model->has_anchors ? SEED_ANCHORS_META_BINS : 0, model->dim);
  watch->cuts = seed_cuts_new (&config, error);
  ok = watch->cuts &&
       seedctl_run_frames (model, options, source, SEEDCTL_SUMMARY, 0, watch_frame, watch, error);
  while (ok && seed_cuts_flush (watch->cuts, &cut))
    g_array_append_val (watch->found, cut.frame);
  seed_cuts_free (watch->cuts);
  if (!ok)
    g_prefix_error (error, "%s: ", clip->file);
  return ok;
}

static gboolean
run_clips (const GPtrArray *clips, const SeedctlModel *model, const SeedctlEvalOptions *options,
    SeedctlReport *report, GError **error)
{
  guint n_clips = options->limit > 0 ? MIN ((guint) options->limit, clips->len) : clips->len;
  JsonObject *details = json_object_new ();
  gint64 start = g_get_monotonic_time ();
  SeedCutScore total = { 0 };
  guint n_skipped = 0;

  json_object_set_object_member (report->root, "clips", details);
  for (guint i = 0; i < n_clips; i++) {
    const SeedClip *clip = g_ptr_array_index (clips, i);
    g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (guint64));
    g_autoptr (GError) cause = NULL;
    Watch watch = { .found = found };

    if (!run_clip (clip, model, options, &watch, &cause)) {
      seedctl_complain ("eval", "%s: left out: %s", options->data.location, cause->message);
      n_skipped++;
      continue;
    }
    report->n_images += watch.n_frames;
    json_object_set_object_member (
        details, clip->file, describe_clip (clip, &watch, (guint) options->tolerance, &total));
  }
  if (n_skipped == n_clips) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_INVALID, "%s: no clip could be run", options->data.location);
    return FALSE;
  }
  report->feature_seconds = (double) (g_get_monotonic_time () - start) / G_TIME_SPAN_SECOND;
  json_object_set_int_member (report->metrics, "clips", n_clips - n_skipped);
  json_object_set_int_member (report->metrics, "skipped_clips", n_skipped);
  json_object_set_int_member (report->metrics, "frames", report->n_images);
  json_object_set_int_member (report->metrics, "cuts", total.matched + total.missed);
  json_object_set_int_member (report->metrics, "matched", total.matched);
  json_object_set_int_member (report->metrics, "spurious", total.spurious);
  seedctl_report_number (report->metrics, "precision", seed_cut_score_precision (&total));
  seedctl_report_number (report->metrics, "recall", seed_cut_score_recall (&total));
  seedctl_report_number (report->metrics, "f1", seed_cut_score_f1 (&total));
  return TRUE;
}

gboolean
seedctl_eval_cuts (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error)
{
  g_autoptr (GPtrArray) clips = seed_clips_load (options->data.location, error);
  g_auto (SeedctlModel) model = { 0 };
  g_autofree char *name = g_path_get_basename (options->data.location);
  JsonObject *data;

  if (!clips || !seedctl_model_open (&model, options, error))
    return FALSE;
  seedctl_report_add_model (report, &model);
  data = json_object_new ();
  json_object_set_string_member (data, "name", name);
  json_object_set_string_member (data, "location", options->data.location);
  json_object_set_object_member (report->root, "data", data);
  json_object_set_int_member (report->settings, "tolerance", options->tolerance);
  json_object_set_string_member (
      report->settings, "signature", model.has_anchors ? "embedding+anchors" : "embedding");
  return run_clips (clips, &model, options, report, error);
}

/* SPDX-License-Identifier: MIT */
#include "eval/grounding.h"
#include "seedctl-eval.h"

static JsonObject *
list_ious (const double shares[SEED_GROUNDING_N_IOUS])
{
  JsonObject *object = json_object_new ();

  for (guint t = 0; t < SEED_GROUNDING_N_IOUS; t++) {
    char name[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_formatd (name, sizeof name, "%g", seed_grounding_ious[t]);
    json_object_set_double_member (object, name, shares[t]);
  }
  return object;
}

static void
report_scores (const SeedGroundingScores *scores, JsonObject *metrics)
{
  for (guint r = SEED_GROUNDING_N_RANGES; r-- > 0;) {
    JsonObject *range = json_object_new ();

    json_object_set_int_member (range, "queries", scores->n_queries[r]);
    json_object_set_object_member (range, "r1", list_ious (scores->r1[r]));
    json_object_set_object_member (range, "map", list_ious (scores->map[r]));
    json_object_set_double_member (range, "map_average", scores->average[r]);
    json_object_set_object_member (metrics, seed_grounding_ranges[r], range);
  }
  for (guint r = 0; scores->has_highlights && r < SEED_GROUNDING_N_RATINGS; r++) {
    JsonObject *rating = json_object_new ();
    g_autofree char *name = g_strconcat ("highlights-", seed_grounding_ratings[r], NULL);

    json_object_set_double_member (rating, "map", scores->highlight_map[r]);
    json_object_set_double_member (rating, "hit1", scores->highlight_hit1[r]);
    json_object_set_object_member (metrics, name, rating);
  }
}

static JsonObject *
describe (const char *path, const SeedGroundingFile *file)
{
  JsonObject *object = json_object_new ();
  g_autofree char *name = g_path_get_basename (path);

  json_object_set_string_member (object, "name", name);
  json_object_set_string_member (object, "location", path);
  json_object_set_int_member (object, "queries", seed_grounding_n_items (file));
  return object;
}

/* options->model: the predictions; options->data: the annotations. */
gboolean
seedctl_eval_grounding (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error)
{
  g_autoptr (SeedGroundingFile) predictions =
      seed_grounding_load (options->model, SEED_GROUNDING_PREDICTIONS, error);
  g_autoptr (SeedGroundingFile) truth = NULL;
  SeedGroundingScores scores;

  if (!predictions)
    return FALSE;
  truth = seed_grounding_load (options->data.location, SEED_GROUNDING_TRUTH, error);
  if (!truth || !seed_grounding_score (predictions, truth, &scores, error))
    return FALSE;
  json_object_set_object_member (report->root, "model", describe (options->model, predictions));
  json_object_set_object_member (report->root, "data", describe (options->data.location, truth));
  report_scores (&scores, report->metrics);
  return TRUE;
}

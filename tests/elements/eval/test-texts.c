/* SPDX-License-Identifier: MIT */

/* What the evaluations read and write as text: grounding, clips, run logs, plots, tables. */
#include <math.h>
#include <string.h>

#include "eval/clips.h"
#include "eval/grounding.h"
#include "eval/jsonl.h"
#include "eval/plot.h"
#include "eval/runlog.h"
#include "eval/svg.h"
#include "eval/table.h"

#define CLOSE 1e-9

static SeedGroundingFile *
parse (SeedGroundingSide side, const char *text, GError **error)
{
  return seed_grounding_parse ("f.jsonl", text, strlen (text), side, error);
}

/*
 * Query 1: the first window meets the second true one with IoU 8 / 12; the second is the first true
 * one itself. Query "b": one window, wrong.
 */
static void
test_grounding_by_hand (void)
{
  g_autoptr (SeedGroundingFile) predictions = parse (SEED_GROUNDING_PREDICTIONS,
      "{\"qid\": 1, \"pred_relevant_windows\": [[40, 50, 0.9], [0, 20, 0.5]],"
      " \"pred_saliency_scores\": [0.1, 0.9, 0.5]}\n\n"
      "{\"qid\": \"b\", \"pred_relevant_windows\": [[0, 5, 1]], \"pred_saliency_scores\": [3, 2, "
      "1]}\n",
      NULL);
  g_autoptr (SeedGroundingFile) truth = parse (SEED_GROUNDING_TRUTH,
      "{\"qid\": \"b\", \"relevant_windows\": [[50, 100]], \"duration\": 6, \"relevant_clip_ids\": "
      "[2], \"saliency_scores\": [[4, 4, 4]]}\n"
      "{\"qid\": 1, \"relevant_windows\": [[0, 20], [42, 52]], \"duration\": 6, "
      "\"relevant_clip_ids\": [1, 2], \"saliency_scores\": [[2, 0, 3], [3, 3, 3]]}\n",
      NULL);
  SeedGroundingScores scores;

  g_assert_true (seed_grounding_score (predictions, truth, &scores, NULL));
  g_assert_cmpuint (scores.n_queries[3], ==, 2);
  g_assert_cmpfloat_with_epsilon (scores.r1[3][0], 0.5, CLOSE); /* 8 / 12 is 0.5 and not 0.7 */
  g_assert_cmpfloat_with_epsilon (scores.r1[3][4], 0, CLOSE);
  g_assert_cmpfloat_with_epsilon (scores.map[3][0], 0.5, CLOSE);
  g_assert_cmpfloat_with_epsilon (scores.map[3][4], 0.125, CLOSE); /* (0 + 1/2) / 2, of two */
  g_assert_cmpuint (scores.n_queries[0], ==, 1);                   /* 42-52 is short */
  g_assert_cmpuint (scores.n_queries[1], ==, 1);
  g_assert_cmpuint (scores.n_queries[2], ==, 1);
  g_assert_true (scores.has_highlights);
  g_assert_cmpfloat_with_epsilon (scores.highlight_hit1[0], 0.5, CLOSE);
  g_assert_cmpfloat_with_epsilon (scores.highlight_hit1[2], 0, CLOSE);
  /* Fair: query 1 by annotators 1, 1/2, 1 (clips ordered 1, 2, 0); query b thrice 1/3 */
  g_assert_cmpfloat_with_epsilon (
      scores.highlight_map[0], ((1 + 0.5 + 1) / 3 + 1.0 / 3) / 2, CLOSE);
}

static void
test_grounding_mistakes (void)
{
  static const struct {
    SeedGroundingSide side;
    const char *text, *message;
  } cases[] = {
    { SEED_GROUNDING_TRUTH, "{\"qid\": 1, \"relevant_windows\": []}\n{\"qid\": 2}\n",
        "f.jsonl:2: " },
    { SEED_GROUNDING_TRUTH, "\n\n{\"qid\": 1,, }\n", "f.jsonl:3:11: " },
    { SEED_GROUNDING_TRUTH, "[1]\n", "f.jsonl:1: " },
    { SEED_GROUNDING_TRUTH, "{\"qid\": 1, \"relevant_windows\": [[5, 2]]}\n",
        "f.jsonl:1: a window" },
    { SEED_GROUNDING_TRUTH,
        "{\"qid\": 1, \"relevant_windows\": [[1, 2]]}\n{\"qid\": 1, \"relevant_windows\": [[1, "
        "2]]}",
        "f.jsonl:2: query 1 is there twice" },
    { SEED_GROUNDING_TRUTH,
        "{\"qid\": 1, \"relevant_windows\": [[1, 2]], \"duration\": 4, \"relevant_clip_ids\": [2], "
        "\"saliency_scores\": [[1, 1, 1]]}",
        "f.jsonl:1: \"relevant_clip_ids\"" },
    { SEED_GROUNDING_PREDICTIONS, "{\"qid\": 1, \"pred_relevant_windows\": [[1, 2]]}\n",
        "f.jsonl:1: a window" },
    { SEED_GROUNDING_PREDICTIONS, "{\"pred_relevant_windows\": []}\n", "f.jsonl:1: \"qid\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (parse (cases[i].side, cases[i].text, &error));
    g_assert_true (g_str_has_prefix (error->message, cases[i].message));
  }
}

static void
test_grounding_other_queries (void)
{
  g_autoptr (SeedGroundingFile) predictions = parse (SEED_GROUNDING_PREDICTIONS,
      "{\"qid\": 1, \"pred_relevant_windows\": [[1, 2, 1]]}\n{\"qid\": 7, "
      "\"pred_relevant_windows\": [[1, 2, 1]]}",
      NULL);
  g_autoptr (SeedGroundingFile) truth =
      parse (SEED_GROUNDING_TRUTH, "{\"qid\": 1, \"relevant_windows\": [[1, 2]]}", NULL);
  g_autoptr (GError) error = NULL;
  SeedGroundingScores scores;

  g_assert_false (seed_grounding_score (predictions, truth, &scores, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_assert_true (g_str_has_prefix (error->message, "f.jsonl:2: query 7 is not in"));
}

static void
test_clips (void)
{
  static const char good[] = "codec\tfile\tcut_frames\tcut_list\r\nh264\ta.mp4\t3,90\tall\r\n"
                             "vp8\tb.webm\t\tnone\n";
  static const struct {
    const char *text, *message;
  } cases[] = {
    { "file\tcuts\na\t1\n", "c:1: " },
    { "file\tcut_frames\tcut_list\na\t9,3\tall\n", "c:2: " },
    { "file\tcut_frames\tcut_list\n\na\t9\tnone\n", "c:3: " },
    { "file\tcut_frames\tcut_list\na\t9\n", "c:2: " },
    { "file\tcut_frames\tcut_list\n", "c:1: names no clip" },
    { "", "c:1: " },
  };
  g_autoptr (GPtrArray) clips = seed_clips_parse ("c", good, strlen (good), NULL);

  g_assert_cmpuint (clips->len, ==, 2);
  g_assert_cmpuint (((SeedClip *) clips->pdata[0])->cuts->len, ==, 2);
  g_assert_cmpuint (g_array_index (((SeedClip *) clips->pdata[0])->cuts, guint64, 1), ==, 90);
  g_assert_cmpint (((SeedClip *) clips->pdata[1])->list, ==, SEED_CLIP_NONE);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (seed_clips_parse ("c", cases[i].text, strlen (cases[i].text), &error));
    g_assert_true (g_str_has_prefix (error->message, cases[i].message));
  }
}

static const GArray *
find (const SeedRunLog *log, const char *path)
{
  for (guint i = 0; i < seed_runlog_n_series (log); i++) {
    if (strcmp (seed_runlog_get_path (log, i), path) == 0)
      return seed_runlog_get_points (log, i);
  }
  return NULL;
}

static void
test_runlog (void)
{
  static const char text[] =
      "{\"kind\":\"train\",\"node\":\"a\",\"data\":{\"step\":1,\"loss\":{\"total\":3.5,\"seed\":"
      "null}}}\n"
      "{\"kind\":\"health\",\"node\":\"out\",\"data\":{\"step\":1}}\n"
      "{\"kind\":\"train\",\"node\":\"b\",\"data\":{\"step\":1,\"lr\":0.5}}\n"
      "{\"kind\":\"train\",\"node\":\"a\",\"data\":{\"step\":2,\"loss\":{\"total\":3}}}\n"
      "{\"kind\":\"train\",\"node\":\"a\",\"data\":{\"step\":2,\"loss\":{\"total\":2}}}\n";
  static const char stats[] = "{\n \"schema\" : \"seed.run-stats.v1\",\n \"stages\" : [{\"node\" : "
                              "\"learn\", \"stats\" : {\"step\" : 9, \"loss\" : 1.5, "
                              "\"loss-seed\" : 0.5, \"grad-norm\" : 2}}]}\n";
  g_autoptr (SeedRunLog) log = seed_runlog_parse ("l", text, strlen (text), NULL);
  g_autoptr (SeedRunLog) one = seed_runlog_parse ("s", stats, strlen (stats), NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (seed_runlog_n_messages (log), ==, 4);
  g_assert_cmpuint (find (log, "loss.total")->len, ==, 4); /* step 2 was repeated */
  g_assert_cmpfloat (g_array_index (find (log, "loss.total"), double, 3), ==, 2);
  g_assert_true (isnan (g_array_index (find (log, "loss.seed"), double, 1)));
  g_assert_nonnull (find (log, "b:lr"));
  g_assert_cmpfloat (g_array_index (find (one, "loss.seed"), double, 1), ==, 0.5);
  g_assert_nonnull (find (one, "grad_norm"));
  g_assert_null (seed_runlog_parse ("l", "{}\n{\"a\":}\n", 11, &error));
  g_assert_true (g_str_has_prefix (error->message, "l:2:"));
  g_clear_error (&error);
  g_assert_null (seed_runlog_parse ("l", "{}\n", 3, &error));
  g_assert_true (g_str_has_prefix (error->message, "l:1: has no message"));
}

static void
assert_ticks (double low, double high, gboolean logarithmic, const double *wanted, guint n)
{
  g_autoptr (GArray) ticks = seed_plot_ticks (low, high, 5, logarithmic);

  g_assert_cmpuint (ticks->len, ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (
        g_array_index (ticks, double, i), wanted[i], 1e-9 * fabs (wanted[i]) + 1e-12);
}

static void
test_ticks (void)
{
  assert_ticks (0, 1, FALSE, (const double[]){ 0, 0.2, 0.4, 0.6, 0.8, 1 }, 6);
  assert_ticks (-3, 12, FALSE, (const double[]){ 0, 5, 10 }, 3);
  assert_ticks (0.3, 30, TRUE, (const double[]){ 0.5, 1, 2, 5, 10, 20 }, 6);
  assert_ticks (1e-6, 1, TRUE, (const double[]){ 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1 }, 7);
}

static void
test_plot_is_xml (void)
{
  static const double points[] = { 0, 1, 1, NAN, 2, 4, 3, 8 };
  g_autoptr (GPtrArray) panels =
      g_ptr_array_new_with_free_func ((GDestroyNotify) seed_plot_panel_free);
  const SeedPlotStyle style = { "<a> & \"b\"\x01", "step", TRUE, 3 };
  SeedPlotPanel *panel = seed_plot_panel_new ("loss");
  GMarkupParser parser = { 0 };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, NULL, NULL);
  g_autofree char *svg = NULL;
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (panels, panel);
  g_ptr_array_add (panels, seed_plot_panel_new ("without a line"));
  g_array_append_vals (
      seed_plot_panel_add (panel, "run <1>", 0, 0)->points, points, G_N_ELEMENTS (points));
  svg = seed_plot_draw (panels, &style);
  g_assert_true (g_markup_parse_context_parse (context, svg, -1, &error));
  g_assert_no_error (error);
  g_assert_true (g_markup_parse_context_end_parse (context, &error));
  g_assert_nonnull (strstr (svg, "&lt;a&gt; &amp; &quot;b&quot; </title>"));
  g_assert_nonnull (strstr (svg, "<circle")); /* the point before the hole */
  g_assert_nonnull (strstr (svg, "loss (log)"));
  g_assert_null (strstr (svg, "nan"));
}

static void
add_report (SeedEvalTable *table, const char *model, int seed, double top1, const char *file)
{
  g_autofree char *text = g_strdup_printf (
      "{\"schema\":\"seed.eval.v1\",\"task\":\"knn\",\"seed\":%d,\"model\":{\"name\":\"%s\"},"
      "\"data\":{\"name\":\"a/train\"},\"test\":{\"name\":\"a/test\"},\"metrics\":{\"queries\":4,"
      "\"top1\":%.4f,\"top5\":1.0}}",
      seed, model, top1);
  g_autoptr (JsonNode) node = seed_jsonl_parse_object (file, text, strlen (text), NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_eval_table_add (table, json_node_get_object (node), file, NULL, &error));
  g_assert_no_error (error);
}

static void
test_table (void)
{
  g_autoptr (SeedEvalTable) table = seed_eval_table_new ();
  static const char *const top5[] = { "top5", NULL };
  g_autofree char *text = NULL, *other = NULL;
  g_autoptr (JsonNode) node = seed_jsonl_parse_object ("x", "{}", 2, NULL);
  g_autoptr (GError) error = NULL;

  add_report (table, "tiny-seed1", 0, 0.5, "1");
  add_report (table, "tiny-seed2", 0, 0.7, "2");
  add_report (table, "a|b", 0, 0.25, "3");
  text = seed_eval_table_format (table, NULL);
  g_assert_cmpstr (text, ==,
      "| model | knn a/test top1 |\n|---|---:|\n| tiny | 60.00 ± 14.14 (2) |\n| a\\|b | 25.00 |\n");
  other = seed_eval_table_format (table, top5);
  g_assert_nonnull (strstr (other, "| knn a/test top5 |"));
  g_assert_false (seed_eval_table_add (table, json_node_get_object (node), "x", NULL, &error));
  g_assert_true (g_str_has_prefix (error->message, "x:1: "));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval/grounding/by-hand", test_grounding_by_hand);
  g_test_add_func ("/eval/grounding/mistakes", test_grounding_mistakes);
  g_test_add_func ("/eval/grounding/other-queries", test_grounding_other_queries);
  g_test_add_func ("/eval/clips", test_clips);
  g_test_add_func ("/eval/runlog", test_runlog);
  g_test_add_func ("/eval/plot/ticks", test_ticks);
  g_test_add_func ("/eval/plot/is-xml", test_plot_is_xml);
  g_test_add_func ("/eval/table", test_table);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
#include "../../daemon/histogram.h"
#include "../../daemon/seedd-metrics.h"

#include <string.h>

#include "publish/json-tree.h"

static JsonNode *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  JsonNode *node = seed_json_tree_parse ("test", text, strlen (text), &error);

  g_assert_no_error (error);
  return node;
}

static char *
write_graph (const char *status, const char *stats)
{
  g_autoptr (SeeddMetrics) metrics = seedd_metrics_new ();
  g_autoptr (JsonNode) a = parse (status), b = stats ? parse (stats) : NULL;

  seedd_metrics_add_graph (metrics, json_node_get_object (a), b ? json_node_get_object (b) : NULL);
  return seedd_metrics_to_text (metrics);
}

static void
test_histogram (void)
{
  SeedHistogram histogram = { { 0 }, 0 };

  seed_histogram_add (&histogram, -5);
  seed_histogram_add (&histogram, 1000000); /* its bound belongs to a bucket */
  seed_histogram_add (&histogram, 1000001);
  seed_histogram_add (&histogram, 60 * G_GINT64_CONSTANT (1000000000));
  seed_histogram_add (&histogram, G_MAXINT64);
  g_assert_cmpuint (histogram.counts[0], ==, 2);
  g_assert_cmpuint (histogram.counts[1], ==, 1);
  g_assert_cmpuint (histogram.counts[SEED_HISTOGRAM_N_BOUNDS - 1], ==, 1);
  g_assert_cmpuint (histogram.counts[SEED_HISTOGRAM_N_BOUNDS], ==, 1);
  g_assert_cmpuint (seed_histogram_count (&histogram), ==, 5);
  g_assert_cmpfloat_with_epsilon (histogram.sum_s, 60.002000001 + (double) G_MAXINT64 / 1e9, 1e-3);
  for (guint i = 1; i < SEED_HISTOGRAM_N_BOUNDS; i++)
    g_assert_cmpfloat (seed_histogram_bounds_s[i], >, seed_histogram_bounds_s[i - 1]);
}

static void
test_samples (void)
{
  g_autofree char *text = write_graph (
      "{\"graph\":\"a\",\"state\":\"running\",\"enabled\":true,\"last_good\":false,"
      "\"restarts_by_cause\":{\"signal\":2},\"process\":{\"rss_bytes\":4096,\"heartbeat_age_s\":0."
      "5,"
      "\"streams\":[{\"node\":\"n\",\"stream\":\"s\",\"fps\":2.5,\"age_ms\":1500,\"state\":\"up\"}]"
      "}}",
      "{\"stages\":[{\"name\":\"n\",\"ledger\":{\"s\":{\"in\":9007199254740991,\"out\":3,"
      "\"dropped\":"
      "{\"late\":1},\"in_flight\":1}},\"busy\":{\"count\":2,\"total_ns\":1500000000},\"stats\":{"
      "\"step\":7,\"loss\":1.5,\"loss-seed\":0.25,\"loss-labels\":null}}],\"queues\":[],"
      "\"latency\":{"
      "\"histograms\":[{\"node\":\"o\",\"stream\":\"s\",\"sum_s\":3.5,\"counts\":[1,0,0,0,0,0,0,0,"
      "0,0,"
      "0,0,0,0,0,0,2]}]}}");
  static const char *const lines[] = {
    "seed_graph_state{graph=\"a\",state=\"running\"} 1\n",
    "seed_graph_state{graph=\"a\",state=\"stopped\"} 0\n",
    "seed_graph_restarts_total{graph=\"a\",cause=\"signal\"} 2\n",
    "seed_stream_frame_age_seconds{graph=\"a\",node=\"n\",stream=\"s\"} 1.5\n",
    "seed_frames_total{graph=\"a\",stage=\"n\",stream=\"s\",result=\"in\"} 9007199254740991\n",
    "stream=\"s\",result=\"dropped\",reason=\"late\"} 1\n",
    "seed_stage_busy_seconds_total{graph=\"a\",stage=\"n\"} 1.5\n",
    "seed_train_loss{graph=\"a\",node=\"n\",term=\"total\"} 1.5\n",
    "seed_train_loss{graph=\"a\",node=\"n\",term=\"seed\"} 0.25\n",
    "seed_latency_seconds_bucket{graph=\"a\",node=\"o\",stream=\"s\",le=\"0.001\"} 1\n",
    "seed_latency_seconds_bucket{graph=\"a\",node=\"o\",stream=\"s\",le=\"60\"} 1\n",
    "seed_latency_seconds_bucket{graph=\"a\",node=\"o\",stream=\"s\",le=\"+Inf\"} 3\n",
    "seed_latency_seconds_sum{graph=\"a\",node=\"o\",stream=\"s\"} 3.5\n",
    "seed_latency_seconds_count{graph=\"a\",node=\"o\",stream=\"s\"} 3\n",
    "seed_metrics_series_left_out 0\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    if (!strstr (text, lines[i]))
      g_error ("%s is missing in\n%s", lines[i], text);
  }
  g_assert_null (strstr (text, "labels\"} "));
}

static void
test_daemon (void)
{
  g_autoptr (SeeddMetrics) metrics = seedd_metrics_new ();
  g_autoptr (JsonNode) status =
      parse ("{\"version\":\"1\",\"results\":{\"subscriptions\":3,"
             "\"sent_by_kind\":{\"labels\":5,\"other\":0},\"subscribers\":{\"connections\":2,"
             "\"turned_away\":4,\"failed_handshakes\":6,\"hung_up\":7,\"garbage\":8,"
             "\"refused_subscriptions\":9}}}");
  static const char *const lines[] = {
    "seed_build_info{version=\"1\"} 1\n",
    "seed_results_subscribers 2\n",
    "seed_results_subscriptions 3\n",
    "seed_results_sent_total{kind=\"labels\"} 5\n",
    "seed_results_sent_total{kind=\"other\"} 0\n",
    "seed_results_refusals_total{reason=\"connection-limit\"} 4\n",
    "seed_results_refusals_total{reason=\"handshake\"} 6\n",
    "seed_results_refusals_total{reason=\"hung-up\"} 7\n",
    "seed_results_refusals_total{reason=\"garbage\"} 8\n",
    "seed_results_refusals_total{reason=\"subscription\"} 9\n",
  };
  g_autofree char *text = NULL;

  seedd_metrics_add_daemon (metrics, json_node_get_object (status));
  text = seedd_metrics_to_text (metrics);
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    if (!strstr (text, lines[i]))
      g_error ("%s is missing in\n%s", lines[i], text);
  }
}

static void
test_hostile (void)
{
  /* names with everything the format must escape, values of the wrong types */
  g_autofree char *text =
      write_graph ("{\"graph\":\"a\\\"b\\\\c\\nd\",\"state\":7,\"enabled\":\"x\",\"process\":[],"
                   "\"restarts_by_cause\":{\"x\":\"y\"}}",
          "{\"stages\":[7,{\"name\":7},{\"name\":\"n\",\"ledger\":{\"s\":7,\"t\":{\"in\":\"x\","
          "\"dropped\":[]}}}],\"queues\":7,\"latency\":{\"histograms\":[{\"node\":\"o\",\"stream\":"
          "\"s\","
          "\"counts\":[1]}]}}");

  g_assert_nonnull (
      strstr (text, "seed_graph_state{graph=\"a\\\"b\\\\c\\nd\",state=\"stopped\"} 0\n"));
  g_assert_null (strstr (text, "seed_latency_seconds"));
  g_assert_null (strstr (text, "seed_graph_enabled"));
}

/* Streams without end do not make series without end, and nothing of them is lost. */
static void
test_bounded (void)
{
  g_autoptr (GString) stats = g_string_new ("{\"stages\":[{\"name\":\"n\",\"ledger\":{");
  g_autofree char *text = NULL;
  const guint n = SEEDD_METRICS_MAX_STREAMS + 100;
  guint n_own = 0;

  for (guint i = 0; i < n; i++)
    g_string_append_printf (
        stats, "%s\"s%u\":{\"in\":2,\"out\":1,\"dropped\":{},\"in_flight\":1}", i ? "," : "", i);
  g_string_append (stats, "}}]}");
  text = write_graph ("{\"graph\":\"a\",\"state\":\"running\"}", stats->str);
  for (const char *p = text; (p = strstr (p, "result=\"in\"")); p++)
    n_own++;
  g_assert_cmpuint (n_own, ==, SEEDD_METRICS_MAX_STREAMS + 1);
  g_assert_nonnull (strstr (
      text, "seed_frames_total{graph=\"a\",stage=\"n\",stream=\"_other\",result=\"in\"} 200\n"));
}

static void
test_series_have_a_limit (void)
{
  g_autoptr (SeeddMetrics) metrics = seedd_metrics_new ();
  g_autoptr (GString) stats = g_string_new ("{\"queues\":[");
  g_autoptr (JsonNode) status = parse ("{\"graph\":\"a\",\"state\":\"running\"}"), node = NULL;
  g_autofree char *text = NULL;
  guint n_lines = 0;

  for (guint i = 0; i < SEEDD_METRICS_MAX_SERIES; i++)
    g_string_append_printf (stats, "%s{\"name\":\"q%u\",\"level\":1}", i ? "," : "", i);
  g_string_append (stats, "]}");
  node = parse (stats->str);
  seedd_metrics_add_graph (metrics, json_node_get_object (status), json_node_get_object (node));
  text = seedd_metrics_to_text (metrics);
  for (const char *p = text; (p = strchr (p, '\n')); p++)
    n_lines++;
  g_assert_cmpuint (n_lines, <, SEEDD_METRICS_MAX_SERIES + 100);
  g_assert_null (strstr (text, "seed_metrics_series_left_out 0\n"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/seedd-metrics/histogram", test_histogram);
  g_test_add_func ("/seedd-metrics/samples", test_samples);
  g_test_add_func ("/seedd-metrics/daemon", test_daemon);
  g_test_add_func ("/seedd-metrics/hostile", test_hostile);
  g_test_add_func ("/seedd-metrics/bounded", test_bounded);
  g_test_add_func ("/seedd-metrics/series-have-a-limit", test_series_have_a_limit);
  return g_test_run ();
}

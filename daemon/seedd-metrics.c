/* SPDX-License-Identifier: MIT */
#include "seedd-metrics-private.h"

#include <math.h>
#include <string.h>

typedef struct {
  const char *name, *type, *help;
} Family;

static const Family families[SEEDD_N_FAMILIES] = {
  [SEEDD_BUILD_INFO] = { "seed_build_info", "gauge", "Version of the daemon; always 1." },
  [SEEDD_UPTIME] = { "seed_uptime_seconds", "gauge", "Since the daemon started." },
  [SEEDD_PROCESS_RSS] = { "process_resident_memory_bytes", "gauge",
      "Resident memory of the daemon itself." },
  [SEEDD_PROCESS_FDS] = { "process_open_fds", "gauge", "Open file descriptors of the daemon." },
  [SEEDD_SUBSCRIBERS] = { "seed_results_subscribers", "gauge",
      "Connections to the public endpoint of results." },
  [SEEDD_SUBSCRIPTIONS] = { "seed_results_subscriptions", "gauge",
      "Subscriptions at the public endpoint of results; a subscriber with two prefixes has two." },
  [SEEDD_REFUSALS] = { "seed_results_refusals_total", "counter",
      "What the public endpoint of results did not grant, by the reason." },
  [SEEDD_RECEIVED] = { "seed_results_received_total", "counter",
      "Results the daemon received from graphs." },
  [SEEDD_SENT] = { "seed_results_sent_total", "counter",
      "Results and events passed on to subscribers, by the kind of their topic." },
  [SEEDD_DROPPED] = { "seed_results_dropped_total", "counter",
      "Results and events a subscriber had no room for, by the kind of their topic." },
  [SEEDD_SET_ASIDE] = { "seed_results_set_aside_total", "counter",
      "Times a subscriber was set aside because it stayed full." },
  [SEEDD_GRAPH_STATE] = { "seed_graph_state", "gauge", "1 for the state a graph is in, else 0." },
  [SEEDD_GRAPH_ENABLED] = { "seed_graph_enabled", "gauge",
      "Whether the configuration starts the graph." },
  [SEEDD_GRAPH_UPTIME] = { "seed_graph_uptime_seconds", "gauge", "Since the graph plays." },
  [SEEDD_GRAPH_RESTARTS] = { "seed_graph_restarts_total", "counter",
      "Restarts after a fault, by its cause." },
  [SEEDD_GRAPH_FILE_ERRORS] = { "seed_graph_file_errors", "gauge",
      "1 while the graph's file has errors and something else runs." },
  [SEEDD_GRAPH_LAST_GOOD] = { "seed_graph_last_good_file", "gauge",
      "1 while the last good copy of the file runs instead of the file." },
  [SEEDD_GRAPH_STATS_UP] = { "seed_graph_stats_up", "gauge",
      "Whether the graph's process answered this scrape; without it the series of its stages are "
      "missing." },
  [SEEDD_GRAPH_RSS] = { "seed_graph_resident_memory_bytes", "gauge",
      "Resident memory of the graph's process." },
  [SEEDD_GRAPH_HEARTBEAT_AGE] = { "seed_graph_heartbeat_age_seconds", "gauge",
      "Since the last heartbeat of the graph's process." },
  [SEEDD_STREAM_STATE] = { "seed_stream_state", "gauge",
      "1 for the state a stream is in, else 0." },
  [SEEDD_STREAM_FPS] = { "seed_stream_frames_per_second", "gauge",
      "Frames of a stream in each second, smoothed." },
  [SEEDD_STREAM_AGE] = { "seed_stream_frame_age_seconds", "gauge",
      "Since the last frame of a stream." },
  [SEEDD_STREAM_OUTAGES] = { "seed_stream_outages_total", "counter",
      "Times a stream that was up went down." },
  [SEEDD_FRAMES] = { "seed_frames_total", "counter",
      "Ledger of a stage or queue (FROM:TO): frames in, out and dropped, and why." },
  [SEEDD_IN_FLIGHT] = { "seed_frames_in_flight", "gauge", "Frames a stage or queue holds." },
  [SEEDD_QUEUE_LEVEL] = { "seed_queue_buffers", "gauge",
      "Buffers (frames or batches) in a queue." },
  [SEEDD_QUEUE_CAPACITY] = { "seed_queue_capacity_buffers", "gauge",
      "Buffers a queue has room for." },
  [SEEDD_QUEUE_PEAK] = { "seed_queue_peak_buffers", "gauge", "Most buffers a queue ever held." },
  [SEEDD_BUSY] = { "seed_stage_busy_seconds_total", "counter", "Time a stage was at work." },
  [SEEDD_BUFFERS] = { "seed_stage_buffers_total", "counter", "Buffers a stage worked on." },
  [SEEDD_LATENCY] = { "seed_latency_seconds", "histogram",
      "From the capture of a frame to its publication." },
  [SEEDD_TRAIN_STEP] = { "seed_train_step", "gauge", "Learning steps a student has done." },
  [SEEDD_TRAIN_LOSS] = { "seed_train_loss", "gauge",
      "Losses of a student's last step: total and its terms apart." },
  [SEEDD_PUBLISH_DROPPED] = { "seed_publish_dropped_total", "counter",
      "Results a publish node could not hand on, its queue being full." },
  [SEEDD_SERIES_LEFT_OUT] = { "seed_metrics_series_left_out", "gauge",
      "Series beyond what one scrape may have." },
};

/* Series that went out together: "name{labels}" -> value. */
struct _SeeddMetrics {
  GHashTable *index; /* text of a series, owned by its family's list -> double */
  GPtrArray *series[SEEDD_N_FAMILIES];
  guint n_series;
  guint64 left_out;
};

SeeddMetrics *
seedd_metrics_new (void)
{
  SeeddMetrics *metrics = g_new0 (SeeddMetrics, 1);

  metrics->index = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  for (guint i = 0; i < SEEDD_N_FAMILIES; i++)
    metrics->series[i] = g_ptr_array_new_with_free_func (g_free);
  return metrics;
}

void
seedd_metrics_free (SeeddMetrics *metrics)
{
  if (!metrics)
    return;
  g_hash_table_unref (metrics->index);
  for (guint i = 0; i < SEEDD_N_FAMILIES; i++)
    g_ptr_array_unref (metrics->series[i]);
  g_free (metrics);
}

static void
append_value (GString *text, const char *value)
{
  g_autofree char *valid = g_utf8_make_valid (value, -1);

  for (const char *p = valid; *p; p++) {
    if (*p == '\\' || *p == '"')
      g_string_append_c (text, '\\');
    if (*p == '\n')
      g_string_append (text, "\\n");
    else
      g_string_append_c (text, *p);
  }
}

static char *
name_series (SeeddFamily family, const char *suffix, const SeeddLabel *labels)
{
  GString *text = g_string_new (families[family].name);
  guint n = 0;

  g_string_append (text, suffix);
  for (; labels && labels->name; labels++) {
    if (!labels->value)
      continue;
    g_string_append_printf (text, "%s%s=\"", n++ ? "," : "{", labels->name);
    append_value (text, labels->value);
    g_string_append_c (text, '"');
  }
  if (n)
    g_string_append_c (text, '}');
  return g_string_free (text, FALSE);
}

void
seedd_metrics_add (SeeddMetrics *metrics, SeeddFamily family, const char *suffix,
    const SeeddLabel *labels, double value)
{
  g_autofree char *name = name_series (family, suffix, labels);
  double *sum = g_hash_table_lookup (metrics->index, name);

  if (!isfinite (value))
    return;
  if (!sum && metrics->n_series >= SEEDD_METRICS_MAX_SERIES) {
    metrics->left_out++;
    return;
  }
  if (!sum) {
    sum = g_new0 (double, 1);
    metrics->n_series++;
    g_hash_table_insert (metrics->index, name, sum);
    g_ptr_array_add (metrics->series[family], g_steal_pointer (&name));
  }
  *sum += value;
}

static void
append_number (GString *text, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  if (value == floor (value) && fabs (value) < 9007199254740992.0)
    g_string_append_printf (text, "%.0f", value);
  else
    g_string_append (text, g_ascii_dtostr (digits, sizeof digits, value));
}

static void
append_head (GString *text, SeeddFamily family)
{
  g_string_append_printf (text, "# HELP %s %s\n# TYPE %s %s\n", families[family].name,
      families[family].help, families[family].name, families[family].type);
}

char *
seedd_metrics_to_text (const SeeddMetrics *metrics)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < SEEDD_N_FAMILIES; i++) {
    const GPtrArray *series = metrics->series[i];

    if (series->len > 0)
      append_head (text, (SeeddFamily) i);
    for (guint j = 0; j < series->len; j++) {
      const char *name = g_ptr_array_index (series, j);

      g_string_append_printf (text, "%s ", name);
      append_number (text, *(double *) g_hash_table_lookup (metrics->index, name));
      g_string_append_c (text, '\n');
    }
  }
  append_head (text, SEEDD_SERIES_LEFT_OUT);
  g_string_append_printf (
      text, "%s %" G_GUINT64_FORMAT "\n", families[SEEDD_SERIES_LEFT_OUT].name, metrics->left_out);
  return g_string_free (text, FALSE);
}

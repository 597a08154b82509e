/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#include "seed-run-json.h"
#include "seed-run.h"

#define SCHEMA "seed.run-stats.v1"

static const char *const result_names[] = { [SEED_RUN_DONE] = "done",
  [SEED_RUN_STOPPED] = "stopped",
  [SEED_RUN_FAILED] = "failed",
  [SEED_RUN_REFUSED] = "refused" };

SeedLedger *
seed_run_element_ledger (GstElement *element)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "ledger");
  SeedLedger *ledger = NULL;

  if (pspec && pspec->value_type == SEED_TYPE_LEDGER)
    g_object_get (element, "ledger", &ledger, NULL);
  return ledger;
}

GstStructure *
seed_run_element_stats (GstElement *element)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "stats");
  GstStructure *stats = NULL;

  if (pspec && pspec->value_type == GST_TYPE_STRUCTURE)
    g_object_get (element, "stats", &stats, NULL);
  return stats;
}

static void
add_count (JsonBuilder *json, const char *name, guint64 n)
{
  json_builder_set_member_name (json, name);
  json_builder_add_int_value (json, (gint64) n);
}

static void
add_text (JsonBuilder *json, const char *name, const char *text)
{
  json_builder_set_member_name (json, name);
  if (text)
    json_builder_add_string_value (json, text);
  else
    json_builder_add_null_value (json);
}

static void
add_entry (JsonBuilder *json, const SeedLedgerEntry *entry)
{
  json_builder_set_member_name (json, entry->stream);
  json_builder_begin_object (json);
  add_count (json, "in", entry->in);
  add_count (json, "out", entry->out);
  json_builder_set_member_name (json, "dropped");
  json_builder_begin_object (json);
  for (guint i = 0; i < SEED_N_DROP_REASONS; i++) {
    if (entry->dropped[i])
      add_count (json, seed_drop_reason_name (i), entry->dropped[i]);
  }
  json_builder_end_object (json);
  add_count (json, "in_flight", seed_ledger_entry_in_flight (entry));
  json_builder_end_object (json);
}

static void
add_ledger (JsonBuilder *json, SeedLedger *ledger)
{
  g_autoptr (GArray) entries = seed_ledger_snapshot (ledger);

  json_builder_set_member_name (json, "ledger");
  json_builder_begin_object (json);
  for (guint i = 0; i < entries->len; i++)
    add_entry (json, &g_array_index (entries, SeedLedgerEntry, i));
  json_builder_end_object (json);
}

static void
add_busy (JsonBuilder *json, SeedLedger *ledger)
{
  SeedLedgerBusy busy;

  seed_ledger_get_busy (ledger, &busy);
  json_builder_set_member_name (json, "busy");
  json_builder_begin_object (json);
  add_count (json, "count", busy.count);
  add_count (json, "total_ns", busy.total_ns);
  add_count (json, "mean_ns", busy.count ? busy.total_ns / busy.count : 0);
  add_count (json, "p50_ns", busy.p50_ns);
  add_count (json, "p99_ns", busy.p99_ns);
  add_count (json, "max_ns", busy.max_ns);
  json_builder_end_object (json);
}

static void
add_stage (JsonBuilder *json, const SeedPipelineStage *stage, const GstStructure *stats)
{
  g_autoptr (SeedLedger) ledger = seed_run_element_ledger (stage->element);

  json_builder_begin_object (json);
  add_text (json, "name", GST_OBJECT_NAME (stage->element));
  add_text (json, "node", stage->node->name);
  add_text (json, "element", stage->node->factory);
  if (ledger) {
    add_ledger (json, ledger);
    add_busy (json, ledger);
  }
  if (stats) {
    json_builder_set_member_name (json, "stats");
    seed_run_json_add_structure (json, stats);
  }
  json_builder_end_object (json);
}

static void
add_queue (JsonBuilder *json, SeedGraphQueue *queue)
{
  guint peak;

  seed_graph_queue_level (queue, &peak);
  json_builder_begin_object (json);
  add_text (json, "name", GST_OBJECT_NAME (queue));
  add_count (json, "frames", seed_graph_queue_frames (queue));
  add_text (json, "leak", seed_leak_name (seed_graph_queue_leak (queue)));
  add_count (json, "peak", peak);
  add_ledger (json, seed_graph_queue_ledger (queue));
  json_builder_end_object (json);
}

static void
add_failure (JsonBuilder *json, const SeedRunFailure *failure)
{
  json_builder_begin_object (json);
  add_text (json, "stage", failure->stage);
  add_text (json, "stream", failure->stream);
  add_text (json, "reason", failure->reason);
  json_builder_end_object (json);
}

static double
wall_seconds (const SeedRun *run)
{
  if (run->stats || !run->begin_us)
    return run->wall_seconds;
  return (double) (g_get_monotonic_time () - run->begin_us) / G_USEC_PER_SEC;
}

static void
add_run (JsonBuilder *json, const SeedRun *run)
{
  add_text (json, "schema", SCHEMA);
  add_text (json, "file", run->options->file);
  add_text (json, "graph", run->graph ? run->graph->name : NULL);
  add_text (json, "result", run->loop && !run->stats ? "running" : result_names[run->result]);
  json_builder_set_member_name (json, "error");
  if (run->failure.reason)
    add_failure (json, &run->failure);
  else
    json_builder_add_null_value (json);
  add_count (json, "begin_ns", (guint64) run->begin_ns);
  json_builder_set_member_name (json, "wall_seconds");
  json_builder_add_double_value (json, wall_seconds (run));
  add_count (json, "threads",
      run->options->threads || !run->begin_us ? run->options->threads : seed_pool_n_threads ());
  add_text (json, "backend", run->options->build.backend ? run->options->build.backend : "auto");
  add_count (json, "seed", run->options->build.seed);
  json_builder_set_member_name (json, "deterministic");
  json_builder_add_boolean_value (json, run->options->build.deterministic);
  add_count (json, "warnings", run->n_warnings);
  json_builder_set_member_name (json, "failed_streams");
  json_builder_begin_array (json);
  for (guint i = 0; i < run->failed_streams->len; i++)
    add_failure (json, g_ptr_array_index (run->failed_streams, i));
  json_builder_end_array (json);
}

static void
add_pipeline (JsonBuilder *json, const SeedRun *run)
{
  const SeedPipeline *pipeline = run->pipeline;

  json_builder_set_member_name (json, "stages");
  json_builder_begin_array (json);
  for (guint i = 0; pipeline && i < pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (pipeline->stages, SeedPipelineStage, i);
    g_autoptr (GstStructure) live = NULL;

    if (!run->stats && run->begin_us)
      live = seed_run_element_stats (stage->element);
    add_stage (json, stage, run->stats ? g_ptr_array_index (run->stats, i) : live);
  }
  json_builder_end_array (json);
  json_builder_set_member_name (json, "queues");
  json_builder_begin_array (json);
  for (guint i = 0; pipeline && i < pipeline->queues->len; i++)
    add_queue (json, g_ptr_array_index (pipeline->queues, i));
  json_builder_end_array (json);
}

JsonNode *
seed_run_stats_to_json (const SeedRun *run)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();

  json_builder_begin_object (json);
  add_run (json, run);
  add_pipeline (json, run);
  json_builder_end_object (json);
  return json_builder_get_root (json);
}

gboolean
seed_run_write_stats (SeedRun *run, GError **error)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = seed_run_stats_to_json (run);
  g_autofree char *text = NULL, *line = NULL;

  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  text = json_generator_to_data (generator, NULL);
  line = g_strconcat (text, "\n", NULL);
  return g_file_set_contents_full (
      run->options->stats, line, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, error);
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "journal.h"
#include "line.h"
#include "seed-run.h"

typedef struct {
  SeedRun *run;
  SeedProgress *progress;
  gboolean journal; /* what standard error is */
} Player;

void
seed_run_fail (SeedRun *run, const char *stage, const char *stream, char *reason)
{
  if (run->result == SEED_RUN_FAILED) {
    g_free (reason);
    return;
  }
  run->result = SEED_RUN_FAILED;
  run->failure.stage = g_strdup (stage);
  run->failure.stream = g_strdup (stream);
  run->failure.reason = reason;
}

/* Which stream a message is about: elements say so in its details. */
static const char *
stream_of (const GstStructure *details)
{
  return details ? gst_structure_get_string (details, "stream") : NULL;
}

static void
print_message (
    Player *player, const char *kind, const char *stage, const char *stream, const char *text)
{
  g_autofree char *line = seed_line_build (kind, stage, stream, text);
  int priority = strcmp (kind, "error") == 0 ? LOG_ERR : LOG_WARNING;

  if (player->journal &&
      seed_journal_say (priority, "seed-run", player->run->graph->name, stage, stream, line))
    return;
  seed_progress_clear (player->progress);
  g_printerr ("%s\n", line);
}

static void
on_warning (Player *player, GstMessage *message)
{
  SeedRun *run = player->run;
  const char *stage = seed_pipeline_stage_name (run->pipeline, GST_MESSAGE_SRC (message));
  g_autofree char *text = seed_pipeline_message_text (message);
  const GstStructure *details = NULL;
  const char *stream, *reason;

  gst_message_parse_warning_details (message, &details);
  stream = stream_of (details);
  run->n_warnings++;
  print_message (player, "warning", stage, stream, text);
  reason = details ? gst_structure_get_string (details, "reason") : NULL;
  if (stream && reason) {
    SeedRunFailure *failure = g_new0 (SeedRunFailure, 1);

    failure->stage = g_strdup (stage);
    failure->stream = g_strdup (stream);
    failure->reason = g_strdup (reason);
    g_ptr_array_add (run->failed_streams, failure);
  }
}

static void
on_error (Player *player, GstMessage *message)
{
  SeedRun *run = player->run;
  const char *stage = seed_pipeline_stage_name (run->pipeline, GST_MESSAGE_SRC (message));
  g_autofree char *text = seed_pipeline_message_text (message);
  const GstStructure *details = NULL;

  gst_message_parse_error_details (message, &details);
  print_message (player, "error", stage, stream_of (details), text);
  seed_run_fail (run, stage, stream_of (details), g_steal_pointer (&text));
  g_main_loop_quit (run->loop);
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Player *player = data;
  GstElement *pipeline = player->run->pipeline->pipeline;

  switch (GST_MESSAGE_TYPE (message)) {
  case GST_MESSAGE_ERROR:
    on_error (player, message);
    break;
  case GST_MESSAGE_WARNING:
    on_warning (player, message);
    break;
  case GST_MESSAGE_EOS:
    g_main_loop_quit (player->run->loop);
    break;
  case GST_MESSAGE_LATENCY:
    gst_bin_recalculate_latency (GST_BIN (pipeline));
    break;
  case GST_MESSAGE_CLOCK_LOST:
    gst_element_set_state (pipeline, GST_STATE_PAUSED);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    break;
  default:
    break;
  }
  return G_SOURCE_CONTINUE;
}

/* ---- stopping ---- */

static gboolean
on_drain_limit (gpointer data)
{
  Player *player = data;
  SeedRun *run = player->run;
  g_autofree char *reason = g_strdup_printf (
      "not drained within %u s; stopped with frames in flight", run->options->drain);

  seed_progress_clear (player->progress);
  g_printerr ("seed-run: error: %s\n", reason);
  seed_run_fail (run, NULL, NULL, g_steal_pointer (&reason));
  run->drain_source = 0;
  g_main_loop_quit (run->loop);
  return G_SOURCE_REMOVE;
}

/* In a thread of its own: a source may take its time to end. */
static void
end_source (GstElement *element, gpointer data)
{
  if (!gst_element_send_event (element, gst_event_new_eos ()))
    GST_WARNING_OBJECT (element, "does not take the event that ends it");
}

static void
drain (Player *player)
{
  SeedRun *run = player->run;

  run->result = SEED_RUN_STOPPED;
  seed_run_status_set_phase (run->options->status, "draining");
  run->drain_source = g_timeout_add_seconds (run->options->drain, on_drain_limit, player);
  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (run->pipeline->stages, SeedPipelineStage, i);

    if (stage->node->inputs->len == 0)
      gst_element_call_async (stage->element, end_source, NULL, NULL);
  }
}

static void
on_signal (gpointer data, guint n_signals)
{
  Player *player = data;
  SeedRun *run = player->run;

  if (n_signals > 1) {
    seed_run_fail (run, NULL, NULL, g_strdup ("stopped at once by a second signal"));
    g_main_loop_quit (run->loop);
    return;
  }
  if (!run->options->quiet) {
    seed_progress_clear (player->progress);
    g_printerr ("seed-run: draining; a second signal stops at once\n");
  }
  drain (player);
}

/* ---- playing ---- */

static void
on_start_failure (Player *player)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (player->run->pipeline->pipeline);
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);

  if (message) {
    on_error (player, message);
    return;
  }
  print_message (player, "error", "-", NULL, "the graph does not start and does not say why");
  seed_run_fail (player->run, NULL, NULL, g_strdup ("the graph does not start"));
}

static void
free_stats (gpointer stats)
{
  g_clear_pointer ((GstStructure **) &stats, gst_structure_free);
}

/* What stages measured is asked while they still know it; their ledgers once they have stopped:
 * they count what they held as flushed then, and the account adds up. */
static void
stop (SeedRun *run)
{
  seed_run_signals_heard (FALSE);
  run->stats = g_ptr_array_new_with_free_func (free_stats);
  for (guint i = 0; i < run->pipeline->stages->len; i++)
    g_ptr_array_add (
        run->stats, seed_run_element_stats (
                        g_array_index (run->pipeline->stages, SeedPipelineStage, i).element));
  for (guint i = 0; i < run->pipeline->queues->len; i++)
    seed_graph_queue_abort (g_ptr_array_index (run->pipeline->queues, i));
  gst_element_set_state (run->pipeline->pipeline, GST_STATE_READY);
  run->wall_seconds = (double) (g_get_monotonic_time () - run->begin_us) / G_USEC_PER_SEC;
}

void
seed_run_play (SeedRun *run)
{
  Player player = { run, NULL, seed_journal_is_stderr () };
  g_autoptr (GstBus) bus = gst_element_get_bus (run->pipeline->pipeline);

  run->loop = g_main_loop_new (NULL, FALSE);
  run->latency = seed_run_latency_new (run->pipeline);
  run->begin_us = g_get_monotonic_time ();
  run->begin_ns = g_get_real_time () * 1000;
  seed_run_watch_signals (on_signal, &player);
  gst_bus_add_watch (bus, on_message, &player);
  if (!run->options->quiet)
    player.progress = seed_progress_new (run);
  if (gst_element_set_state (run->pipeline->pipeline, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE) {
    on_start_failure (&player);
  } else {
    seed_run_signals_heard (TRUE);
    seed_run_status_attach (run->options->status, run);
    g_main_loop_run (run->loop);
    seed_run_status_detach (run->options->status);
    seed_run_status_set_phase (run->options->status, "stopping");
  }
  g_clear_pointer (&player.progress, seed_progress_free);
  if (run->drain_source)
    g_source_remove (run->drain_source);
  stop (run);
  gst_bus_remove_watch (bus);
  seed_run_watch_signals (NULL, NULL);
  g_clear_pointer (&run->loop, g_main_loop_unref);
}

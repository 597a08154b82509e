/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/diagnostics.h"
#include "rpc.h"

G_BEGIN_DECLS

/**
 * The status channel of a supervised graph: JSON-RPC lines over the file descriptor that
 * --status-fd names.
 *
 * A thread of its own sends a `heartbeat` at an interval, from the first moment on, so that a
 * process that hangs is told from one that loads; each says how long ago the main loop last ran, so
 * that a deadlock there shows as well. Requests are answered in the main loop while a pipeline
 * plays. When the supervisor closes the channel, the graph drains as after SIGTERM.
 *
 * Notifications: heartbeat {phase, loop_age_ms, and once it plays: frames, streams, train,
 * latency_p50_ns, latency_p99_ns}, ready {graph, endpoints}, refused {errors}, ended {result,
 * reason, stage, stream}.
 */
typedef struct _SeedRunStatus SeedRunStatus;
struct _SeedRun;

/** Takes @fd. */
SeedRunStatus *seed_run_status_new (int fd, guint interval_ms);
/** Sends what is queued. NULL is fine, here and below. */
void seed_run_status_free (SeedRunStatus *status);

/** @phase: static; "loading", "playing", "draining". */
void seed_run_status_set_phase (SeedRunStatus *status, const char *phase);
/** Tells the errors of a graph that is not started. */
void seed_run_status_refuse (SeedRunStatus *status, const SeedDiagnostics *diagnostics);
/** From now until detached, @run's pipeline is playing and requests about it are answered. */
void seed_run_status_attach (SeedRunStatus *status, struct _SeedRun *run);
void seed_run_status_detach (SeedRunStatus *status);
/** Tells how @run ended. */
void seed_run_status_end (SeedRunStatus *status, const struct _SeedRun *run);

/* ---- what answers requests: seed-run-answer.c, seed-run-snapshot.c, seed-run-weights.c ---- */

typedef struct {
  SeedRunStatus *status;
  SeedRpcMessage message;
} SeedRunRequest;

/** Answers and frees @request. @result is taken; @error borrowed. From any thread. */
void seed_run_request_reply (SeedRunRequest *request, JsonNode *result);
void seed_run_request_fail (SeedRunRequest *request, const GError *error);

/** Takes @request and answers it, at once or later. In the main loop. */
void seed_run_answer (struct _SeedRun *run, SeedRunRequest *request);

/** The same for the request `snapshot` {stream, width}: a JPEG of the stream's next frame. */
void seed_run_snapshot (struct _SeedRun *run, SeedRunRequest *request);

/** The same for `promote` and `rollback` {node}: of that node, or of every one that keeps versions
 * of its weights. One after the other, beside the main loop: files are read and summed. */
void seed_run_change_weights (struct _SeedRun *run, SeedRunRequest *request);
/** Waits for those under way, for good. */
void seed_run_end_changes (void);

/** What a heartbeat tells of a pipeline. */
typedef struct _SeedRunSummary SeedRunSummary;
SeedRunSummary *seed_run_summary_new (void);
void seed_run_summary_free (SeedRunSummary *summary);
/** Members "name": value of a JSON object, to be called at an interval; the caller frees. */
char *seed_run_summary_take (SeedRunSummary *summary, const struct _SeedRun *run);

G_END_DECLS

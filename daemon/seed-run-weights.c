/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "seed-run.h"

typedef struct {
  SeedRunRequest *request;
  GPtrArray *elements; /* that have the action, which the request is called after */
  const char *name;    /* of the node that the request means; NULL: any */
} Job;

/* An action of that name without arguments that returns a GError or NULL. */
static gboolean
has_action (GstElement *element, const char *signal)
{
  guint id = g_signal_lookup (signal, G_OBJECT_TYPE (element));
  GSignalQuery query;

  if (id == 0)
    return FALSE;
  g_signal_query (id, &query);
  return (query.signal_flags & G_SIGNAL_ACTION) && query.n_params == 0 &&
         query.return_type == G_TYPE_ERROR;
}

/* Sets @error when the element refuses; unless it is named, one that keeps no versions (a student
 * that only serves, SEED_ERROR_UNSUPPORTED) is passed over. */
static void
act_on (GstElement *element, const Job *job, JsonArray *done, GError **error)
{
  g_autoptr (GError) refusal = NULL;

  g_signal_emit_by_name (element, job->request->message.method, &refusal);
  if (!refusal)
    json_array_add_string_element (done, GST_OBJECT_NAME (element));
  else if (job->name || !g_error_matches (refusal, SEED_ERROR, SEED_ERROR_UNSUPPORTED))
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED, "node '%s': %s",
        GST_OBJECT_NAME (element), refusal->message);
}

static void
refuse_none (const Job *job, GError **error)
{
  const char *method = job->request->message.method;

  if (job->name)
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
        "node '%s' has no versions of weights to %s", job->name, method);
  else
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
        "the graph has no versions of weights to %s", method);
}

static void
work (gpointer data, gpointer user_data)
{
  Job *job = data;
  g_autoptr (JsonArray) done = json_array_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < job->elements->len && !error; i++)
    act_on (g_ptr_array_index (job->elements, i), job, done, &error);
  if (!error && json_array_get_length (done) == 0)
    refuse_none (job, &error);
  if (error)
    seed_run_request_fail (job->request, error);
  else
    seed_run_request_reply (job->request, json_node_init_array (json_node_alloc (), done));
  g_ptr_array_unref (job->elements);
  g_free (job);
}

static GThreadPool *queue; /* of one thread: in the order they came; NULL before the first */

void
seed_run_end_changes (void)
{
  if (queue)
    g_thread_pool_free (g_steal_pointer (&queue), FALSE, TRUE);
}

void
seed_run_change_weights (SeedRun *run, SeedRunRequest *request)
{
  static const char *const known[] = { "node", NULL };
  JsonObject *params = request->message.params;
  g_autoptr (GError) error = NULL;
  const char *name = seed_rpc_get_text (params, "node", FALSE, &error);
  Job *job;

  if (error || !seed_rpc_check_params (params, known, &error) ||
      (name && !seed_run_find_stage (run, name, &error))) {
    seed_run_request_fail (request, error);
    return;
  }
  job = g_new0 (Job, 1);
  job->request = request;
  job->name = name;
  job->elements = g_ptr_array_new_with_free_func (gst_object_unref);
  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    GstElement *element = g_array_index (run->pipeline->stages, SeedPipelineStage, i).element;

    if (has_action (element, request->message.method) &&
        (!name || strcmp (name, GST_OBJECT_NAME (element)) == 0))
      g_ptr_array_add (job->elements, gst_object_ref (element));
  }
  if (!queue)
    queue = g_thread_pool_new (work, NULL, 1, FALSE, NULL);
  g_thread_pool_push (queue, job, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <seed/error.h>

#include "nn/json.h"
#include "publish/json-tree.h"
#include "publish/sequence.h"
#include "publish/subscriber.h"
#include "publish/wire-kinds.h"
#include "seedctl.h"

/* Values of a tensor shown without --full. */
#define N_FIRST 4u
#define MAX_TOPICS 65536u

typedef struct {
  const char *endpoint;
  char *server_key, *client_key; /* files */
  gboolean full;
  gint64 count;   /* messages to print, 0 for no limit */
  double timeout; /* seconds without a publisher, 0 for no limit */
  SeedSequence *sequence;
  GString *line;
  gint64 printed;
} Tail;

static SeedSubscriber *volatile interruptible; /* for the signal handler */

static void
on_signal (int signal_number)
{
  seed_subscriber_cancel (interruptible);
}

/* Half precision (IEEE 754 binary16). */
static double
half_to_double (guint16 half)
{
  double sign = half & 0x8000 ? -1 : 1;
  int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;

  if (exponent == 0x1f)
    return fraction ? (double) NAN : sign * (double) INFINITY;
  return exponent == 0 ? sign * ldexp (fraction, -24)
                       : sign * ldexp (fraction + 1024, exponent - 25);
}

static double
bfloat_to_double (guint16 value)
{
  guint32 bits = (guint32) value << 16;
  float result;

  memcpy (&result, &bits, sizeof result);
  return result;
}

#define LOAD(type) (*(const struct { type value; } __attribute__ ((packed)) *) at).value

static double
get_value (const SeedTensor *tensor, gsize i)
{
  const guint8 *at = (const guint8 *) tensor->data + i * seed_dtype_size (tensor->dtype);

  switch (tensor->dtype) {
  case SEED_DTYPE_BOOL:
  case SEED_DTYPE_U8:
    return *at;
  case SEED_DTYPE_I8:
    return (gint8) *at;
  case SEED_DTYPE_I16:
    return LOAD (gint16);
  case SEED_DTYPE_U16:
    return LOAD (guint16);
  case SEED_DTYPE_F16:
    return half_to_double (LOAD (guint16));
  case SEED_DTYPE_BF16:
    return bfloat_to_double (LOAD (guint16));
  case SEED_DTYPE_I32:
    return LOAD (gint32);
  case SEED_DTYPE_U32:
    return LOAD (guint32);
  case SEED_DTYPE_F32:
    return (double) LOAD (float);
  case SEED_DTYPE_F64:
    return LOAD (double);
  case SEED_DTYPE_I64:
    return (double) LOAD (gint64);
  case SEED_DTYPE_U64:
    return (double) LOAD (guint64);
  default:
    g_return_val_if_reached (0);
  }
}

static void
append_value (GString *line, const SeedTensor *tensor, gsize i)
{
  const guint8 *at = (const guint8 *) tensor->data + i * seed_dtype_size (tensor->dtype);
  double value = get_value (tensor, i);

  if (tensor->dtype == SEED_DTYPE_I64)
    g_string_append_printf (line, "%" G_GINT64_FORMAT, LOAD (gint64));
  else if (tensor->dtype == SEED_DTYPE_U64)
    g_string_append_printf (line, "%" G_GUINT64_FORMAT, LOAD (guint64));
  else if (!isfinite (value))
    g_string_append (line, "null"); /* JSON has no NaN */
  else if (tensor->dtype == SEED_DTYPE_F32 || tensor->dtype == SEED_DTYPE_F16 ||
           tensor->dtype == SEED_DTYPE_BF16)
    seed_json_append_float (line, (float) value);
  else
    seed_json_append_double (line, value);
}

static void
append_values (GString *line, const char *key, const SeedTensor *tensor, gsize n)
{
  g_string_append_printf (line, ",\"%s\":[", key);
  for (gsize i = 0; i < n; i++) {
    if (i > 0)
      g_string_append_c (line, ',');
    append_value (line, tensor, i);
  }
  g_string_append_c (line, ']');
}

static void
append_tensor (GString *line, const SeedTensor *tensor, gboolean full)
{
  gsize n = tensor->size / seed_dtype_size (tensor->dtype);
  double sum = 0;

  g_string_append_printf (line, "{\"name\":\"%s\",\"dtype\":\"%s\",\"shape\":[", tensor->name,
      seed_dtype_wire_name (tensor->dtype));
  for (guint d = 0; d < tensor->n_dims; d++)
    g_string_append_printf (line, "%s%" G_GUINT64_FORMAT, d > 0 ? "," : "", tensor->shape[d]);
  for (gsize i = 0; i < n; i++)
    sum += get_value (tensor, i) * get_value (tensor, i);
  g_string_append (line, "],\"norm\":");
  if (isfinite (sum))
    seed_json_append_double (line, sqrt (sum));
  else
    g_string_append (line, "null");
  append_values (line, full ? "values" : "first", tensor, full ? n : MIN (n, N_FIRST));
  g_string_append_c (line, '}');
}

static void
append_tensors (GString *line, const SeedResult *result, gboolean full)
{
  g_string_append_c (line, '[');
  for (guint i = 0; i < result->n_tensors; i++) {
    if (i > 0)
      g_string_append_c (line, ',');
    append_tensor (line, &result->tensors[i], full);
  }
  g_string_append_c (line, ']');
}

/* A result that is not what its kind promises is shown all the same, and told of. */
static void
append_summary (GString *line, const SeedResult *result)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *summary = NULL;

  if (!seed_kind_check (result, &error)) {
    seedctl_complain ("tail", "%s", error->message);
    return;
  }
  summary = seed_kind_summarize (result);
  if (!summary)
    return;
  g_string_append (line, ",\"summary\":");
  seed_json_append_quoted (line, summary);
}

/* The header as it came, unknown keys and all, with the topic before it and the tensors told. */
static void
format_result (Tail *tail, const SeedResult *result)
{
  GString *line = tail->line;
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  g_string_printf (line, "{\"topic\":\"%s/%s/%s/%s/\"", result->graph, result->stream, result->kind,
      result->node);
  json_object_iter_init_ordered (&iter, json_node_get_object (result->root));
  while (json_object_iter_next_ordered (&iter, &key, &value)) {
    if (strcmp (key, "topic") == 0 || strcmp (key, "summary") == 0)
      continue;
    g_string_append_c (line, ',');
    seed_json_append_quoted (line, key);
    g_string_append_c (line, ':');
    if (strcmp (key, "tensors") == 0)
      append_tensors (line, result, tail->full);
    else
      seed_json_tree_append (line, value);
  }
  append_summary (line, result);
  g_string_append (line, "}\n");
}

/* FALSE for a message that was printed before. */
static gboolean
note_sequence (Tail *tail, const SeedResult *result)
{
  guint64 lost;
  SeedSequenceStep step = seed_sequence_step (tail->sequence, result, &lost);

  if (step == SEED_SEQUENCE_GAP)
    seedctl_complain ("tail",
        "%" G_GUINT64_FORMAT " messages of %s/%s/%s/%s/ were lost before %" G_GUINT64_FORMAT, lost,
        result->graph, result->stream, result->kind, result->node, result->seq);
  return step != SEED_SEQUENCE_REPEAT;
}

/* FALSE with errno when it cannot be written. */
static gboolean
print_result (Tail *tail, const SeedResult *result)
{
  if (!note_sequence (tail, result))
    return TRUE;
  format_result (tail, result);
  if (fwrite (tail->line->str, 1, tail->line->len, stdout) < tail->line->len ||
      fflush (stdout) != 0)
    return FALSE;
  tail->printed++;
  return TRUE;
}

/* Milliseconds until the patience with an absent publisher ends, or -1. */
static int
patience_ms (const Tail *tail, const SeedSubscriber *subscriber, gint64 absent_since)
{
  gint64 left;

  if (tail->timeout <= 0 || seed_subscriber_is_connected (subscriber))
    return -1;
  left = absent_since + (gint64) (tail->timeout * G_TIME_SPAN_SECOND) - g_get_monotonic_time ();
  return (int) CLAMP ((left + 999) / 1000, 0, G_MAXINT);
}

static int
output_failed (void)
{
  if (errno == EPIPE)
    return SEEDCTL_DONE;
  seedctl_complain ("tail", "cannot write: %s", g_strerror (errno));
  return SEEDCTL_REFUSED;
}

static int
follow (Tail *tail, SeedSubscriber *subscriber)
{
  gint64 absent_since = g_get_monotonic_time ();
  gboolean connected = FALSE;

  while (tail->count == 0 || tail->printed < tail->count) {
    int patience = patience_ms (tail, subscriber, absent_since);
    g_autoptr (GError) error = NULL;
    const SeedResult *result;

    switch (seed_subscriber_receive (subscriber, patience, &result, &error)) {
    case SEED_RECEIVED_RESULT:
      if (!print_result (tail, result))
        return output_failed ();
      break;
    case SEED_RECEIVED_MALFORMED:
      seedctl_complain ("tail", "skipped a message: %s", error->message);
      break;
    case SEED_RECEIVED_CONNECTION:
      if (connected && !seed_subscriber_is_connected (subscriber)) {
        seedctl_complain ("tail", "the publisher at %s went away", tail->endpoint);
        absent_since = g_get_monotonic_time ();
      }
      connected = seed_subscriber_is_connected (subscriber);
      break;
    case SEED_RECEIVED_TIMEOUT:
      if (patience_ms (tail, subscriber, absent_since) == 0) {
        seedctl_complain ("tail", "nothing publishes at %s", tail->endpoint);
        return SEEDCTL_NOBODY;
      }
      break;
    case SEED_RECEIVED_CANCELLED:
      return SEEDCTL_DONE;
    case SEED_RECEIVED_FAILED:
      seedctl_complain ("tail", "%s", error->message);
      return SEEDCTL_REFUSED;
    }
  }
  return SEEDCTL_DONE;
}

static void
catch_signals (SeedSubscriber *subscriber)
{
  struct sigaction action = { .sa_handler = on_signal };

  interruptible = subscriber;
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  signal (SIGPIPE, SIG_IGN);
}

static int
tail_prefixes (Tail *tail, const char *const *prefixes)
{
  const SeedSubscriberConfig config = { tail->endpoint, prefixes, SEED_SUBSCRIBER_DEFAULT_HWM,
    SEED_SUBSCRIBER_DEFAULT_MAX_PART, tail->server_key, tail->client_key };
  g_autoptr (GError) error = NULL;
  SeedSubscriber *subscriber = seed_subscriber_new (&config, &error);
  int code;

  if (!subscriber) {
    seedctl_complain ("tail", "%s", error->message);
    return SEEDCTL_REFUSED;
  }
  catch_signals (subscriber);
  tail->sequence = seed_sequence_new (MAX_TOPICS);
  tail->line = g_string_new (NULL);
  code = follow (tail, subscriber);
  g_string_free (tail->line, TRUE);
  seed_sequence_free (tail->sequence);
  signal (SIGINT, SIG_DFL);
  signal (SIGTERM, SIG_DFL);
  seed_subscriber_free (subscriber);
  return code;
}

int
seedctl_tail (int argc, char **argv)
{
  g_autofree char *endpoint = NULL;
  gboolean json = FALSE;
  Tail tail = { 0 };
  const GOptionEntry entries[] = {
    { "connect", 'c', 0, G_OPTION_ARG_STRING, &endpoint,
        "Endpoint to connect to (default: " SEED_WIRE_DEFAULT_ENDPOINT ")", "ENDPOINT" },
    { "full", 'f', 0, G_OPTION_ARG_NONE, &tail.full, "Print every number of every tensor", NULL },
    { "count", 'n', 0, G_OPTION_ARG_INT64, &tail.count, "End after N results (default: never)",
        "N" },
    { "timeout", 't', 0, G_OPTION_ARG_DOUBLE, &tail.timeout,
        "End with status 3 after so long without a publisher (default: never)", "SECONDS" },
    { "server-key", 0, 0, G_OPTION_ARG_FILENAME, &tail.server_key,
        "File with the publisher's public key, for CURVE", "FILE" },
    { "client-key", 0, 0, G_OPTION_ARG_FILENAME, &tail.client_key,
        "File with the own key pair, for CURVE (see seedctl keygen)", "FILE" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Implied; here for uniformity", NULL },
    { NULL },
  };
  int code;

  if (!seedctl_parse (&argc, &argv, "[PREFIX...]",
          "Prints results as they are published, one JSON object a line: the header, the topic, "
          "and "
          "each tensor's\nname, dtype, shape, norm and first values. PREFIX selects topics "
          "GRAPH/STREAM/KIND/NODE/ (default: all).",
          entries, &code))
    return code;
  if (tail.count < 0 || tail.timeout < 0 || !isfinite (tail.timeout) || tail.timeout > 1e6) {
    seedctl_complain (
        "tail", "--count and --timeout must be positive numbers; see seedctl tail --help");
    return SEEDCTL_USAGE;
  }
  tail.endpoint = endpoint ? endpoint : SEED_WIRE_DEFAULT_ENDPOINT;
  code = tail_prefixes (
      &tail, argc > 1 ? (const char *const *) argv + 1 : (const char *const[]){ "", NULL });
  g_free (tail.server_key);
  g_free (tail.client_key);
  return code;
}

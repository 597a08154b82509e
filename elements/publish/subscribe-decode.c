/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "core/caps.h"
#include "core/stream-meta.h"
#include "publish/json-tree.h"
#include "publish/subscribe-decode.h"
#include "publish/wire-kinds.h"

/* Of caps; see SEED_FEATURES_TEMPLATE_CAPS. */
#define MAX_DIM 65536
#define MAX_GRID 1024
#define MAX_SPACE 255u /* bytes */

typedef struct {
  char *owner; /* "graph/stream/node" */
  char *stream;
  guint64 frame;
  guint dim;
  GstMemory *summary;
} Pending;

struct _SeedDecoder {
  char *kind;
  gboolean is_tokens, is_report;
  SeedLedger *ledger;
  GQueue pending; /* Pending, oldest first */
};

static void
pending_free (Pending *pending)
{
  g_free (pending->owner);
  g_free (pending->stream);
  gst_memory_unref (pending->summary);
  g_free (pending);
}

SeedDecoder *
seed_decoder_new (const char *kind, SeedLedger *ledger)
{
  SeedDecoder *decoder = g_new0 (SeedDecoder, 1);

  decoder->kind = g_strdup (kind);
  decoder->is_tokens = strcmp (kind, "tokens") == 0;
  decoder->is_report = !decoder->is_tokens && strcmp (kind, "embedding") != 0;
  decoder->ledger = seed_ledger_ref (ledger);
  g_queue_init (&decoder->pending);
  return decoder;
}

void
seed_decoder_free (SeedDecoder *decoder)
{
  if (!decoder)
    return;
  seed_decoder_flush (decoder);
  seed_ledger_unref (decoder->ledger);
  g_free (decoder->kind);
  g_free (decoder);
}

gboolean
seed_decoder_wants (const SeedDecoder *decoder, const char *kind)
{
  return strcmp (kind, decoder->kind) == 0 ||
         (decoder->is_tokens && strcmp (kind, "embedding") == 0);
}

gboolean
seed_decoder_counts (const SeedDecoder *decoder, const char *kind)
{
  return seed_decoder_wants (decoder, kind) &&
         !(decoder->is_tokens && strcmp (kind, "tokens") == 0);
}

/* Caps */

static gboolean
refuse (const SeedResult *result, int code, const char *what, GError **error)
{
  g_set_error (error, SEED_ERROR, code, "%s/%s/%s/%s/: %s", result->graph, result->stream,
      result->kind, result->node, what);
  return FALSE;
}

static gboolean
get_space (const SeedResult *result, const char **space, GError **error)
{
  JsonNode *node = json_object_get_member (result->data, "space");

  if (!node || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return refuse (result, SEED_ERROR_FORMAT, "header key \"data.space\" must be a string", error);
  *space = json_node_get_string (node);
  if (strlen (*space) > MAX_SPACE)
    return refuse (
        result, SEED_ERROR_LIMIT, "header key \"data.space\" has more than 255 bytes", error);
  return TRUE;
}

static gboolean
is_dim (guint64 dim)
{
  return dim >= 1 && dim <= MAX_DIM;
}

static gboolean
check_embedding (const SeedResult *result, SeedFeaturesInfo *info, GError **error)
{
  const SeedTensor *tensor = seed_result_tensor (result, "embedding");

  if (result->n_tensors != 1 || !tensor || tensor->dtype != SEED_DTYPE_F32 || tensor->n_dims != 1 ||
      !is_dim (tensor->shape[0]))
    return refuse (result, SEED_ERROR_MISMATCH,
        "header key \"tensors\" must be one tensor \"embedding\", float32 [1 to 65536]", error);
  info->summary_dim = (guint) tensor->shape[0];
  return TRUE;
}

static guint
get_grid (const SeedResult *result)
{
  JsonNode *node = json_object_get_member (result->data, "grid");

  if (!node || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64 ||
      json_node_get_int (node) < 1 || json_node_get_int (node) > MAX_GRID)
    return 0;
  return (guint) json_node_get_int (node);
}

static gboolean
check_tokens (const SeedResult *result, SeedFeaturesInfo *info, GError **error)
{
  const SeedTensor *tensor = seed_result_tensor (result, "tokens");
  guint grid = get_grid (result);

  if (grid == 0)
    return refuse (result, SEED_ERROR_FORMAT,
        "header key \"data.grid\" must be an integer from 1 to 1024", error);
  if (result->n_tensors != 1 || !tensor || tensor->dtype != SEED_DTYPE_F32 || tensor->n_dims != 2 ||
      tensor->shape[0] != (guint64) grid * grid || !is_dim (tensor->shape[1]))
    return refuse (result, SEED_ERROR_MISMATCH,
        "header key \"tensors\" must be one tensor \"tokens\", float32 [grid * grid, 1 to 65536]",
        error);
  info->token_dim = (guint) tensor->shape[1];
  info->grid = grid;
  return TRUE;
}

static char *
owner_of (const SeedResult *result)
{
  return g_strdup_printf ("%s/%s/%s", result->graph, result->stream, result->node);
}

static GList *
find_pending (SeedDecoder *decoder, const SeedResult *result)
{
  g_autofree char *owner = owner_of (result);

  for (GList *l = decoder->pending.head; l; l = l->next) {
    if (strcmp (((Pending *) l->data)->owner, owner) == 0)
      return l;
  }
  return NULL;
}

static GstCaps *
features_caps (SeedDecoder *decoder, const SeedResult *result, GError **error)
{
  SeedFeaturesInfo info = { .views = 1, .batch = 1, .node = result->node };
  GstCaps *caps;

  if (!get_space (result, &info.space, error))
    return NULL;
  if (strcmp (result->kind, "embedding") == 0) {
    if (!check_embedding (result, &info, error))
      return NULL;
  } else {
    GList *link = find_pending (decoder, result);

    if (!check_tokens (result, &info, error))
      return NULL;
    info.summary_dim = link ? ((Pending *) link->data)->dim : 1;
  }
  caps = seed_features_info_to_caps (&info);
  if (decoder->is_tokens && info.token_dim == 0)
    gst_caps_set_simple (caps, "token-dim", GST_TYPE_INT_RANGE, 1, MAX_DIM, "grid",
        GST_TYPE_INT_RANGE, 1, MAX_GRID, NULL);
  return caps;
}

GstCaps *
seed_decoder_caps (SeedDecoder *decoder, const SeedResult *result, GError **error)
{
  if (!seed_kind_check (result, error))
    return NULL;
  if (!decoder->is_report)
    return features_caps (decoder, result, error);
  return gst_caps_new_simple (SEED_CAPS_REPORT, "kind", G_TYPE_STRING, result->kind, "node",
      G_TYPE_STRING, result->node, "per-stream", G_TYPE_BOOLEAN,
      strcmp (result->stream, SEED_WIRE_NO_STREAM) != 0, NULL);
}

/* Buffers */

static gint32
get_label (const SeedResult *result)
{
  JsonNode *node = json_object_get_member (result->data, "label");

  if (!node || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64 ||
      json_node_get_int (node) < 0 || json_node_get_int (node) > G_MAXINT32)
    return -1;
  return (gint32) json_node_get_int (node);
}

static void
add_meta (GstBuffer *buffer, const SeedResult *result)
{
  SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

  g_strlcpy (meta->stream, result->stream, sizeof meta->stream);
  meta->frame = result->frame != SEED_RESULT_NONE ? result->frame : 0;
  meta->pts = result->pts_ns;
  meta->capture_ns = result->capture_ns != SEED_RESULT_NONE ? (gint64) result->capture_ns : 0;
  meta->label = get_label (result);
  GST_BUFFER_PTS (buffer) = result->pts_ns;
}

/* Parts lie in memory as the network left them; features are aligned. */
static GstMemory *
copy_tensor (const SeedTensor *tensor)
{
  GstMemory *memory = gst_allocator_alloc (NULL, tensor->size, NULL);
  GstMapInfo map;

  gst_memory_map (memory, &map, GST_MAP_WRITE);
  memcpy (map.data, tensor->data, tensor->size);
  gst_memory_unmap (memory, &map);
  return memory;
}

static void
drop_pending (SeedDecoder *decoder, GList *link, SeedDropReason reason)
{
  Pending *pending = link->data;

  seed_ledger_drop (decoder->ledger, pending->stream, reason, 1);
  g_queue_delete_link (&decoder->pending, link);
  pending_free (pending);
}

/* An embedding whose tokens did not come before the next one lost them on the way. */
static void
hold_embedding (SeedDecoder *decoder, const SeedResult *result)
{
  const SeedTensor *tensor = &result->tensors[0];
  Pending *pending = g_new0 (Pending, 1);
  GList *old = find_pending (decoder, result);

  if (!old && decoder->pending.length >= SEED_DECODER_MAX_PENDING)
    old = decoder->pending.head;
  if (old)
    drop_pending (decoder, old, SEED_DROP_QUEUE_FULL);
  pending->owner = owner_of (result);
  pending->stream = g_strdup (result->stream);
  pending->frame = result->frame;
  pending->dim = (guint) tensor->shape[0];
  pending->summary = copy_tensor (tensor);
  g_queue_push_tail (&decoder->pending, pending);
}

static GstBuffer *
join_tokens (SeedDecoder *decoder, const SeedResult *result)
{
  GList *link = find_pending (decoder, result);
  Pending *pending = link ? link->data : NULL;
  GstBuffer *buffer;

  if (!pending || pending->frame != result->frame)
    return NULL;
  buffer = gst_buffer_new ();
  gst_buffer_append_memory (buffer, gst_memory_ref (pending->summary));
  gst_buffer_append_memory (buffer, copy_tensor (&result->tensors[0]));
  g_queue_delete_link (&decoder->pending, link);
  pending_free (pending);
  return buffer;
}

/* The JSON, and after it the tensors in the order of the kind's table. */
static GstBuffer *
report_buffer (const SeedResult *result)
{
  GstBuffer *buffer;
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), result->data);
  GString *text = g_string_new (NULL);
  gsize length;

  seed_json_tree_append (text, node);
  length = text->len;
  buffer = gst_buffer_new_wrapped (g_string_free (text, FALSE), length);
  for (guint i = 0; i < SEED_KIND_MAX_TENSORS; i++) {
    const char *name = seed_kind_tensor_name (result->kind, i);
    const SeedTensor *tensor = name ? seed_result_tensor (result, name) : NULL;

    if (tensor)
      gst_buffer_append_memory (buffer, copy_tensor (tensor));
  }
  return buffer;
}

GstBuffer *
seed_decoder_push (SeedDecoder *decoder, const SeedResult *result)
{
  GstBuffer *buffer;

  if (decoder->is_report) {
    buffer = report_buffer (result);
  } else if (strcmp (result->kind, "tokens") == 0) {
    buffer = join_tokens (decoder, result);
  } else if (decoder->is_tokens) {
    hold_embedding (decoder, result);
    return NULL;
  } else {
    buffer = gst_buffer_new ();
    gst_buffer_append_memory (buffer, copy_tensor (&result->tensors[0]));
  }
  if (buffer)
    add_meta (buffer, result);
  return buffer;
}

void
seed_decoder_discard (SeedDecoder *decoder, const SeedResult *tokens)
{
  GList *link = strcmp (tokens->kind, "tokens") == 0 ? find_pending (decoder, tokens) : NULL;

  if (link)
    drop_pending (decoder, link, SEED_DROP_ERROR);
}

void
seed_decoder_flush (SeedDecoder *decoder)
{
  while (decoder->pending.head)
    drop_pending (decoder, decoder->pending.head, SEED_DROP_FLUSHED);
}

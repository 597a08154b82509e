/* SPDX-License-Identifier: MIT */
#include <gio/gio.h>
#include <math.h>
#include <string.h>

#include "eval/jsonl.h"
#include "publish/json-tree.h"

#define PIECE (1u << 18)

static GBytes *
read_all (GInputStream *stream, const char *path, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree guint8 *piece = g_malloc (PIECE);
  g_autoptr (GError) cause = NULL;
  gssize n;

  while ((n = g_input_stream_read (stream, piece, PIECE, NULL, &cause)) > 0) {
    if (bytes->len + (gsize) n > SEED_JSONL_MAX_BYTES) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: more than %" G_GSIZE_FORMAT " bytes",
          path, SEED_JSONL_MAX_BYTES);
      return NULL;
    }
    g_byte_array_append (bytes, piece, (guint) n);
  }
  if (n < 0) {
    g_set_error (error, SEED_ERROR,
        cause->domain == G_IO_ERROR && cause->code == G_IO_ERROR_INVALID_DATA ? SEED_ERROR_FORMAT
                                                                              : SEED_ERROR_IO,
        "%s: cannot be read: %s", path, cause->message);
    return NULL;
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

GBytes *
seed_jsonl_read (const char *path, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GError) cause = NULL;
  g_autoptr (GFileInputStream) plain = g_file_read (file, NULL, &cause);
  g_autoptr (GInputStream) buffered = NULL, unpacked = NULL;
  g_autoptr (GZlibDecompressor) gzip = NULL;
  gsize available;
  const guint8 *begin;

  if (!plain) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be opened: %s", path, cause->message);
    return NULL;
  }
  buffered = g_buffered_input_stream_new (G_INPUT_STREAM (plain));
  if (g_buffered_input_stream_fill (G_BUFFERED_INPUT_STREAM (buffered), 2, NULL, &cause) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be read: %s", path, cause->message);
    return NULL;
  }
  begin = g_buffered_input_stream_peek_buffer (G_BUFFERED_INPUT_STREAM (buffered), &available);
  if (available < 2 || begin[0] != 0x1f || begin[1] != 0x8b)
    return read_all (buffered, path, error);
  gzip = g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP);
  unpacked = g_converter_input_stream_new (buffered, G_CONVERTER (gzip));
  return read_all (unpacked, path, error);
}

const char *
seed_jsonl_text (GBytes *bytes, gsize *length)
{
  const char *text = g_bytes_get_data (bytes, length);

  return text ? text : "";
}

static gboolean
parse_line (const char *label, const char *text, gsize length, guint line, SeedJsonlFunc func,
    gpointer data, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (JsonNode) node = seed_json_tree_parse ("", text, length, &cause);

  if (!node) {
    /* the parser saw one line: its place is ":1:COLUMN: ..." */
    const char *rest = g_str_has_prefix (cause->message, ":1:") ? cause->message + 3 : NULL;

    g_set_error (error, cause->domain, cause->code, "%s:%u:%s%s", label, line, rest ? "" : " ",
        rest ? rest : cause->message);
    return FALSE;
  }
  if (!JSON_NODE_HOLDS_OBJECT (node)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: expected an object", label, line);
    return FALSE;
  }
  return func (json_node_get_object (node), line, data, error);
}

static gboolean
is_blank (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++) {
    if (!strchr (" \t\r", text[i]) || text[i] == 0)
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_jsonl_parse (const char *label, const char *text, gsize length, SeedJsonlFunc func,
    gpointer data, GError **error)
{
  const char *end = text + length;

  for (guint line = 1; text < end; line++) {
    const char *next = memchr (text, '\n', (gsize) (end - text));
    gsize n = (gsize) ((next ? next : end) - text);

    if (!is_blank (text, n) && !parse_line (label, text, n, line, func, data, error))
      return FALSE;
    text = next ? next + 1 : end;
  }
  return TRUE;
}

JsonNode *
seed_jsonl_parse_object (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (JsonNode) node = seed_json_tree_parse (label, text, length, error);

  if (node && !JSON_NODE_HOLDS_OBJECT (node)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:1: expected an object", label);
    return NULL;
  }
  return g_steal_pointer (&node);
}

JsonNode *
seed_jsonl_load_object (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = seed_jsonl_read (path, error);
  gsize length;
  const char *text = bytes ? seed_jsonl_text (bytes, &length) : NULL;

  return text ? seed_jsonl_parse_object (path, text, length, error) : NULL;
}

gboolean
seed_jsonl_is_number (JsonNode *node, double *value)
{
  GType type = node && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : 0;

  if (type == G_TYPE_INT64)
    *value = (double) json_node_get_int (node);
  else if (type == G_TYPE_DOUBLE)
    *value = json_node_get_double (node);
  else
    return FALSE;
  return isfinite (*value);
}

gboolean
seed_jsonl_get_number (JsonObject *object, const char *name, double *value)
{
  return seed_jsonl_is_number (json_object_get_member (object, name), value);
}

const char *
seed_jsonl_get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

JsonObject *
seed_jsonl_get_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
seed_jsonl_get_array (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

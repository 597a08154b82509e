/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "eval/grounding.h"
#include "eval/jsonl.h"

#define MAX_DURATION 1e6 /* seconds */

struct _SeedGroundingFile {
  char *name;
  GPtrArray *items; /* of SeedGroundingItem */
  GHashTable *by_qid;
};

typedef struct {
  SeedGroundingFile *file;
  SeedGroundingSide side;
} Reader;

static void
item_free (gpointer data)
{
  SeedGroundingItem *item = data;

  g_free (item->qid);
  g_clear_pointer (&item->windows, g_array_unref);
  g_clear_pointer (&item->clips, g_array_unref);
  g_clear_pointer (&item->ratings, g_array_unref);
  g_clear_pointer (&item->saliency, g_array_unref);
  g_free (item);
}

static gboolean
fail (const Reader *reader, guint line, GError **error, const char *what)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: %s", reader->file->name, line, what);
  return FALSE;
}

static char *
read_qid (JsonObject *object)
{
  const char *text = seed_jsonl_get_string (object, "qid");
  JsonNode *node = json_object_get_member (object, "qid");

  if (text && *text)
    return g_strdup (text);
  if (node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64)
    return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  return NULL;
}

static gboolean
read_window (JsonNode *node, guint n_wanted, SeedWindow *window)
{
  JsonArray *array = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  double *numbers[] = { &window->start, &window->end, &window->score };

  if (!array || json_array_get_length (array) != n_wanted)
    return FALSE;
  for (guint i = 0; i < n_wanted; i++) {
    if (!seed_jsonl_is_number (json_array_get_element (array, i), numbers[i]))
      return FALSE;
  }
  return window->end >= window->start;
}

static gboolean
read_windows (
    const Reader *reader, JsonObject *object, guint line, SeedGroundingItem *item, GError **error)
{
  gboolean predicted = reader->side == SEED_GROUNDING_PREDICTIONS;
  JsonArray *array =
      seed_jsonl_get_array (object, predicted ? "pred_relevant_windows" : "relevant_windows");
  guint n = array ? json_array_get_length (array) : 0;

  if (!array)
    return fail (reader, line, error,
        predicted ? "\"pred_relevant_windows\": expected a list of [start, end, score]"
                  : "\"relevant_windows\": expected a list of [start, end]");
  if (n > SEED_GROUNDING_MAX_WINDOWS)
    return fail (reader, line, error, "too many windows");
  for (guint i = 0; i < n; i++) {
    SeedWindow window = { 0 };

    if (!read_window (json_array_get_element (array, i), predicted ? 3 : 2, &window))
      return fail (reader, line, error,
          predicted ? "a window is not [start, end, score] with start <= end"
                    : "a window is not [start, end] with start <= end");
    g_array_append_val (item->windows, window);
  }
  return TRUE;
}

static gboolean
read_saliency (
    const Reader *reader, JsonObject *object, guint line, SeedGroundingItem *item, GError **error)
{
  JsonArray *array = seed_jsonl_get_array (object, "pred_saliency_scores");
  guint n = array ? json_array_get_length (array) : 0;

  if (!array)
    return json_object_has_member (object, "pred_saliency_scores")
               ? fail (reader, line, error, "\"pred_saliency_scores\": expected a list of numbers")
               : TRUE;
  if (n > SEED_GROUNDING_MAX_CLIPS)
    return fail (reader, line, error, "too many clips");
  item->saliency = g_array_sized_new (FALSE, FALSE, sizeof (double), n);
  for (guint i = 0; i < n; i++) {
    double value;

    if (!seed_jsonl_is_number (json_array_get_element (array, i), &value))
      return fail (reader, line, error, "\"pred_saliency_scores\": expected a list of numbers");
    g_array_append_val (item->saliency, value);
  }
  return TRUE;
}

static gboolean
read_rating (JsonNode *node, gint8 ratings[SEED_GROUNDING_N_ANNOTATORS])
{
  JsonArray *array = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (!array || json_array_get_length (array) != SEED_GROUNDING_N_ANNOTATORS)
    return FALSE;
  for (guint a = 0; a < SEED_GROUNDING_N_ANNOTATORS; a++) {
    double value;

    if (!seed_jsonl_is_number (json_array_get_element (array, a), &value) || value < 0 || value > 4)
      return FALSE;
    ratings[a] = (gint8) value;
  }
  return TRUE;
}

/* How salient which clips of two seconds are; clips lie within the video. */
static gboolean
read_ratings (
    const Reader *reader, JsonObject *object, guint line, SeedGroundingItem *item, GError **error)
{
  JsonArray *clips = seed_jsonl_get_array (object, "relevant_clip_ids");
  JsonArray *scores = seed_jsonl_get_array (object, "saliency_scores");
  guint n = clips ? json_array_get_length (clips) : 0;

  if (!clips || !scores)
    return TRUE;
  if (n != json_array_get_length (scores) || n > SEED_GROUNDING_MAX_CLIPS)
    return fail (
        reader, line, error, "\"relevant_clip_ids\" and \"saliency_scores\" are not of one length");
  item->clips = g_array_sized_new (FALSE, FALSE, sizeof (guint), n);
  item->ratings = g_array_sized_new (FALSE, FALSE, SEED_GROUNDING_N_ANNOTATORS, n);
  for (guint i = 0; i < n; i++) {
    gint8 ratings[SEED_GROUNDING_N_ANNOTATORS];
    double id;
    guint clip;

    if (!seed_jsonl_is_number (json_array_get_element (clips, i), &id) || id < 0 ||
        id >= floor (item->duration / 2))
      return fail (reader, line, error, "\"relevant_clip_ids\": a clip is not within the video");
    if (!read_rating (json_array_get_element (scores, i), ratings))
      return fail (
          reader, line, error, "\"saliency_scores\": expected three ratings of 0 to 4 a clip");
    clip = (guint) id;
    g_array_append_val (item->clips, clip);
    g_array_append_val (item->ratings, ratings);
  }
  return TRUE;
}

static gboolean
read_item (JsonObject *object, guint line, gpointer data, GError **error)
{
  Reader *reader = data;
  SeedGroundingItem *item = g_new0 (SeedGroundingItem, 1);

  g_ptr_array_add (reader->file->items, item);
  item->line = line;
  item->windows = g_array_new (FALSE, FALSE, sizeof (SeedWindow));
  item->qid = read_qid (object);
  if (!item->qid)
    return fail (reader, line, error, "\"qid\": expected a number or a text");
  if (!g_hash_table_insert (reader->file->by_qid, item->qid, item)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: query %s is there twice",
        reader->file->name, line, item->qid);
    return FALSE;
  }
  if (!read_windows (reader, object, line, item, error))
    return FALSE;
  if (reader->side == SEED_GROUNDING_PREDICTIONS)
    return read_saliency (reader, object, line, item, error);
  if (json_object_has_member (object, "duration") &&
      (!seed_jsonl_get_number (object, "duration", &item->duration) || item->duration <= 0 ||
          item->duration > MAX_DURATION))
    return fail (reader, line, error, "\"duration\": expected seconds above 0, at most 1e6");
  return read_ratings (reader, object, line, item, error);
}

SeedGroundingFile *
seed_grounding_parse (
    const char *label, const char *text, gsize length, SeedGroundingSide side, GError **error)
{
  g_autoptr (SeedGroundingFile) file = g_new0 (SeedGroundingFile, 1);
  Reader reader = { file, side };

  file->name = g_strdup (label);
  file->items = g_ptr_array_new_with_free_func (item_free);
  file->by_qid = g_hash_table_new (g_str_hash, g_str_equal);
  if (!seed_jsonl_parse (label, text, length, read_item, &reader, error))
    return NULL;
  return g_steal_pointer (&file);
}

SeedGroundingFile *
seed_grounding_load (const char *path, SeedGroundingSide side, GError **error)
{
  g_autoptr (GBytes) bytes = seed_jsonl_read (path, error);
  gsize length;
  const char *text = bytes ? seed_jsonl_text (bytes, &length) : NULL;

  return text ? seed_grounding_parse (path, text, length, side, error) : NULL;
}

void
seed_grounding_free (SeedGroundingFile *file)
{
  if (!file)
    return;
  g_hash_table_unref (file->by_qid);
  g_ptr_array_unref (file->items);
  g_free (file->name);
  g_free (file);
}

guint
seed_grounding_n_items (const SeedGroundingFile *file)
{
  return file->items->len;
}

const SeedGroundingItem *
seed_grounding_get (const SeedGroundingFile *file, guint index)
{
  return g_ptr_array_index (file->items, index);
}

const SeedGroundingItem *
seed_grounding_lookup (const SeedGroundingFile *file, const char *qid)
{
  return g_hash_table_lookup (file->by_qid, qid);
}

const char *
seed_grounding_name (const SeedGroundingFile *file)
{
  return file->name;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "eval/jsonl.h"
#include "nn/json.h"
#include "publish/json-tree.h"
#include "seedctl-model.h"

/* Members of a card that are text, and their headings. */
static const struct {
  const char *name, *heading, *missing;
} sections[] = {
  { "data", "Training data", "Not stated." },
  { "recipe", "Recipe", "Not stated." },
  { "limits", "Limits", NULL },
  { "command", "Command", NULL },
};

static void
append_value (GString *text, JsonNode *node)
{
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
    g_string_append (text, json_node_get_string (node));
  else
    seed_json_tree_append (text, node);
}

static gboolean
append_section (GString *text, JsonObject *card, guint i, const char *file, GError **error)
{
  JsonNode *node = json_object_get_member (card, sections[i].name);

  if (!node && !sections[i].missing)
    return TRUE;
  g_string_append_printf (text, "\n## %s\n\n", sections[i].heading);
  if (!node) {
    g_string_append_printf (text, "%s\n", sections[i].missing);
    return TRUE;
  }
  if (JSON_NODE_HOLDS_ARRAY (node)) {
    JsonArray *array = json_node_get_array (node);

    for (guint k = 0; k < json_array_get_length (array); k++) {
      g_string_append (text, "- ");
      append_value (text, json_array_get_element (array, k));
      g_string_append_c (text, '\n');
    }
    return TRUE;
  }
  if (!JSON_NODE_HOLDS_VALUE (node)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s:1: \"%s\": expected a text or a list of texts", file, sections[i].name);
    return FALSE;
  }
  append_value (text, node);
  g_string_append_c (text, '\n');
  return TRUE;
}

/* "figures": { "knn top-1 on X": 0.81, ... } */
static gboolean
append_figures (GString *text, JsonObject *card, const char *file, GError **error)
{
  JsonObject *figures = seed_jsonl_get_object (card, "figures");
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;

  if (!figures) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s:1: \"figures\": expected an object of what was measured: value", file);
    return FALSE;
  }
  g_string_append (text, "\n## Figures\n\n| measured | value |\n|---|---:|\n");
  json_object_iter_init_ordered (&iter, figures);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_string_append_printf (text, "| %s | ", key);
    append_value (text, node);
    g_string_append (text, " |\n");
  }
  return TRUE;
}

static void
append_front (GString *text, const char *folder, JsonObject *card)
{
  g_autofree char *absolute = g_canonicalize_filename (folder, NULL);
  g_autofree char *name = g_path_get_basename (absolute);
  const char *title = seed_jsonl_get_string (card, "name");
  const char *licence = seed_jsonl_get_string (card, "license");
  const char *summary = seed_jsonl_get_string (card, "summary");

  g_string_append (
      text, "---\nlibrary_name: transformers\npipeline_tag: image-feature-extraction\n");
  if (licence) {
    g_string_append (text, "license: ");
    seed_json_append_quoted (text, licence);
    g_string_append_c (text, '\n');
  }
  g_string_append_printf (text, "---\n\n# %s\n", title ? title : name);
  if (summary)
    g_string_append_printf (text, "\n%s\n", summary);
}

static void
append_model (
    GString *text, const SeedCheckpoint *checkpoint, const SeedctlHeads *heads, SeedDtype dtype)
{
  const SeedVitConfig *config = &checkpoint->config;

  g_string_append_printf (text,
      "\n## Model\n\nA vision transformer of width %u, depth %u and %u heads over %ux%u pixels in "
      "words of %ux%u; %" G_GUINT64_FORMAT " parameters in %s.\n",
      config->dim, config->depth, config->heads, config->image_size, config->image_size,
      config->patch_size, config->patch_size, checkpoint->n_params, seed_dtype_wire_name (dtype));
  g_string_append (text, "\n```python\nfrom transformers import AutoImageProcessor, ViTModel\n\n"
                         "processor = AutoImageProcessor.from_pretrained(folder)\n"
                         "model = ViTModel.from_pretrained(folder, add_pooling_layer=False)\n"
                         "summary = model(**processor(image, return_tensors=\"pt\"))"
                         ".last_hidden_state[:, 0]\n");
  if (heads->n > 0 && seed_params_lookup (&checkpoint->params, "embed_head.weight"))
    g_string_append (text,
        "\n# the representation that the student was trained to give\n"
        "from safetensors.torch import load_file\n"
        "from torch.nn.functional import linear, normalize\n\n"
        "head = load_file(folder + \"/heads.safetensors\")\n"
        "embedding = normalize(linear(summary, head[\"embed_head.weight\"].to(summary.dtype),"
        " head[\"embed_head.bias\"].to(summary.dtype)))\n");
  g_string_append (text, "```\n");
}

char *
seedctl_card_format (const char *folder, const SeedCheckpoint *checkpoint,
    const SeedctlHeads *heads, SeedDtype dtype, const char *file, GError **error)
{
  g_autoptr (JsonNode) node = seed_jsonl_load_object (file, error);
  g_autoptr (GString) text = g_string_new (NULL);
  JsonObject *card;
  JsonNode *seed;

  if (!node)
    return NULL;
  card = json_node_get_object (node);
  append_front (text, folder, card);
  append_model (text, checkpoint, heads, dtype);
  for (guint i = 0; i < G_N_ELEMENTS (sections); i++) {
    if (!append_section (text, card, i, file, error))
      return NULL;
  }
  seed = json_object_get_member (card, "seed");
  if (seed) {
    g_string_append (text, "\nSeed: ");
    append_value (text, seed);
    g_string_append_c (text, '\n');
  }
  return append_figures (text, card, file, error) ? g_string_free (g_steal_pointer (&text), FALSE)
                                                  : NULL;
}

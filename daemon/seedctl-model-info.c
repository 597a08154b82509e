/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <json-glib/json-glib.h>

#include "publish/json-tree.h"
#include "seedctl-model.h"
#include "seedctl.h"

static void
add_three (JsonObject *object, const char *name, const float values[3])
{
  JsonArray *array = json_array_new ();

  for (guint c = 0; c < 3; c++)
    json_array_add_double_element (array, (double) values[c]);
  json_object_set_array_member (object, name, array);
}

static void
add_text (JsonObject *object, const char *name, const char *text)
{
  if (text)
    json_object_set_string_member (object, name, text);
  else
    json_object_set_null_member (object, name);
}

static JsonObject *
describe_images (const SeedCheckpoint *checkpoint)
{
  JsonObject *object = json_object_new ();

  add_text (object, "fit", checkpoint->fit);
  add_text (object, "interpolation", checkpoint->interpolation);
  json_object_set_int_member (object, "resize_size", checkpoint->resize_size);
  json_object_set_int_member (object, "crop_size", checkpoint->crop_size);
  add_three (object, "mean", checkpoint->config.mean);
  add_three (object, "std", checkpoint->config.std);
  return object;
}

static JsonArray *
describe_heads (const SeedCheckpoint *checkpoint, const SeedctlHeads *heads)
{
  JsonArray *array = json_array_new ();

  for (guint i = 0; i < heads->n; i++) {
    const SeedParam *param = seed_params_lookup (&checkpoint->params, heads->tensors[i].name);
    JsonObject *object = json_object_new ();
    JsonArray *shape = json_array_new ();

    for (guint d = 0; d < param->n_dims; d++)
      json_array_add_int_element (shape, (gint64) param->shape[d]);
    json_object_set_string_member (object, "name", param->name);
    json_object_set_array_member (object, "shape", shape);
    json_array_add_object_element (array, object);
  }
  return array;
}

static JsonObject *
describe (const char *folder, const SeedCheckpoint *checkpoint, const SeedctlHeads *heads,
    const char *dtypes)
{
  const SeedVitConfig *config = &checkpoint->config;
  g_autofree char *absolute = g_canonicalize_filename (folder, NULL);
  g_autofree char *name = g_path_get_basename (absolute);
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "name", name);
  json_object_set_string_member (object, "kind", heads->n > 0 ? "student" : "teacher");
  json_object_set_string_member (object, "family", checkpoint->family);
  json_object_set_string_member (object, "sha256", checkpoint->sha256);
  json_object_set_string_member (object, "dtype", dtypes);
  json_object_set_int_member (object, "parameters", (gint64) checkpoint->n_params);
  json_object_set_int_member (object, "image_size", config->image_size);
  json_object_set_int_member (object, "patch_size", config->patch_size);
  json_object_set_int_member (object, "words", seed_vit_config_n_words (config));
  json_object_set_int_member (object, "dim", config->dim);
  json_object_set_int_member (object, "depth", config->depth);
  json_object_set_int_member (object, "heads", config->heads);
  json_object_set_int_member (object, "mlp_dim", config->mlp_dim);
  json_object_set_int_member (object, "registers", config->n_registers);
  json_object_set_int_member (object, "summary_dim", seed_vit_config_summary_dim (config));
  json_object_set_object_member (object, "images", describe_images (checkpoint));
  json_object_set_array_member (object, "head_tensors", describe_heads (checkpoint, heads));
  return object;
}

static void
print (JsonObject *object, const char *prefix)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_autofree char *name = g_strdup_printf ("%s%s%s", prefix, *prefix ? "." : "", key);
    g_autoptr (GString) text = g_string_new (NULL);

    if (JSON_NODE_HOLDS_OBJECT (node)) {
      print (json_node_get_object (node), name);
      continue;
    }
    if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING)
      g_string_append (text, json_node_get_string (node));
    else
      seed_json_tree_append (text, node);
    printf ("%-22s %s\n", name, text->str);
  }
}

int
seedctl_model_info (int argc, char **argv)
{
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print a JSON object", NULL },
    { NULL },
  };
  SeedCheckpoint checkpoint = { 0 };
  g_autofree char *dtypes = NULL;
  g_autoptr (GError) error = NULL;
  SeedctlHeads heads;
  int code;

  if (!seedctl_parse (&argc, &argv, "FOLDER",
          "Tells family, sizes, preprocessing, weights and heads of a model folder.", entries,
          &code))
    return code;
  if (argc != 2) {
    seedctl_complain ("model", "info: expected one folder");
    return SEEDCTL_USAGE;
  }
  if (!seedctl_heads_find (&heads, argv[1], &error) ||
      !(dtypes = seedctl_weights_dtypes (argv[1], &error)) ||
      !seed_checkpoint_load (&checkpoint, argv[1], heads.tensors, heads.n, &error)) {
    seedctl_complain ("model", "%s", error->message);
    return SEEDCTL_REFUSED;
  }
  {
    g_autoptr (JsonObject) object = describe (argv[1], &checkpoint, &heads, dtypes);
    g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
    g_autoptr (GString) text = g_string_new (NULL);

    json_node_set_object (node, object);
    seed_json_tree_append (text, node);
    if (json)
      puts (text->str);
    else
      print (object, "");
  }
  seed_checkpoint_clear (&checkpoint);
  return SEEDCTL_DONE;
}

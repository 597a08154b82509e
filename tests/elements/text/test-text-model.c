/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include <seed/error.h>
#include <seed/text.h>

#define TOLERANCE 1e-4 /* of the largest value of an embedding */

static const char *const names[] = { "clip", "clip-json", "siglip", "bert", "bert-cased" };

static char *
data_path (const char *first, const char *second)
{
  return g_build_filename (SEED_TEST_DATA, "text", first, second, NULL);
}

static SeedTextModel *
load (const char *name)
{
  g_autofree char *folder = data_path (name, NULL);
  g_autoptr (GError) error = NULL;
  SeedTextModel *model = seed_text_model_load (folder, &error);

  g_assert_no_error (error);
  return model;
}

/* What the reference makes of some texts. */
typedef struct {
  JsonParser *parser;
  JsonArray *texts, *ids, *embeddings;
  guint n;
  const char **strings; /* [n] */
} Reference;

static void
reference_load (Reference *reference, const char *name)
{
  g_autofree char *path = data_path ("models.json", NULL);
  g_autoptr (GError) error = NULL;
  JsonObject *root, *model;

  reference->parser = json_parser_new ();
  json_parser_load_from_file (reference->parser, path, &error);
  g_assert_no_error (error);
  root = json_node_get_object (json_parser_get_root (reference->parser));
  model = json_object_get_object_member (json_object_get_object_member (root, "models"), name);
  reference->texts = json_object_get_array_member (root, "texts");
  reference->ids = json_object_get_array_member (model, "ids");
  reference->embeddings = json_object_get_array_member (model, "embeddings");
  reference->n = json_array_get_length (reference->texts);
  reference->strings = g_new (const char *, reference->n);
  for (guint i = 0; i < reference->n; i++)
    reference->strings[i] = json_array_get_string_element (reference->texts, i);
}

static void
reference_clear (Reference *reference)
{
  g_object_unref (reference->parser);
  g_free (reference->strings);
}

static void
assert_embedding (const float *found, JsonArray *expected, guint dim)
{
  double scale = 0;

  g_assert_cmpuint (json_array_get_length (expected), ==, dim);
  for (guint i = 0; i < dim; i++)
    scale = MAX (scale, fabs (json_array_get_double_element (expected, i)));
  for (guint i = 0; i < dim; i++)
    g_assert_cmpfloat_with_epsilon (
        (double) found[i], json_array_get_double_element (expected, i), TOLERANCE * scale);
}

/* All texts at once, so that lengths differ within the batch. */
static void
test_embeddings (gconstpointer name)
{
  g_autoptr (SeedTextModel) model = load (name);
  guint dim = seed_text_model_get_info (model)->dim;
  g_autoptr (GError) error = NULL;
  g_autofree float *out = NULL;
  Reference reference;

  reference_load (&reference, name);
  out = g_new (float, (gsize) reference.n *dim);
  seed_text_encode (model, reference.strings, reference.n, out, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < reference.n; i++)
    assert_embedding (
        out + (gsize) i * dim, json_array_get_array_element (reference.embeddings, i), dim);
  reference_clear (&reference);
}

static void
test_padded_ids (gconstpointer name)
{
  g_autoptr (SeedTextModel) model = load (name);
  guint max = seed_text_model_get_info (model)->max_tokens;
  g_autofree guint32 *ids = g_new (guint32, max);
  Reference reference;

  reference_load (&reference, name);
  for (guint i = 0; i < reference.n; i++) {
    JsonArray *expected = json_array_get_array_element (reference.ids, i);
    g_autoptr (GError) error = NULL;
    guint used;

    g_assert_cmpuint (json_array_get_length (expected), ==, max);
    seed_text_tokenize (model, reference.strings[i], ids, &used, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (used, >=, 1);
    g_assert_cmpuint (used, <=, max);
    for (guint j = 0; j < max; j++)
      g_assert_cmpint (ids[j], ==, json_array_get_int_element (expected, j));
  }
  reference_clear (&reference);
}

/* More texts than one pass takes; each is what it is alone. */
static void
test_parts (void)
{
  enum { N = 400 };
  g_autoptr (SeedTextModel) model = load ("siglip"); /* 64 tokens each */
  guint dim = seed_text_model_get_info (model)->dim;
  g_autofree float *out = g_new (float, (gsize) N *dim);
  const char *texts[N];
  Reference reference;
  g_autoptr (GError) error = NULL;

  reference_load (&reference, "siglip");
  for (guint i = 0; i < N; i++)
    texts[i] = reference.strings[i % reference.n];
  seed_text_encode (model, texts, N, out, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N; i++)
    assert_embedding (out + (gsize) i * dim,
        json_array_get_array_element (reference.embeddings, i % reference.n), dim);
  reference_clear (&reference);
}

static void
test_info (void)
{
  g_autoptr (SeedTextModel) clip = load ("clip");
  g_autoptr (SeedTextModel) bert = load ("bert");
  const SeedTextModelInfo *info = seed_text_model_get_info (clip);

  g_assert_cmpstr (info->name, ==, "clip");
  g_assert_cmpstr (info->family, ==, "clip");
  g_assert_cmpuint (strlen (info->sha256), ==, 64);
  g_assert_cmpuint (info->dim, ==, 12);
  g_assert_false (info->normalised);
  g_assert_cmpuint (info->max_tokens, ==, 77);
  g_assert_cmpuint (info->n_params, >, 16 * info->n_vocabulary);
  g_assert_cmpuint (info->memory_bytes, >, 4 * info->n_params);

  info = seed_text_model_get_info (bert);
  g_assert_cmpstr (info->family, ==, "bert");
  g_assert_true (info->normalised);
  g_assert_cmpuint (info->dim, ==, 16);
  g_assert_cmpuint (info->max_tokens, ==, 48); /* sentence_bert_config.json */
}

static void
test_refused_texts (void)
{
  g_autoptr (SeedTextModel) model = load ("clip");
  g_autofree char *huge = g_strnfill (SEED_TEXT_MAX_BYTES + 1, 'a');
  const char *broken[] = { "fine", "not \xff UTF-8" }, *long_one[] = { "fine", "fine", huge };
  float out[3 * 12] = { 7 };
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_text_encode (model, broken, 2, out, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  g_assert_cmpstr (error->message, ==, "text 1: the text is not UTF-8 at byte 4");
  g_clear_error (&error);
  g_assert_false (seed_text_encode (model, long_one, 3, out, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_assert_true (g_str_has_prefix (error->message, "text 2: "));
  g_assert_true (out[0] == 7);

  huge[SEED_TEXT_MAX_BYTES] = '\0';
  g_assert_true (seed_text_encode (model, long_one, 3, out, NULL));
}

#define N_THREADS 4

static gpointer
encode_in_thread (gpointer data)
{
  SeedTextModel *model = data;
  float *out = g_new (float, 2 * seed_text_model_get_info (model)->dim);
  const char *texts[] = { "two dogs playing in the snow", "a" };

  for (guint i = 0; i < 20; i++)
    g_assert_true (seed_text_encode (model, texts, 2, out, NULL));
  seed_text_model_unref (model);
  return out;
}

/* A model is shared, and what comes out has the same bits each time. */
static void
test_threads (void)
{
  g_autoptr (SeedTextModel) model = load ("bert");
  guint dim = seed_text_model_get_info (model)->dim;
  GThread *threads[N_THREADS];
  g_autofree float *first = NULL;

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("encode", encode_in_thread, seed_text_model_ref (model));
  for (guint i = 0; i < N_THREADS; i++) {
    g_autofree float *out = g_thread_join (threads[i]);

    if (first)
      g_assert_cmpmem (out, 2 * dim * sizeof *out, first, 2 * dim * sizeof *out);
    else
      first = g_steal_pointer (&out);
  }
}

/* A folder with some of the files of another, and others written here. */
static void
copy_file (const char *name, const char *file, const char *folder)
{
  g_autofree char *from = data_path (name, file);
  g_autofree char *to = g_build_filename (folder, file, NULL);
  g_autofree char *contents = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (from, &contents, &length, NULL));
  g_assert_true (g_file_set_contents (to, contents, (gssize) length, NULL));
}

static void
write_file (const char *folder, const char *file, const char *contents)
{
  g_autofree char *path = g_build_filename (folder, file, NULL);

  g_assert_true (g_file_set_contents (path, contents, -1, NULL));
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_assert_cmpint (g_remove (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static char *
make_folder (const char *name, const char *const *files)
{
  char *folder = g_dir_make_tmp ("seed-text-XXXXXX", NULL);

  for (guint i = 0; files[i]; i++)
    copy_file (name, files[i], folder);
  return folder;
}

static const char *const clip_files[] = { "config.json", "model.safetensors", "vocab.json",
  "merges.txt", NULL };
static const char *const siglip_files[] = { "config.json", "model.safetensors", "spiece.model",
  NULL };
static const char *const bert_files[] = { "config.json", "model.safetensors", "vocab.txt", NULL };

#define SMALL                                                                                      \
  "\"hidden_size\": 16, \"intermediate_size\": 40, \"num_hidden_layers\": 2, "                     \
  "\"num_attention_heads\": 2"

/* The tower's own model_type has its keys at the top. */
static void
test_tower_alone (void)
{
  g_autofree char *folder = make_folder ("siglip", siglip_files);
  g_autoptr (SeedTextModel) model = NULL;
  g_autoptr (GError) error = NULL;
  float out[16];
  Reference reference;

  write_file (folder, "config.json",
      "{\"model_type\": \"siglip_text_model\", \"vocab_size\": 500, " SMALL "}");
  model = seed_text_model_load (folder, &error);
  g_assert_no_error (error);
  reference_load (&reference, "siglip");
  g_assert_true (seed_text_encode (model, &reference.strings[1], 1, out, NULL));
  assert_embedding (out, json_array_get_array_element (reference.embeddings, 1), 16);
  reference_clear (&reference);
  remove_folder (folder);
}

typedef struct {
  const char *name; /* of the test */
  const char *from;
  const char *const *files;
  const char *file, *contents; /* written over it; NULL contents: removed */
  SeedErrorCode code;
  const char *message; /* is in the error */
} Broken;

static void
test_broken (gconstpointer data)
{
  const Broken *broken = data;
  g_autofree char *folder = make_folder (broken->from, broken->files);
  g_autofree char *path = g_build_filename (folder, broken->file, NULL);
  g_autoptr (GError) error = NULL;

  if (broken->contents)
    write_file (folder, broken->file, broken->contents);
  else
    g_assert_cmpint (g_remove (path), ==, 0);
  g_assert_null (seed_text_model_load (folder, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, SEED_ERROR, (int) broken->code);
  g_assert_nonnull (strstr (error->message, broken->message));
  g_assert_true (g_str_has_prefix (error->message, folder));
  remove_folder (folder);
}

#define BERT(keys) "{\"model_type\": \"bert\", " keys "}"

static const Broken broken_folders[] = {
  { "no-config", "clip", clip_files, "config.json", NULL, SEED_ERROR_NOT_FOUND, "config.json" },
  { "no-weights", "clip", clip_files, "model.safetensors", NULL, SEED_ERROR_NOT_FOUND,
      "model.safetensors" },
  { "no-vocabulary", "clip", clip_files, "vocab.json", NULL, SEED_ERROR_NOT_FOUND,
      "expected vocab.json and merges.txt, or tokenizer.json" },
  { "no-spiece", "siglip", siglip_files, "spiece.model", NULL, SEED_ERROR_NOT_FOUND,
      "spiece.model" },
  { "type", "clip", clip_files, "config.json", "{\"model_type\": \"t5\"}", SEED_ERROR_UNSUPPORTED,
      "config.json:1:16: key \"model_type\"" },
  { "no-type", "clip", clip_files, "config.json", "{}", SEED_ERROR_FORMAT, "model_type" },
  { "deep", "clip", clip_files, "config.json",
      "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", SEED_ERROR_LIMIT, "nested" },
  { "vocab-size", "bert", bert_files, "config.json", BERT ("\"vocab_size\": 2000000000"),
      SEED_ERROR_LIMIT, "vocab_size" },
  { "heads", "bert", bert_files, "config.json", BERT ("\"num_attention_heads\": 5"),
      SEED_ERROR_INVALID, "num_attention_heads" },
  { "eps", "bert", bert_files, "config.json", BERT ("\"layer_norm_eps\": -1"), SEED_ERROR_INVALID,
      "layer_norm_eps" },
  { "relative-positions", "bert", bert_files, "config.json",
      BERT ("\"position_embedding_type\": \"relative_key\""), SEED_ERROR_UNSUPPORTED,
      "position_embedding_type" },
  { "activation", "bert", bert_files, "config.json", BERT ("\"hidden_act\": \"mish\""),
      SEED_ERROR_UNSUPPORTED, "\"mish\"" },
  { "shape", "bert", bert_files, "config.json",
      BERT ("\"vocab_size\": 900, \"max_position_embeddings\": 64, " SMALL), SEED_ERROR_MISMATCH,
      "model.safetensors: tensor \"embeddings.word_embeddings.weight\": expected [900, 16]" },
  { "few-blocks", "bert", bert_files, "config.json",
      BERT ("\"vocab_size\": 800, \"max_position_embeddings\": 64, \"hidden_size\": 16, "
            "\"intermediate_size\": 40, \"num_hidden_layers\": 1, \"num_attention_heads\": 2"),
      SEED_ERROR_MISMATCH, "tensor \"encoder.layer.1." },
  { "many-blocks", "bert", bert_files, "config.json",
      BERT ("\"vocab_size\": 800, \"max_position_embeddings\": 64, \"hidden_size\": 16, "
            "\"intermediate_size\": 40, \"num_hidden_layers\": 3, \"num_attention_heads\": 2"),
      SEED_ERROR_NOT_FOUND, "tensor \"encoder.layer.2." },
  { "small-vocabulary", "bert", bert_files, "config.json",
      BERT ("\"vocab_size\": 700, \"max_position_embeddings\": 64, " SMALL), SEED_ERROR_MISMATCH,
      "embeddings for 700 tokens only" },
  { "modules", "bert", bert_files, "modules.json",
      "[{\"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"},"
      " {\"path\": \"1_CNN\", \"type\": \"sentence_transformers.models.CNN\"}]",
      SEED_ERROR_UNSUPPORTED, "models.CNN" },
  { "modules-escape", "bert", bert_files, "modules.json",
      "[{\"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"},"
      " {\"path\": \"../x\", \"type\": \"sentence_transformers.models.Pooling\"}]",
      SEED_ERROR_INVALID, "key \"path\"" },
  { "sentence-length", "bert", bert_files, "sentence_bert_config.json", "{\"max_seq_length\": 1}",
      SEED_ERROR_INVALID, "max_seq_length" },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *embeddings = g_strconcat ("/text-model/embeddings/", names[i], NULL);
    g_autofree char *ids = g_strconcat ("/text-model/padded-ids/", names[i], NULL);

    g_test_add_data_func (embeddings, names[i], test_embeddings);
    g_test_add_data_func (ids, names[i], test_padded_ids);
  }
  g_test_add_func ("/text-model/parts", test_parts);
  g_test_add_func ("/text-model/info", test_info);
  g_test_add_func ("/text-model/refused-texts", test_refused_texts);
  g_test_add_func ("/text-model/threads", test_threads);
  g_test_add_func ("/text-model/tower-alone", test_tower_alone);
  for (guint i = 0; i < G_N_ELEMENTS (broken_folders); i++) {
    g_autofree char *path = g_strconcat ("/text-model/broken/", broken_folders[i].name, NULL);

    g_test_add_data_func (path, &broken_folders[i], test_broken);
  }
  return g_test_run ();
}

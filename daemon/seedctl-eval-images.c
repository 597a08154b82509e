/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/rng.h>
#include <seed/safetensors.h>

#include "eval/knn.h"
#include "eval/linear.h"
#include "eval/retrieval.h"
#include "nn/layers.h"
#include "seedctl-eval.h"
#include "source/imageset.h"

/* The sets of a task and what they are called in errors. */
typedef struct {
  SeedctlFeatures data, test;
  gboolean has_test;
  const SeedctlModel *model; /* that gave them */
} Sets;

static void
sets_clear (Sets *sets)
{
  seedctl_features_clear (&sets->data);
  seedctl_features_clear (&sets->test);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sets, sets_clear)

static void
set_split (SeedctlReport *report, const char *split)
{
  json_object_set_string_member (report->root, "split", split);
}

/* --- neighbours --- */

static gboolean
eval_knn (const SeedctlEvalOptions *options, Sets *sets, SeedctlReport *report, GError **error)
{
  const SeedKnnConfig config = { (guint) options->k, options->temperature };
  SeedKnnResult result;

  if (!seed_eval_knn (
          &sets->data.set, sets->has_test ? &sets->test.set : NULL, &config, &result, error))
    return FALSE;
  set_split (report, sets->has_test ? "test" : "leave-one-out");
  json_object_set_int_member (report->settings, "k", result.k);
  json_object_set_double_member (report->settings, "temperature", options->temperature);
  json_object_set_int_member (report->metrics, "queries", result.n_queries);
  json_object_set_double_member (report->metrics, "top1", result.top1);
  json_object_set_double_member (report->metrics, "top5", result.top5);
  return TRUE;
}

/* --- linear probe --- */

static gboolean
parse_lambdas (const char *text, SeedLinearConfig *config, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  config->n_lambdas = 0;
  for (guint i = 0; parts[i]; i++) {
    char *end;
    double value = g_ascii_strtod (parts[i], &end);

    if (i == SEED_LINEAR_MAX_LAMBDAS || end == parts[i] || *end || !isfinite (value) || value < 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "--lambda %s: expected 1 to %u numbers of 0 or above with commas between", text,
          SEED_LINEAR_MAX_LAMBDAS);
      return FALSE;
    }
    config->lambdas[config->n_lambdas++] = value;
  }
  return TRUE;
}

/* Of a set without a test set, a fifth of every class is kept out of the training. */
typedef struct {
  GArray *rows[2], *labels[2];
  SeedEvalSet train, test;
} Halves;

static void
halves_clear (Halves *halves)
{
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer (&halves->rows[i], g_array_unref);
    g_clear_pointer (&halves->labels[i], g_array_unref);
  }
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Halves, halves_clear)

static void
halve (const SeedEvalSet *set, double holdout, guint64 seed, Halves *halves)
{
  g_autofree guint8 *held = g_new (guint8, set->n);

  seed_eval_split (set, holdout, seed, held);
  for (guint i = 0; i < 2; i++) {
    halves->rows[i] = g_array_new (FALSE, FALSE, sizeof (float));
    halves->labels[i] = g_array_new (FALSE, FALSE, sizeof (gint32));
  }
  for (guint i = 0; i < set->n; i++) {
    g_array_append_vals (halves->rows[held[i]], set->rows + (gsize) i * set->dim, set->dim);
    g_array_append_val (halves->labels[held[i]], set->labels[i]);
  }
  halves->train = (SeedEvalSet){ (const float *) halves->rows[0]->data,
    (const gint32 *) halves->labels[0]->data, halves->labels[0]->len, set->dim };
  halves->test = (SeedEvalSet){ (const float *) halves->rows[1]->data,
    (const gint32 *) halves->labels[1]->data, halves->labels[1]->len, set->dim };
}

static void
report_linear (const SeedLinearResult *result, SeedctlReport *report)
{
  json_object_set_double_member (report->settings, "lambda", result->lambda);
  json_object_set_int_member (report->settings, "train", result->n_train);
  json_object_set_int_member (report->settings, "holdout", result->n_holdout);
  json_object_set_int_member (report->settings, "iterations", result->iterations);
  json_object_set_boolean_member (report->settings, "converged", result->converged);
  seedctl_report_number (report->settings, "gradient", result->gradient);
  json_object_set_int_member (report->metrics, "queries", result->n_test);
  json_object_set_double_member (report->metrics, "top1", result->top1);
  json_object_set_double_member (report->metrics, "top5", result->top5);
  seedctl_report_number (report->metrics, "loss", result->loss);
  json_object_set_double_member (report->metrics, "train_top1", result->train_top1);
  seedctl_report_number (report->metrics, "holdout_top1", result->holdout_top1);
}

static gboolean
eval_linear (const SeedctlEvalOptions *options, Sets *sets, SeedctlReport *report, GError **error)
{
  g_auto (Halves) halves = { 0 };
  SeedLinearConfig config;
  SeedLinearResult result;

  seed_linear_config_init (&config);
  config.seed = (guint64) options->seed;
  if (options->lambda && !parse_lambdas (options->lambda, &config, error))
    return FALSE;
  if (sets->has_test) {
    halves.train = sets->data.set;
    halves.test = sets->test.set;
  } else if (seed_eval_check_classes (&sets->data.set, "set", error)) {
    halve (&sets->data.set, config.holdout, seed_hash_string (config.seed, "test"), &halves);
  } else {
    return FALSE;
  }
  if (!seed_eval_linear (&halves.train, &halves.test, &config, &result, error))
    return FALSE;
  set_split (report, sets->has_test ? "test" : "held out 0.2");
  report_linear (&result, report);
  return TRUE;
}

/* --- retrieval --- */

static void
report_recalls (JsonObject *metrics, const char *prefix, const SeedRetrievalResult *result)
{
  g_autofree char *map = g_strconcat (prefix, "map", NULL);

  seedctl_report_number (metrics, map, result->map);
  for (guint r = 0; r < SEED_RETRIEVAL_N_RECALLS; r++) {
    g_autofree char *name = g_strdup_printf ("%srecall@%u", prefix, seed_retrieval_recalls[r]);

    seedctl_report_number (metrics, name, result->recall[r]);
  }
}

/* Rows [n, text_dim] through the student's text head: [n, dim], the caller's. */
static float *
map_texts (const SeedctlModel *student, const float *rows, guint n)
{
  const SeedLayer head = {
    .bias = (gsize) student->dim * student->text_dim, .out = student->dim, .in = student->text_dim
  };
  const SeedLayers layers = seed_layers (NULL);
  float *mapped = g_new (float, MAX (1, (gsize) n * student->dim));

  seed_linear_forward (&layers, &head, student->text_head, rows, head.in, n, mapped);
  return mapped;
}

/* The texts' vectors, where the model's images are; *@dim is their width. NULL with @error. */
static float *
embed_texts (const SeedctlModel *student, SeedTextModel *model, const GPtrArray *captions,
    guint *dim, GError **error)
{
  g_autofree float *rows = NULL;

  *dim = seed_text_model_get_info (model)->dim;
  if (student->text_head && student->text_dim != *dim) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: learned with texts of width %u, and those of %s have %u; give --text-model the "
        "encoder "
        "that it learned with",
        student->folder, student->text_dim, seed_text_model_get_info (model)->name, *dim);
    return NULL;
  }
  rows = g_new (float, MAX (1, (gsize) captions->len * *dim));
  if (!seed_text_encode (model, (const char *const *) captions->pdata, captions->len, rows, error))
    return NULL;
  if (!student->text_head)
    return g_steal_pointer (&rows);
  *dim = student->dim;
  return map_texts (student, rows, captions->len);
}

static gboolean
retrieve_texts (const SeedctlEvalOptions *options, const SeedctlModel *student,
    const SeedctlFeatures *images, SeedctlReport *report, GError **error)
{
  const char *folder = options->text_model ? options->text_model : options->model;
  g_autoptr (SeedTextModel) model = seed_text_model_load (folder, error);
  guint n = images->captions->len, dim = 0;
  g_autofree float *rows =
      model ? embed_texts (student, model, images->captions, &dim, error) : NULL;
  SeedEvalSet texts = { rows, NULL, n, dim };
  const guint *owners = (const guint *) images->owners->data;
  SeedRetrievalResult to_images, to_texts;

  if (!rows || !seed_eval_normalise (rows, n, dim, error) ||
      !seed_eval_retrieval_owned (&images->set, &texts, owners, &to_images, error) ||
      !seed_eval_retrieval_owners (&texts, &images->set, owners, &to_texts, error))
    return FALSE;
  json_object_set_string_member (
      report->settings, "text_model", seed_text_model_get_info (model)->name);
  json_object_set_string_member (
      report->settings, "text_model_sha256", seed_text_model_get_info (model)->sha256);
  json_object_set_int_member (report->metrics, "texts", n);
  report_recalls (report->metrics, "text_to_image_", &to_images);
  report_recalls (report->metrics, "image_to_text_", &to_texts);
  return TRUE;
}

static gboolean
has_labels (const SeedctlFeatures *features)
{
  for (guint i = 0; i < features->labels->len; i++) {
    if (g_array_index (features->labels, gint32, i) >= 0)
      return TRUE;
  }
  return FALSE;
}

/* By class where there are classes, by caption where there are captions. */
static gboolean
eval_retrieval (
    const SeedctlEvalOptions *options, Sets *sets, SeedctlReport *report, GError **error)
{
  const SeedctlFeatures *asked = sets->has_test ? &sets->test : &sets->data;
  SeedRetrievalResult result;

  if (!has_labels (&sets->data) && asked->captions->len == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: has neither classes nor captions; see --labels and --captions",
        options->data.location);
    return FALSE;
  }
  if (has_labels (&sets->data)) {
    if (!seed_eval_retrieval (
            &sets->data.set, sets->has_test ? &sets->test.set : NULL, &result, error))
      return FALSE;
    json_object_set_int_member (report->metrics, "queries", result.n_queries);
    json_object_set_int_member (report->metrics, "without_answer", result.n_without);
    report_recalls (report->metrics, "", &result);
  }
  set_split (report, sets->has_test ? "test" : "leave-one-out");
  return asked->captions->len == 0 || retrieve_texts (options, sets->model, asked, report, error);
}

/* --- near-duplicates --- */

/* Two folders of a set, in which files of one name belong together. */
typedef struct {
  GArray *rows[2];   /* float: of the gallery, of the queries */
  GHashTable *index; /* base name -> number in the gallery + 1 */
  GArray *owners;    /* guint, of the queries */
} Pairs;

static void
pairs_clear (Pairs *pairs)
{
  for (guint i = 0; i < 2; i++)
    g_clear_pointer (&pairs->rows[i], g_array_unref);
  g_clear_pointer (&pairs->index, g_hash_table_unref);
  g_clear_pointer (&pairs->owners, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pairs, pairs_clear)

static int
find_query_class (const SeedctlFeatures *features, const char *query, GError **error)
{
  if (g_strv_length (features->classes) == 2) {
    for (int c = 0; c < 2; c++) {
      if (strcmp (features->classes[c], query) == 0)
        return c;
    }
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "near-duplicates are two folders, one of them \"%s\" (--query), with files of one name for "
      "what belongs together; the set has %u folders",
      query, g_strv_length (features->classes));
  return -1;
}

static gboolean
collect_pairs (const SeedctlFeatures *features, const SeedImageSet *set, int query_class,
    Pairs *pairs, GError **error)
{
  guint dim = features->set.dim, n_gallery = 0;

  for (guint side = 0; side < 2; side++) {
    for (guint i = 0; i < features->set.n; i++) {
      guint image = (guint) g_array_index (features->frames, guint64, i);
      char *name;
      guint owner;

      if ((g_array_index (features->labels, gint32, i) == query_class) != (side == 1))
        continue;
      name = g_path_get_basename (seed_image_set_get_path (set, image));
      owner = GPOINTER_TO_UINT (g_hash_table_lookup (pairs->index, name));
      g_array_append_vals (pairs->rows[side], features->set.rows + (gsize) i * dim, dim);
      if (side == 0) {
        if (!g_hash_table_insert (pairs->index, name, GUINT_TO_POINTER (++n_gallery))) {
          g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
              "%s: another file of the gallery has the same name",
              seed_image_set_get_path (set, image));
          return FALSE;
        }
        continue;
      }
      g_free (name);
      if (owner-- == 0) {
        g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
            "%s: the other folder has no file of this name", seed_image_set_get_path (set, image));
        return FALSE;
      }
      g_array_append_val (pairs->owners, owner);
    }
  }
  return TRUE;
}

static gboolean
score_pairs (const Pairs *pairs, guint dim, SeedctlReport *report, GError **error)
{
  const SeedEvalSet gallery = { (const float *) pairs->rows[0]->data, NULL,
    pairs->rows[0]->len / dim, dim };
  const SeedEvalSet queries = { (const float *) pairs->rows[1]->data, NULL,
    pairs->rows[1]->len / dim, dim };
  const guint *owners = (const guint *) pairs->owners->data;
  SeedRetrievalResult result;
  guint64 n_pairs;
  double micro_ap;

  if (!seed_eval_retrieval_owned (&gallery, &queries, owners, &result, error) ||
      !seed_eval_micro_ap (&gallery, &queries, owners, &micro_ap, &n_pairs, error))
    return FALSE;
  json_object_set_int_member (report->metrics, "queries", result.n_queries);
  json_object_set_int_member (report->metrics, "gallery", gallery.n);
  json_object_set_int_member (report->metrics, "pairs", (gint64) n_pairs);
  report_recalls (report->metrics, "", &result);
  json_object_set_double_member (report->metrics, "micro_ap", micro_ap);
  return TRUE;
}

static gboolean
eval_duplicates (
    const SeedctlEvalOptions *options, Sets *sets, SeedctlReport *report, GError **error)
{
  const SeedctlFeatures *features = &sets->data;
  int query_class = find_query_class (features, options->query, error);
  g_autoptr (SeedImageSet) set = NULL;
  g_auto (Pairs) pairs = { 0 };

  if (query_class < 0)
    return FALSE;
  set = seed_image_set_open (options->data.location, options->data.labels, NULL, error);
  if (!set)
    return FALSE;
  for (guint i = 0; i < 2; i++)
    pairs.rows[i] = g_array_new (FALSE, FALSE, sizeof (float));
  pairs.index = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  pairs.owners = g_array_new (FALSE, FALSE, sizeof (guint));
  json_object_set_string_member (report->settings, "query", options->query);
  set_split (report, "pairs");
  return collect_pairs (features, set, query_class, &pairs, error) &&
         score_pairs (&pairs, features->set.dim, report, error);
}

/* --- all of them --- */

static const struct {
  const char *task;
  gboolean (*run) (
      const SeedctlEvalOptions *options, Sets *sets, SeedctlReport *report, GError **error);
  gboolean takes_test;
} tasks[] = {
  { "knn", eval_knn, TRUE },
  { "linear", eval_linear, TRUE },
  { "retrieval", eval_retrieval, TRUE },
  { "duplicates", eval_duplicates, FALSE },
};

static gboolean
extract (const SeedctlModel *model, const SeedctlEvalOptions *options, Sets *sets,
    SeedctlReport *report, GError **error)
{
  if (!seedctl_features_extract (&sets->data, model, options, &options->data, error))
    return FALSE;
  seedctl_report_add_data (report, "data", &options->data, &sets->data);
  sets->has_test = options->test.location != NULL;
  if (!sets->has_test)
    return TRUE;
  if (!seedctl_features_extract (&sets->test, model, options, &options->test, error) ||
      !seedctl_features_align (&sets->test, &sets->data, error))
    return FALSE;
  seedctl_report_add_data (report, "test", &options->test, &sets->test);
  return TRUE;
}

/* Vectors [n, dim], labels [n], and which images of the set they are [n]. */
static void
add_tensors (GArray *tensors, const SeedctlFeatures *features, const char *const names[3])
{
  guint64 n = features->set.n, dim = features->set.dim;
  const SeedTensor all[] = {
    { names[0], SEED_DTYPE_F32, 2, { n, dim }, features->set.rows, n * dim * sizeof (float) },
    { names[1], SEED_DTYPE_I32, 1, { n }, features->labels->data, n * sizeof (gint32) },
    { names[2], SEED_DTYPE_U64, 1, { n }, features->frames->data, n * sizeof (guint64) },
  };

  g_array_append_vals (tensors, all, G_N_ELEMENTS (all));
}

static gboolean
write_features (const SeedctlEvalOptions *options, const Sets *sets, GError **error)
{
  static const char *const data_names[] = { "data.features", "data.labels", "data.images" };
  static const char *const test_names[] = { "test.features", "test.labels", "test.images" };
  g_autoptr (GArray) tensors = g_array_new (FALSE, FALSE, sizeof (SeedTensor));

  if (!options->features)
    return TRUE;
  add_tensors (tensors, &sets->data, data_names);
  if (sets->has_test)
    add_tensors (tensors, &sets->test, test_names);
  return seed_safetensors_write (
      options->features, (const SeedTensor *) tensors->data, tensors->len, NULL, error);
}

gboolean
seedctl_eval_images (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error)
{
  g_auto (SeedctlModel) model = { 0 };
  g_auto (Sets) sets = { 0 };
  guint task = 0;

  while (strcmp (tasks[task].task, options->task) != 0)
    task++;
  if (options->test.location && !tasks[task].takes_test) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "%s takes no --test set", options->task);
    return FALSE;
  }
  if (!seedctl_model_open (&model, options, error))
    return FALSE;
  seedctl_report_add_model (report, &model);
  sets.model = &model;
  return extract (&model, options, &sets, report, error) &&
         write_features (options, &sets, error) && tasks[task].run (options, &sets, report, error);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "anchors/anchors.h"
#include "eval/anchorscore.h"
#include "eval/sheet.h"
#include "nn/atomic-file.h"
#include "seedctl-eval.h"
#include "student/student-files.h"

#define N_PERMUTATIONS 10

/* Of one value a frame: what is needed for its mean and deviation. */
typedef struct {
  double sum, squares, least, most;
} Spread;

/* What is learned of the frames of a set: an anchor for each of their words, and little else. */
typedef struct {
  SeedCheckpoint checkpoint;
  SeedAnchorsConfig config;
  SeedAnchors *anchors;
  guint n_anchors, n_words; /* of a frame */
  float *cosines;           /* [n_words, n_anchors] of one */
  GArray *nearest;          /* guint16 [frames, n_words] */
  double *histogram;        /* [n_anchors], a sum over frames */
  Spread entropy;           /* of frames' histograms */
  guint n_frames;
  SeedNearWords *near; /* NULL without a sheet */
} Look;

static void
look_clear (Look *look)
{
  seed_anchors_free (look->anchors);
  seed_checkpoint_clear (&look->checkpoint);
  g_free (look->cosines);
  g_clear_pointer (&look->nearest, g_array_unref);
  g_free (look->histogram);
  seed_near_words_free (look->near);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Look, look_clear)

static gboolean
look_open (Look *look, const SeedctlModel *model, const SeedctlEvalOptions *options, GError **error)
{
  SeedStudentShape student;
  SeedAnchorsShape shape;

  if (!model->has_anchors) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "%s: has no image anchors (tensor 'anchors' beside 'embed_head.weight'); use a student "
        "that was trained with the objective anchors",
        model->folder);
    return FALSE;
  }
  if (!seed_student_load (&look->checkpoint, &student, model->folder, error))
    return FALSE;
  seed_anchors_shape_init (&shape, &student.vit);
  seed_anchors_config_init (&look->config);
  look->anchors =
      seed_anchors_new (&shape, &look->config, &look->checkpoint.params, 1, 0, NULL, error);
  if (!look->anchors)
    return FALSE;
  seed_anchors_normalise (look->anchors, look->checkpoint.values);
  look->n_anchors = shape.n_anchors;
  look->n_words = shape.grid * shape.grid;
  look->cosines = g_new (float, (gsize) look->n_words * look->n_anchors);
  look->nearest = g_array_new (FALSE, FALSE, sizeof (guint16));
  look->histogram = g_new0 (double, look->n_anchors);
  look->entropy = (Spread){ .least = INFINITY, .most = -INFINITY };
  if (options->sheet)
    look->near = seed_near_words_new (
        look->n_anchors, (guint) options->words, (gsize) 3 * model->patch_size * model->patch_size);
  return TRUE;
}

static double
entropy_of (const double *histogram, guint n, double total)
{
  double entropy = 0;

  for (guint k = 0; k < n; k++) {
    if (histogram[k] > 0)
      entropy -= histogram[k] / total * log (histogram[k] / total);
  }
  return entropy;
}

/* Of the softmax of cosines the largest is of the largest cosine; of equal ones the first. */
static gboolean
take_nearest (Look *look, guint64 frame, GError **error)
{
  for (guint u = 0; u < look->n_words; u++) {
    const float *cosines = look->cosines + (gsize) u * look->n_anchors;
    guint16 best = 0;

    for (guint k = 0; k < look->n_anchors; k++) {
      if (!isfinite (cosines[k])) {
        g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
            "image %" G_GUINT64_FORMAT
            ": the anchors of word %u are not finite; the model gives no usable words",
            frame, u);
        return FALSE;
      }
      if (cosines[k] > cosines[best])
        best = (guint16) k;
    }
    g_array_append_val (look->nearest, best);
  }
  return TRUE;
}

static void
take_histogram (Look *look, const float *histogram)
{
  g_autofree double *copy = g_new (double, look->n_anchors);
  double total = 0, entropy;

  for (guint k = 0; k < look->n_anchors; k++) {
    copy[k] = (double) histogram[k];
    look->histogram[k] += copy[k];
    total += copy[k];
  }
  entropy = entropy_of (copy, look->n_anchors, total);
  look->entropy.sum += entropy;
  look->entropy.squares += entropy * entropy;
  look->entropy.least = MIN (look->entropy.least, entropy);
  look->entropy.most = MAX (look->entropy.most, entropy);
  look->n_frames++;
}

static gboolean
look_at_frame (const SeedctlFrame *frame, gpointer data, GError **error)
{
  Look *look = data;
  const SeedAnchorsRows rows = { frame->tokens, (gsize) frame->n_words * frame->token_dim };

  seed_anchors_cosines (look->anchors, look->checkpoint.values, &rows, 1, look->cosines);
  if (!take_nearest (look, frame->frame, error))
    return FALSE;
  take_histogram (look, frame->histogram);
  if (look->near)
    seed_near_words_add (look->near, frame->frame, look->cosines, frame->words, frame->n_words);
  return TRUE;
}

/* --- report --- */

static void
add_information (JsonObject *metrics, const char *name, const SeedInformation *information,
    gboolean exists, double deviation)
{
  JsonObject *object = json_object_new ();

  seedctl_report_number (object, "nmi", exists ? information->normalised : NAN);
  seedctl_report_number (object, "ami", exists ? information->adjusted : NAN);
  seedctl_report_number (object, "information", exists ? information->information : NAN);
  if (deviation >= 0)
    seedctl_report_number (object, "nmi_deviation", exists ? deviation : NAN);
  json_object_set_object_member (metrics, name, object);
}

static void
add_score (JsonObject *metrics, const SeedAnchorScore *score)
{
  gboolean classes = score->n_classes >= 2;

  json_object_set_int_member (metrics, "labelled", score->n_labelled);
  json_object_set_int_member (metrics, "anchors_used", score->n_used);
  add_information (metrics, "class", &score->of_class.information, classes, -1);
  add_information (
      metrics, "class_permuted", &score->permuted.information, classes, score->deviation);
  add_information (metrics, "position", &score->position, TRUE, -1);
  seedctl_report_number (metrics, "purity", classes ? score->of_class.purity : NAN);
  seedctl_report_number (metrics, "purity_permuted", classes ? score->permuted.purity : NAN);
  seedctl_report_number (
      metrics, "purity_permuted_deviation", classes ? score->purity_deviation : NAN);
}

static void
add_use (JsonObject *metrics, const Look *look)
{
  double n = look->n_frames, mean = look->entropy.sum / n;
  double in_use = exp (entropy_of (look->histogram, look->n_anchors, n));
  JsonObject *entropy = json_object_new ();

  seedctl_report_number (metrics, "in_use", in_use);
  seedctl_report_number (metrics, "in_use_share", in_use / look->n_anchors);
  seedctl_report_number (entropy, "mean", mean);
  seedctl_report_number (
      entropy, "deviation", sqrt (MAX (look->entropy.squares / n - mean * mean, 0)));
  seedctl_report_number (entropy, "least", look->entropy.least);
  seedctl_report_number (entropy, "most", look->entropy.most);
  json_object_set_object_member (metrics, "frame_entropy", entropy);
}

static gboolean
report_look (const Look *look, const SeedctlFeatures *features, const SeedctlEvalOptions *options,
    SeedctlReport *report, GError **error)
{
  const SeedAnchorWords words = { (const guint16 *) look->nearest->data, features->set.labels,
    look->n_frames, look->n_words, look->n_anchors };
  SeedAnchorScore score;

  if (!seed_anchor_score (&words, (guint64) options->seed, N_PERMUTATIONS, &score, error)) {
    g_prefix_error (error, "%s: ", options->data.location);
    return FALSE;
  }
  json_object_set_int_member (report->settings, "anchors", look->n_anchors);
  json_object_set_int_member (report->settings, "words_per_image", look->n_words);
  json_object_set_double_member (report->settings, "temperature", look->config.temperature);
  json_object_set_int_member (report->settings, "permutations", N_PERMUTATIONS);
  json_object_set_int_member (report->metrics, "words", look->nearest->len);
  add_score (report->metrics, &score);
  add_use (report->metrics, look);
  return TRUE;
}

/* --- sheet --- */

static gboolean
has_suffix (const char *file, const char *suffix)
{
  gsize length = strlen (file), n = strlen (suffix);

  return length > n && g_ascii_strcasecmp (file + length - n, suffix) == 0;
}

gboolean
seedctl_eval_is_sheet (const char *file)
{
  return has_suffix (file, ".png") || has_suffix (file, ".svg");
}

static double *
count_shares (const Look *look)
{
  double *shares = g_new0 (double, look->n_anchors);

  for (guint i = 0; i < look->nearest->len; i++)
    shares[g_array_index (look->nearest, guint16, i)] += 1.0 / look->nearest->len;
  return shares;
}

/* Told before the work and not after it. */
static gboolean
check_folder (const char *file, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (file);

  if (g_access (folder, W_OK | X_OK) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot create a file in its folder: %s", file,
      g_strerror (errno));
  return FALSE;
}

static gboolean
write_sheet (const char *path, const Look *look, guint patch_size, GError **error)
{
  g_auto (SeedAtomicFile) file = { .fd = -1 };
  SeedSheetLayout layout;
  g_autoptr (GBytes) png = NULL;
  g_autofree double *shares = NULL;
  g_autofree char *svg = NULL;
  gconstpointer data;
  gsize size;

  seed_sheet_layout_init (&layout, look->near, patch_size);
  png = seed_sheet_draw (&layout, look->near, error);
  if (!png) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  data = g_bytes_get_data (png, &size);
  if (has_suffix (path, ".svg")) {
    shares = count_shares (look);
    svg = seed_sheet_wrap (&layout, look->near, png, shares);
    data = svg;
    size = strlen (svg);
  }
  return seed_atomic_file_open (&file, path, error) &&
         seed_atomic_file_write (&file, data, size, error) &&
         seed_atomic_file_commit (&file, error);
}

gboolean
seedctl_eval_anchors (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error)
{
  g_auto (SeedctlModel) model = { 0 };
  g_auto (SeedctlFeatures) features = { 0 };
  g_auto (Look) look = { 0 };
  SeedctlParts parts = SEEDCTL_TOKENS | (options->sheet ? SEEDCTL_WORDS : 0);

  if (options->test.location || options->features) {
    g_set_error_literal (
        error, SEED_ERROR, SEED_ERROR_INVALID, "anchors takes neither a --test set nor --features");
    return FALSE;
  }
  if (!seedctl_model_open (&model, options, error) || !look_open (&look, &model, options, error) ||
      (options->sheet && !check_folder (options->sheet, error)))
    return FALSE;
  seedctl_report_add_model (report, &model);
  if (!seedctl_features_visit (
          &features, &model, options, &options->data, parts, look_at_frame, &look, error))
    return FALSE;
  seedctl_report_add_data (report, "data", &options->data, &features);
  return report_look (&look, &features, options, report, error) &&
         (!options->sheet || write_sheet (options->sheet, &look, model.patch_size, error));
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <json-glib/json-glib.h>
#include <seed/model.h>
#include <seed/text.h>

#include "eval/rank.h"

/* What the subcommands of `seedctl eval` share: options, models, features, reports. */

#define SEEDCTL_EVAL_SCHEMA "seed.eval.v1"

/* One image set as the options name it. */
typedef struct {
  char *location, *labels, *captions;
} SeedctlDataOptions;

typedef struct {
  const char *task; /* "knn", ... */
  const char *model;
  SeedctlDataOptions data, test; /* test.location NULL: there is none */
  char *text_model, *precision, *backend, *output, *query, *lambda, *features, *sheet;
  int batch, threads, image_size, limit, k, tolerance, words;
  gint64 seed;
  double temperature;
  gboolean json;
} SeedctlEvalOptions;

/* --- models --- */

/* A model folder as it is to be run: a student when it has an embed head, else a teacher. */
typedef struct {
  char *folder, *name, *family, *sha256, *precision;
  gboolean is_student, has_anchors;
  guint image_size, patch_size, dim; /* dim: of what it gives for an image */
  guint64 n_params;
  float *text_head; /* [dim, text_dim], then [dim]: maps a text to where images are; NULL: none */
  guint text_dim;
  SeedModel *teacher; /* keeps the weights while the element runs; NULL of a student */
} SeedctlModel;

gboolean
seedctl_model_open (SeedctlModel *model, const SeedctlEvalOptions *options, GError **error);
void seedctl_model_clear (SeedctlModel *model);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedctlModel, seedctl_model_clear)
/* The element that runs it. @tokens: also the rows of words. */
GstElement *seedctl_model_make_element (
    const SeedctlModel *model, const SeedctlEvalOptions *options, gboolean tokens);

/* --- running it --- */

/* What is wanted of a frame besides its summary. */
typedef enum {
  SEEDCTL_SUMMARY = 0,
  SEEDCTL_TOKENS = 1 << 0, /* rows of its words */
  SEEDCTL_WORDS = 1 << 1,  /* the words themselves */
} SeedctlParts;

/* For every frame in order; @frame: its number. FALSE with @error set ends the run. */
typedef struct {
  guint64 frame;
  gint32 label;
  const char *const *captions;
  guint n_captions;
  const float *summary; /* [dim] */
  const float *tokens;  /* [N, Dt] or NULL */
  guint n_words, token_dim;
  const guint8 *words;    /* [N, 3, P, P] or NULL */
  const float *histogram; /* [SEED_ANCHORS_META_BINS] of a student with anchors, or NULL */
} SeedctlFrame;
typedef gboolean (*SeedctlFrameFunc) (const SeedctlFrame *frame, gpointer data, GError **error);

/*
 * Runs @source (taken: frames with stream metas) through the model, @limit frames at most (0: all).
 * Warnings of elements go to standard error.
 */
gboolean seedctl_run_frames (const SeedctlModel *model, const SeedctlEvalOptions *options,
    GstElement *source, SeedctlParts parts, guint limit, SeedctlFrameFunc func, gpointer data,
    GError **error);

/* Unit vectors of an image set. */
typedef struct {
  SeedEvalSet set;                /* rows and labels are of the arrays below */
  GArray *rows, *labels, *frames; /* float, gint32, guint64 */
  GPtrArray *captions;            /* of char * */
  GArray *owners;                 /* guint: the item of each caption */
  char **classes;                 /* by label; may be empty */
  guint n_images, n_skipped;      /* in the set; could not be decoded */
  double seconds;                 /* from the first image to the last */
} SeedctlFeatures;

gboolean seedctl_features_extract (SeedctlFeatures *features, const SeedctlModel *model,
    const SeedctlEvalOptions *options, const SeedctlDataOptions *data, GError **error);
/* The same for a task that looks at every frame itself: what is said of the set, the labels and
 * numbers of its images, and no vectors. */
gboolean seedctl_features_visit (SeedctlFeatures *features, const SeedctlModel *model,
    const SeedctlEvalOptions *options, const SeedctlDataOptions *data, SeedctlParts parts,
    SeedctlFrameFunc func, gpointer func_data, GError **error);
/* Gives @test the labels that its classes have in @train. SEED_ERROR_MISMATCH naming one that is
 * not there. */
gboolean
seedctl_features_align (SeedctlFeatures *test, const SeedctlFeatures *train, GError **error);
void seedctl_features_clear (SeedctlFeatures *features);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedctlFeatures, seedctl_features_clear)

/* --- tasks: fill the metrics and settings of a report --- */

typedef struct {
  JsonObject *root, *settings, *metrics;
  double started; /* seconds, monotonic */
  double feature_seconds;
  guint n_images; /* run through the model */
} SeedctlReport;

void seedctl_report_begin (SeedctlReport *report, const SeedctlEvalOptions *options);
void seedctl_report_add_model (SeedctlReport *report, const SeedctlModel *model);
/* @name: "data" or "test". */
void seedctl_report_add_data (SeedctlReport *report, const char *name,
    const SeedctlDataOptions *data, const SeedctlFeatures *features);
/* A number that is not finite becomes null. */
void seedctl_report_number (JsonObject *object, const char *name, double value);
/* Prints it, as JSON or as a table, and into options->output when that is set. */
gboolean
seedctl_report_end (SeedctlReport *report, const SeedctlEvalOptions *options, GError **error);
void seedctl_report_clear (SeedctlReport *report);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedctlReport, seedctl_report_clear)

gboolean
seedctl_eval_images (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error);
/* Whether a name is one that anchors can write a sheet to. */
gboolean seedctl_eval_is_sheet (const char *file);
gboolean
seedctl_eval_anchors (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error);
gboolean
seedctl_eval_cuts (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error);
gboolean
seedctl_eval_grounding (const SeedctlEvalOptions *options, SeedctlReport *report, GError **error);
/* argv[0]: "table". */
int seedctl_eval_table (int argc, char **argv);

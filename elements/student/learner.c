/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "student/caption-term.h"
#include "student/classify.h"
#include "student/learner.h"
#include "student/similarity.h"

struct _SeedLearner {
  SeedLearnerConfig config;
  SeedLayers layers;
  SeedStudent *student;
  guint max_items, n_words, n_teachers;
  SeedDistil *distil[SEED_LEARNER_MAX_TEACHERS];
  SeedDistilLosses *losses[SEED_LEARNER_MAX_TEACHERS]; /* [max_items] */
  real *keep[SEED_LEARNER_MAX_TEACHERS];               /* [max_items] */

  real *d_embedding;           /* [2b, E] */
  real *features, *d_features; /* [2b, E]: sqrt (E) z */
  real *tokens, *d_tokens;     /* [2b N, d]; NULL when no teacher has tokens */
  void *similarity_scratch;

  SeedLayer label_head;
  real *logits, *d_logits; /* [2b, classes] */

  SeedCaptionTerm *captions;
  SeedAnchorTerm *anchors;
};

void
seed_learner_config_init (SeedLearnerConfig *config)
{
  *config = (SeedLearnerConfig){ .objective = SEED_OBJECTIVE_DISTIL,
    .temperature = 0.05,
    .w_sim = 1,
    .w_seed = 1,
    .w_feat = 1,
    .w_labels = 1,
    .w_captions = 1,
    .w_anchor = 1,
    .w_histogram = 1,
    .queue_size = 16384,
    .teacher_drop = 0.5,
    .label_smoothing = 0.1 };
  seed_anchors_config_init (&config->anchors);
}

void
seed_learner_config_complete (SeedLearnerConfig *config)
{
  config->shape.anchors = (config->objective & SEED_OBJECTIVE_ANCHORS) != 0;
  config->shape.text_dim = config->objective & SEED_OBJECTIVE_CAPTIONS ? config->text_dim : 0;
}

gboolean
seed_learner_config_check (const SeedLearnerConfig *config, GError **error)
{
  if (!seed_student_shape_check (&config->shape, error))
    return FALSE;
  if (config->objective & SEED_OBJECTIVE_LABELS &&
      (config->n_classes < 2 || config->n_classes > SEED_LEARNER_MAX_CLASSES)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "objective labels needs classes: 2 to %u, not %u", SEED_LEARNER_MAX_CLASSES,
        config->n_classes);
    return FALSE;
  }
  if (config->objective & SEED_OBJECTIVE_CAPTIONS && config->text_dim < 1) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID,
        "objective captions needs a text model: set text-model to the folder of a text encoder");
    return FALSE;
  }
  if (config->objective & SEED_OBJECTIVE_ANCHORS && !(config->w_anchor > 0)) {
    g_set_error_literal (
        error, SEED_ERROR, SEED_ERROR_INVALID, "objective anchors needs w-anchor above 0");
    return FALSE;
  }
  if (config->w_seed > 0 && config->queue_size < 1) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID,
        "queue-size must be 1 or more; set w-seed to 0 to learn without a queue");
    return FALSE;
  }
  return TRUE;
}

static SeedDistilConfig
distil_config (const SeedLearnerConfig *config)
{
  return (SeedDistilConfig){ .embed_dim = config->shape.embed_dim,
    .hidden_dim = config->shape.vit.dim,
    .n_words = seed_vit_config_n_words (&config->shape.vit),
    .w_seed = config->w_seed,
    .w_feat = config->w_feat };
}

void
seed_learner_append_params (const SeedLearnerConfig *config, SeedParams *params)
{
  gsize one[1] = { 1 };

  seed_student_append_params (&config->shape, params);
  if (config->objective & SEED_OBJECTIVE_ANCHORS) {
    SeedAnchorsShape shape;

    seed_anchors_shape_init (&shape, &config->shape.vit);
    seed_anchors_append_learning (&shape, params);
    seed_histogram_append_params (shape.n_anchors, config->shape.embed_dim, params);
  }
  if (config->objective & SEED_OBJECTIVE_LABELS)
    seed_layer_append_linear (params, "label_head", config->n_classes, config->shape.embed_dim);
  if (config->objective & SEED_OBJECTIVE_CAPTIONS)
    seed_params_append (params, "captions.scale", FALSE, 1, one);
}

void
seed_learner_append_teacher_params (const SeedLearnerConfig *config,
    const SeedDistilTeacher *teacher, guint index, SeedParams *params)
{
  SeedDistilConfig distil = distil_config (config);

  seed_distil_append_params (&distil, teacher, index, params);
}

/* ---- the workspace ---- */

static void
make_teachers (SeedLearner *learner, const SeedParams *params, const SeedDistilTeacher *teachers,
    const SeedEmbedQueue *queues, const SeedBackend *backend)
{
  SeedDistilConfig config = distil_config (&learner->config);
  gsize words = SEED_VIEWS * (gsize) learner->max_items * learner->n_words;

  for (guint t = 0; t < learner->n_teachers; t++) {
    learner->distil[t] =
        seed_distil_new (&config, &teachers[t], t, params, &queues[t], learner->max_items, backend);
    learner->losses[t] = g_new0 (SeedDistilLosses, learner->max_items);
    learner->keep[t] = seed_reals_new (learner->max_items);
    if (teachers[t].token_dim > 0 && config.w_feat > 0 && !learner->tokens) {
      learner->tokens = seed_reals_new (words * config.hidden_dim);
      learner->d_tokens = seed_reals_new (words * config.hidden_dim);
    }
  }
}

static void
make_labels (SeedLearner *learner, const SeedParams *params)
{
  gsize size = SEED_VIEWS * (gsize) learner->max_items * learner->config.n_classes;

  learner->label_head = seed_layer_find (params, "label_head");
  learner->logits = seed_reals_new (size);
  learner->d_logits = seed_reals_new (size);
}

SeedLearner *
seed_learner_new (const SeedLearnerConfig *config, const SeedParams *params,
    const SeedDistilTeacher *teachers, guint n_teachers, const SeedEmbedQueue *queues,
    guint max_items, const SeedBackend *backend, GError **error)
{
  g_autoptr (SeedLearner) learner = g_new0 (SeedLearner, 1);
  gsize rows = SEED_VIEWS * (gsize) max_items;

  g_return_val_if_fail (n_teachers <= SEED_LEARNER_MAX_TEACHERS, NULL);

  learner->config = *config;
  learner->layers = seed_layers (backend);
  learner->max_items = max_items;
  learner->n_words = seed_vit_config_n_words (&config->shape.vit);
  learner->n_teachers = n_teachers;
  /* anchors are learned in passes of their own */
  if (config->objective != SEED_OBJECTIVE_ANCHORS &&
      !(learner->student =
              seed_student_new (&config->shape, params, (guint) rows, TRUE, backend, error)))
    return NULL;
  if (config->objective & SEED_OBJECTIVE_ANCHORS &&
      !(learner->anchors = seed_anchor_term_new (
            &config->shape.vit, &config->anchors, params, max_items, backend, error)))
    return NULL;
  learner->d_embedding = seed_reals_new (rows * config->shape.embed_dim);
  learner->features = seed_reals_new (rows * config->shape.embed_dim);
  learner->d_features = seed_reals_new (rows * config->shape.embed_dim);
  learner->similarity_scratch = g_malloc (seed_similarity_scratch_size (max_items));
  make_teachers (learner, params, teachers, queues, backend);
  if (config->objective & SEED_OBJECTIVE_LABELS)
    make_labels (learner, params);
  if (config->objective & SEED_OBJECTIVE_CAPTIONS)
    learner->captions = seed_caption_term_new (params, max_items, backend);
  return g_steal_pointer (&learner);
}

void
seed_learner_free (SeedLearner *learner)
{
  if (!learner)
    return;
  seed_student_free (learner->student);
  seed_anchor_term_free (learner->anchors);
  seed_caption_term_free (learner->captions);
  for (guint t = 0; t < learner->n_teachers; t++) {
    seed_distil_free (learner->distil[t]);
    g_free (learner->losses[t]);
    g_aligned_free (learner->keep[t]);
  }
  g_aligned_free (learner->d_embedding);
  g_aligned_free (learner->features);
  g_aligned_free (learner->d_features);
  g_aligned_free (learner->tokens);
  g_aligned_free (learner->d_tokens);
  g_aligned_free (learner->logits);
  g_aligned_free (learner->d_logits);
  g_free (learner->similarity_scratch);
  g_free (learner);
}

gsize
seed_learner_memory_bytes (const SeedLearner *learner)
{
  gsize items = learner->max_items, rows = SEED_VIEWS * items, e = learner->config.shape.embed_dim;
  gsize reals = 3 * rows * e;
  gsize bytes = seed_similarity_scratch_size (learner->max_items);

  if (learner->student)
    bytes += seed_student_memory_bytes (learner->student);
  if (learner->anchors)
    bytes += seed_anchor_term_memory_bytes (learner->anchors);
  if (learner->tokens)
    reals += 2 * rows * learner->n_words * learner->config.shape.vit.dim;
  if (learner->logits)
    reals += 2 * rows * learner->config.n_classes;
  if (learner->captions)
    bytes += seed_caption_term_memory_bytes (learner->captions);
  for (guint t = 0; t < learner->n_teachers; t++)
    bytes += seed_distil_memory_bytes (learner->distil[t]);
  return bytes + reals * sizeof (real);
}

/* ---- one batch ---- */

/* What the terms of a batch share. */
typedef struct {
  SeedLearner *learner;
  const real *values;
  const SeedLearnerBatch *batch;
  const real *z, *hidden; /* [2b, E], [2b, 1+N, d] */
  SeedRng *rng;
  SeedLearnerReport *report;
  real *grads;      /* NULL: the value alone */
  gboolean learned; /* there was a term of the whole views */
} Pass;

static void
similarity_term (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  const SeedLearnerConfig *config = &learner->config;
  gsize size = SEED_VIEWS * (gsize) pass->batch->b * config->shape.embed_dim;

  if (!pass->batch->target || config->w_sim == 0) {
    memset (learner->d_embedding, 0, size * sizeof (real));
    return;
  }
  pass->report->similarity = seed_similarity_loss (pass->z, pass->batch->target, pass->batch->b,
      config->shape.embed_dim, config->temperature, pass->grads ? learner->d_embedding : NULL,
      learner->similarity_scratch);
  pass->report->total += config->w_sim * pass->report->similarity;
  if (pass->grads && config->w_sim != 1)
    learner->layers.kernels->scale (learner->d_embedding, size, (real) config->w_sim);
  pass->learned = TRUE;
}

/* UNIC: the teacher that an item is worst at stays, each other goes by chance. */
static void
drop_teachers (Pass *pass)
{
  SeedLearner *learner = pass->learner;

  for (guint i = 0; i < pass->batch->b; i++) {
    double largest = -INFINITY;
    guint worst = 0;

    for (guint t = 0; t < learner->n_teachers; t++) {
      double loss = seed_distil_weigh (learner->distil[t], &learner->losses[t][i]);

      if (loss > largest) {
        largest = loss;
        worst = t;
      }
    }
    for (guint t = 0; t < learner->n_teachers; t++) {
      gboolean goes = learner->n_teachers > 1 && learner->config.teacher_drop > 0 &&
                      seed_rng_uniform (pass->rng) < learner->config.teacher_drop;

      learner->keep[t][i] = t == worst || !goes;
    }
  }
}

static void
report_teacher (Pass *pass, guint t)
{
  SeedLearner *learner = pass->learner;
  SeedLearnerReport *report = pass->report;
  guint b = pass->batch->b;
  SeedDistilLosses mean = { 0 };
  double kept = 0;

  for (guint i = 0; i < b; i++) {
    const SeedDistilLosses *losses = &learner->losses[t][i];

    mean.seed += losses->seed / b;
    mean.summary += losses->summary / b;
    mean.tokens += losses->tokens / b;
    kept += (double) learner->keep[t][i] / b;
    report->total += learner->keep[t][i] * seed_distil_weigh (learner->distil[t], losses) / b;
  }
  report->teachers[t].seed = mean.seed;
  report->teachers[t].summary = mean.summary;
  report->teachers[t].tokens = pass->batch->teachers[t].tokens ? mean.tokens : NAN;
  report->teachers[t].kept = kept;
  report->seed = (t == 0 ? 0 : report->seed) + mean.seed;
  report->features = (t == 0 ? 0 : report->features) + mean.summary + mean.tokens;
}

static void
move_tokens (const SeedLearner *learner, guint n, const real *hidden, real *tokens)
{
  gsize d = learner->config.shape.vit.dim, size = learner->n_words * d;

  for (guint i = 0; i < n; i++)
    memcpy (tokens + i * size, hidden + i * (size + d) + d, size * sizeof (real));
}

static void
teacher_terms (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  guint b = pass->batch->b;

  if (!pass->batch->teachers || learner->n_teachers == 0)
    return;
  if (learner->tokens)
    move_tokens (learner, SEED_VIEWS * b, pass->hidden, learner->tokens);
  for (guint t = 0; t < learner->n_teachers; t++)
    seed_distil_forward (learner->distil[t], pass->values, learner->features, learner->tokens,
        &pass->batch->teachers[t], b, pass->grads != NULL, learner->losses[t]);
  drop_teachers (pass);
  pass->report->n_teachers = learner->n_teachers;
  for (guint t = 0; t < learner->n_teachers; t++) {
    report_teacher (pass, t);
    if (pass->grads)
      seed_distil_backward (learner->distil[t], pass->values, learner->keep[t], learner->d_features,
          learner->d_tokens, pass->grads);
  }
  if (learner->config.w_seed == 0)
    pass->report->seed = NAN;
  if (learner->config.w_feat == 0)
    pass->report->features = NAN;
  pass->learned = TRUE;
}

static void
label_term (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  const SeedLearnerBatch *batch = pass->batch;
  guint rows = SEED_VIEWS * batch->b, e = learner->config.shape.embed_dim;
  SeedClassTargets targets = { batch->b, SEED_VIEWS, learner->config.n_classes, batch->labels,
    batch->mixed_with, batch->mix_share, learner->config.label_smoothing };
  SeedClassResult result;
  double weight = learner->config.w_labels;

  if (!batch->labels || !learner->logits)
    return;
  seed_linear_forward (&learner->layers, &learner->label_head, pass->values, learner->features, e,
      rows, learner->logits);
  result = seed_classify_loss (&targets, learner->logits, pass->grads ? learner->d_logits : NULL);
  pass->report->n_labelled = result.n_items;
  if (result.n_items == 0)
    return;
  pass->report->labels = result.loss;
  pass->report->accuracy = (double) result.n_correct / ((double) SEED_VIEWS * result.n_items);
  pass->report->total += weight * result.loss;
  pass->learned = TRUE;
  if (!pass->grads)
    return;
  if (weight != 1)
    learner->layers.kernels->scale (
        learner->d_logits, (gsize) rows * learner->config.n_classes, (real) weight);
  seed_linear_backward (&learner->layers, &learner->label_head, pass->values, learner->features, e,
      learner->d_logits, rows, SEED_GRADIENT_ADD, learner->d_features, e, pass->grads);
}

static void
caption_term (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  SeedLearnerReport *report = pass->report;
  const SeedCaptionTermBatch batch = { pass->batch->b, pass->z, pass->batch->captions,
    pass->batch->has_caption };
  double weight = learner->config.w_captions;

  if (!batch.captions || !learner->captions)
    return;
  report->captions = seed_caption_term_loss (learner->captions, pass->values, &batch, weight,
      &report->n_captioned, &report->caption_scale, pass->grads, learner->d_embedding);
  if (isnan (report->captions))
    return;
  report->total += weight * report->captions;
  pass->learned = TRUE;
}

/* Passes of its own: straight into the gradients of the parameters. */
static gboolean
anchor_term (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  SeedLearnerReport *report = pass->report;
  double weight = learner->config.w_anchor, w_histogram = learner->config.w_histogram;

  if (!pass->batch->anchors || !learner->anchors)
    return FALSE;
  report->anchors_refused = !seed_anchor_term_assign (learner->anchors, pass->values,
      pass->batch->words, pass->batch->anchors, pass->batch->b, NULL);
  if (report->anchors_refused)
    return FALSE;
  report->histogram = seed_anchor_term_loss (learner->anchors, pass->values, pass->batch->words,
      weight, w_histogram, &report->anchor_losses, pass->grads);
  report->anchors = report->anchor_losses.total;
  report->total += weight * report->anchors + w_histogram * report->histogram;
  return TRUE;
}

static void
measure_agreement (const SeedLearnerConfig *config, SeedLearnerReport *report)
{
  double sum = 0;
  guint n = 0;

  if (!isnan (report->similarity)) {
    sum += exp (-report->similarity / 2);
    n++;
  }
  for (guint t = 0; t < report->n_teachers && config->w_feat > 0; t++, n++)
    sum += CLAMP (1 - report->teachers[t].summary, 0, 1);
  report->agreement = n > 0 ? CLAMP (sum / n, 0, 1) : NAN;
}

/* From the gradients of all terms to those of the network. */
static void
backward (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  gsize e = learner->config.shape.embed_dim, d = learner->config.shape.vit.dim;
  guint rows = SEED_VIEWS * pass->batch->b;
  gsize size = learner->n_words * d;
  real *d_hidden = seed_student_d_hidden (learner->student);

  learner->layers.kernels->add_scaled (
      learner->d_features, rows * e, (real) sqrt ((double) e), learner->d_embedding);
  for (guint i = 0; learner->d_tokens && i < rows; i++)
    memcpy (d_hidden + i * (size + d) + d, learner->d_tokens + i * size, size * sizeof (real));
  seed_student_backward (learner->student, learner->d_embedding, pass->grads);
}

static void
run_student (Pass *pass)
{
  SeedLearner *learner = pass->learner;
  gsize e = learner->config.shape.embed_dim, n = SEED_VIEWS * (gsize) pass->batch->b;

  seed_student_set_values (learner->student, pass->values);
  pass->z = seed_student_forward (learner->student, pass->batch->words, (guint) n, &pass->hidden);
  memcpy (learner->features, pass->z, n * e * sizeof (real));
  learner->layers.kernels->scale (learner->features, n * e, (real) sqrt ((double) e));
  memset (learner->d_features, 0, n * e * sizeof (real));
  if (learner->d_tokens)
    memset (
        learner->d_tokens, 0, n * learner->n_words * learner->config.shape.vit.dim * sizeof (real));
}

/* The terms of both whole views through the student. */
static void
whole_views (Pass *pass)
{
  run_student (pass);
  similarity_term (pass);
  teacher_terms (pass);
  label_term (pass);
  caption_term (pass);
  if (pass->learned && pass->grads)
    backward (pass);
}

gboolean
seed_learner_loss (SeedLearner *learner, const real *values, const SeedLearnerBatch *batch,
    SeedRng *rng, SeedLearnerReport *report, real *grads)
{
  Pass pass = { .learner = learner,
    .values = values,
    .batch = batch,
    .rng = rng,
    .report = report,
    .grads = grads };

  gboolean anchored;

  g_return_val_if_fail (batch->b >= 2 && batch->b <= learner->max_items, FALSE);

  *report = (SeedLearnerReport){ .similarity = NAN,
    .seed = NAN,
    .features = NAN,
    .labels = NAN,
    .captions = NAN,
    .anchors = NAN,
    .histogram = NAN,
    .accuracy = NAN,
    .caption_scale = NAN };
  if (learner->student && (batch->target || batch->teachers || batch->labels || batch->captions))
    whole_views (&pass);
  anchored = anchor_term (&pass);
  measure_agreement (&learner->config, report);
  return pass.learned || anchored;
}

const real *
seed_learner_anchor_assignment (const SeedLearner *learner)
{
  return seed_anchor_term_get_assignment (learner->anchors);
}

const real *
seed_learner_embeddings (const SeedLearner *learner, guint teacher)
{
  return seed_distil_embeddings (learner->distil[teacher]);
}

const real *
seed_learner_features (const SeedLearner *learner)
{
  return learner->features;
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/anchor-term.h"
#include "student/distil.h"
#include "student/objective.h"
#include "student/student.h"

/*
 * The whole loss of a student and its gradient: the network, its heads, and every term of every
 * objective. No optimiser, no files (trainer.h).
 *
 *   L = w_sim L_sim + sum_t mean_i keep_ti (w_seed L_seed,ti + w_feat L_feat,ti)
 *     + w_labels L_labels + w_captions L_captions + w_anchor L_anchor + w_histogram L_h
 *
 * Teacher dropping (UNIC, Sariyildiz et al. 2024, arXiv 2408.05088): of each item the teacher with
 * the largest loss is kept, each other one is dropped with a probability: keep is 1 or 0.
 *
 * Parameters: the student's (with anchors, what describes frames by them), then what else learning
 * anchors needs (with "anchor_histogram"), "label_head" (Linear E -> classes, on sqrt (E) z),
 * "captions.scale", then each teacher's.
 */
#define SEED_LEARNER_MAX_TEACHERS 8u
#define SEED_LEARNER_MAX_CLASSES 65536u

typedef struct {
  SeedStudentShape shape;
  SeedObjective objective;
  double temperature; /* tau of the similarity loss */
  double w_sim, w_seed, w_feat, w_labels, w_captions, w_anchor, w_histogram;
  guint queue_size;    /* K of each teacher */
  double teacher_drop; /* probability */
  guint n_classes;     /* with labels */
  double label_smoothing;
  guint text_dim; /* with captions: width of a text's embedding */
  SeedAnchorsConfig anchors;
} SeedLearnerConfig;

/* distil alone, every weight 1, tau 0.05, K 16384, drop 0.5, smoothing 0.1, and
 * seed_anchors_config_init. The shape's heads are to be set with the objective. */
void seed_learner_config_init (SeedLearnerConfig *config);
/* Which heads the objective gives the shape. */
void seed_learner_config_complete (SeedLearnerConfig *config);
gboolean seed_learner_config_check (const SeedLearnerConfig *config, GError **error);

/* What a batch says; anything but the words may be NULL. */
typedef struct {
  guint b;
  const guint8 *words;              /* [b, 2, N, 3*P*P] */
  const float *target;              /* [b, b] of the similarity loss, see similarity.h */
  const SeedDistilTarget *teachers; /* of every teacher */
  const gint32 *labels;             /* [b], -1: unlabelled */
  const gint32 *mixed_with;         /* [b], see classify.h */
  double mix_share;
  const real *captions;        /* [b, text_dim] embeddings of texts, of any length */
  const gboolean *has_caption; /* [b]; NULL: all have */
  const SeedAnchorTermBatch *anchors;
} SeedLearnerBatch;

/* Means over the batch, without weights. NaN: the batch had nothing for that term. */
typedef struct {
  double total; /* what was minimised: with weights and dropping */
  double similarity, seed, features, labels, captions, anchors, histogram;
  guint n_teachers;
  struct {
    double seed, summary, tokens; /* tokens: NaN without */
    double kept;                  /* share of items */
  } teachers[SEED_LEARNER_MAX_TEACHERS];
  guint n_labelled, n_captioned;   /* items */
  double accuracy;                 /* share of the labelled views */
  double caption_scale;            /* e^s */
  SeedAnchorsLosses anchor_losses; /* the parts of the term, when there was one */
  gboolean anchors_refused;        /* there was none, for want of distinct frames */

  /*
   * How far the student is with what teachers say, 0..1; NaN when they said nothing. Mean over what
   * there is of: exp (-L_sim / 2), with L_sim the sum of two divergences, by rows and by columns;
   * and of each teacher, unless w_feat is 0, the mean cosine of its standardised summary with the
   * student's, 0 when that is below.
   */
  double agreement;
} SeedLearnerReport;

typedef struct _SeedLearner SeedLearner;

/* The student's own parameters and those of labels and captions. */
void seed_learner_append_params (const SeedLearnerConfig *config, SeedParams *params);
void seed_learner_append_teacher_params (const SeedLearnerConfig *config,
    const SeedDistilTeacher *teacher, guint index, SeedParams *params);

/* A workspace. @queues: [n_teachers], the caller's. @params must outlive it. */
SeedLearner *seed_learner_new (const SeedLearnerConfig *config, const SeedParams *params,
    const SeedDistilTeacher *teachers, guint n_teachers, const SeedEmbedQueue *queues,
    guint max_items, const SeedBackend *backend, GError **error);
void seed_learner_free (SeedLearner *learner);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedLearner, seed_learner_free)
gsize seed_learner_memory_bytes (const SeedLearner *learner);

/*
 * The loss of a batch, 2 <= b <= max_items, into @report, and its gradient ADDED to @grads unless
 * that is NULL. @rng: of the dropping. FALSE when the batch had nothing to learn from.
 */
gboolean seed_learner_loss (SeedLearner *learner, const real *values, const SeedLearnerBatch *batch,
    SeedRng *rng, SeedLearnerReport *report, real *grads);

/* The student's rows [b, 2, E] in the last batch, of length sqrt (E). */
const real *seed_learner_features (const SeedLearner *learner);

/* Q [b, N, K] of the last batch that had an anchor term. */
const real *seed_learner_anchor_assignment (const SeedLearner *learner);

/* The unit rows [b, 2, D] of a teacher in the last batch, for its queue; NULL without one. */
const real *seed_learner_embeddings (const SeedLearner *learner, guint teacher);

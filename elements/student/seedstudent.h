/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/error.h>

#include "core/caps.h"
#include "core/event.h"
#include "core/features-pool.h"
#include "core/resume.h"
#include "core/stream-meta.h"
#include "student/captions.h"
#include "student/promotion.h"
#include "student/trainer.h"
#include "student/weights.h"

/*
 * The parts of the element seedstudent: the object and its life (seedstudent.c), serving
 * (student-infer.c), learning (student-train.c) and its steps
 * (student-learn.c) on what arrives at its pads (student-inputs.c) and what metas say of it
 * (student-told.c); which weights serve (student-promote.c), also those that another process made
 * (student-watch.c). What a serving student says of frames besides their features is in
 * student-describe.c (image anchors) and student-notice.c (scene cuts, near-duplicates).
 */
typedef enum {
  SEED_STUDENT_INFER,
  SEED_STUDENT_TRAIN,
} SeedStudentMode;

#define SEED_TYPE_STUDENT (seed_student_element_get_type ())
G_DECLARE_FINAL_TYPE (SeedStudentElement, seed_student_element, SEED, STUDENT_ELEMENT, GstElement)

/* student-watch.c: looks after a checkpoint folder that another process writes. */
typedef struct _SeedStudentWatch SeedStudentWatch;

/* What a serving student holds. */
typedef struct {
  SeedStudentWatch *watch;       /* with watch: PAUSED and up */
  SeedWeightsHub *hub;           /* with follows: the learner's */
  SeedWeightsFollower *follower; /* PAUSED and up */
  SeedWeights *fixed;            /* with model: what it loaded */
  SeedWeights *weights;          /* in use */
  gboolean packed;               /* the workspace has taken them */
  SeedParams params;             /* of shape; empty until known */
  SeedStudent *student;
  SeedFeaturesInfo out;
  GstBufferPool *pool;

  SeedAnchors *anchors; /* workspace that describes frames; NULL without image anchors */
  float *histograms;    /* [batch, K] */
  float *heatmaps;      /* [batch, K, N]; NULL unless asked for */
  guint notices;        /* SeedStudentNotice flags */
  GHashTable *noticed;  /* stream -> what it showed (student-notice.c) */
} SeedStudentInfer;

/* A request pad of a learning student and the one buffer that waits there for its words. */
typedef struct {
  SeedStudentElement *element; /* not owned */
  GstPad *pad;                 /* owned by the element */
  gboolean is_target;          /* else a teacher */
  GstBuffer *buffer;
  gboolean eos, has_info;
  SeedFeaturesInfo info; /* of a teacher, from its caps */
} SeedStudentInput;

/* Frames that lacked what an objective wants. */
typedef struct {
  guint64 unlabelled, uncaptioned;
} SeedStudentCounts;

/* What a learning student holds. */
typedef struct {
  SeedTrainer *trainer;
  SeedObjective objective;
  SeedWeightsHub *hub; /* the element's own, from construction to the end */
  SeedTextModel *text; /* with the objective captions */
  SeedCaptions *captions;

  gint n_orders; /* atomic: actions that want step_lock; the next step lets them go first */
  GCond orders_done;
  GMutex step_lock; /* trainer, promotion and what they have on disc: a step, a checkpoint, an
                     * action. Taken before lock. */
  SeedPromotion *promotion;
  SeedWeights *served; /* the last version that the hub was given */
  gboolean dirty;      /* something was consumed since the last checkpoint */
  gboolean begun;      /* the folder says that a run was begun, and has no checkpoint of it */
  gboolean repeats;    /* and said so when the element was opened */
  gboolean outage;     /* the last checkpoint could not be saved */
  guint64 n_outages;

  GMutex lock; /* guards the rest: several streaming threads meet here */
  GCond changed;
  GPtrArray *inputs; /* SeedStudentInput: the pads besides sink, in the order of their request */
  gboolean flushing, running;
  gboolean finished; /* no more steps */
  guint64 memory_bytes;
  SeedStudentCounts counts;
  gint64 last_step_us;
  double images_per_s;
  SeedTrainerReport last;
  struct {
    guint held_out;
    guint64 promoted, rejected, rolled_back, outages, serving_step;
    gboolean held, is_open;
  } tally; /* of the promotion, for whoever must not wait for a step */
} SeedStudentTrain;

struct _SeedStudentElement {
  GstElement parent;

  GstPad *sinkpad, *srcpad;

  /* properties */
  SeedStudentMode mode;
  char *follows, *model, *checkpoint, *size, *objective, *backend, *precision;
  char *text_model, *events;
  guint image_size, patch_size, checkpoint_every, warmup;
  guint queue_size, calibration, classes, probe, keep;
  guint64 steps, seed;
  double lr, weight_decay, ema, temperature;
  double w_sim, w_seed, w_feat, w_labels, w_captions, w_anchor, w_histogram;
  double teacher_drop, label_smoothing, mixup, tolerance;
  gboolean tokens, heatmaps, deterministic, watch;
  SeedPromotePolicy promote;

  SeedLedger *ledger;
  gboolean has_shape; /* under the object lock: caps queries come from any thread */
  SeedStudentShape shape;
  char *model_name;
  gint64 announced_step; /* of the last seed-model event; -1: none yet */
  char announced_sha256[65];

  GMutex events_lock;
  GQueue pending_events; /* of GstEvent: to be pushed downstream */

  SeedPatchesInfo in;
  SeedStudentInfer infer;
  SeedStudentTrain train;
};

/* student-props.c */
void seed_student_props_install (GObjectClass *klass);
void seed_student_props_init (SeedStudentElement *self);
void seed_student_props_clear (SeedStudentElement *self);

/* seedstudent.c */
GstStructure *seed_student_element_stats (SeedStudentElement *self);
void seed_student_element_set_shape (SeedStudentElement *self, const SeedStudentShape *shape);
gboolean seed_student_element_get_shape (SeedStudentElement *self, SeedStudentShape *shape);
void seed_student_element_announce (SeedStudentElement *self, const char *sha256, guint64 step);

/* Each pair is called around the state changes it names; FALSE after posting an error. */
gboolean seed_student_infer_open (SeedStudentElement *self);  /* NULL -> READY */
gboolean seed_student_infer_start (SeedStudentElement *self); /* READY -> PAUSED */
void seed_student_infer_unblock (SeedStudentElement *self);   /* before PAUSED -> READY */
void seed_student_infer_stop (SeedStudentElement *self);      /* PAUSED -> READY, pads inactive */
void seed_student_infer_close (SeedStudentElement *self);     /* READY -> NULL */
void seed_student_infer_find_shape (SeedStudentElement *self);
gboolean seed_student_infer_set_caps (SeedStudentElement *self);
GstFlowReturn seed_student_infer_chain (SeedStudentElement *self, GstBuffer *words);
void seed_student_infer_set_flushing (SeedStudentElement *self, gboolean flushing);
void seed_student_infer_add_stats (SeedStudentElement *self, GstStructure *stats);

gboolean seed_student_train_open (SeedStudentElement *self);
gboolean seed_student_train_start (SeedStudentElement *self);
void seed_student_train_unblock (SeedStudentElement *self);
void seed_student_train_stop (SeedStudentElement *self);
void seed_student_train_close (SeedStudentElement *self);
gboolean seed_student_train_set_caps (SeedStudentElement *self);
GstFlowReturn seed_student_train_chain (SeedStudentElement *self, GstBuffer *words);
void seed_student_train_eos (SeedStudentElement *self); /* no more words */
void seed_student_train_set_flushing (SeedStudentElement *self, gboolean flushing);
void seed_student_train_add_stats (SeedStudentElement *self, GstStructure *stats);

/* student-learn.c: one batch on its way through. @parts: by input, see below. */
GstFlowReturn seed_student_learn (SeedStudentElement *self, GstBuffer *words, GstBuffer **parts,
    guint n_items, GstBuffer **report);
void seed_student_drop (
    SeedStudentElement *self, GstBuffer *words, guint n_items, SeedDropReason reason);
void seed_student_post_error (SeedStudentElement *self, const char *what, const GError *error);
void seed_student_note_memory (SeedStudentElement *self);

/* student-promote.c. The first four with train.step_lock held. */
gboolean seed_student_promotion_open (SeedStudentElement *self, GError **error);
void seed_student_promotion_close (SeedStudentElement *self);
/* Saves, and promotes or not. An error is not the graph's: it is said, once an outage. */
void seed_student_checkpoint (SeedStudentElement *self);
/* The version that followers are to have from here on; NULL: the one they have. */
SeedWeights *seed_student_next_version (SeedStudentElement *self, gboolean learned);
void seed_student_install_actions (GObjectClass *klass);
/* Keeps what the statistics say; with step_lock held. */
void seed_student_promotion_note (SeedStudentElement *self);
/* With train.lock held. */
void seed_student_promotion_add_stats (SeedStudentElement *self, GstStructure *stats);
/* The frames of @words are consumed, whatever becomes of them. */
void seed_student_consume (SeedStudentElement *self, GstBuffer *words);
void seed_student_answer_resume (SeedStudentElement *self, GstQuery *query);
/* Events wait until they are flushed, by a thread that may block. Takes @event. */
void seed_student_queue_event (SeedStudentElement *self, GstEvent *event);
void seed_student_flush_events (SeedStudentElement *self);

/* student-watch.c. */
gboolean seed_student_watch_start (SeedStudentElement *self, GError **error);
void seed_student_watch_stop (SeedStudentElement *self);
/* The step in the state beside the model of a folder; 0 when there is none. */
guint64 seed_student_model_step (const char *folder);
/* What it found since it was asked last; NULL: nothing new. */
SeedWeights *seed_student_watch_take (SeedStudentElement *self);

/* student-told.c: what the metas of a batch say. */
typedef struct {
  gint32 *labels;
  float *captions;
  gboolean *has_caption;
  SeedAnchorsView *views;
  guint64 *frames, *draws;
  SeedTrainerAnchors anchors;
  guint n_unlabelled, n_uncaptioned;
} SeedStudentTold;

/* Into @batch, which points into @told from then on. Clear @told also after an error. */
gboolean seed_student_told_read (SeedStudentElement *self, GstBuffer *words, guint n_items,
    SeedStudentTold *told, SeedTrainerBatch *batch, GError **error);
void seed_student_told_clear (SeedStudentTold *told);
/* Items of a batch that came from their source, not from a memory. */
guint seed_student_count_live (GstBuffer *words, guint n_items);
/* After a batch: the agreement goes upstream, alarms go downstream. */
void
seed_student_tell (SeedStudentElement *self, const SeedTrainerReport *report, GstBuffer *words);

/* student-describe.c: histograms and heat maps of image anchors, for a student that has them. */
gboolean seed_student_describe_open (SeedStudentElement *self, GError **error); /* with caps */
void seed_student_describe_close (SeedStudentElement *self);
/* After a forward: @hidden [n_items, 1+N, d]; adds a SeedAnchorsMeta for each item to @out. */
void seed_student_describe (
    SeedStudentElement *self, const float *hidden, guint n_items, GstBuffer *out);

/* student-notice.c: scene cuts and near-duplicates, told as events. */
typedef enum {
  SEED_STUDENT_NOTICE_CUTS = 1 << 0,
  SEED_STUDENT_NOTICE_DUPLICATES = 1 << 1,
} SeedStudentNotice;

/* "", "cuts", "cuts,duplicates", ... */
gboolean seed_student_notices_parse (const char *text, guint *notices, GError **error);
/* The frames of @out, live ones alone; before @out is pushed. */
void seed_student_notice (SeedStudentElement *self, GstBuffer *out, const float *embeddings);
/* What is still known of @stream (NULL: of all) is told, and it is forgotten. */
void seed_student_notice_end (SeedStudentElement *self, const char *stream);
void seed_student_notice_clear (SeedStudentElement *self);

/* student-inputs.c */
#define SEED_STUDENT_TEACHER_PADS "teacher_%u"
GstPad *
seed_student_inputs_add (SeedStudentElement *self, GstPadTemplate *template, const char *name);
void seed_student_inputs_remove (SeedStudentElement *self, GstPad *pad);
void seed_student_input_free (gpointer input);
/* Which pads are linked. FALSE after posting an error when one is not. */
gboolean
seed_student_inputs_count (SeedStudentElement *self, gboolean *has_target, guint *n_teachers);
/* Before data flows. */
void seed_student_inputs_reset (SeedStudentElement *self);
/*
 * Waits for what every input has for batch @number; @parts [n]: owned buffers, NULL where the input
 * has none for it. Every batch has something on every input, if only an empty buffer (see caps.h),
 * so they advance together; what is older than the words is passed over. FALSE when flushing.
 */
gboolean seed_student_inputs_take (SeedStudentElement *self, guint64 number, GstBuffer **parts);
#define SEED_STUDENT_MAX_INPUTS (1 + SEED_LEARNER_MAX_TEACHERS)

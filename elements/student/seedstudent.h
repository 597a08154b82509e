/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/error.h>

#include "core/caps.h"
#include "core/event.h"
#include "core/features-pool.h"
#include "core/stream-meta.h"
#include "student/trainer.h"
#include "student/weights.h"

/*
 * The parts of the element seedstudent: the object and its life (seedstudent.c), serving
 * (student-infer.c), learning (student-train.c) and its steps
 * (student-learn.c) on what arrives at its pads (student-inputs.c).
 */
typedef enum {
  SEED_STUDENT_INFER,
  SEED_STUDENT_TRAIN,
} SeedStudentMode;

#define SEED_TYPE_STUDENT (seed_student_element_get_type ())
G_DECLARE_FINAL_TYPE (SeedStudentElement, seed_student_element, SEED, STUDENT_ELEMENT, GstElement)

/* What a serving student holds. */
typedef struct {
  SeedWeightsHub *hub;           /* with follows: the learner's */
  SeedWeightsFollower *follower; /* PAUSED and up */
  SeedWeights *fixed;            /* with model: what it loaded */
  SeedWeights *weights;          /* in use */
  gboolean packed;               /* the workspace has taken them */
  SeedParams params;             /* of shape; empty until known */
  SeedStudent *student;
  SeedFeaturesInfo out;
  GstBufferPool *pool;
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

/* What a learning student holds. */
typedef struct {
  SeedTrainer *trainer;
  SeedObjective objective;
  SeedWeightsHub *hub; /* the element's own, from construction to the end */

  GMutex lock; /* guards the rest: several streaming threads meet here */
  GCond changed;
  GPtrArray *inputs; /* SeedStudentInput: the pads besides sink, in the order of their request */
  gboolean flushing, running;
  gboolean finished; /* no more steps */
  guint64 memory_bytes;
  guint64 n_unlabelled; /* frames without a label, of an objective that wants one */
  gint64 last_step_us;
  double images_per_s;
  SeedTrainerReport last;
} SeedStudentTrain;

struct _SeedStudentElement {
  GstElement parent;

  GstPad *sinkpad, *srcpad;

  /* properties */
  SeedStudentMode mode;
  char *follows, *model, *checkpoint, *size, *objective, *backend, *precision;
  guint image_size, patch_size, checkpoint_every, warmup;
  guint queue_size, calibration, classes;
  guint64 steps, seed;
  double lr, weight_decay, ema, temperature;
  double w_sim, w_seed, w_feat, w_labels, teacher_drop, label_smoothing, mixup;
  gboolean tokens, deterministic;

  SeedLedger *ledger;
  gboolean has_shape; /* under the object lock: caps queries come from any thread */
  SeedStudentShape shape;
  char *model_name;
  gint64 announced_step; /* of the last seed-model event; -1: none yet */

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
void seed_student_save_checkpoint (SeedStudentElement *self);
SeedWeights *seed_student_current_version (SeedStudentElement *self);
void seed_student_note_memory (SeedStudentElement *self);

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

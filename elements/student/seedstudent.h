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
 * (student-infer.c), learning (student-train.c).
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

/* What a learning student holds. */
typedef struct {
  SeedTrainer *trainer;
  SeedWeightsHub *hub; /* the element's own, from construction to the end */

  GMutex lock; /* guards the rest: two streaming threads meet here */
  GCond changed;
  GstBuffer *target;  /* waiting for its words */
  guint target_batch; /* negotiated */
  gboolean target_eos, flushing, running;
  gboolean finished; /* no more steps */
  guint64 memory_bytes;
  gint64 last_step_us;
  double images_per_s;
  SeedTrainerReport last;
} SeedStudentTrain;

struct _SeedStudentElement {
  GstElement parent;

  GstPad *sinkpad, *srcpad, *targetpad; /* targetpad: when requested */

  /* properties */
  SeedStudentMode mode;
  char *follows, *model, *checkpoint, *size;
  guint image_size, patch_size, checkpoint_every, warmup;
  guint64 steps, seed;
  double lr, weight_decay, ema, temperature;
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

/* seedstudent.c */
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
GstFlowReturn seed_student_train_chain_target (SeedStudentElement *self, GstBuffer *target);
gboolean seed_student_train_target_event (SeedStudentElement *self, GstEvent *event);
void seed_student_train_eos (SeedStudentElement *self); /* no more words */
void seed_student_train_set_flushing (SeedStudentElement *self, gboolean flushing);
void seed_student_train_add_stats (SeedStudentElement *self, GstStructure *stats);

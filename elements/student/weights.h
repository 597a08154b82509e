/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>

#include "student/student.h"

/*
 * How a learning student hands its weights to the serving ones of the same process: immutable,
 * numbered versions, the latest of which anyone may take without copying.
 */
typedef struct {
  gatomicrefcount refs;
  guint64 step;  /* training step that made it; 0: as initialised or loaded */
  float *values; /* params.total of the student, and maybe heads behind; 64-byte aligned */
  gsize n_values;
  char sha256[65]; /* of the checkpoint they were loaded from, "" otherwise */
} SeedWeights;

/* Copies @n values. */
SeedWeights *seed_weights_new (const float *values, gsize n, guint64 step, const char *sha256);
SeedWeights *seed_weights_ref (SeedWeights *weights);
void seed_weights_unref (SeedWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedWeights, seed_weights_unref)

/* Thread-safe, reference-counted; one for each training student. */
typedef struct _SeedWeightsHub SeedWeightsHub;

#define SEED_TYPE_WEIGHTS_HUB (seed_weights_hub_get_type ())
GType seed_weights_hub_get_type (void);

SeedWeightsHub *seed_weights_hub_new (void);
SeedWeightsHub *seed_weights_hub_ref (SeedWeightsHub *hub);
void seed_weights_hub_unref (SeedWeightsHub *hub);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedWeightsHub, seed_weights_hub_unref)

/* The learner says what it is, with its first version, before anything flows. */
void seed_weights_hub_open (SeedWeightsHub *hub, const SeedStudentShape *shape, SeedWeights *first);
/* FALSE until the learner has opened it. */
gboolean seed_weights_hub_get_shape (SeedWeightsHub *hub, SeedStudentShape *shape);

/* The learner says how many frames a full batch has, once it knows. */
void seed_weights_hub_set_batch (SeedWeightsHub *hub, guint batch);

/*
 * The learner is through with a batch with @n_live frames that came from their source (and others
 * that a memory added); @weights is the version it made, or NULL when it made none (no target,
 * finished). Wakes followers.
 */
void seed_weights_hub_advance (SeedWeightsHub *hub, guint n_live, SeedWeights *weights);

/* Another version serves from the next frame on, without a batch: somebody went back, or on. */
void seed_weights_hub_replace (SeedWeightsHub *hub, SeedWeights *weights);

/* No more batches will come (end of stream, error, stop): followers stop waiting. */
void seed_weights_hub_close (SeedWeightsHub *hub);

/* The latest version, or NULL before the hub is open. */
SeedWeights *seed_weights_hub_get (SeedWeightsHub *hub);

/* Whether anybody follows, so that versions are worth making. */
gboolean seed_weights_hub_has_followers (SeedWeightsHub *hub);

/*
 * A serving student asks for the version it is to use before every frame. In step with the learner,
 * for runs that must give the same bits twice: the version is the one made by the last batch that
 * began at least a batch of frames before that frame, so that it ended before it however few of its
 * frames a memory gave, and the follower waits for the learner to be through with every such batch.
 * Without a memory that is the last full batch that ended before the frame. Register before data
 * flows.
 */
typedef struct _SeedWeightsFollower SeedWeightsFollower;

/* @in_step: as above; otherwise next() never waits and gives the latest version. */
SeedWeightsFollower *seed_weights_follower_new (SeedWeightsHub *hub, gboolean in_step);
void seed_weights_follower_free (SeedWeightsFollower *follower);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedWeightsFollower, seed_weights_follower_free)

/* The version for the next frame, which is thereby counted. NULL when interrupted. */
SeedWeights *seed_weights_follower_next (SeedWeightsFollower *follower);

/* From another thread: makes a waiting next() return NULL, and every later one, until FALSE. */
void seed_weights_follower_set_interrupted (SeedWeightsFollower *follower, gboolean interrupted);

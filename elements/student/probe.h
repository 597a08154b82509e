/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/tensor.h>

#include "student/learner.h"

/*
 * The held probe of a learner: batches that it was not trained on, to score weights with.
 *
 * Of every SEED_PROBE_BLOCK batches that could be learned from, but for the first so many, one is
 * held out, which one by the seed. Half of the slots hold the newest of them, half a uniform sample
 * of all older ones (reservoir sampling, Vitter 1985, algorithm R). A probe of one slot holds the
 * newest. What is held out never depends on weights or time: the same seed and batches, the same
 * probe, also when it was saved and loaded in between.
 *
 * Memory is flat: slots are made as they fill, never more than max_items items in all.
 */
#define SEED_PROBE_BLOCK 32u
#define SEED_PROBE_MAX_SLOTS 64u

/* What an item has, both views: words in bytes (a multiple of 4), everything else in floats; 0: the
 * items have none. */
typedef struct {
  gsize words;
  guint n_teachers;
  gsize summary[SEED_LEARNER_MAX_TEACHERS], tokens[SEED_LEARNER_MAX_TEACHERS];
  gsize caption;
} SeedProbeLayout;

/* A batch that came or is held. Of @b items; NULL: it has none. */
typedef struct {
  guint b;
  const guint8 *words;
  const float *target; /* [b, b] */
  const float *summary[SEED_LEARNER_MAX_TEACHERS], *tokens[SEED_LEARNER_MAX_TEACHERS];
  const gint32 *labels;
  const float *captions;
  const gint32 *has_caption;
  const SeedAnchorsView *views;  /* [b, 2], with image anchors */
  const guint64 *frames, *draws; /* [b], with views */
} SeedProbeBatch;

typedef struct _SeedProbe SeedProbe;

/* For batches of up to @max_batch items. */
SeedProbe *
seed_probe_new (const SeedProbeLayout *layout, guint max_items, guint max_batch, guint64 seed);
void seed_probe_free (SeedProbe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedProbe, seed_probe_free)

/* Counts a batch that could be learned from; TRUE: hold it out instead, with seed_probe_add. */
gboolean seed_probe_wants (SeedProbe *probe);
/* Copies it; of one with more than max_items items, the first. */
void seed_probe_add (SeedProbe *probe, const SeedProbeBatch *batch);

guint seed_probe_n_slots (const SeedProbe *probe);
/* FALSE when nothing is held there. Pointers into the probe, until the next add. */
gboolean seed_probe_get (const SeedProbe *probe, guint slot, SeedProbeBatch *batch);
guint seed_probe_n_items (const SeedProbe *probe);
gsize seed_probe_memory_bytes (const SeedProbe *probe);

/*
 * What is needed to go on with it: a text, and for each slot that holds something its bytes.
 * Loading takes them from an untrusted file: FALSE, and the probe is as new, when they do not fit.
 */
char *seed_probe_describe (const SeedProbe *probe);
gboolean seed_probe_slot_bytes (const SeedProbe *probe, guint slot, const void **data, gsize *size);
typedef gboolean (*SeedProbeRead) (guint slot, const void **data, gsize *size, gpointer user_data);
gboolean
seed_probe_restore (SeedProbe *probe, const char *text, SeedProbeRead read, gpointer user_data);

/*
 * Agreement of a student with the fused target of a batch, 0..1: with P and Q the distributions of
 * the similarity loss (similarity.h), mean over rows and over columns of sum_j min (P_ij, Q_ij).
 * @z: [b, 2, dim] rows of length @norm; @scratch: 2 b doubles.
 */
double seed_probe_agreement (const float *z, double norm, const float *target, guint b, guint dim,
    double tau, double *scratch);

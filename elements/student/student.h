/* SPDX-License-Identifier: MIT */
#pragma once

#include "anchors/anchors.h"
#include "nn/backend.h"
#include "nn/checkpoint.h"
#include "nn/vit.h"

/*
 * The student network: a vision transformer and its embed head, Linear(d -> E) on the CLS token,
 * L2-normalised. The unit vector it gives is *the* representation of an image.
 *
 * Parameters are the transformer's, then "embed_head.weight" [E, d] and "embed_head.bias" [E], then
 * of a student that has image anchors what describes a frame by them (seed_anchors_describe), then
 * of one that learned from captions "text_head.weight" [E, D] and "text_head.bias" [E]: a text
 * encoder's embedding through it, L2-normalised, lies where images of what it says are.
 */
#define SEED_STUDENT_EMBED_DIM 512
#define SEED_VIEWS 2 /* of each item that it learns from */

typedef struct {
  SeedVitConfig vit;
  guint embed_dim;  /* E */
  gboolean anchors; /* it has image anchors, of the shape that seed_anchors_shape_init gives */
  guint text_dim;   /* D; 0: it has no text head */
} SeedStudentShape;

/* Checks @shape against every limit. */
gboolean seed_student_shape_check (const SeedStudentShape *shape, GError **error);

/* Fills an empty table. */
void seed_student_append_params (const SeedStudentShape *shape, SeedParams *params);

/*
 * A workspace for up to @max_batch images; used by one thread at a time. @params must outlive it.
 * @backend: who multiplies; NULL: seed_backend_get.
 */
typedef struct _SeedStudent SeedStudent;

SeedStudent *seed_student_new (const SeedStudentShape *shape, const SeedParams *params,
    guint max_batch, gboolean train, const SeedBackend *backend, GError **error);
void seed_student_free (SeedStudent *student);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStudent, seed_student_free)
gsize seed_student_memory_bytes (const SeedStudent *student);

/*
 * Takes the flat parameters for the forwards that follow. Not free: call it when they change, and
 * not for every batch. @values must stay as they are until the last of these forwards.
 */
void seed_student_set_values (SeedStudent *student, const real *values);

/*
 * @words: uint8 [n, N, 3*P*P]. Returns unit rows [n, E], valid until the next call; *@hidden (may
 * be NULL) is set to the transformer's output [n, 1+N, d].
 */
const real *
seed_student_forward (SeedStudent *student, const guint8 *words, guint n, const real **hidden);

/* What the last forward returned. */
const real *seed_student_embedding (const SeedStudent *student);

/*
 * After a forward with @train, on the way back: zeroes and gives dL/d(hidden) [n, 1+N, d], for
 * losses of the words' rows to be added to before seed_student_backward.
 */
real *seed_student_d_hidden (SeedStudent *student);

/*
 * After seed_student_d_hidden: adds to @grads, given dL/d(unit rows) [n, E] beside what was added
 * to d_hidden.
 */
void seed_student_backward (SeedStudent *student, const real *d_embedding, real *grads);

/* The tensors of a checkpoint that are not the transformer's: those of every student, ... */
#define SEED_STUDENT_N_HEAD_TENSORS 2
extern const SeedExtraTensor seed_student_head_tensors[SEED_STUDENT_N_HEAD_TENSORS];
/* ... those of its text head, ... */
#define SEED_STUDENT_N_TEXT_TENSORS 2
extern const SeedExtraTensor seed_student_text_tensors[SEED_STUDENT_N_TEXT_TENSORS];
/* ... and all of one with or without image anchors and a text head; returns their number. */
#define SEED_STUDENT_MAX_TENSORS                                                                   \
  (SEED_STUDENT_N_HEAD_TENSORS + SEED_ANCHORS_N_DESCRIBING + SEED_STUDENT_N_TEXT_TENSORS)
guint seed_student_tensors (
    gboolean anchors, gboolean text, SeedExtraTensor tensors[SEED_STUDENT_MAX_TENSORS]);

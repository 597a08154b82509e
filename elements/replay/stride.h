/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * How far apart the frames are that teachers see, after JITNet (Mullapudi et al., "Online Model
 * Distillation for Efficient Video Inference", arXiv 1812.02699, algorithm 1): while the student
 * agrees with its target the stride doubles, up to @max; when it does not, it halves, down to @min.
 * Streams have a stride each. A scene cut sends a stream back to @min and its next frame through.
 * Not thread-safe.
 */
typedef struct _SeedStride SeedStride;

#define SEED_STRIDE_MAX 65536u
#define SEED_STRIDE_MAX_STREAMS 4096u /* beyond, those not seen for longest are forgotten */

/* 1 <= @min <= @max <= SEED_STRIDE_MAX; @agree: above it the stride grows. Starts at @min. */
SeedStride *seed_stride_new (guint min, guint max, double agree);
void seed_stride_free (SeedStride *stride);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStride, seed_stride_free)

/* TRUE when the next frame of @stream goes to the teachers: its first, then every stride-th. */
gboolean seed_stride_next (SeedStride *stride, const char *stream);

/*
 * @agreement of the student at its @step, on @stream or (NULL) on all. FALSE, without effect, when
 * the step is not after the one before (a copy, or one that was overtaken) or the agreement is no
 * number.
 */
gboolean seed_stride_agree (SeedStride *stride, double agreement, guint64 step, const char *stream);

/* @stream (NULL: every stream) shows something else. */
void seed_stride_cut (SeedStride *stride, const char *stream);

/* Of @stream now; @min for one that is not known. */
guint seed_stride_get (const SeedStride *stride, const char *stream);

G_END_DECLS

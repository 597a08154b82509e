/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/cpu.h"

/*
 * Antialiased separable resampling of 8-bit samples: one axis of it as a table of fixed-point
 * weights, and the kernels that apply tables and turn the result into RGB.
 *
 * Semantics are those of Pillow's Image.resize (box=...): output i has its centre at
 * b0 + (i + 0.5) (b1 - b0) / n_out in a plane where sample k covers [k, k + 1); the filter's
 * support is widened by the down-scale factor (never narrowed); weights are normalised over the
 * samples that exist, so samples beyond the box but inside the plane take part and nothing is
 * invented outside it. Each pass is clipped to 0..255, as there; unlike there the value between the
 * passes keeps MID_BITS bits behind the point. Results are within 1. Pillow resamples along rows
 * first. For bicubic, whose overshoot is clipped between the passes, so must we; for bilinear the
 * order cannot be told from the result, and down the columns first, on bytes as they lie in the
 * plane, is much the faster: every sample is read in order, and only the few rows that are left
 * have to be taken apart into components.
 *
 * Bilinear is the triangle of support 1; bicubic is Keys' kernel with a = -0.5, support 2
 * (R. Keys, "Cubic convolution interpolation for digital image processing", 1981).
 */
typedef enum {
  SEED_FILTER_BILINEAR,
  SEED_FILTER_BICUBIC,
} SeedFilter;

/* Values between passes: 0..255 with this many bits behind the point, in gint16. */
#define SEED_MID_BITS 4
#define SEED_MID_MAX (255 << SEED_MID_BITS)

/* Precision of weights of the first and of the second pass: the largest at which a sum of products
 * cannot leave 31 bits, given inputs of 8 and of 8 + SEED_MID_BITS bits and sum |w| < 1.9 (it is
 * below 1.3 for both filters). */
#define SEED_FIRST_BITS 22
#define SEED_SECOND_BITS 18

typedef enum {
  SEED_PASS_FIRST,  /* from bytes */
  SEED_PASS_SECOND, /* from values between passes */
} SeedPass;

/* The largest weight: fits two signed bytes, (w + 128) >> 8 and the rest. */
#define SEED_WEIGHT_MAX 32639

/* Tables are padded with zero weights to a multiple of this. */
#define SEED_TAPS_ALIGN 8

/*
 * The weights of an axis once more, for registers of SEED_GROUP_LANES 16-bit lanes that are filled
 * from SEED_GROUP_WINDOW samples in any order. A group is @size neighbouring outputs, whose samples
 * lie in one window; in a step each output of it meets the next SEED_GROUP_LANES / size samples.
 * Lanes 2 j and 2 j + 1 hold two neighbouring samples of output j % size of the group.
 */
#define SEED_GROUP_LANES 32
#define SEED_GROUP_WINDOW 64

typedef struct {
  guint size;       /* 8, 4 or 2; 0: samples of two outputs do not fit a window */
  guint n;          /* groups, a multiple of 16 / size: some at the end may have no weight */
  guint steps;      /* of each */
  guint32 *start;   /* [n], the first sample of the window, as SeedAxis.start */
  gint16 *position; /* [n, lanes], in the window, at the first step */
  gint16 *weights;  /* [n, steps, lanes] */
  gsize room, room_weights;
} SeedAxisGroups;

/*
 * One axis. Output i = (sum over k < count[i] of weights[i * taps + k] * in[first + start[i] + k])
 * >> shift, rounded. Start with a zeroed struct; building into a used one allocates only when it
 * has to grow.
 */
typedef struct {
  guint n_in, n_out; /* what it was built for */
  double b0, b1;
  SeedFilter filter;
  SeedPass pass;

  guint bits;          /* the weights of an output sum to 1 << bits */
  guint shift;         /* of a sum of products to a value of SEED_MID_BITS */
  guint taps;          /* weights per output, a multiple of SEED_TAPS_ALIGN */
  guint first, n_used; /* the input samples that are used: [first, first + n_used) */
  guint32 *start;      /* [n_out], relative to first; never decreases */
  guint32 *count;      /* [n_out], 1..taps */
  gint16 *weights;     /* [n_out, taps], at most SEED_WEIGHT_MAX */

  SeedAxisGroups groups;

  double *work; /* one output's weights */
  gsize room_out, room_weights, room_work;
} SeedAxis;

/* What can be read of a row beyond the samples an axis uses; it has no weight. */
#define SEED_ROW_MARGIN 64

/* The most weights one output can need for any box inside the plane, padded. */
guint seed_axis_max_taps (guint n_in, guint n_out, SeedFilter filter);

/*
 * Makes @axis the table from the samples [@b0, @b1) of @n_in to @n_out. Does nothing when it is
 * that already. @n_in, @n_out >= 1, @b0 < @b1, @b1 - @b0 <= @n_in; the box may reach over an end of
 * the plane by less than half a sample (chroma siting). Not thread-safe.
 */
void seed_axis_build (SeedAxis *axis, guint n_in, double b0, double b1, guint n_out,
    SeedFilter filter, SeedPass pass);
void seed_axis_clear (SeedAxis *axis);

/*
 * Y'CbCr to R'G'B' in fixed point: from values as between passes (SEED_MID_BITS) to 0..255.
 * Equations of ITU-R BT.601/BT.709 by their Kr and Kb. Plain data.
 */
typedef struct {
  gint16 y, r_v, g_u, g_v, b_u;      /* SEED_COLOUR_BITS behind the point */
  gint32 y_add, r_add, g_add, b_add; /* offsets and rounding, at the scale of the products */
} SeedColour;

#define SEED_COLOUR_BITS 13

/* @kr, @kb: luma coefficients (BT.601: 0.299, 0.114; BT.709: 0.2126, 0.0722).
 * @full_range: 0..255; otherwise luma 16..235 and chroma 16..240. Also good for luma alone and,
 * with any @kr and @kb, for R'G'B' of that range. */
void seed_colour_init (SeedColour *colour, double kr, double kb, gboolean full_range);

/*
 * Inner loops. One table per instruction set; all variants of a kernel give the same bits as the C
 * one, for nothing but integers is added. Thread-safe; no kernel allocates, reads an input or
 * writes an output beyond what it says, or asks for alignment.
 */
typedef struct {
  const char *name;

  /* dst[i] = src[i * step], i < n: a component of interleaved ones */
  void (*unpack) (gint16 *dst, const guint8 *src, guint step, guint n);
  void (*pick) (gint16 *dst, const gint16 *src, guint step, guint n);

  /* One row through a table: line[0] is sample axis->first; another SEED_ROW_MARGIN + axis->taps
   * samples beyond n_used can be read. dst: axis->n_out values of SEED_MID_BITS. */
  void (*across) (gint16 *dst, const gint16 *line, const SeedAxis *axis);

  /* dst[x] = sum over k < n of weights[k] * rows[k][x], x < width, rounded, >> shift, clipped. */
  void (*down) (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint width,
      guint shift);

  /* The same of bytes: row k is src + k * stride. Another @ahead rows are going to be asked for and
   * are fetched into the second cache: into the first, they would keep it waiting. */
  void (*down_bytes) (gint16 *dst, const guint8 *src, gssize stride, const gint16 *weights, guint n,
      guint ahead, gsize width, guint shift);

  /* Luma (or one of R'G'B') alone. */
  void (*levels) (guint8 *dst, const gint16 *y, guint n, const SeedColour *colour);

  void (*yuv) (guint8 *const rgb[3], const gint16 *const yuv[3], guint n, const SeedColour *colour);

  /* In place: rgb = clip ((matrix rgb + add) >> 12), matrix by rows with 12 bits behind the point.
   */
  void (*mix) (guint8 *const rgb[3], gsize n, const gint16 matrix[9], const gint32 add[3]);
} SeedResampleKernels;

/* The table of seed_cpu_level (). */
const SeedResampleKernels *seed_resample_kernels (void);

/* The reference that every other table equals. */
extern const SeedResampleKernels seed_resample_kernels_c;

#ifdef __x86_64__
/* Only where seed_cpu_best_level () says so. */
extern const SeedResampleKernels seed_resample_kernels_avx2, seed_resample_kernels_avx512;
#endif

/* The table of a level, or NULL where this build or this CPU has none. */
const SeedResampleKernels *seed_resample_kernels_for (SeedCpuLevel level);

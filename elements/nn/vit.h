/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/rng.h>

#include "core/real.h"

/*
 * A pre-norm vision transformer over words (Dosovitskiy et al. 2021, arXiv 2010.11929): its
 * configuration, its parameters as one flat array, forward and backward. No files in here (see
 * checkpoint.h), no optimiser (optim.h), no heads.
 */

typedef enum {
  SEED_ACTIVATION_GELU,      /* exact, by erf */
  SEED_ACTIVATION_GELU_TANH, /* tanh approximation */
  SEED_ACTIVATION_QUICK_GELU,
  SEED_ACTIVATION_SILU,
  SEED_ACTIVATION_RELU,
} SeedActivation;

/* What the final norm is applied to. */
typedef enum {
  SEED_VIT_NORM_ROWS,    /* every row, before a summary is taken */
  SEED_VIT_NORM_SUMMARY, /* the summary alone; rows stay as the last block left them */
} SeedVitNormPlace;

/* How an image's rows become its summary. */
typedef enum {
  SEED_VIT_POOL_CLS,       /* row 0 */
  SEED_VIT_POOL_MEAN,      /* the mean of the words' rows */
  SEED_VIT_POOL_ATTENTION, /* a learned query attends to the rows, then an MLP (SigLIP's head) */
} SeedVitPool;

typedef struct {
  guint image_size; /* S, pixels */
  guint patch_size; /* P, pixels */
  guint dim;        /* d */
  guint depth;      /* blocks */
  guint heads;      /* dim % heads == 0 */
  guint mlp_dim;
  double ln_eps;
  SeedActivation activation;
  float mean[3], std[3]; /* of RGB in 0..1 */

  /* Beyond that paper, each as some family has it. All zero is the plain model, and what can be
   * trained has at most no_cls and registers. */
  gboolean no_cls;   /* no class token: the first row is a word's (or a register's) */
  guint n_registers; /* further learned rows after CLS (arXiv 2309.16588; DeiT's distillation) */
  gboolean pre_norm; /* rows are normalised before the first block */
  gboolean gated;    /* fc1 gives 2 mlp_dim values: activation (first half) * second half */
  SeedVitNormPlace norm_place;
  SeedVitPool pool;
  guint projection_dim; /* of a linear layer without bias on the summary; 0: none */
} SeedVitConfig;

/* Named sizes: mini 192/6/3, tiny 192/12/3, small 384/12/6, base 768/12/12; mlp 4d, eps 1e-6,
 * exact GELU, mean and std 0.5. FALSE for an unknown name. */
gboolean seed_vit_config_for_size (SeedVitConfig *config, const char *size, guint image_size);

/* Every limit a hostile config could break: SEED_ERROR_INVALID / SEED_ERROR_LIMIT naming the key.
 */
gboolean seed_vit_config_check (const SeedVitConfig *config, GError **error);

guint seed_vit_config_n_words (const SeedVitConfig *config);  /* N = (S/P)^2 */
guint seed_vit_config_n_prefix (const SeedVitConfig *config); /* rows before the words */
guint seed_vit_config_n_rows (const SeedVitConfig *config);   /* T: both together */
guint seed_vit_config_summary_dim (const SeedVitConfig *config);

/* One named tensor in a flat array of parameters. */
typedef struct {
  char name[64];
  guint n_dims;
  gsize shape[3];
  gsize offset, size; /* in elements */
  gboolean decay;     /* weight decay applies: not to norms, biases, tokens */
} SeedParam;

typedef struct {
  SeedParam *items;
  guint n;
  gsize total; /* elements of the flat array; every offset is a multiple of 16 */
} SeedParams;

/*
 * Names, in order: "cls" [d], "pos" [1+N, d], "patch.weight" [d, 3*P*P] (input channel-planar
 * C,P,P), "patch.bias" [d]; for each block i: "blocks.i.norm1.weight", ".norm1.bias" [d],
 * ".qkv.weight" [3d, d] (rows: all of q, all of k, all of v), ".qkv.bias" [3d],
 * ".proj.weight" [d, d], ".proj.bias", ".norm2.weight", ".norm2.bias", ".fc1.weight" [mlp, d],
 * ".fc1.bias", ".fc2.weight" [d, mlp], ".fc2.bias"; "norm.weight", "norm.bias" [d]. A configuration
 * beyond the plain model leaves some out, has others and wider ones: see vit-layout.c. "pos" always
 * has a row for each of the T rows; one that has no position adds zero.
 * Linear weights are [out, in] as in checkpoints. Anything appended by a caller (a head) follows.
 */
void seed_params_init (SeedParams *params);
void seed_params_clear (SeedParams *params);
/* Returns the index. @n_dims 1..3 dims follow as gsize. */
guint seed_params_append (
    SeedParams *params, const char *name, gboolean decay, guint n_dims, const gsize *shape);
/* NULL when there is none of that name. */
const SeedParam *seed_params_lookup (const SeedParams *params, const char *name);
void seed_vit_append_params (const SeedVitConfig *config, SeedParams *params);

/* Truncated normal (std 0.02, cut at 2 std) for weights and tokens, 1 for norm weights, 0 for
 * biases; a pure function of the rng's state. Works for any table (heads too). */
void seed_params_init_random (const SeedParams *params, real *values, SeedRng *rng);

/*
 * A workspace for forward and, when @train, backward of up to @max_batch images. Holds activations
 * between the two; used by one thread at a time (the work itself is spread over seed_pool).
 */
typedef struct _SeedVit SeedVit;

SeedVit *seed_vit_new (const SeedVitConfig *config, const SeedParams *params, guint max_batch,
    gboolean train, GError **error);
void seed_vit_free (SeedVit *vit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedVit, seed_vit_free)
gsize seed_vit_memory_bytes (const SeedVit *vit);

/*
 * @values: the flat parameters (params->total). @words: uint8 [n, N, 3*P*P].
 * @scale, @shift: per channel, a word value x enters as x * scale + shift; 1 and 0 when the
 * normalisation has been folded into patch.weight and patch.bias (seed_vit_fold_normalisation).
 * Returns [n, T, d] (the plain model: T = 1+N, row 0 the CLS token), after the final norm unless it
 * is for the summary alone; owned by the workspace, valid until the next call.
 */
const real *seed_vit_forward (SeedVit *vit, const real *values, const float scale[3],
    const float shift[3], const guint8 *words, guint n);

/*
 * The two halves of seed_vit_forward, for who runs the same values more than once: packing them for
 * the backend, which may copy every weight, and running what was packed last. @values must stay as
 * they are for as long as they are run.
 */
void seed_vit_pack (SeedVit *vit, const real *values);
const real *seed_vit_run (
    SeedVit *vit, const float scale[3], const float shift[3], const guint8 *words, guint n);

/*
 * A part of the words of each image, some of them without their position: what a student sees when
 * it learns to tell where words are (DropPos, arXiv 2309.03576; LOCA, arXiv 2212.02400).
 */
typedef struct {
  guint n_words;             /* kept of each image, 1..N */
  const guint32 *words;      /* [n, n_words], numbers below N of the words in raster order */
  const guint8 *no_position; /* [n, n_words], not 0: no position is added; NULL: to every word */
} SeedVitSubset;

/*
 * seed_vit_run for some of the words alone: @words is uint8 [n, N, 3*P*P] as ever, the result
 * [n, T', d] with T' the rows before the words and subset->n_words, in the order of subset->words.
 * The arrays of @subset must stay until a backward has run. NULL, as for any broken precondition,
 * when a number is not below N.
 */
const real *seed_vit_run_subset (SeedVit *vit, const float scale[3], const float shift[3],
    const guint8 *words, guint n, const SeedVitSubset *subset);

/*
 * seed_vit_new with room for subsets of up to @max_words words (1..N) alone: memory grows with
 * these. Whole images fit when @max_words is N.
 */
SeedVit *seed_vit_new_subset (const SeedVitConfig *config, const SeedParams *params,
    guint max_batch, guint max_words, gboolean train, GError **error);

/*
 * After a forward of the same @values, @words and @n in a workspace made with @train: given
 * @d_out [n, T, d] (T' after a subset), the gradient of a loss with respect to what forward
 * returned, ADDS the gradient with respect to every parameter to @grads (flat, laid out as
 * @values).
 */
void seed_vit_backward (SeedVit *vit, const real *values, const real *d_out, real *grads);

/* scale = 1/(255 std), shift = -mean/std. */
void seed_vit_config_normalisation (const SeedVitConfig *config, float scale[3], float shift[3]);
/* W' = W scale, b' = b + sum W shift: then seed_vit_forward takes scale 1 and shift 0. */
void
seed_vit_fold_normalisation (const SeedVitConfig *config, const SeedParams *params, real *values);

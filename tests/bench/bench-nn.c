/* SPDX-License-Identifier: MIT */
/*
 * How near the transformer comes to the speed of its matrix products:
 *   bench-nn [REPEATS]
 * prints, for inference and for a training step, the best time in milliseconds, the best time of
 * the same matrix products alone on the same threads, and the ratio.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <seed/pool.h>

#include "nn/backend.h"
#include "nn/kernels.h"
#include "nn/optim.h"

#define DEFAULT_REPEATS 10

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  SeedVit *vit;
  guint n, tokens;
  real *values, *grads, *m, *v, *d_out;
  guint8 *words;
  float scale[3], shift[3];
  real *x, *y, *z; /* for the products alone; nothing is read that they have made of each other */
} Bench;

static real *
reals (gsize n)
{
  real *x = aligned_alloc (64, (n * sizeof *x + 63) / 64 * 64);

  for (gsize i = 0; i < n; i++)
    x[i] = (real) (i % 17) * (real) 0.01;
  return x;
}

static void
bench_init (Bench *b, const char *size, guint image_size, guint n, gboolean train)
{
  g_autoptr (GError) error = NULL;
  SeedRng rng;
  gsize n_words, wide;

  *b = (Bench){ .n = n };
  seed_vit_config_for_size (&b->config, size, image_size);
  seed_vit_config_normalisation (&b->config, b->scale, b->shift);
  seed_params_init (&b->params);
  seed_vit_append_params (&b->config, &b->params);
  b->vit = seed_vit_new (&b->config, &b->params, n, train, &error);
  if (!b->vit)
    g_error ("%s", error->message);
  b->tokens = 1 + seed_vit_config_n_words (&b->config);
  b->values = reals (b->params.total);
  b->grads = reals (b->params.total);
  b->m = reals (b->params.total);
  b->v = reals (b->params.total);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&b->params, b->values, &rng);

  wide = (gsize) n * b->tokens * MAX (b->config.mlp_dim, 3 * 16 * 16);
  wide = MAX (wide, (gsize) n * b->config.heads * b->tokens * b->tokens);
  b->x = reals (wide);
  b->y = reals (wide);
  b->z = reals (wide);
  b->d_out = reals ((gsize) n * b->tokens * b->config.dim);
  n_words = (gsize) n * (b->tokens - 1) * 3 * 16 * 16;
  b->words = g_malloc (n_words);
  for (gsize i = 0; i < n_words; i++)
    b->words[i] = (guint8) seed_rng_next (&rng);
}

static void
bench_clear (Bench *b)
{
  seed_vit_free (b->vit);
  seed_params_clear (&b->params);
  free (b->values);
  free (b->grads);
  free (b->m);
  free (b->v);
  free (b->x);
  free (b->y);
  free (b->z);
  free (b->d_out);
  g_free (b->words);
}

static void
forward (Bench *b)
{
  seed_vit_forward (b->vit, b->values, b->scale, b->shift, b->words, b->n);
}

static void
train_step (Bench *b)
{
  static guint64 step = 0;

  memset (b->grads, 0, b->params.total * sizeof *b->grads);
  forward (b);
  seed_vit_backward (b->vit, b->values, b->d_out, b->grads);
  seed_gradient_clip (b->grads, b->params.total, 1);
  seed_adamw_step (&seed_adamw_defaults, &b->params, ++step, 1e-4, b->grads, b->m, b->v, b->values);
}

/* y = x W^T with weights [out, in], and with @train the two products of its backward pass. */
static void
linear_product (Bench *b, const char *name, gboolean train)
{
  const SeedBackend *backend = seed_backend_get ();
  const SeedParam *param = seed_params_lookup (&b->params, name);
  const SeedEpilogue nothing = { 0 };
  guint out = (guint) param->shape[0], in = (guint) param->shape[1];
  guint rows = b->n * (b->tokens - (strcmp (name, "patch.weight") == 0));
  SeedPackedLinear *packed = backend->packed_new (out, in);
  SeedGemm d_weight = { .transpose_a = TRUE,
    .m = out,
    .n = in,
    .k = rows,
    .alpha = 1,
    .a = b->y,
    .stride_a = out,
    .b = b->x,
    .stride_b = in,
    .beta = 1,
    .c = b->grads + param->offset,
    .stride_c = in };
  SeedGemm d_input = { .m = rows,
    .n = in,
    .k = out,
    .alpha = 1,
    .a = b->y,
    .stride_a = out,
    .b = b->values + param->offset,
    .stride_b = in,
    .c = b->z,
    .stride_c = in };

  backend->pack (packed, b->values + param->offset);
  backend->linear (packed, b->x, in, rows, &nothing, b->y, out);
  backend->packed_free (packed);
  if (train) {
    backend->gemm (&d_weight);
    if (strcmp (name, "patch.weight") != 0)
      backend->gemm (&d_input);
  }
}

typedef struct {
  const Bench *bench;
  gboolean train;
} Heads;

static void
head_task (guint task, gpointer data)
{
  const Heads *heads = data;
  const Bench *b = heads->bench;
  guint t = b->tokens, d = b->config.dim, e = d / b->config.heads;
  gsize at = (gsize) (task / b->config.heads) * t * d + (gsize) (task % b->config.heads) * e;
  real *probs = b->y + (gsize) task * t * t;
  SeedGemm scores = { .transpose_b = TRUE,
    .m = t,
    .n = t,
    .k = e,
    .alpha = 1,
    .a = b->x + at,
    .stride_a = d,
    .b = b->x + at,
    .stride_b = d,
    .c = probs,
    .stride_c = t };
  SeedGemm mix = { .m = t,
    .n = e,
    .k = t,
    .alpha = 1,
    .a = probs,
    .stride_a = t,
    .b = b->x + at,
    .stride_b = d,
    .c = b->z + at,
    .stride_c = d };

  for (guint i = 0; i < (heads->train ? 2 : 1); i++)
    seed_backend_get ()->gemm_serial (&scores);
  for (guint i = 0; i < (heads->train ? 4 : 1); i++)
    seed_backend_get ()->gemm_serial (&mix);
}

static void
products (Bench *b, gboolean train)
{
  static const char *const linears[] = { "qkv", "proj", "fc1", "fc2" };
  Heads heads = { b, train };

  linear_product (b, "patch.weight", train);
  for (guint i = 0; i < b->config.depth; i++) {
    for (guint l = 0; l < G_N_ELEMENTS (linears); l++) {
      char name[64];

      g_snprintf (name, sizeof name, "blocks.%u.%s.weight", i, linears[l]);
      linear_product (b, name, train);
    }
    seed_pool_run (b->n * b->config.heads, head_task, &heads);
  }
}

static void
forward_products (Bench *b)
{
  products (b, FALSE);
}

static void
train_products (Bench *b)
{
  products (b, TRUE);
}

/* Turn about, so that a busy machine disturbs both alike. */
static void
report (const char *title, Bench *b, guint repeats, void (*all) (Bench *), void (*alone) (Bench *))
{
  gint64 best_all = G_MAXINT64, best_alone = G_MAXINT64;

  for (guint i = 0; i <= repeats; i++) {
    gint64 start = g_get_monotonic_time (), middle, end;

    all (b);
    middle = g_get_monotonic_time ();
    alone (b);
    end = g_get_monotonic_time ();
    if (i > 0) {
      best_all = MIN (best_all, middle - start);
      best_alone = MIN (best_alone, end - middle);
    }
  }
  printf ("%-40s %9.2f ms   products alone %9.2f ms   ratio %.3f\n", title,
      (double) best_all / 1000, (double) best_alone / 1000,
      (double) best_all / (double) best_alone);
}

static void
inference (const char *title, const char *size, guint image_size, guint n, guint repeats)
{
  Bench b;

  bench_init (&b, size, image_size, n, FALSE);
  report (title, &b, repeats, forward, forward_products);
  bench_clear (&b);
}

static void
training (const char *title, const char *size, guint image_size, guint n, guint repeats)
{
  Bench b;

  bench_init (&b, size, image_size, n, TRUE);
  report (title, &b, repeats, train_step, train_products);
  bench_clear (&b);
}

int
main (int argc, char **argv)
{
  guint repeats = argc > 1 ? (guint) MAX (1, atoi (argv[1])) : DEFAULT_REPEATS;

  printf ("backend %s, kernels %s, %u threads\n", seed_backend_get ()->name,
      seed_kernels_get ()->name, seed_pool_n_threads ());
  inference ("ViT-S/16 224 forward, batch 1", "small", 224, 1, repeats);
  inference ("ViT-S/16 224 forward, batch 8", "small", 224, 8, repeats);
  training ("mini 64 px training step, batch 64", "mini", 64, 64, repeats);
  return 0;
}

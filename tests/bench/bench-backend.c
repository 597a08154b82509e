/* SPDX-License-Identifier: MIT */
/*
 * How fast every backend multiplies, and what share of that a whole transformer keeps:
 *   bench-backend [REPEATS [BACKEND]]
 * Times are the best of REPEATS. "cpu" is the time that the process computed, over all threads, per
 * thread: on a machine that does other things as well it says more than the clock on the wall.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <seed/pool.h>

#include "nn/backend.h"
#include "nn/optim.h"
#include "nn/vit-weights.h"

#define DEFAULT_REPEATS 7

typedef struct {
  double wall, cpu; /* seconds */
} Times;

static double
now (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

typedef void (*Work) (gpointer data);

static void
time_once (Work work, gpointer data, Times *best)
{
  double wall = now (CLOCK_MONOTONIC), cpu = now (CLOCK_PROCESS_CPUTIME_ID);

  work (data);
  best->wall = MIN (best->wall, now (CLOCK_MONOTONIC) - wall);
  best->cpu =
      MIN (best->cpu, (now (CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double) seed_pool_n_threads ());
}

static const Times worst = { 1e9, 1e9 };

static void *
filled (gsize n, gsize size)
{
  char *x = aligned_alloc (64, (n * size + 127) / 64 * 64);

  if (size == sizeof (float))
    for (gsize i = 0; i < n; i++)
      ((float *) x)[i] = (float) (i % 17) * 0.01f - 0.08f;
  else
    for (gsize i = 0; i < n; i++)
      ((SeedBf16 *) x)[i] = seed_bf16_from_float ((float) (i % 17) * 0.01f - 0.08f);
  return x;
}

/* One layer */

typedef struct {
  const SeedBackend *backend;
  guint m, n, k, times;
  SeedPackedLinear *packed;
  SeedEpilogue epilogue;
  void *x, *y;
  float *weight, *bias;
} Layer;

static void
run_layer (gpointer data)
{
  const Layer *l = data;

  for (guint i = 0; i < l->times; i++)
    l->backend->linear (l->packed, l->x, l->k, l->m, &l->epilogue, l->y, l->n);
}

static void
layer_init (Layer *l, const SeedBackend *backend, guint m, guint n, guint k, gboolean full)
{
  SeedRowsType type = backend->rows_type;
  gsize size = type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (float);

  *l = (Layer){ .backend = backend, .m = m, .n = n, .k = k };
  l->times = MAX (1, (guint) (2e9 / ((double) m * n * k)));
  l->x = filled ((gsize) m * k, size);
  l->y = filled ((gsize) m * n, size);
  l->weight = filled ((gsize) n * k, sizeof (float));
  l->bias = filled (n, sizeof (float));
  l->packed = backend->packed_new (n, k);
  backend->pack (l->packed, l->weight);
  l->epilogue = (SeedEpilogue){ .x_type = type, .y_type = type };
  if (full) {
    l->epilogue.bias = l->bias;
    l->epilogue.activate = TRUE;
  }
}

static void
layer_clear (Layer *l)
{
  l->backend->packed_free (l->packed);
  free (l->x);
  free (l->y);
  free (l->weight);
  free (l->bias);
}

static double
gflops (const Layer *l, double seconds)
{
  return 2e-9 * l->m * l->n * l->k * l->times / seconds;
}

static void
bench_layers (const SeedBackend *backend, guint repeats)
{
  static const guint shapes[][3] = { { 197, 1152, 384 }, { 197, 384, 384 }, { 197, 1536, 384 },
    { 197, 384, 1536 }, { 1576, 1152, 384 }, { 1576, 384, 384 }, { 1576, 1536, 384 },
    { 1576, 384, 1536 }, { 6304, 576, 192 }, { 6304, 192, 768 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++) {
    Times plain = worst, full = worst;
    Layer bare, gelu;

    layer_init (&bare, backend, shapes[s][0], shapes[s][1], shapes[s][2], FALSE);
    layer_init (&gelu, backend, shapes[s][0], shapes[s][1], shapes[s][2], TRUE);
    for (guint i = 0; i < repeats; i++) {
      time_once (run_layer, &bare, &plain);
      time_once (run_layer, &gelu, &full);
    }
    printf (
        "  %4u x %4u x %4u   alone %7.1f (cpu %7.1f)   bias and GELU %7.1f (cpu %7.1f) GFLOP/s\n",
        bare.m, bare.n, bare.k, gflops (&bare, plain.wall), gflops (&bare, plain.cpu),
        gflops (&gelu, full.wall), gflops (&gelu, full.cpu));
    layer_clear (&bare);
    layer_clear (&gelu);
  }
}

/* A transformer */

typedef struct {
  const SeedBackend *backend;
  SeedVitConfig config;
  SeedParams params;
  SeedVit *vit;
  SeedVitWeights *weights;
  guint n, tokens;
  float *values, *grads, *m, *v, *d_out;
  guint8 *words;
  float scale[3], shift[3];
  void *x, *y, *z;
  guint64 step;
} Model;

static void
model_init (Model *b, const SeedBackend *backend, const char *size, guint n, gboolean train)
{
  g_autoptr (GError) error = NULL;
  SeedRng rng;
  gsize n_words, wide;

  *b = (Model){ .backend = backend, .n = n };
  seed_vit_config_for_size (&b->config, size, 224);
  seed_vit_config_normalisation (&b->config, b->scale, b->shift);
  seed_params_init (&b->params);
  seed_vit_append_params (&b->config, &b->params);
  b->vit = seed_vit_new_with (&b->config, &b->params, n, train, backend, &error);
  b->values = filled (b->params.total, sizeof (float));
  seed_rng_init (&rng, 1);
  seed_params_init_random (&b->params, b->values, &rng);
  if (b->vit)
    b->weights = seed_vit_weights_new_with (&b->config, &b->params, b->values, backend, &error);
  if (!b->weights)
    g_error ("%s", error->message);
  b->tokens = 1 + seed_vit_config_n_words (&b->config);
  if (train) {
    b->grads = filled (b->params.total, sizeof (float));
    b->m = filled (b->params.total, sizeof (float));
    b->v = filled (b->params.total, sizeof (float));
    b->d_out = filled ((gsize) n * b->tokens * b->config.dim, sizeof (float));
  }
  wide = (gsize) n * b->tokens * MAX (b->config.mlp_dim, 3 * 16 * 16);
  b->x = filled (wide, sizeof (float));
  b->y = filled (wide, sizeof (float));
  b->z = filled (wide, sizeof (float));
  n_words = (gsize) n * (b->tokens - 1) * 3 * 16 * 16;
  b->words = g_malloc (n_words);
  for (gsize i = 0; i < n_words; i++)
    b->words[i] = (guint8) seed_rng_next (&rng);
}

static void
model_clear (Model *b)
{
  seed_vit_free (b->vit);
  seed_vit_weights_free (b->weights);
  seed_params_clear (&b->params);
  free (b->values);
  free (b->grads);
  free (b->m);
  free (b->v);
  free (b->d_out);
  free (b->x);
  free (b->y);
  free (b->z);
  g_free (b->words);
}

static void
forward (gpointer data)
{
  Model *b = data;

  seed_vit_forward_packed (b->vit, b->weights, b->scale, b->shift, b->words, b->n);
}

static void
train_step (gpointer data)
{
  Model *b = data;

  memset (b->grads, 0, b->params.total * sizeof *b->grads);
  seed_vit_forward (b->vit, b->values, b->scale, b->shift, b->words, b->n);
  seed_vit_backward (b->vit, b->values, b->d_out, b->grads);
  seed_gradient_clip (b->grads, b->params.total, 1);
  seed_adamw_step (
      &seed_adamw_defaults, &b->params, ++b->step, 1e-4, b->grads, b->m, b->v, b->values);
}

/* The multiply-adds of one forward, in the linear layers and in attention. */
static double
forward_macs (const Model *b, gboolean attention)
{
  double t = b->tokens, d = b->config.dim, per_block = t * d * (4 * d + 2 * b->config.mlp_dim);

  if (attention)
    per_block += 2 * t * t * d;
  return b->n * (b->config.depth * per_block + (t - 1) * d * 768);
}

/* The linear layers of a forward without anything else, from weights packed before. */
typedef struct {
  const Model *model;
  SeedPackedLinear *qkv, *proj, *fc1, *fc2, *patch;
} Limit;

static SeedPackedLinear *
pack_one (const SeedBackend *backend, guint out, guint in)
{
  SeedPackedLinear *packed = backend->packed_new (out, in);
  float *weight = filled ((gsize) out * in, sizeof (float));

  backend->pack (packed, weight);
  if (!backend->borrows)
    free (weight);
  return packed;
}

static void
limit_init (Limit *l, const Model *b)
{
  guint d = b->config.dim, m = b->config.mlp_dim;

  *l = (Limit){ b, pack_one (b->backend, 3 * d, d), pack_one (b->backend, d, d),
    pack_one (b->backend, m, d), pack_one (b->backend, d, m), pack_one (b->backend, d, 768) };
}

static void
limit_clear (Limit *l)
{
  l->model->backend->packed_free (l->qkv);
  l->model->backend->packed_free (l->proj);
  l->model->backend->packed_free (l->fc1);
  l->model->backend->packed_free (l->fc2);
  l->model->backend->packed_free (l->patch);
}

static void
multiply (gpointer data)
{
  const Limit *l = data;
  const Model *b = l->model;
  const SeedBackend *backend = b->backend;
  guint d = b->config.dim, m = b->config.mlp_dim, rows = b->n * b->tokens;
  SeedEpilogue e = { .x_type = backend->rows_type, .y_type = backend->rows_type };

  backend->linear (l->patch, b->x, 768, b->n * (b->tokens - 1), &e, b->y, d);
  for (guint i = 0; i < b->config.depth; i++) {
    backend->linear (l->qkv, b->x, d, rows, &e, b->y, 3 * d);
    backend->linear (l->proj, b->x, d, rows, &e, b->y, d);
    backend->linear (l->fc1, b->x, d, rows, &e, b->y, m);
    backend->linear (l->fc2, b->x, m, rows, &e, b->y, d);
  }
}

static void
bench_forward (const SeedBackend *backend, guint n, guint repeats)
{
  Times whole = worst, products = worst;
  double extra; /* attention's products, at the speed of the others */
  Model b;
  Limit limit;

  model_init (&b, backend, "small", n, FALSE);
  limit_init (&limit, &b);
  for (guint i = 0; i <= repeats; i++) {
    time_once (forward, &b, &whole);
    time_once (multiply, &limit, &products);
  }
  extra = forward_macs (&b, TRUE) / forward_macs (&b, FALSE);
  printf (
      "  ViT-S/16 224, batch %u: %8.2f ms (cpu %8.2f); its products alone %8.2f ms (cpu %8.2f); "
      "share %.0f %% (cpu %.0f %%)\n",
      n, 1e3 * whole.wall, 1e3 * whole.cpu, 1e3 * products.wall * extra, 1e3 * products.cpu * extra,
      100 * products.wall * extra / whole.wall, 100 * products.cpu * extra / whole.cpu);
  limit_clear (&limit);
  model_clear (&b);
}

static void
bench_training (const SeedBackend *backend, guint repeats)
{
  Times step = worst;
  Model b;

  model_init (&b, backend, "tiny", 32, TRUE);
  for (guint i = 0; i <= MIN (repeats, 4); i++)
    time_once (train_step, &b, &step);
  printf ("  ViT-Ti/16 224, training step of 32: %8.2f ms (cpu %8.2f), %.0f GFLOP/s\n",
      1e3 * step.wall, 1e3 * step.cpu, 6e-9 * forward_macs (&b, TRUE) / step.wall);
  model_clear (&b);
}

int
main (int argc, char **argv)
{
  static const char *const names[] = { "native", "onednn", "openblas" };
  guint repeats = argc > 1 ? (guint) MAX (1, atoi (argv[1])) : DEFAULT_REPEATS;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint p = 0; p < SEED_N_PRECISIONS; p++) {
      const SeedBackend *backend = seed_backend_find (names[i], p, NULL);

      if (!backend || (argc > 2 && !g_str_equal (argv[2], names[i])))
        continue;
      printf ("%s %s, %u threads\n", names[i], seed_precision_name (p), seed_pool_n_threads ());
      bench_layers (backend, repeats);
      bench_forward (backend, 1, repeats);
      bench_forward (backend, 8, repeats);
      if (p != SEED_PRECISION_INT8)
        bench_training (backend, repeats);
      fflush (stdout);
    }
  return 0;
}

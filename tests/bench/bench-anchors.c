/* SPDX-License-Identifier: MIT */
/*
 * What image anchors cost a learning student:
 *   bench-anchors [SIZE [IMAGE-SIZE [BATCH [PRECISION]]]]      (mini 128 64 float32)
 * prints the best of some times, in milliseconds, of a student's forward and backward over two
 * views of each image, of what the objective adds, and the share of each part in the former.
 */
#include <stdio.h>
#include <stdlib.h>

#include <seed/pool.h>

#include "anchors/anchors.h"
#include "anchors/views.h"
#include "bench-util.h"
#include "nn/vit-weights.h"

#define REPEATS 5

typedef struct {
  SeedVitConfig config;
  SeedAnchorsShape shape;
  SeedParams params;
  const SeedBackend *backend;
  SeedVit *views, *query;
  SeedAnchors *anchors;
  guint n, n_words, n_kept;
  real *values, *grads, *d_views, *d_query, *reference_rows;
  guint8 *words, *no_position;
  guint32 *kept;
  gint32 *match;
  guint64 *frames;
  float scale[3], shift[3];
} Bench;

static real *
reals (gsize n)
{
  real *x = g_aligned_alloc0 (n, sizeof *x, 64);

  for (gsize i = 0; i < n; i++)
    x[i] = (real) ((int) (i * 7 % 23) - 11) * (real) 0.01;
  return x;
}

static void
fail (GError *error)
{
  fprintf (stderr, "bench-anchors: %s\n", error->message);
  exit (1);
}

static void
make_networks (Bench *b, const char *size, guint image_size, const char *precision)
{
  SeedAnchorsConfig config;
  GError *error = NULL;
  SeedRng rng;

  if (!seed_vit_config_for_size (&b->config, size, image_size)) {
    fprintf (stderr, "bench-anchors: %s is no size; use mini, tiny, small or base\n", size);
    exit (2);
  }
  b->n_words = seed_vit_config_n_words (&b->config);
  b->n_kept = seed_anchors_n_kept (b->n_words, SEED_ANCHORS_KEPT);
  seed_anchors_shape_init (&b->shape, &b->config);
  seed_anchors_config_init (&config);
  config.min_frames = 1;
  seed_params_init (&b->params);
  seed_vit_append_params (&b->config, &b->params);
  seed_anchors_append_params (&b->shape, &b->params);
  b->backend = seed_backend_choose (NULL, precision, FALSE, NULL, &error);
  if (b->backend)
    b->views = seed_vit_new_with (&b->config, &b->params, 2 * b->n, TRUE, b->backend, &error);
  if (b->views)
    b->query = seed_vit_new_subset_with (
        &b->config, &b->params, b->n, b->n_kept, TRUE, b->backend, &error);
  if (b->query)
    b->anchors =
        seed_anchors_new (&b->shape, &config, &b->params, b->n, b->n_kept, b->backend, &error);
  if (!b->anchors)
    fail (error);
  b->values = reals (b->params.total);
  b->grads = reals (b->params.total);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&b->params, b->values, &rng);
  seed_anchors_normalise (b->anchors, b->values);
}

static void
make_data (Bench *b)
{
  gsize view_size = (1 + (gsize) b->n_words) * b->config.dim;
  gsize word_size = 3 * (gsize) b->config.patch_size * b->config.patch_size;

  b->d_views = reals (2 * b->n * view_size);
  b->reference_rows = reals (b->n * view_size);
  b->d_query = reals (b->n * (1 + (gsize) b->n_kept) * b->config.dim);
  b->words = g_malloc0 (2 * (gsize) b->n * b->n_words * word_size);
  for (gsize i = 0; i < 2 * (gsize) b->n * b->n_words * word_size; i++)
    b->words[i] = (guint8) (i * 31 >> 3);
  b->no_position = g_malloc (b->n * b->n_kept);
  b->kept = g_new (guint32, b->n * b->n_kept);
  b->match = g_new (gint32, b->n * b->n_kept);
  b->frames = g_new (guint64, b->n);
  for (guint i = 0; i < b->n; i++) {
    b->frames[i] = i;
    seed_anchors_draw_words (i, b->n_words, b->n_kept, SEED_ANCHORS_DROPPED,
        b->kept + i * b->n_kept, b->no_position + i * b->n_kept);
  }
  for (guint i = 0; i < b->n * b->n_kept; i++)
    b->match[i] = (gint32) b->kept[i];
  seed_vit_config_normalisation (&b->config, b->scale, b->shift);
}

static void
run_student (Bench *b)
{
  seed_vit_forward (b->views, b->values, b->scale, b->shift, b->words, 2 * b->n);
  seed_vit_backward (b->views, b->values, b->d_views, b->grads);
}

/* The moving average over whole images: its forward, as a share of the student's two views. */
static void
run_reference (Bench *b)
{
  seed_vit_forward (b->views, b->values, b->scale, b->shift, b->words, b->n);
}

static void
run_query (Bench *b)
{
  SeedVitSubset subset = { b->n_kept, b->kept, b->no_position };

  seed_vit_pack (b->query, b->values);
  seed_vit_run_subset (b->query, b->scale, b->shift, b->words, b->n, &subset);
  seed_vit_backward (b->query, b->values, b->d_query, b->grads);
}

static void
run_assign (Bench *b)
{
  SeedAnchorsRows reference = { b->reference_rows + b->config.dim,
    (1 + (gsize) b->n_words) * b->config.dim };
  GError *error = NULL;

  if (!seed_anchors_assign (b->anchors, b->values, b->values, &reference, b->frames, b->n, &error))
    fail (error);
}

static void
run_loss (Bench *b)
{
  SeedAnchorsRows query = { b->reference_rows + b->config.dim,
    (1 + (gsize) b->n_kept) * b->config.dim };
  SeedAnchorsLosses losses;

  seed_anchors_loss (b->anchors, b->values, &query, b->n_kept, b->match, 1, &losses, b->grads,
      b->d_query + b->config.dim);
}

static double
best_ms (Bench *b, void (*run) (Bench *))
{
  double best = INFINITY;

  for (guint i = 0; i <= REPEATS; i++) { /* the first warms up */
    double start = bench_wall ();

    run (b);
    if (i > 0)
      best = MIN (best, (bench_wall () - start) / 1e6);
  }
  return best;
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*run) (Bench *);
  } parts[] = { { "reference view, moving average", run_reference },
    { "query view, forward and backward", run_query }, { "assignment", run_assign },
    { "losses and gradients", run_loss } };
  const char *size = argc > 1 ? argv[1] : "mini";
  guint image_size = argc > 2 ? (guint) atoi (argv[2]) : 128;
  Bench b = { .n = argc > 3 ? (guint) atoi (argv[3]) : 64 };
  double student;

  make_networks (&b, size, image_size, argc > 4 ? argv[4] : "float32");
  make_data (&b);
  student = best_ms (&b, run_student);
  printf ("%s, %u images of %u words, %u of the query kept, %u threads\n", size, b.n, b.n_words,
      b.n_kept, seed_pool_n_threads ());
  printf ("  %-34s %8.1f ms\n", "student over two views", student);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    double ms = best_ms (&b, parts[i].run);

    printf ("  %-34s %8.1f ms  %5.1f %%\n", parts[i].name, ms, 100 * ms / student);
  }
  printf ("  %-34s %8.1f MiB\n", "workspace",
      (double) seed_anchors_memory_bytes (b.anchors) / (1 << 20));
  return 0;
}

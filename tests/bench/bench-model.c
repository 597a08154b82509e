/* SPDX-License-Identifier: MIT */
/*
 * One model, run when asked, so that another program can let it take turns with others:
 *   bench-model run FOLDER BATCH [THREADS [PRECISION]]: a model folder, inference
 *   bench-model train SIZE IMAGE-SIZE BATCH [THREADS [PRECISION]]: steps of training, a named size
 *
 * PRECISION is float32 (the default), bfloat16 or int8. Says "ready BACKEND" (and the precision,
 * unless it is float32) when it is. For each line with a number N on standard input it runs N times
 * and prints a line with the ns that each took. Ends at the end of input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <seed/model.h>
#include <seed/pool.h>

#include "bench-util.h"
#include "nn/backend.h"
#include "nn/optim.h"
#include "nn/vit-weights.h"

#define MAX_RUNS 10000
#define LEARNING_RATE 1e-4

typedef struct {
  guint batch;
  guint8 *words;
  const char *precision;
  const SeedBackend *backend;

  SeedModel *model; /* inference */
  SeedSession *session;
  float *summary;

  SeedVitConfig config; /* training */
  SeedParams params;
  SeedVit *vit;
  real *values, *grads, *m, *v, *d_out;
  float scale[3], shift[3];
  guint64 step;
} Bench;

static void
die (const GError *error)
{
  fprintf (stderr, "bench-model: %s\n", error->message);
  exit (1);
}

static guint8 *
make_words (gsize n)
{
  guint8 *words = g_malloc (n);

  for (gsize i = 0; i < n; i++)
    words[i] = (guint8) (i * 2654435761u >> 13);
  return words;
}

static void
open_model (Bench *b, const char *folder, guint batch)
{
  g_autoptr (GError) error = NULL;
  SeedModelOptions options = { .precision = b->precision };
  const SeedModelInfo *info;

  b->batch = batch;
  b->model = seed_model_load_full (folder, &options, &error);
  if (!b->model)
    die (error);
  b->session = seed_session_new (b->model, batch, &error);
  if (!b->session)
    die (error);
  info = seed_model_get_info (b->model);
  b->summary = g_new (float, (gsize) batch * info->summary_dim);
  b->words = make_words ((gsize) batch * info->n_words * 3 * info->patch_size * info->patch_size);
}

static void
open_training (Bench *b, const char *size, guint image_size, guint batch)
{
  g_autoptr (GError) error = NULL;
  gsize n_words;
  SeedRng rng;

  if (!seed_vit_config_for_size (&b->config, size, image_size)) {
    fprintf (stderr, "bench-model: unknown size \"%s\"\n", size);
    exit (2);
  }
  b->batch = batch;
  n_words = seed_vit_config_n_words (&b->config);
  seed_vit_config_normalisation (&b->config, b->scale, b->shift);
  seed_params_init (&b->params);
  seed_vit_append_params (&b->config, &b->params);
  b->vit = seed_vit_new_with (&b->config, &b->params, batch, TRUE, b->backend, &error);
  if (!b->vit)
    die (error);
  b->values = g_new0 (real, b->params.total);
  b->grads = g_new0 (real, b->params.total);
  b->m = g_new0 (real, b->params.total);
  b->v = g_new0 (real, b->params.total);
  b->d_out = g_new0 (real, batch * (1 + n_words) * b->config.dim);
  for (gsize i = 0; i < batch * (1 + n_words) * b->config.dim; i++)
    b->d_out[i] = (real) (i % 17) * (real) 1e-5;
  b->words = make_words (batch * n_words * 3 * b->config.patch_size * b->config.patch_size);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&b->params, b->values, &rng);
}

static void
run_once (Bench *b)
{
  if (b->session) {
    seed_session_run (b->session, b->words, b->batch, b->summary, NULL);
    return;
  }
  memset (b->grads, 0, b->params.total * sizeof *b->grads);
  seed_vit_forward (b->vit, b->values, b->scale, b->shift, b->words, b->batch);
  seed_vit_backward (b->vit, b->values, b->d_out, b->grads);
  seed_gradient_clip (b->grads, b->params.total, 1);
  seed_adamw_step (
      &seed_adamw_defaults, &b->params, ++b->step, LEARNING_RATE, b->grads, b->m, b->v, b->values);
}

static void
bench_clear (Bench *b)
{
  seed_session_free (b->session);
  if (b->model)
    seed_model_unref (b->model);
  if (b->vit)
    seed_params_clear (&b->params);
  seed_vit_free (b->vit);
  g_free (b->summary);
  g_free (b->values);
  g_free (b->grads);
  g_free (b->m);
  g_free (b->v);
  g_free (b->d_out);
  g_free (b->words);
}

static int
usage (void)
{
  fprintf (stderr, "usage: bench-model run FOLDER BATCH [THREADS [PRECISION]]\n"
                   "       bench-model train SIZE IMAGE-SIZE BATCH [THREADS [PRECISION]]\n");
  return 2;
}

/* As peers.py calls them; float32 goes without saying. */
static const char *const short_names[SEED_N_PRECISIONS] = {
  [SEED_PRECISION_FLOAT32] = "",
  [SEED_PRECISION_BFLOAT16] = " bf16",
  [SEED_PRECISION_INT8] = " int8",
};

int
main (int argc, char **argv)
{
  gboolean train = argc > 1 && g_str_equal (argv[1], "train");
  int n_fixed = train ? 5 : 4;
  char line[32];
  g_autoptr (GError) error = NULL;
  Bench b = { 0 };

  if (argc < n_fixed || argc > n_fixed + 2 || (!train && !g_str_equal (argv[1], "run")))
    return usage ();
  if (argc > n_fixed)
    seed_pool_configure ((guint) MAX (1, atoi (argv[n_fixed])));
  b.precision = argc > n_fixed + 1 ? argv[n_fixed + 1] : "float32";
  b.backend = seed_backend_choose (NULL, b.precision, !train, NULL, &error);
  if (!b.backend)
    die (error);
  if (train)
    open_training (&b, argv[2], (guint) MAX (1, atoi (argv[3])), (guint) MAX (1, atoi (argv[4])));
  else
    open_model (&b, argv[2], (guint) MAX (1, atoi (argv[3])));
  printf ("ready %s%s\n", b.backend->name, short_names[b.backend->precision]);
  fflush (stdout);
  while (fgets (line, sizeof line, stdin)) {
    for (int i = CLAMP (atoi (line), 0, MAX_RUNS); i > 0; i--) {
      double start = bench_wall ();

      run_once (&b);
      printf ("%.0f%s", bench_wall () - start, i > 1 ? " " : "");
    }
    printf ("\n");
    fflush (stdout);
  }
  bench_clear (&b);
  return 0;
}

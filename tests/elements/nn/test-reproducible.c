/* SPDX-License-Identifier: MIT */
/* Training gives the same bits for the same seed and number of threads, whatever else runs. */
#include <seed/pool.h>

#include "nn-util.h"
#include "nn/optim.h"

#define N_IMAGES 6
#define N_STEPS 4
#define N_THREADS 3

typedef struct {
  gsize n;
  real *values, *m, *v, *ema;
  double norm[N_STEPS];
} Result;

static void
train (Result *result)
{
  SeedVitConfig config = tiny_config (48, 8, 96, 2, 3, 320);
  SeedSchedule schedule = {
    .peak = 1e-3, .floor = 1e-5, .warmup_steps = 2, .total_steps = N_STEPS
  };
  gsize n_out = N_IMAGES * (1 + seed_vit_config_n_words (&config)) * config.dim;
  g_autofree real *d_out = new_reals (n_out);
  g_autofree real *grads = NULL;
  g_autofree guint8 *words = NULL;
  g_autoptr (SeedVit) vit = NULL;
  g_autoptr (GError) error = NULL;
  float scale[3], shift[3];
  SeedParams params;
  SeedRng rng;

  seed_rng_init (&rng, 77);
  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  seed_vit_config_normalisation (&config, scale, shift);
  vit = seed_vit_new (&config, &params, N_IMAGES, TRUE, &error);
  g_assert_no_error (error);
  grads = new_reals (params.total);
  *result = (Result){ .n = params.total,
    .values = new_reals (params.total),
    .m = new_reals (params.total),
    .v = new_reals (params.total) };
  seed_params_init_random (&params, result->values, &rng);
  result->ema = g_memdup2 (result->values, params.total * sizeof (real));
  words = random_words (&config, N_IMAGES, &rng);

  for (guint step = 1; step <= N_STEPS; step++) {
    const real *out = seed_vit_forward (vit, result->values, scale, shift, words, N_IMAGES);

    for (gsize i = 0; i < n_out; i++) /* of a loss sum (y - 1)^2 / 2 */
      d_out[i] = out[i] - 1;
    memset (grads, 0, params.total * sizeof *grads);
    seed_vit_backward (vit, result->values, d_out, grads);
    result->norm[step - 1] = seed_gradient_clip (grads, params.total, 1);
    seed_adamw_step (&seed_adamw_defaults, &params, step, seed_schedule_lr (&schedule, step), grads,
        result->m, result->v, result->values);
    seed_ema_update (result->ema, result->values, params.total, seed_ema_decay (0.996, step));
  }
  seed_params_clear (&params);
}

static void
result_clear (Result *result)
{
  g_free (result->values);
  g_free (result->m);
  g_free (result->v);
  g_free (result->ema);
}

static void
assert_same_bits (const Result *a, const Result *b)
{
  gsize size = a->n * sizeof (real);

  g_assert_cmpmem (a->norm, sizeof a->norm, b->norm, sizeof b->norm);
  g_assert_cmpmem (a->values, size, b->values, size);
  g_assert_cmpmem (a->m, size, b->m, size);
  g_assert_cmpmem (a->v, size, b->v, size);
  g_assert_cmpmem (a->ema, size, b->ema, size);
}

static void
busy_task (guint task, gpointer data)
{
  volatile double x = task;

  for (guint i = 0; i < 500; i++)
    x = x * 0.5 + 1;
}

static gpointer
hammer (gpointer stop)
{
  while (!g_atomic_int_get ((gint *) stop))
    seed_pool_run (7, busy_task, NULL);
  return NULL;
}

static void
test_same_bits (void)
{
  Result first, second, disturbed;
  gint stop = FALSE;
  GThread *thread;

  train (&first);
  g_assert_true (isfinite (first.norm[N_STEPS - 1]));
  g_assert_cmpfloat (first.norm[0], !=, first.norm[1]); /* it does learn */

  train (&second);
  assert_same_bits (&first, &second);

  thread = g_thread_new ("hammer", hammer, &stop);
  train (&disturbed);
  g_atomic_int_set (&stop, TRUE);
  g_thread_join (thread);
  assert_same_bits (&first, &disturbed);

  result_clear (&first);
  result_clear (&second);
  result_clear (&disturbed);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (N_THREADS);
  g_test_add_func ("/nn/reproducible/same-bits", test_same_bits);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
#include "nn-util.h"
#include "nn/optim.h"

/* sizes on both sides of how the work is cut */
static void
make_params (SeedParams *params)
{
  seed_params_init (params);
  seed_params_append (params, "a.weight", TRUE, 2, (gsize[]){ 7, 3 });
  seed_params_append (params, "a.bias", FALSE, 1, (gsize[]){ 7 });
  seed_params_append (params, "b.weight", TRUE, 2, (gsize[]){ 301, 127 });
  seed_params_append (params, "b.bias", FALSE, 1, (gsize[]){ 301 });
}

/* The recurrence as its authors write it, in double. */
static void
naive_adamw (const SeedAdamW *o, const SeedParams *params, guint64 step, double lr,
    const real *grads, double *m, double *v, double *w)
{
  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];

    for (gsize j = param->offset; j < param->offset + param->size; j++) {
      double g = (double) grads[j], update;

      m[j] = o->beta1 * m[j] + (1 - o->beta1) * g;
      v[j] = o->beta2 * v[j] + (1 - o->beta2) * g * g;
      update = m[j] / (1 - pow (o->beta1, (double) step)) /
               (sqrt (v[j] / (1 - pow (o->beta2, (double) step))) + o->eps);
      if (param->decay)
        update += o->weight_decay * w[j];
      w[j] -= lr * update;
    }
  }
}

static void
test_adamw (void)
{
  SeedAdamW adamw = { .beta1 = 0.8, .beta2 = 0.97, .eps = 1e-3, .weight_decay = 0.3 };
  SeedParams params;
  SeedRng rng;

  make_params (&params);
  seed_rng_init (&rng, 4);
  g_autofree real *values = new_reals (params.total);
  g_autofree real *grads = new_reals (params.total);
  g_autofree real *m = new_reals (params.total);
  g_autofree real *v = new_reals (params.total);
  g_autofree real *expected = new_reals (params.total);
  g_autofree double *exact_m = g_new0 (double, params.total);
  g_autofree double *exact_v = g_new0 (double, params.total);
  g_autofree double *exact = g_new0 (double, params.total);

  fill_normal (values, params.total, 0, 1, &rng); /* the gaps too: they must stay */
  for (gsize i = 0; i < params.total; i++)
    exact[i] = (double) values[i];
  for (guint64 step = 1; step <= 5; step++) {
    fill_normal (grads, params.total, 0.2, 1, &rng);
    seed_adamw_step (&adamw, &params, step, 0.05, grads, m, v, values);
    naive_adamw (&adamw, &params, step, 0.05, grads, exact_m, exact_v, exact);
  }
  for (gsize i = 0; i < params.total; i++)
    expected[i] = (real) exact[i];
  assert_close (values, expected, params.total, 1e-6);
  for (gsize i = 0; i < params.total; i++)
    expected[i] = (real) exact_m[i];
  assert_close (m, expected, params.total, 1e-6);
  for (gsize i = 0; i < params.total; i++)
    expected[i] = (real) exact_v[i];
  assert_close (v, expected, params.total, 1e-6);
  seed_params_clear (&params);
}

static void
test_decay_where_asked (void)
{
  SeedAdamW adamw = seed_adamw_defaults;
  SeedParams params;

  make_params (&params);
  g_autofree real *values = new_reals (params.total);
  g_autofree real *zeros = new_reals (params.total);
  g_autofree real *m = new_reals (params.total);
  g_autofree real *v = new_reals (params.total);

  for (gsize i = 0; i < params.total; i++)
    values[i] = 1;
  adamw.weight_decay = 0.5;
  seed_adamw_step (&adamw, &params, 1, 0.5, zeros, m, v, values);
  for (guint i = 0; i < params.n; i++)
    for (gsize j = 0; j < params.items[i].size; j++)
      g_assert_cmpfloat (
          values[params.items[i].offset + j], ==, params.items[i].decay ? (real) 0.75 : 1);
  seed_params_clear (&params);
}

static void
test_clip (void)
{
  const gsize n = 100003;
  g_autofree real *grads = new_reals (n);
  double sum = 0, norm;
  SeedRng rng;

  seed_rng_init (&rng, 8);
  fill_normal (grads, n, 0, 1, &rng);
  for (gsize i = 0; i < n; i++)
    sum += (double) grads[i] * (double) grads[i];
  norm = seed_gradient_clip (grads, n, 1e6); /* far below: nothing is scaled */
  g_assert_cmpfloat_with_epsilon (norm, sqrt (sum), 1e-9 * norm);
  g_assert_cmpfloat (seed_gradient_clip (grads, n, 2), ==, norm);
  g_assert_cmpfloat_with_epsilon (seed_gradient_clip (grads, n, 2), 2, 1e-5);

  grads[n - 1] = INFINITY;
  sum = (double) grads[0];
  g_assert_cmpfloat (seed_gradient_clip (grads, n, 1), ==, INFINITY);
  g_assert_cmpfloat ((double) grads[0], ==, sum); /* left alone */
  grads[n - 1] = NAN;
  g_assert_true (isnan (seed_gradient_clip (grads, n, 1)));
}

static void
test_schedule (void)
{
  SeedSchedule cosine = { .peak = 2, .floor = 0.5, .warmup_steps = 10, .total_steps = 110 };
  SeedSchedule constant = { .peak = 2, .warmup_steps = 4 };
  SeedSchedule at_once = { .peak = 2, .total_steps = 100 };

  g_assert_cmpfloat_with_epsilon (seed_schedule_lr (&cosine, 1), 0.2, 1e-12);
  g_assert_cmpfloat_with_epsilon (seed_schedule_lr (&cosine, 10), 2, 1e-12);
  g_assert_cmpfloat_with_epsilon (seed_schedule_lr (&cosine, 60), 1.25, 1e-12);
  g_assert_cmpfloat_with_epsilon (
      seed_schedule_lr (&cosine, 35), 0.5 + 1.5 * (1 + G_SQRT2 / 2) / 2, 1e-12);
  g_assert_cmpfloat_with_epsilon (seed_schedule_lr (&cosine, 110), 0.5, 1e-12);
  g_assert_cmpfloat (seed_schedule_lr (&cosine, 1000000), ==, 0.5);
  g_assert_cmpfloat (seed_schedule_lr (&constant, 2), ==, 1);
  g_assert_cmpfloat (seed_schedule_lr (&constant, 1000000), ==, 2);
  g_assert_cmpfloat (seed_schedule_lr (&at_once, 1), >, 1.99);
}

static void
test_ema (void)
{
  const gsize n = 40000;
  g_autofree real *ema = new_reals (n);
  g_autofree real *values = new_reals (n);

  g_assert_cmpfloat_with_epsilon (seed_ema_decay (0.996, 0), 0.1, 1e-12);
  g_assert_cmpfloat_with_epsilon (seed_ema_decay (0.996, 90), 0.91, 1e-12);
  g_assert_cmpfloat (seed_ema_decay (0.996, 100000), ==, 0.996);

  for (gsize i = 0; i < n; i++) {
    ema[i] = (real) (i % 5);
    values[i] = (real) (i % 7);
  }
  seed_ema_update (ema, values, n, 0.75);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (ema[i], ==, (real) (0.75 * (double) (i % 5) + 0.25 * (double) (i % 7)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nn/optim/adamw", test_adamw);
  g_test_add_func ("/nn/optim/decay-where-asked", test_decay_where_asked);
  g_test_add_func ("/nn/optim/clip", test_clip);
  g_test_add_func ("/nn/optim/schedule", test_schedule);
  g_test_add_func ("/nn/optim/ema", test_ema);
  return g_test_run ();
}

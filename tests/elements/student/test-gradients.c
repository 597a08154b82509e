/* SPDX-License-Identifier: MIT */
/* Built in double: see elements/core/real.h. */
#include <string.h>

#include "student/similarity.h"
#include "student/student.h"

#define TAU 0.05
#define STEP 1e-5
#define TOLERANCE 1e-6

static void
fill_unit_rows (SeedRng *rng, real *rows, guint n, guint dim)
{
  for (guint i = 0; i < n; i++) {
    double square = 0;

    for (guint k = 0; k < dim; k++) {
      rows[i * dim + k] = seed_rng_normal (rng);
      square += rows[i * dim + k] * rows[i * dim + k];
    }
    for (guint k = 0; k < dim; k++)
      rows[i * dim + k] /= sqrt (square);
  }
}

/* @target with a masked pair here and there, never on the diagonal. */
static void
fill_target (SeedRng *rng, float *target, guint b)
{
  for (guint i = 0; i < b; i++) {
    for (guint j = 0; j < b; j++) {
      gboolean masked = i != j && seed_rng_below (rng, 5) == 0;

      target[i * b + j] = masked ? -INFINITY : (float) (2 * seed_rng_uniform (rng) - 1);
    }
  }
}

/* The formulas of the header, element by element. */
static double
plain_loss (const real *z, const float *target, guint b, guint dim)
{
  double loss = 0;

  for (guint transposed = 0; transposed < 2; transposed++) {
    for (guint i = 0; i < b; i++) {
      double p[16], q[16], sum_p = 0, sum_q = 0;

      for (guint j = 0; j < b; j++) {
        guint row = transposed ? j : i, column = transposed ? i : j;
        double s = 0;

        for (guint k = 0; k < dim; k++)
          s += z[(2 * row) * dim + k] * z[(2 * column + 1) * dim + k];
        p[j] = exp (target[row * b + column] / TAU);
        q[j] = isinf (target[row * b + column]) ? 0 : exp (s / TAU);
        sum_p += p[j];
        sum_q += q[j];
      }
      for (guint j = 0; j < b; j++)
        if (q[j] > 0)
          loss += p[j] / sum_p * log ((p[j] / sum_p) / (q[j] / sum_q)) / b;
    }
  }
  return loss;
}

static void
test_similarity_equals_formula (void)
{
  enum { B = 7, DIM = 5 };
  g_autofree void *scratch = g_malloc (seed_similarity_scratch_size (B));
  real z[2 * B * DIM];
  float target[B * B];
  SeedRng rng;

  seed_rng_init (&rng, 11);
  for (guint round = 0; round < 20; round++) {
    double loss, plain;

    fill_unit_rows (&rng, z, 2 * B, DIM);
    fill_target (&rng, target, B);
    loss = seed_similarity_loss (z, target, B, DIM, TAU, NULL, scratch);
    plain = plain_loss (z, target, B, DIM);
    g_assert_cmpfloat (fabs (loss - plain), <, 1e-9 * (1 + fabs (plain)));
  }
}

static void
test_similarity_gradient (void)
{
  enum { B = 6, DIM = 4, N = 2 * B * DIM };
  g_autofree void *scratch = g_malloc (seed_similarity_scratch_size (B));
  real z[N], d_z[N];
  float target[B * B];
  SeedRng rng;

  seed_rng_init (&rng, 12);
  fill_unit_rows (&rng, z, 2 * B, DIM);
  fill_target (&rng, target, B);
  seed_similarity_loss (z, target, B, DIM, TAU, d_z, scratch);
  for (guint k = 0; k < N; k++) {
    real kept = z[k];
    double up, down, numeric;

    z[k] = kept + STEP;
    up = seed_similarity_loss (z, target, B, DIM, TAU, NULL, scratch);
    z[k] = kept - STEP;
    down = seed_similarity_loss (z, target, B, DIM, TAU, NULL, scratch);
    z[k] = kept;
    numeric = (up - down) / (2 * STEP);
    g_assert_cmpfloat (fabs (numeric - d_z[k]), <, TOLERANCE * (1 + fabs (numeric)));
  }
}

static void
test_similarity_zero_at_target (void)
{
  enum { B = 4, DIM = 8 };
  g_autofree void *scratch = g_malloc (seed_similarity_scratch_size (B));
  real z[2 * B * DIM], d_z[2 * B * DIM];
  float target[B * B];
  SeedRng rng;

  seed_rng_init (&rng, 13);
  fill_unit_rows (&rng, z, 2 * B, DIM);
  for (guint i = 0; i < B; i++) {
    for (guint j = 0; j < B; j++) {
      double s = 0;

      for (guint k = 0; k < DIM; k++)
        s += z[(2 * i) * DIM + k] * z[(2 * j + 1) * DIM + k];
      target[i * B + j] = (float) s;
    }
  }
  g_assert_cmpfloat (fabs (seed_similarity_loss (z, target, B, DIM, TAU, d_z, scratch)), <, 1e-9);
  for (guint k = 0; k < 2 * B * DIM; k++)
    g_assert_cmpfloat (fabs (d_z[k]), <, 1e-5);
}

typedef struct {
  SeedStudentShape shape;
  SeedParams params;
  SeedStudent *student;
  real *values, *grads, *d_z;
  guint8 *words;
  float *target;
  void *scratch;
  guint b;
} Net;

static void
net_init (Net *net, guint b)
{
  gsize words;
  SeedRng rng;

  net->b = b;
  net->shape = (SeedStudentShape){
    .vit = { .image_size = 16,
        .patch_size = 8,
        .dim = 12,
        .depth = 2,
        .heads = 3,
        .mlp_dim = 20,
        .ln_eps = 1e-6,
        .activation = SEED_ACTIVATION_GELU,
        .mean = { 0.5f, 0.4f, 0.3f },
        .std = { 0.2f, 0.3f, 0.4f } },
    .embed_dim = 7,
  };
  seed_params_init (&net->params);
  seed_student_append_params (&net->shape, &net->params);
  net->student = seed_student_new (&net->shape, &net->params, 2 * b, TRUE, NULL, NULL);
  g_assert_nonnull (net->student);
  net->values = g_aligned_alloc0 (net->params.total, sizeof (real), 64);
  net->grads = g_aligned_alloc0 (net->params.total, sizeof (real), 64);
  seed_rng_init (&rng, 5);
  for (gsize i = 0; i < net->params.total; i++)
    net->values[i] = 0.3 * seed_rng_normal (&rng);
  words = (gsize) 2 * b * seed_vit_config_n_words (&net->shape.vit) * 3 * 8 * 8;
  net->words = g_malloc (words);
  for (gsize i = 0; i < words; i++)
    net->words[i] = (guint8) seed_rng_next (&rng);
  net->target = g_new (float, b *b);
  fill_target (&rng, net->target, b);
  net->d_z = g_new0 (real, 2 * b * net->shape.embed_dim);
  net->scratch = g_malloc (seed_similarity_scratch_size (b));
}

static void
net_clear (Net *net)
{
  seed_student_free (net->student);
  seed_params_clear (&net->params);
  g_aligned_free (net->values);
  g_aligned_free (net->grads);
  g_free (net->words);
  g_free (net->target);
  g_free (net->d_z);
  g_free (net->scratch);
}

static double
net_loss (Net *net, real *d_z)
{
  const real *z;

  seed_student_set_values (net->student, net->values);
  z = seed_student_forward (net->student, net->words, 2 * net->b, NULL);

  return seed_similarity_loss (
      z, net->target, net->b, net->shape.embed_dim, TAU, d_z, net->scratch);
}

static void
check_parameter (Net *net, const SeedParam *param, gsize i)
{
  real *value = net->values + param->offset + i, kept = *value;
  real analytic = net->grads[param->offset + i];
  double up, down, numeric;

  *value = kept + STEP;
  up = net_loss (net, NULL);
  *value = kept - STEP;
  down = net_loss (net, NULL);
  *value = kept;
  numeric = (up - down) / (2 * STEP);
  if (fabs (numeric - analytic) > 1e-5 * (1e-2 + fabs (numeric)))
    g_error ("%s[%" G_GSIZE_FORMAT "]: %g by differences, %g by backward", param->name, i, numeric,
        analytic);
}

static void
test_whole_network (void)
{
  Net net;

  net_init (&net, 3);
  net_loss (&net, net.d_z);
  seed_student_d_hidden (net.student);
  seed_student_backward (net.student, net.d_z, net.grads);
  for (guint p = 0; p < net.params.n; p++)
    for (gsize i = 0; i < net.params.items[p].size; i += 1 + net.params.items[p].size / 64)
      check_parameter (&net, &net.params.items[p], i);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/similarity/equals-formula", test_similarity_equals_formula);
  g_test_add_func ("/similarity/gradient", test_similarity_gradient);
  g_test_add_func ("/similarity/zero-at-target", test_similarity_zero_at_target);
  g_test_add_func ("/student/every-gradient", test_whole_network);
  return g_test_run ();
}

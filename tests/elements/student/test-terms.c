/* SPDX-License-Identifier: MIT */
/* Every term of the loss alone, built in double: its value against the formula of its header
 * written out plainly, its gradient against central differences. */
#include <string.h>

#include "differences.h"
#include "student/adaptor.h"
#include "student/classify.h"
#include "student/contrast.h"
#include "student/embed-queue.h"
#include "student/feature-loss.h"

/* ---- features ---- */

enum { ROWS = 5, DIM = 7 };

typedef struct {
  const SeedFeatureWeights *weights;
  real y[ROWS * DIM], target[ROWS * DIM], d_y[ROWS * DIM], row_loss[ROWS];
} Features;

static double
feature_loss (gpointer data)
{
  Features *f = data;
  double sum = 0;

  seed_feature_loss (f->weights, f->y, f->target, ROWS, DIM, 0.3, f->row_loss, NULL);
  for (guint i = 0; i < ROWS; i++)
    sum += 0.3 * f->row_loss[i];
  return sum;
}

static double
plain_feature_loss (const SeedFeatureWeights *weights, const real *y, const real *t)
{
  double yy = 0, tt = 0, yt = 0, smooth = 0;

  for (guint k = 0; k < DIM; k++) {
    double e = fabs (y[k] - t[k]);

    yy += y[k] * y[k];
    tt += t[k] * t[k];
    yt += y[k] * t[k];
    smooth += (e < 1 ? e * e / 2 : e - 0.5) / DIM;
  }
  return weights->w_cos * (1 - yt / sqrt (yy * tt)) + weights->w_smooth * smooth;
}

static void
test_features (gconstpointer weights)
{
  Features f = { .weights = weights };
  SeedRng rng;

  seed_rng_init (&rng, 21);
  fill_normal (&rng, f.y, ROWS * DIM, 1.5);
  fill_normal (&rng, f.target, ROWS * DIM, 1.5);
  seed_feature_loss (f.weights, f.y, f.target, ROWS, DIM, 0.3, f.row_loss, f.d_y);
  for (guint i = 0; i < ROWS; i++)
    g_assert_cmpfloat_with_epsilon (
        f.row_loss[i], plain_feature_loss (weights, f.y + i * DIM, f.target + i * DIM), 1e-12);
  check_gradient ("y", f.y, f.d_y, ROWS * DIM, 1, feature_loss, &f);
}

static void
test_features_without_direction (void)
{
  real y[DIM] = { 0 }, target[DIM] = { 1 }, loss, d[DIM];

  seed_feature_loss (&seed_feature_summary, y, target, 1, DIM, 1, &loss, d);
  g_assert_cmpfloat (loss, ==, 1);
  seed_feature_loss (&seed_feature_summary, target, target, 1, DIM, 1, &loss, d);
  g_assert_cmpfloat_with_epsilon (loss, 0, 1e-12);
}

/* ---- queue ---- */

enum { N = 4, K = 9 };

typedef struct {
  SeedEmbedQueue queue;
  SeedLayers layers;
  real z[N * DIM], teacher[N * DIM], d_z[N * DIM], row_loss[N];
  real *scratch;
} Queue;

static double
queue_loss (gpointer data)
{
  Queue *q = data;
  double sum = 0;

  seed_embed_queue_loss (
      &q->queue, &q->layers, q->z, q->teacher, N, 0.5, q->row_loss, NULL, q->scratch);
  for (guint i = 0; i < N; i++)
    sum += 0.5 * q->row_loss[i];
  return sum;
}

static double
plain_queue_loss (const Queue *q, guint row)
{
  double s[K + 1], t[K + 1], sum_s = 0, sum_t = 0, loss = 0;

  for (guint j = 0; j <= q->queue.count; j++) {
    const real *d = j == 0 ? q->teacher + row * DIM : q->queue.rows + (j - 1) * DIM;

    s[j] = t[j] = 0;
    for (guint k = 0; k < DIM; k++) {
      s[j] += q->z[row * DIM + k] * d[k];
      t[j] += q->teacher[row * DIM + k] * d[k];
    }
    sum_s += exp (s[j] / 0.2);
    sum_t += exp (t[j] / 0.01);
  }
  for (guint j = 0; j <= q->queue.count; j++)
    loss -= exp (t[j] / 0.01) / sum_t * log (exp (s[j] / 0.2) / sum_s);
  return loss;
}

static void
queue_init (Queue *q, guint held)
{
  g_autofree real *rows = g_new0 (real, (gsize) MAX (held, 1) * DIM);
  SeedRng rng;

  memset (q, 0, sizeof *q);
  seed_rng_init (&rng, 22);
  seed_embed_queue_init (&q->queue, DIM, K);
  q->layers = seed_layers (NULL);
  q->scratch = seed_reals_new (seed_embed_queue_scratch_size (N, K));
  fill_unit (&rng, q->z, N, DIM);
  fill_unit (&rng, q->teacher, N, DIM);
  fill_unit (&rng, rows, held, DIM);
  for (guint i = 0; i < held; i++) /* near some teacher's rows, or the softmax sees one alone */
    for (guint k = 0; k < DIM; k++)
      rows[i * DIM + k] = q->teacher[i % N * DIM + k] + 0.05 * rows[i * DIM + k];
  seed_embed_queue_push (&q->queue, rows, held);
}

static void
queue_clear (Queue *q)
{
  seed_embed_queue_clear (&q->queue);
  g_aligned_free (q->scratch);
}

static void
test_queue (gconstpointer held)
{
  Queue q;

  queue_init (&q, GPOINTER_TO_UINT (held));
  seed_embed_queue_loss (&q.queue, &q.layers, q.z, q.teacher, N, 0.5, q.row_loss, q.d_z, q.scratch);
  for (guint i = 0; i < N; i++)
    g_assert_cmpfloat_with_epsilon (q.row_loss[i], plain_queue_loss (&q, i), 1e-9);
  check_gradient ("z", q.z, q.d_z, N * DIM, 1, queue_loss, &q);
  queue_clear (&q);
}

static void
test_queue_is_first_in_first_out (void)
{
  SeedEmbedQueue queue;
  real row[2];

  seed_embed_queue_init (&queue, 2, 3);
  for (guint i = 0; i < 5; i++) {
    row[0] = row[1] = i;
    seed_embed_queue_push (&queue, row, 1);
    g_assert_cmpuint (queue.count, ==, MIN (i + 1, 3));
  }
  g_assert_cmpfloat (queue.rows[0], ==, 3); /* 3 4 2 */
  g_assert_cmpfloat (queue.rows[2], ==, 4);
  g_assert_cmpfloat (queue.rows[4], ==, 2);
  seed_embed_queue_clear (&queue);
}

/* ---- classes ---- */

enum { ITEMS = 4, VIEWS = 2, CLASSES = 3 };

typedef struct {
  SeedClassTargets targets;
  real logits[ITEMS * VIEWS * CLASSES], d[ITEMS * VIEWS * CLASSES];
} Classes;

static double
class_loss (gpointer data)
{
  Classes *c = data;

  return seed_classify_loss (&c->targets, c->logits, NULL).loss;
}

static double
plain_class_loss (const Classes *c)
{
  double loss = 0;
  guint n = 0;

  for (guint i = 0; i < ITEMS; i++)
    for (guint v = 0; c->targets.labels[i] >= 0 && v < VIEWS; v++, n++) {
      const real *x = c->logits + (i * VIEWS + v) * CLASSES;
      double sum = 0, share = c->targets.others ? c->targets.share : 1;

      for (guint k = 0; k < CLASSES; k++)
        sum += exp (x[k]);
      for (guint k = 0; k < CLASSES; k++)
        loss -= log (exp (x[k]) / sum) * c->targets.smoothing / CLASSES;
      loss -= log (exp (x[c->targets.labels[i]]) / sum) * (1 - c->targets.smoothing) * share;
      if (c->targets.others)
        loss -=
            log (exp (x[c->targets.others[i]]) / sum) * (1 - c->targets.smoothing) * (1 - share);
    }
  return loss / n;
}

static void
test_classes (void)
{
  static const gint32 labels[ITEMS] = { 2, -1, 0, 1 }, others[ITEMS] = { 0, -1, 2, 1 };
  Classes c = { .targets = { ITEMS, VIEWS, CLASSES, labels, others, 0.7, 0.1 } };
  SeedClassResult result;
  SeedRng rng;

  seed_rng_init (&rng, 23);
  fill_normal (&rng, c.logits, G_N_ELEMENTS (c.logits), 2);
  for (guint mixed = 0; mixed < 2; mixed++) {
    c.targets.others = mixed ? others : NULL;
    result = seed_classify_loss (&c.targets, c.logits, c.d);
    g_assert_cmpuint (result.n_items, ==, 3);
    g_assert_cmpfloat_with_epsilon (result.loss, plain_class_loss (&c), 1e-12);
    check_gradient ("logits", c.logits, c.d, G_N_ELEMENTS (c.logits), 1, class_loss, &c);
  }
  for (guint k = 0; k < VIEWS * CLASSES; k++) /* the unlabelled one */
    g_assert_cmpfloat (c.d[VIEWS * CLASSES + k], ==, 0);
}

static void
test_classes_counts_correct (void)
{
  static const gint32 labels[2] = { 0, 1 };
  const SeedClassTargets targets = { 2, 1, 2, labels, NULL, 1, 0 };
  real logits[4] = { 1, 0, 5, 0 };

  g_assert_cmpuint (seed_classify_loss (&targets, logits, NULL).n_correct, ==, 1);
}

/* ---- captions ---- */

typedef struct {
  real z[N * 2 * DIM], t[N * DIM], d_z[N * 2 * DIM], d_t[N * DIM], scale, d_scale;
  gboolean same[N * N];
  real *scratch;
} Contrast;

static double
contrast_loss (gpointer data)
{
  Contrast *c = data;

  return 0.6 * seed_contrast_loss (c->z, 2 * DIM, c->t, c->same, N, DIM, c->scale, 0.6, NULL, NULL,
                   NULL, c->scratch);
}

static double
plain_contrast_loss (const Contrast *c)
{
  double loss = 0;

  for (guint way = 0; way < 2; way++)
    for (guint i = 0; i < N; i++) {
      double sum = 0, right = 0;

      for (guint j = 0; j < N; j++) {
        guint row = way ? j : i, column = way ? i : j;
        double s = 0;

        for (guint k = 0; k < DIM; k++)
          s += exp (c->scale) * c->z[row * 2 * DIM + k] * c->t[column * DIM + k];
        if (!c->same[row * N + column])
          sum += exp (s);
        if (i == j)
          right = s;
      }
      loss += (log (sum) - right) / (2 * N);
    }
  return loss;
}

static void
test_contrast (void)
{
  Contrast c = { .scale = 1.3 };
  double d_scale = 0;
  SeedRng rng;

  seed_rng_init (&rng, 24);
  fill_normal (&rng, c.z, N * 2 * DIM, 0.5);
  fill_unit (&rng, c.t, N, DIM);
  c.same[1] = c.same[N] = TRUE; /* 0 and 1 have one caption */
  c.scratch = seed_reals_new (seed_contrast_scratch_size (N));
  g_assert_cmpfloat_with_epsilon (seed_contrast_loss (c.z, 2 * DIM, c.t, c.same, N, DIM, c.scale,
                                      0.6, c.d_z, c.d_t, &d_scale, c.scratch),
      plain_contrast_loss (&c), 1e-12);
  c.d_scale = d_scale;
  check_gradient ("z", c.z, c.d_z, N * 2 * DIM, 1, contrast_loss, &c);
  check_gradient ("t", c.t, c.d_t, N * DIM, 1, contrast_loss, &c);
  check_gradient ("scale", &c.scale, &c.d_scale, 1, 1, contrast_loss, &c);
  g_aligned_free (c.scratch);
}

/* ---- adaptor ---- */

enum { IN = 5, HIDDEN = 6, OUT = 4, MANY = 70 }; /* rows enough for several parts of a norm */

typedef struct {
  SeedParams params;
  SeedAdaptor *adaptor;
  real *values, *grads;
  real x[MANY * IN], d_x[MANY * IN], weights[MANY * OUT];
} Adapted;

static double
adapted_loss (gpointer data)
{
  Adapted *a = data;
  const real *y = seed_adaptor_forward (a->adaptor, a->values, a->x, MANY);
  double sum = 0;

  for (guint i = 0; i < MANY * OUT; i++)
    sum += a->weights[i] * y[i];
  return sum;
}

static void
test_adaptor (void)
{
  Adapted *a = g_new0 (Adapted, 1);
  SeedRng rng;

  seed_rng_init (&rng, 25);
  seed_adaptor_append_params (&a->params, "teacher.0.summary", IN, HIDDEN, OUT);
  g_assert_cmpuint (a->params.n, ==, 12);
  a->adaptor = seed_adaptor_new (&a->params, "teacher.0.summary", MANY, NULL);
  a->values = seed_reals_new (a->params.total);
  a->grads = seed_reals_new (a->params.total);
  fill_normal (&rng, a->values, a->params.total, 0.5);
  fill_normal (&rng, a->x, MANY * IN, 1);
  fill_normal (&rng, a->weights, MANY * OUT, 1);
  adapted_loss (a);
  seed_adaptor_backward (a->adaptor, a->values, a->weights, a->d_x, a->grads);
  check_gradient ("x", a->x, a->d_x, MANY * IN, 1, adapted_loss, a);
  for (guint p = 0; p < a->params.n; p++)
    check_gradient (a->params.items[p].name, a->values + a->params.items[p].offset,
        a->grads + a->params.items[p].offset, a->params.items[p].size, 1, adapted_loss, a);
  seed_adaptor_free (a->adaptor);
  seed_params_clear (&a->params);
  g_aligned_free (a->values);
  g_aligned_free (a->grads);
  g_free (a);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/features/summary", &seed_feature_summary, test_features);
  g_test_add_data_func ("/features/tokens", &seed_feature_tokens, test_features);
  g_test_add_func ("/features/without-direction", test_features_without_direction);
  g_test_add_data_func ("/queue/empty", GUINT_TO_POINTER (0), test_queue);
  g_test_add_data_func ("/queue/filling", GUINT_TO_POINTER (5), test_queue);
  g_test_add_data_func ("/queue/full", GUINT_TO_POINTER (14), test_queue);
  g_test_add_func ("/queue/first-in-first-out", test_queue_is_first_in_first_out);
  g_test_add_func ("/classes/gradient", test_classes);
  g_test_add_func ("/classes/counts-correct", test_classes_counts_correct);
  g_test_add_func ("/captions/gradient", test_contrast);
  g_test_add_func ("/adaptor/gradient", test_adaptor);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
/* The whole loss through the student, built in double: every parameter of the network and of every
 * head against central differences. */
#include "differences.h"
#include "student/learner.h"

enum { B = 3, E = 7, D = 6, DT = 5, WORDS = 4, CLASSES = 3, TEXT = 5 };

typedef struct {
  SeedLearnerConfig config;
  SeedParams params;
  SeedLearner *learner;
  SeedEmbedQueue queues[2];
  real *values, *grads;
  guint8 words[2 * B * WORDS * 3 * 8 * 8];
  float target[B * B];
  real summary[2][2 * B * D], tokens[2 * B * WORDS * DT], captions[B * TEXT];
  real *ema;
  SeedAnchorsView views[2 * B];
  guint64 frames[B];
  SeedAnchorTermBatch anchors;
  SeedDistilTarget targets[2];
  SeedLearnerBatch batch;
  SeedLearnerReport report;
} Net;

static const gint32 labels[B] = { 1, -1, 2 };
static const gboolean has_caption[B] = { TRUE, FALSE, TRUE };

static void
fill_batch (Net *net, SeedRng *rng)
{
  for (gsize i = 0; i < sizeof net->words; i++)
    net->words[i] = (guint8) seed_rng_next (rng);
  for (guint i = 0; i < B * B; i++)
    net->target[i] = (float) seed_rng_uniform (rng);
  fill_normal (rng, net->summary[0], 2 * B * D, 1);
  fill_normal (rng, net->summary[1], 2 * B * D, 1);
  fill_normal (rng, net->tokens, 2 * B * WORDS * DT, 1);
  fill_normal (rng, net->captions, B * TEXT, 1);
  net->ema = seed_reals_new (net->params.total);
  fill_normal (rng, net->ema, net->params.total, 0.3);
  for (guint i = 0; i < B; i++) {
    net->frames[i] = seed_rng_next (rng);
    net->views[2 * i] = (SeedAnchorsView){ 0, 0, 1, 1, FALSE };
    net->views[2 * i + 1] = (SeedAnchorsView){ 0.1 * i, 0.2, 0.6, 0.8, i == 1 };
  }
  net->anchors = (SeedAnchorTermBatch){ net->ema, net->views, net->frames, net->frames };
  net->targets[0] = (SeedDistilTarget){ net->summary[0], net->tokens };
  net->targets[1] = (SeedDistilTarget){ net->summary[1], NULL };
  net->batch = (SeedLearnerBatch){ .b = B, .words = net->words };
}

static Net *
net_new (SeedObjective objective)
{
  static const SeedDistilTeacher teachers[2] = { { D, DT }, { D, 0 } };
  Net *net = g_new0 (Net, 1);
  real rows[4 * D];
  SeedRng rng;

  seed_rng_init (&rng, 31);
  seed_learner_config_init (&net->config);
  net->config.shape = (SeedStudentShape){ .vit = { .image_size = 16,
                                              .patch_size = 8,
                                              .dim = 12,
                                              .depth = 2,
                                              .heads = 3,
                                              .mlp_dim = 20,
                                              .ln_eps = 1e-6,
                                              .activation = SEED_ACTIVATION_GELU,
                                              .std = { 1, 1, 1 } },
    .embed_dim = E };
  net->config.objective = objective;
  net->config.anchors.min_frames = B;
  net->config.w_anchor = 1.1;
  net->config.w_histogram = 0.6;
  net->config.queue_size = 5;
  net->config.n_classes = CLASSES;
  net->config.text_dim = TEXT;
  seed_learner_config_complete (&net->config);
  net->config.w_sim = 0.7;
  net->config.w_seed = 0.6;
  net->config.w_feat = 1.2;
  net->config.w_labels = 0.8;
  net->config.w_captions = 0.9;
  g_assert_true (seed_learner_config_check (&net->config, NULL));
  seed_learner_append_params (&net->config, &net->params);
  for (guint t = 0; t < 2; t++) {
    seed_learner_append_teacher_params (&net->config, &teachers[t], t, &net->params);
    seed_embed_queue_init (&net->queues[t], D, 5);
    fill_unit (&rng, rows, 4, D);
    seed_embed_queue_push (&net->queues[t], rows, 4);
  }
  net->learner =
      seed_learner_new (&net->config, &net->params, teachers, 2, net->queues, B, NULL, NULL);
  g_assert_nonnull (net->learner);
  net->values = seed_reals_new (net->params.total);
  net->grads = seed_reals_new (net->params.total);
  fill_normal (&rng, net->values, net->params.total, 0.3);
  fill_batch (net, &rng);
  return net;
}

static void
net_free (Net *net)
{
  seed_learner_free (net->learner);
  for (guint t = 0; t < 2; t++)
    seed_embed_queue_clear (&net->queues[t]);
  seed_params_clear (&net->params);
  g_aligned_free (net->values);
  g_aligned_free (net->grads);
  g_aligned_free (net->ema);
  g_free (net);
}

/* The same draws every time, or dropping would change the loss. */
static gboolean
run (Net *net, real *grads)
{
  SeedRng rng;

  seed_rng_init (&rng, 1);
  return seed_learner_loss (net->learner, net->values, &net->batch, &rng, &net->report, grads);
}

static double
total (gpointer data)
{
  Net *net = data;

  run (net, NULL);
  return net->report.total;
}

static void
check_some (Net *net, guint of_each)
{
  g_assert_true (run (net, net->grads));
  for (guint p = 0; p < net->params.n; p++) {
    const SeedParam *param = &net->params.items[p];

    if (g_str_equal (param->name, "anchors"))
      continue; /* the assignment, a constant of the loss, moves with them: see test-anchor-term.c
                 */
    check_gradient (param->name, net->values + param->offset, net->grads + param->offset,
        param->size, 1 + param->size / of_each, total, net);
  }
}

static void
check_all (Net *net)
{
  check_some (net, 24);
}

static void
test_everything (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL | SEED_OBJECTIVE_LABELS | SEED_OBJECTIVE_CAPTIONS);
  const SeedLearnerReport *report = &net->report;
  double kept;

  net->batch.target = net->target;
  net->batch.teachers = net->targets;
  net->batch.labels = labels;
  net->batch.captions = net->captions;
  net->batch.has_caption = has_caption;
  check_all (net);
  kept = report->teachers[0].kept + report->teachers[1].kept;
  g_assert_cmpfloat (kept, >=, 1);
  g_assert_cmpfloat (kept, <, 2); /* somebody was dropped */
  g_assert_cmpuint (report->n_labelled, ==, 2);
  g_assert_cmpuint (report->n_captioned, ==, 2);
  g_assert_true (isnan (report->teachers[1].tokens));
  net_free (net);
}

/* Anchors beside everything else: one network, the sum of the gradients. */
static void
test_everything_and_anchors (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL | SEED_OBJECTIVE_LABELS | SEED_OBJECTIVE_ANCHORS);

  net->batch.target = net->target;
  net->batch.teachers = net->targets;
  net->batch.labels = labels;
  net->batch.anchors = &net->anchors;
  check_some (net, 4);
  g_assert_cmpuint (net->report.anchor_losses.n_matched, >, 0);
  g_assert_false (net->report.anchors_refused);
  net_free (net);
}

static void
test_anchors_alone (void)
{
  Net *net = net_new (SEED_OBJECTIVE_ANCHORS);
  const SeedLearnerReport *report = &net->report;

  net->batch.anchors = &net->anchors;
  check_some (net, 4);
  g_assert_cmpfloat_with_epsilon (
      report->total, 1.1 * report->anchors + 0.6 * report->histogram, 1e-9);
  g_assert_true (isnan (report->similarity) && isnan (report->agreement));
  net->frames[1] = net->frames[0]; /* one frame less */
  g_assert_false (run (net, NULL));
  g_assert_true (report->anchors_refused && isnan (report->anchors));
  net_free (net);
}

/* A student that is as its teachers say agrees fully, one that is the opposite not at all. */
static void
test_agreement (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL);
  SeedLearnerReport report;

  net->batch.target = net->target;
  run (net, NULL);
  report = net->report;
  g_assert_cmpfloat_with_epsilon (report.agreement, exp (-report.similarity / 2), 1e-12);
  net->batch.teachers = net->targets;
  run (net, NULL);
  report = net->report;
  g_assert_cmpfloat_with_epsilon (report.agreement,
      (exp (-report.similarity / 2) + CLAMP (1 - report.teachers[0].summary, 0, 1) +
          CLAMP (1 - report.teachers[1].summary, 0, 1)) /
          3,
      1e-12);
  net_free (net);
}

/* Without dropping the total is what the header says of the terms. */
static void
test_total (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL | SEED_OBJECTIVE_LABELS);
  const SeedLearnerReport *report = &net->report;

  seed_learner_free (net->learner);
  net->config.teacher_drop = 0;
  net->learner = seed_learner_new (&net->config, &net->params,
      (SeedDistilTeacher[]){ { D, DT }, { D, 0 } }, 2, net->queues, B, NULL, NULL);
  net->batch.target = net->target;
  net->batch.teachers = net->targets;
  net->batch.labels = labels;
  g_assert_true (run (net, NULL));
  g_assert_cmpfloat_with_epsilon (report->total,
      0.7 * report->similarity + 0.6 * report->seed + 1.2 * report->features + 0.8 * report->labels,
      1e-9);
  g_assert_true (isnan (report->captions));
  net_free (net);
}

static void
test_target_alone (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL);

  net->batch.target = net->target;
  check_all (net);
  g_assert_true (isnan (net->report.seed) && isnan (net->report.features));
  net_free (net);
}

static void
test_teachers_alone (void)
{
  Net *net = net_new (SEED_OBJECTIVE_DISTIL);

  net->batch.teachers = net->targets;
  check_all (net);
  g_assert_true (isnan (net->report.similarity));
  net_free (net);
}

static void
test_nothing (void)
{
  static const gint32 none[B] = { -1, -1, -1 };
  Net *net = net_new (SEED_OBJECTIVE_LABELS);

  net->batch.labels = none;
  g_assert_false (run (net, net->grads));
  for (gsize i = 0; i < net->params.total; i++)
    g_assert_cmpfloat (net->grads[i], ==, 0);
  net_free (net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learner/everything", test_everything);
  g_test_add_func ("/learner/everything-and-anchors", test_everything_and_anchors);
  g_test_add_func ("/learner/anchors-alone", test_anchors_alone);
  g_test_add_func ("/learner/agreement", test_agreement);
  g_test_add_func ("/learner/total", test_total);
  g_test_add_func ("/learner/target-alone", test_target_alone);
  g_test_add_func ("/learner/teachers-alone", test_teachers_alone);
  g_test_add_func ("/learner/nothing", test_nothing);
  return g_test_run ();
}

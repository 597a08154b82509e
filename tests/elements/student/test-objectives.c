/* SPDX-License-Identifier: MIT */
/* Every objective learns, alone and together; what cannot be is refused. */
#include <math.h>

#include <seed/error.h>

#include "student/mixup.h"
#include "trainer-stand.h"

enum { STEPS = 120, TEXT = 5 };

typedef struct {
  gboolean target, teachers, labels, captions;
} Parts;

static void
fill_captions (const StandBatch *stand, float *captions)
{
  for (guint i = 0; i < STAND_BATCH; i++) {
    SeedRng rng;

    /* of what the picture shows; each differs a little */
    seed_rng_init (&rng, seed_hash (55, (guint64) stand->labels[i]));
    for (guint k = 0; k < TEXT; k++)
      captions[i * TEXT + k] = (float) (seed_rng_normal (&rng) + 1e-3 * i);
  }
}

/* The means of the total over the first and the last ten steps. */
static void
learn (SeedTrainer *trainer, Parts parts, double *first, double *last, SeedTrainerReport *report)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);
  float captions[STAND_BATCH * TEXT];

  *first = *last = 0;
  for (guint i = 0; i < STEPS; i++) {
    stand_fill (stand, i);
    fill_captions (stand, captions);
    if (!parts.target)
      stand->batch.target = NULL;
    if (!parts.teachers)
      stand->batch.teachers = NULL;
    stand->batch.labels = parts.labels ? stand->labels : NULL;
    stand->batch.captions = parts.captions ? captions : NULL;
    g_assert_true (seed_trainer_step (trainer, &stand->batch, report, NULL));
    g_assert_true (report->learned);
    if (i < 10)
      *first += report->losses.total / 10;
    if (i >= STEPS - 10)
      *last += report->losses.total / 10;
  }
}

static SeedTrainer *
plain_trainer (const SeedTrainerConfig *config)
{
  SeedTrainer *trainer = seed_trainer_new (config, NULL);

  g_assert_nonnull (trainer);
  g_assert_true (seed_trainer_reserve (trainer, STAND_BATCH, NULL));
  return trainer;
}

static void
test_teachers (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);
  SeedTrainerReport report;
  double first, last;

  learn (trainer, (Parts){ .teachers = TRUE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, 0.8 * first);
  g_assert_cmpfloat (report.losses.teachers[0].summary, <, 0.5);
  g_assert_cmpfloat (report.losses.teachers[1].summary, <, 0.5);
  g_assert_true (isnan (report.losses.similarity));
}

static void
test_target_and_teachers (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);
  SeedTrainerReport report;
  double first, last;

  learn (trainer, (Parts){ .target = TRUE, .teachers = TRUE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, first);
  g_assert_cmpfloat (report.losses.similarity, >, 0);
  g_assert_cmpfloat (report.losses.seed, >, 0);
  g_assert_cmpfloat (report.losses.features, >, 0);
}

static void
test_labels (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL;
  SeedTrainerReport report;
  double first, last;

  config.learner.objective = SEED_OBJECTIVE_LABELS;
  config.learner.n_classes = STAND_CLASSES;
  trainer = plain_trainer (&config);
  learn (trainer, (Parts){ .labels = TRUE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, 0.6 * first);
  g_assert_cmpfloat (report.losses.accuracy, ==, 1);
  g_assert_cmpuint (report.losses.n_labelled, ==, STAND_BATCH - 1);
}

static void
test_labels_mixed (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL;
  SeedTrainerReport report;
  double first, last;

  config.learner.objective = SEED_OBJECTIVE_LABELS;
  config.learner.n_classes = STAND_CLASSES;
  config.mixup = 0.2;
  trainer = plain_trainer (&config);
  learn (trainer, (Parts){ .labels = TRUE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, 0.8 * first);
}

static void
test_captions (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL;
  SeedTrainerReport report;
  double first, last;

  config.learner.objective = SEED_OBJECTIVE_CAPTIONS;
  config.learner.text_dim = TEXT;
  trainer = plain_trainer (&config);
  learn (trainer, (Parts){ .captions = TRUE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, 0.8 * first);
  g_assert_cmpfloat (report.losses.caption_scale, <=, 100);
  g_assert_cmpfloat (report.losses.caption_scale, >=, 1);
}

static void
test_together (void)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL;
  SeedTrainerReport report;
  double first, last;

  config.learner.objective = SEED_OBJECTIVE_DISTIL | SEED_OBJECTIVE_LABELS;
  config.learner.n_classes = STAND_CLASSES;
  trainer = stand_trainer (&config);
  learn (trainer, (Parts){ TRUE, TRUE, TRUE, FALSE }, &first, &last, &report);
  g_assert_cmpfloat (last, <, first);
  g_assert_cmpfloat (report.losses.accuracy, >, 0.5);
}

/* Without a label there is nothing to learn; nothing changes, and no random number is used up. */
static void
test_unlabelled (void)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL, other = NULL;
  SeedTrainerReport report;
  double a[2], b[2];

  config.learner.objective = SEED_OBJECTIVE_LABELS;
  config.learner.n_classes = STAND_CLASSES;
  config.mixup = 0.2;
  trainer = plain_trainer (&config);
  other = plain_trainer (&config);
  stand_fill (stand, 0);
  for (guint i = 0; i < STAND_BATCH; i++)
    stand->labels[i] = -1;
  stand->batch.labels = stand->labels;
  g_assert_true (seed_trainer_step (trainer, &stand->batch, &report, NULL));
  g_assert_false (report.learned);
  g_assert_cmpuint (report.step, ==, 0);
  learn (trainer, (Parts){ .labels = TRUE }, &a[0], &a[1], &report);
  learn (other, (Parts){ .labels = TRUE }, &b[0], &b[1], &report);
  g_assert_cmpmem (a, sizeof a, b, sizeof b);
}

static void
test_label_beyond_classes (void)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = NULL;
  g_autoptr (GError) error = NULL;
  SeedTrainerReport report;

  config.learner.objective = SEED_OBJECTIVE_LABELS;
  config.learner.n_classes = STAND_CLASSES;
  trainer = plain_trainer (&config);
  stand_fill (stand, 0);
  stand->labels[3] = STAND_CLASSES;
  stand->batch.labels = stand->labels;
  g_assert_false (seed_trainer_step (trainer, &stand->batch, &report, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "item 3"));
}

/* A teacher that says NaN spoils no weights and no queue. */
static void
test_not_finite (void)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config), other = stand_trainer (&config);
  g_autoptr (GError) error = NULL;
  SeedTrainerReport a, b;

  stand_step (trainer);
  stand_step (other);
  stand_fill (stand, 1);
  stand->summary0[5] = NAN;
  g_assert_false (seed_trainer_step (trainer, &stand->batch, &a, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  a = stand_step (trainer);
  b = stand_step (other);
  g_assert_cmpmem (&a.losses, sizeof (double), &b.losses, sizeof (double));
  g_assert_cmpfloat (a.grad_norm, ==, b.grad_norm);
}

static void
assert_refused (const SeedTrainerConfig *config, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_trainer_new (config, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, text));
}

static void
test_refused (void)
{
  SeedTrainerConfig config = stand_config ();

  config.mixup = 0.2;
  assert_refused (&config, "mixup");
  config = stand_config ();
  config.learner.objective = SEED_OBJECTIVE_LABELS;
  assert_refused (&config, "classes");
  config.learner.objective = SEED_OBJECTIVE_CAPTIONS;
  assert_refused (&config, "text-model");
}

static void
test_names (void)
{
  static const struct {
    const char *text, *says;
  } bad[] = { { "", "empty" }, { "distill", "unknown objective 'distill'" },
    { "distil+", "unknown objective ''" }, { "labels+labels", "twice" },
    { "distil+anchors", "not in this build" } };
  SeedObjective objective = 0;

  g_assert_true (seed_objective_parse ("captions", &objective, NULL));
  g_assert_cmpuint (objective, ==, SEED_OBJECTIVE_CAPTIONS);
  g_assert_true (seed_objective_parse ("labels + distil", &objective, NULL));
  g_assert_cmpuint (objective, ==, SEED_OBJECTIVE_LABELS | SEED_OBJECTIVE_DISTIL);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (seed_objective_parse (bad[i].text, &objective, &error));
    g_assert_nonnull (strstr (error->message, bad[i].says));
  }
  g_assert_cmpuint (objective, ==, SEED_OBJECTIVE_LABELS | SEED_OBJECTIVE_DISTIL);
}

/* ---- mixup ---- */

static void
test_share (void)
{
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint a = 0; a < 2; a++) {
    double alpha = a ? 0.2 : 2, mean = 0, square = 0;

    for (guint i = 0; i < 20000; i++) {
      double share = seed_mixup_share (&rng, alpha);

      g_assert_true (share >= 0 && share <= 1);
      mean += share / 20000;
      square += share * share / 20000;
    }
    g_assert_cmpfloat_with_epsilon (mean, 0.5, 0.02);
    g_assert_cmpfloat_with_epsilon (square - mean * mean, 1 / (4 * (2 * alpha + 1)), 0.01);
  }
}

static void
test_mixup (void)
{
  static const gint32 labels[4] = { 0, -1, 1, 2 };
  guint8 words[4 * 3] = { 0, 0, 0, 9, 9, 9, 100, 100, 100, 200, 200, 200 }, mixed[4 * 3];
  gint32 others[4];
  SeedRng rng;

  seed_rng_init (&rng, 4);
  for (guint round = 0; round < 50; round++) {
    double share = seed_mixup (&rng, 1, words, 3, labels, 4, mixed, others);

    g_assert_cmpint (others[1], ==, -1);
    g_assert_cmpmem (mixed + 3, 3, words + 3, 3);
    for (guint i = 0; i < 4; i++) {
      double other = others[i] == -1 ? 9 : others[i] * 100;

      g_assert_cmpfloat_with_epsilon (
          mixed[i * 3], share * words[i * 3] + (1 - share) * other, 0.51);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/objectives/teachers", test_teachers);
  g_test_add_func ("/objectives/target-and-teachers", test_target_and_teachers);
  g_test_add_func ("/objectives/labels", test_labels);
  g_test_add_func ("/objectives/labels-mixed", test_labels_mixed);
  g_test_add_func ("/objectives/captions", test_captions);
  g_test_add_func ("/objectives/together", test_together);
  g_test_add_func ("/objectives/unlabelled", test_unlabelled);
  g_test_add_func ("/objectives/label-beyond-classes", test_label_beyond_classes);
  g_test_add_func ("/objectives/not-finite", test_not_finite);
  g_test_add_func ("/objectives/refused", test_refused);
  g_test_add_func ("/objectives/names", test_names);
  g_test_add_func ("/mixup/share", test_share);
  g_test_add_func ("/mixup/images", test_mixup);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
/*
 * What a student's heads and losses cost beside the transformer:
 *   bench-student [REPEATS [IMAGE-SIZE]]
 * prints, for each way to learn, the best time of a step and the share of it that the engine's own
 * training step (forward, backward, clip, AdamW of the transformer alone) takes. Turn about, so
 * that a busy machine disturbs both alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <seed/pool.h>

#include "nn/optim.h"
#include "student/trainer-private.h"

#define ITEMS 32
#define CLASSES 100
#define TEACHER_DIM 384

typedef struct {
  SeedTrainer *trainer;
  SeedTrainerBatch batch;
  SeedTrainerFeatures features[2];
} Learner;

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  SeedVit *vit;
  float *values, *grads, *m, *v, *d_out;
  float scale[3], shift[3];
  guint64 step;
} Engine;

static float *
random_floats (gsize n)
{
  float *x = seed_reals_new (n);
  SeedRng rng;

  seed_rng_init (&rng, n);
  for (gsize i = 0; i < n; i++)
    x[i] = (float) seed_rng_normal (&rng);
  return x;
}

static void
engine_init (Engine *engine, const char *size, guint image_size)
{
  SeedRng rng;

  memset (engine, 0, sizeof *engine);
  seed_vit_config_for_size (&engine->config, size, image_size);
  seed_vit_config_normalisation (&engine->config, engine->scale, engine->shift);
  seed_vit_append_params (&engine->config, &engine->params);
  engine->vit = seed_vit_new (&engine->config, &engine->params, 2 * ITEMS, TRUE, NULL);
  engine->values = seed_reals_new (engine->params.total);
  engine->grads = seed_reals_new (engine->params.total);
  engine->m = seed_reals_new (engine->params.total);
  engine->v = seed_reals_new (engine->params.total);
  engine->d_out = random_floats (
      2 * ITEMS * (gsize) seed_vit_config_n_rows (&engine->config) * engine->config.dim);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&engine->params, engine->values, &rng);
}

static void
engine_step (Engine *engine, const guint8 *words)
{
  memset (engine->grads, 0, engine->params.total * sizeof *engine->grads);
  seed_vit_forward (engine->vit, engine->values, engine->scale, engine->shift, words, 2 * ITEMS);
  seed_vit_backward (engine->vit, engine->values, engine->d_out, engine->grads);
  seed_gradient_clip (engine->grads, engine->params.total, 1);
  seed_adamw_step (&seed_adamw_defaults, &engine->params, ++engine->step, 1e-4, engine->grads,
      engine->m, engine->v, engine->values);
}

static void
learner_init (Learner *learner, const SeedVitConfig *vit, SeedObjective objective, guint n_teachers,
    gboolean tokens, const guint8 *words)
{
  guint grid = vit->image_size / vit->patch_size, n = grid * grid;
  SeedTrainerTeacher teachers[2];
  SeedTrainerConfig config;
  GError *error = NULL;

  memset (learner, 0, sizeof *learner);
  seed_trainer_config_init (&config);
  config.learner.shape = (SeedStudentShape){ *vit, SEED_STUDENT_EMBED_DIM };
  config.learner.objective = objective;
  config.learner.n_classes = CLASSES;
  config.calibration = 1;
  learner->trainer = seed_trainer_new (&config, &error);
  if (!learner->trainer)
    g_error ("%s", error->message);
  learner->batch = (SeedTrainerBatch){ .b = ITEMS, .words = words };
  for (guint t = 0; t < n_teachers; t++) {
    teachers[t] =
        (SeedTrainerTeacher){ "t", "s", TEACHER_DIM, tokens ? TEACHER_DIM : 0, tokens ? grid : 0 };
    learner->features[t].summary = random_floats (2 * ITEMS * TEACHER_DIM);
    if (tokens)
      learner->features[t].tokens = random_floats (2 * ITEMS * (gsize) n * TEACHER_DIM);
  }
  if (n_teachers > 0)
    learner->batch.teachers = learner->features;
  seed_trainer_set_teachers (learner->trainer, teachers, n_teachers, NULL);
  if (!seed_trainer_reserve (learner->trainer, ITEMS, &error))
    g_error ("%s", error->message);
  if (n_teachers > 0 && !seed_trainer_calibrate (learner->trainer, &learner->batch, &error))
    g_error ("%s", error->message);
}

static void
learner_clear (Learner *learner)
{
  seed_trainer_free (learner->trainer);
  for (guint t = 0; t < 2; t++) {
    g_aligned_free ((gpointer) learner->features[t].summary);
    g_aligned_free ((gpointer) learner->features[t].tokens);
  }
}

/* As after many steps; nothing is measured of an empty queue. */
static void
fill_queues (SeedTrainer *trainer)
{
  for (guint t = 0; t < trainer->n_teachers; t++) {
    SeedEmbedQueue *queue = &trainer->queues[t];
    float *rows = random_floats ((gsize) queue->capacity * queue->dim);
    float *norms = seed_reals_new (queue->capacity);

    seed_unit_rows (rows, queue->capacity, queue->dim, norms);
    seed_embed_queue_push (queue, rows, queue->capacity);
    g_aligned_free (rows);
    g_aligned_free (norms);
  }
}

static void
report (const char *title, Engine *engine, Learner *learner, const guint8 *words, guint repeats)
{
  gint64 best_engine = G_MAXINT64, best_step = G_MAXINT64;
  const guint warm = 1;
  SeedTrainerReport losses;

  fill_queues (learner->trainer);
  for (guint i = 0; i < warm + repeats; i++) {
    gint64 start = g_get_monotonic_time (), middle, end;

    if (i >= warm)
      engine_step (engine, words);
    middle = g_get_monotonic_time ();
    if (!seed_trainer_step (learner->trainer, &learner->batch, &losses, NULL))
      g_error ("%s: step failed", title);
    end = g_get_monotonic_time ();
    if (i >= warm) {
      best_engine = MIN (best_engine, middle - start);
      best_step = MIN (best_step, end - middle);
    }
  }
  printf ("%-34s step %8.2f ms   engine %8.2f ms   share %.3f\n", title, (double) best_step / 1000,
      (double) best_engine / 1000, (double) best_engine / (double) best_step);
}

int
main (int argc, char **argv)
{
  guint repeats = argc > 1 ? (guint) MAX (1, atoi (argv[1])) : 10;
  guint image_size = argc > 2 ? (guint) atoi (argv[2]) : 64;
  static const struct {
    const char *title;
    SeedObjective objective;
    gboolean target, labels, tokens;
    guint n_teachers;
  } cases[] = {
    { "similarity", SEED_OBJECTIVE_DISTIL, TRUE, FALSE, FALSE, 0 },
    { "labels", SEED_OBJECTIVE_LABELS, FALSE, TRUE, FALSE, 0 },
    { "one teacher's summary, queue", SEED_OBJECTIVE_DISTIL, FALSE, FALSE, FALSE, 1 },
    { "similarity, two with tokens, queues", SEED_OBJECTIVE_DISTIL, TRUE, FALSE, TRUE, 2 },
  };
  Engine engine;
  float *target = random_floats (ITEMS * ITEMS);
  gint32 labels[ITEMS];
  gsize size;
  guint8 *words;

  engine_init (&engine, "mini", image_size);
  size = 2 * ITEMS * (gsize) seed_vit_config_n_words (&engine.config) * 3 * 16 * 16;
  words = g_malloc (size);
  for (gsize i = 0; i < size; i++)
    words[i] = (guint8) (i * 2654435761u >> 24);
  for (guint i = 0; i < ITEMS; i++)
    labels[i] = (gint32) (i % CLASSES);
  printf ("mini, %u px, %u pairs, %s %s, %u threads\n", image_size, ITEMS,
      seed_backend_get ()->name, seed_kernels_get ()->name, seed_pool_n_threads ());
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    Learner learner;

    learner_init (
        &learner, &engine.config, cases[i].objective, cases[i].n_teachers, cases[i].tokens, words);
    learner.batch.target = cases[i].target ? target : NULL;
    learner.batch.labels = cases[i].labels ? labels : NULL;
    report (cases[i].title, &engine, &learner, words, repeats);
    learner_clear (&learner);
  }
  return 0;
}

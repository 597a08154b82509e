/* SPDX-License-Identifier: MIT */
/* The cut detector on streams that are made up: shots with noise, and what lies between them. */
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/rng.h>

#include "anchors/cuts.h"

#define BINS 32
#define DIM 24
#define MAX_FRAMES 600

typedef struct {
  float histogram[BINS], embedding[DIM];
} Frame;

typedef struct {
  SeedRng rng;
  double noise;
  guint n;
  Frame frames[MAX_FRAMES];
} Film;

static void
film_init (Film *film, guint64 seed)
{
  *film = (Film){ .noise = 0.02 };
  seed_rng_init (&film->rng, seed);
}

static Frame
new_scene (Film *film)
{
  Frame scene;

  for (guint i = 0; i < BINS; i++)
    scene.histogram[i] = (float) pow (seed_rng_uniform (&film->rng), 4);
  for (guint i = 0; i < DIM; i++)
    scene.embedding[i] = (float) seed_rng_normal (&film->rng);
  return scene;
}

static Frame
blend (const Frame *a, const Frame *b, double share)
{
  Frame mixed;

  for (guint i = 0; i < BINS; i++)
    mixed.histogram[i] = (float) ((1 - share) * a->histogram[i] + share * b->histogram[i]);
  for (guint i = 0; i < DIM; i++)
    mixed.embedding[i] = (float) ((1 - share) * a->embedding[i] + share * b->embedding[i]);
  return mixed;
}

/* With noise, and as histograms are. */
static void
add (Film *film, const Frame *scene)
{
  Frame *frame = &film->frames[film->n++];
  float mass = 0;

  g_assert_cmpuint (film->n, <=, MAX_FRAMES);
  for (guint i = 0; i < BINS; i++) {
    double noise = 1 + film->noise * 4 * seed_rng_normal (&film->rng);

    frame->histogram[i] = scene->histogram[i] * (float) MAX (noise, 0);
    mass += frame->histogram[i];
  }
  for (guint i = 0; i < BINS; i++)
    frame->histogram[i] /= mass;
  for (guint i = 0; i < DIM; i++)
    frame->embedding[i] =
        scene->embedding[i] + (float) (film->noise * 4 * seed_rng_normal (&film->rng));
}

static void
hold (Film *film, const Frame *scene, guint n)
{
  for (guint i = 0; i < n; i++)
    add (film, scene);
}

static void
dissolve (Film *film, const Frame *from, const Frame *to, guint n)
{
  for (guint i = 1; i <= n; i++) {
    Frame mixed = blend (from, to, (double) i / (n + 1));

    add (film, &mixed);
  }
}

static SeedCutsConfig
config_of (guint lookahead)
{
  SeedCutsConfig config;

  seed_cuts_config_init (&config, BINS, DIM);
  config.lookahead = lookahead;
  return config;
}

/* Frames of cuts that were found, in order; each must come exactly lookahead frames late. */
static guint
find (const Film *film, const SeedCutsConfig *config, guint64 *found)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedCuts) cuts = seed_cuts_new (config, &error);
  guint n = 0;
  SeedCut cut;

  g_assert_no_error (error);
  for (guint i = 0; i < film->n; i++)
    if (seed_cuts_push (cuts, film->frames[i].histogram, film->frames[i].embedding, &cut)) {
      g_assert_cmpuint (cut.frame + config->lookahead, ==, i);
      g_assert_cmpfloat (cut.distance, >=, cut.threshold);
      found[n++] = cut.frame;
    }
  while (seed_cuts_flush (cuts, &cut))
    found[n++] = cut.frame;
  return n;
}

static void
expect (const Film *film, const guint64 *frames, guint n)
{
  SeedCutsConfig config = config_of (3);
  guint64 found[MAX_FRAMES];

  g_assert_cmpuint (find (film, &config, found), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (found[i], ==, frames[i]);
}

static void
test_cuts (void)
{
  guint64 frames[20];
  guint n = 0;
  Film film;

  film_init (&film, 1);
  for (guint shot = 0; shot < 15; shot++) {
    Frame scene = new_scene (&film);

    if (shot > 0)
      frames[n++] = film.n;
    hold (&film, &scene, 8 + (guint) seed_rng_below (&film.rng, 30));
  }
  expect (&film, frames, n);
}

static void
test_still_and_noisy (void)
{
  Frame scene;
  Film film;

  film_init (&film, 2);
  scene = new_scene (&film);
  film.noise = 0;
  hold (&film, &scene, 100);
  film.noise = 0.1; /* gain goes up: the threshold follows, and the step is no cut */
  hold (&film, &scene, 200);
  expect (&film, NULL, 0);
}

/* Gradual transitions of several lengths, and a fade through black. */
static void
test_gradual (void)
{
  static const guint lengths[] = { 6, 8, 12, 25, 50 };
  Frame scene, next, black = { .histogram = { 1 }, .embedding = { 0.1f } };
  Film film;

  film_init (&film, 3);
  scene = new_scene (&film);
  hold (&film, &scene, 30);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    next = new_scene (&film);
    dissolve (&film, &scene, &next, lengths[i]);
    hold (&film, &next, 30);
    scene = next;
  }
  dissolve (&film, &scene, &black, 20);
  hold (&film, &black, 8);
  dissolve (&film, &black, &next, 20);
  hold (&film, &next, 20);
  expect (&film, NULL, 0);
}

/* One to three frames of something else: the same scene goes on. And a cut with a flash near it. */
static void
test_flashes (void)
{
  Frame scene, next, white = { .histogram = { [BINS - 1] = 1 }, .embedding = { 0, 5 } };
  guint64 frame;
  Film film;

  film_init (&film, 4);
  scene = new_scene (&film);
  next = new_scene (&film);
  for (guint length = 1; length <= 3; length++) {
    hold (&film, &scene, 30);
    hold (&film, &white, length);
  }
  hold (&film, &scene, 30);
  frame = film.n;
  hold (&film, &next, 15);
  hold (&film, &white, 1);
  hold (&film, &next, 15);
  expect (&film, &frame, 1);
}

/* What moves fast is far from frame to frame all the time; a real cut still stands out. */
static void
test_motion (void)
{
  Frame from, to, scene;
  guint64 frame;
  Film film;

  film_init (&film, 5);
  from = new_scene (&film);
  to = new_scene (&film);
  dissolve (&film, &from, &to, 12);
  dissolve (&film, &to, &from, 12);
  dissolve (&film, &from, &to, 12);
  frame = film.n;
  scene = new_scene (&film);
  hold (&film, &scene, 20);
  expect (&film, &frame, 1);
}

/* A stroboscope is not a hundred shots. */
static void
test_strobe (void)
{
  SeedCutsConfig config = config_of (3);
  guint64 found[MAX_FRAMES];
  Frame a, b;
  Film film;

  film_init (&film, 6);
  a = new_scene (&film);
  b = new_scene (&film);
  hold (&film, &a, 20);
  for (guint i = 0; i < 100; i++)
    add (&film, i % 2 ? &a : &b);
  hold (&film, &a, 20);
  g_assert_cmpuint (find (&film, &config, found), ==, 0);
}

static void
test_min_shot_and_end (void)
{
  Frame a, b, c;
  guint64 frames[2];
  Film film;

  film_init (&film, 7);
  a = new_scene (&film);
  b = new_scene (&film);
  c = new_scene (&film);
  hold (&film, &a, 20);
  frames[0] = film.n;
  hold (&film, &b, 5); /* too short: what follows it is not told apart */
  hold (&film, &c, 20);
  frames[1] = film.n;
  hold (&film, &a, 1); /* the last frame of all: found at the end */
  expect (&film, frames, 2);
}

static void
test_without_lookahead (void)
{
  SeedCutsConfig config = config_of (0);
  guint64 found[MAX_FRAMES];
  Frame scene;
  Film film;

  film_init (&film, 8);
  for (guint shot = 0; shot < 3; shot++) {
    scene = new_scene (&film);
    hold (&film, &scene, 20);
  }
  g_assert_cmpuint (find (&film, &config, found), ==, 2);
  g_assert_cmpuint (found[0], ==, 20);
  g_assert_cmpuint (found[1], ==, 40);
}

/* Each kind of signature alone finds what both find. */
static void
test_one_signature (void)
{
  for (guint kind = 0; kind < 2; kind++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SeedCuts) cuts = NULL;
    SeedCutsConfig config;
    guint n = 0;
    Film film;
    SeedCut cut;

    film_init (&film, 9);
    for (guint shot = 0; shot < 4; shot++) {
      Frame scene = new_scene (&film);

      hold (&film, &scene, 15);
    }
    seed_cuts_config_init (&config, kind ? 0 : BINS, kind ? DIM : 0);
    cuts = seed_cuts_new (&config, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < film.n; i++)
      n += seed_cuts_push (cuts, kind ? NULL : film.frames[i].histogram,
          kind ? film.frames[i].embedding : NULL, &cut);
    g_assert_cmpuint (n, ==, 3);
    g_assert_cmpuint (cut.frame, ==, 45);
  }
}

/* Frames that are not numbers, or nothing at all, are no cuts and do no harm to what follows. */
static void
test_hostile (void)
{
  SeedCutsConfig config = config_of (3);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedCuts) cuts = seed_cuts_new (&config, &error);
  guint64 found[MAX_FRAMES];
  guint n = 0;
  Frame scene;
  Film film;
  SeedCut cut;

  film_init (&film, 10);
  scene = new_scene (&film);
  hold (&film, &scene, 40);
  film.frames[0].histogram[0] = NAN;
  film.frames[10].histogram[2] = INFINITY;
  memset (film.frames[20].histogram, 0, sizeof film.frames[20].histogram);
  film.frames[25].embedding[3] = NAN;
  memset (film.frames[30].embedding, 0, sizeof film.frames[30].embedding);
  scene = new_scene (&film);
  hold (&film, &scene, 20);
  for (guint round = 0; round < 2; round++) { /* the same after a reset */
    for (guint i = 0; i < film.n; i++)
      if (seed_cuts_push (cuts, film.frames[i].histogram, film.frames[i].embedding, &cut))
        found[n++] = cut.frame;
    g_assert_false (seed_cuts_flush (cuts, &cut));
    seed_cuts_reset (cuts);
  }
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpuint (found[0], ==, 40);
  g_assert_cmpuint (found[1], ==, 40);
}

static void
test_limits (void)
{
  g_autoptr (GError) error = NULL;
  SeedCutsConfig config = config_of (SEED_CUTS_MAX_LOOKAHEAD + 1);

  g_assert_null (seed_cuts_new (&config, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  seed_cuts_config_init (&config, 0, 0);
  g_assert_null (seed_cuts_new (&config, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  config = config_of (1);
  config.floor = NAN;
  g_assert_null (seed_cuts_new (&config, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors/cuts/cuts", test_cuts);
  g_test_add_func ("/anchors/cuts/still-and-noisy", test_still_and_noisy);
  g_test_add_func ("/anchors/cuts/gradual", test_gradual);
  g_test_add_func ("/anchors/cuts/flashes", test_flashes);
  g_test_add_func ("/anchors/cuts/motion", test_motion);
  g_test_add_func ("/anchors/cuts/strobe", test_strobe);
  g_test_add_func ("/anchors/cuts/min-shot-and-end", test_min_shot_and_end);
  g_test_add_func ("/anchors/cuts/without-lookahead", test_without_lookahead);
  g_test_add_func ("/anchors/cuts/one-signature", test_one_signature);
  g_test_add_func ("/anchors/cuts/hostile", test_hostile);
  g_test_add_func ("/anchors/cuts/limits", test_limits);
  return g_test_run ();
}

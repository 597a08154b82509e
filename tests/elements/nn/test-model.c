/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <seed/error.h>
#include <seed/model.h>

#include "nn/checkpoint.h"

#define TOLERANCE 1e-4

/* A folder that holds a folder "teacher" with a small random model. */
typedef struct {
  char *parent, *folder;
} Fixture;

static gboolean
run_tool (const char *folder, const char *options, char **message)
{
  const char *build = g_getenv ("SEED_BUILD_DIR");
  g_autofree char *command = NULL;
  g_autoptr (GError) error = NULL;
  int status = -1;

  g_assert_nonnull (build); /* the tests run in the environment that Meson sets */
  command = g_strdup_printf (
      "'%s/tests/tools/seed-make-random-model' %s --out '%s'", build, options, folder);
  g_spawn_command_line_sync (command, NULL, message, &status, &error);
  g_assert_no_error (error);
  return g_spawn_check_wait_status (status, NULL);
}

static void
make_model (const char *folder, const char *options)
{
  g_autofree char *message = NULL;

  if (!run_tool (folder, options, &message))
    g_error ("%s", message);
}

#define SMALL "--dim 16 --depth 2 --heads 2 --image-size 32 --patch-size 8"

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->parent = g_dir_make_tmp ("seed-XXXXXX", NULL);
  fixture->folder = g_build_filename (fixture->parent, "teacher", NULL);
  make_model (fixture->folder, SMALL " --seed 1 --mean 0.4,0.5,0.6 --std 0.2,0.25,0.3");
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (!g_file_test (path, G_FILE_TEST_IS_SYMLINK))
    dir = g_dir_open (path, 0, NULL);
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    remove_tree (child);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  remove_tree (fixture->parent);
  g_free (fixture->folder);
  g_free (fixture->parent);
}

static SeedModel *
load (const char *folder)
{
  g_autoptr (GError) error = NULL;
  SeedModel *model = seed_model_load (folder, &error);

  g_assert_no_error (error);
  return model;
}

static guint8 *
random_words (const SeedModelInfo *info, guint n, guint64 seed)
{
  gsize size = (gsize) n * info->n_words * 3 * info->patch_size * info->patch_size;
  guint8 *words = g_malloc (size);
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (gsize i = 0; i < size; i++)
    words[i] = (guint8) seed_rng_below (&rng, 256);
  return words;
}

static void
assert_close (const float *a, const float *b, gsize n)
{
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (a[i], b[i], TOLERANCE);
}

/* Loading */

static void
test_info (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedModel) model = load (fixture->folder);
  const SeedModelInfo *info = seed_model_get_info (model);
  g_autofree char *weights = g_build_filename (fixture->folder, "model.safetensors", NULL);
  g_autofree char *contents = NULL;
  g_autofree char *sha256 = NULL;
  gsize length;

  g_assert_cmpstr (info->name, ==, "teacher");
  g_assert_cmpstr (info->family, ==, "vit");
  g_assert_cmpuint (info->image_size, ==, 32);
  g_assert_cmpuint (info->patch_size, ==, 8);
  g_assert_cmpuint (info->n_words, ==, 16);
  g_assert_cmpuint (info->summary_dim, ==, 16);
  g_assert_cmpuint (info->token_dim, ==, 16);
  g_assert_cmpfloat (info->mean[2], ==, 0.6f);
  g_assert_cmpfloat (info->std[0], ==, 0.2f);
  /* cls, pos, patch; per block 2 norms, qkv, proj, fc1, fc2; norm */
  g_assert_cmpuint (info->n_params, ==,
      16 + 17 * 16 + 192 * 16 + 16 +
          2 * (2 * 32 + 48 * 16 + 48 + 16 * 16 + 16 + 64 * 16 + 64 + 16 * 64 + 16) + 32);
  g_assert_cmpuint (info->memory_bytes, >=, info->n_params * 4);
  g_assert_true (g_file_get_contents (weights, &contents, &length, NULL));
  sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) contents, length);
  g_assert_cmpstr (info->sha256, ==, sha256);
}

static void
test_shared (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *link = g_build_filename (fixture->parent, "link", NULL);
  g_autofree char *roundabout = g_build_filename (fixture->folder, "..", "teacher", "", NULL);
  SeedModel *first = load (fixture->folder), *second, *replaced;

  g_assert_cmpint (symlink ("teacher", link), ==, 0);
  second = load (link);
  g_assert_true (first == second);
  seed_model_unref (second);
  second = load (roundabout);
  g_assert_true (first == second);
  seed_model_unref (second);

  /* new weights in the same place are another model, and the old one goes on */
  make_model (fixture->folder, SMALL " --seed 2");
  replaced = load (fixture->folder);
  g_assert_true (replaced != first);
  g_assert_cmpstr (seed_model_get_info (replaced)->sha256, !=, seed_model_get_info (first)->sha256);
  second = load (fixture->folder);
  g_assert_true (second == replaced);
  seed_model_unref (second);
  seed_model_unref (first);

  /* the registry keeps nothing alive, and forgets */
  second = load (fixture->folder);
  g_assert_true (second == replaced);
  seed_model_unref (second);
  seed_model_unref (replaced);
  seed_model_unref (load (fixture->folder));
  seed_model_unref (NULL);
}

static gpointer
load_and_drop (gpointer folder)
{
  SeedModel *model = load (folder);

  for (guint i = 0; i < 100; i++) {
    SeedModel *again = load (folder);
    g_assert_true (again == model);
    seed_model_ref (again);
    seed_model_unref (again);
    seed_model_unref (again);
  }
  return model;
}

static void
test_threads (Fixture *fixture, gconstpointer unused)
{
  GThread *threads[4];
  SeedModel *models[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("load", load_and_drop, fixture->folder);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    models[i] = g_thread_join (threads[i]);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    g_assert_true (models[i] == models[0]);
    seed_model_unref (models[i]);
  }
}

/* The weights were copied; nothing of the file stays mapped, so it may be changed or go. */
static void
test_unmapped (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedModel) model = load (fixture->folder);
  g_autofree char *maps = NULL;

  g_assert_nonnull (model);
  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  g_assert_null (strstr (maps, "model.safetensors"));
  g_assert_nonnull (strstr (maps, "libseed")); /* the file does list what is mapped */
}

static void
assert_fails (const char *folder, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_model_load (folder, &error));
  g_assert_error (error, SEED_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, folder));
}

static void
test_load_fails (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *missing = g_build_filename (fixture->parent, "no", NULL);
  g_autofree char *weights = g_build_filename (fixture->folder, "model.safetensors", NULL);

  assert_fails (missing, SEED_ERROR_NOT_FOUND);
  assert_fails (fixture->parent, SEED_ERROR_NOT_FOUND);
  g_assert_true (g_file_set_contents (weights, "", 0, NULL));
  assert_fails (fixture->folder, SEED_ERROR_FORMAT);
  /* a failure is not remembered */
  make_model (fixture->folder, SMALL);
  seed_model_unref (load (fixture->folder));
}

/* Sessions */

static void
test_session_limits (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedModel) model = load (fixture->folder);
  static const guint wrong[] = { 0, 4097, G_MAXUINT };
  g_autoptr (SeedSession) session = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_null (seed_session_new (model, wrong[i], &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "teacher"));
    g_clear_error (&error);
  }
  session = seed_session_new (model, 1, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (seed_session_memory_bytes (session), >, 0);
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define HAVE_SANITIZER 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAVE_SANITIZER 1
#endif
#endif

#ifndef HAVE_SANITIZER
/* Bytes of the process that no file stands behind. */
static gsize
anonymous_memory (void)
{
  g_autofree char *status = NULL;
  const char *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &status, NULL, NULL));
  line = strstr (status, "RssAnon:");
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen ("RssAnon:"), NULL, 10) << 10;
}
#endif

/* What --check prints is what the process takes. */
static void
test_memory (Fixture *fixture, gconstpointer unused)
{
#ifdef HAVE_SANITIZER
  g_test_skip ("a sanitizer has memory of its own");
#else
  g_autoptr (SeedModel) model = NULL;
  g_autoptr (SeedSession) session = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_build_filename (fixture->parent, "large", NULL);
  gsize before, loaded, ready, said;

  make_model (folder, "--dim 256 --depth 12 --heads 4 --image-size 128 --patch-size 16");
  before = anonymous_memory ();
  model = load (folder);
  loaded = anonymous_memory ();
  session = seed_session_new (model, 16, &error);
  g_assert_no_error (error);
  ready = anonymous_memory ();

  said = seed_model_get_info (model)->memory_bytes;
  g_assert_cmpuint (said, >, 32 << 20);
  g_assert_cmpfloat (fabs ((double) (loaded - before) / (double) said - 1), <, 0.1);
  said = seed_session_memory_bytes (session);
  g_assert_cmpfloat (fabs ((double) (ready - loaded) / (double) said - 1), <, 0.1);
#endif
}

/* The folded, packed way gives what the checkpoint's own values and normalisation give. */
static void
test_run_matches_forward (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedModel) model = load (fixture->folder);
  const SeedModelInfo *info = seed_model_get_info (model);
  g_autofree guint8 *words = random_words (info, 3, 5);
  g_autofree float *summary = g_new (float, 3 * 16);
  g_autofree float *tokens = g_new (float, 3 * 16 * 16);
  g_autoptr (SeedSession) session = NULL;
  g_autoptr (SeedVit) vit = NULL;
  g_autoptr (GError) error = NULL;
  SeedCheckpoint checkpoint;
  float scale[3], shift[3];
  const float *expected;

  g_assert_true (seed_checkpoint_load (&checkpoint, fixture->folder, NULL, 0, &error));
  vit = seed_vit_new (&checkpoint.config, &checkpoint.params, 3, FALSE, &error);
  g_assert_no_error (error);
  seed_vit_config_normalisation (&checkpoint.config, scale, shift);
  expected = seed_vit_forward (vit, checkpoint.values, scale, shift, words, 3);

  session = seed_session_new (model, 4, &error);
  g_assert_no_error (error);
  seed_session_run (session, words, 3, summary, tokens);
  for (guint i = 0; i < 3; i++) {
    assert_close (summary + i * 16, expected + i * 17 * 16, 16);
    assert_close (tokens + i * 16 * 16, expected + i * 17 * 16 + 16, 16 * 16);
  }
  seed_checkpoint_clear (&checkpoint);
}

static void
test_run_outputs_optional (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedModel) model = load (fixture->folder);
  g_autofree guint8 *words = random_words (seed_model_get_info (model), 2, 6);
  float both_summary[2 * 16], both_tokens[2 * 16 * 16], summary[2 * 16], tokens[2 * 16 * 16];
  g_autoptr (SeedSession) session = seed_session_new (model, 2, NULL);

  /* the session keeps the model alive */
  seed_model_unref (g_steal_pointer (&model));
  seed_session_run (session, words, 2, both_summary, both_tokens);
  seed_session_run (session, words, 2, summary, NULL);
  seed_session_run (session, words, 2, NULL, tokens);
  g_assert_cmpmem (summary, sizeof summary, both_summary, sizeof both_summary);
  g_assert_cmpmem (tokens, sizeof tokens, both_tokens, sizeof both_tokens);
}

/* What transformers wrote, and what it computed: see generate-vit-fixtures.py. */
static const struct {
  const char *name, *interpolation;
} references[] = {
  { "vit-tiny-plain", "bilinear" },
  { "vit-tiny-classifier", "bicubic" }, /* "vit." before the names, a classifier after them */
  { "vit-tiny-gelu-new", "bilinear" },
};

static float *
read_floats (const SeedSafetensors *st, const char *name, gsize n)
{
  g_autoptr (GError) error = NULL;
  float *values = g_new (float, n);

  seed_tensor_to_float (seed_safetensors_lookup (st, name), name, values, n, &error);
  g_assert_no_error (error);
  return values;
}

static void
test_reference (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *folder = g_build_filename (SEED_TEST_DATA, "models", references[i].name, NULL);
  g_autofree char *expected = g_build_filename (folder, "expected.safetensors", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (expected, &error);
  g_autoptr (SeedModel) model = load (folder);
  const SeedModelInfo *info = seed_model_get_info (model);
  const SeedTensor *words = seed_safetensors_lookup (st, "words");
  guint n = (guint) words->shape[0];
  gsize summary_size = (gsize) n * info->summary_dim;
  gsize tokens_size = (gsize) n * info->n_words * info->token_dim;
  g_autofree float *summary = g_new (float, summary_size);
  g_autofree float *tokens = g_new (float, tokens_size);
  g_autofree float *expected_summary = read_floats (st, "summary", summary_size);
  g_autofree float *expected_tokens = read_floats (st, "tokens", tokens_size);
  g_autoptr (SeedSession) session = seed_session_new (model, n, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (info->interpolation, ==, references[i].interpolation);
  g_assert_cmpuint (words->dtype, ==, SEED_DTYPE_U8);
  g_assert_cmpuint (
      words->size, ==, (gsize) n * info->n_words * 3 * info->patch_size * info->patch_size);
  seed_session_run (session, words->data, n, summary, tokens);
  assert_close (summary, expected_summary, summary_size);
  assert_close (tokens, expected_tokens, tokens_size);
}

/* Random models */

static void
assert_same_file (const char *a, const char *b, const char *name)
{
  g_autofree char *path_a = g_build_filename (a, name, NULL);
  g_autofree char *path_b = g_build_filename (b, name, NULL);
  g_autofree char *contents_a = NULL;
  g_autofree char *contents_b = NULL;
  gsize length_a, length_b;

  g_assert_true (g_file_get_contents (path_a, &contents_a, &length_a, NULL));
  g_assert_true (g_file_get_contents (path_b, &contents_b, &length_b, NULL));
  g_assert_cmpmem (contents_a, length_a, contents_b, length_b);
}

static void
test_random_is_seeded (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *again = g_build_filename (fixture->parent, "again", NULL);
  g_autoptr (SeedModel) one = NULL;
  g_autoptr (SeedModel) two = NULL;

  make_model (fixture->folder, SMALL " --seed 9");
  make_model (again, SMALL " --seed 9");
  assert_same_file (fixture->folder, again, "config.json");
  assert_same_file (fixture->folder, again, "preprocessor_config.json");
  assert_same_file (fixture->folder, again, "model.safetensors");

  one = load (fixture->folder);
  make_model (again, SMALL " --seed 10");
  two = load (again);
  g_assert_cmpstr (seed_model_get_info (one)->sha256, !=, seed_model_get_info (two)->sha256);
}

static void
test_random_refuses (Fixture *fixture, gconstpointer unused)
{
  static const char *const wrong[] = { "", "--size huge", "--size mini --dim 8", "--dim 8",
    "--dim 8 --depth 1 --heads 3", "--size mini --image-size 30", "--size mini --gain 0",
    "--size mini --std 0", "--size mini --mean 1,2", "--size mini --mean x", "--size mini more",
    "--size mini --unknown" };
  g_autofree char *folder = g_build_filename (fixture->parent, "wrong", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree char *message = NULL;

    g_test_message ("%s", wrong[i]);
    g_assert_false (run_tool (folder, wrong[i], &message));
    g_assert_true (g_str_has_prefix (message, "seed-make-random-model: error: "));
    g_assert_false (g_file_test (folder, G_FILE_TEST_EXISTS));
  }
}

/* Pictures that anybody would tell apart, as the words of an image of side @size. */
enum {
  PICTURE_GREY,
  PICTURE_RAMP,
  PICTURE_CHECKS,
  PICTURE_DISC,
  PICTURE_RED,
  PICTURE_NOISE,
  N_PICTURES,
};

static guint8
pixel (guint picture, guint size, guint x, guint y, guint channel, SeedRng *rng)
{
  double u = (double) x / size - 0.5, v = (double) y / size - 0.5;

  switch (picture) {
  case PICTURE_GREY:
    return 128;
  case PICTURE_RAMP:
    return (guint8) (255 * x / size);
  case PICTURE_CHECKS:
    return (x / 20 + y / 20) % 2 ? 230 : 30;
  case PICTURE_DISC:
    return u * u + v * v < 0.1 ? 240 : 20;
  case PICTURE_RED:
    return channel == 0 ? 200 : 40;
  default:
    return (guint8) seed_rng_below (rng, 256);
  }
}

static guint8 *
make_pictures (const SeedModelInfo *info)
{
  guint p = info->patch_size, side = info->image_size / p;
  gsize word = 3 * p * p;
  guint8 *words = g_malloc ((gsize) N_PICTURES * info->n_words * word), *next = words;
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint picture = 0; picture < N_PICTURES; picture++) {
    for (guint n = 0; n < info->n_words; n++) {
      for (guint i = 0; i < word; i++) {
        guint x = n % side * p + i % p, y = n / side * p + i / p % p;
        *next++ = pixel (picture, info->image_size, x, y, i / (p * p), &rng);
      }
    }
  }
  return words;
}

static double
cosine (const float *a, const float *b, guint n)
{
  double ab = 0, aa = 0, bb = 0;

  for (guint i = 0; i < n; i++) {
    ab += (double) a[i] * b[i];
    aa += (double) a[i] * a[i];
    bb += (double) b[i] * b[i];
  }
  return ab / sqrt (aa * bb);
}

static double
mean_pairwise_cosine (const float *summaries, guint dim, double *largest)
{
  double sum = 0;
  guint n = 0;

  *largest = -1;
  for (guint i = 0; i < N_PICTURES; i++) {
    for (guint j = 0; j < i; j++, n++) {
      double c = cosine (summaries + i * dim, summaries + j * dim, dim);

      sum += c;
      *largest = MAX (*largest, c);
    }
  }
  return sum / n;
}

static void
centre (float *summaries, guint dim)
{
  for (guint k = 0; k < dim; k++) {
    float mean = 0;

    for (guint i = 0; i < N_PICTURES; i++)
      mean += summaries[i * dim + k] / N_PICTURES;
    for (guint i = 0; i < N_PICTURES; i++)
      summaries[i * dim + k] -= mean;
  }
}

/* A random teacher is of use only when it tells pictures apart. */
static void
test_random_tells_apart (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *folder = g_build_filename (fixture->parent, "mini", NULL);
  g_autoptr (SeedModel) model = NULL;
  g_autoptr (SeedSession) session = NULL;
  g_autofree guint8 *words = NULL;
  g_autofree float *summaries = NULL;
  double mean, largest;

  make_model (folder, "--size mini --image-size 160");
  model = load (folder);
  session = seed_session_new (model, N_PICTURES, NULL);
  words = make_pictures (seed_model_get_info (model));
  summaries = g_new (float, N_PICTURES * 192);
  seed_session_run (session, words, N_PICTURES, summaries, NULL);

  mean = mean_pairwise_cosine (summaries, 192, &largest);
  g_test_message ("cosine of summaries: mean %.3f, largest %.3f", mean, largest);
  g_assert_cmpfloat (mean, <, 0.8);
  g_assert_cmpfloat (largest, <, 0.98);
  centre (summaries, 192);
  mean = mean_pairwise_cosine (summaries, 192, &largest);
  g_test_message ("cosine of centred summaries: mean %.3f, largest %.3f", mean, largest);
  g_assert_cmpfloat (mean, <, 0.2);
  g_assert_cmpfloat (largest, <, 0.9);
}

#define TEST(name, func) g_test_add ("/model/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("info", test_info);
  TEST ("shared", test_shared);
  TEST ("threads", test_threads);
  TEST ("unmapped", test_unmapped);
  TEST ("load-fails", test_load_fails);
  TEST ("session-limits", test_session_limits);
  TEST ("memory", test_memory);
  TEST ("run-matches-forward", test_run_matches_forward);
  TEST ("run-outputs-optional", test_run_outputs_optional);
  for (guint i = 0; i < G_N_ELEMENTS (references); i++) {
    g_autofree char *path = g_strconcat ("/model/reference/", references[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_reference);
  }
  TEST ("random/is-seeded", test_random_is_seeded);
  TEST ("random/refuses", test_random_refuses);
  TEST ("random/tells-apart", test_random_tells_apart);
  return g_test_run ();
}

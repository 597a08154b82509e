/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include <seed/error.h>

#include "fusion/fuser.h"

G_STATIC_ASSERT (SEED_FUSION_MAX_TEACHERS == SEED_WHITENING_MAX_TEACHERS);

struct _SeedFuser {
  SeedFusionParams params;
  char *path; /* of the whitening, or NULL */
  guint calibration, n_calibrated;
  guint views, n_teachers;
  guint dims[SEED_FUSION_MAX_TEACHERS];

  SeedWhiteningFit *fit;    /* until it is frozen */
  SeedWhitening *whitening; /* from then on */

  /* workspace for @capacity items */
  guint capacity;
  float *centred;                          /* [capacity * views, widest D] */
  float *whitened;                         /* [capacity * views, widest k]: before alignment */
  float *values[SEED_FUSION_MAX_TEACHERS]; /* [capacity, capacity] or [capacity * views, k] */
};

static gboolean
find_teacher (
    const SeedWhiteningTeacher *teachers, guint n, const char *name, guint *index, GError **error)
{
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint t = 0; t < n; t++) {
    if (g_str_equal (teachers[t].name, name)) {
      *index = t;
      return TRUE;
    }
    g_string_append_printf (names, "%s%s", t ? ", " : "", teachers[t].name);
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "strategy \"single:%s\": there is no teacher of that name; the teachers are %s", name,
      names->str);
  return FALSE;
}

static gboolean
check_options (const SeedFuserOptions *options, guint views, const SeedFusionStrategy *strategy,
    GError **error)
{
  if (strategy->output == SEED_FUSION_AFFINITY && views != 2) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "strategy \"%s\" compares two views of every frame, the features have %u; set views=2 on "
        "the patchify in front of the teachers",
        options->strategy, views);
    return FALSE;
  }
  if (options->calibration < SEED_WHITENING_MIN_SAMPLES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "calibration of %u frames: expected %u or more", options->calibration,
        SEED_WHITENING_MIN_SAMPLES);
    return FALSE;
  }
  return TRUE;
}

/* A file that cannot be written is found out now, not after ten thousand frames. */
static gboolean
check_folder (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);

  if (access (folder, W_OK | X_OK) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
      "%s: the whitening could not be saved, folder %s: %s", path, folder, g_strerror (errno));
  return FALSE;
}

static gboolean
load (SeedFuser *fuser, const SeedWhiteningTeacher *teachers, double floor, GError **error)
{
  fuser->whitening = seed_whitening_load (fuser->path, teachers, fuser->n_teachers, error);
  if (!fuser->whitening || seed_whitening_floor (fuser->whitening) == floor)
    return fuser->whitening != NULL;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s: was fitted with an eigenvalue-floor of %g, not %g; remove the file to calibrate anew, "
      "or "
      "set the floor to that",
      fuser->path, seed_whitening_floor (fuser->whitening), floor);
  return FALSE;
}

static gboolean
load_or_begin (SeedFuser *fuser, const SeedWhiteningTeacher *teachers, double floor, GError **error)
{
  if (fuser->path && g_file_test (fuser->path, G_FILE_TEST_EXISTS))
    return load (fuser, teachers, floor, error);
  if (fuser->path && !check_folder (fuser->path, error))
    return FALSE;
  fuser->fit = seed_whitening_fit_new (teachers, fuser->n_teachers, error);
  if (fuser->fit)
    seed_whitening_fit_set_floor (fuser->fit, floor);
  return fuser->fit != NULL;
}

SeedFuser *
seed_fuser_new (const SeedFuserOptions *options, const SeedWhiteningTeacher *teachers,
    guint n_teachers, guint views, GError **error)
{
  g_autoptr (SeedFuser) fuser = g_new0 (SeedFuser, 1);
  const char *single;

  fuser->params.strategy = seed_fusion_strategy_parse (options->strategy, &single, error);
  if (!fuser->params.strategy || !check_options (options, views, fuser->params.strategy, error) ||
      (single && !find_teacher (teachers, n_teachers, single, &fuser->params.single, error)))
    return NULL;
  fuser->params.seed = options->seed;
  fuser->params.duplicate_window_ns = options->duplicate_window_ns;
  fuser->params.duplicate_cosine = options->duplicate_cosine;
  fuser->path = g_strdup (options->whitening);
  fuser->calibration = options->calibration;
  fuser->views = views;
  fuser->n_teachers = n_teachers;
  if (!load_or_begin (fuser, teachers,
          options->eigenvalue_floor > 0 ? options->eigenvalue_floor
                                        : SEED_WHITENING_EIGENVALUE_FLOOR,
          error))
    return NULL;
  for (guint t = 0; t < n_teachers; t++)
    fuser->dims[t] = teachers[t].dim;
  return g_steal_pointer (&fuser);
}

static void
free_workspace (SeedFuser *fuser)
{
  g_clear_pointer (&fuser->centred, g_free);
  g_clear_pointer (&fuser->whitened, g_free);
  for (guint t = 0; t < SEED_FUSION_MAX_TEACHERS; t++)
    g_clear_pointer (&fuser->values[t], g_free);
}

void
seed_fuser_free (SeedFuser *fuser)
{
  if (!fuser)
    return;
  free_workspace (fuser);
  seed_whitening_fit_free (fuser->fit);
  seed_whitening_unref (fuser->whitening);
  g_free (fuser->path);
  g_free (fuser);
}

SeedWhitening *
seed_fuser_get_whitening (SeedFuser *fuser)
{
  return fuser->whitening;
}

guint
seed_fuser_n_calibrated (const SeedFuser *fuser)
{
  return fuser->n_calibrated;
}

SeedFusionOutput
seed_fuser_output (const SeedFuser *fuser)
{
  return fuser->params.strategy->output;
}

static guint
width_of (const SeedFuser *fuser, guint t)
{
  return fuser->whitening ? seed_whitening_width (fuser->whitening, t)
                          : MIN (fuser->dims[t], SEED_WHITENING_MAX_WIDTH);
}

guint
seed_fuser_width (const SeedFuser *fuser)
{
  guint widths[SEED_FUSION_MAX_TEACHERS];

  for (guint t = 0; t < fuser->n_teachers; t++)
    widths[t] = width_of (fuser, t);
  return seed_fuse_features_width (fuser->params.strategy, widths, fuser->n_teachers);
}

static gboolean
freeze (SeedFuser *fuser, GError **error)
{
  g_autoptr (SeedWhitening) whitening = seed_whitening_fit_finish (fuser->fit, error);

  if (!whitening || (fuser->path && !seed_whitening_save (whitening, fuser->path, error)))
    return FALSE;
  fuser->whitening = g_steal_pointer (&whitening);
  g_clear_pointer (&fuser->fit, seed_whitening_fit_free);
  return TRUE;
}

gboolean
seed_fuser_calibrate (SeedFuser *fuser, const float *const *summaries, guint b, GError **error)
{
  guint take;

  g_return_val_if_fail (fuser->fit != NULL, FALSE);
  take = MIN (b, fuser->calibration - fuser->n_calibrated);
  if (!seed_whitening_fit_add (fuser->fit, summaries, take * fuser->views, error))
    return FALSE;
  fuser->n_calibrated += take;
  return fuser->n_calibrated < fuser->calibration || freeze (fuser, error);
}

static void
reserve (SeedFuser *fuser, guint b)
{
  gsize rows = (gsize) b * fuser->views;
  guint widest_in = 0, widest_out = 0;

  if (b <= fuser->capacity)
    return;
  free_workspace (fuser);
  for (guint t = 0; t < fuser->n_teachers; t++) {
    widest_in = MAX (widest_in, fuser->dims[t]);
    widest_out = MAX (widest_out, width_of (fuser, t));
  }
  fuser->centred = g_new (float, rows *widest_in);
  fuser->whitened = g_new (float, rows *widest_out);
  for (guint t = 0; t < fuser->n_teachers; t++) {
    gsize n = seed_fuser_output (fuser) == SEED_FUSION_AFFINITY  ? (gsize) b * b
              : seed_fuser_output (fuser) == SEED_FUSION_ALIGNED ? rows * width_of (fuser, 0)
                                                                 : rows * width_of (fuser, t);

    fuser->values[t] = g_new (float, n);
  }
  fuser->capacity = b;
}

/* The summaries of one teacher to what its strategy fuses, in values[t]. */
static gboolean
prepare (SeedFuser *fuser, guint t, const float *summaries, guint b, GError **error)
{
  SeedFusionOutput output = seed_fuser_output (fuser);
  float *y = output == SEED_FUSION_CONCAT ? fuser->values[t] : fuser->whitened;
  guint rows = b * fuser->views;

  if (!seed_whitening_apply (fuser->whitening, t, summaries, rows, fuser->centred, y, error))
    return FALSE;
  if (output == SEED_FUSION_AFFINITY)
    seed_fusion_similarity (y, b, width_of (fuser, t), fuser->values[t]);
  else if (output == SEED_FUSION_ALIGNED)
    seed_whitening_align (fuser->whitening, t, y, rows, fuser->values[t]);
  return TRUE;
}

gboolean
seed_fuser_run (SeedFuser *fuser, const float *const *summaries, const SeedFusionItem *items,
    guint b, float *out, SeedFusionTally *tally, GError **error)
{
  const float *const *values = (const float *const *) fuser->values;
  guint widths[SEED_FUSION_MAX_TEACHERS];

  g_return_val_if_fail (fuser->whitening != NULL, FALSE);
  reserve (fuser, b);
  for (guint t = 0; t < fuser->n_teachers; t++) {
    widths[t] = width_of (fuser, t);
    if (!prepare (fuser, t, summaries[t], b, error))
      return FALSE;
  }
  if (seed_fuser_output (fuser) == SEED_FUSION_AFFINITY) {
    seed_fuse_affinity (&fuser->params, values, fuser->n_teachers, items, b, out, tally);
    return TRUE;
  }
  return seed_fuse_features (
      fuser->params.strategy, values, widths, fuser->n_teachers, b * fuser->views, out, error);
}

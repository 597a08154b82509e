/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/atomic-file.h"
#include "student/generations.h"
#include "student/promotion.h"

#define HELD_FILE "held" /* in the folder: somebody went back */
#define ALREADY_SERVES "it already serves"

struct _SeedPromotion {
  SeedPromotionConfig config; /* owns the folder */
  SeedWeights *live;          /* every value of the trainer, so that it can be scored */
  guint number;               /* of its generation; 0: none */
  gboolean untrained;
  gboolean held;
  GPtrArray *past; /* without a folder: of SeedWeights, oldest first */
  guint64 n_promoted, n_rejected, n_rolled_back;
};

static gboolean
has_folder (const SeedPromotion *promotion)
{
  return promotion->config.folder != NULL;
}

static void
set_live (SeedPromotion *promotion, SeedWeights *weights, guint number)
{
  seed_weights_unref (promotion->live);
  promotion->live = weights;
  promotion->number = number;
}

static SeedWeights *
average_of (const SeedTrainer *trainer, const char *sha256)
{
  return seed_weights_new (seed_trainer_get_ema (trainer), seed_trainer_n_values (trainer),
      seed_trainer_get_step (trainer), sha256);
}

static SeedWeights *
read_generation (
    const SeedPromotion *promotion, const SeedTrainer *trainer, guint number, GError **error)
{
  g_autofree float *values = NULL;
  char sha256[65];
  guint64 step;
  gsize n;

  values = seed_trainer_read_average (
      trainer, promotion->config.folder, number, &n, &step, sha256, error);
  return values ? seed_weights_new (values, n, step, sha256) : NULL;
}

/* ---- holding ---- */

static char *
held_path (const SeedPromotion *promotion)
{
  return g_build_filename (promotion->config.folder, HELD_FILE, NULL);
}

static void
set_held (SeedPromotion *promotion, gboolean held)
{
  g_autofree char *path = has_folder (promotion) ? held_path (promotion) : NULL;

  promotion->held = held;
  if (!path)
    return;
  /* if this cannot be written the folder cannot either, and nothing is promoted there */
  if (held)
    seed_atomic_file_set_contents (path, "rolled back; promote to go on\n", NULL);
  else
    g_unlink (path);
}

/* ---- life ---- */

/* Marks of generations after the one that serves are of a promotion that was not completed, or of
 * one that was taken back. */
static void
forget_later_marks (const SeedPromotion *promotion)
{
  g_autoptr (GArray) numbers = seed_generations_list (promotion->config.folder);

  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);

    if (number > promotion->number && seed_generation_is_marked (promotion->config.folder, number))
      seed_generation_set_marked (promotion->config.folder, number, FALSE, NULL);
  }
}

static gboolean
open_folder (SeedPromotion *promotion, const SeedTrainer *trainer, GError **error)
{
  g_autofree char *held = held_path (promotion);
  guint number = seed_generation_current (promotion->config.folder);
  SeedWeights *live;

  promotion->held = g_file_test (held, G_FILE_TEST_EXISTS);
  if (number == 0)
    return TRUE;
  live = read_generation (promotion, trainer, number, error);
  if (!live)
    return FALSE;
  set_live (promotion, live, number);
  promotion->untrained = promotion->untrained && live->step == 0;
  forget_later_marks (promotion);
  return TRUE;
}

SeedPromotion *
seed_promotion_new (const SeedPromotionConfig *config, const SeedTrainer *trainer,
    gboolean untrained, GError **error)
{
  g_autoptr (SeedPromotion) promotion = g_new0 (SeedPromotion, 1);

  promotion->config = *config;
  promotion->config.folder = g_strdup (config->folder);
  promotion->past = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_weights_unref);
  promotion->untrained = untrained;
  promotion->live = average_of (trainer, NULL);
  if (has_folder (promotion) && !open_folder (promotion, trainer, error))
    return NULL;
  return g_steal_pointer (&promotion);
}

void
seed_promotion_free (SeedPromotion *promotion)
{
  if (!promotion)
    return;
  seed_weights_unref (promotion->live);
  g_ptr_array_unref (promotion->past);
  g_free ((char *) promotion->config.folder);
  g_free (promotion);
}

/* ---- a candidate ---- */

gboolean
seed_promotion_is_not_worse (
    const SeedTrainerScore *candidate, const SeedTrainerScore *live, double tolerance)
{
  if (!isnan (live->agreement) && !isnan (candidate->agreement))
    return candidate->agreement >= live->agreement - tolerance;
  if (!isfinite (candidate->loss))
    return FALSE;
  return !isfinite (live->loss) || candidate->loss <= live->loss + tolerance * fabs (live->loss);
}

static const char *
judge (const SeedPromotion *promotion, SeedTrainer *trainer, gboolean force,
    SeedPromotionVerdict *verdict)
{
  SeedPromotePolicy policy = promotion->config.policy;

  verdict->promoted = TRUE;
  if (policy != SEED_PROMOTE_ALWAYS && seed_trainer_n_held (trainer) > 0) {
    verdict->candidate = seed_trainer_score (
        trainer, seed_trainer_get_ema (trainer), seed_trainer_n_values (trainer));
    verdict->live =
        seed_trainer_score (trainer, promotion->live->values, promotion->live->n_values);
  }
  if (force)
    return "asked for";
  if (promotion->number > 0 && promotion->live->step == verdict->step) {
    verdict->promoted = FALSE;
    return ALREADY_SERVES;
  }
  if (promotion->held) {
    verdict->promoted = FALSE;
    return "held since the rollback";
  }
  if (promotion->untrained)
    return "the first";
  if (policy == SEED_PROMOTE_ALWAYS)
    return "every one is";
  verdict->promoted = FALSE;
  if (policy == SEED_PROMOTE_MANUAL)
    return "waits to be asked for";
  if (verdict->candidate.n_items == 0)
    return "nothing is held out yet to score it with";
  verdict->promoted = seed_promotion_is_not_worse (
      &verdict->candidate, &verdict->live, promotion->config.tolerance);
  return verdict->promoted ? "not worse" : "worse than what serves";
}

static gboolean
promote_in_folder (const SeedPromotion *promotion, guint number, GError **error)
{
  const char *folder = promotion->config.folder;

  return seed_generation_set_marked (folder, number, TRUE, error) &&
         seed_generation_select (folder, number, error) &&
         seed_generation_show (folder, seed_student_shown_files, error);
}

static void
remember_in_memory (SeedPromotion *promotion)
{
  if (promotion->untrained || promotion->config.keep == 0)
    return;
  if (promotion->past->len == promotion->config.keep)
    g_ptr_array_remove_index (promotion->past, 0);
  g_ptr_array_add (promotion->past, seed_weights_ref (promotion->live));
}

/* Kept are the one that serves, those to go back to, and two to resume from. */
static void
prune (const SeedPromotion *promotion)
{
  g_autoptr (GArray) numbers = seed_generations_list (promotion->config.folder);
  g_autoptr (GArray) kept = g_array_new (FALSE, FALSE, sizeof (guint));
  guint n_back = 0;

  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);
    gboolean back = number < promotion->number && n_back < promotion->config.keep &&
                    seed_generation_is_marked (promotion->config.folder, number);

    n_back += back;
    if (i < 2 || back || number == promotion->number)
      g_array_append_val (kept, number);
  }
  seed_generations_prune_to (promotion->config.folder, (const guint *) kept->data, kept->len);
}

gboolean
seed_promotion_consider (SeedPromotion *promotion, SeedTrainer *trainer, gboolean force,
    SeedPromotionVerdict *verdict, GError **error)
{
  guint number = 0;

  *verdict = (SeedPromotionVerdict){ .step = seed_trainer_get_step (trainer),
    .candidate = { .agreement = NAN, .loss = NAN },
    .live = { .agreement = NAN, .loss = NAN } };
  if (has_folder (promotion) && !seed_trainer_save_candidate (trainer, promotion->config.folder,
                                    &number, verdict->sha256, error))
    return FALSE;
  verdict->why = judge (promotion, trainer, force, verdict);
  if (verdict->promoted) {
    if (has_folder (promotion) && !promote_in_folder (promotion, number, error))
      return FALSE;
    if (!has_folder (promotion))
      remember_in_memory (promotion);
    set_live (promotion, average_of (trainer, verdict->sha256), number);
    if (promotion->held)
      set_held (promotion, FALSE);
    promotion->untrained = promotion->untrained && verdict->step == 0;
    promotion->n_promoted++;
  } else if (!g_str_equal (verdict->why, ALREADY_SERVES)) {
    promotion->n_rejected++;
  }
  if (has_folder (promotion))
    prune (promotion);
  return TRUE;
}

/* ---- going back ---- */

static guint
previous_generation (const SeedPromotion *promotion)
{
  g_autoptr (GArray) numbers = seed_generations_list (promotion->config.folder);

  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);

    if (number < promotion->number && seed_generation_is_marked (promotion->config.folder, number))
      return number;
  }
  return 0;
}

static gboolean
nothing_to_go_back_to (GError **error)
{
  g_set_error_literal (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "no promoted generation before the one that serves is kept; raise keep to keep more");
  return FALSE;
}

static gboolean
back_in_folder (SeedPromotion *promotion, const SeedTrainer *trainer, GError **error)
{
  guint number = previous_generation (promotion);
  SeedWeights *weights;

  if (number == 0)
    return nothing_to_go_back_to (error);
  weights = read_generation (promotion, trainer, number, error);
  if (!weights)
    return FALSE;
  if (!seed_generation_select (promotion->config.folder, number, error)) {
    seed_weights_unref (weights);
    return FALSE;
  }
  set_live (promotion, weights, number);
  forget_later_marks (promotion);
  return TRUE;
}

static gboolean
back_in_memory (SeedPromotion *promotion, GError **error)
{
  GPtrArray *past = promotion->past;

  if (past->len == 0)
    return nothing_to_go_back_to (error);
  set_live (promotion, g_ptr_array_steal_index (past, past->len - 1), 0);
  return TRUE;
}

gboolean
seed_promotion_rollback (SeedPromotion *promotion, const SeedTrainer *trainer,
    SeedPromotionVerdict *verdict, GError **error)
{
  if (!(has_folder (promotion) ? back_in_folder (promotion, trainer, error)
                               : back_in_memory (promotion, error)))
    return FALSE;
  set_held (promotion, TRUE);
  promotion->n_rolled_back++;
  *verdict = (SeedPromotionVerdict){ .why = "asked for",
    .step = promotion->live->step,
    .candidate = { .agreement = NAN, .loss = NAN },
    .live = { .agreement = NAN, .loss = NAN } };
  g_strlcpy (verdict->sha256, promotion->live->sha256, sizeof verdict->sha256);
  return TRUE;
}

/* ---- what is asked ---- */

SeedWeights *
seed_promotion_get_live (SeedPromotion *promotion)
{
  return seed_weights_ref (promotion->live);
}

gboolean
seed_promotion_follows_every_step (const SeedPromotion *promotion)
{
  return promotion->config.policy == SEED_PROMOTE_ALWAYS && !promotion->held;
}

gboolean
seed_promotion_is_held (const SeedPromotion *promotion)
{
  return promotion->held;
}

guint64
seed_promotion_n_promoted (const SeedPromotion *promotion)
{
  return promotion->n_promoted;
}

guint64
seed_promotion_n_rejected (const SeedPromotion *promotion)
{
  return promotion->n_rejected;
}

guint64
seed_promotion_n_rolled_back (const SeedPromotion *promotion)
{
  return promotion->n_rolled_back;
}

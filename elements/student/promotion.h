/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/trainer.h"
#include "student/weights.h"

/*
 * Which weights of a learner serve. A candidate is the moving average at a checkpoint; what is
 * promoted is given to followers and, with a checkpoint folder, becomes its current generation.
 *
 *   auto    when the candidate does not score worse than what serves, on the held probe
 *   manual  when somebody says so
 *   always  every candidate; and followers take every step's average in between
 *
 * Whatever the policy, the first candidate of a student that was never trained is promoted: there
 * is nothing to lose. Going back to an older generation holds promotion until somebody promotes.
 * What is kept to go back to: with a folder, generations that carry a mark (generations.h);
 * without, weights in memory. Used by one thread at a time.
 */
typedef enum {
  SEED_PROMOTE_AUTO,
  SEED_PROMOTE_MANUAL,
  SEED_PROMOTE_ALWAYS,
} SeedPromotePolicy;

typedef struct {
  SeedPromotePolicy policy;
  const char *folder; /* of checkpoints, or NULL; copied */
  double tolerance;   /* of agreement; of the loss, as a share of it */
  guint keep;         /* promoted generations to go back to */
} SeedPromotionConfig;

/* What became of a candidate, or of going back. */
typedef struct {
  gboolean promoted;
  const char *why; /* static, one line */
  guint64 step;
  char sha256[65]; /* of the model file, "" without one */
  SeedTrainerScore candidate, live;
} SeedPromotionVerdict;

typedef struct _SeedPromotion SeedPromotion;

/*
 * @trainer was resumed or not; @untrained: neither resumed nor started from a model. What serves is
 * the current generation of the folder, or else the trainer's average.
 */
SeedPromotion *seed_promotion_new (const SeedPromotionConfig *config, const SeedTrainer *trainer,
    gboolean untrained, GError **error);
void seed_promotion_free (SeedPromotion *promotion);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPromotion, seed_promotion_free)

/*
 * The candidate is the trainer's average now. With a folder it is saved first, whatever becomes of
 * it: it is what a run resumes from. @force: promote it. FALSE with an error when it could not be
 * saved; what serves and what was saved before are as they were.
 */
gboolean seed_promotion_consider (SeedPromotion *promotion, SeedTrainer *trainer, gboolean force,
    SeedPromotionVerdict *verdict, GError **error);

/* To the promoted generation before the one that serves. FALSE with an error when none is kept, or
 * it cannot be read. */
gboolean seed_promotion_rollback (SeedPromotion *promotion, const SeedTrainer *trainer,
    SeedPromotionVerdict *verdict, GError **error);

/* What serves; with the policy always and not held, every step's average serves instead. */
SeedWeights *seed_promotion_get_live (SeedPromotion *promotion);
gboolean seed_promotion_follows_every_step (const SeedPromotion *promotion);
gboolean seed_promotion_is_held (const SeedPromotion *promotion);
guint64 seed_promotion_n_promoted (const SeedPromotion *promotion);
guint64 seed_promotion_n_rejected (const SeedPromotion *promotion);
guint64 seed_promotion_n_rolled_back (const SeedPromotion *promotion);

/* Agreement decides when both have one, the loss otherwise. A score that is not finite is worse. */
gboolean seed_promotion_is_not_worse (
    const SeedTrainerScore *candidate, const SeedTrainerScore *live, double tolerance);

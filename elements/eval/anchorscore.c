/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/rng.h>

#include "eval/anchorscore.h"
#include "source/imageorder.h"

/* The images that have a class, and their classes numbered without gaps. */
typedef struct {
  guint *images, *classes;
  guint n, n_classes;
} Labelled;

static void
labelled_clear (Labelled *labelled)
{
  g_free (labelled->images);
  g_free (labelled->classes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Labelled, labelled_clear)

static void
find_labelled (Labelled *labelled, const SeedAnchorWords *words)
{
  g_autoptr (GHashTable) numbers = g_hash_table_new (NULL, NULL); /* label + 1 -> class + 1 */

  labelled->images = g_new (guint, words->n_images);
  labelled->classes = g_new (guint, words->n_images);
  for (guint i = 0; i < words->n_images; i++) {
    gpointer label = GUINT_TO_POINTER ((guint) words->labels[i] + 1);
    guint number;

    if (words->labels[i] < 0)
      continue;
    number = GPOINTER_TO_UINT (g_hash_table_lookup (numbers, label));
    if (number == 0) {
      number = ++labelled->n_classes;
      g_hash_table_insert (numbers, label, GUINT_TO_POINTER (number));
    }
    labelled->images[labelled->n] = i;
    labelled->classes[labelled->n++] = number - 1;
  }
}

static void
score_position (const SeedAnchorWords *words, SeedAnchorScore *score)
{
  g_autoptr (SeedContingency) table = seed_contingency_new (words->n_anchors, words->n_words);
  g_autofree guint8 *used = g_new0 (guint8, words->n_anchors);
  gsize n = (gsize) words->n_images * words->n_words;

  for (gsize i = 0; i < n; i++) {
    guint16 anchor = words->anchors[i];

    seed_contingency_add (table, anchor, (guint) (i % words->n_words));
    score->n_used += !used[anchor];
    used[anchor] = 1;
  }
  seed_contingency_measure (table, &score->position);
}

/* @order [labelled->n]: whose class each image is given. */
static void
score_classes (const SeedAnchorWords *words, const Labelled *labelled, const guint32 *order,
    SeedContingency *table, SeedAnchorClass *score)
{
  seed_contingency_clear (table);
  for (guint i = 0; i < labelled->n; i++) {
    const guint16 *anchors = words->anchors + (gsize) labelled->images[i] * words->n_words;

    for (guint u = 0; u < words->n_words; u++)
      seed_contingency_add (table, anchors[u], labelled->classes[order[i]]);
  }
  seed_contingency_measure (table, &score->information);
  score->purity = seed_contingency_purity (table);
}

/* Adds a @share of @from to @to. */
static void
add_share (SeedAnchorClass *to, const SeedAnchorClass *from, double share)
{
  to->information.n += share * from->information.n;
  to->information.entropy_rows += share * from->information.entropy_rows;
  to->information.entropy_columns += share * from->information.entropy_columns;
  to->information.information += share * from->information.information;
  to->information.normalised += share * from->information.normalised;
  to->information.adjusted += share * from->information.adjusted;
  to->purity += share * from->purity;
}

static void
score_permuted (const SeedAnchorWords *words, const Labelled *labelled, SeedContingency *table,
    guint64 seed, guint n, SeedAnchorScore *score)
{
  g_autofree SeedAnchorClass *draws = g_new (SeedAnchorClass, n);
  g_autofree guint32 *order = g_new (guint32, labelled->n);
  double squares = 0, purity_squares = 0;

  for (guint p = 0; p < n; p++) {
    seed_image_order (order, labelled->n, TRUE, seed_hash_string (seed, "anchors"), p);
    score_classes (words, labelled, order, table, &draws[p]);
    add_share (&score->permuted, &draws[p], 1.0 / n);
  }
  for (guint p = 0; p < n; p++) {
    squares += pow (draws[p].information.normalised - score->permuted.information.normalised, 2);
    purity_squares += pow (draws[p].purity - score->permuted.purity, 2);
  }
  score->deviation = n > 1 ? sqrt (squares / (n - 1)) : 0;
  score->purity_deviation = n > 1 ? sqrt (purity_squares / (n - 1)) : 0;
}

gboolean
seed_anchor_score (const SeedAnchorWords *words, guint64 seed, guint n_permutations,
    SeedAnchorScore *score, GError **error)
{
  g_auto (Labelled) labelled = { 0 };
  g_autoptr (SeedContingency) table = NULL;
  g_autofree guint32 *order = NULL;

  if (words->n_images == 0 || words->n_words == 0) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID, "there are no words to look at");
    return FALSE;
  }
  find_labelled (&labelled, words);
  if (labelled.n_classes > SEED_ANCHOR_SCORE_MAX_CLASSES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "the set has %u classes; anchors are compared with %u at most", labelled.n_classes,
        SEED_ANCHOR_SCORE_MAX_CLASSES);
    return FALSE;
  }
  *score = (SeedAnchorScore){ .n_labelled = labelled.n, .n_classes = labelled.n_classes };
  score_position (words, score);
  if (labelled.n_classes < 2)
    return TRUE;
  table = seed_contingency_new (words->n_anchors, labelled.n_classes);
  order = g_new (guint32, labelled.n);
  seed_image_order (order, labelled.n, FALSE, 0, 0);
  score_classes (words, &labelled, order, table, &score->of_class);
  score_permuted (words, &labelled, table, seed, n_permutations, score);
  return TRUE;
}

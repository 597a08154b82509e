/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * How much one label says of another, from counts of pairs: of a word's anchor and its position, of
 * an image's anchors and its class. Entropies in nats.
 */
typedef struct _SeedContingency SeedContingency;

SeedContingency *seed_contingency_new (guint n_rows, guint n_columns);
void seed_contingency_free (SeedContingency *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedContingency, seed_contingency_free)
void seed_contingency_clear (SeedContingency *table);

/* Counts the pair (@row, @column). */
void seed_contingency_add (SeedContingency *table, guint row, guint column);
/* Every count so far weighs @factor (0..1) of what it did. */
void seed_contingency_forget (SeedContingency *table, double factor);

typedef struct {
  double n;               /* pairs, or as many as the weights are worth: (sum w)^2 / sum w^2 */
  double entropy_rows;    /* H (A) */
  double entropy_columns; /* H (B) */
  double information;     /* I (A; B) >= 0 */
  /* I / mean (H (A), H (B)), 0..1: 0 independent, 1 each says the other */
  double normalised;
  /*
   * The same without what chance gives a small sample, (I - e) / (mean H - e) and not below 0, e =
   * (used rows - 1) (used columns - 1) / (2 n): the form of adjusted mutual information (Vinh et
   * al. 2010, JMLR 11) with e to first order (Miller 1955). 0 when the sample is too small to tell.
   */
  double adjusted;
} SeedInformation;

/* All 0 for an empty table. */
void seed_contingency_measure (const SeedContingency *table, SeedInformation *information);

/*
 * Share of the pairs whose column is the most frequent one of their row, 0..1: how often a guess at
 * the column from the row alone is right on what it was learned from. Chance alone makes it large
 * where rows have few pairs. 0 for an empty table.
 */
double seed_contingency_purity (const SeedContingency *table);

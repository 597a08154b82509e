/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "anchors/contingency.h"

struct _SeedContingency {
  guint n_rows, n_columns;
  double n, squares; /* sums of the weights of pairs, and of their squares */
  double *counts;    /* [n_rows, n_columns] */
};

SeedContingency *
seed_contingency_new (guint n_rows, guint n_columns)
{
  SeedContingency *table = g_new0 (SeedContingency, 1);

  g_assert (n_rows >= 1 && n_columns >= 1);
  table->n_rows = n_rows;
  table->n_columns = n_columns;
  table->counts = g_new0 (double, (gsize) n_rows *n_columns);
  return table;
}

void
seed_contingency_free (SeedContingency *table)
{
  if (!table)
    return;
  g_free (table->counts);
  g_free (table);
}

void
seed_contingency_clear (SeedContingency *table)
{
  memset (table->counts, 0, (gsize) table->n_rows * table->n_columns * sizeof *table->counts);
  table->n = table->squares = 0;
}

void
seed_contingency_add (SeedContingency *table, guint row, guint column)
{
  g_return_if_fail (row < table->n_rows && column < table->n_columns);

  table->counts[(gsize) row * table->n_columns + column] += 1;
  table->n += 1;
  table->squares += 1;
}

void
seed_contingency_forget (SeedContingency *table, double factor)
{
  g_return_if_fail (factor >= 0 && factor <= 1);

  for (gsize i = 0; i < (gsize) table->n_rows * table->n_columns; i++)
    table->counts[i] *= factor;
  table->n *= factor;
  table->squares *= factor * factor;
}

static double
term (double count, double n)
{
  return count > 0 ? -count / n * log (count / n) : 0;
}

void
seed_contingency_measure (const SeedContingency *table, SeedInformation *information)
{
  g_autofree double *columns = g_new0 (double, table->n_columns);
  guint used_rows = 0, used_columns = 0;
  double joint = 0, mean, chance;

  *information = (SeedInformation){ 0 };
  if (!(table->n > 0))
    return;

  for (guint r = 0; r < table->n_rows; r++) {
    const double *counts = table->counts + (gsize) r * table->n_columns;
    double row = 0;

    for (guint c = 0; c < table->n_columns; c++) {
      row += counts[c];
      columns[c] += counts[c];
      joint += term (counts[c], table->n);
    }
    information->entropy_rows += term (row, table->n);
    used_rows += row > 0;
  }
  for (guint c = 0; c < table->n_columns; c++) {
    information->entropy_columns += term (columns[c], table->n);
    used_columns += columns[c] > 0;
  }

  information->n = table->n * table->n / table->squares;
  information->information =
      MAX (information->entropy_rows + information->entropy_columns - joint, 0);
  mean = (information->entropy_rows + information->entropy_columns) / 2;
  chance = (used_rows - 1.0) * (used_columns - 1.0) / (2 * information->n);
  if (mean > 0)
    information->normalised = MIN (information->information / mean, 1);
  if (mean > chance)
    information->adjusted = CLAMP ((information->information - chance) / (mean - chance), 0, 1);
}

double
seed_contingency_purity (const SeedContingency *table)
{
  double right = 0;

  for (guint r = 0; r < table->n_rows; r++) {
    const double *counts = table->counts + (gsize) r * table->n_columns;
    double most = 0;

    for (guint c = 0; c < table->n_columns; c++)
      most = MAX (most, counts[c]);
    right += most;
  }
  return table->n > 0 ? right / table->n : 0;
}

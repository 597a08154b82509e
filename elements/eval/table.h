/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>
#include <seed/error.h>

/*
 * Reports of evaluations (objects of the schema seed.eval.v1) as one Markdown table: a row for each
 * model, a column for each metric of each task and data set. Reports that differ in the model's
 * weights or the seed alone, of models of one label, are repetitions: a cell has their mean and,
 * of two or more, the standard deviation (of a sample), and their number.
 */
typedef struct _SeedEvalTable SeedEvalTable;

SeedEvalTable *seed_eval_table_new (void);
void seed_eval_table_free (SeedEvalTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedEvalTable, seed_eval_table_free)

/*
 * @label: the row, or NULL for the model's name without what follows a "-seed" or "_seed" (runs of
 * several seeds share a row). @file stands in errors. SEED_ERROR_FORMAT when it is no such report.
 * The same report twice (model, data, seed, task) is SEED_ERROR_INVALID.
 */
gboolean seed_eval_table_add (
    SeedEvalTable *table, JsonObject *report, const char *file, const char *label, GError **error);

/* @metrics: names to show, NULL-terminated, or NULL for the main ones. Rows and columns are in the
 * order of their first report. Shares are shown in percent. Caller frees. */
char *seed_eval_table_format (const SeedEvalTable *table, const char *const *metrics);

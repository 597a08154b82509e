/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * How a run of training went, from what it published: the lines of `seedctl tail --json` (kind
 * "train" is taken, all else passed over), lines that are such a message's "data" alone, or the one
 * object that `seed-run --stats` leaves, which gives one point for each learning student.
 */
typedef struct _SeedRunLog SeedRunLog;

#define SEED_RUNLOG_MAX_SERIES 4096u

/* SEED_ERROR_IO, _FORMAT ("FILE:LINE: ..."; also when there is nothing of a training in it). */
SeedRunLog *seed_runlog_load (const char *path, GError **error);
SeedRunLog *seed_runlog_parse (const char *label, const char *text, gsize length, GError **error);
void seed_runlog_free (SeedRunLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedRunLog, seed_runlog_free)

/* Paths of the numbers that were there ("loss.total", "fusion.teachers.clip.diagonal"), in the
 * order in which they first came; with "NODE:" before when several nodes learn. */
guint seed_runlog_n_series (const SeedRunLog *log);
const char *seed_runlog_get_path (const SeedRunLog *log, guint series);
/* double: step, value, step, value, ...; NaN where a value was null. By rising step: of a run that
 * was resumed at an earlier step, what was after that step is replaced. */
const GArray *seed_runlog_get_points (const SeedRunLog *log, guint series);
guint seed_runlog_n_messages (const SeedRunLog *log);

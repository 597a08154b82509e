/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "student/trainer.h"

/*
 * The "data" of a train result: one JSON object
 *   { "step", "loss": { "total", TERM, ... }, "lr", "grad_norm", "batch", "images_per_s",
 *     "teachers": { NAME: { "seed", "summary", "tokens", "kept" }, ... },
 *     "labels": { "labelled", "unlabelled_total", "accuracy" },
 *     "fusion": { "masked", "teachers": { NAME: { "diagonal", "off_diagonal" }, ... } } }
 * TERM: "similarity", "seed", "features", "labels", "captions", those that the batch had: means,
 * without weights; "total" is with weights and dropped teachers. "teachers" and "labels" are there
 * with such terms, "fusion" when @target (may be NULL) carries the diagnostics of its fusion.
 * Returns a new buffer of UTF-8 text.
 */
GstBuffer *seed_student_report_new (const SeedTrainerReport *report, const SeedTrainer *trainer,
    guint batch, double images_per_s, guint64 n_unlabelled, GstBuffer *target);

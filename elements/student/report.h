/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "student/trainer.h"

/*
 * The "data" of a train result: one JSON object
 *   { "step", "loss": { "total", "similarity" }, "lr", "grad_norm", "batch", "images_per_s",
 *     "fusion": { "masked", "teachers": { NAME: { "diagonal", "off_diagonal" }, ... } } }
 * "fusion" is there when @target carries the diagnostics of its fusion.
 * Returns a new buffer of UTF-8 text.
 */
GstBuffer *seed_student_report_new (
    const SeedTrainerReport *report, guint batch, double images_per_s, GstBuffer *target);

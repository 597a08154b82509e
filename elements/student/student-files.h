/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/student.h"

/*
 * A student on disc: a model folder (nn/checkpoint.h) with the student's own heads.
 *
 * Loads whatever kind of student @folder holds and says in @shape what it is. @checkpoint as after
 * seed_checkpoint_load; its params are those of seed_student_append_params for the shape.
 */
gboolean seed_student_load (
    SeedCheckpoint *checkpoint, SeedStudentShape *shape, const char *folder, GError **error);

/* @params, @values: of that student, with or without what only learning needs behind. */
gboolean seed_student_save (const char *folder, const SeedStudentShape *shape,
    const SeedParams *params, const float *values, GError **error);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * Stand-ins for SEED's stages, under their names: the pads, caps and flow of the real ones without
 * their work, so that graphs of any shape are built and run in milliseconds. What they share:
 *
 * - patchify gives out one buffer for every `batch` it takes, numbered in its offset;
 * - teachers need the geometry their model's folder is named after ("m224" needs 224), and fail to
 *   reach READY when it is called "broken";
 * - fusion and a student with a target wait for the same batch on every input, and post an error
 *   when they get different ones;
 * - every element remembers what it was told in its properties, and counts buffers in "taken".
 */
void fake_stages_register (void);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/anchors-meta.h>

/* Called once by the plugin. */
void seed_anchors_meta_register (void);

/* Copies both; @heatmaps may be NULL. */
void seed_buffer_add_anchors_meta (
    GstBuffer *buffer, guint item, guint grid, const float *histogram, const float *heatmaps);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * Makes SEED's elements available, without GST_PLUGIN_PATH and without a trace in the user's plugin
 * registry. Looked for, in order: beside a program that runs from its build folder; in GStreamer's
 * own registry; where this build is installed. FALSE when it is nowhere; graphs without SEED stages
 * work even then. Call after gst_init.
 */
gboolean seed_graph_load_plugin (void);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "graph/graph.h"

G_BEGIN_DECLS

/*
 * Keys of a graph file as GObject properties. Types, ranges and enum values come from the element's
 * own property specifications; there is no second list of them.
 */

/** Loads the plugin and returns the element's class; unref with g_type_class_unref. NULL: not
 * loadable. */
GObjectClass *seed_props_class (GstElementFactory *factory);

/** A property a graph may set, or NULL. */
GParamSpec *seed_props_find (GObjectClass *klass, const char *name);

/** NULL-terminated names of what a graph may set. Free the array, not the names. */
const char **seed_props_names (GObjectClass *klass);

/**
 * What @pspec takes, in words: "an integer from 1 to 16", "one of squash, crop, letterbox". Caller
 * frees.
 */
char *seed_props_expectation (GParamSpec *pspec);

/**
 * The value @yaml means for @pspec; initialises @value on success. A list given to a text property
 * is joined with commas. FALSE when it is of another type, out of range or not one of the enum.
 */
gboolean seed_props_convert (const SeedYaml *yaml, GParamSpec *pspec, GValue *value);

/** The same for a setting of a node: paths are made absolute first. */
gboolean seed_props_convert_setting (const SeedGraph *graph, const SeedGraphNode *node,
    const SeedGraphSetting *setting, GParamSpec *pspec, GValue *value);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <json-glib/json-glib.h>

/* A value as JSON: numbers, truth values, texts, lists and structures as what they are, numbers
 * that are not finite as null, enums by their nick, anything else as text. */
void seed_run_json_add_value (JsonBuilder *builder, const GValue *value);
/* A structure of measurements as a JSON object. */
void seed_run_json_add_structure (JsonBuilder *builder, const GstStructure *structure);

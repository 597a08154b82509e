/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/**
 * Trees of JSON from strangers, read with the strict reader of nn/json.h and with its depth limit
 * (SEED_JSON_MAX_DEPTH). json-glib's own parser takes comments, assignments and integers that do
 * not fit, and recurses as deep as the text says.
 *
 * @text: @length bytes, not necessarily terminated; @label stands for the file in errors, which
 * give line and column. Refused besides what the grammar refuses: doubled keys, NUL, lone
 * surrogates (SEED_ERROR_FORMAT); integers outside of a signed 64-bit number, numbers beyond a
 * double, too much depth (SEED_ERROR_LIMIT). Integers written without fraction and exponent stay
 * exact (G_TYPE_INT64), all other numbers are doubles.
 *
 * Returns a tree that the caller frees with json_node_unref, or NULL. Thread-safe.
 */
JsonNode *seed_json_tree_parse (const char *label, const char *text, gsize length, GError **error);

/**
 * Whether a tree that a program made can be written as JSON and read again: every number finite,
 * every string UTF-8, no more than @max_depth deep. Errors name the member by its path from @path
 * ("data.loss[3]"): SEED_ERROR_NUMERIC, SEED_ERROR_FORMAT, SEED_ERROR_LIMIT.
 */
gboolean seed_json_tree_check (JsonNode *node, const char *path, guint max_depth, GError **error);

/**
 * Appends @node as JSON without white space. Doubles get as many digits as they need to be read
 * back bit for bit and always a fraction or an exponent, so they stay doubles. (json-glib's own
 * generator makes "5e-300.0" of 5e-300.) @node has passed seed_json_tree_check or comes from a
 * parser.
 */
void seed_json_tree_append (GString *out, JsonNode *node);

G_END_DECLS

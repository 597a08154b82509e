/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/wire.h"

G_BEGIN_DECLS

/**
 * What each kind of result promises beyond the form of a message: its tensors and the keys of its
 * data. One table says it for who publishes, who subscribes, and who prints; the schema in docs/
 * says the same, and a test compares them.
 */

/** Names of the kinds, NULL-terminated. */
const char *const *seed_kind_names (void);
/** Whether the table knows the kind. Others are let through: the format grows by them. */
gboolean seed_kind_is_known (const char *kind);

/**
 * Whether @result is what its kind promises; unknown kinds promise nothing. Errors name the key:
 * SEED_ERROR_FORMAT (a missing key, a wrong type or value), SEED_ERROR_MISMATCH (tensors).
 */
gboolean seed_kind_check (const SeedResult *result, GError **error);

/**
 * Tensor number @i (from 0) that a report of @kind may bear, made of @size bytes at @data: for
 * anchors 0 is the histogram and 1 the heat maps, whose grid @data_object names. FALSE when the
 * kind has no such tensor or the size does not fit.
 */
gboolean seed_kind_make_tensor (const char *kind, guint i, JsonObject *data_object,
    const void *data, gsize size, SeedTensor *tensor);
/** The name of that tensor, or NULL. */
const char *seed_kind_tensor_name (const char *kind, guint i);
#define SEED_KIND_MAX_TENSORS 2u

/** The events there are, NULL-terminated. */
const char *const *seed_kind_events (void);

/**
 * A few words for a person ("scene-cut: mean difference 0.41", "peak anchor 17 (0.23)"), or NULL
 * where the header says it all. @result has passed seed_kind_check. The caller frees it.
 */
char *seed_kind_summarize (const SeedResult *result);

#define SEED_KIND_N_ANCHORS 256u /* METHOD: 16 x 16 */

G_END_DECLS

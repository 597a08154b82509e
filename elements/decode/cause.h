/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "decode/stream-state.h"

/*
 * One line about what an element's error was and what to do about it. @debug (may be NULL): the
 * debug text that came with @error. Free with g_free.
 */
char *seed_decode_describe_cause (const GError *error, const char *debug);

/*
 * Whether the source of @uri may be better in a moment (SEED_STREAM_LOST) or will hardly be
 * (SEED_STREAM_REFUSED: no such path on a server that answers, no right to it, no decoder).
 * @details: of the error message, may be NULL; the answer of a server is in there. A device or a
 * file that is missing may come back.
 */
SeedStreamInput
seed_decode_classify_cause (const GError *error, const GstStructure *details, const char *uri);

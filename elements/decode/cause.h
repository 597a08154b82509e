/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * One line about what an element's error was and what to do about it. @debug (may be NULL): the
 * debug text that came with @error. Free with g_free.
 */
char *seed_decode_describe_cause (const GError *error, const char *debug);

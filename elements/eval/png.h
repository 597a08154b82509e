/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <seed/error.h>

/* Pixels on a side of a picture at most. */
#define SEED_PNG_MAX_SIDE 16384u

/*
 * A PNG file (ISO/IEC 15948) of @rgb, uint8 [height, width, 3]: 8 bits a sample, not interlaced,
 * each row filtered by whatever leaves the smallest sum of differences. SEED_ERROR_LIMIT for a
 * picture without pixels or with a side above the maximum. The same pixels give the same bytes with
 * one version of zlib. Caller unrefs.
 */
GBytes *seed_png_encode (const guint8 *rgb, guint width, guint height, GError **error);

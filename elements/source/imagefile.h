/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SEED_IMAGE_FILE_MAX_BYTES (256 * 1024 * 1024)

/**
 * The bytes of an image file. Errors (SEED_ERROR_IO, _LIMIT, _FORMAT) name the file: it cannot be
 * opened or read, is no regular file, is empty or larger than SEED_IMAGE_FILE_MAX_BYTES, or is a
 * JPEG that ends before its end marker (decoders fill in the rest with grey and say nothing).
 */
GBytes *seed_image_file_read (const char *path, GError **error);

/** Whether a JPEG stream (ITU-T T.81, annex B) reaches its EOI marker. */
gboolean seed_jpeg_is_whole (const guint8 *data, gsize size);

/** Whether @bytes begin as a JPEG does, and end before its end marker. */
gboolean seed_image_is_cut_jpeg (GBytes *bytes);

G_END_DECLS

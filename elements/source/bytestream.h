/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * Bytes read one way, plain or unpacked from gzip (RFC 1952, any number of members behind one
 * another, as bgzip and pigz write them). Belongs to one thread at a time.
 */
typedef struct _SeedByteStream SeedByteStream;

/** What a gzip file may grow to: 64 GiB. More is SEED_ERROR_LIMIT. */
#define SEED_BYTE_STREAM_MAX_BYTES (G_GUINT64_CONSTANT (64) << 30)

/** Reads @input, of which it keeps a reference, from where it stands. */
SeedByteStream *seed_byte_stream_new (GInputStream *input, gboolean gzip);
void seed_byte_stream_free (SeedByteStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedByteStream, seed_byte_stream_free)

/**
 * Up to @size bytes into @data, fewer at the end alone. -1 with SEED_ERROR_IO (the system),
 * _FORMAT (damaged or cut gzip) or _LIMIT; what came before is lost then.
 */
gssize seed_byte_stream_read (SeedByteStream *stream, void *data, gsize size, GError **error);

/** Passes over @size bytes, without reading them where the input can seek; how many there were, or
 * -1 as above. */
gint64 seed_byte_stream_skip (SeedByteStream *stream, guint64 size, GError **error);

/** Bytes (unpacked ones) before the next. */
guint64 seed_byte_stream_tell (const SeedByteStream *stream);

/** Whether @data begins as a gzip file does. */
gboolean seed_bytes_are_gzip (const guint8 *data, gsize size);

G_END_DECLS

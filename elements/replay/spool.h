/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

#include "replay/replay.h"

G_BEGIN_DECLS

/*
 * A memory of frames that outlives the process: a file that is only ever appended to, or replaced
 * as a whole. Each record is one change of the memory (what was forgotten, remembered and drawn,
 * and the random state after it), written with one call, so a process that is killed leaves at most
 * one record that is torn, at the end: it is dropped, and the memory is as it was one change
 * before. Reading the records in order gives the memory again exactly, order of frames and random
 * state included, so a run that goes on draws what it would have drawn.
 *
 * When more than half of the file is of the past it is rewritten under another name and renamed
 * over it. It never grows beyond 2 x (bytes held) + SEED_SPOOL_SLACK; while it is rewritten the
 * new file is beside it.
 *
 *   file     header, records
 *   header   "SEEDSPL\n", u32 version 1, u32 bytes of the header (32), u64 0, u64 check of these
 *   record   u32 "SEEd" (0x64454553), u32 0, u64 bytes of the body, u64 check of the body,
 *            u64 check of these; then the body, a multiple of 8 bytes
 *   body     see spool-record.c
 *
 * All numbers are little-endian. A check starts from the number of its record, so that none can be
 * left out or moved. What is not as a writer leaves it is refused with the byte where it is.
 */
#define SEED_SPOOL_HEADER_SIZE 32u
#define SEED_SPOOL_SLACK (16u * 1024 * 1024)

/* Whether @n_bytes of pixels may be of @format; sets @error otherwise. */
typedef gboolean (*SeedSpoolCheck) (
    const char *format, gsize n_bytes, gpointer data, GError **error);

/*
 * Reads the records of @data into @replay, which is empty; its pixels then are @data's. @good gets
 * how many bytes are whole records, less than @size when the last is torn; @n_records how many
 * there are. @check may be NULL. FALSE: refused, and @replay is good for nothing but to be freed.
 * Errors: SEED_ERROR_FORMAT, _UNSUPPORTED (version), _LIMIT.
 */
gboolean seed_spool_parse (SeedReplay *replay, const guint8 *data, gsize size, SeedSpoolCheck check,
    gpointer check_data, gsize *good, guint64 *n_records, GError **error);

typedef struct _SeedSpool SeedSpool;

/*
 * Opens or makes @path and reads it into @replay, which is empty; forgets frames until its capacity
 * is kept. One process at a time: the file is locked. On an error nothing on disk has changed.
 * Errors as above, and SEED_ERROR_IO.
 */
SeedSpool *seed_spool_open (const char *path, SeedReplay *replay, SeedSpoolCheck check,
    gpointer check_data, GError **error);

/*
 * Writes what has changed since the last call and clears the change. FALSE: it could not be
 * written, the file is as it was before; the memory goes on without it, and after some more changes
 * (64, then twice as many each time, up to 65536) this tries to write the whole memory anew. Only
 * the first failure of a row sets @error, others return TRUE.
 */
gboolean seed_spool_update (SeedSpool *spool, GError **error);

/* Bytes of the file; whether what it holds is behind the memory; bytes torn off when opened. */
guint64 seed_spool_size (const SeedSpool *spool);
gboolean seed_spool_is_behind (const SeedSpool *spool);
guint64 seed_spool_torn (const SeedSpool *spool);

/* Tries once more when it is behind, and waits until all is on disk. The spool is freed. NULL is
 * fine. */
gboolean seed_spool_close (SeedSpool *spool, GError **error);

/* Without another look at the disk. */
void seed_spool_free (SeedSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSpool, seed_spool_free)

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include "replay/replay-private.h"

/* The records of a spool as bytes; spool.h describes the file. */

/*
 * The body of a record:
 *
 *   u64 random state[4], u64 clock, u64 owed                    as of after the change
 *   u32 flags (1: a stream, 2: a frame), u32 n_went, u32 n_drawn, u32 0
 *   stream: char id[64] (NUL-padded), u64 seen, u32 up, u32 0
 *   u32 went[n_went], u32 drawn[n_drawn], padded with 0 to a multiple of 8 bytes
 *   frame:  u64 frame, pts, dropped, i64 capture_ns, u64 mark, i32 label, u32 repeat,
 *           u64 bytes of pixels, u32 bytes of format, u32 0, u8 cells of the signature[256],
 *           format, pixels, padded with 0 to a multiple of 8 bytes
 */
#define SEED_SPOOL_MAGIC "SEEDSPL\n"
#define SEED_SPOOL_VERSION 1u
#define SEED_SPOOL_RECORD_MAGIC 0x64454553u
#define SEED_SPOOL_FLAG_STREAM 1u
#define SEED_SPOOL_FLAG_FRAME 2u
#define SEED_SPOOL_STATE_SIZE 48u
#define SEED_SPOOL_COUNTS_SIZE 16u
#define SEED_SPOOL_STREAM_SIZE (SEED_REPLAY_STREAM_SIZE + 16u)
#define SEED_SPOOL_FRAME_SIZE (64u + SEED_SIGNATURE_CELLS)
#define SEED_SPOOL_MAX_FORMAT 4096u
#define SEED_SPOOL_RECORD_SIZE 32u /* of a record before its body */

/*
 * Guards against what tears and rots, not against who forges: words are mixed one after the other
 * as in MurmurHash64A (Appleby, public domain). Bytes come in pieces, each but the last a multiple
 * of 8.
 */
guint64 seed_spool_check_mix (guint64 h, const guint8 *data, gsize size);
guint64 seed_spool_check_begin (guint64 number);

void seed_spool_put_header (guint8 header[static 32]);

/*
 * One record, the @number-th of its file: everything but the pixels goes into @head (replaced),
 * which is to be written first, then the pixels, then @n_pad zero bytes. @frame: what was put at
 * the end, or NULL; @stream: whom it is about, or NULL.
 */
void seed_spool_put_record (GByteArray *head, guint64 number, const SeedReplayChange *change,
    const SeedReplayStream *stream, const SeedRemembered *frame, guint *n_pad);

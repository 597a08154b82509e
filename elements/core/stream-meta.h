/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/stream-meta.h>

/* Called once by the plugin. */
void seed_stream_meta_register (void);

/* Appends a copy of @meta to @buffer. */
void seed_buffer_copy_stream_meta (GstBuffer *buffer, const SeedStreamMeta *meta);

/* Appends copies of all stream metas of @from to @to, in order, and of their captions. */
void seed_buffer_copy_stream_metas (GstBuffer *to, GstBuffer *from);

#include <seed/ledger.h>

/* Counts every item of @buffer; a buffer without metas is one frame of stream "-". */
void seed_ledger_in_buffer (SeedLedger *ledger, GstBuffer *buffer);
void seed_ledger_out_buffer (SeedLedger *ledger, GstBuffer *buffer);
void seed_ledger_drop_buffer (SeedLedger *ledger, GstBuffer *buffer, SeedDropReason reason);

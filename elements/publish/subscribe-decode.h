/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "publish/wire.h"

/*
 * From results to buffers. For the kind "tokens" a buffer needs two messages, the embedding and the
 * tokens of one frame; embeddings wait here for their tokens, so few that a publisher cannot fill
 * the memory. One thread at a time.
 */
typedef struct _SeedDecoder SeedDecoder;

/* Embeddings that wait for tokens; the oldest makes room. */
#define SEED_DECODER_MAX_PENDING 64u

/* @kind: "embedding", "tokens", or that of a report. What is dropped here is counted in @ledger. */
SeedDecoder *seed_decoder_new (const char *kind, SeedLedger *ledger);
void seed_decoder_free (SeedDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedDecoder, seed_decoder_free)

/* Whether messages of @kind are of use. */
gboolean seed_decoder_wants (const SeedDecoder *decoder, const char *kind);
/* Whether @kind stands for frames, so that the ledger counts its messages. */
gboolean seed_decoder_counts (const SeedDecoder *decoder, const char *kind);

/*
 * Checks that @result is what its kind promises and gives the caps of the buffer it will become
 * (for an embedding that waits for tokens: without them). NULL with an error that names the key.
 */
GstCaps *seed_decoder_caps (SeedDecoder *decoder, const SeedResult *result, GError **error);

/*
 * The buffer, with stream meta, or NULL when there is none yet: an embedding now waits for its
 * tokens, or tokens came without their embedding. Only for results that seed_decoder_caps accepted.
 */
GstBuffer *seed_decoder_push (SeedDecoder *decoder, const SeedResult *result);

/* Tokens that are not wanted after all: the embedding that waits for them is dropped as error. */
void seed_decoder_discard (SeedDecoder *decoder, const SeedResult *tokens);

/* Forgets what waits, counted as flushed. */
void seed_decoder_flush (SeedDecoder *decoder);

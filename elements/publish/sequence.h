/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/wire.h"

G_BEGIN_DECLS

/**
 * What a subscriber makes of sequence numbers. They count the messages of a topic from 0, so a hole
 * is a loss. Not thread-safe; reads only what its caller gives it.
 */
typedef struct _SeedSequence SeedSequence;

typedef enum {
  SEED_SEQUENCE_NEXT,    /* the first of its topic, or the one after the last */
  SEED_SEQUENCE_GAP,     /* some before this one were lost */
  SEED_SEQUENCE_REPEAT,  /* seen before: a retained message sent again for somebody else */
  SEED_SEQUENCE_RESTART, /* the publisher began anew; what was lost, if anything, is not known */
  SEED_SEQUENCE_REFUSED, /* more topics than the limit: a publisher must not fill our memory */
} SeedSequenceStep;

/** @max_topics: topics remembered before others are refused. */
SeedSequence *seed_sequence_new (guint max_topics);
void seed_sequence_free (SeedSequence *sequence);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSequence, seed_sequence_free)

/** Notes @result; *@lost is the number of messages missing right before it (0 but for a gap). */
SeedSequenceStep
seed_sequence_step (SeedSequence *sequence, const SeedResult *result, guint64 *lost);

G_END_DECLS

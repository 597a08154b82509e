/* SPDX-License-Identifier: MIT */
#include "publish/sequence.h"

typedef struct {
  guint64 seq, publish_ns; /* of the last message */
} Last;

struct _SeedSequence {
  guint max_topics;
  GHashTable *topics; /* topic -> Last */
};

SeedSequence *
seed_sequence_new (guint max_topics)
{
  SeedSequence *sequence = g_new0 (SeedSequence, 1);

  sequence->max_topics = max_topics;
  sequence->topics = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return sequence;
}

void
seed_sequence_free (SeedSequence *sequence)
{
  if (!sequence)
    return;
  g_hash_table_unref (sequence->topics);
  g_free (sequence);
}

static SeedSequenceStep
compare (const Last *last, const SeedResult *result, guint64 *lost)
{
  if (result->seq > last->seq) {
    *lost = result->seq - last->seq - 1;
    return *lost ? SEED_SEQUENCE_GAP : SEED_SEQUENCE_NEXT;
  }
  /* A repeat is the same message, so it bears its old time; a new life of the publisher does not.
   */
  return result->publish_ns <= last->publish_ns ? SEED_SEQUENCE_REPEAT : SEED_SEQUENCE_RESTART;
}

SeedSequenceStep
seed_sequence_step (SeedSequence *sequence, const SeedResult *result, guint64 *lost)
{
  g_autofree char *topic = seed_wire_build_topic (result, NULL);
  SeedSequenceStep step = SEED_SEQUENCE_NEXT;
  Last *last;

  *lost = 0;
  g_return_val_if_fail (topic, SEED_SEQUENCE_REFUSED);
  last = g_hash_table_lookup (sequence->topics, topic);
  if (last) {
    step = compare (last, result, lost);
    if (step == SEED_SEQUENCE_REPEAT)
      return step;
  } else {
    if (g_hash_table_size (sequence->topics) >= sequence->max_topics)
      return SEED_SEQUENCE_REFUSED;
    last = g_new0 (Last, 1);
    g_hash_table_insert (sequence->topics, g_steal_pointer (&topic), last);
  }
  last->seq = result->seq;
  last->publish_ns = result->publish_ns;
  return step;
}

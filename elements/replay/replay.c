/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "replay/replay-private.h"

#define ONE_DUE (G_GUINT64_CONSTANT (1) << 32)

#define MAX_TRIES 64u

/* Weights of quotas. */
#define WEIGHT_UP 2u
#define WEIGHT_ENDED 1u

typedef struct {
  char id[SEED_REPLAY_STREAM_SIZE];
  guint64 seen, duplicates, drawn;
  guint held;
  gboolean up;
} Stream;

typedef struct {
  SeedRemembered frame;
  Stream *stream;
} Slot;

struct _SeedReplay {
  SeedReplayConfig config;
  guint64 due_per_live; /* times 2^32, rounded up */
  SeedRng rng;
  GArray *slots;      /* Slot */
  GPtrArray *streams; /* Stream, in the order they came */
  Stream *last;       /* asked for last */
  guint64 n_bytes;
  guint64 clock, owed;
  SeedReplayChange change;

  /* of the offer that was accepted last */
  Stream *pending;
  guint64 pending_index;
};

static Slot *
slot_at (const SeedReplay *replay, guint i)
{
  return &g_array_index (replay->slots, Slot, i);
}

static Stream *
stream_at (const SeedReplay *replay, guint i)
{
  return g_ptr_array_index (replay->streams, i);
}

void
seed_remembered_clear (SeedRemembered *remembered)
{
  g_clear_pointer (&remembered->format, g_ref_string_release);
  g_clear_pointer (&remembered->pixels, g_bytes_unref);
}

SeedReplay *
seed_replay_new (const SeedReplayConfig *config)
{
  SeedReplay *replay;

  g_return_val_if_fail (
      config->capacity >= 1 && config->capacity <= SEED_REPLAY_MAX_CAPACITY, NULL);
  g_return_val_if_fail (
      config->live_share >= SEED_REPLAY_MIN_SHARE && config->live_share <= 1, NULL);
  replay = g_new0 (SeedReplay, 1);
  replay->config = *config;
  replay->due_per_live =
      (guint64) ceil ((1.0 - config->live_share) / config->live_share * (double) ONE_DUE);
  seed_rng_init (&replay->rng, seed_hash_string (config->seed, "replay"));
  replay->slots = g_array_new (FALSE, FALSE, sizeof (Slot));
  replay->streams = g_ptr_array_new_with_free_func (g_free);
  replay->change.stream = -1;
  replay->change.went = g_array_new (FALSE, FALSE, sizeof (guint32));
  replay->change.drawn = g_array_new (FALSE, FALSE, sizeof (guint32));
  return replay;
}

void
seed_replay_free (SeedReplay *replay)
{
  if (!replay)
    return;
  for (guint i = 0; i < replay->slots->len; i++)
    seed_remembered_clear (&slot_at (replay, i)->frame);
  g_array_unref (replay->slots);
  g_ptr_array_unref (replay->streams);
  g_array_unref (replay->change.went);
  g_array_unref (replay->change.drawn);
  g_free (replay);
}

/* --- streams -----------------------------------------------------------------------------------
 */

static Stream *
find_stream (SeedReplay *replay, const char *id)
{
  if (replay->last && strcmp (replay->last->id, id) == 0)
    return replay->last;
  for (guint i = 0; i < replay->streams->len; i++) {
    if (strcmp (stream_at (replay, i)->id, id) == 0)
      return replay->last = stream_at (replay, i);
  }
  return NULL;
}

/* Those that have ended and left nothing behind. The order of the others stays. */
static void
forget_streams (SeedReplay *replay)
{
  replay->last = NULL;
  for (guint i = replay->streams->len; i-- > 0;) {
    const Stream *stream = stream_at (replay, i);

    if (!stream->up && stream->held == 0)
      g_ptr_array_remove_index (replay->streams, i);
  }
}

/* NULL when there are too many. */
static Stream *
need_stream (SeedReplay *replay, const char *id)
{
  Stream *stream = find_stream (replay, id);

  if (stream)
    return stream;
  if (replay->streams->len >= SEED_REPLAY_MAX_STREAMS)
    forget_streams (replay);
  if (replay->streams->len >= SEED_REPLAY_MAX_STREAMS)
    return NULL;
  stream = g_new0 (Stream, 1);
  g_strlcpy (stream->id, id, sizeof stream->id);
  g_ptr_array_add (replay->streams, stream);
  return replay->last = stream;
}

static guint
weight_of (const Stream *stream)
{
  return stream->up ? WEIGHT_UP : stream->held > 0 ? WEIGHT_ENDED : 0;
}

static gboolean
fits (const SeedReplay *replay, guint64 n_bytes)
{
  return replay->slots->len < replay->config.capacity &&
         replay->n_bytes + n_bytes <= replay->config.capacity_bytes;
}

static guint64
sum_of_weights (const SeedReplay *replay)
{
  guint64 sum = 0;

  for (guint i = 0; i < replay->streams->len; i++)
    sum += weight_of (stream_at (replay, i));
  return sum;
}

/* Frames that @stream may hold when the memory is full: of @room frames in all. */
static guint
quota_of (const Stream *stream, guint room, guint64 sum)
{
  return sum ? (guint) MAX (1, (guint64) room * weight_of (stream) / sum) : room;
}

/* Frames that the memory holds when it is full, as far as that is known. */
static guint
room_for (const SeedReplay *replay, guint64 n_bytes)
{
  return fits (replay, n_bytes) ? replay->config.capacity
                                : MIN (replay->config.capacity, MAX (1, replay->slots->len));
}

/* Who holds most above its quota; @not NULL or somebody who is not asked. NULL: nobody else. */
static Stream *
furthest_above (const SeedReplay *replay, const Stream * not, guint room)
{
  guint64 sum = sum_of_weights (replay);
  Stream *worst = NULL;
  gint64 most = G_MININT64;

  for (guint i = 0; i < replay->streams->len; i++) {
    Stream *stream = stream_at (replay, i);
    gint64 above = (gint64) stream->held - quota_of (stream, room, sum);

    if (stream != not &&stream->held > 0 && above > most) {
      most = above;
      worst = stream;
    }
  }
  return worst;
}

/* --- frames that go ----------------------------------------------------------------------------
 */

static guint64
bytes_of (const SeedRemembered *frame)
{
  return g_bytes_get_size (frame->pixels) + SEED_REPLAY_OVERHEAD;
}

static void
remove_slot (SeedReplay *replay, guint index)
{
  Slot *slot = slot_at (replay, index);

  replay->n_bytes -= bytes_of (&slot->frame);
  slot->stream->held--;
  seed_remembered_clear (&slot->frame);
  g_array_remove_index_fast (replay->slots, index);
}

/* The @nth frame that is held of @stream. */
static void
evict (SeedReplay *replay, const Stream *stream, guint64 nth)
{
  for (guint32 i = 0; i < replay->slots->len; i++) {
    if (slot_at (replay, i)->stream != stream || nth-- > 0)
      continue;
    g_array_append_val (replay->change.went, i);
    remove_slot (replay, i);
    return;
  }
}

static void
evict_random (SeedReplay *replay, const Stream *stream)
{
  evict (replay, stream, seed_rng_below (&replay->rng, stream->held));
}

/* --- frames that come --------------------------------------------------------------------------
 */

gboolean
seed_replay_is_duplicate (SeedReplay *replay, const char *id, const SeedSignature *signature)
{
  Stream *stream;

  if (replay->config.likeness >= 1.0)
    return FALSE;
  stream = find_stream (replay, id);
  for (guint i = 0; stream && i < replay->slots->len; i++) {
    const Slot *slot = slot_at (replay, i);

    if (slot->stream == stream &&
        seed_signature_likeness (&slot->frame.signature, signature) > replay->config.likeness) {
      stream->duplicates++;
      return TRUE;
    }
  }
  return FALSE;
}

static void
touch_stream (SeedReplay *replay, const Stream *stream)
{
  guint index = 0;

  g_ptr_array_find (replay->streams, stream, &index);
  replay->change.stream = (gint) index;
}

gboolean
seed_replay_offer (SeedReplay *replay, const char *id, gsize n_bytes)
{
  Stream *stream = find_stream (replay, id);
  guint64 cost = n_bytes + SEED_REPLAY_OVERHEAD, target, index;

  replay->pending = NULL;
  if (!stream) {
    forget_streams (replay);
    stream = need_stream (replay, id);
  }
  if (!stream || cost > replay->config.capacity_bytes)
    return FALSE;
  stream->up = TRUE;
  stream->seen++;
  touch_stream (replay, stream);
  target = MAX (quota_of (stream, room_for (replay, cost), sum_of_weights (replay)),
      stream->held + (fits (replay, cost) ? 1 : 0));
  index = seed_rng_below (&replay->rng, stream->seen);
  if (index >= target)
    return FALSE;
  replay->pending = stream;
  replay->pending_index = index;
  return TRUE;
}

static void
make_room (SeedReplay *replay, Stream *stream, guint64 n_bytes)
{
  guint room = room_for (replay, n_bytes);
  Stream *other = furthest_above (replay, stream, room);

  if (fits (replay, n_bytes))
    return;
  if ((stream->held < quota_of (stream, room, sum_of_weights (replay)) || stream->held == 0) &&
      other)
    evict_random (replay, other);
  else if (replay->pending_index < stream->held)
    evict (replay, stream, replay->pending_index);
  else
    evict_random (replay, stream);
  /* a large frame in the place of a small one */
  while (!fits (replay, n_bytes))
    evict_random (replay, furthest_above (replay, NULL, room));
}

void
seed_replay_store (SeedReplay *replay, SeedRemembered *remembered)
{
  Stream *stream = g_steal_pointer (&replay->pending);
  Slot slot = { .frame = *remembered, .stream = stream };

  *remembered = (SeedRemembered){ 0 };
  if (!stream) {
    seed_remembered_clear (&slot.frame);
    g_return_if_reached ();
  }
  make_room (replay, stream, bytes_of (&slot.frame));
  slot.frame.repeat = 0;
  slot.frame.mark = ++replay->clock;
  g_array_append_val (replay->slots, slot);
  replay->n_bytes += bytes_of (&slot.frame);
  stream->held++;
  replay->change.stored = TRUE;
}

void
seed_replay_stream_down (SeedReplay *replay, const char *id)
{
  Stream *stream = find_stream (replay, id);

  if (!stream || !stream->up)
    return;
  stream->up = FALSE;
  touch_stream (replay, stream);
}

/* --- the schedule ------------------------------------------------------------------------------
 */

gboolean
seed_replay_is_warm (const SeedReplay *replay)
{
  guint held = replay->slots->len;

  return held > 0 && (held >= replay->config.warm_up || 2 * held >= replay->config.capacity ||
                         2 * replay->n_bytes >= replay->config.capacity_bytes);
}

void
seed_replay_live (SeedReplay *replay)
{
  if (seed_replay_is_warm (replay) && replay->owed < SEED_REPLAY_MAX_DRAWS * ONE_DUE)
    replay->owed += replay->due_per_live;
}

const SeedRemembered *
seed_replay_draw_at (SeedReplay *replay, guint index)
{
  Slot *slot = slot_at (replay, index);
  guint32 number = index;

  slot->frame.mark = ++replay->clock;
  slot->frame.repeat++;
  slot->stream->drawn++;
  g_array_append_val (replay->change.drawn, number);
  return &slot->frame;
}

/* Each event marks one frame, so at most half of them were marked in the last held/2 events, and
 * one try in two succeeds. Only marks that were read from a file can make all of them fail. */
const SeedRemembered *
seed_replay_draw (SeedReplay *replay)
{
  guint held = replay->slots->len, index, tries = 0;

  if (replay->owed < ONE_DUE || !seed_replay_is_warm (replay))
    return NULL;
  replay->owed -= ONE_DUE;
  do
    index = (guint) seed_rng_below (&replay->rng, held);
  while (replay->clock - slot_at (replay, index)->frame.mark < held / 2 && ++tries < MAX_TRIES);
  return seed_replay_draw_at (replay, index);
}

void
seed_replay_shuffle (SeedReplay *replay, guint32 *order)
{
  for (guint32 i = 0; i < replay->slots->len; i++) { /* Fisher and Yates, inside out */
    guint j = (guint) seed_rng_below (&replay->rng, i + 1);

    order[i] = order[j];
    order[j] = i;
  }
}

/* --- questions ---------------------------------------------------------------------------------
 */

guint
seed_replay_n_held (const SeedReplay *replay)
{
  return replay->slots->len;
}

guint64
seed_replay_n_bytes (const SeedReplay *replay)
{
  return replay->n_bytes;
}

const SeedRemembered *
seed_replay_get (const SeedReplay *replay, guint index)
{
  g_return_val_if_fail (index < replay->slots->len, NULL);
  return &slot_at (replay, index)->frame;
}

guint
seed_replay_n_streams (const SeedReplay *replay)
{
  return replay->streams->len;
}

void
seed_replay_get_stream (const SeedReplay *replay, guint index, SeedReplayStream *info)
{
  const Stream *stream = stream_at (replay, index);

  *info = (SeedReplayStream){ .stream = stream->id,
    .held = stream->held,
    .quota = weight_of (stream)
                 ? quota_of (stream, replay->config.capacity, sum_of_weights (replay))
                 : 0,
    .up = stream->up,
    .seen = stream->seen,
    .duplicates = stream->duplicates,
    .drawn = stream->drawn };
}

/* --- copies ------------------------------------------------------------------------------------
 */

const SeedReplayChange *
seed_replay_get_change (SeedReplay *replay)
{
  replay->change.rng = replay->rng;
  replay->change.clock = replay->clock;
  replay->change.owed = replay->owed;
  return &replay->change;
}

void
seed_replay_change_clear (SeedReplay *replay)
{
  replay->change.stream = -1;
  replay->change.stored = FALSE;
  g_array_set_size (replay->change.went, 0);
  g_array_set_size (replay->change.drawn, 0);
}

gint
seed_replay_restore_stream (SeedReplay *replay, const char *id, guint64 seen, gboolean up)
{
  Stream *stream = need_stream (replay, id);
  guint index;

  if (!stream)
    return -1;
  stream->seen = seen;
  stream->up = up;
  g_ptr_array_find (replay->streams, stream, &index);
  return (gint) index;
}

void
seed_replay_restore_remove (SeedReplay *replay, guint index)
{
  remove_slot (replay, index);
}

void
seed_replay_restore_frame (SeedReplay *replay, guint stream, const SeedRemembered *remembered)
{
  Slot slot = { .frame = *remembered, .stream = stream_at (replay, stream) };

  g_array_append_val (replay->slots, slot);
  replay->n_bytes += bytes_of (&slot.frame);
  slot.stream->held++;
}

void
seed_replay_restore_drawn (SeedReplay *replay, guint index, guint64 mark)
{
  slot_at (replay, index)->frame.mark = mark;
  slot_at (replay, index)->frame.repeat++;
}

void
seed_replay_restore_state (SeedReplay *replay, const SeedRng *rng, guint64 clock, guint64 owed)
{
  replay->rng = *rng;
  replay->clock = clock;
  replay->owed = owed;
}

void
seed_replay_restore_own (SeedReplay *replay)
{
  for (guint i = 0; i < replay->slots->len; i++) {
    GBytes **pixels = &slot_at (replay, i)->frame.pixels;
    GBytes *copy = g_bytes_new (g_bytes_get_data (*pixels, NULL), g_bytes_get_size (*pixels));

    g_bytes_unref (*pixels);
    *pixels = copy;
  }
}

void
seed_replay_trim (SeedReplay *replay)
{
  while (replay->slots->len > replay->config.capacity ||
         replay->n_bytes > replay->config.capacity_bytes)
    evict_random (replay, furthest_above (replay, NULL, replay->config.capacity));
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * What one stream does when its source fails: a table of states and inputs, without a clock, a
 * thread or a source of its own. Its owner feeds it what happens, with the time, and does what it
 * answers. Times are milliseconds of any clock that does not go back.
 *
 *     connecting --frame--> up --no frame for stall_ms--> stalled --frame--> up
 *     connecting, up, stalled --lost, or too long--> backing-off --pause over--> connecting
 *     any --finished, stopped; lost without `reconnect`--> ended
 *
 * An outage begins when a stream that should be up is not: with the first failure of the first
 * connection, or when an up stream is lost or stalls; it ends when the stream is up. Outages with
 * less than SEED_STREAM_STABLE_MS of being up between them are one bad spell, with one warning and
 * pauses that go on growing.
 *
 * Plain data, not thread-safe.
 */

/** Up this long, a stream is well again. */
#define SEED_STREAM_STABLE_MS 5000
/** The pause after a failure that will hardly mend itself (no such path, no right, no decoder). */
#define SEED_STREAM_PERMANENT_MS 30000

typedef enum {
  SEED_STREAM_CONNECTING, /* a session is open and has given no frame */
  SEED_STREAM_UP,
  SEED_STREAM_STALLED,     /* the session is still open, and gives nothing */
  SEED_STREAM_BACKING_OFF, /* no session; the next one is opened after a pause */
  SEED_STREAM_ENDED,
  SEED_N_STREAM_STATES,
} SeedStreamState;

typedef enum {
  SEED_STREAM_FRAME,    /* a frame was decoded */
  SEED_STREAM_LOST,     /* the session failed; the next may be better */
  SEED_STREAM_REFUSED,  /* the session failed, and the next will hardly be better */
  SEED_STREAM_FINISHED, /* the source is over: nothing is wrong */
  SEED_STREAM_STOP,     /* asked to end */
  SEED_STREAM_PASS,     /* the source is over and to be played again */
  SEED_STREAM_TIMEOUT,  /* fed by seed_stream_machine_tick alone */
  SEED_N_STREAM_INPUTS,
} SeedStreamInput;

/** What the owner has to do, in this order. */
typedef enum {
  SEED_STREAM_CLOSE = 1 << 0, /* take the session down */
  SEED_STREAM_DOWN = 1 << 1,  /* say that the stream went down, after its frames so far */
  SEED_STREAM_WARN = 1 << 2,  /* tell the operator; once a bad spell */
  SEED_STREAM_OPEN = 1 << 3,  /* open a session */
  SEED_STREAM_RISE = 1 << 4,  /* say with this frame that the stream came up */
  SEED_STREAM_END = 1 << 5,   /* nothing comes any more; said instead of DOWN */
} SeedStreamAction;

typedef struct {
  gboolean reconnect;
  gint64 retry_min_ms, retry_max_ms; /* pauses between attempts; 1 <= min <= max */
  gint64 stall_ms;                   /* 0: may be silent for ever */
  gint64 connect_ms;                 /* from open to the first frame; 0: for ever */
} SeedStreamPolicy;

typedef struct {
  SeedStreamPolicy policy;
  SeedStreamState state;
  gboolean failed;   /* ended by a failure */
  guint attempts;    /* sessions opened since the stream was last up; the one that is, included */
  guint outages;     /* so far */
  gint64 since_ms;   /* of the state */
  gint64 down_ms;    /* since when it is not up; meaningless while it is */
  gint64 last_ms;    /* of the last sign of life: the frame before, or the opening */
  gint64 pause_ms;   /* while backing off */
  guint level;       /* how often the pause has doubled */
  guint held;        /* reasons why silence means nothing just now */
  guint32 random;    /* of the jitter */
  gboolean is_risen; /* RISE said, DOWN not yet */
  gboolean is_down;  /* DOWN said, RISE not yet */
  gboolean in_spell;
} SeedStreamMachine;

/** Not open yet: the answer to seed_stream_machine_start opens it. @seed: of the jitter. */
void
seed_stream_machine_init (SeedStreamMachine *machine, const SeedStreamPolicy *policy, guint32 seed);

/** Begins. Returns SEED_STREAM_OPEN. */
guint seed_stream_machine_start (SeedStreamMachine *machine, gint64 now_ms);

/** Returns the actions (SeedStreamAction) that follow from @input. */
guint seed_stream_machine_feed (SeedStreamMachine *machine, SeedStreamInput input, gint64 now_ms);

/** Lets time pass. Returns the actions that follow; without a due time-out, none. */
guint seed_stream_machine_tick (SeedStreamMachine *machine, gint64 now_ms);

/** When to tick next: -1 for never. It may move to later, and to earlier with a feed. */
gint64 seed_stream_machine_deadline (const SeedStreamMachine *machine);

/**
 * While held, silence is not held against the source: it is paused, or waits because nobody takes
 * its frames. Holds count. Pauses between attempts run on.
 */
void seed_stream_machine_hold (SeedStreamMachine *machine);
void seed_stream_machine_release (SeedStreamMachine *machine, gint64 now_ms);

/** What a time-out of the present state means, for a person; free with g_free. */
char *seed_stream_machine_describe_timeout (const SeedStreamMachine *machine);

/** "connecting", "up", "stalled", "backing-off", "ended". Static. */
const char *seed_stream_state_name (SeedStreamState state);

G_END_DECLS

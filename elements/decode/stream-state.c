/* SPDX-License-Identifier: MIT */
#include "decode/stream-state.h"

#define MAX_LEVEL 30

/* What an input does in a state. */
typedef struct {
  SeedStreamState next;
  guint actions;
} Move;

#define STAY(state)                                                                                \
  {                                                                                                \
    state, 0                                                                                       \
  }
#define GO(state, actions)                                                                         \
  {                                                                                                \
    state, actions                                                                                 \
  }

#define CONNECTING SEED_STREAM_CONNECTING
#define UP SEED_STREAM_UP
#define STALLED SEED_STREAM_STALLED
#define BACKING_OFF SEED_STREAM_BACKING_OFF
#define ENDED SEED_STREAM_ENDED

#define CLOSE SEED_STREAM_CLOSE
#define DOWN SEED_STREAM_DOWN
#define WARN SEED_STREAM_WARN
#define OPEN SEED_STREAM_OPEN
#define RISE SEED_STREAM_RISE
#define END SEED_STREAM_END

/* Of a stream that reconnects. DOWN, WARN and RISE are wishes: what was said already is not said
 * again. */
static const Move moves[SEED_N_STREAM_STATES][SEED_N_STREAM_INPUTS] = {
  [CONNECTING] = {
    [SEED_STREAM_FRAME] = GO (UP, RISE),
    [SEED_STREAM_LOST] = GO (BACKING_OFF, CLOSE | DOWN | WARN),
    [SEED_STREAM_REFUSED] = GO (BACKING_OFF, CLOSE | DOWN | WARN),
    [SEED_STREAM_FINISHED] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_STOP] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_PASS] = GO (CONNECTING, CLOSE | OPEN),
    [SEED_STREAM_TIMEOUT] = GO (BACKING_OFF, CLOSE | DOWN | WARN),
  },
  [UP] = {
    [SEED_STREAM_FRAME] = STAY (UP),
    [SEED_STREAM_LOST] = GO (BACKING_OFF, CLOSE | DOWN | WARN),
    [SEED_STREAM_REFUSED] = GO (BACKING_OFF, CLOSE | DOWN | WARN),
    [SEED_STREAM_FINISHED] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_STOP] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_PASS] = GO (UP, CLOSE | OPEN),
    [SEED_STREAM_TIMEOUT] = GO (STALLED, DOWN | WARN),
  },
  [STALLED] = {
    [SEED_STREAM_FRAME] = GO (UP, RISE),
    [SEED_STREAM_LOST] = GO (BACKING_OFF, CLOSE),
    [SEED_STREAM_REFUSED] = GO (BACKING_OFF, CLOSE),
    [SEED_STREAM_FINISHED] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_STOP] = GO (ENDED, CLOSE | END),
    [SEED_STREAM_PASS] = GO (UP, CLOSE | OPEN),
    [SEED_STREAM_TIMEOUT] = GO (CONNECTING, CLOSE | OPEN),
  },
  [BACKING_OFF] = { /* nothing is open: what comes is late news of a session taken down */
    [SEED_STREAM_FRAME] = STAY (BACKING_OFF),
    [SEED_STREAM_LOST] = STAY (BACKING_OFF),
    [SEED_STREAM_REFUSED] = STAY (BACKING_OFF),
    [SEED_STREAM_FINISHED] = STAY (BACKING_OFF),
    [SEED_STREAM_STOP] = GO (ENDED, END),
    [SEED_STREAM_PASS] = STAY (BACKING_OFF),
    [SEED_STREAM_TIMEOUT] = GO (CONNECTING, OPEN),
  },
  [ENDED] = {
    [SEED_STREAM_FRAME] = STAY (ENDED),
    [SEED_STREAM_LOST] = STAY (ENDED),
    [SEED_STREAM_REFUSED] = STAY (ENDED),
    [SEED_STREAM_FINISHED] = STAY (ENDED),
    [SEED_STREAM_STOP] = STAY (ENDED),
    [SEED_STREAM_PASS] = STAY (ENDED),
    [SEED_STREAM_TIMEOUT] = STAY (ENDED),
  },
};

const char *
seed_stream_state_name (SeedStreamState state)
{
  static const char *const names[SEED_N_STREAM_STATES] = {
    [CONNECTING] = "connecting",
    [UP] = "up",
    [STALLED] = "stalled",
    [BACKING_OFF] = "backing-off",
    [ENDED] = "ended",
  };

  g_return_val_if_fail ((guint) state < SEED_N_STREAM_STATES, NULL);
  return names[state];
}

void
seed_stream_machine_init (SeedStreamMachine *machine, const SeedStreamPolicy *policy, guint32 seed)
{
  g_return_if_fail (policy->retry_min_ms >= 1 && policy->retry_min_ms <= policy->retry_max_ms);
  *machine = (SeedStreamMachine){ .policy = *policy, .random = seed ? seed : 1 };
}

guint
seed_stream_machine_start (SeedStreamMachine *machine, gint64 now_ms)
{
  machine->state = CONNECTING;
  machine->since_ms = machine->down_ms = machine->last_ms = now_ms;
  machine->attempts = 1;
  return OPEN;
}

/* Of [low, high]; xorshift (Marsaglia 2003). Many cameras behind one switch must not come back in
 * step. */
static gint64
random_between (SeedStreamMachine *machine, gint64 low, gint64 high)
{
  machine->random ^= machine->random << 13;
  machine->random ^= machine->random >> 17;
  machine->random ^= machine->random << 5;
  return low + (gint64) (machine->random % (guint64) (high - low + 1));
}

static gint64
choose_pause (SeedStreamMachine *machine, SeedStreamInput input)
{
  const SeedStreamPolicy *policy = &machine->policy;
  gint64 top = policy->retry_max_ms;

  if (input == SEED_STREAM_REFUSED) {
    top = MAX (top, SEED_STREAM_PERMANENT_MS);
    return random_between (machine, top - top / 4, top);
  }
  machine->level = MIN (machine->level + 1, MAX_LEVEL);
  if (policy->retry_min_ms <= policy->retry_max_ms >> machine->level)
    top = policy->retry_min_ms << machine->level;
  return random_between (machine, MAX (policy->retry_min_ms, top / 2), top);
}

/* Without `reconnect` a failure is the end. */
static Move
without_reconnect (SeedStreamState state, SeedStreamInput input, Move move)
{
  gboolean fails =
      input == SEED_STREAM_LOST || input == SEED_STREAM_REFUSED || input == SEED_STREAM_TIMEOUT;

  if (!fails || state == ENDED)
    return move;
  return (Move){ ENDED, CLOSE | WARN | END };
}

static gboolean
was_stable (const SeedStreamMachine *machine)
{
  return machine->state == UP && machine->last_ms - machine->since_ms >= SEED_STREAM_STABLE_MS;
}

/* The stream was well and is not now, or never was. */
static void
begin_spell (SeedStreamMachine *machine)
{
  if (was_stable (machine)) {
    machine->in_spell = FALSE;
    machine->level = 0;
  }
  if (machine->state == UP)
    machine->attempts = 0;
}

static guint
without_repetition (SeedStreamMachine *machine, guint actions)
{
  if (actions & (DOWN | (actions & WARN ? END : 0))) {
    machine->outages += !machine->is_down;
    if (machine->is_down)
      actions &= ~(guint) DOWN;
    machine->is_down = TRUE;
    machine->is_risen = FALSE;
  }
  if (actions & RISE) {
    if (machine->is_risen)
      actions &= ~(guint) RISE;
    machine->is_risen = TRUE;
    machine->is_down = FALSE;
  }
  if (actions & WARN) {
    if (machine->in_spell && !(actions & END))
      actions &= ~(guint) WARN;
    machine->in_spell = TRUE;
  }
  return actions;
}

static void
enter (SeedStreamMachine *machine, Move move, SeedStreamInput input, gint64 now_ms)
{
  if (machine->state != move.next) {
    if (machine->state == UP)
      machine->down_ms = now_ms;
    machine->since_ms = now_ms;
  }
  machine->state = move.next;
  if (move.actions & OPEN) {
    machine->attempts += input != SEED_STREAM_PASS;
    machine->last_ms = now_ms;
  }
  if (move.next == BACKING_OFF)
    machine->pause_ms = choose_pause (machine, input);
  else if (move.next == ENDED)
    machine->failed = input != SEED_STREAM_FINISHED && input != SEED_STREAM_STOP;
}

guint
seed_stream_machine_feed (SeedStreamMachine *machine, SeedStreamInput input, gint64 now_ms)
{
  Move move;

  g_return_val_if_fail ((guint) input < SEED_N_STREAM_INPUTS, 0);
  move = moves[machine->state][input];
  if (!machine->policy.reconnect)
    move = without_reconnect (machine->state, input, move);
  if (input == SEED_STREAM_FRAME && move.next == UP)
    machine->last_ms = now_ms;
  if (machine->state == move.next && move.actions == 0)
    return 0;
  if (move.actions & (DOWN | WARN))
    begin_spell (machine);
  enter (machine, move, input, now_ms);
  return without_repetition (machine, move.actions);
}

gint64
seed_stream_machine_deadline (const SeedStreamMachine *machine)
{
  const SeedStreamPolicy *policy = &machine->policy;

  if (machine->state == BACKING_OFF)
    return machine->since_ms + machine->pause_ms;
  if (machine->held > 0)
    return -1;
  switch (machine->state) {
  case CONNECTING:
    return policy->connect_ms > 0 ? machine->last_ms + policy->connect_ms : -1;
  case UP:
    return policy->stall_ms > 0 ? machine->last_ms + policy->stall_ms : -1;
  case STALLED: /* a last chance, no longer than the longest pause: then a new session is tried */
    return MAX (machine->since_ms, machine->last_ms) + policy->retry_max_ms;
  default:
    return -1;
  }
}

guint
seed_stream_machine_tick (SeedStreamMachine *machine, gint64 now_ms)
{
  gint64 deadline = seed_stream_machine_deadline (machine);

  if (deadline < 0 || now_ms < deadline)
    return 0;
  return seed_stream_machine_feed (machine, SEED_STREAM_TIMEOUT, now_ms);
}

void
seed_stream_machine_hold (SeedStreamMachine *machine)
{
  machine->held++;
}

void
seed_stream_machine_release (SeedStreamMachine *machine, gint64 now_ms)
{
  g_return_if_fail (machine->held > 0);
  if (--machine->held == 0)
    machine->last_ms = now_ms;
}

char *
seed_stream_machine_describe_timeout (const SeedStreamMachine *machine)
{
  const SeedStreamPolicy *policy = &machine->policy;

  if (machine->state == CONNECTING)
    return g_strdup_printf ("no frame within %.3g s of connecting; check that the other end sends",
        (double) policy->connect_ms / 1000);
  if (machine->state == UP)
    return g_strdup_printf (
        "no frame for %.3g s; check that the other end still sends, or raise stall-ms",
        (double) policy->stall_ms / 1000);
  return g_strdup ("it stays silent; a new session is tried");
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/**
 * The account a stage keeps of its frames, per stream. At any moment
 *
 *     in = out + sum over reasons of dropped + in flight
 *
 * where in flight is what the stage holds. Units are frames (items of a batch), never buffers.
 * A ledger also keeps the time the stage was busy per buffer as a histogram.
 *
 * Every SEED element has a read-only property "ledger" (boxed SeedLedger) and a "stats" property
 * (GstStructure) with what else it measures. All functions are thread-safe. Reference-counted.
 */
typedef struct _SeedLedger SeedLedger;

typedef enum {
  SEED_DROP_LATE,           /* arrived after it could be used (batch deadline, live source) */
  SEED_DROP_RATE,           /* above the stream's max-fps */
  SEED_DROP_QUEUE_FULL,     /* a leaky queue was full */
  SEED_DROP_DUPLICATE,      /* near-duplicate of a frame already held */
  SEED_DROP_STRIDE,         /* between two frames that the teachers are to see */
  SEED_DROP_NOT_CALIBRATED, /* whitening is still being fitted, so no target yet */
  SEED_DROP_SHORT_BATCH,    /* the last batch is too small to learn from */
  SEED_DROP_FINISHED,       /* the stage has done the steps it was asked for */
  SEED_DROP_FLUSHED,        /* held when the stage was flushed or stopped */
  SEED_DROP_ERROR,          /* could not be decoded or computed */
  SEED_N_DROP_REASONS,
} SeedDropReason;

typedef struct {
  const char *stream; /* owned by the ledger, valid as long as it is */
  guint64 in;
  guint64 out;
  guint64 dropped[SEED_N_DROP_REASONS];
} SeedLedgerEntry;

/** Time a stage was busy with a buffer: count, mean, quantiles (upper bounds within 12.5%), in ns.
 */
typedef struct {
  guint64 count;
  guint64 total_ns;
  guint64 p50_ns;
  guint64 p99_ns;
  guint64 max_ns;
} SeedLedgerBusy;

#define SEED_TYPE_LEDGER (seed_ledger_get_type ())
GType seed_ledger_get_type (void);

SeedLedger *seed_ledger_new (void);
SeedLedger *seed_ledger_ref (SeedLedger *ledger);
void seed_ledger_unref (SeedLedger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedLedger, seed_ledger_unref)

/** Count @n frames of @stream (NULL or "" counts as "-"). */
void seed_ledger_in (SeedLedger *ledger, const char *stream, guint64 n);
void seed_ledger_out (SeedLedger *ledger, const char *stream, guint64 n);
void seed_ledger_drop (SeedLedger *ledger, const char *stream, SeedDropReason reason, guint64 n);

/** Adds one measurement of busy time. */
void seed_ledger_busy (SeedLedger *ledger, guint64 ns);

/** Frames of @stream dropped so far, over all reasons. */
guint64 seed_ledger_dropped (SeedLedger *ledger, const char *stream);

/** in - out - dropped. */
guint64 seed_ledger_entry_in_flight (const SeedLedgerEntry *entry);

/**
 * A consistent copy, sorted by stream: a GArray of SeedLedgerEntry the caller frees with
 * g_array_unref. Its stream names live as long as @ledger.
 */
GArray *seed_ledger_snapshot (SeedLedger *ledger);
void seed_ledger_get_busy (SeedLedger *ledger, SeedLedgerBusy *busy);

/** "late", "rate", "queue-full", ...: the spelling on the wire and in --stats. Static. */
const char *seed_drop_reason_name (SeedDropReason reason);

G_END_DECLS

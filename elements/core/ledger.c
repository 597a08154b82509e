/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/ledger.h>

/* Busy times: 8 linear steps in each power of two, so a quantile's upper bound is within 12.5%
 * of the true value, and the histogram never grows. */
#define STEPS_LOG2 3
#define N_BUCKETS (64 << STEPS_LOG2)

struct _SeedLedger {
  gatomicrefcount refs;
  GMutex lock;
  GHashTable *entries;   /* stream -> SeedLedgerEntry, owned; keys are the entries' stream */
  SeedLedgerEntry *last; /* most calls are about the same stream as the call before */
  guint64 busy_count, busy_total, busy_max;
  guint64 busy[N_BUCKETS];
};

G_DEFINE_BOXED_TYPE (SeedLedger, seed_ledger, seed_ledger_ref, seed_ledger_unref)

static const char *const reason_names[SEED_N_DROP_REASONS] = {
  [SEED_DROP_LATE] = "late",
  [SEED_DROP_RATE] = "rate",
  [SEED_DROP_QUEUE_FULL] = "queue-full",
  [SEED_DROP_DUPLICATE] = "duplicate",
  [SEED_DROP_STRIDE] = "stride",
  [SEED_DROP_NOT_CALIBRATED] = "not-calibrated",
  [SEED_DROP_SHORT_BATCH] = "short-batch",
  [SEED_DROP_FINISHED] = "finished",
  [SEED_DROP_FLUSHED] = "flushed",
  [SEED_DROP_ERROR] = "error",
};

static void
entry_free (gpointer data)
{
  SeedLedgerEntry *entry = data;

  g_free ((char *) entry->stream);
  g_free (entry);
}

SeedLedger *
seed_ledger_new (void)
{
  SeedLedger *ledger = g_new0 (SeedLedger, 1);

  g_atomic_ref_count_init (&ledger->refs);
  g_mutex_init (&ledger->lock);
  ledger->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  return ledger;
}

SeedLedger *
seed_ledger_ref (SeedLedger *ledger)
{
  g_atomic_ref_count_inc (&ledger->refs);
  return ledger;
}

void
seed_ledger_unref (SeedLedger *ledger)
{
  if (!ledger || !g_atomic_ref_count_dec (&ledger->refs))
    return;
  g_hash_table_unref (ledger->entries);
  g_mutex_clear (&ledger->lock);
  g_free (ledger);
}

static SeedLedgerEntry *
entry_locked (SeedLedger *ledger, const char *stream)
{
  SeedLedgerEntry *entry = ledger->last;

  if (!stream || !*stream)
    stream = "-";
  if (entry && strcmp (entry->stream, stream) == 0)
    return entry;
  entry = g_hash_table_lookup (ledger->entries, stream);
  if (!entry) {
    entry = g_new0 (SeedLedgerEntry, 1);
    entry->stream = g_strdup (stream);
    g_hash_table_insert (ledger->entries, (char *) entry->stream, entry);
  }
  ledger->last = entry;
  return entry;
}

void
seed_ledger_in (SeedLedger *ledger, const char *stream, guint64 n)
{
  g_mutex_lock (&ledger->lock);
  entry_locked (ledger, stream)->in += n;
  g_mutex_unlock (&ledger->lock);
}

void
seed_ledger_out (SeedLedger *ledger, const char *stream, guint64 n)
{
  g_mutex_lock (&ledger->lock);
  entry_locked (ledger, stream)->out += n;
  g_mutex_unlock (&ledger->lock);
}

void
seed_ledger_drop (SeedLedger *ledger, const char *stream, SeedDropReason reason, guint64 n)
{
  g_return_if_fail ((guint) reason < SEED_N_DROP_REASONS);
  g_mutex_lock (&ledger->lock);
  entry_locked (ledger, stream)->dropped[reason] += n;
  g_mutex_unlock (&ledger->lock);
}

static guint64
entry_dropped (const SeedLedgerEntry *entry)
{
  guint64 sum = 0;

  for (guint i = 0; i < SEED_N_DROP_REASONS; i++)
    sum += entry->dropped[i];
  return sum;
}

guint64
seed_ledger_dropped (SeedLedger *ledger, const char *stream)
{
  guint64 sum;

  g_mutex_lock (&ledger->lock);
  sum = entry_dropped (entry_locked (ledger, stream));
  g_mutex_unlock (&ledger->lock);
  return sum;
}

guint64
seed_ledger_entry_in_flight (const SeedLedgerEntry *entry)
{
  return entry->in - entry->out - entry_dropped (entry);
}

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  return strcmp (((const SeedLedgerEntry *) a)->stream, ((const SeedLedgerEntry *) b)->stream);
}

GArray *
seed_ledger_snapshot (SeedLedger *ledger)
{
  GArray *copy = g_array_new (FALSE, FALSE, sizeof (SeedLedgerEntry));
  GHashTableIter iter;
  gpointer entry;

  g_mutex_lock (&ledger->lock);
  g_hash_table_iter_init (&iter, ledger->entries);
  while (g_hash_table_iter_next (&iter, NULL, &entry))
    g_array_append_vals (copy, entry, 1);
  g_mutex_unlock (&ledger->lock);
  g_array_sort (copy, compare_entries);
  return copy;
}

static guint
bucket_of (guint64 ns)
{
  guint log2 = ns ? 63 - (guint) __builtin_clzll (ns) : 0;

  if (log2 < STEPS_LOG2)
    return (guint) ns;
  return ((log2 - STEPS_LOG2 + 1) << STEPS_LOG2) +
         (guint) ((ns >> (log2 - STEPS_LOG2)) & ((1u << STEPS_LOG2) - 1));
}

static guint64
bucket_upper_bound (guint bucket)
{
  guint octave = bucket >> STEPS_LOG2;
  guint64 step = bucket & ((1u << STEPS_LOG2) - 1);

  if (octave == 0)
    return step;
  return (((G_GUINT64_CONSTANT (1) << STEPS_LOG2) + step + 1) << (octave - 1)) - 1;
}

void
seed_ledger_busy (SeedLedger *ledger, guint64 ns)
{
  g_mutex_lock (&ledger->lock);
  ledger->busy_count++;
  ledger->busy_total += ns;
  ledger->busy_max = MAX (ledger->busy_max, ns);
  ledger->busy[bucket_of (ns)]++;
  g_mutex_unlock (&ledger->lock);
}

static guint64
quantile_locked (const SeedLedger *ledger, double q)
{
  guint64 rank = (guint64) (q * (double) ledger->busy_count), seen = 0;

  for (guint i = 0; i < N_BUCKETS; i++) {
    seen += ledger->busy[i];
    if (seen > rank)
      return MIN (bucket_upper_bound (i), ledger->busy_max);
  }
  return ledger->busy_max;
}

void
seed_ledger_get_busy (SeedLedger *ledger, SeedLedgerBusy *busy)
{
  g_mutex_lock (&ledger->lock);
  busy->count = ledger->busy_count;
  busy->total_ns = ledger->busy_total;
  busy->p50_ns = quantile_locked (ledger, 0.50);
  busy->p99_ns = quantile_locked (ledger, 0.99);
  busy->max_ns = ledger->busy_max;
  g_mutex_unlock (&ledger->lock);
}

const char *
seed_drop_reason_name (SeedDropReason reason)
{
  g_return_val_if_fail ((guint) reason < SEED_N_DROP_REASONS, NULL);
  return reason_names[reason];
}

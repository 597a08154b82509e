/* SPDX-License-Identifier: MIT */
#include <seed/ledger.h>

static void
test_adds_up (void)
{
  g_autoptr (SeedLedger) ledger = seed_ledger_new ();
  g_autoptr (GArray) entries = NULL;
  SeedLedgerEntry *door, *yard;

  seed_ledger_in (ledger, "yard", 5);
  seed_ledger_in (ledger, "door", 10);
  seed_ledger_out (ledger, "door", 6);
  seed_ledger_drop (ledger, "door", SEED_DROP_RATE, 2);
  seed_ledger_drop (ledger, "door", SEED_DROP_ERROR, 1);
  entries = seed_ledger_snapshot (ledger);

  g_assert_cmpuint (entries->len, ==, 2);
  door = &g_array_index (entries, SeedLedgerEntry, 0);
  yard = &g_array_index (entries, SeedLedgerEntry, 1);
  g_assert_cmpstr (door->stream, ==, "door");
  g_assert_cmpuint (seed_ledger_entry_in_flight (door), ==, 1);
  g_assert_cmpuint (door->dropped[SEED_DROP_RATE], ==, 2);
  g_assert_cmpuint (seed_ledger_dropped (ledger, "door"), ==, 3);
  g_assert_cmpuint (seed_ledger_entry_in_flight (yard), ==, 5);
}

static void
test_no_stream_is_dash (void)
{
  g_autoptr (SeedLedger) ledger = seed_ledger_new ();
  g_autoptr (GArray) entries = NULL;

  seed_ledger_in (ledger, NULL, 1);
  seed_ledger_in (ledger, "", 1);
  entries = seed_ledger_snapshot (ledger);
  g_assert_cmpuint (entries->len, ==, 1);
  g_assert_cmpstr (g_array_index (entries, SeedLedgerEntry, 0).stream, ==, "-");
}

static void
test_busy_quantiles (void)
{
  g_autoptr (SeedLedger) ledger = seed_ledger_new ();
  SeedLedgerBusy busy;

  for (guint64 i = 1; i <= 1000; i++)
    seed_ledger_busy (ledger, i * 1000);
  seed_ledger_get_busy (ledger, &busy);
  g_assert_cmpuint (busy.count, ==, 1000);
  g_assert_cmpuint (busy.total_ns, ==, 500500000);
  g_assert_cmpuint (busy.max_ns, ==, 1000000);
  g_assert_cmpuint (busy.p50_ns, >=, 500000);
  g_assert_cmpuint (busy.p50_ns, <=, 563000);
  g_assert_cmpuint (busy.p99_ns, >=, 990000);
  g_assert_cmpuint (busy.p99_ns, <=, 1000000);
}

static void
test_busy_extremes (void)
{
  g_autoptr (SeedLedger) ledger = seed_ledger_new ();
  SeedLedgerBusy busy;

  seed_ledger_busy (ledger, 0);
  seed_ledger_busy (ledger, G_MAXUINT64 / 2);
  seed_ledger_get_busy (ledger, &busy);
  g_assert_cmpuint (busy.max_ns, ==, G_MAXUINT64 / 2);
  g_assert_cmpuint (busy.p99_ns, ==, G_MAXUINT64 / 2);
}

static void
test_reason_names_complete (void)
{
  for (guint i = 0; i < SEED_N_DROP_REASONS; i++)
    g_assert_nonnull (seed_drop_reason_name (i));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ledger/adds-up", test_adds_up);
  g_test_add_func ("/ledger/no-stream-is-dash", test_no_stream_is_dash);
  g_test_add_func ("/ledger/busy-quantiles", test_busy_quantiles);
  g_test_add_func ("/ledger/busy-extremes", test_busy_extremes);
  g_test_add_func ("/ledger/reason-names", test_reason_names_complete);
  return g_test_run ();
}

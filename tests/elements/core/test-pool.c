/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#define N_THREADS 4
#define N_TASKS 1000
#define N_CALLERS 3
#define N_REGIONS 200

static gint running, most_running;

static void
count_task (guint task, gpointer data)
{
  gint *hits = data;
  gint now = g_atomic_int_add (&running, 1) + 1;
  gint most;

  do
    most = g_atomic_int_get (&most_running);
  while (now > most && !g_atomic_int_compare_and_exchange (&most_running, most, now));
  g_atomic_int_inc (&hits[task]);
  g_atomic_int_add (&running, -1);
}

static void
run_and_check (guint n_tasks)
{
  g_autofree gint *hits = g_new0 (gint, n_tasks);

  seed_pool_run (n_tasks, count_task, hits);
  for (guint i = 0; i < n_tasks; i++)
    g_assert_cmpint (hits[i], ==, 1);
}

static void
test_every_task_once (void)
{
  run_and_check (1);
  run_and_check (2);
  run_and_check (N_TASKS);
  seed_pool_run (0, count_task, NULL);
}

static gpointer
caller (gpointer data)
{
  for (guint i = 0; i < N_REGIONS; i++)
    run_and_check (1 + i % 17);
  return NULL;
}

static void
test_callers_share (void)
{
  GThread *threads[N_CALLERS];

  for (guint i = 0; i < N_CALLERS; i++)
    threads[i] = g_thread_new ("caller", caller, NULL);
  for (guint i = 0; i < N_CALLERS; i++)
    g_thread_join (threads[i]);
  /* regions exclude each other, so callers never add threads */
  g_assert_cmpint (most_running, <=, N_THREADS);
}

static void
test_configure_once (void)
{
  g_assert_cmpuint (seed_pool_n_threads (), ==, N_THREADS);
  g_assert_false (seed_pool_configure (2));
  g_assert_cmpuint (seed_pool_n_threads (), ==, N_THREADS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (seed_pool_configure (N_THREADS));
  g_test_add_func ("/pool/every-task-once", test_every_task_once);
  g_test_add_func ("/pool/callers-share", test_callers_share);
  g_test_add_func ("/pool/configure-once", test_configure_once);
  return g_test_run ();
}

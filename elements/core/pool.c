/* SPDX-License-Identifier: MIT */
#include <sched.h>

#include <seed/pool.h>

#define MAX_THREADS 256

static struct {
  GMutex lock;
  GCond work;      /* workers: a region began, or ended */
  GCond done;      /* the caller: the last task of its region ended */
  GCond turn;      /* callers waiting for their region */
  guint n_threads; /* 0 until configured or started */
  gboolean started;

  guint64 next_ticket, serving; /* regions run in order of arrival */

  /* the region that runs; tasks are taken with an atomic counter */
  SeedPoolFunc func;
  gpointer data;
  guint n_tasks;
  gint next_task;
  guint64 generation;
  guint n_inside; /* workers that may still touch the region */
} pool;

static guint
cpus_of_mask (void)
{
  cpu_set_t set;

  if (sched_getaffinity (0, sizeof set, &set) == 0)
    return CLAMP ((guint) CPU_COUNT (&set), 1, MAX_THREADS);
  return CLAMP (g_get_num_processors (), 1, MAX_THREADS);
}

static void
take_tasks (SeedPoolFunc func, gpointer data, guint n_tasks)
{
  for (;;) {
    guint task = (guint) g_atomic_int_add (&pool.next_task, 1);

    if (task >= n_tasks)
      return;
    func (task, data);
  }
}

static gpointer
worker (gpointer unused)
{
  guint64 seen = 0;

  g_mutex_lock (&pool.lock);
  for (;;) {
    SeedPoolFunc func;
    gpointer data;
    guint n_tasks;

    while (pool.generation == seen || !pool.func)
      g_cond_wait (&pool.work, &pool.lock);
    seen = pool.generation;
    func = pool.func;
    data = pool.data;
    n_tasks = pool.n_tasks;
    pool.n_inside++;
    g_mutex_unlock (&pool.lock);

    take_tasks (func, data, n_tasks);

    g_mutex_lock (&pool.lock);
    if (--pool.n_inside == 0)
      g_cond_signal (&pool.done);
  }
  return NULL;
}

static void
start_locked (void)
{
  if (pool.started)
    return;
  pool.started = TRUE;
  if (pool.n_threads == 0)
    pool.n_threads = cpus_of_mask ();
  for (guint i = 1; i < pool.n_threads; i++) {
    g_autofree char *name = g_strdup_printf ("seed-%u", i);
    g_thread_unref (g_thread_new (name, worker, NULL));
  }
}

gboolean
seed_pool_configure (guint n_threads)
{
  gboolean ok;

  g_mutex_lock (&pool.lock);
  ok = !pool.started;
  if (ok)
    pool.n_threads = n_threads ? MIN (n_threads, MAX_THREADS) : cpus_of_mask ();
  g_mutex_unlock (&pool.lock);
  return ok;
}

guint
seed_pool_n_threads (void)
{
  guint n;

  g_mutex_lock (&pool.lock);
  start_locked ();
  n = pool.n_threads;
  g_mutex_unlock (&pool.lock);
  return n;
}

void
seed_pool_run (guint n_tasks, SeedPoolFunc func, gpointer data)
{
  guint64 ticket;

  if (n_tasks == 0)
    return;

  g_mutex_lock (&pool.lock);
  start_locked ();
  ticket = pool.next_ticket++;
  while (pool.serving != ticket)
    g_cond_wait (&pool.turn, &pool.lock);

  pool.next_task = 0;
  if (n_tasks > 1 && pool.n_threads > 1) {
    pool.func = func;
    pool.data = data;
    pool.n_tasks = n_tasks;
    pool.generation++;
    g_cond_broadcast (&pool.work);
  }
  g_mutex_unlock (&pool.lock);

  take_tasks (func, data, n_tasks);

  g_mutex_lock (&pool.lock);
  pool.func = NULL; /* late workers stay out */
  while (pool.n_inside > 0)
    g_cond_wait (&pool.done, &pool.lock);
  pool.serving++;
  g_cond_broadcast (&pool.turn);
  g_mutex_unlock (&pool.lock);
}

/* SPDX-License-Identifier: MIT */
#include <sched.h>

#include <seed/pool.h>

#define MAX_THREADS 256
/*
 * How long a thread looks for the next region before it sleeps. Those of one forward pass follow
 * each other in less, and to wake a thread takes about as long.
 */
#define SPIN_US 50

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
  gint generation; /* atomic, as n_inside: written under the lock, watched without */
  gint n_inside;   /* workers that may still touch the region */
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

static inline void
relax (void)
{
#ifdef __x86_64__
  __builtin_ia32_pause ();
#elif defined __aarch64__
  __asm__ volatile("yield");
#endif
}

/* Returns when *@word is no longer (@changed) or is at last (otherwise) @value, or after a while.
 */
static void
spin (const gint *word, gint value, gboolean changed)
{
  gint64 end = g_get_monotonic_time () + SPIN_US;

  do {
    for (guint i = 0; i < 16; i++) {
      if ((g_atomic_int_get (word) != value) == changed)
        return;
      relax ();
    }
  } while (g_get_monotonic_time () < end);
}

static gpointer
worker (gpointer unused)
{
  gint seen = 0;

  for (;;) {
    SeedPoolFunc func;
    gpointer data;
    guint n_tasks;

    spin (&pool.generation, seen, TRUE);
    g_mutex_lock (&pool.lock);
    while (pool.generation == seen)
      g_cond_wait (&pool.work, &pool.lock);
    seen = pool.generation;
    func = pool.func;
    data = pool.data;
    n_tasks = pool.n_tasks;
    if (func)
      g_atomic_int_inc (&pool.n_inside);
    g_mutex_unlock (&pool.lock);
    if (!func) /* over before this thread came */
      continue;

    take_tasks (func, data, n_tasks);

    g_mutex_lock (&pool.lock);
    if (g_atomic_int_dec_and_test (&pool.n_inside))
      g_cond_signal (&pool.done);
    g_mutex_unlock (&pool.lock);
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
    g_atomic_int_inc (&pool.generation);
    g_cond_broadcast (&pool.work);
  }
  g_mutex_unlock (&pool.lock);

  take_tasks (func, data, n_tasks);

  g_mutex_lock (&pool.lock);
  pool.func = NULL; /* late workers stay out */
  if (pool.n_inside > 0) {
    g_mutex_unlock (&pool.lock);
    spin (&pool.n_inside, 0, FALSE);
    g_mutex_lock (&pool.lock);
  }
  while (g_atomic_int_get (&pool.n_inside) > 0)
    g_cond_wait (&pool.done, &pool.lock);
  pool.serving++;
  g_cond_broadcast (&pool.turn);
  g_mutex_unlock (&pool.lock);
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The one pool of compute threads of a process. One parallel region runs at a time and uses every
 * thread (the caller is one of them); regions of several callers are served in order of arrival, so
 * a serving model gets its turn between two operations of a learning one and the machine is never
 * oversubscribed.
 */
typedef void (*SeedPoolFunc) (guint task, gpointer data);

/**
 * Sets the number of threads, before the first region: FALSE once the pool has started.
 * @n_threads 0 means as many as the CPU mask of the process has.
 */
gboolean seed_pool_configure (guint n_threads);

/** Threads a region uses, the caller included. Starts the pool. */
guint seed_pool_n_threads (void);

/**
 * Runs @func for every task 0..@n_tasks-1 and returns when all are done. Tasks are handed out in
 * order; which thread gets which is not fixed, so tasks must not depend on it. A task must not call
 * seed_pool_run.
 */
void seed_pool_run (guint n_tasks, SeedPoolFunc func, gpointer data);

G_END_DECLS

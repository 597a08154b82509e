/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Forced into every source of a ThreadSanitizer build. GLib itself is not instrumented, so its
 * locks are invisible there and everything they guard looks like a race. This says what they order.
 */
#include <glib.h>
#include <sanitizer/tsan_interface.h>

static inline void
seed_tsan_mutex_lock (GMutex *mutex)
{
  g_mutex_lock (mutex);
  __tsan_acquire (mutex);
}

static inline void
seed_tsan_mutex_unlock (GMutex *mutex)
{
  __tsan_release (mutex);
  g_mutex_unlock (mutex);
}

static inline void
seed_tsan_cond_wait (GCond *cond, GMutex *mutex)
{
  __tsan_release (mutex);
  g_cond_wait (cond, mutex);
  __tsan_acquire (mutex);
}

static inline gpointer
seed_tsan_once (GOnce *once, GThreadFunc func, gpointer arg)
{
  gpointer result = g_once_impl (once, func, arg);

  /* the winner's writes are before everybody's return; GLib orders them by a lock of its own */
  __tsan_release (once);
  __tsan_acquire (once);
  return result;
}

#define g_mutex_lock(mutex) seed_tsan_mutex_lock (mutex)
#define g_mutex_unlock(mutex) seed_tsan_mutex_unlock (mutex)
#define g_cond_wait(cond, mutex) seed_tsan_cond_wait (cond, mutex)
#undef g_once
#define g_once(once, func, arg) seed_tsan_once (once, func, arg)

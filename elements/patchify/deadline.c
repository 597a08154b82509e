/* SPDX-License-Identifier: MIT */
#include "patchify/deadline.h"

struct _SeedDeadline {
  SeedDeadlineFunc func;
  gpointer data;
  GThread *thread;
  GMutex lock;
  GCond changed;
  gboolean quit;
  guint64 token;  /* what is armed, 0: nothing */
  GstClockID due; /* of what is armed */
};

static void
disarm_locked (SeedDeadline *deadline)
{
  if (!deadline->due)
    return;
  gst_clock_id_unschedule (deadline->due);
  g_clear_pointer (&deadline->due, gst_clock_id_unref);
  deadline->token = 0;
}

static gpointer
deadline_thread (gpointer data)
{
  SeedDeadline *deadline = data;

  g_mutex_lock (&deadline->lock);
  while (!deadline->quit) {
    guint64 token = deadline->token;
    GstClockReturn ret;
    GstClockID due;

    if (!token) {
      g_cond_wait (&deadline->changed, &deadline->lock);
      continue;
    }
    due = gst_clock_id_ref (deadline->due);
    g_mutex_unlock (&deadline->lock);
    ret = gst_clock_id_wait (due, NULL);
    gst_clock_id_unref (due);
    g_mutex_lock (&deadline->lock);
    if (ret == GST_CLOCK_UNSCHEDULED || deadline->token != token)
      continue; /* what unscheduled it has also disarmed it or armed another */
    disarm_locked (deadline);
    g_mutex_unlock (&deadline->lock);
    deadline->func (token, deadline->data);
    g_mutex_lock (&deadline->lock);
  }
  g_mutex_unlock (&deadline->lock);
  return NULL;
}

SeedDeadline *
seed_deadline_new (SeedDeadlineFunc func, gpointer data)
{
  SeedDeadline *deadline = g_new0 (SeedDeadline, 1);

  deadline->func = func;
  deadline->data = data;
  g_mutex_init (&deadline->lock);
  g_cond_init (&deadline->changed);
  deadline->thread = g_thread_new ("seed-deadline", deadline_thread, deadline);
  return deadline;
}

void
seed_deadline_free (SeedDeadline *deadline)
{
  if (!deadline)
    return;
  g_mutex_lock (&deadline->lock);
  deadline->quit = TRUE;
  disarm_locked (deadline);
  g_cond_signal (&deadline->changed);
  g_mutex_unlock (&deadline->lock);
  g_thread_join (deadline->thread);
  g_cond_clear (&deadline->changed);
  g_mutex_clear (&deadline->lock);
  g_free (deadline);
}

void
seed_deadline_arm (SeedDeadline *deadline, GstClock *clock, GstClockTime wait, guint64 token)
{
  g_autoptr (GstClock) used = clock ? gst_object_ref (clock) : gst_system_clock_obtain ();
  GstClockID due = gst_clock_new_single_shot_id (used, gst_clock_get_time (used) + wait);

  g_mutex_lock (&deadline->lock);
  disarm_locked (deadline);
  deadline->due = due;
  deadline->token = token;
  g_cond_signal (&deadline->changed);
  g_mutex_unlock (&deadline->lock);
}

void
seed_deadline_disarm (SeedDeadline *deadline)
{
  g_mutex_lock (&deadline->lock);
  disarm_locked (deadline);
  g_mutex_unlock (&deadline->lock);
}

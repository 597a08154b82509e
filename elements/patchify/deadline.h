/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * A thread that calls back when a moment of a GstClock has come, unless it was called off before.
 * One moment at a time. Arming and disarming may be done from any thread, the callback included; it
 * is called without locks held and may block.
 */
typedef struct _SeedDeadline SeedDeadline;

/* @token: what the moment was armed with. */
typedef void (*SeedDeadlineFunc) (guint64 token, gpointer data);

SeedDeadline *seed_deadline_new (SeedDeadlineFunc func, gpointer data);

/* Calls off what is armed and waits for a callback that runs. Not from the callback. NULL is fine.
 */
void seed_deadline_free (SeedDeadline *deadline);

/* Replaces what is armed. @clock: NULL for the system clock; @wait: from now. @token > 0. */
void seed_deadline_arm (SeedDeadline *deadline, GstClock *clock, GstClockTime wait, guint64 token);
void seed_deadline_disarm (SeedDeadline *deadline);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * What a service manager is told (sd_notify(3), the protocol of NOTIFY_SOCKET). Without a manager
 * nothing happens.
 */

/** One or several "NAME=value" lines. FALSE when nobody was told. */
gboolean seedd_notify (const char *format, ...) G_GNUC_PRINTF (1, 2);

/** Microseconds between two signs of life the manager waits for, or 0 when it waits for none of
 * ours. */
guint64 seedd_notify_watchdog_us (void);

/** Keeps the variables from children, which are no services. After the last use of the above it
 * may be called once, at the beginning: both are remembered. */
void seedd_notify_init (void);

G_END_DECLS

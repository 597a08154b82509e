/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** From 1900, as NTP counts, to 1970 (RFC 5905). */
#define SEED_NTP_TO_UNIX_S G_GUINT64_CONSTANT (2208988800)

/**
 * The realtime (ns since 1970) in an RTCP compound packet that begins with a sender report (RFC
 * 3550, 6.4.1): the sender's clock at the RTP time that the report names. FALSE when it begins with
 * anything else, is cut short, or the sender has no clock.
 */
gboolean seed_sender_report_parse (const guint8 *data, gsize size, gint64 *unix_ns);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#include "decode/sender-report.h"

#define RTCP_VERSION 2
#define SENDER_REPORT 200
#define HEADER_AND_SENDER_INFO 28 /* bytes */

static guint32
read_be32 (const guint8 *data)
{
  return (guint32) data[0] << 24 | (guint32) data[1] << 16 | (guint32) data[2] << 8 | data[3];
}

gboolean
seed_sender_report_parse (const guint8 *data, gsize size, gint64 *unix_ns)
{
  guint64 seconds, fraction;

  if (size < HEADER_AND_SENDER_INFO || data[0] >> 6 != RTCP_VERSION || data[1] != SENDER_REPORT)
    return FALSE;
  seconds = read_be32 (data + 8);
  fraction = read_be32 (data + 12);
  if (seconds < SEED_NTP_TO_UNIX_S) /* before 1970: it counts from its start; or 2036 is past */
    return FALSE;
  *unix_ns = (gint64) ((seconds - SEED_NTP_TO_UNIX_S) * 1000000000 + (fraction * 1000000000 >> 32));
  return TRUE;
}

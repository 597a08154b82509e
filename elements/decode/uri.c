/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "decode/uri.h"

static const char *const live_schemes[] = {
  "rtsp",
  "rtspu",
  "rtspt",
  "rtsph",
  "rtsps",
  "rtspsu",
  "rtspst",
  "rtspsh",
  "rtsp-sdp", /* rtspsrc */
  "v4l2",
  "uvch264",
  "libcamera",
  "pipewire", /* devices */
  "udp",
  "rtp",
  "srtp",
  "rist",
  "srt", /* senders that do not wait */
  "rtmp",
  "rtmps",
  "rtmpt",
  "rtmpe",
  "rtmpte",
  "rtmpts",
  "whep",
  "wheps",
  "mms",
  "ndi",
};

gboolean
seed_uri_is_live (const char *uri)
{
  const char *colon = uri ? strchr (uri, ':') : NULL;
  gsize length = colon ? (gsize) (colon - uri) : 0;

  for (guint i = 0; length > 0 && i < G_N_ELEMENTS (live_schemes); i++) {
    if (strlen (live_schemes[i]) == length &&
        g_ascii_strncasecmp (live_schemes[i], uri, length) == 0)
      return TRUE;
  }
  return FALSE;
}

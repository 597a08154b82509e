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
  "mmsh",
  "onvif",
  "webrtc",
  NULL,
};

static const char *const server_schemes[] = { "http", "https", NULL };

static gboolean
has_scheme (const char *uri, const char *const *schemes)
{
  const char *colon = uri ? strchr (uri, ':') : NULL;
  gsize length = colon ? (gsize) (colon - uri) : 0;

  for (guint i = 0; length > 0 && schemes[i]; i++) {
    if (strlen (schemes[i]) == length && g_ascii_strncasecmp (schemes[i], uri, length) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
seed_uri_is_live (const char *uri)
{
  return has_scheme (uri, live_schemes);
}

gboolean
seed_uri_is_remote (const char *uri)
{
  return has_scheme (uri, live_schemes) || has_scheme (uri, server_schemes);
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Whether @uri names something that goes on whether or not anybody reads it (a camera, a network
 * sender), judged by its scheme alone: rtsp and its variants, v4l2, udp, rtp, srt, rtmp and the
 * like. A graph builder decides by it, before anything plays, whether queues should leak or block.
 * http is not live: what is behind it can be read at any pace.
 */
gboolean seed_uri_is_live (const char *uri);

/**
 * Whether what @uri names may be away and come back: everything live, and http and https.
 */
gboolean seed_uri_is_remote (const char *uri);

G_END_DECLS

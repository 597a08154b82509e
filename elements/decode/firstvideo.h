/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * A uridecodebin that decodes the first video stream of @uri and nothing else: pads of other
 * streams appear undecoded, to be left unlinked. Its frames are in memory that can be mapped. NULL:
 * the element is not installed. A floating reference.
 */
GstElement *seed_first_video_new (const char *uri);

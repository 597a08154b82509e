/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/*
 * Frames for a consumer that may not know GstVideoMeta. Decoders lay out a frame with their own
 * strides and padding and say so in that meta; a stage that cannot read it gets a copy in the plain
 * layout of the caps, from a pool. Every other frame passes through untouched. Belongs to one
 * streaming thread.
 */
typedef struct _SeedPlain SeedPlain;

SeedPlain *seed_plain_new (void);
void seed_plain_free (SeedPlain *plain);

/* Takes @buffer, of @caps, about to be pushed on @src after that caps event. NULL: it cannot be
 * mapped or there is no memory. */
GstBuffer *seed_plain_make (SeedPlain *plain, GstPad *src, GstCaps *caps, GstBuffer *buffer);

/* Asks again what the consumer can read. Any thread. */
void seed_plain_forget (SeedPlain *plain);

G_END_DECLS

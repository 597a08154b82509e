/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/caption-meta.h>

/* Called once by the plugin. */
void seed_caption_meta_register (void);

/* Appends the captions of an item, copied; nothing when there are none. @buffer is writable. */
void seed_buffer_add_captions (
    GstBuffer *buffer, guint item, const char *const *captions, guint n_captions);

/* Appends to @to, as those of its item @to_item, the captions that item @from_item of @from has. */
void seed_buffer_copy_captions (GstBuffer *to, guint to_item, GstBuffer *from, guint from_item);

/* Appends all captions of @from to @to, of the same items. */
void seed_buffer_copy_caption_metas (GstBuffer *to, GstBuffer *from);

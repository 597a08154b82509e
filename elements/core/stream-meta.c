/* SPDX-License-Identifier: MIT */
#include "core/stream-meta.h"

#include "core/caption-meta.h"

static void
copy_fields (SeedStreamMeta *to, const SeedStreamMeta *from)
{
  GstMeta header = to->meta;

  *to = *from;
  to->meta = header;
}

static gboolean
stream_meta_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  SeedStreamMeta empty = { .stream = "-", .pts = GST_CLOCK_TIME_NONE, .label = -1 };

  copy_fields ((SeedStreamMeta *) meta, &empty);
  return TRUE;
}

static gboolean
stream_meta_transform (GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  seed_buffer_copy_stream_meta (to, (SeedStreamMeta *) meta);
  return TRUE;
}

void
seed_stream_meta_register (void)
{
  static const char *tags[] = { NULL }; /* no tags: every element that copies metas keeps it */
  GType api;

  if (g_type_from_name (SEED_STREAM_META_API_NAME))
    return;
  api = gst_meta_api_type_register (SEED_STREAM_META_API_NAME, tags);
  gst_meta_register (api, SEED_STREAM_META_NAME, sizeof (SeedStreamMeta), stream_meta_init, NULL,
      stream_meta_transform);
}

void
seed_buffer_copy_stream_meta (GstBuffer *buffer, const SeedStreamMeta *meta)
{
  copy_fields (seed_buffer_add_stream_meta (buffer), meta);
}

void
seed_buffer_copy_stream_metas (GstBuffer *to, GstBuffer *from)
{
  gpointer state = NULL;
  SeedStreamMeta *meta;

  while ((meta = seed_buffer_iterate_stream_meta (from, &state)))
    seed_buffer_copy_stream_meta (to, meta);
  seed_buffer_copy_caption_metas (to, from);
}

#define FOREACH_STREAM(buffer, name, statement)                                                    \
  G_STMT_START                                                                                     \
  {                                                                                                \
    gpointer state_ = NULL;                                                                        \
    SeedStreamMeta *meta_ = seed_buffer_iterate_stream_meta (buffer, &state_);                     \
    const char *name = meta_ ? meta_->stream : "-";                                                \
    do {                                                                                           \
      statement;                                                                                   \
      meta_ = meta_ ? seed_buffer_iterate_stream_meta (buffer, &state_) : NULL;                    \
      name = meta_ ? meta_->stream : NULL;                                                         \
    } while (meta_);                                                                               \
  }                                                                                                \
  G_STMT_END

void
seed_ledger_in_buffer (SeedLedger *ledger, GstBuffer *buffer)
{
  FOREACH_STREAM (buffer, stream, seed_ledger_in (ledger, stream, 1));
}

void
seed_ledger_out_buffer (SeedLedger *ledger, GstBuffer *buffer)
{
  FOREACH_STREAM (buffer, stream, seed_ledger_out (ledger, stream, 1));
}

void
seed_ledger_drop_buffer (SeedLedger *ledger, GstBuffer *buffer, SeedDropReason reason)
{
  FOREACH_STREAM (buffer, stream, seed_ledger_drop (ledger, stream, reason, 1));
}

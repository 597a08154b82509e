/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * What seeddecode is told about its streams: GstStructures in their text form, one "stream" each,
 * separated by ";":
 *
 *     stream, id=(string)door, uri=(string)"rtsp://127.0.0.1/door", max-fps=(double)5; stream, ...
 *
 * Fields: id and uri (needed), max-fps (frames a second, 0 for all), loop (for ever), passes (how
 * often a file is played when it does not loop, 1 unless said). A type in brackets may
 * be left out; strings are quoted and escaped as gst_structure_to_string does it.
 */
#define SEED_STREAMS_MAX 256
#define SEED_STREAMS_MAX_PASSES 1000000
#define SEED_STREAMS_MAX_BYTES (1024 * 1024)

typedef struct {
  char *id; /* [a-z0-9-]{1,63} */
  char *uri;
  double max_fps; /* frames a second, 0: all, negative: not said */
  gboolean loop;  /* over and over */
  guint passes;   /* otherwise this often */
} SeedStreamSpec;

void seed_stream_spec_free (SeedStreamSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStreamSpec, seed_stream_spec_free)

SeedStreamSpec *seed_stream_spec_new (const char *id, const char *uri, double max_fps);

SeedStreamSpec *seed_stream_spec_copy (const SeedStreamSpec *spec);

/**
 * A GPtrArray of SeedStreamSpec, at least one, ids unique; free with g_ptr_array_unref. Errors
 * (SEED_ERROR_FORMAT, _INVALID, _LIMIT) name the stream, the field and what is allowed.
 */
GPtrArray *seed_stream_specs_parse (const char *text, GError **error);

/** [a-z0-9-]{1,63} */
gboolean seed_stream_id_is_valid (const char *id);

G_END_DECLS

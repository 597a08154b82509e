/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

#include "decode/stream-state.h"

G_BEGIN_DECLS

/**
 * What seeddecode is told about its streams: GstStructures in their text form, one "stream" each,
 * separated by ";":
 *
 *     stream, id=(string)door, uri=(string)"rtsp://127.0.0.1/door", max-fps=(double)5; stream, ...
 *
 * Fields: id and uri (needed), max-fps (frames a second, 0 for all), loop (for ever), passes (how
 * often a file is played when it does not loop, 1 unless said), live (whether the source cannot
 * wait; by its scheme unless said), reconnect, retry-min-ms, retry-max-ms, stall-ms, connect-ms
 * (what is done when it fails: see seed_stream_spec_get_policy). A type in brackets may
 * be left out; strings are quoted and escaped as gst_structure_to_string does it.
 */
#define SEED_STREAMS_MAX 256
#define SEED_STREAMS_MAX_PASSES 1000000
#define SEED_STREAMS_MAX_BYTES (1024 * 1024)

typedef struct {
  char *id; /* [a-z0-9-]{1,63} */
  char *uri;
  double max_fps;      /* frames a second, 0: all, negative: not said */
  gboolean loop;       /* over and over */
  guint passes;        /* otherwise this often */
  int live, reconnect; /* truth values, negative: not said */
  gint64 retry_min_ms, retry_max_ms, stall_ms, connect_ms; /* negative: not said */
} SeedStreamSpec;

#define SEED_STREAMS_MAX_MS 3600000
#define SEED_STREAMS_LEAST_RETRY_MS 10
#define SEED_STREAMS_RETRY_MIN_MS 500
#define SEED_STREAMS_RETRY_MAX_MS 2000
#define SEED_STREAMS_STALL_MS 5000
#define SEED_STREAMS_CONNECT_MS 10000

void seed_stream_spec_free (SeedStreamSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedStreamSpec, seed_stream_spec_free)

SeedStreamSpec *seed_stream_spec_new (const char *id, const char *uri, double max_fps);

SeedStreamSpec *seed_stream_spec_copy (const SeedStreamSpec *spec);

/**
 * A GPtrArray of SeedStreamSpec, at least one, ids unique; free with g_ptr_array_unref. Errors
 * (SEED_ERROR_FORMAT, _INVALID, _LIMIT) name the stream, the field and what is allowed.
 */
GPtrArray *seed_stream_specs_parse (const char *text, GError **error);

/** Whether the stream cannot wait: as said, or by the scheme of its URI. */
gboolean seed_stream_spec_is_live (const SeedStreamSpec *spec);

/**
 * What is done when the stream fails: as said, else by what it is. Cameras and servers (live URIs,
 * http and https) are connected to again, after SEED_STREAMS_RETRY_MIN_MS to _RETRY_MAX_MS; files
 * are not. A stream that is live or reconnects may be silent for SEED_STREAMS_STALL_MS and take
 * SEED_STREAMS_CONNECT_MS to its first frame; others take their time.
 */
void seed_stream_spec_get_policy (const SeedStreamSpec *spec, SeedStreamPolicy *policy);

/** [a-z0-9-]{1,63} */
gboolean seed_stream_id_is_valid (const char *id);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>
#include <seed/tensor.h>

G_BEGIN_DECLS

/**
 * The wire format of results, seed.result.v1: docs/wire.md says it to users, this is its one owner
 * in code. A message has the parts
 *
 *   0    topic   "<graph>/<stream>/<kind>/<node>/"
 *   1    header  UTF-8 JSON object
 *   2... one part per tensor: raw little-endian, C order
 *
 * Every integer in the header is at most 2^63 - 1 and exact; doubles are written with 17
 * significant digits, so they come back bit for bit. Nothing here does I/O; everything is
 * thread-safe.
 */
#define SEED_WIRE_VERSION 1
#define SEED_WIRE_MAX_HEADER (64u * 1024) /* bytes */
#define SEED_WIRE_MAX_TENSORS 64u
#define SEED_WIRE_MAX_PARTS (2 + SEED_WIRE_MAX_TENSORS)
#define SEED_WIRE_MAX_NAME 63u /* bytes of one level of a topic, and of a tensor's name */
#define SEED_WIRE_MAX_TOPIC (4 * (SEED_WIRE_MAX_NAME + 1))
#define SEED_WIRE_MAX_DEPTH 32u /* of the header's JSON, itself included; SEED_JSON_MAX_DEPTH */
#define SEED_WIRE_DEFAULT_ENDPOINT "tcp://127.0.0.1:5570"

/** The stream of what belongs to no single stream. */
#define SEED_WIRE_NO_STREAM "-"
/** "null" for the numbers below that may be missing; the same value as GST_CLOCK_TIME_NONE. */
#define SEED_RESULT_NONE G_MAXUINT64

typedef struct {
  const char *name;   /* NULL: the header says "model": null, and the other two do not matter */
  const char *sha256; /* 64 hexadecimal digits, or "" for weights that were never in a file */
  guint64 step;
} SeedResultModel;

/**
 * One result. To build a message, fill it in: all pointers are borrowed for the time of the call,
 * and
 * @root is NULL. A parsed one owns its strings through @root, its tensors point into the message's
 * parts; free it with seed_result_clear.
 */
typedef struct {
  const char *graph;  /* [a-z0-9-]{1,63} */
  const char *stream; /* [a-z0-9-]{1,63}, SEED_WIRE_NO_STREAM for none */
  const char *kind;   /* [a-z0-9-]{1,63} */
  const char *node;   /* [A-Za-z0-9._-]{1,63} */
  guint64 seq;        /* of its topic, from 0; a hole is a loss */
  guint64 frame;      /* number of the frame in its stream, or SEED_RESULT_NONE */
  guint64 pts_ns;     /* of the frame in its stream, or SEED_RESULT_NONE */
  guint64 capture_ns; /* realtime since the epoch, or SEED_RESULT_NONE */
  guint64 publish_ns; /* realtime since the epoch */
  SeedResultModel model;
  guint n_tensors;
  const SeedTensor *tensors; /* names are [A-Za-z0-9._-]{1,63}, each once */
  JsonObject *data;          /* NULL stands for {} when building */
  JsonNode *root;            /* parsed only: the whole header */
} SeedResult;

#define SEED_RESULT_INIT                                                                           \
  {                                                                                                \
    .frame = SEED_RESULT_NONE, .pts_ns = SEED_RESULT_NONE, .capture_ns = SEED_RESULT_NONE          \
  }

/** Frees what a parsed result owns and makes it empty; nothing happens to a built one's pointers.
 */
void seed_result_clear (SeedResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedResult, seed_result_clear)

/** The tensor of that name, or NULL. */
const SeedTensor *seed_result_tensor (const SeedResult *result, const char *name);

/** Whether @text may be a graph, stream or kind: [a-z0-9-]{1,63}. */
gboolean seed_wire_is_name (const char *text);
/** Whether @text may be a node or a tensor: [A-Za-z0-9._-]{1,63}. */
gboolean seed_wire_is_node (const char *text);
/** @text as a node: what it must not contain becomes "-", cut to 63 bytes, "-" when empty. */
char *seed_wire_make_node (const char *text);

/**
 * "<graph>/<stream>/<kind>/<node>/". SEED_ERROR_INVALID naming the level that is none.
 * The caller frees it.
 */
char *seed_wire_build_topic (const SeedResult *result, GError **error);

/** The levels of a topic. */
typedef struct {
  char graph[SEED_WIRE_MAX_NAME + 1];
  char stream[SEED_WIRE_MAX_NAME + 1];
  char kind[SEED_WIRE_MAX_NAME + 1];
  char node[SEED_WIRE_MAX_NAME + 1];
} SeedTopic;

/** @length bytes at @text, not terminated. SEED_ERROR_FORMAT naming the level at fault. */
gboolean seed_wire_parse_topic (const char *text, gsize length, SeedTopic *topic, GError **error);

/**
 * The header; the parts 2... are the tensors' data in their order. *@length: bytes without the NUL.
 * Errors name the key: SEED_ERROR_INVALID (a name, a missing value), SEED_ERROR_LIMIT (one of the
 * limits above; an integer beyond 2^63 - 1), SEED_ERROR_MISMATCH (size against shape and dtype),
 * SEED_ERROR_NUMERIC (NaN or infinity in data). The caller frees it.
 */
char *seed_wire_build_header (const SeedResult *result, gsize *length, GError **error);

typedef struct {
  const void *data;
  gsize size;
} SeedWirePart;

/**
 * Checks a whole message and gives its result, whose tensors point into @parts. All of the keys of
 * version 1 must be there with the right type and agree with topic and parts; keys that are not
 * known are let through. On failure @result is untouched. Errors name the key: SEED_ERROR_FORMAT
 * (JSON, a missing key, a wrong type or name), SEED_ERROR_LIMIT, SEED_ERROR_MISMATCH (topic against
 * header, part against shape and dtype), SEED_ERROR_UNSUPPORTED (another version).
 */
gboolean
seed_wire_parse (const SeedWirePart *parts, guint n_parts, SeedResult *result, GError **error);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "publish/json-tree.h"
#include "publish/sequence.h"
#include "publish/wire-kinds.h"
#include "publish/wire.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const float values[6] = { 0.1f, -0.0f, 1e-42f, NAN, INFINITY, 3 };
static const guint8 byte = 7;

static SeedResult
sample (JsonObject *data)
{
  static const SeedTensor tensors[] = {
    { .name = "embedding",
        .dtype = SEED_DTYPE_F32,
        .n_dims = 1,
        .shape = { 6 },
        .data = values,
        .size = sizeof values },
    { .name = "scalar", .dtype = SEED_DTYPE_U8, .n_dims = 0, .data = &byte, .size = 1 },
    { .name = "empty", .dtype = SEED_DTYPE_F64, .n_dims = 2, .shape = { 3, 0 }, .size = 0 },
  };
  SeedResult result = { .graph = "lobby",
    .stream = "door",
    .kind = "embedding",
    .node = "Student_1.a",
    .seq = G_MAXINT64,
    .frame = (1ull << 53) + 1,
    .pts_ns = 0,
    .capture_ns = SEED_RESULT_NONE,
    .publish_ns = 1700000000123456789ull,
    .model = { "tiny \"x\" \n", SHA, 12345678901ull },
    .n_tensors = 3,
    .tensors = tensors,
    .data = data };

  return result;
}

/* Builds the parts of a result; *topic and *header are for the caller to free. */
static guint
build_parts (const SeedResult *result, SeedWirePart *parts, char **topic, char **header)
{
  g_autoptr (GError) error = NULL;
  gsize length;

  *topic = seed_wire_build_topic (result, &error);
  g_assert_no_error (error);
  *header = seed_wire_build_header (result, &length, &error);
  g_assert_no_error (error);
  parts[0] = (SeedWirePart){ *topic, strlen (*topic) };
  parts[1] = (SeedWirePart){ *header, length };
  for (guint i = 0; i < result->n_tensors; i++)
    parts[2 + i] = (SeedWirePart){ result->tensors[i].data, result->tensors[i].size };
  return 2 + result->n_tensors;
}

static void
assert_same (const SeedResult *a, const SeedResult *b)
{
  g_assert_cmpstr (a->graph, ==, b->graph);
  g_assert_cmpstr (a->stream, ==, b->stream);
  g_assert_cmpstr (a->kind, ==, b->kind);
  g_assert_cmpstr (a->node, ==, b->node);
  g_assert_cmpuint (a->seq, ==, b->seq);
  g_assert_cmpuint (a->frame, ==, b->frame);
  g_assert_cmpuint (a->pts_ns, ==, b->pts_ns);
  g_assert_cmpuint (a->capture_ns, ==, b->capture_ns);
  g_assert_cmpuint (a->publish_ns, ==, b->publish_ns);
  g_assert_cmpstr (a->model.name, ==, b->model.name);
  g_assert_cmpuint (a->n_tensors, ==, b->n_tensors);
  for (guint i = 0; i < a->n_tensors; i++) {
    const SeedTensor *s = &a->tensors[i], *t = seed_result_tensor (b, s->name);

    g_assert_nonnull (t);
    g_assert_cmpint (s->dtype, ==, t->dtype);
    g_assert_cmpmem (s->shape, s->n_dims * 8, t->shape, t->n_dims * 8);
    g_assert_cmpmem (s->data, s->size, t->data, t->size);
  }
}

static void
test_round_trip (void)
{
  static const double numbers[] = { 0.1, 1e300, 5e-324, 5e-300, 1e22, 1e-5, -0.0, 1.0,
    123456789.125, 123456789012345680, G_PI };
  g_autoptr (JsonObject) data = json_object_new ();
  SeedResult result = sample (data);
  g_auto (SeedResult) parsed = SEED_RESULT_INIT;
  g_autofree char *topic = NULL, *header = NULL;
  g_autoptr (GError) error = NULL;
  SeedWirePart parts[5];
  guint n;

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    g_autofree char *key = g_strdup_printf ("n%u", i);
    json_object_set_double_member (data, key, numbers[i]);
  }
  json_object_set_int_member (data, "min", G_MININT64);
  json_object_set_int_member (data, "max", G_MAXINT64);
  json_object_set_string_member (
      data, "text", "tab\t \"quoted\" \\ \xc3\xa9 \xf0\x9f\x8c\xb1 \x01");
  n = build_parts (&result, parts, &topic, &header);
  g_assert_cmpstr (topic, ==, "lobby/door/embedding/Student_1.a/");

  g_assert_true (seed_wire_parse (parts, n, &parsed, &error));
  g_assert_no_error (error);
  assert_same (&result, &parsed);
  g_assert_cmpstr (parsed.model.sha256, ==, SHA);
  g_assert_cmpuint (parsed.model.step, ==, 12345678901ull);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    g_autofree char *key = g_strdup_printf ("n%u", i);
    double back = json_object_get_double_member (parsed.data, key);

    g_assert_cmpmem (&back, 8, &numbers[i], 8);
  }
  g_assert_cmpint (json_object_get_int_member (parsed.data, "min"), ==, G_MININT64);
  g_assert_cmpint (json_object_get_int_member (parsed.data, "max"), ==, G_MAXINT64);
  g_assert_cmpstr (json_object_get_string_member (parsed.data, "text"), ==,
      json_object_get_string_member (data, "text"));
}

static void
test_nothing_optional (void)
{
  SeedResult result = SEED_RESULT_INIT;
  g_auto (SeedResult) parsed = SEED_RESULT_INIT;
  g_autofree char *topic = NULL, *header = NULL;
  g_autoptr (GError) error = NULL;
  SeedWirePart parts[2];

  result.graph = "g";
  result.stream = SEED_WIRE_NO_STREAM;
  result.kind = "train";
  result.node = "n";
  g_assert_cmpuint (build_parts (&result, parts, &topic, &header), ==, 2);
  g_assert_true (seed_wire_parse (parts, 2, &parsed, &error));
  g_assert_no_error (error);
  assert_same (&result, &parsed);
  g_assert_null (parsed.model.name);
  g_assert_cmpuint (json_object_get_size (parsed.data), ==, 0);
}

/* What a header must not become: each row spoils a good result in one place. */
typedef enum {
  GRAPH,
  STREAM,
  NODE,
  SEQ,
  PUBLISH,
  SHA256,
  N_TENSORS,
  TENSOR_NAME,
  TENSOR_SIZE,
  TENSOR_DIMS,
  DATA_NAN,
  DATA_DEEP,
  DATA_LARGE,
  MODEL_UTF8,
  N_SPOILS,
} Spoil;

static JsonObject *
spoiled_data (Spoil spoil)
{
  JsonObject *data = json_object_new ();

  if (spoil == DATA_NAN) {
    JsonArray *array = json_array_new ();

    json_array_add_double_element (array, 1);
    json_array_add_double_element (array, NAN);
    json_object_set_array_member (data, "loss", array);
  }
  if (spoil == DATA_LARGE) {
    g_autofree char *text = g_strnfill (SEED_WIRE_MAX_HEADER, 'x');
    json_object_set_string_member (data, "text", text);
  }
  if (spoil == DATA_DEEP) {
    JsonObject *at = data;

    for (guint i = 0; i < SEED_WIRE_MAX_DEPTH; i++) {
      JsonObject *next = json_object_new ();
      json_object_set_object_member (at, "a", next);
      at = next;
    }
  }
  return data;
}

static void
test_build_refuses (void)
{
  static const struct {
    int code;
    const char *key;
  } expected[N_SPOILS] = {
    [GRAPH] = { SEED_ERROR_INVALID, "\"graph\"" },
    [STREAM] = { SEED_ERROR_INVALID, "\"stream\"" },
    [NODE] = { SEED_ERROR_INVALID, "\"node\"" },
    [SEQ] = { SEED_ERROR_LIMIT, "\"seq\"" },
    [PUBLISH] = { SEED_ERROR_LIMIT, "\"publish_ns\"" },
    [SHA256] = { SEED_ERROR_INVALID, "\"model.sha256\"" },
    [N_TENSORS] = { SEED_ERROR_LIMIT, "\"tensors\"" },
    [TENSOR_NAME] = { SEED_ERROR_INVALID, "\"tensors[1].name\"" },
    [TENSOR_SIZE] = { SEED_ERROR_MISMATCH, "\"tensors[0]\"" },
    [TENSOR_DIMS] = { SEED_ERROR_LIMIT, "\"tensors[0]\"" },
    [DATA_NAN] = { SEED_ERROR_NUMERIC, "data.loss[1]" },
    [DATA_DEEP] = { SEED_ERROR_LIMIT, "data.a.a" },
    [DATA_LARGE] = { SEED_ERROR_LIMIT, "\"data\"" },
    [MODEL_UTF8] = { SEED_ERROR_FORMAT, "model.name" },
  };

  for (Spoil spoil = 0; spoil < N_SPOILS; spoil++) {
    g_autoptr (JsonObject) data = spoiled_data (spoil);
    SeedResult result = sample (data);
    SeedTensor tensors[3];
    g_autoptr (GError) error = NULL;
    gsize length;

    memcpy (tensors, result.tensors, sizeof tensors);
    result.tensors = tensors;
    result.graph = spoil == GRAPH ? "Lobby" : result.graph;
    result.stream = spoil == STREAM ? "" : result.stream;
    result.node = spoil == NODE ? "a/b" : result.node;
    result.seq = spoil == SEQ ? 1ull << 63 : result.seq;
    result.publish_ns = spoil == PUBLISH ? G_MAXUINT64 : result.publish_ns;
    result.model.sha256 = spoil == SHA256 ? "abc" : result.model.sha256;
    result.model.name = spoil == MODEL_UTF8 ? "\xff" : result.model.name;
    result.n_tensors = spoil == N_TENSORS ? SEED_WIRE_MAX_TENSORS + 1 : result.n_tensors;
    tensors[1].name = spoil == TENSOR_NAME ? "embedding" : tensors[1].name;
    tensors[0].size -= spoil == TENSOR_SIZE;
    tensors[0].n_dims += spoil == TENSOR_DIMS ? SEED_TENSOR_MAX_DIMS : 0;
    g_assert_null (seed_wire_build_header (&result, &length, &error));
    g_assert_error (error, SEED_ERROR, expected[spoil].code);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, expected[spoil].key));
  }
}

#define HEAD "{\"v\":1,\"seq\":0,\"graph\":\"g\",\"node\":\"n\",\"stream\":\"s\",\"kind\":\"k\","
#define TIMES "\"frame\":null,\"pts_ns\":null,\"capture_ns\":null,\"publish_ns\":1,"
#define TAIL "\"model\":null,\"tensors\":[],\"data\":{}}"
#define TENSOR(text) HEAD TIMES "\"model\":null,\"data\":{},\"tensors\":[" text "]}"
#define MODEL(text) HEAD TIMES "\"tensors\":[],\"data\":{},\"model\":" text "}"
#define DATA(text) HEAD TIMES "\"model\":null,\"tensors\":[],\"data\":" text "}"
#define T(name, dtype, shape, part)                                                                \
  "{\"name\":" name ",\"dtype\":" dtype ",\"shape\":" shape ",\"part\":" part "}"

/* One part of 8 bytes for each tensor part. */
static const struct {
  const char *header;
  guint n_tensor_parts;
  int code; /* -1: accepted */
  const char *key;
} headers[] = {
  { HEAD TIMES TAIL, 0, -1, NULL },
  { HEAD TIMES "\"later\":{\"x\":[1]}," TAIL, 0, -1, NULL },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "2")), 1, -1, NULL },
  { TENSOR (T ("\"a\"", "\"int64\"", "[]", "3") "," T ("\"b\"", "\"uint8\"", "[2,2,2]", "2")), 2,
      -1, NULL },
  { "", 0, SEED_ERROR_FORMAT, "header" },
  { "[]", 0, SEED_ERROR_FORMAT, "object" },
  { "{}", 0, SEED_ERROR_FORMAT, "\"v\"" },
  { "{\"v\":1} x", 0, SEED_ERROR_FORMAT, "header" },
  { "/* */" HEAD TIMES TAIL, 0, SEED_ERROR_FORMAT, "header" },
  { HEAD TIMES "\"seq\":1," TAIL, 0, SEED_ERROR_FORMAT, "\"seq\"" },
  { "{\"v\":2}", 0, SEED_ERROR_UNSUPPORTED, "\"v\"" },
  { "{\"v\":\"1\"}", 0, SEED_ERROR_FORMAT, "\"v\"" },
  { "{\"v\":1,\"graph\":\"other\"}", 0, SEED_ERROR_MISMATCH, "\"graph\"" },
  { "{\"v\":1,\"graph\":\"g\",\"stream\":null}", 0, SEED_ERROR_FORMAT, "\"stream\"" },
  { HEAD "\"frame\":1.0}", 0, SEED_ERROR_FORMAT, "\"frame\"" },
  { HEAD "\"frame\":-1}", 0, SEED_ERROR_FORMAT, "\"frame\"" },
  { HEAD "\"frame\":9223372036854775808}", 0, SEED_ERROR_LIMIT, "9223372036854775808" },
  { HEAD "\"frame\":1e999}", 0, SEED_ERROR_LIMIT, "1e999" },
  { HEAD "\"frame\":NaN}", 0, SEED_ERROR_FORMAT, "header" },
  { HEAD "\"frame\":true}", 0, SEED_ERROR_FORMAT, "\"frame\"" },
  { HEAD "\"frame\":1,\"pts_ns\":\"0\"}", 0, SEED_ERROR_FORMAT, "\"pts_ns\"" },
  { HEAD "\"frame\":1,\"pts_ns\":0,\"capture_ns\":0,\"publish_ns\":null}", 0, SEED_ERROR_FORMAT,
      "\"publish_ns\"" },
  { HEAD TIMES "\"model\":3}", 0, SEED_ERROR_FORMAT, "\"model\"" },
  { MODEL ("{}"), 0, SEED_ERROR_FORMAT, "\"model.name\"" },
  { MODEL ("{\"name\":\"\",\"sha256\":\"AB\",\"step\":0}"), 0, SEED_ERROR_FORMAT,
      "\"model.sha256\"" },
  { MODEL ("{\"name\":\"\",\"sha256\":\"\",\"step\":-1}"), 0, SEED_ERROR_FORMAT, "\"model.step\"" },
  { MODEL ("{\"name\":\"\",\"sha256\":\"\",\"step\":0}"), 0, -1, NULL },
  { DATA ("[]"), 0, SEED_ERROR_FORMAT, "\"data\"" },
  { DATA ("{\"a\":\"\\u0000\"}"), 0, SEED_ERROR_FORMAT, "header" },
  { DATA ("{\"a\":\"\\ud800\"}"), 0, SEED_ERROR_FORMAT, "header" },
  { DATA ("{\"a\":\"\\ud83c\\udf31\"}"), 0, -1, NULL },
  { DATA ("{\"a\":1,\"a\":2}"), 0, SEED_ERROR_FORMAT, "\"a\"" },
  { DATA ("{\"a\":\"\xff\"}"), 0, SEED_ERROR_FORMAT, "header" },
  { HEAD TIMES "\"model\":null,\"data\":{},\"tensors\":{}}", 0, SEED_ERROR_FORMAT, "\"tensors\"" },
  { TENSOR ("1"), 1, SEED_ERROR_FORMAT, "\"tensors[0]\"" },
  { TENSOR (""), 1, SEED_ERROR_MISMATCH, "\"tensors\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "2")), 0, SEED_ERROR_MISMATCH, "\"tensors\"" },
  { TENSOR (T ("\"\"", "\"float32\"", "[2]", "2")), 1, SEED_ERROR_FORMAT, "\"tensors[0].name\"" },
  { TENSOR (T ("1", "\"float32\"", "[2]", "2")), 1, SEED_ERROR_FORMAT, "\"tensors[0].name\"" },
  { TENSOR (T ("\"a\"", "\"F32\"", "[2]", "2")), 1, SEED_ERROR_UNSUPPORTED,
      "\"tensors[0].dtype\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "2", "2")), 1, SEED_ERROR_FORMAT, "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2.0]", "2")), 1, SEED_ERROR_FORMAT,
      "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[-2]", "2")), 1, SEED_ERROR_FORMAT,
      "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[3]", "2")), 1, SEED_ERROR_MISMATCH,
      "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[1,1,1,1,1,1,1,2,1]", "2")), 1, SEED_ERROR_LIMIT,
      "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float64\"", "[4294967296,4294967296,2]", "2")), 1, SEED_ERROR_LIMIT,
      "\"tensors[0].shape\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "1")), 1, SEED_ERROR_MISMATCH,
      "\"tensors[0].part\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "3")), 1, SEED_ERROR_MISMATCH,
      "\"tensors[0].part\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "-2")), 1, SEED_ERROR_FORMAT, "\"tensors[0].part\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "2") "," T ("\"b\"", "\"float32\"", "[2]", "2")), 2,
      SEED_ERROR_MISMATCH, "\"tensors[1].part\"" },
  { TENSOR (T ("\"a\"", "\"float32\"", "[2]", "2") "," T ("\"a\"", "\"float32\"", "[2]", "3")), 2,
      SEED_ERROR_FORMAT, "\"tensors[1].name\"" },
};

static void
test_hostile_headers (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (headers); i++) {
    SeedWirePart parts[4] = { { "g/s/k/n/", 8 }, { headers[i].header, strlen (headers[i].header) },
      { "12345678", 8 }, { "12345678", 8 } };
    g_auto (SeedResult) result = SEED_RESULT_INIT;
    g_autoptr (GError) error = NULL;
    gboolean ok = seed_wire_parse (parts, 2 + headers[i].n_tensor_parts, &result, &error);

    if (headers[i].code < 0) {
      g_assert_no_error (error);
      g_assert_true (ok);
      continue;
    }
    g_test_message ("header %u: %s", i, error ? error->message : "accepted");
    g_assert_false (ok);
    g_assert_error (error, SEED_ERROR, headers[i].code);
    g_assert_nonnull (strstr (error->message, headers[i].key));
    g_assert_null (result.root);
  }
}

static void
test_depth (void)
{
  g_autoptr (GString) text = g_string_new ("{\"a\":");
  g_autoptr (GError) error = NULL;
  g_auto (SeedResult) result = SEED_RESULT_INIT;
  SeedWirePart parts[2] = { { "g/s/k/n/", 8 } };

  for (guint i = 0; i < SEED_WIRE_MAX_HEADER - 5; i++)
    g_string_append_c (text, '[');
  parts[1] = (SeedWirePart){ text->str, text->len };
  g_assert_false (seed_wire_parse (parts, 2, &result, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

static void
test_too_much (void)
{
  g_autofree char *large = g_strnfill (SEED_WIRE_MAX_HEADER + 1, ' ');
  SeedWirePart parts[SEED_WIRE_MAX_PARTS + 1] = { { "g/s/k/n/", 8 }, { large, strlen (large) } };
  g_auto (SeedResult) result = SEED_RESULT_INIT;

  for (guint n = 0; n <= SEED_WIRE_MAX_PARTS + 1; n += n == 2 ? SEED_WIRE_MAX_PARTS - 1 : 1) {
    g_autoptr (GError) error = NULL;

    g_assert_false (seed_wire_parse (parts, n, &result, &error));
    g_assert_error (error, SEED_ERROR, (n < 2 ? SEED_ERROR_FORMAT : SEED_ERROR_LIMIT));
  }
}

static void
test_topics (void)
{
  static const char *const good[] = { "a/-/b-1/C_d.9/", "0/1/2/3/" };
  static const struct {
    const char *text, *level;
  } bad[] = {
    { "", "\"graph\"" },
    { "/s/k/n/", "\"graph\"" },
    { "G/s/k/n/", "\"graph\"" },
    { "g//k/n/", "\"stream\"" },
    { "g/s/k_/n/", "\"kind\"" },
    { "g/s/k/n", "\"node\"" },
    { "g/s/k/n n/", "\"node\"" },
    { "g/s/k/n/x", "four levels" },
    { "g/s/k/n//", "four levels" },
    { "g/0123456789012345678901234567890123456789012345678901234567890123/k/n/", "\"stream\"" },
  };
  SeedTopic topic;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;

    seed_wire_parse_topic (good[i], strlen (good[i]), &topic, &error);
    g_assert_no_error (error);
  }
  g_assert_true (seed_wire_parse_topic (good[0], strlen (good[0]), &topic, NULL));
  g_assert_cmpstr (topic.graph, ==, "a");
  g_assert_cmpstr (topic.stream, ==, "-");
  g_assert_cmpstr (topic.kind, ==, "b-1");
  g_assert_cmpstr (topic.node, ==, "C_d.9");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (seed_wire_parse_topic (bad[i].text, strlen (bad[i].text), &topic, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, bad[i].level));
  }
  g_assert_false (seed_wire_parse_topic ("g/s/k\0x/n/", 10, &topic, NULL));
}

static void
test_make_node (void)
{
  g_autofree char *plain = seed_wire_make_node ("student-1.B_"),
                  *odd = seed_wire_make_node ("a b/\xc3\xa9");
  g_autofree char *none = seed_wire_make_node (""), *fill = g_strnfill (100, 'x');
  g_autofree char *cut = seed_wire_make_node (fill);

  g_assert_cmpstr (plain, ==, "student-1.B_");
  g_assert_cmpstr (odd, ==, "a-b---");
  g_assert_cmpstr (none, ==, "-");
  g_assert_cmpuint (strlen (cut), ==, SEED_WIRE_MAX_NAME);
}

static void
test_sequence (void)
{
  static const struct {
    const char *node;
    guint64 seq, publish_ns;
    SeedSequenceStep step;
    guint64 lost;
  } steps[] = {
    { "a", 5, 100, SEED_SEQUENCE_NEXT, 0 },
    { "a", 6, 101, SEED_SEQUENCE_NEXT, 0 },
    { "b", 0, 101, SEED_SEQUENCE_NEXT, 0 },
    { "a", 9, 102, SEED_SEQUENCE_GAP, 2 },
    { "a", 9, 102, SEED_SEQUENCE_REPEAT, 0 },
    { "a", 6, 101, SEED_SEQUENCE_REPEAT, 0 },
    { "a", 10, 103, SEED_SEQUENCE_NEXT, 0 },
    { "a", 0, 200, SEED_SEQUENCE_RESTART, 0 },
    { "a", 1, 201, SEED_SEQUENCE_NEXT, 0 },
    { "c", 0, 201, SEED_SEQUENCE_REFUSED, 0 },
    { "a", G_MAXINT64, 300, SEED_SEQUENCE_GAP, G_MAXINT64 - 2 },
  };
  g_autoptr (SeedSequence) sequence = seed_sequence_new (2);

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    SeedResult result = SEED_RESULT_INIT;
    guint64 lost;

    result.graph = result.stream = result.kind = "x";
    result.node = steps[i].node;
    result.seq = steps[i].seq;
    result.publish_ns = steps[i].publish_ns;
    g_assert_cmpint (seed_sequence_step (sequence, &result, &lost), ==, steps[i].step);
    g_assert_cmpuint (lost, ==, steps[i].lost);
  }
}

/* What is counted by kind has a place for each, and one for all others. */
static void
test_numbers_of_kinds (void)
{
  const char *const *names = seed_kind_names ();

  g_assert_cmpuint (g_strv_length ((char **) names), ==, SEED_N_KINDS);
  for (guint i = 0; i < SEED_N_KINDS; i++)
    g_assert_cmpuint (seed_kind_number (names[i]), ==, i);
  g_assert_cmpuint (seed_kind_number ("new"), ==, SEED_N_KINDS);
  g_assert_cmpuint (seed_kind_number (""), ==, SEED_N_KINDS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/round-trip", test_round_trip);
  g_test_add_func ("/wire/nothing-optional", test_nothing_optional);
  g_test_add_func ("/wire/build-refuses", test_build_refuses);
  g_test_add_func ("/wire/hostile-headers", test_hostile_headers);
  g_test_add_func ("/wire/depth", test_depth);
  g_test_add_func ("/wire/too-much", test_too_much);
  g_test_add_func ("/wire/topics", test_topics);
  g_test_add_func ("/wire/make-node", test_make_node);
  g_test_add_func ("/wire/numbers-of-kinds", test_numbers_of_kinds);
  g_test_add_func ("/wire/sequence", test_sequence);
  return g_test_run ();
}

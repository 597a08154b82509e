/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib.h>
#include <seed/error.h>

#include "decode/streams.h"
#include "decode/uri.h"

static SeedStreamSpec *
nth (GPtrArray *specs, guint n)
{
  g_assert_cmpuint (n, <, specs->len);
  return g_ptr_array_index (specs, n);
}

static void
test_parses (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) specs = seed_stream_specs_parse (
      "stream, id=(string)door, uri=(string)\"rtsp://127.0.0.1:8554/door\", max-fps=(double)5.5,"
      " loop=(boolean)false;\n stream,id=yard-2 , uri=file:///srv/a.mp4, loop=true, max-fps=3;",
      &error);

  g_assert_no_error (error);
  g_assert_cmpuint (specs->len, ==, 2);
  g_assert_cmpstr (nth (specs, 0)->id, ==, "door");
  g_assert_cmpstr (nth (specs, 0)->uri, ==, "rtsp://127.0.0.1:8554/door");
  g_assert_cmpfloat (nth (specs, 0)->max_fps, ==, 5.5);
  g_assert_false (nth (specs, 0)->loop);
  g_assert_cmpstr (nth (specs, 1)->id, ==, "yard-2");
  g_assert_cmpstr (nth (specs, 1)->uri, ==, "file:///srv/a.mp4");
  g_assert_cmpfloat (nth (specs, 1)->max_fps, ==, 3);
  g_assert_true (nth (specs, 1)->loop);
}

static void
test_defaults_and_escapes (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) specs =
      seed_stream_specs_parse ("stream, uri=\"a\\ b\\,\\\"\\303\\251;=\", id=(s)x", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (nth (specs, 0)->uri, ==, "a b,\"é;=");
  g_assert_cmpfloat (nth (specs, 0)->max_fps, <, 0);
  g_assert_false (nth (specs, 0)->loop);
}

static const struct {
  const char *text;
  const char *says[3];
} bad[] = {
  { "", { "no stream given" } },
  { " ; ;", { "no stream given" } },
  { "camera, id=a, uri=b", { "stream 1", "camera" } },
  { "stream, id=a", { "stream 1", "\"a\"", "uri is missing" } },
  { "stream, uri=b", { "stream 1", "id is missing" } },
  { "stream, id=a, uri=b; stream, id=c, uri=d, fps=3", { "stream 2", "\"c\"", "max-fps" } },
  { "stream, id=a, uri=b, max-fps=-1", { "\"a\"", "max-fps", "-1" } },
  { "stream, id=a, uri=b, max-fps=nan", { "\"a\"", "max-fps", "nan" } },
  { "stream, id=a, uri=b, max-fps=5x", { "\"a\"", "max-fps", "5x" } },
  { "stream, id=a, uri=b, max-fps=(string)5", { "\"a\"", "max-fps", "string" } },
  { "stream, id=a, uri=b, max-fps=", { "\"a\"", "max-fps" } },
  { "stream, id=a, uri=b, passes=0", { "\"a\"", "passes", "0" } },
  { "stream, id=a, uri=b, loop=maybe", { "\"a\"", "loop", "maybe" } },
  { "stream, id=a, uri=b, reconnect=perhaps", { "\"a\"", "reconnect", "perhaps" } },
  { "stream, id=a, uri=b, live=2", { "\"a\"", "live", "2" } },
  { "stream, id=a, uri=b, retry-min-ms=9", { "\"a\"", "retry-min-ms", "10 to 3600000" } },
  { "stream, id=a, uri=b, retry-max-ms=1h", { "\"a\"", "retry-max-ms", "1h" } },
  { "stream, id=a, uri=b, stall-ms=-1", { "\"a\"", "stall-ms", "-1" } },
  { "stream, id=a, uri=b, connect-ms=3600001", { "\"a\"", "connect-ms", "3600001" } },
  { "stream, id=a, uri=b, stall-ms=(double)5", { "\"a\"", "stall-ms", "double" } },
  { "stream, id=a, uri=b, retry-min-ms=300, retry-max-ms=200", { "\"a\"", "more than" } },
  { "stream, id=a, uri=b, id=c", { "\"a\"", "id", "twice" } },
  { "stream, id=a, uri=b; stream, id=a, uri=c", { "stream 2", "\"a\"", "differ" } },
  { "stream, id=Door, uri=b", { "stream 1", "Door", "a-z" } },
  { "stream, id=\"\", uri=b", { "stream 1", "a-z" } },
  { "stream, id=a, uri=\"\"", { "\"a\"", "uri is empty" } },
  { "stream, id=a, uri=\"b", { "\"a\"", "does not end" } },
  { "stream, id=a, uri=\"b\\", { "\"a\"", "backslash" } },
  { "stream, id=a, uri=\"\\377\"", { "\"a\"", "UTF-8" } },
  { "stream, id=a, uri=\"\\000\"", { "\"a\"", "backslash" } },
  { "stream, id=a, uri", { "\"a\"", "expected =" } },
  { "stream, id=(string a", { "type", "end" } },
  { "stream, id=a, uri=b c", { "\"a\"", "expected ," } },
  { "stream, id=a, uri=b,", { "\"a\"", "unknown field \"\"" } },
};

static void
test_refuses (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", bad[i].text);
    g_assert_null (seed_stream_specs_parse (bad[i].text, &error));
    g_assert_nonnull (error);
    g_assert_true (error->domain == SEED_ERROR);
    for (guint j = 0; j < 3 && bad[i].says[j]; j++) {
      if (!strstr (error->message, bad[i].says[j]))
        g_error ("\"%s\" does not say \"%s\"", error->message, bad[i].says[j]);
    }
  }
}

static void
test_limits (void)
{
  g_autoptr (GString) many = g_string_new (NULL);
  g_autofree char *id = g_strnfill (64, 'a'), *longest = g_strnfill (63, 'a');
  g_autofree char *huge = g_strnfill (SEED_STREAMS_MAX_BYTES + 1, ' ');
  g_autoptr (GError) error = NULL, huge_error = NULL;
  g_autoptr (GPtrArray) specs = NULL;

  g_assert_false (seed_stream_id_is_valid (id));
  g_assert_true (seed_stream_id_is_valid (longest));
  g_assert_false (seed_stream_id_is_valid (NULL));
  for (guint i = 0; i < SEED_STREAMS_MAX; i++)
    g_string_append_printf (many, "stream, id=s%u, uri=file:///%u;", i, i);
  specs = seed_stream_specs_parse (many->str, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (specs->len, ==, SEED_STREAMS_MAX);
  g_string_append (many, "stream, id=more, uri=file:///more");
  g_assert_null (seed_stream_specs_parse (many->str, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_assert_null (seed_stream_specs_parse (huge, &huge_error));
  g_assert_error (huge_error, SEED_ERROR, SEED_ERROR_LIMIT);
}

/* No byte of a valid text may be cut or changed into a crash; the sanitizers watch. */
static void
test_survives_damage (void)
{
  const char *text = "stream, id=(string)a, uri=(string)\"x\\303\\251\", max-fps=(double)5, loop=1";
  gsize length = strlen (text);

  for (gsize i = 0; i < length; i++) {
    g_autofree char *cut = g_strndup (text, i);
    g_autoptr (GPtrArray) part = seed_stream_specs_parse (cut, NULL);

    g_assert_true (!part || part->len == 1);
    for (guint c = 1; c < 256; c++) {
      g_autofree char *changed = g_strdup (text);
      g_autoptr (GPtrArray) other = NULL;

      changed[i] = (char) c;
      other = seed_stream_specs_parse (changed, NULL);
      g_assert_true (!other || other->len >= 1);
    }
  }
}

static SeedStreamPolicy
policy_of (const char *fields)
{
  g_autofree char *text = g_strdup_printf ("stream, id=a, %s", fields);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) specs = seed_stream_specs_parse (text, &error);
  SeedStreamPolicy policy;

  g_assert_no_error (error);
  seed_stream_spec_get_policy (nth (specs, 0), &policy);
  return policy;
}

static void
assert_policy (
    const char *fields, gboolean reconnect, gint64 min, gint64 max, gint64 stall, gint64 connect)
{
  SeedStreamPolicy policy = policy_of (fields);

  g_test_message ("%s", fields);
  g_assert_cmpint (policy.reconnect, ==, reconnect);
  g_assert_cmpint (policy.retry_min_ms, ==, min);
  g_assert_cmpint (policy.retry_max_ms, ==, max);
  g_assert_cmpint (policy.stall_ms, ==, stall);
  g_assert_cmpint (policy.connect_ms, ==, connect);
}

static void
test_policies (void)
{
  assert_policy ("uri=rtsp://127.0.0.1/a", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=http://127.0.0.1/a", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=v4l2:///dev/video0", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=file:///a.mp4", FALSE, 500, 2000, 0, 0);
  assert_policy ("uri=gopher://a", FALSE, 500, 2000, 0, 0);
  assert_policy ("uri=file:///a.mp4, reconnect=true", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=file:///a.ts, live=true", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=rtsp://a/a, reconnect=(boolean)false", FALSE, 500, 2000, 5000, 10000);
  assert_policy ("uri=rtsp://a/a, live=false", TRUE, 500, 2000, 5000, 10000);
  assert_policy ("uri=rtsp://a/a, retry-min-ms=4000", TRUE, 4000, 4000, 5000, 10000);
  assert_policy ("uri=rtsp://a/a, retry-max-ms=(uint)100", TRUE, 100, 100, 5000, 10000);
  assert_policy ("uri=rtsp://a/a, retry-min-ms=20, retry-max-ms=90, stall-ms=0, connect-ms=0", TRUE,
      20, 90, 0, 0);
  assert_policy ("uri=file:///a.mp4, stall-ms=700", FALSE, 500, 2000, 700, 0);
}

static void
test_remote_uris (void)
{
  g_assert_true (seed_uri_is_remote ("rtsp://127.0.0.1/a"));
  g_assert_true (seed_uri_is_remote ("HTTPS://127.0.0.1/a"));
  g_assert_false (seed_uri_is_remote ("file:///a"));
  g_assert_false (seed_uri_is_remote ("httpx://a"));
  g_assert_false (seed_uri_is_remote (NULL));
}

static void
test_live_uris (void)
{
  g_assert_true (seed_uri_is_live ("rtsp://127.0.0.1/a"));
  g_assert_true (seed_uri_is_live ("RTSPT://127.0.0.1/a"));
  g_assert_true (seed_uri_is_live ("v4l2:///dev/video0"));
  g_assert_true (seed_uri_is_live ("udp://239.0.0.1:5000"));
  g_assert_true (seed_uri_is_live ("srt://127.0.0.1:7000"));
  g_assert_false (seed_uri_is_live ("file:///rtsp:/a"));
  g_assert_false (seed_uri_is_live ("http://127.0.0.1/a.mp4"));
  g_assert_false (seed_uri_is_live ("rtsp"));
  g_assert_false (seed_uri_is_live ("rtspx://a"));
  g_assert_false (seed_uri_is_live (":"));
  g_assert_false (seed_uri_is_live (""));
  g_assert_false (seed_uri_is_live (NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/streams/parses", test_parses);
  g_test_add_func ("/streams/defaults-and-escapes", test_defaults_and_escapes);
  g_test_add_func ("/streams/refuses", test_refuses);
  g_test_add_func ("/streams/limits", test_limits);
  g_test_add_func ("/streams/survives-damage", test_survives_damage);
  g_test_add_func ("/streams/policies", test_policies);
  g_test_add_func ("/uri/live", test_live_uris);
  g_test_add_func ("/uri/remote", test_remote_uris);
  return g_test_run ();
}

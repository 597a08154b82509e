/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <string.h>

#include "nn/json.h"

/* Every text is skipped over and must be the whole text. */
static gboolean
check_text (const char *text, gsize length, GError **error)
{
  SeedJson json;

  seed_json_init (&json, "F", text, length, 0);
  if (seed_json_skip (&json))
    seed_json_end (&json);
  return seed_json_finish (&json, error);
}

static void
test_accepts (void)
{
  static const char *const texts[] = { "{}", "[]", " [ ] ", "null", "true", "false", "0", "-0",
    "-1.5e+10", "1E5", "\"\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
    "{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}", "\t{\r\n\"k\" : [ true , false ] }\n" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;

    check_text (texts[i], strlen (texts[i]), &error);
    g_assert_no_error (error);
  }
}

static void
test_refuses (void)
{
  static const struct {
    const char *text;
    const char *message; /* the place and the beginning */
  } cases[] = {
    { "", "F:1:1: expected a number, found the end" },
    { "{\"a\":1,}", "F:1:8: expected a key in '\"', found '}'" },
    { "[1,]", "F:1:4: expected a number" },
    { "[1 2]", "F:1:4: expected ',' or ']', found '2'" },
    { "{\"a\" 1}", "F:1:6: expected ':'" },
    { "{a:1}", "F:1:2: expected a key" },
    { "{'a':1}", "F:1:2: expected a key" },
    { "[\n  01]", "F:2:3: a number with a leading zero" },
    { "1.", "F:1:3: expected a digit after '.'" },
    { ".5", "F:1:1: expected a number" },
    { "+1", "F:1:1: expected a number" },
    { "-", "F:1:2: expected a digit" },
    { "1e", "F:1:3: expected a digit of the exponent" },
    { "NaN", "F:1:1: expected a number" },
    { "Infinity", "F:1:1: expected a number" },
    { "nul", "F:1:1: expected a value" },
    { "truth", "F:1:1: expected a value" },
    { "// c\n1", "F:1:1: expected a number" },
    { "\"a", "F:1:3: expected the end of the string" },
    { "\"a\nb\"", "F:1:3: expected the end of the string '\"', found U+000A" },
    { "\"\\x\"", "F:1:3: expected one of" },
    { "\"\\u12g4\"", "F:1:6: expected four hexadecimal digits" },
    { "\"\\u0000\"", "F:1:2: NUL in a string" },
    { "\"\\ud800\"", "F:1:2: half of a surrogate pair" },
    { "\"\\ud800\\u0041\"", "F:1:2: half of a surrogate pair" },
    { "\"\\udc00\"", "F:1:2: half of a surrogate pair" },
    { "1 2", "F:1:3: expected the end of the text" },
    { "{} x", "F:1:4: expected the end of the text, found 'x'" },
    { "\"\xff\"", "F:1:2: this is not UTF-8" },
    { "\"\xc3", "F:1:2: this is not UTF-8" },
    { "\"\xed\xa0\x80\"", "F:1:2: this is not UTF-8" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_autofree char *shown = g_strescape (cases[i].text, NULL);

    g_test_message ("%s", shown);
    g_assert_false (check_text (cases[i].text, strlen (cases[i].text), &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
    if (!g_str_has_prefix (error->message, cases[i].message))
      g_error ("%s: is not: %s", error->message, cases[i].message);
  }
}

static void
test_nul_in_text (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (check_text ("[1\0]", 4, &error));
  g_assert_cmpstr (error->message, ==, "F:1:3: NUL in the text");
}

static void
test_limits (void)
{
  g_autofree char *deep = g_strnfill (SEED_JSON_MAX_DEPTH + 1, '[');
  g_autofree char *digits = g_strnfill (1000, '1');
  g_autofree char *closing = g_strnfill (SEED_JSON_MAX_DEPTH, ']');
  g_autofree char *fits = g_strconcat (deep + 1, closing, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (check_text (deep, strlen (deep), &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_clear_error (&error);

  g_assert_false (check_text (digits, strlen (digits), &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_clear_error (&error);

  check_text (fits, strlen (fits), &error);
  g_assert_no_error (error);
}

static void
test_reads_values (void)
{
  static const char text[] = "{\"u\":9007199254740992,\"x\":-2.5e-1,\"b\":true,"
                             "\"s\":\"\\u00e9\\ud83d\\ude00\",\"a\":[1,2,3]}";
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GString) value = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  guint64 u = 0, sum = 0;
  double x = 0;
  gboolean b = FALSE;
  SeedJson json;

  seed_json_init (&json, "F", text, strlen (text), 0);
  seed_json_open (&json, '{');
  g_assert_true (seed_json_next_member (&json, key, 8));
  g_assert_cmpstr (key->str, ==, "u");
  g_assert_true (seed_json_read_uint (&json, G_MAXUINT64, &u));
  g_assert_true (seed_json_next_member (&json, key, 8));
  g_assert_true (seed_json_read_number (&json, &x));
  g_assert_true (seed_json_next_member (&json, key, 8));
  g_assert_true (seed_json_read_boolean (&json, &b));
  g_assert_true (seed_json_next_member (&json, key, 8));
  g_assert_true (seed_json_read_string (&json, value, 6));
  g_assert_true (seed_json_next_member (&json, key, 8));
  for (seed_json_open (&json, '['); seed_json_next_element (&json);) {
    guint64 element = 0;
    g_assert_true (seed_json_read_uint (&json, 3, &element));
    sum += element;
  }
  g_assert_false (seed_json_next_member (&json, key, 8));
  g_assert_true (seed_json_end (&json));
  g_assert_true (seed_json_finish (&json, &error));

  g_assert_cmpuint (u, ==, G_GUINT64_CONSTANT (1) << 53);
  g_assert_cmpfloat (x, ==, -0.25);
  g_assert_true (b);
  g_assert_cmpstr (value->str, ==, "\xc3\xa9\xf0\x9f\x98\x80");
  g_assert_cmpuint (sum, ==, 6);
}

static void
test_wrong_types (void)
{
  static const struct {
    const char *text;
    SeedErrorCode code;
  } cases[] = { { "-1", SEED_ERROR_FORMAT }, { "1.0", SEED_ERROR_FORMAT },
    { "1e2", SEED_ERROR_FORMAT }, { "101", SEED_ERROR_LIMIT },
    { "99999999999999999999999999", SEED_ERROR_LIMIT }, { "\"1\"", SEED_ERROR_FORMAT },
    { "null", SEED_ERROR_FORMAT }, { "[1]", SEED_ERROR_FORMAT } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    guint64 value;
    SeedJson json;

    g_test_message ("%s", cases[i].text);
    seed_json_init (&json, "F", cases[i].text, strlen (cases[i].text), 0);
    g_assert_false (seed_json_read_uint (&json, 100, &value));
    g_assert_false (seed_json_finish (&json, &error));
    g_assert_error (error, SEED_ERROR, (int) cases[i].code);
  }
}

static void
test_number_overflow (void)
{
  g_autoptr (GError) error = NULL;
  double value;
  SeedJson json;

  seed_json_init (&json, "F", "1e999", 5, 0);
  g_assert_false (seed_json_read_number (&json, &value));
  g_assert_false (seed_json_finish (&json, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

/* After an error nothing moves, and the first message is the one that is kept. */
static void
test_first_error_sticks (void)
{
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  guint64 value;
  SeedJson json;

  seed_json_init (&json, "F", "[x]", 3, 100);
  json.kind = "tensor";
  json.subject = "a\"b";
  g_assert_true (seed_json_open (&json, '['));
  g_assert_true (seed_json_next_element (&json));
  g_assert_false (seed_json_read_uint (&json, 9, &value));
  g_assert_false (seed_json_next_element (&json));
  g_assert_false (seed_json_open (&json, '{'));
  g_assert_false (seed_json_next_member (&json, key, 9));
  g_assert_false (seed_json_end (&json));
  g_assert_false (seed_json_finish (&json, &error));
  g_assert_cmpstr (
      error->message, ==, "F: byte 101: tensor \"a\\\"b\": expected a number, found 'x'");
}

static void
test_string_limit (void)
{
  g_autoptr (GString) value = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  SeedJson json;

  seed_json_init (&json, "F", "\"12345\"", 7, 0);
  g_assert_false (seed_json_read_string (&json, value, 4));
  g_assert_false (seed_json_finish (&json, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

static void
test_writes (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *odd = g_strnfill (SEED_JSON_MAX_SHOWN - 1, 'a');
  g_autofree char *longer = g_strconcat (odd, "\xc3\xa9\xc3\xa9", NULL);
  g_autofree char *expected = g_strconcat ("\"", odd, "\"...", NULL);
  g_autofree char *shown = seed_json_show (longer);

  seed_json_append_quoted (out, "a\"\\/\n\x01\xc3\xa9");
  g_assert_cmpstr (out->str, ==, "\"a\\\"\\\\/\\n\\u0001\xc3\xa9\"");
  g_assert_cmpstr (shown, ==, expected);
  g_assert_true (g_utf8_validate (shown, -1, NULL));

  g_string_truncate (out, 0);
  seed_json_append_float (out, 0.485f);
  g_string_append_c (out, ' ');
  seed_json_append_double (out, 1e-12);
  g_string_append_c (out, ' ');
  seed_json_append_double (out, 1.0 / 255.0);
  g_assert_cmpstr (out->str, ==, "0.485 1e-12 0.00392156862745098");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/json/accepts", test_accepts);
  g_test_add_func ("/json/refuses", test_refuses);
  g_test_add_func ("/json/nul-in-text", test_nul_in_text);
  g_test_add_func ("/json/limits", test_limits);
  g_test_add_func ("/json/reads-values", test_reads_values);
  g_test_add_func ("/json/wrong-types", test_wrong_types);
  g_test_add_func ("/json/number-overflow", test_number_overflow);
  g_test_add_func ("/json/first-error-sticks", test_first_error_sticks);
  g_test_add_func ("/json/string-limit", test_string_limit);
  g_test_add_func ("/json/writes", test_writes);
  return g_test_run ();
}

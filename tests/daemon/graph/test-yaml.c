/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "graph/yaml.h"

/* Parses @text; its errors without the file's name are @expected. */
static SeedYaml *
parse (const char *text, gssize length, const char *expected)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("f");
  SeedYaml *yaml = seed_yaml_parse (text, length < 0 ? strlen (text) : (gsize) length, diagnostics);
  g_autofree char *errors = seed_diagnostics_to_string (diagnostics);

  g_assert_cmpstr (errors, ==, expected);
  return yaml;
}

static void
assert_mark (const SeedYaml *yaml, guint line, guint column)
{
  g_assert_cmpuint (yaml->mark.line, ==, line);
  g_assert_cmpuint (yaml->mark.column, ==, column);
}

static void
test_positions (void)
{
  g_autoptr (SeedYaml) root =
      parse ("größe: 1\nlist: [ä, 'b c', \"d\\te\"]\nmap:\n  - x: ~\n", -1, "");
  SeedYaml *list;

  g_assert_cmpuint (seed_yaml_length (root), ==, 3);
  assert_mark (seed_yaml_value (root, 0), 1, 8);
  list = seed_yaml_lookup (root, "list", NULL);
  g_assert_cmpint (list->kind, ==, SEED_YAML_SEQUENCE);
  assert_mark (list, 2, 7);
  assert_mark (seed_yaml_item (list, 1), 2, 11);
  g_assert_cmpstr (seed_yaml_item (list, 1)->text, ==, "b c");
  g_assert_cmpstr (seed_yaml_item (list, 2)->text, ==, "d\te");
  g_assert_true (seed_yaml_item (list, 2)->quoted);
  list = seed_yaml_lookup (root, "map", NULL);
  assert_mark (seed_yaml_item (list, 0), 4, 5);
  g_assert_true (seed_yaml_is_null (seed_yaml_value (seed_yaml_item (list, 0), 0)));
}

static void
test_keys_keep_order (void)
{
  g_autoptr (SeedYaml) root = parse ("z: 1\na: 2\nm: 3\n", -1, "");

  g_assert_cmpstr (seed_yaml_key (root, 0)->text, ==, "z");
  g_assert_cmpstr (seed_yaml_key (root, 1)->text, ==, "a");
  g_assert_cmpstr (seed_yaml_key (root, 2)->text, ==, "m");
}

static void
test_aliases_are_copies (void)
{
  g_autoptr (SeedYaml) root = parse ("a: &x {k: [1, 2]}\nb: *x\na: &y 7\nc: *y\n", -1,
      "f:3:1: error: duplicate key 'a' (first at 1:1)\n");
  SeedYaml *a = seed_yaml_lookup (root, "a", NULL), *b = seed_yaml_lookup (root, "b", NULL);

  g_assert_cmpuint (seed_yaml_length (root), ==, 3);
  g_assert_true (a != b);
  g_assert_cmpuint (b->n_nodes, ==, a->n_nodes);
  assert_mark (seed_yaml_key (b, 0), 1, 8);
  /* the anchor of a refused key is still an anchor */
  g_assert_cmpstr (seed_yaml_lookup (root, "c", NULL)->text, ==, "7");
}

static const struct {
  const char *name, *text, *errors;
} refused[] = {
  { "empty", "",
      "f:1:1: error: the file is empty; expected a mapping with version, graph and nodes\n" },
  { "comment", "# only\n",
      "f:1:1: error: the file is empty; expected a mapping with version, graph and nodes\n" },
  { "tabs", "a: 1\n\tb: 2\nc:\t3\n",
      "f:2:1: error: tab character; use spaces\nf:3:3: error: tab character; use spaces\n" },
  { "documents", "a: 1\n---\nb: 2\n",
      "f:2:1: error: a second document begins here; one graph a file\n" },
  { "latin1", "a: 1\nb: caf\xe9\n", "f:2:7: error: byte 0xe9 is not UTF-8 text\n" },
  { "control", "a: 1\nb: x\x01\n", "f:2:5: error: control character U+0001 in the text\n" },
  { "unknown-alias", "a: *b\n", "f:1:4: error: alias 'b' has no anchor before it\n" },
  { "self-alias", "a: &a [*a]\n", "f:1:8: error: alias 'a' stands inside its own anchor\n" },
  { "syntax", "a: [1, 2\nb: 3\n",
      "f:2:2: error: did not find expected ',' or ']' (while parsing a flow sequence that begins "
      "at line 1)\n" },
  { "escaped-nul", "a: \"x\\0y\"\n", "f:1:4: error: NUL character in a value\n" },
};

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (SeedYaml) root = parse (refused[i].text, -1, refused[i].errors);

  g_assert_null (root);
}

/* Left out, and the rest goes on: all errors of a file are found at once. */
static void
test_left_out (void)
{
  g_autoptr (SeedYaml) root =
      parse ("a: 1\na: 2\n? [x]\n: 3\n<<: {b: 1}\nc: !!str 4\n\"<<\": 5\n", -1,
          "f:2:1: error: duplicate key 'a' (first at 1:1)\n"
          "f:3:3: error: a key must be a name, found a list\n"
          "f:5:1: error: merge keys ('<<') are not part of graph files; write the keys out\n"
          "f:6:4: error: tag 'tag:yaml.org,2002:str': graph files have no tags; remove it\n");

  g_assert_cmpuint (seed_yaml_length (root), ==, 3);
  g_assert_cmpstr (seed_yaml_lookup (root, "a", NULL)->text, ==, "1");
}

static void
test_nul_byte (void)
{
  g_autoptr (SeedYaml) root = parse ("a: \0b\n", 6, "f:1:4: error: byte 0x00 is not UTF-8 text\n");

  g_assert_null (root);
}

static void
test_alias_depth (void)
{
  g_autoptr (GString) text = g_string_new ("a0: &a0 1\n");
  g_autoptr (SeedYaml) good = NULL, bad = NULL;

  for (guint i = 1; i <= SEED_YAML_MAX_ALIAS_DEPTH; i++)
    g_string_append_printf (text, "a%u: &a%u [*a%u]\n", i, i, i - 1);
  good = parse (text->str, -1, "");
  g_assert_nonnull (good);
  g_string_append (text, "end: *a16\n");
  bad = parse (text->str, -1, "f:18:6: error: alias 'a16': aliases are nested deeper than 16\n");
  g_assert_null (bad);
}

/* Nine lines that would be ten to the eighth values. */
static void
test_expansion_bomb (void)
{
  g_autoptr (GString) text = g_string_new ("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
  g_autoptr (SeedYaml) root = NULL;

  for (guint i = 1; i < 9; i++) {
    g_string_append_printf (text, "a%u: &a%u [", i, i);
    for (guint j = 0; j < 10; j++)
      g_string_append_printf (text, "%s*a%u", j ? ", " : "", i - 1);
    g_string_append (text, "]\n");
  }
  root = parse (text->str, -1,
      "f:5:30: error: more than 65536 values after expansion of aliases; this is no graph\n");
  g_assert_null (root);
}

static void
test_depth (void)
{
  g_autofree char *open = g_strnfill (500000, '[');
  g_autoptr (SeedYaml) root = parse (open, -1, "f:1:33: error: nested deeper than 32 levels\n");

  g_assert_null (root);
}

static void
test_size (void)
{
  g_autofree char *text = g_strnfill (SEED_YAML_MAX_BYTES + 1, ' ');
  g_autoptr (SeedYaml) root =
      parse (text, -1, "f:1:1: error: the file is larger than 1048576 bytes; this is no graph\n");

  g_assert_null (root);
}

/* A file of nothing but mistakes makes a list that ends. */
static void
test_errors_are_limited (void)
{
  g_autoptr (GString) text = g_string_new ("a: 1\n");
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("f");
  g_autoptr (SeedYaml) root = NULL;
  g_autofree char *errors = NULL;

  for (guint i = 0; i < 1000; i++)
    g_string_append (text, "a: 1\n");
  root = seed_yaml_parse (text->str, text->len, diagnostics);
  g_assert_cmpuint (seed_diagnostics_count (diagnostics), ==, 1000);
  errors = seed_diagnostics_to_string (diagnostics);
  g_assert_true (g_str_has_suffix (errors, "f: 800 more errors are not shown\n"));
}

static void
test_nearest (void)
{
  const char *names[] = { "strategy", "stream", "streams", "batch", "a", NULL };

  g_assert_cmpstr (seed_nearest_name ("startegy", names), ==, "strategy"); /* one swap */
  g_assert_cmpstr (seed_nearest_name ("stategy", names), ==, "strategy");
  g_assert_cmpstr (seed_nearest_name ("streem", names), ==, "stream");
  g_assert_cmpstr (seed_nearest_name ("bach", names), ==, "batch");
  g_assert_null (seed_nearest_name ("b", names));
  g_assert_null (seed_nearest_name ("teacher", names));
  g_assert_null (seed_nearest_name ("", names));
}

static void
test_quote (void)
{
  g_autofree char *plain = seed_quote ("a\nb\x1b[0m"), *text = g_strnfill (200, 'x');
  g_autofree char *cut = seed_quote (text);

  g_assert_cmpstr (plain, ==, "'a\\u000ab\\u001b[0m'");
  g_assert_cmpuint (strlen (cut), ==, 80 + 2 + strlen ("…"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/yaml/positions", test_positions);
  g_test_add_func ("/yaml/order", test_keys_keep_order);
  g_test_add_func ("/yaml/aliases", test_aliases_are_copies);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strconcat ("/yaml/refused/", refused[i].name, NULL);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
  }
  g_test_add_func ("/yaml/refused/nul", test_nul_byte);
  g_test_add_func ("/yaml/left-out", test_left_out);
  g_test_add_func ("/yaml/limits/alias-depth", test_alias_depth);
  g_test_add_func ("/yaml/limits/bomb", test_expansion_bomb);
  g_test_add_func ("/yaml/limits/depth", test_depth);
  g_test_add_func ("/yaml/limits/size", test_size);
  g_test_add_func ("/yaml/limits/errors", test_errors_are_limited);
  g_test_add_func ("/diagnostics/nearest", test_nearest);
  g_test_add_func ("/diagnostics/quote", test_quote);
  return g_test_run ();
}

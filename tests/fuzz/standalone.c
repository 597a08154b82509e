/* SPDX-License-Identifier: MIT */

/*
 * Runs a fuzz target over files instead of a fuzzer's inventions: every file named on the command
 * line and every file of every folder named there, in the order of their names. One TAP line each;
 * an input that breaks the target ends the program. With "--mutate N" before them N inputs are made
 * of the files instead, the same ones each time: one TAP line, and memory must not grow by them.
 */
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <malloc.h>

#include "fuzz.h"

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

static void
collect (GPtrArray *paths, const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  guint first = paths->len;
  const char *name;

  if (!folder) {
    g_ptr_array_add (paths, g_strdup (path));
    return;
  }
  while ((name = g_dir_read_name (folder)))
    g_ptr_array_add (paths, g_build_filename (path, name, NULL));
  qsort (paths->pdata + first, paths->len - first, sizeof *paths->pdata, compare_names);
}

static gboolean
run (const char *path)
{
  g_autofree char *contents = NULL;
  g_autofree char *exact = NULL;
  gsize length;

  if (!g_file_get_contents (path, &contents, &length, NULL))
    return FALSE;
  exact = g_memdup2 (contents, length); /* no NUL after it: a read past the end is past the block */
  return LLVMFuzzerTestOneInput ((const guint8 *) exact, length) == 0;
}

/* ---- mutation ---- */

#define MAX_CHANGES 6
#define MAX_GROWTH (4 << 20) /* bytes */

static GByteArray *
read_bytes (const char *path)
{
  g_autofree char *contents = NULL;
  gsize length = 0;
  GByteArray *bytes = g_byte_array_new ();

  if (g_file_get_contents (path, &contents, &length, NULL))
    g_byte_array_append (bytes, (const guint8 *) contents, (guint) length);
  return bytes;
}

/* A byte changed, some removed, some of the file itself or of what files are made of put in. */
static void
change_once (GRand *random, GByteArray *bytes)
{
  static const char *const pieces[] = { "\n", " ", "- ", ": ", "{", "}", "[", "]", "\"", "&a ",
    "*a", "!!str ", "${", "null", "-1", "1e999", "18446744073709551616", "\xff" };
  guint at = bytes->len ? (guint) g_rand_int_range (random, 0, (gint32) bytes->len) : 0;
  guint rest = bytes->len - at, n = (guint) g_rand_int_range (random, 1, 16);
  const char *piece = pieces[g_rand_int_range (random, 0, G_N_ELEMENTS (pieces))];
  GByteArray *tail;

  switch (g_rand_int_range (random, 0, 4)) {
  case 0:
    if (rest)
      bytes->data[at] = (guint8) g_rand_int_range (random, 0, 256);
    return;
  case 1:
    g_byte_array_remove_range (bytes, at, MIN (n, rest));
    return;
  case 2:
    tail = g_byte_array_append (g_byte_array_new (), bytes->data + at, MIN (n, rest));
    g_byte_array_append (bytes, tail->data, tail->len);
    break;
  default:
    tail = g_byte_array_append (g_byte_array_new (), bytes->data + at, rest);
    g_byte_array_set_size (bytes, at);
    g_byte_array_append (bytes, (const guint8 *) piece, (guint) strlen (piece));
    g_byte_array_append (bytes, tail->data, tail->len);
  }
  g_byte_array_unref (tail);
}

static void
run_mutated (GRand *random, const GByteArray *seed)
{
  GByteArray *bytes = g_byte_array_append (g_byte_array_new (), seed->data, seed->len);
  g_autofree guint8 *exact = NULL;

  for (int n = g_rand_int_range (random, 1, MAX_CHANGES + 1); n > 0; n--)
    change_once (random, bytes);
  exact = g_malloc (MAX (bytes->len, 1)); /* also of nothing there is an address */
  if (bytes->len)
    memcpy (exact, bytes->data, bytes->len);
  LLVMFuzzerTestOneInput (exact, bytes->len);
  g_byte_array_unref (bytes);
}

static gboolean
mutate (const GPtrArray *paths, guint n)
{
  g_autoptr (GPtrArray) seeds =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  gssize before = 0, grown;

  for (guint i = 0; i < paths->len; i++)
    g_ptr_array_add (seeds, read_bytes (paths->pdata[i]));
  for (guint i = 0; i < n; i++) {
    if (i == n / 10)
      before = (gssize) mallinfo2 ().uordblks;
    run_mutated (random, seeds->pdata[i % seeds->len]);
  }
  grown = (gssize) mallinfo2 ().uordblks - before;
  g_print ("# %u inputs, %+" G_GSSIZE_FORMAT " bytes\n", n, grown);
  return grown < MAX_GROWTH;
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  guint mutated = argc > 3 && strcmp (argv[1], "--mutate") == 0 ? (guint) atoi (argv[2]) : 0;
  gboolean ok = TRUE;

  for (int i = mutated ? 3 : 1; i < argc; i++)
    collect (paths, argv[i]);
  if (paths->len == 0) {
    g_print ("Bail out! no inputs\n");
    return 1;
  }
  if (mutated) {
    ok = mutate (paths, mutated);
    g_print ("1..1\n%s 1 - mutated\n", ok ? "ok" : "not ok");
    return ok ? 0 : 1;
  }
  g_print ("1..%u\n", paths->len);
  for (guint i = 0; i < paths->len; i++) {
    const char *path = paths->pdata[i];
    gboolean passed = run (path);
    g_autofree char *name = g_path_get_basename (path);

    g_print ("%s %u - %s\n", passed ? "ok" : "not ok", i + 1, name);
    ok &= passed;
  }
  return ok ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */

/*
 * Runs a fuzz target over files instead of a fuzzer's inventions: every file named on the command
 * line and every file of every folder named there, in the order of their names. One TAP line each;
 * an input that breaks the target ends the program.
 */
#include <glib.h>

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

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = TRUE;

  for (int i = 1; i < argc; i++)
    collect (paths, argv[i]);
  if (paths->len == 0) {
    g_print ("Bail out! no inputs\n");
    return 1;
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

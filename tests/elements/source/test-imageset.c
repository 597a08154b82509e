/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>
#include <seed/error.h>

#include "source/imagefile.h"
#include "source/imageorder.h"
#include "source/imageset.h"

#define IMAGES SEED_TEST_DATA "/images"

typedef struct {
  char *root;
} Tree;

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (g_file_test (path, G_FILE_TEST_IS_SYMLINK) || !g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_unlink (path);
    return;
  }
  g_chmod (path, 0700);
  dir = g_dir_open (path, 0, NULL);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *below = g_build_filename (path, name, NULL);

    remove_tree (below);
  }
  g_rmdir (path);
}

static void
set_up (Tree *tree, gconstpointer unused)
{
  tree->root = g_dir_make_tmp ("seed-images-XXXXXX", NULL);
  g_assert_nonnull (tree->root);
}

static void
tear_down (Tree *tree, gconstpointer unused)
{
  remove_tree (tree->root);
  g_free (tree->root);
}

static void
put (Tree *tree, const char *path, const char *text)
{
  g_autofree char *full = g_build_filename (tree->root, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents (full, text, -1, NULL));
}

static void
put_link (Tree *tree, const char *path, const char *target)
{
  g_autofree char *full = g_build_filename (tree->root, path, NULL);

  g_assert_cmpint (symlink (target, full), ==, 0);
}

static SeedImageSet *
open_set (Tree *tree, const char *path)
{
  g_autofree char *location = g_build_filename (tree->root, path, NULL);
  g_autoptr (GError) error = NULL;
  SeedImageSet *set = seed_image_set_open (location, NULL, NULL, &error);

  g_assert_no_error (error);
  return set;
}

static void
assert_image (Tree *tree, SeedImageSet *set, guint image, const char *path, gint32 label)
{
  g_autofree char *full = g_build_filename (tree->root, path, NULL);
  g_autofree char *its = seed_image_set_dup_name (set, image);

  if (g_utf8_validate (full, -1, NULL))
    g_assert_cmpstr (its, ==, full);
  g_assert_cmpstr (seed_image_set_get_path (set, image), ==, path);
  g_assert_cmpint (seed_image_set_get_label (set, image), ==, label);
}

/* --- folders ---------------------------------------------------------------------------------- */

static void
test_photographs (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedImageSet) set = seed_image_set_open (IMAGES, NULL, NULL, &error);
  static const char *const classes[] = { "dress", "hat", "longsleeve", "outwear", "pants", "shirt",
    "shoes", "t-shirt", NULL };

  g_assert_no_error (error);
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 96);
  g_assert_cmpstrv (seed_image_set_get_classes (set), classes);
  for (guint i = 0; i < 96; i++)
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, (gint32) i / 12);
  g_assert_cmpuint (seed_image_set_n_ignored (set), ==, 1); /* the licence */
}

static void
test_tree (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;
  static const char *const classes[] = { "a", "b", "empty", NULL };

  put (tree, "b/2.PNG", "x");
  put (tree, "b/deep/er/1.jpeg", "x");
  put (tree, "b/.hidden.jpg", "x");
  put (tree, "a/z.jpg", "x");
  put (tree, "a/notes.txt", "x");
  put (tree, "empty/notes.txt", "x");
  put (tree, ".git/1.jpg", "x");
  put (tree, "top.gif", "x");
  set = open_set (tree, "");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 4);
  assert_image (tree, set, 0, "a/z.jpg", 0);
  assert_image (tree, set, 1, "b/2.PNG", 1);
  assert_image (tree, set, 2, "b/deep/er/1.jpeg", 1);
  assert_image (tree, set, 3, "top.gif", -1);
  g_assert_cmpstrv (seed_image_set_get_classes (set), classes);
  g_assert_cmpuint (seed_image_set_n_ignored (set), ==, 2);
}

static void
test_no_labels (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;

  put (tree, "a/1.jpg", "x");
  set = seed_image_set_open (tree->root, "none", NULL, NULL);
  g_assert_nonnull (set);
  assert_image (tree, set, 0, "a/1.jpg", -1);
  g_assert_null (seed_image_set_get_classes (set)[0]);
}

/* Loops end, and no folder is read twice; what was left out is said. */
static void
test_links (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;

  put (tree, "a/1.jpg", "x");
  put_link (tree, "a/up", "..");
  put_link (tree, "a/self", ".");
  put_link (tree, "again", "a");
  put_link (tree, "a/dangling.jpg", "nowhere");
  put_link (tree, "a/link.jpg", "1.jpg");
  set = open_set (tree, "");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 3);
  assert_image (tree, set, 0, "a/1.jpg", 0);
  assert_image (tree, set, 1, "a/dangling.jpg", 0);
  assert_image (tree, set, 2, "a/link.jpg", 0);
  g_assert_cmpuint (g_strv_length ((char **) seed_image_set_get_problems (set)), ==, 3);
}

static void
test_unreadable (Tree *tree, gconstpointer unused)
{
  g_autofree char *closed = g_build_filename (tree->root, "closed", NULL);
  g_autoptr (SeedImageSet) set = NULL;

  put (tree, "closed/1.jpg", "x");
  put (tree, "open/1.jpg", "x");
  g_assert_cmpint (g_chmod (closed, 0), ==, 0);
  if (g_access (closed, R_OK) == 0) {
    g_test_skip ("this user may read everything");
    return;
  }
  set = open_set (tree, "");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 1);
  assert_image (tree, set, 0, "open/1.jpg", 1);
  g_assert_nonnull (strstr (seed_image_set_get_problems (set)[0], "closed"));
}

static void
test_odd_names (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;

  put (tree, "caf\xc3\xa9/new\nline.jpg", "x");
  put (tree, "latin-\xe9/\xff\xfe.jpg", "x");
  put (tree, "spa ce/a,b\\c.jpg", "x");
  set = open_set (tree, "");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 3);
  assert_image (tree, set, 0, "caf\xc3\xa9/new\nline.jpg", 0);
  assert_image (tree, set, 1, "latin-\xe9/\xff\xfe.jpg", 1);
  assert_image (tree, set, 2, "spa ce/a,b\\c.jpg", 2);
  for (guint i = 0; i < 3; i++)
    g_assert_true (g_utf8_validate (seed_image_set_get_classes (set)[i], -1, NULL));
}

static void
test_depth (Tree *tree, gconstpointer unused)
{
  g_autoptr (GString) path = g_string_new (NULL);
  g_autoptr (SeedImageSet) set = NULL;

  for (guint i = 0; i < SEED_IMAGE_SET_MAX_DEPTH; i++)
    g_string_append (path, "d/");
  g_string_append (path, "1.jpg");
  put (tree, path->str, "x");
  g_string_prepend (path, "d/");
  put (tree, path->str, "x");
  set = open_set (tree, "");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 1);
  g_assert_nonnull (strstr (seed_image_set_get_problems (set)[0], "deep"));
}

static void
assert_refused (const char *location, SeedErrorCode code, const char *says)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_image_set_open (location, NULL, NULL, &error));
  g_assert_error (error, SEED_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, location));
  if (!strstr (error->message, says))
    g_error ("\"%s\" does not say \"%s\"", error->message, says);
}

static void
test_refuses (Tree *tree, gconstpointer unused)
{
  g_autofree char *missing = g_build_filename (tree->root, "missing", NULL);
  g_autofree char *list = g_build_filename (tree->root, "list", NULL);
  g_autofree char *fifo = g_build_filename (tree->root, "fifo", NULL);

  assert_refused (missing, SEED_ERROR_IO, "No such file");
  assert_refused (tree->root, SEED_ERROR_NOT_FOUND, "no image");
  put (tree, "list", "\n\n");
  assert_refused (list, SEED_ERROR_NOT_FOUND, "empty");
  g_assert_true (g_file_set_contents (list, "a\0b", 3, NULL));
  assert_refused (list, SEED_ERROR_FORMAT, "NUL");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  assert_refused (fifo, SEED_ERROR_UNSUPPORTED, "neither a folder nor a file");
}

/* --- lists ------------------------------------------------------------------------------------ */

static void
test_list_of_names (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;
  static const char *const classes[] = { "cat", "dog", NULL };

  put (tree, "list.csv", "x/1.jpg,dog\r\nx/2.jpg,cat\n\n/abs/3.jpg,dog\nx/4.jpg\na,b.jpg,\n");
  set = open_set (tree, "list.csv");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 5);
  assert_image (tree, set, 0, "x/1.jpg", 1);
  assert_image (tree, set, 1, "x/2.jpg", 0);
  assert_image (tree, set, 3, "x/4.jpg", -1);
  assert_image (tree, set, 4, "a,b.jpg", -1);
  g_assert_cmpint (seed_image_set_get_label (set, 2), ==, 1);
  g_assert_cmpstrv (seed_image_set_get_classes (set), classes);
}

static void
test_list_of_numbers (Tree *tree, gconstpointer unused)
{
  g_autoptr (SeedImageSet) set = NULL;

  put (tree, "list.csv", "1.jpg,10\n2.jpg,2\n3.jpg");
  set = open_set (tree, "list.csv");
  assert_image (tree, set, 0, "1.jpg", 10);
  assert_image (tree, set, 1, "2.jpg", 2);
  assert_image (tree, set, 2, "3.jpg", -1);
  g_assert_null (seed_image_set_get_classes (set)[0]);
}

static void
test_list_without_path (Tree *tree, gconstpointer unused)
{
  g_autofree char *list = g_build_filename (tree->root, "list", NULL);
  g_autoptr (GError) error = NULL;

  put (tree, "list", "1.jpg\n,dog\n");
  g_assert_null (seed_image_set_open (list, NULL, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "list:2: "));
}

/* --- order ------------------------------------------------------------------------------------ */

static void
assert_permutation (const guint32 *order, guint n)
{
  g_autofree gboolean *seen = g_new0 (gboolean, n);

  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (order[i], <, n);
    g_assert_false (seen[order[i]]);
    seen[order[i]] = TRUE;
  }
}

static void
test_order (void)
{
  guint32 a[1000], b[1000], c[1000], d[1000], plain[1000];

  seed_image_order (a, 1000, TRUE, 7, 3);
  seed_image_order (b, 1000, TRUE, 7, 3);
  seed_image_order (c, 1000, TRUE, 8, 3);
  seed_image_order (d, 1000, TRUE, 7, 4);
  seed_image_order (plain, 1000, FALSE, 7, 3);
  assert_permutation (a, 1000);
  assert_permutation (c, 1000);
  g_assert_cmpmem (a, sizeof a, b, sizeof b);
  g_assert_true (memcmp (a, c, sizeof a) != 0);
  g_assert_true (memcmp (a, d, sizeof a) != 0);
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpuint (plain[i], ==, i);
}

/* All six orders of three images, about equally often. */
static void
test_order_is_fair (void)
{
  guint counts[27] = { 0 };
  const guint n = 60000;

  for (guint i = 0; i < n; i++) {
    guint32 order[3];

    seed_image_order (order, 3, TRUE, 1, i);
    counts[order[0] * 9 + order[1] * 3 + order[2]]++;
  }
  for (guint i = 0; i < 27; i++) {
    guint x = i / 9, y = i / 3 % 3, z = i % 3;

    if (x == y || y == z || x == z)
      g_assert_cmpuint (counts[i], ==, 0);
    else
      g_assert_cmpfloat (ABS ((double) counts[i] - n / 6.0), <, 5 * 92); /* sigma is 91.3 */
  }
}

static void
test_cursor (void)
{
  SeedImageCursor cursor, later;
  guint images[15], image;

  seed_image_cursor_init (&cursor, 5, 3, TRUE, 42);
  for (guint i = 0; i < 15; i++) {
    g_assert_cmpuint (cursor.epoch, ==, i / 5);
    g_assert_cmpuint (cursor.index, ==, i % 5);
    g_assert_true (seed_image_cursor_next (&cursor, &images[i]));
  }
  g_assert_false (seed_image_cursor_next (&cursor, &image));
  g_assert_false (seed_image_cursor_next (&cursor, &image));

  /* from any place, the same images follow */
  for (guint start = 0; start < 15; start++) {
    seed_image_cursor_init (&later, 5, 3, TRUE, 42);
    seed_image_cursor_seek_to (&later, start);
    for (guint i = start; i < 15; i++) {
      g_assert_true (seed_image_cursor_next (&later, &image));
      g_assert_cmpuint (image, ==, images[i]);
    }
    g_assert_false (seed_image_cursor_next (&later, &image));
    seed_image_cursor_clear (&later);
  }
  seed_image_cursor_clear (&cursor);

  seed_image_cursor_init (&cursor, 1, 0, TRUE, 0);
  for (guint i = 0; i < 100; i++)
    g_assert_true (seed_image_cursor_next (&cursor, &image));
  g_assert_cmpuint (cursor.epoch, ==, 100);
  seed_image_cursor_clear (&cursor);
}

/* --- files ------------------------------------------------------------------------------------ */

static void
test_jpeg_is_whole (void)
{
  g_autofree char *data = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (IMAGES "/hat/00.jpg", &data, &size, NULL));
  g_assert_true (seed_jpeg_is_whole ((const guint8 *) data, size));
  for (gsize cut = 0; cut < size; cut += cut < 1000 ? 1 : 97) {
    g_autofree guint8 *part = g_memdup2 (data, cut); /* its own block: reads past it are seen */

    g_assert_false (seed_jpeg_is_whole (part, cut));
  }
  g_assert_false (seed_jpeg_is_whole ((const guint8 *) data, size - 1));
}

static void
test_file_errors (Tree *tree, gconstpointer unused)
{
  static const struct {
    const char *name, *text, *says;
    SeedErrorCode code;
  } cases[] = {
    { "zero.jpg", "", "empty", SEED_ERROR_FORMAT },
    { "cut.jpg", "\xff\xd8\xff\xe0", "cut short", SEED_ERROR_FORMAT },
    { "missing.jpg", NULL, "No such file", SEED_ERROR_IO },
  };
  g_autofree char *fifo = g_build_filename (tree->root, "fifo.jpg", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_build_filename (tree->root, cases[i].name, NULL);
    g_autoptr (GError) error = NULL;

    if (cases[i].text)
      put (tree, cases[i].name, cases[i].text);
    g_assert_null (seed_image_file_read (path, &error));
    g_assert_error (error, SEED_ERROR, (int) cases[i].code);
    g_assert_nonnull (strstr (error->message, path));
    g_assert_nonnull (strstr (error->message, cases[i].says));
  }
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_null (seed_image_file_read (fifo, NULL));
  g_assert_null (seed_image_file_read (tree->root, NULL));
}

#define ADD(path, test) g_test_add (path, Tree, NULL, set_up, test, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imageset/photographs", test_photographs);
  ADD ("/imageset/tree", test_tree);
  ADD ("/imageset/no-labels", test_no_labels);
  ADD ("/imageset/links", test_links);
  ADD ("/imageset/unreadable", test_unreadable);
  ADD ("/imageset/odd-names", test_odd_names);
  ADD ("/imageset/depth", test_depth);
  ADD ("/imageset/refuses", test_refuses);
  ADD ("/imageset/list-of-names", test_list_of_names);
  ADD ("/imageset/list-of-numbers", test_list_of_numbers);
  ADD ("/imageset/list-without-path", test_list_without_path);
  g_test_add_func ("/imageset/order", test_order);
  g_test_add_func ("/imageset/order-is-fair", test_order_is_fair);
  g_test_add_func ("/imageset/cursor", test_cursor);
  g_test_add_func ("/imagefile/jpeg-is-whole", test_jpeg_is_whole);
  ADD ("/imagefile/errors", test_file_errors);
  return g_test_run ();
}

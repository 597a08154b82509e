/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include <glib.h>
#include <seed/error.h>

#include "source/imageset.h"

/* The fixtures are made by generate-image-set-fixtures.py. */
#define SETS SEED_TEST_DATA "/imagesets/"
#define N_TREE 12

static SeedImageSet *
open_set (const char *name, const char *labels, const char *captions)
{
  g_autofree char *location = g_strconcat (SETS, name, NULL);
  g_autoptr (GError) error = NULL;
  SeedImageSet *set = seed_image_set_open (location, labels, captions, &error);

  g_assert_no_error (error);
  return set;
}

static gboolean
is_noted (const SeedImageSet *set, const char *what, const char *why)
{
  const char *const *problems = seed_image_set_get_problems (set);

  for (guint i = 0; problems[i]; i++) {
    if (strstr (problems[i], what) && strstr (problems[i], why))
      return TRUE;
  }
  return FALSE;
}

static void
assert_noted (const SeedImageSet *set, const char *what, const char *why)
{
  if (!is_noted (set, what, why))
    g_error ("nothing is said of %s with \"%s\"", what, why);
}

static void
assert_clean (const SeedImageSet *set)
{
  if (seed_image_set_get_problems (set)[0])
    g_error ("unexpected: %s", seed_image_set_get_problems (set)[0]);
}

static void
assert_refused (const char *name, const char *labels, const char *captions, SeedErrorCode code,
    const char *says)
{
  g_autofree char *location = g_strconcat (SETS, name, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedImageSet) set = seed_image_set_open (location, labels, captions, &error);

  g_assert_null (set);
  g_assert_error (error, SEED_ERROR, (int) code);
  if (!strstr (error->message, says))
    g_error ("\"%s\" does not say \"%s\"", error->message, says);
}

static void
assert_same_bytes (const SeedImageSet *a, guint i, const SeedImageSet *b, guint j)
{
  SeedImageCoding coding_a, coding_b;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) x = seed_image_set_read (a, i, &coding_a, &error);
  g_autoptr (GBytes) y = seed_image_set_read (b, j, &coding_b, error ? NULL : &error);

  g_assert_no_error (error);
  g_assert_cmpint (coding_a, ==, coding_b);
  g_assert_true (g_bytes_equal (x, y));
}

static void
assert_unreadable (const SeedImageSet *set, guint image, SeedErrorCode code, const char *says)
{
  SeedImageCoding coding;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = seed_image_set_dup_name (set, image);

  g_assert_null (seed_image_set_read (set, image, &coding, &error));
  g_assert_error (error, SEED_ERROR, (int) code);
  g_assert_true (g_str_has_prefix (error->message, name));
  if (!strstr (error->message, says))
    g_error ("\"%s\" does not say \"%s\"", error->message, says);
}

static guint
find (const SeedImageSet *set, const char *path)
{
  for (guint i = 0; i < seed_image_set_n_images (set); i++) {
    if (g_str_equal (seed_image_set_get_path (set, i), path))
      return i;
  }
  g_error ("no image is called %s", path);
}

/* --- tar -------------------------------------------------------------------------------------- */

/* An archive gives what the folder gives that it was made of, in the same order. */
static void
test_tar_is_folder (gconstpointer name)
{
  g_autoptr (SeedImageSet) folder = open_set ("tree", NULL, NULL),
                           set = open_set (name, NULL, NULL);

  assert_clean (set);
  g_assert_cmpuint (seed_image_set_n_images (set), ==, N_TREE);
  g_assert_cmpuint (seed_image_set_n_ignored (set), ==, 0);
  g_assert_cmpstrv (seed_image_set_get_classes (set), seed_image_set_get_classes (folder));
  for (guint i = 0; i < N_TREE; i++) {
    g_assert_true (
        g_str_has_suffix (seed_image_set_get_path (set, i), seed_image_set_get_path (folder, i)));
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, (gint32) i / 4);
    assert_same_bytes (set, i, folder, i);
  }
}

/* What is before the damage is good, and the damage is told. */
static void
test_cut_tar (gconstpointer name)
{
  g_autoptr (SeedImageSet) folder = open_set ("tree", NULL, NULL),
                           set = open_set (name, NULL, NULL);
  guint n = seed_image_set_n_images (set);

  assert_noted (set, name, "cut short");
  g_assert_cmpuint (n, >=, 2);
  g_assert_cmpuint (n, <=, N_TREE);
  for (guint i = 0; i < n; i++) {
    const char *path = seed_image_set_get_path (set, i) + strlen ("tree/");

    if (g_str_equal (path, "dog/0.png")) /* the last one in the archive */
      assert_unreadable (set, i, SEED_ERROR_FORMAT, "cut short within it");
    else if (g_str_has_suffix (name, ".tar"))
      assert_same_bytes (set, i, folder, find (folder, path));
  }
}

static void
test_damaged_tar (void)
{
  g_autoptr (SeedImageSet) set = open_set ("damaged.tar", NULL, NULL);

  assert_noted (set, "damaged.tar", "checksum is wrong");
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 5); /* dog 1 to 3, owl 0 and 1 */
}

static void
test_hostile_tar (void)
{
  static const char *const paths[] = { "x/a/first.png", "x/b/absolute.png", "x/b/dots.png",
    "x/b/empty.png", "x/b/hard.png", "x/b/last.png", "x/b/twice.png" };
  static const char *const refused[][2] = { { "../../etc/passwd.png", "leads out" },
    { "x/b/../../../up.png", "leads out" }, { "x/b/link.png", "symbolic" },
    { "x/b/nowhere.png", "link to nothing" }, { "x/b/fifo.png", "neither" },
    { "x/b/device.png", "neither" }, { "x/b/sparse.png", "sparse" },
    { "x/b/pax-sparse.png", "sparse" }, { "x/b/bad-pax.png", "header is damaged" },
    { "x/b/long.png", "name is too long" } };
  g_autoptr (SeedImageSet) tree = open_set ("tree", NULL, NULL),
                           set = open_set ("hostile.tar", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (set), ==, G_N_ELEMENTS (paths));
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_assert_cmpstr (seed_image_set_get_path (set, i), ==, paths[i]);
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, i == 0 ? 0 : 1);
  }
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    assert_noted (set, refused[i][0], refused[i][1]);
  g_assert_cmpuint (seed_image_set_n_ignored (set), ==, G_N_ELEMENTS (refused) + 1);
  assert_same_bytes (set, find (set, "x/b/hard.png"), set, find (set, "x/a/first.png"));
  assert_same_bytes (set, find (set, "x/b/twice.png"), tree, find (tree, "owl/1.png"));
  assert_unreadable (set, find (set, "x/b/empty.png"), SEED_ERROR_FORMAT, "empty");
}

static void
test_tar_sizes (void)
{
  g_autoptr (SeedImageSet) huge = open_set ("huge.tar", NULL, NULL);
  g_autoptr (SeedImageSet) overflow = open_set ("overflow.tar", NULL, NULL);

  assert_noted (huge, "x/b/huge.png", "larger than 256 MiB");
  assert_noted (huge, "huge.tar", "cut short");
  g_assert_cmpuint (seed_image_set_n_images (huge), ==, 1);
  assert_noted (overflow, "overflow.tar", "not a number below 2^62");
  g_assert_cmpuint (seed_image_set_n_images (overflow), ==, 1);
  assert_refused ("negative.tar", NULL, NULL, SEED_ERROR_FORMAT, "byte 0: the size");
}

/* "archive/path" is a folder or a member of the archive. */
static void
test_inside_tar (void)
{
  g_autoptr (SeedImageSet) dogs = open_set ("tree.tar/tree/dog", NULL, NULL);
  g_autoptr (SeedImageSet) one = open_set ("tree.tar.gz/tree/owl/3.png", NULL, NULL);
  g_autoptr (SeedImageSet) all = open_set ("tree.tar/tree/", NULL, NULL);
  g_autoptr (SeedImageSet) batch =
      open_set ("cifar10.tar.gz/cifar-10-batches-bin/test_batch.bin", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (dogs), ==, 4);
  g_assert_cmpstr (seed_image_set_get_path (dogs, 0), ==, "tree/dog/0.png");
  g_assert_cmpuint (seed_image_set_n_images (one), ==, 1);
  g_assert_cmpuint (seed_image_set_n_images (all), ==, N_TREE);
  g_assert_cmpint (seed_image_set_get_label (all, N_TREE - 1), ==, 2);
  g_assert_cmpuint (seed_image_set_n_images (batch), ==, 1);
  g_assert_cmpint (seed_image_set_get_label (batch, 0), ==, 5);
  assert_refused ("tree.tar/tre", NULL, NULL, SEED_ERROR_NOT_FOUND, "archive below tre");
  assert_refused ("list.csv/tree", NULL, NULL, SEED_ERROR_IO, "neither a folder nor a tar file");
}

static void
test_no_tar (void)
{
  g_autoptr (SeedImageSet) trailing = open_set ("trailing.tar.gz", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (trailing), ==, N_TREE);
  assert_refused ("empty.tar", NULL, NULL, SEED_ERROR_NOT_FOUND, "no image in this archive");
  assert_refused ("not-tar.gz", NULL, NULL, SEED_ERROR_FORMAT, "not a tar header");
}

static void
test_foreign_archives (void)
{
  static const struct {
    const char *magic, *says;
  } cases[] = { { "\x28\xb5\x2f\xfd----", "zstd" }, { "PK\3\4----", "zip" },
    { "BZh9----", "bzip2" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = NULL;
    g_autoptr (GError) error = NULL;
    int fd = g_file_open_tmp ("seed-XXXXXX", &path, &error);

    g_assert_no_error (error);
    close (fd);
    g_assert_true (g_file_set_contents (path, cases[i].magic, 8, NULL));
    g_assert_null (seed_image_set_open (path, NULL, NULL, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED);
    g_assert_nonnull (strstr (error->message, cases[i].says));
    unlink (path);
  }
}

/* --- CIFAR ------------------------------------------------------------------------------------ */

/* See the generator. */
static void
assert_planes (const SeedImageSet *set, guint image, guint seed)
{
  SeedImageCoding coding;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = seed_image_set_read (set, image, &coding, &error);
  const guint8 *data;
  gsize size;

  g_assert_no_error (error);
  g_assert_cmpint (coding, ==, SEED_IMAGE_PLANES);
  data = g_bytes_get_data (bytes, &size);
  g_assert_cmpuint (size, ==, 3072);
  for (guint c = 0; c < 3; c++)
    for (guint y = 0; y < 32; y++)
      for (guint x = 0; x < 32; x++)
        g_assert_cmpuint (data[(c * 32 + y) * 32 + x], ==, (seed + 3 * x + 5 * y + 50 * c) & 255);
}

/* The training batches, without the test batch, with the names beside them. */
static void
test_cifar10 (gconstpointer name)
{
  static const gint32 labels[] = { 0, 3, 6, 9, 2, 5, 9, 8, 7 };
  g_autoptr (SeedImageSet) set = open_set (name, NULL, NULL);

  assert_clean (set);
  g_assert_cmpuint (seed_image_set_n_images (set), ==, 9);
  g_assert_cmpuint (g_strv_length ((char **) seed_image_set_get_classes (set)), ==, 10);
  g_assert_cmpstr (seed_image_set_get_classes (set)[9], ==, "truck");
  for (guint i = 0; i < 9; i++) {
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, labels[i]);
    assert_planes (set, i, i);
  }
  g_assert_true (g_str_has_suffix (seed_image_set_get_path (set, 7), "data_batch_2.bin#1"));
}

static void
test_cifar_files (void)
{
  g_autoptr (SeedImageSet) test = open_set ("cifar10/test_batch.bin", NULL, NULL);
  g_autoptr (SeedImageSet) fine = open_set ("cifar100", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (test), ==, 1);
  g_assert_cmpint (seed_image_set_get_label (test, 0), ==, 5);
  g_assert_cmpstr (seed_image_set_get_classes (test)[5], ==, "dog");
  assert_planes (test, 0, 100);
  g_assert_cmpuint (seed_image_set_n_images (fine), ==, 5);
  for (guint i = 0; i < 5; i++) {
    g_assert_cmpint (seed_image_set_get_label (fine, i), ==, (gint32) (7 * i));
    assert_planes (fine, i, i);
  }
  g_assert_cmpstr (seed_image_set_get_classes (fine)[28], ==, "fine28");
}

static void
test_cifar_broken (void)
{
  g_autoptr (SeedImageSet) cut = open_set ("cut.bin", NULL, NULL);
  g_autoptr (SeedImageSet) bad = open_set ("bad-label.bin", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (cut), ==, 6);
  assert_planes (cut, 4, 4);
  assert_unreadable (cut, 5, SEED_ERROR_FORMAT, "cut short");
  g_assert_cmpuint (seed_image_set_n_images (bad), ==, 6);
  assert_unreadable (bad, 2, SEED_ERROR_FORMAT, "label is not below 10");
  assert_planes (bad, 3, 3);
  assert_refused ("noise.bin", NULL, NULL, SEED_ERROR_FORMAT, "not a CIFAR batch");
}

/* --- labels ----------------------------------------------------------------------------------- */

static void
test_lists (gconstpointer name)
{
  g_autoptr (SeedImageSet) set = open_set (name, NULL, NULL), tree = open_set ("tree", NULL, NULL);

  g_assert_cmpuint (seed_image_set_n_images (set), ==, N_TREE);
  g_assert_cmpstrv (seed_image_set_get_classes (set), seed_image_set_get_classes (tree));
  for (guint i = 0; i < N_TREE; i++) {
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, (gint32) i / 4);
    assert_same_bytes (set, i, tree, i);
  }
}

/* A file of class names decides which label a class has. */
static void
test_names_of_classes (gconstpointer location)
{
  static const char *const names[] = { "owl", "dog", "cat", NULL };
  g_autoptr (SeedImageSet) set = open_set (location, SETS "names.txt", NULL);

  g_assert_cmpstrv (seed_image_set_get_classes (set), names);
  for (guint i = 0; i < N_TREE; i++)
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, 2 - (gint32) i / 4);
}

static void
test_labels_by_path (gconstpointer location)
{
  static const char *const names[] = { "kind-0", "kind-1", NULL };
  g_autoptr (SeedImageSet) set = open_set (location, SETS "by-path.tsv", NULL);

  if (g_str_equal (location, "tree"))
    g_assert_cmpstrv (seed_image_set_get_classes (set), names);
  g_assert_cmpint (seed_image_set_get_label (set, 0), ==, -1); /* not in the file */
  for (guint i = 1; i < N_TREE; i++)
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, (gint32) i % 2);
}

static void
test_labels_by_column (void)
{
  g_autoptr (SeedImageSet) set = open_set ("tree.tar", SETS "column.txt", NULL);
  g_autoptr (SeedImageSet) none = open_set ("tree.tar", "none", NULL);

  for (guint i = 0; i < N_TREE; i++) {
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, (gint32) i % 2);
    g_assert_cmpint (seed_image_set_get_label (none, i), ==, -1);
  }
  g_assert_null (seed_image_set_get_classes (set)[0]);
  g_assert_null (seed_image_set_get_classes (none)[0]);
}

static void
test_labels_that_do_not_fit (void)
{
  assert_refused ("cifar10", SETS "names.txt", NULL, SEED_ERROR_MISMATCH, "3 lines are neither");
  assert_refused ("captioned/train", SETS "by-path.tsv", NULL, SEED_ERROR_NOT_FOUND,
      "by-path.tsv:1: \"cat/1.png\" is not an image of");
  assert_refused ("tree", SETS "cifar10/batches.meta.txt", NULL, SEED_ERROR_MISMATCH,
      "no line names the class \"owl\"");
  assert_refused ("tree", SETS "nothing.txt", NULL, SEED_ERROR_IO, "No such file");
}

/* --- captions --------------------------------------------------------------------------------- */

static void
assert_captions (const SeedImageSet *set, guint image, const char *const *expected)
{
  guint n;
  const char *const *captions = seed_image_set_get_captions (set, image, &n);

  g_assert_cmpuint (n, ==, g_strv_length ((char **) expected));
  for (guint i = 0; i < n; i++)
    g_assert_cmpstr (captions[i], ==, expected[i]);
}

/* Both the folder and the list may be the location. */
static void
test_numbered_captions (gconstpointer location)
{
  g_autoptr (SeedImageSet) set = open_set (location, NULL, SETS "captioned/train.tsv");
  gboolean is_list = g_str_has_suffix (location, ".tsv");

  assert_clean (set);
  g_assert_cmpuint (seed_image_set_n_images (set), ==, is_list ? 5 : 6);
  g_assert_cmpuint (seed_image_set_n_captioned (set), ==, 5);
  assert_captions (set, 0, (const char *[]){ "picture 0, line 0", NULL });
  assert_captions (set, 2,
      (const char *[]){ "picture 2, line 0", "picture 2, line 1", "picture 2, line 2", NULL });
  if (!is_list)
    assert_captions (set, 5, (const char *[]){ NULL });
  for (guint i = 0; i < seed_image_set_n_images (set); i++) {
    SeedImageCoding coding;
    g_autoptr (GBytes) bytes = seed_image_set_read (set, i, &coding, NULL);

    g_assert_nonnull (bytes);
    g_assert_cmpint (seed_image_set_get_label (set, i), ==, -1);
  }
}

static void
test_plain_captions (void)
{
  g_autoptr (SeedImageSet) plain = open_set ("captioned/train", NULL, SETS "captioned/plain.tsv");
  g_autoptr (SeedImageSet) flickr = open_set ("captioned/train", NULL, SETS "captioned/flickr.txt");
  g_autoptr (SeedImageSet) partly = open_set ("captioned/train", NULL, SETS "captioned/partly.tsv");
  g_autoptr (SeedImageSet) labelled = open_set ("tree", NULL, SETS "utf8.tsv");

  assert_captions (plain, 5, (const char *[]){ "only 5 \xc3\xa9", NULL });
  assert_captions (flickr, 3, (const char *[]){ "says 3.0", "says 3.1", NULL });
  assert_captions (partly, 0, (const char *[]){ "here", NULL });
  assert_noted (partly, "partly.tsv", "1 of 2 lines name no image of the set, the first on line 2");
  g_assert_cmpint (seed_image_set_get_label (labelled, 0), ==, 0);
  g_assert_cmpuint (seed_image_set_n_captioned (labelled), ==, 1);
}

static void
test_broken_captions (void)
{
  static const struct {
    const char *file, *says;
  } cases[] = {
    { SETS "broken-captions.tsv", "broken-captions.tsv:2: there is no tab" },
    { SETS "broken-utf8.tsv", "broken-utf8.tsv:2: the caption is not UTF-8" },
    { SETS "broken-empty.tsv", "broken-empty.tsv:1: the caption is empty" },
    { SETS "broken-columns.tsv", "broken-columns.tsv:1: more than" },
    { SETS "broken-missing.tsv", "broken-missing.tsv:1: the image is missing" },
    { SETS "broken-nul.tsv", "broken-nul.tsv: not a text file" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_refused ("tree", NULL, cases[i].file, SEED_ERROR_FORMAT, cases[i].says);
  assert_refused ("captioned/train.tsv", NULL, NULL, SEED_ERROR_FORMAT, "is named by captions");
}

/* --- real sets -------------------------------------------------------------------------------- */

static void
test_real (void)
{
  static const struct {
    const char *location, *labels, *captions;
    guint n_images, n_classes, n_captioned;
  } sets[] = {
    { "cifar10/test.tar.gz", "folders", NULL, 8000, 10, 0 },
    { "cifar10/test.tar.gz", "cifar10/classes.txt", NULL, 8000, 10, 0 },
    { "clothing10/train", "folders", NULL, 2835, 10, 0 },
    { "caltech101/train", "folders", NULL, 3375, 100, 0 },
    { "openclipart/train", "none", "openclipart/train.tsv", 1466, 0, 1466 },
    { "openclipart/test.tsv", "none", "openclipart/test.tsv", 240, 0, 240 },
    { "tuxpaint_stamps/train", "none", "tuxpaint_stamps/train.tsv", 506, 0, 506 },
    { "tuxpaint_stamps/train.tsv", "folders", "tuxpaint_stamps/train.tsv", 506, 0, 506 },
    { "flickr8k_1k/train.tsv", "folders", "flickr8k_1k/train.tsv", 730, 0, 730 },
    { "coco_captions_mini/test", "folders", "coco_captions_mini/test.tsv", 24, 0, 24 },
  };
  const char *data = g_getenv ("SEED_DATA");

  if (!data) {
    g_test_skip ("SEED_DATA does not name the folder of real sets");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    g_autofree char *location = g_build_filename (data, sets[i].location, NULL);
    g_autofree char *captions =
        sets[i].captions ? g_build_filename (data, sets[i].captions, NULL) : NULL;
    g_autofree char *labels = strchr (sets[i].labels, '/')
                                  ? g_build_filename (data, sets[i].labels, NULL)
                                  : g_strdup (sets[i].labels);
    g_autoptr (GError) error = NULL;
    g_autoptr (SeedImageSet) set = seed_image_set_open (location, labels, captions, &error);
    SeedImageCoding coding;

    g_assert_no_error (error);
    assert_clean (set);
    g_assert_cmpuint (seed_image_set_n_images (set), ==, sets[i].n_images);
    g_assert_cmpuint (
        g_strv_length ((char **) seed_image_set_get_classes (set)), ==, sets[i].n_classes);
    g_assert_cmpuint (seed_image_set_n_captioned (set), ==, sets[i].n_captioned);
    for (guint k = 0; k < sets[i].n_images; k += 97) {
      g_autoptr (GBytes) bytes = seed_image_set_read (set, k, &coding, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (g_bytes_get_size (bytes), >, 0);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/forms/tar", "tree.tar", test_tar_is_folder);
  g_test_add_data_func ("/forms/tar-gnu-names", "gnu.tar", test_tar_is_folder);
  g_test_add_data_func ("/forms/tar-pax-names", "pax.tar", test_tar_is_folder);
  g_test_add_data_func ("/forms/tar-gz", "tree.tar.gz", test_tar_is_folder);
  g_test_add_data_func ("/forms/tar-gz-members", "two-members.tar.gz", test_tar_is_folder);
  g_test_add_data_func ("/forms/tar-cut", "cut.tar", test_cut_tar);
  g_test_add_data_func ("/forms/tar-gz-cut", "cut.tar.gz", test_cut_tar);
  g_test_add_func ("/forms/tar-damaged", test_damaged_tar);
  g_test_add_func ("/forms/tar-hostile", test_hostile_tar);
  g_test_add_func ("/forms/tar-sizes", test_tar_sizes);
  g_test_add_func ("/forms/tar-inside", test_inside_tar);
  g_test_add_func ("/forms/tar-none", test_no_tar);
  g_test_add_func ("/forms/foreign-archives", test_foreign_archives);
  g_test_add_data_func ("/forms/cifar10-folder", "cifar10", test_cifar10);
  g_test_add_data_func ("/forms/cifar10-tar-gz", "cifar10.tar.gz", test_cifar10);
  g_test_add_func ("/forms/cifar-files", test_cifar_files);
  g_test_add_func ("/forms/cifar-broken", test_cifar_broken);
  g_test_add_data_func ("/forms/list-csv", "list.csv", test_lists);
  g_test_add_data_func ("/forms/list-tsv", "list.tsv", test_lists);
  g_test_add_data_func ("/forms/class-names-folder", "tree", test_names_of_classes);
  g_test_add_data_func ("/forms/class-names-tar", "tree.tar", test_names_of_classes);
  g_test_add_data_func ("/forms/class-names-list", "list.tsv", test_names_of_classes);
  g_test_add_data_func ("/forms/labels-by-path-folder", "tree", test_labels_by_path);
  g_test_add_func ("/forms/labels-by-column", test_labels_by_column);
  g_test_add_func ("/forms/labels-that-do-not-fit", test_labels_that_do_not_fit);
  g_test_add_data_func ("/forms/captions-of-folder", "captioned/train", test_numbered_captions);
  g_test_add_data_func ("/forms/captions-as-list", "captioned/train.tsv", test_numbered_captions);
  g_test_add_func ("/forms/captions-plain", test_plain_captions);
  g_test_add_func ("/forms/captions-broken", test_broken_captions);
  g_test_add_func ("/forms/real-sets", test_real);
  return g_test_run ();
}

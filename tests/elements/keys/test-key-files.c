/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/curve.h>
#include <seed/error.h>

#include "keys/key-file.h"
#include "keys/rights.h"

#define PUBLIC "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define SECRET "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

static char *folder;

static char *
write_file (const char *name, const char *text, int mode)
{
  char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_cmpint (chmod (path, (mode_t) mode), ==, 0);
  return path;
}

static void
clear_folder (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_assert_cmpint (g_remove (path), ==, 0);
  }
}

static void
test_parse (void)
{
  static const char text[] = "# as czmq writes it\n\nmetadata\n    name = \"the desk\"\n"
                             "    made-by = anybody # me\ncurve\n    public-key = '" PUBLIC "'\r\n"
                             "\tsecret-key = \"" SECRET "\"\nrights # below\n"
                             "    results = \"lobby/, ,yard/-/\"\n    control = stat*  # no more";
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;
  g_autoptr (GError) error = NULL;

  seed_key_file_parse ("f", text, strlen (text), &file, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (file.name, ==, "the desk");
  g_assert_cmpstr (file.public_key, ==, PUBLIC);
  g_assert_cmpstr (file.secret_key, ==, SECRET);
  g_assert_cmpuint (g_strv_length (file.results), ==, 2);
  g_assert_cmpstr (file.results[1], ==, "yard/-/");
  g_assert_cmpstr (file.control[0], ==, "stat*");
}

static void
test_refused (void)
{
  static const struct {
    const char *text, *error;
  } cases[] = {
    { "", "f: there is no public-key" },
    { "curve\n", "f: there is no public-key" },
    { "    name = x\n", "f:1:5: a value stands before any section" },
    { "nonsense\n", "f:1:1: expected one of the sections" },
    { "curve x\n", "f:1:1: expected one of the sections" },
    { "curve\n    private = x\n", "f:2:5: the section curve has" },
    { "rights\n    result = x\n", "f:2:5: the section rights has" },
    { "curve\n    public-key\n", "f:2:15: expected NAME = VALUE" },
    { "curve\n    = x\n", "f:2:5: expected NAME = VALUE" },
    { "curve\n    public-key = \"" PUBLIC "\n", "f:2:18: the quote is not closed" },
    { "curve\n    public-key = \"" PUBLIC "\" x\n", "nothing may follow" },
    { "curve\n    public-key = short\n", "f:2:18: a key has 40 characters" },
    { "curve\n    public-key = " PUBLIC "0\n", "f:2:18: a key has 40 characters" },
    { "curve\n    public-key = " PUBLIC "\n    public-key = " PUBLIC "\n", "f:3:18: the key is" },
    { "metadata\n    name = a\n    name = b\n", "f:3:12: the name is there twice" },
    { "metadata\n    name = \x01\n", "f:2:12: the value has control characters" },
    { "metadata\n    name = \xff\n", "f:2:12: the value has control characters" },
    { "metadata\n    name = 0123456789012345678901234567890123456789012345678901234567890123\n",
        "f:2:12: a name has at most 63 bytes" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;
    g_autoptr (GError) error = NULL;

    g_assert_false (
        seed_key_file_parse ("f", cases[i].text, strlen (cases[i].text), &file, &error));
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, cases[i].error));
    g_assert_null (file.name);
  }
}

static void
test_save_and_load (void)
{
  g_autofree char *path = g_build_filename (folder, "own.key", NULL);
  g_autofree char *public_path = g_build_filename (folder, "own.pub", NULL);
  g_autofree char *before = NULL, *after = NULL, *key = NULL;
  g_autoptr (SeedCurveKeypair) made = NULL, loaded = NULL, other = NULL;
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;
  g_autoptr (GError) error = NULL;
  GStatBuf status;

  made = seed_curve_keypair_new ("the \"desk\"", &error);
  g_assert_no_error (error);
  other = seed_curve_keypair_new (NULL, &error);
  g_assert_cmpstr (seed_curve_keypair_public (made), !=, seed_curve_keypair_public (other));
  seed_curve_keypair_save (made, path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (path, &status), ==, 0);
  g_assert_cmphex (status.st_mode & 07777, ==, 0600);
  loaded = seed_curve_keypair_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (seed_curve_keypair_name (loaded), ==, "the \"desk\"");
  g_assert_cmpstr (seed_curve_keypair_secret (loaded), ==, seed_curve_keypair_secret (made));

  seed_curve_keypair_save_public (made, public_path, "lobby/,yard/", "stats", &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (public_path, &status), ==, 0);
  g_assert_cmphex (status.st_mode & 07777, ==, 0600);
  key = seed_curve_public_load (public_path, &error);
  g_assert_cmpstr (key, ==, seed_curve_keypair_public (made));
  g_assert_true (seed_key_file_load (public_path, &file, &error));
  g_assert_cmpstr (file.secret_key, ==, "");
  g_assert_cmpstr (file.results[1], ==, "yard/");
  g_assert_null (seed_curve_keypair_load (public_path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  g_clear_error (&error);

  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  g_assert_false (seed_curve_keypair_save (other, path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "never overwritten"));
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_cmpstr (before, ==, after);
  clear_folder ();
}

static void
test_modes (void)
{
  static const int bad[] = { 0604, 0640, 0644, 0602, 0620, 0601, 0666, 0777 };
  g_autofree char *pair = write_file (
      "other", "curve\n    public-key = " PUBLIC "\n    secret-key = '" PUBLIC "'\n", 0600);
  g_autofree char *good = write_file (
      "good", "curve\n    public-key = " PUBLIC "\n    secret-key = " SECRET "\n", 0400);
  g_autofree char *absent = g_build_filename (folder, "absent", NULL);
  g_autoptr (SeedCurveKeypair) loaded = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *path = write_file (
        "key", "curve\n    public-key = " PUBLIC "\n    secret-key = " SECRET "\n", bad[i]);

    g_assert_null (seed_curve_keypair_load (path, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, path));
    g_assert_nonnull (strstr (error->message, "chmod 600"));
    g_clear_error (&error);
  }
  g_assert_null (seed_curve_keypair_load (pair, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_clear_error (&error);
  g_assert_null (seed_curve_keypair_load (absent, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (seed_curve_keypair_load (folder, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  loaded = seed_curve_keypair_load (good, &error);
  g_assert_no_error (error);
  clear_folder ();
}

/* Anything that is no regular file is refused at once, even one that would block. */
static void
test_fifo (void)
{
  g_autofree char *path = g_build_filename (folder, "fifo", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  g_assert_null (seed_curve_keypair_load (path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  clear_folder ();
}

static SeedRights *
rights_for (const char *results, const char *control, GError **error)
{
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;

  file.results = seed_key_file_split (results);
  file.control = seed_key_file_split (control);
  g_strlcpy (file.public_key, PUBLIC, sizeof file.public_key);
  return seed_rights_new (&file, "file", error);
}

static void
assert_narrow (const char *results, const char *asked, const char *expected)
{
  g_autoptr (SeedRights) rights = rights_for (results, NULL, NULL);
  g_autoptr (GPtrArray) prefixes = seed_rights_narrow (rights, asked, strlen (asked));
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < prefixes->len; i++) {
    gsize size;
    const char *data = g_bytes_get_data (prefixes->pdata[i], &size);

    g_string_append_printf (text, "<%.*s>", (int) size, data ? data : "");
  }
  g_test_message ("%s asked of %s", asked, results);
  g_assert_cmpstr (text->str, ==, expected);
}

static void
test_rights (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedRights) rights = rights_for ("lobby/,yard/-/", "list,stat*", &error);
  g_autoptr (SeedRights) same = rights_for ("lobby/,yard/-/", "list,stat*", &error);
  g_autoptr (SeedRights) none = rights_for (NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (seed_rights_allow_topic (rights, "lobby/cam1/embedding/n/"));
  g_assert_false (seed_rights_allow_topic (rights, "lobby2/cam1/embedding/n/"));
  g_assert_false (seed_rights_allow_topic (rights, "yard/cam1/event/n/"));
  g_assert_true (seed_rights_allow_method (rights, "status"));
  g_assert_false (seed_rights_allow_method (rights, "stop"));
  g_assert_false (seed_rights_allow_method (none, "list"));
  g_assert_true (seed_rights_allow_use (rights, SEED_ZAP_CONTROL));
  g_assert_false (seed_rights_allow_use (none, SEED_ZAP_CONTROL | SEED_ZAP_RESULTS));
  g_assert_true (seed_rights_equal (rights, same));
  g_assert_false (seed_rights_equal (rights, none));
  g_assert_false (seed_rights_equal (rights, NULL));
  g_assert_null (rights_for ("lobby/ yard", NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  assert_narrow ("lobby/,yard/", "", "<lobby/><yard/>");
  assert_narrow ("lobby/,yard/", "l", "<lobby/>");
  assert_narrow ("lobby/,yard/", "lobby/cam1/", "<lobby/cam1/>");
  assert_narrow ("lobby/,yard/", "hall/", "");
  assert_narrow ("lobby/,yard/", "lobbyx", "");
  assert_narrow ("lobby/,lobby/cam1/,lobby/", "lobby/", "<lobby/>");
  assert_narrow ("*", "", "<>");
  assert_narrow ("lobby/*", "lobby/x", "<lobby/x>");
  assert_narrow ("", "", "");
}

static void
test_folder (void)
{
  g_autofree char *a = write_file ("a.pub", "curve\n    public-key = " PUBLIC "\n", 0600);
  g_autofree char *b G_GNUC_UNUSED =
      write_file ("b.pub", "curve\n    public-key = " PUBLIC "\n", 0600);
  g_autofree char *c G_GNUC_UNUSED =
      write_file ("c.pub", "curve\n    public-key = " SECRET "\n", 0644);
  g_autofree char *d G_GNUC_UNUSED = write_file (
      "d.key", "curve\n    public-key = " SECRET "\n    secret-key = '" SECRET "'\n", 0600);
  g_autofree char *hidden G_GNUC_UNUSED = write_file (".swp", "nonsense", 0644);
  g_autofree char *problem = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) keys = seed_authorized_load (folder, &problem, &error);
  const SeedRights *rights;

  g_assert_no_error (error);
  g_assert_cmpuint (g_hash_table_size (keys), ==, 1);
  rights = g_hash_table_lookup (keys, PUBLIC);
  g_assert_cmpstr (seed_rights_name (rights), ==, "a.pub");
  g_assert_cmpstr (seed_rights_key (rights), ==, PUBLIC);
  g_assert_nonnull (strstr (problem, "b.pub"));
  g_assert_nonnull (strstr (problem, "and 2 more"));

  g_assert_cmpint (chmod (folder, 0775), ==, 0);
  g_assert_null (seed_authorized_load (folder, &problem, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_cmpint (chmod (folder, 0700), ==, 0);
  g_assert_null (seed_authorized_load (a, &problem, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  clear_folder ();
}

int
main (int argc, char **argv)
{
  int code;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  g_test_add_func ("/keys/parse", test_parse);
  g_test_add_func ("/keys/refused", test_refused);
  g_test_add_func ("/keys/save-and-load", test_save_and_load);
  g_test_add_func ("/keys/modes", test_modes);
  g_test_add_func ("/keys/fifo", test_fifo);
  g_test_add_func ("/keys/rights", test_rights);
  g_test_add_func ("/keys/folder", test_folder);
  code = g_test_run ();
  g_rmdir (folder);
  g_free (folder);
  return code;
}

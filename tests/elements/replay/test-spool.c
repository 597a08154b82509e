/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "memory.h"
#include "replay/spool-record.h"
#include "replay/spool.h"

typedef struct {
  char *folder, *path;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->folder = g_dir_make_tmp ("seed-spool-XXXXXX", NULL);
  f->path = g_build_filename (f->folder, "spool", NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_autofree char *temp = g_strconcat (f->path, ".new", NULL);

  g_unlink (f->path);
  g_unlink (temp);
  g_assert_cmpint (g_rmdir (f->folder), ==, 0);
  g_free (f->folder);
  g_free (f->path);
}

static SeedSpool *
must_open (const char *path, SeedReplay *replay)
{
  g_autoptr (GError) error = NULL;
  SeedSpool *spool = seed_spool_open (path, replay, NULL, NULL, &error);

  g_assert_no_error (error);
  return spool;
}

static void
must_close (SeedSpool *spool)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_spool_close (spool, &error));
  g_assert_no_error (error);
}

/* Frames @from to @to of two streams, the second of which goes away for a while. */
static void
play (SeedReplay *replay, SeedSpool *spool, guint from, guint to, GString *drawn)
{
  g_autoptr (GError) error = NULL;

  for (guint i = from; i < to; i++) {
    live_frame (replay, i % 3 && i % 100 < 50 ? "b" : "a", i, PIXELS + i % 7, drawn);
    if (spool)
      seed_spool_update (spool, &error);
    if (i % 100 == 50) {
      seed_replay_stream_down (replay, "b");
      if (spool)
        seed_spool_update (spool, &error);
    }
    g_assert_no_error (error);
  }
}

static void
assert_same (const SeedReplay *a, const SeedReplay *b)
{
  g_assert_cmpuint (seed_replay_n_held (a), ==, seed_replay_n_held (b));
  g_assert_cmpuint (seed_replay_n_bytes (a), ==, seed_replay_n_bytes (b));
  for (guint i = 0; i < seed_replay_n_held (a); i++) {
    const SeedRemembered *x = seed_replay_get (a, i), *y = seed_replay_get (b, i);

    g_assert_cmpstr (x->stream, ==, y->stream);
    g_assert_cmpuint (x->frame, ==, y->frame);
    g_assert_cmpuint (x->pts, ==, y->pts);
    g_assert_cmpuint (x->dropped, ==, y->dropped);
    g_assert_cmpint (x->capture_ns, ==, y->capture_ns);
    g_assert_cmpint (x->label, ==, y->label);
    g_assert_cmpuint (x->repeat, ==, y->repeat);
    g_assert_cmpuint (x->mark, ==, y->mark);
    g_assert_cmpstr (x->format, ==, y->format);
    g_assert_true (g_bytes_equal (x->pixels, y->pixels));
    g_assert_cmpmem (&x->signature, sizeof x->signature, &y->signature, sizeof y->signature);
  }
  for (guint i = 0; i < seed_replay_n_streams (a); i++) {
    SeedReplayStream x, y;

    seed_replay_get_stream (a, i, &x);
    y = stream_info (b, x.stream);
    g_assert_cmpuint (x.seen, ==, y.seen);
    g_assert_cmpuint (x.held, ==, y.held);
    g_assert_cmpint (x.up, ==, y.up);
  }
}

/* A run that stops anywhere and goes on draws what one that never stopped draws. */
static void
test_resume (Fixture *f, gconstpointer data)
{
  static const guint stops[] = { 0, 1, 2, 37, 150, 151, 399, 600 };
  SeedReplayConfig config = config_of (40);
  g_autoptr (SeedReplay) whole = seed_replay_new (&config);
  g_autoptr (GString) expected = g_string_new (NULL), drawn = g_string_new (NULL);
  guint at = 0;

  play (whole, NULL, 0, 600, expected);
  for (guint i = 0; i < G_N_ELEMENTS (stops); i++) {
    g_autoptr (SeedReplay) replay = seed_replay_new (&config);
    SeedSpool *spool = must_open (f->path, replay);

    g_assert_cmpuint (seed_spool_torn (spool), ==, 0);
    play (replay, spool, at, stops[i], drawn);
    at = stops[i];
    must_close (spool);
    if (at == 600)
      assert_same (whole, replay);
  }
  g_assert_cmpstr (drawn->str, ==, expected->str);
}

/* SIGKILL at some moment: what loads is the memory as it was after one of the frames. */
static void
kill_at_some_moment (Fixture *f, guint nth)
{
  SeedReplayConfig config = config_of (40);
  g_autoptr (SeedReplay) loaded = seed_replay_new (&config), again = seed_replay_new (&config);
  SeedReplayStream a, b;
  SeedSpool *spool;
  int ready[2], status;
  char byte;
  pid_t child;

  g_unlink (f->path);
  g_assert_cmpint (pipe (ready), ==, 0);
  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0) {
    g_autoptr (SeedReplay) replay = seed_replay_new (&config);

    spool = seed_spool_open (f->path, replay, NULL, NULL, NULL);
    for (guint i = 0; spool; i++) {
      live_frame (replay, i % 3 ? "b" : "a", i, 20000 + i % 7, NULL);
      seed_spool_update (spool, NULL);
      if (write (ready[1], "", 1) != 1)
        break;
    }
    _exit (1);
  }
  close (ready[1]);
  for (guint i = 0; i < 20 + nth * 13; i++)
    g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  kill (child, SIGKILL);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFSIGNALED (status));
  close (ready[0]);

  spool = must_open (f->path, loaded);
  a = stream_info (loaded, "a");
  b = stream_info (loaded, "b");
  g_assert_cmpuint (a.seen + b.seen, >=, 20 + nth * 13);
  for (guint i = 0; i < a.seen + b.seen; i++)
    live_frame (again, i % 3 ? "b" : "a", i, 20000 + i % 7, NULL);
  assert_same (again, loaded);
  must_close (spool);
}

static void
test_kill (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 25; i++)
    kill_at_some_moment (f, i);
}

static char *
make_file (Fixture *f, guint n_frames, gsize *size)
{
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  SeedSpool *spool = must_open (f->path, replay);
  char *data;

  play (replay, spool, 0, n_frames, NULL);
  must_close (spool);
  g_assert_true (g_file_get_contents (f->path, &data, size, NULL));
  return data;
}

static gboolean
parses (const char *data, gsize size, gsize *good, GError **error)
{
  g_autofree char *copy = g_memdup2 (data, size); /* exact: ASan looks on */
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  guint64 n_records;

  return seed_spool_parse (replay, (guint8 *) copy, size, NULL, NULL, good, &n_records, error);
}

/* Cut anywhere: it loads up to the record before. */
static void
test_torn (Fixture *f, gconstpointer data)
{
  gsize size, good, last = 0;
  g_autofree char *file = make_file (f, 12, &size);

  for (gsize n = SEED_SPOOL_HEADER_SIZE; n <= size; n++) {
    g_autoptr (GError) error = NULL;

    g_assert_true (parses (file, n, &good, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (good, <=, n);
    g_assert_cmpuint (good, >=, last);
    last = good;
  }
  g_assert_cmpuint (good, ==, size);
  for (gsize n = 0; n < SEED_SPOOL_HEADER_SIZE; n++)
    g_assert_false (parses (file, n, &good, NULL));
}

static void
test_torn_file_goes_on (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config), again = seed_replay_new (&config);
  SeedSpool *spool;
  gsize size;

  g_free (make_file (f, 12, &size));
  g_assert_cmpint (truncate (f->path, (off_t) size - 9), ==, 0);
  spool = must_open (f->path, replay);
  g_assert_cmpuint (seed_spool_torn (spool), >, 0);
  play (replay, spool, 12, 40, NULL);
  must_close (spool);
  spool = must_open (f->path, again);
  g_assert_cmpuint (seed_spool_torn (spool), ==, 0);
  assert_same (replay, again);
  must_close (spool);
}

/* Zeros at the end are what some file systems leave after a loss of power. */
static void
test_zero_tail (Fixture *f, gconstpointer data)
{
  gsize size, good;
  g_autofree char *file = make_file (f, 12, &size), *longer = g_malloc0 (size + 4096);

  memcpy (longer, file, size);
  g_assert_true (parses (longer, size + 4096, &good, NULL));
  g_assert_cmpuint (good, ==, size);
}

/* A flipped bit anywhere but in the last record is refused, with a place; nothing crashes. */
static void
test_flipped_bits (Fixture *f, gconstpointer data)
{
  gsize size, good, whole;
  g_autofree char *file = make_file (f, 8, &size);
  guint refused = 0, torn = 0;

  g_assert_true (parses (file, size - 1, &whole, NULL)); /* where the last record begins */
  for (gsize at = 0; at < size; at++) {
    g_autoptr (GError) error = NULL;

    file[at] ^= 1 << at % 8;
    if (parses (file, size, &good, &error)) {
      g_assert_cmpuint (good, ==, whole);
      g_assert_cmpuint (at, >=, whole);
      torn++;
    } else {
      g_assert_true (strstr (error->message, "byte "));
      refused++;
    }
    file[at] ^= 1 << at % 8;
  }
  g_assert_cmpuint (refused, >=, whole);
  g_assert_cmpuint (torn, >, 0);
}

/* Records that check but lie. */
static void
assert_refused_record (
    const SeedReplayChange *change, const SeedReplayStream *stream, const char *message)
{
  g_autoptr (GByteArray) file = g_byte_array_new (), head = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  guint8 header[SEED_SPOOL_HEADER_SIZE];
  gsize good;
  guint n_pad;

  seed_spool_put_header (header);
  g_byte_array_append (file, header, sizeof header);
  seed_spool_put_record (head, 0, change, stream, NULL, &n_pad);
  g_byte_array_append (file, head->data, head->len);
  g_assert_false (parses ((char *) file->data, file->len, &good, &error));
  g_assert_true (g_str_has_prefix (error->message, "byte "));
  if (!strstr (error->message, message))
    g_error ("\"%s\" does not say \"%s\"", error->message, message);
}

static void
test_lies (Fixture *f, gconstpointer data)
{
  SeedReplayChange change = { .rng = { { 1, 2, 3, 4 } }, .stream = -1 };
  SeedReplayStream stream = { .stream = "a\nb" };
  guint32 index = 3;

  change.went = g_array_new (FALSE, FALSE, sizeof (guint32));
  change.drawn = g_array_new (FALSE, FALSE, sizeof (guint32));
  assert_refused_record (&change, &stream, "not the id of a stream");
  g_array_append_val (change.went, index);
  assert_refused_record (&change, NULL, "frame 3 went, but only 0 are held");
  g_array_set_size (change.went, 0);
  g_array_append_val (change.drawn, index);
  assert_refused_record (&change, NULL, "frame 3 was drawn, but only 0 are held");
  g_array_set_size (change.drawn, 0);
  change.owed = G_MAXUINT64;
  assert_refused_record (&change, NULL, "frames are due");
  memset (&change.rng, 0, sizeof change.rng);
  assert_refused_record (&change, NULL, "random state");
  g_array_unref (change.went);
  g_array_unref (change.drawn);
}

static void
test_refused_files (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (5);
  g_autofree char *kept = NULL;
  gsize size;

  for (guint i = 0; i < 3; i++) {
    g_autoptr (SeedReplay) replay = seed_replay_new (&config);
    g_autoptr (GError) error = NULL;
    static const char *const texts[] = { "#!/bin/sh\necho a file that means something\n",
      "SEEDSPL\n\2\0\0\0 more than thirty-two bytes of it", "S" };
    static const gsize sizes[] = { 41, 46, 1 };
    static const char *const messages[] = { "byte 0: this is not a spool", "byte 8: version 2",
      "byte 0: this is not a spool" };

    g_assert_true (g_file_set_contents (f->path, texts[i], (gssize) sizes[i], NULL));
    g_assert_null (seed_spool_open (f->path, replay, NULL, NULL, &error));
    g_assert_true (strstr (error->message, messages[i]));
    g_assert_true (strstr (error->message, f->path));
    g_assert_true (g_file_get_contents (f->path, &kept, &size, NULL)); /* not touched */
    g_assert_cmpmem (kept, size, texts[i], sizes[i]);
    g_clear_pointer (&kept, g_free);
  }
}

static gboolean
refuse_all (const char *format, gsize n_bytes, gpointer data, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "no %s of %u", format, (guint) n_bytes);
  return FALSE;
}

static void
test_check (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  g_autoptr (GError) error = NULL;
  gsize size;

  g_free (make_file (f, 3, &size));
  g_assert_null (seed_spool_open (f->path, replay, refuse_all, NULL, &error));
  g_assert_true (strstr (error->message, "no video/test, width=8, height=8 of 64"));
}

static void
test_not_a_file (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (mkfifo (f->path, 0600), ==, 0);
  g_assert_null (seed_spool_open (f->path, replay, NULL, NULL, &error));
  g_assert_true (strstr (error->message, "not a regular file"));
  g_clear_error (&error);
  g_assert_null (seed_spool_open ("/nowhere/at/all", replay, NULL, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
}

static void
test_locked (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (5);
  g_autoptr (SeedReplay) one = seed_replay_new (&config), two = seed_replay_new (&config);
  g_autoptr (GError) error = NULL;
  SeedSpool *spool = must_open (f->path, one);

  g_assert_null (seed_spool_open (f->path, two, NULL, NULL, &error));
  g_assert_true (strstr (error->message, "another process"));
  must_close (spool);
  must_close (must_open (f->path, two));
}

/* A smaller memory forgets at random, and the file follows. */
static void
test_smaller_memory (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (40);
  g_autoptr (SeedReplay) large = seed_replay_new (&config), small = NULL, again = NULL;
  SeedSpool *spool = must_open (f->path, large);

  play (large, spool, 0, 200, NULL);
  must_close (spool);
  config.capacity = 7;
  small = seed_replay_new (&config);
  again = seed_replay_new (&config);
  spool = must_open (f->path, small);
  g_assert_cmpuint (seed_replay_n_held (small), ==, 7);
  must_close (spool);
  spool = must_open (f->path, again);
  assert_same (small, again);
  must_close (spool);
}

/* The file stays within its bound however long it is written to, and is private. */
static void
test_bounded (Fixture *f, gconstpointer data)
{
  enum { SIZE = 200000 };
  SeedReplayConfig config = config_of (10);
  g_autoptr (SeedReplay) replay = NULL, again = NULL;
  guint64 largest = 0, written = 0;
  g_autofree char *temp = g_strconcat (f->path, ".new", NULL);
  struct stat info;
  SeedSpool *spool;

  config.live_share = 1;
  replay = seed_replay_new (&config);
  again = seed_replay_new (&config);
  spool = must_open (f->path, replay);
  for (guint i = 0; written < 80u * 1000 * 1000; i++) { /* new streams: nearly all are stored */
    g_autofree char *id = g_strdup_printf ("s%u", i / 3);

    live_frame (replay, id, i, SIZE, NULL);
    written += seed_replay_get_change (replay)->stored ? SIZE : 0;
    g_assert_true (seed_spool_update (spool, NULL));
    if (i % 3 == 2) {
      seed_replay_stream_down (replay, id);
      g_assert_true (seed_spool_update (spool, NULL));
    }
    g_assert_cmpint (stat (f->path, &info), ==, 0);
    largest = MAX (largest, (guint64) info.st_size);
    g_assert_cmpuint ((guint64) info.st_size, ==, seed_spool_size (spool));
  }
  g_assert_cmpuint (largest, <=, 2 * 10 * (SIZE + 1024) + SEED_SPOOL_SLACK);
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
  g_assert_false (g_file_test (temp, G_FILE_TEST_EXISTS));
  must_close (spool);
  spool = must_open (f->path, again);
  assert_same (replay, again);
  must_close (spool);
}

/* No room on the disk (here: for files of this process) is told once; then it goes on in memory,
 * and the file catches up when there is room. */
static void
test_disk_full (Fixture *f, gconstpointer data)
{
  SeedReplayConfig config = config_of (400);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config), again = seed_replay_new (&config),
                         later = seed_replay_new (&config);
  g_autoptr (GError) error = NULL;
  struct rlimit limit, small;
  SeedSpool *spool = must_open (f->path, replay);
  guint i = 0;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  small = (struct rlimit){ 50000, limit.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  while (!error && i < 1000) {
    live_frame (replay, "a", i++, 1000, NULL);
    g_assert_true (seed_spool_update (spool, &error) == !error);
  }
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_true (strstr (error->message, f->path));
  g_assert_true (seed_spool_is_behind (spool));
  for (guint n = 0; n < 100; n++) {
    live_frame (replay, "a", i++, 1000, NULL);
    g_assert_true (seed_spool_update (spool, NULL)); /* said once */
  }
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  /* what is on the disk is whole, if old */
  {
    g_autofree char *file = NULL;
    gsize size, good;
    guint64 n_records;

    g_assert_true (g_file_get_contents (f->path, &file, &size, NULL));
    g_assert_true (
        seed_spool_parse (again, (guint8 *) file, size, NULL, NULL, &good, &n_records, NULL));
    g_assert_cmpuint (good, ==, size);
    g_assert_cmpuint (seed_replay_n_held (again), >, 10);
    seed_replay_restore_own (again);
  }
  while (seed_spool_is_behind (spool) && i < 2000) {
    live_frame (replay, "a", i++, 1000, NULL);
    g_assert_true (seed_spool_update (spool, NULL));
  }
  g_assert_false (seed_spool_is_behind (spool));
  must_close (spool);
  spool = must_open (f->path, later);
  assert_same (replay, later);
  must_close (spool);
}

#define ADD(name, func) g_test_add ("/spool/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("resume", test_resume);
  ADD ("kill", test_kill);
  ADD ("torn", test_torn);
  ADD ("torn-file-goes-on", test_torn_file_goes_on);
  ADD ("zero-tail", test_zero_tail);
  ADD ("flipped-bits", test_flipped_bits);
  ADD ("lies", test_lies);
  ADD ("refused-files", test_refused_files);
  ADD ("check", test_check);
  ADD ("not-a-file", test_not_a_file);
  ADD ("locked", test_locked);
  ADD ("smaller-memory", test_smaller_memory);
  ADD ("bounded", test_bounded);
  ADD ("disk-full", test_disk_full);
  return g_test_run ();
}

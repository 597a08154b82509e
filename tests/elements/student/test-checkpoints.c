/* SPDX-License-Identifier: MIT */
/* Saving and resuming with everything there is: exact, whole, and after damage and death. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seed/error.h>

#include "remove-tree.h"
#include "student/generations.h"
#include "trainer-stand.h"

#define DRIVEN_STEPS 40

static char *program;

/* In bits: a NaN is as good as any number here. */
static void
assert_same_losses (const SeedTrainerReport *a, const SeedTrainerReport *b)
{
  g_assert_cmpuint (a->step, ==, b->step);
  g_assert_cmpmem (&a->losses.total, sizeof (double), &b->losses.total, sizeof (double));
  g_assert_cmpmem (&a->grad_norm, sizeof (double), &b->grad_norm, sizeof (double));
  g_assert_cmpmem (&a->losses.teachers, sizeof a->losses.teachers, &b->losses.teachers,
      sizeof b->losses.teachers);
}

static SeedTrainer *
resume (const char *folder, char **damaged)
{
  SeedTrainerConfig config = stand_config ();
  SeedTrainer *trainer = seed_trainer_new (&config, NULL);
  g_autoptr (GError) error = NULL;
  gboolean resumed;

  g_assert_true (seed_trainer_resume (trainer, folder, &resumed, damaged, &error));
  g_assert_no_error (error);
  g_assert_true (resumed);
  g_assert_true (seed_trainer_set_teachers (trainer, stand_teachers, 2, NULL));
  g_assert_true (seed_trainer_is_calibrated (trainer));
  g_assert_true (seed_trainer_reserve (trainer, STAND_BATCH, NULL));
  return trainer;
}

static void
test_resume_is_exact (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) straight = stand_trainer (&config);
  g_autoptr (SeedTrainer) before = stand_trainer (&config);
  g_autoptr (SeedTrainer) after = NULL;
  gsize bytes = seed_trainer_get_params (straight)->total * sizeof (float);
  g_autofree char *damaged = NULL;

  for (guint i = 0; i < 7; i++) { /* far enough for the queue to have wrapped */
    SeedTrainerReport a = stand_step (straight), b = stand_step (before);

    assert_same_losses (&a, &b);
  }
  g_assert_true (seed_trainer_save (before, folder, NULL));
  after = resume (folder, &damaged);
  g_assert_null (damaged);
  for (guint i = 0; i < 7; i++) {
    SeedTrainerReport a = stand_step (straight), b = stand_step (after);

    assert_same_losses (&a, &b);
    g_assert_cmpfloat (a.losses.seed, >, 0);
  }
  g_assert_cmpmem (seed_trainer_get_ema (straight), bytes, seed_trainer_get_ema (after), bytes);
  remove_tree (folder);
}

static guint
n_generations (const char *folder)
{
  g_autoptr (GArray) numbers = seed_generations_list (folder);

  return numbers->len;
}

static void
test_two_are_kept (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);

  for (guint i = 0; i < 4; i++) {
    SeedCheckpoint checkpoint = { 0 };

    stand_step (trainer);
    g_assert_true (seed_trainer_save (trainer, folder, NULL));
    g_assert_cmpuint (n_generations (folder), ==, MIN (i + 1, 2));
    /* the folder itself is a model */
    g_assert_true (seed_checkpoint_load (
        &checkpoint, folder, seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS, NULL));
    seed_checkpoint_clear (&checkpoint);
  }
  remove_tree (folder);
}

static void
truncate_file (const char *path)
{
  struct stat info;

  g_assert_cmpint (stat (path, &info), ==, 0);
  g_assert_cmpint (truncate (path, info.st_size / 2), ==, 0);
}

static void
flip_byte (const char *path)
{
  int fd = open (path, O_RDWR);
  struct stat info;
  guint8 byte;

  g_assert_cmpint (fstat (fd, &info), ==, 0);
  g_assert_cmpint (pread (fd, &byte, 1, info.st_size - 5), ==, 1);
  byte ^= 0x10;
  g_assert_cmpint (pwrite (fd, &byte, 1, info.st_size - 5), ==, 1);
  close (fd);
}

static void
remove_file (const char *path)
{
  g_assert_cmpint (unlink (path), ==, 0);
}

/* Generation 1 is of step 3, generation 2 of step 5; @damage befalls @file of the newest. */
static void
check_fallback (void (*damage) (const char *), const char *file)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "current", file, NULL);
  g_autofree char *current = g_build_filename (folder, "current", NULL);
  g_autofree char *damaged = NULL, *target = NULL;
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) straight = stand_trainer (&config);
  g_autoptr (SeedTrainer) after = NULL;
  SeedTrainerReport fourth, again;

  for (guint i = 0; i < 3; i++)
    stand_step (straight);
  g_assert_true (seed_trainer_save (straight, folder, NULL));
  fourth = stand_step (straight);
  stand_step (straight);
  g_assert_true (seed_trainer_save (straight, folder, NULL));
  damage (path);

  after = resume (folder, &damaged);
  g_assert_nonnull (damaged);
  g_assert_nonnull (strstr (damaged, file));
  g_assert_cmpuint (seed_trainer_get_step (after), ==, 3);
  target = g_file_read_link (current, NULL);
  g_assert_cmpstr (target, ==, "generation-00000001");
  again = stand_step (after);
  assert_same_losses (&fourth, &again);
  /* what was damaged goes, what was resumed from stays until there are two again */
  g_assert_true (seed_trainer_save (after, folder, NULL));
  g_assert_cmpuint (n_generations (folder), ==, 2);
  remove_tree (folder);
}

static void
test_fallback (void)
{
  check_fallback (truncate_file, "state.safetensors");
  check_fallback (flip_byte, "state.safetensors");
  check_fallback (flip_byte, "model.safetensors");
  check_fallback (truncate_file, "SHA256SUMS");
  check_fallback (remove_file, "config.json");
}

static void
test_nothing_whole (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "current", "state.safetensors", NULL);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);
  g_autoptr (SeedTrainer) after = seed_trainer_new (&config, NULL);
  g_autoptr (GError) error = NULL;
  gboolean resumed;

  g_assert_true (seed_trainer_save (trainer, folder, NULL));
  flip_byte (path);
  g_assert_false (seed_trainer_resume (after, folder, &resumed, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "state.safetensors"));
  remove_tree (folder);
}

static void
test_other_teachers_refused (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  SeedTrainerTeacher others[2] = { stand_teachers[1], stand_teachers[0] };
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);
  g_autoptr (SeedTrainer) after = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_trainer_save (trainer, folder, NULL));
  after = resume (folder, NULL);
  g_assert_false (seed_trainer_set_teachers (after, others, 2, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_clear_error (&error);
  g_assert_false (seed_trainer_set_teachers (after, stand_teachers, 1, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  remove_tree (folder);
}

/* Another length of the queue is no reason to start anew: the newest embeddings stay. */
static void
test_shorter_queue (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = stand_trainer (&config);
  g_autoptr (SeedTrainer) after = NULL;
  gboolean resumed;

  for (guint i = 0; i < 4; i++)
    stand_step (trainer);
  g_assert_true (seed_trainer_save (trainer, folder, NULL));
  config.learner.queue_size = 10;
  after = seed_trainer_new (&config, NULL);
  g_assert_true (seed_trainer_resume (after, folder, &resumed, NULL, NULL));
  g_assert_true (seed_trainer_reserve (after, STAND_BATCH, NULL));
  g_assert_cmpuint (stand_step (after).step, ==, 5);
  remove_tree (folder);
}

/* ---- killed in mid-run ---- */

/* The driven process: goes on from @folder, saves every step, writes each step's loss to @log. */
static int
drive (const char *folder, const char *log)
{
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) trainer = seed_trainer_new (&config, NULL);
  FILE *out = fopen (log, "a");
  gboolean resumed;

  if (!out || !seed_trainer_resume (trainer, folder, &resumed, NULL, NULL))
    return 1;
  if (resumed) {
    g_assert_true (seed_trainer_reserve (trainer, STAND_BATCH, NULL));
  } else {
    seed_trainer_free (trainer);
    trainer = stand_trainer (&config);
  }
  while (seed_trainer_get_step (trainer) < DRIVEN_STEPS) {
    SeedTrainerReport report = stand_step (trainer);

    fprintf (out, "%" G_GUINT64_FORMAT " %a\n", report.step, report.losses.total);
    fflush (out);
    if (!seed_trainer_save (trainer, folder, NULL))
      return 1;
  }
  fclose (out);
  return 0;
}

/* Starts it and, unless @after_us is 0, kills it so long after. TRUE when it came to its end. */
static gboolean
run_driven (const char *folder, const char *log, guint after_us)
{
  const char *argv[] = { program, "--drive", folder, log, NULL };
  g_autoptr (GError) error = NULL;
  GPid pid;
  int status;

  g_assert_true (g_spawn_async (
      NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &error));
  if (after_us > 0) {
    g_usleep (after_us);
    kill (pid, SIGKILL);
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  if (WIFSIGNALED (status)) {
    g_assert_cmpint (WTERMSIG (status), ==, SIGKILL);
    return FALSE;
  }
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  return TRUE;
}

static void
test_killed (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-checkpoints-XXXXXX", NULL);
  g_autofree char *checkpoint = g_build_filename (folder, "checkpoint", NULL);
  g_autofree char *log = g_build_filename (folder, "log", NULL), *text = NULL;
  SeedTrainerConfig config = stand_config ();
  g_autoptr (SeedTrainer) straight = stand_trainer (&config);
  double expected[DRIVEN_STEPS];
  guint64 last = 0;
  char *line;

  for (guint i = 0; i < DRIVEN_STEPS; i++)
    expected[i] = stand_step (straight).losses.total;
  /* some die before their first step, some in one, some while they save */
  for (guint i = 0; i < 8; i++)
    run_driven (checkpoint, log, 1 + (guint) g_test_rand_int_range (5000, 120000));
  g_assert_true (run_driven (checkpoint, log, 0));

  g_assert_true (g_file_get_contents (log, &text, NULL, NULL));
  for (line = text; *line;) {
    guint64 step = g_ascii_strtoull (line, &line, 10);
    double loss = g_ascii_strtod (line, &line);

    g_assert_cmpuint (step, >=, 1);
    g_assert_cmpuint (step, <=, DRIVEN_STEPS);
    g_assert_cmpuint (step, <=, last + 1); /* none is left out, one may be done again */
    g_assert_cmpfloat (loss, ==, expected[step - 1]);
    last = step;
    line += *line == '\n';
  }
  g_assert_cmpuint (last, ==, DRIVEN_STEPS);
  remove_tree (folder);
}

int
main (int argc, char **argv)
{
  if (argc == 4 && g_str_equal (argv[1], "--drive"))
    return drive (argv[2], argv[3]);
  program = argv[0];
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/checkpoints/resume-is-exact", test_resume_is_exact);
  g_test_add_func ("/checkpoints/two-are-kept", test_two_are_kept);
  g_test_add_func ("/checkpoints/fallback", test_fallback);
  g_test_add_func ("/checkpoints/nothing-whole", test_nothing_whole);
  g_test_add_func ("/checkpoints/other-teachers-refused", test_other_teachers_refused);
  g_test_add_func ("/checkpoints/shorter-queue", test_shorter_queue);
  g_test_add_func ("/checkpoints/killed", test_killed);
  return g_test_run ();
}

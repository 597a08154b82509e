/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "remove-tree.h"
#include "student/generations.h"
#include "student/promotion.h"
#include "student/trainer-private.h"
#include "trainer-stand.h"

/* ---- the probe ---- */

enum { ITEMS = 16, BATCH = 4, WORDS = 12, WIDTH = 3 };

static SeedProbe *
new_probe (guint max_items)
{
  const SeedProbeLayout layout = { .words = WORDS, .n_teachers = 1, .summary = { WIDTH } };

  return seed_probe_new (&layout, max_items, BATCH, 3);
}

/* A batch that says its number everywhere. */
static void
offer (SeedProbe *probe, guint8 number, guint b, GArray *held)
{
  g_autofree guint8 *words = g_malloc (b * WORDS);
  g_autofree float *target = g_new (float, b *b), *summary = g_new (float, b *WIDTH);
  SeedProbeBatch batch = { .b = b, .words = words, .target = target, .summary = { summary } };

  memset (words, number, b * WORDS);
  for (guint i = 0; i < b * b; i++)
    target[i] = number;
  for (guint i = 0; i < b * WIDTH; i++)
    summary[i] = number;
  if (!seed_probe_wants (probe))
    return;
  seed_probe_add (probe, &batch);
  if (held)
    g_array_append_val (held, number);
}

static void
test_probe_holds_recent_and_old (void)
{
  g_autoptr (SeedProbe) probe = new_probe (ITEMS);
  g_autoptr (GArray) held = g_array_new (FALSE, FALSE, 1);
  guint recent = 0, old = 0;
  gsize full;

  for (guint i = 0; i < 200; i++)
    offer (probe, (guint8) i, BATCH, held);
  g_assert_cmpuint (held->len, ==,
      200 / SEED_PROBE_BLOCK - 1 +
          (200 % SEED_PROBE_BLOCK > 0 && g_array_index (held, guint8, held->len - 1) >= 192));
  g_assert_cmpuint (g_array_index (held, guint8, 0), >=, SEED_PROBE_BLOCK);
  g_assert_cmpuint (seed_probe_n_items (probe), ==, ITEMS);
  full = seed_probe_memory_bytes (probe);
  for (guint s = 0; s < seed_probe_n_slots (probe); s++) {
    SeedProbeBatch batch;

    g_assert_true (seed_probe_get (probe, s, &batch));
    g_assert_cmpuint (batch.b, ==, BATCH);
    g_assert_null (batch.labels);
    for (guint i = 0; i < BATCH * BATCH; i++)
      g_assert_cmpfloat (batch.target[i], ==, batch.words[0]);
    g_assert_cmpfloat (batch.summary[0][BATCH * WIDTH - 1], ==, batch.words[0]);
    recent += batch.words[0] >= g_array_index (held, guint8, held->len - 2);
    old += batch.words[0] < g_array_index (held, guint8, held->len - 2);
  }
  g_assert_cmpuint (recent, ==, 2);
  g_assert_cmpuint (old, ==, 2);
  for (guint i = 0; i < 20000; i++)
    offer (probe, 1, BATCH, NULL);
  g_assert_cmpuint (seed_probe_memory_bytes (probe), ==, full);
}

/* What is older than the newest is held with the same chance, whenever it came. */
static void
test_probe_samples_uniformly (void)
{
  guint early = 0, late = 0;

  for (guint64 seed = 0; seed < 300; seed++) {
    const SeedProbeLayout layout = { .words = 4 };
    g_autoptr (SeedProbe) probe = seed_probe_new (&layout, 8, 2, seed);
    SeedProbeBatch held;

    for (guint8 i = 0; i < 42; i++) {
      guint8 words[8];

      memset (words, i, sizeof words);
      held = (SeedProbeBatch){ .b = 2, .words = words };
      seed_probe_add (probe, &held);
    }
    for (guint s = 2; s < 4; s++) {
      g_assert_true (seed_probe_get (probe, s, &held));
      early += held.words[0] < 20;
      late += held.words[0] >= 20;
    }
  }
  g_assert_cmpuint (early + late, ==, 600);
  g_assert_cmpuint (ABS ((int) early - (int) late), <, 100); /* 4 standard deviations */
}

static gboolean
read_from (guint slot, const void **data, gsize *size, gpointer probe)
{
  return seed_probe_slot_bytes (probe, slot, data, size);
}

static gboolean
read_short (guint slot, const void **data, gsize *size, gpointer probe)
{
  gboolean ok = seed_probe_slot_bytes (probe, slot, data, size);

  *size -= 1;
  return ok;
}

static void
test_probe_is_saved (void)
{
  static const char *const broken[] = { "", "1", "1 2 3", "1 1 4 4 4 1 0 0 0 0 0 -1", "x 1 4 4",
    "9 9 4 4 4 99 4 1 4 1 4 1", "9 9 4 4 4000 1 4 1 4 1 4 1", "9 9 64 4 4 1 4 1 4 1 4 1" };
  g_autoptr (SeedProbe) probe = new_probe (ITEMS), other = new_probe (ITEMS);
  g_autofree char *text = NULL, *again = NULL;

  for (guint i = 0; i < 250; i++)
    offer (probe, (guint8) i, BATCH, NULL);
  text = seed_probe_describe (probe);
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    g_assert_false (seed_probe_restore (other, broken[i], read_from, probe));
  g_assert_false (seed_probe_restore (other, text, read_short, probe));
  g_assert_cmpuint (seed_probe_n_items (other), ==, 0);
  g_assert_true (seed_probe_restore (other, text, read_from, probe));
  for (guint i = 0; i < 300; i++) {
    offer (probe, (guint8) i, BATCH, NULL);
    offer (other, (guint8) i, BATCH, NULL);
  }
  g_free (text);
  text = seed_probe_describe (probe);
  again = seed_probe_describe (other);
  g_assert_cmpstr (text, ==, again);
  for (guint s = 0; s < seed_probe_n_slots (probe); s++) {
    const void *a, *b;
    gsize n, m;

    g_assert_true (seed_probe_slot_bytes (probe, s, &a, &n));
    g_assert_true (seed_probe_slot_bytes (other, s, &b, &m));
    g_assert_cmpmem (a, n, b, m);
  }
}

/* Rows that say what the target says agree fully; a target that is sure of other pairs, hardly. */
static void
test_agreement (void)
{
  const float z[] = { 2, 0, 2, 0, 0, 2, 0, 2 }; /* [2, 2, 2], of length 2 */
  const float same[] = { 1, 0, 0, 1 }, swapped[] = { 0, 1, 1, 0 },
              masked[] = { 1, -INFINITY, -INFINITY, 1 };
  double scratch[4];

  g_assert_cmpfloat_with_epsilon (seed_probe_agreement (z, 2, same, 2, 2, 0.05, scratch), 1, 1e-12);
  g_assert_cmpfloat (seed_probe_agreement (z, 2, swapped, 2, 2, 0.05, scratch), <, 1e-6);
  g_assert_cmpfloat_with_epsilon (
      seed_probe_agreement (z, 2, masked, 2, 2, 0.05, scratch), 1, 1e-12);
  /* by hand: P = softmax (20, 0), Q = softmax (20, 0) of one row, and of the other (0, 20) */
  g_assert_cmpfloat_with_epsilon (
      seed_probe_agreement (z, 2, (const float[]){ 1, 0, 1, 0 }, 2, 2, 1, scratch),
      (1 + 2 / (1 + exp (1)) + 1 / (1 + exp (1)) + 0.5 + 1 / (1 + exp (1)) + 0.5) / 4, 1e-12);
}

static void
test_not_worse (void)
{
  const SeedTrainerScore live = { 8, 0.5, 2 }, close = { 8, 0.495, 9 }, far = { 8, 0.48, 1 };
  const SeedTrainerScore lossy = { 8, NAN, 2.01 }, lossier = { 8, NAN, 2.1 },
                         broken = { 8, NAN, NAN }, infinite = { 8, NAN, INFINITY };

  g_assert_true (seed_promotion_is_not_worse (&close, &live, 0.01));
  g_assert_false (seed_promotion_is_not_worse (&far, &live, 0.01));
  g_assert_true (seed_promotion_is_not_worse (&lossy, &live, 0.01));
  g_assert_false (seed_promotion_is_not_worse (&lossier, &live, 0.01));
  g_assert_false (seed_promotion_is_not_worse (&broken, &live, 1));
  g_assert_false (seed_promotion_is_not_worse (&infinite, &live, 1));
  g_assert_true (seed_promotion_is_not_worse (&lossier, &broken, 0));
}

/* ---- promotion ---- */

typedef struct {
  char *folder;
  SeedTrainer *trainer;
  SeedPromotion *promotion;
} Bench;

static void
open_bench (Bench *bench, SeedPromotePolicy policy, gboolean in_memory)
{
  const SeedPromotionConfig config = {
    .policy = policy, .folder = in_memory ? NULL : bench->folder, .tolerance = 0.01, .keep = 2
  };
  SeedTrainerConfig trainer = stand_config ();
  gboolean resumed = FALSE;
  g_autoptr (GError) error = NULL;

  bench->trainer = seed_trainer_new (&trainer, NULL);
  seed_trainer_enable_probe (bench->trainer, 3 * STAND_BATCH);
  g_assert_true (
      in_memory || seed_trainer_resume (bench->trainer, bench->folder, &resumed, NULL, &error));
  g_assert_no_error (error);
  if (!resumed) {
    seed_trainer_free (bench->trainer);
    bench->trainer = stand_trainer (&trainer);
    seed_trainer_enable_probe (bench->trainer, 3 * STAND_BATCH);
  } else {
    g_assert_true (seed_trainer_reserve (bench->trainer, STAND_BATCH, NULL));
  }
  bench->promotion = seed_promotion_new (&config, bench->trainer, TRUE, &error);
  g_assert_no_error (error);
}

static void
close_bench (Bench *bench)
{
  g_clear_pointer (&bench->promotion, seed_promotion_free);
  g_clear_pointer (&bench->trainer, seed_trainer_free);
}

static Bench
new_bench (SeedPromotePolicy policy, gboolean in_memory)
{
  Bench bench = { .folder = g_dir_make_tmp ("seed-promotion-XXXXXX", NULL) };

  open_bench (&bench, policy, in_memory);
  return bench;
}

static void
end_bench (Bench *bench)
{
  close_bench (bench);
  remove_tree (bench->folder);
  g_free (bench->folder);
}

/* Learns from, and holds out, @n batches. */
static void
learn (Bench *bench, guint n)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);

  for (guint i = 0; i < n; i++) {
    stand_fill (stand, 5000 + seed_trainer_get_step (bench->trainer));
    if (!seed_trainer_hold_out (bench->trainer, &stand->batch))
      stand_step (bench->trainer);
  }
}

static SeedPromotionVerdict
consider (Bench *bench, gboolean force)
{
  SeedPromotionVerdict verdict;
  g_autoptr (GError) error = NULL;

  seed_promotion_consider (bench->promotion, bench->trainer, force, &verdict, &error);
  g_assert_no_error (error);
  return verdict;
}

static void
spoil (Bench *bench)
{
  SeedRng rng;

  seed_rng_init (&rng, 1);
  for (gsize i = 0; i < bench->trainer->student_params.total; i++)
    bench->trainer->ema[i] += (float) seed_rng_normal (&rng);
}

static void
assert_serves (Bench *bench, guint64 step, const float *values)
{
  g_autoptr (SeedWeights) live = seed_promotion_get_live (bench->promotion);

  g_assert_cmpuint (live->step, ==, step);
  g_assert_cmpmem (live->values, live->n_values * sizeof (float), values,
      seed_trainer_n_values (bench->trainer) * sizeof (float));
}

static float *
average (Bench *bench)
{
  return g_memdup2 (seed_trainer_get_ema (bench->trainer),
      seed_trainer_n_values (bench->trainer) * sizeof (float));
}

static void
test_worse_is_refused (gconstpointer in_memory)
{
  Bench bench = new_bench (SEED_PROMOTE_AUTO, in_memory != NULL);
  g_autofree float *good = NULL;
  SeedPromotionVerdict verdict;
  guint64 step;

  learn (&bench, 120);
  good = average (&bench);
  step = seed_trainer_get_step (bench.trainer);
  verdict = consider (&bench, FALSE);
  g_assert_true (verdict.promoted);
  g_assert_cmpuint (verdict.candidate.n_items, >, 0);
  assert_serves (&bench, step, good);
  for (guint i = 0; i < 3; i++) {
    learn (&bench, 1);
    spoil (&bench);
    verdict = consider (&bench, FALSE);
    g_assert_false (verdict.promoted);
    g_assert_cmpfloat (verdict.candidate.agreement, <, verdict.live.agreement - 0.01);
    assert_serves (&bench, step, good);
  }
  g_assert_cmpuint (seed_promotion_n_rejected (bench.promotion), ==, 3);
  if (!in_memory)
    g_assert_cmpuint (seed_generation_current (bench.folder), ==, 1);
  end_bench (&bench);
}

static void
test_better_is_promoted (void)
{
  Bench bench = new_bench (SEED_PROMOTE_AUTO, FALSE);
  SeedPromotionVerdict verdict;

  learn (&bench, 60);
  g_assert_true (consider (&bench, FALSE).promoted); /* the first */
  learn (&bench, 200);
  verdict = consider (&bench, FALSE);
  g_assert_true (verdict.promoted);
  g_assert_cmpfloat (verdict.candidate.agreement, >, verdict.live.agreement);
  g_assert_cmpuint (strlen (verdict.sha256), ==, 64);
  g_assert_cmpuint (seed_generation_current (bench.folder), ==, 2);
  end_bench (&bench);
}

/* Back, further back, no further; to the bit; held until somebody promotes; also after a restart.
 */
static void
test_rollback (gconstpointer in_memory)
{
  Bench bench = new_bench (SEED_PROMOTE_ALWAYS, in_memory != NULL);
  float *versions[4];
  SeedPromotionVerdict verdict;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 4; i++) {
    learn (&bench, 2);
    versions[i] = average (&bench);
    g_assert_true (consider (&bench, FALSE).promoted);
  }
  assert_serves (&bench, 8, versions[3]);
  for (guint i = 3; i-- > 1;) {
    g_assert_true (seed_promotion_rollback (bench.promotion, bench.trainer, &verdict, &error));
    g_assert_cmpuint (verdict.step, ==, 2 * (i + 1));
    assert_serves (&bench, 2 * (i + 1), versions[i]);
  }
  g_assert_false (seed_promotion_rollback (bench.promotion, bench.trainer, &verdict, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND); /* keep is 2 */
  assert_serves (&bench, 4, versions[1]);
  if (!in_memory) {
    close_bench (&bench);
    open_bench (&bench, SEED_PROMOTE_ALWAYS, FALSE);
    g_assert_cmpuint (seed_trainer_get_step (bench.trainer), ==, 8); /* learning goes on */
    assert_serves (&bench, 4, versions[1]);
  }
  learn (&bench, 2);
  g_assert_true (seed_promotion_is_held (bench.promotion));
  g_assert_false (consider (&bench, FALSE).promoted);
  assert_serves (&bench, 4, versions[1]);
  g_assert_true (consider (&bench, TRUE).promoted);
  g_assert_false (seed_promotion_is_held (bench.promotion));
  for (guint i = 0; i < 4; i++)
    g_free (versions[i]);
  end_bench (&bench);
}

static void
test_manual_waits (void)
{
  Bench bench = new_bench (SEED_PROMOTE_MANUAL, FALSE);

  learn (&bench, 2);
  g_assert_true (consider (&bench, FALSE).promoted); /* nothing served before */
  learn (&bench, 2);
  g_assert_false (consider (&bench, FALSE).promoted);
  g_assert_cmpuint (seed_generation_current (bench.folder), ==, 1);
  g_assert_true (consider (&bench, TRUE).promoted);
  end_bench (&bench);
}

/* No file can grow: what was saved stays whole and serves; then there is room again. */
static void
test_no_room (void)
{
  Bench bench = new_bench (SEED_PROMOTE_ALWAYS, FALSE);
  static const char *const files[] = { "config.json", "model.safetensors", "state.safetensors",
    NULL };
  g_autofree char *unfinished = g_build_filename (bench.folder, ".generation", NULL);
  g_autofree float *first = NULL;
  SeedPromotionVerdict verdict;
  struct rlimit limit, before;

  learn (&bench, 2);
  first = average (&bench);
  consider (&bench, FALSE);
  learn (&bench, 2);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  for (rlim_t room = 0; room < 40000; room = room * 3 + 50) {
    g_autoptr (GError) error = NULL;
    gboolean ok;

    limit = (struct rlimit){ room, before.rlim_max };
    setrlimit (RLIMIT_FSIZE, &limit);
    ok = seed_promotion_consider (bench.promotion, bench.trainer, FALSE, &verdict, &error);
    setrlimit (RLIMIT_FSIZE, &before);
    g_assert_false (ok);
    g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
    assert_serves (&bench, 2, first);
    g_assert_true (seed_generation_verify (bench.folder, 1, files, NULL));
    g_assert_false (g_file_test (unfinished, G_FILE_TEST_EXISTS));
  }
  g_assert_true (consider (&bench, FALSE).promoted);
  g_assert_cmpuint (seed_generation_current (bench.folder), ==, 2);
  end_bench (&bench);
}

/* Held out as before, and from the frames after those that were consumed. */
static void
test_goes_on_exactly (void)
{
  Bench whole = new_bench (SEED_PROMOTE_AUTO, FALSE), cut = new_bench (SEED_PROMOTE_AUTO, FALSE);
  g_autofree char *a = NULL, *b = NULL;

  learn (&whole, 300);
  learn (&cut, 140);
  seed_trainer_consumed (cut.trainer, "door", 41);
  seed_trainer_consumed (cut.trainer, "door", 17);
  seed_trainer_consumed (cut.trainer, "yard", 9);
  consider (&cut, FALSE);
  close_bench (&cut);
  open_bench (&cut, SEED_PROMOTE_AUTO, FALSE);
  g_assert_cmpuint (seed_trainer_next_frame (cut.trainer, "door"), ==, 42);
  g_assert_cmpuint (seed_trainer_next_frame (cut.trainer, "yard"), ==, 10);
  g_assert_cmpuint (seed_trainer_next_frame (cut.trainer, "gate"), ==, 0);
  seed_trainer_consumed (cut.trainer, "door", 3); /* it started over */
  g_assert_cmpuint (seed_trainer_next_frame (cut.trainer, "door"), ==, 4);
  learn (&cut, 160);
  g_assert_cmpmem (whole.trainer->values, whole.trainer->params.total * sizeof (float),
      cut.trainer->values, cut.trainer->params.total * sizeof (float));
  a = seed_probe_describe (whole.trainer->probe);
  b = seed_probe_describe (cut.trainer->probe);
  g_assert_cmpstr (a, ==, b);
  end_bench (&whole);
  end_bench (&cut);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/promotion/probe/recent-and-old", test_probe_holds_recent_and_old);
  g_test_add_func ("/promotion/probe/uniform", test_probe_samples_uniformly);
  g_test_add_func ("/promotion/probe/saved", test_probe_is_saved);
  g_test_add_func ("/promotion/agreement", test_agreement);
  g_test_add_func ("/promotion/not-worse", test_not_worse);
  g_test_add_data_func ("/promotion/worse/folder", NULL, test_worse_is_refused);
  g_test_add_data_func ("/promotion/worse/memory", "memory", test_worse_is_refused);
  g_test_add_func ("/promotion/better", test_better_is_promoted);
  g_test_add_data_func ("/promotion/rollback/folder", NULL, test_rollback);
  g_test_add_data_func ("/promotion/rollback/memory", "memory", test_rollback);
  g_test_add_func ("/promotion/manual", test_manual_waits);
  g_test_add_func ("/promotion/no-room", test_no_room);
  g_test_add_func ("/promotion/goes-on-exactly", test_goes_on_exactly);
  return g_test_run ();
}

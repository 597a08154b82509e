/* SPDX-License-Identifier: MIT */
/*
 * Every resampling kernel of every table this CPU can run gives the bits of the C one: all lengths
 * around a register's, any alignment, whole axes. Inputs end where a page ends that nobody may
 * read beyond, outputs stand between bytes that must stay.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <seed/rng.h>

#include "patchify/resample.h"

#define GUARD 0x5a
#define MAX_LENGTH 141

/* @size bytes that end at a wall. */
typedef struct {
  guint8 *page, *end;
  gsize mapped;
} Wall;

static void
wall_init (Wall *wall, gsize size, SeedRng *rng)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE), n = (size + page - 1) / page * page;

  wall->mapped = n + page;
  wall->page =
      mmap (NULL, wall->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (wall->page != MAP_FAILED);
  wall->end = wall->page + n;
  for (gsize i = 0; i < n; i++)
    wall->page[i] = (guint8) seed_rng_next (rng);
  g_assert_cmpint (mprotect (wall->end, page, PROT_NONE), ==, 0);
}

static void
wall_clear (Wall *wall)
{
  munmap (wall->page, wall->mapped);
}

/* The last @n values up to @max before the wall. */
static const gint16 *
wall_values (Wall *wall, gsize n, guint max, SeedRng *rng)
{
  gint16 *mids = (gint16 *) (gpointer) wall->end - n;

  for (gsize i = 0; i < n; i++)
    mids[i] = (gint16) seed_rng_below (rng, max + 1);
  return mids;
}

static const gint16 *
wall_mids (Wall *wall, gsize n, SeedRng *rng)
{
  return wall_values (wall, n, SEED_MID_MAX, rng);
}

typedef struct {
  guint8 bytes[16 * MAX_LENGTH + 256];
} Output;

typedef void (*Call) (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data);

/* @call writes @size bytes at its second argument, which stands at an odd place of this type. */
static void
assert_same (Call call, gconstpointer data, gsize size, gsize align)
{
  for (guint level = SEED_CPU_C + 1; level <= seed_cpu_best_level (); level++) {
    const SeedResampleKernels *kernels = seed_resample_kernels_for ((SeedCpuLevel) level);
    Output expected, got;

    g_assert_nonnull (kernels);
    memset (&expected, GUARD, sizeof expected);
    memset (&got, GUARD, sizeof got);
    call (&seed_resample_kernels_c, expected.bytes + 64 + align, data);
    call (kernels, got.bytes + 64 + align, data);
    g_assert_cmpmem (expected.bytes, sizeof expected, got.bytes, sizeof got);
    g_assert_cmpuint (got.bytes[63 + align], ==, GUARD);
    g_assert_cmpuint (got.bytes[64 + align + size], ==, GUARD);
  }
}

typedef struct {
  guint step, n;
  const guint8 *bytes;
  const gint16 *mids;
} Unpack;

static void
call_unpack (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Unpack *u = data;

  kernels->unpack (dst, u->bytes, u->step, u->n);
}

static void
call_pick (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Unpack *u = data;

  kernels->pick (dst, u->mids, u->step, u->n);
}

static void
test_unpack (void)
{
  SeedRng rng;
  Wall wall;

  seed_rng_init (&rng, 1);
  wall_init (&wall, 2 * 5 * MAX_LENGTH, &rng);
  for (guint step = 1; step <= 5; step++) {
    for (guint n = 1; n < MAX_LENGTH; n++) {
      gsize used = (gsize) (n - 1) * step + 1;
      Unpack u = { step, n, wall.end - used, wall_mids (&wall, used, &rng) };

      assert_same (call_unpack, &u, n * sizeof (gint16), 2 * (n % 2));
      assert_same (call_pick, &u, n * sizeof (gint16), 2 * (n % 2));
    }
  }
  wall_clear (&wall);
}

typedef struct {
  guint n, width, shift;
  gssize stride;
  gint16 weights[400];
  const guint8 *bytes;
  const gint16 *rows[400];
} Down;

static void
call_down (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Down *d = data;

  kernels->down (dst, d->rows, d->weights, d->n, d->width, d->shift);
}

static void
call_down_bytes (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Down *d = data;

  kernels->down_bytes (dst, d->bytes, d->stride, d->weights, d->n, 0, d->width, d->shift);
}

/* Weights of both signs, up to the largest, whose sums stay in 31 bits. */
static void
draw_weights (Down *d, guint bits, SeedRng *rng)
{
  gint32 left = 1 << bits;

  for (guint k = 0; k < d->n; k++) {
    gint32 most = MIN (left / (gint32) (d->n - k) * 2, SEED_WEIGHT_MAX);

    d->weights[k] = (gint16) ((gint32) seed_rng_below (rng, (guint32) most + 1) - most / 16);
    left -= d->weights[k];
  }
}

static void
test_down (void)
{
  static const guint counts[] = { 1, 2, 3, 4, 5, 7, 8, 11, 13, 37, 127, 128, 129, 300 };
  SeedRng rng;
  Wall wall;

  seed_rng_init (&rng, 2);
  wall_init (&wall, sizeof (gint16) * 400 * MAX_LENGTH, &rng);
  for (guint t = 0; t < G_N_ELEMENTS (counts); t++) {
    for (guint width = 1; width < MAX_LENGTH; width += t < 6 ? 1 : 7) {
      Down d = { .n = counts[t], .width = width, .stride = (gssize) width };
      const gint16 *mids = wall_mids (&wall, (gsize) d.n * width, &rng);

      for (guint k = 0; k < d.n; k++)
        d.rows[k] = mids + (gsize) k * width;
      draw_weights (&d, 18, &rng);
      d.shift = 18;
      assert_same (call_down, &d, width * sizeof (gint16), 2 * (width % 2));
      d.bytes = wall.end - (gsize) d.n * width; /* whatever bits the mids have */
      draw_weights (&d, 22, &rng);
      d.shift = 1 + width % 20;
      assert_same (call_down_bytes, &d, width * sizeof (gint16), 2 * (width % 2));
    }
  }
  wall_clear (&wall);
}

/* The largest and the smallest weight on the largest byte. */
static void
test_extreme_weights (void)
{
  static const gint16 extremes[] = { SEED_WEIGHT_MAX, -32768, 127, 128, -128, -129, 255, 256, -1 };
  guint8 bytes[4 * 70];
  Down d = { .n = 4, .width = 70, .stride = 70, .bytes = bytes, .shift = 12 };

  memset (bytes, 255, sizeof bytes);
  for (guint a = 0; a < G_N_ELEMENTS (extremes); a++) {
    for (guint b = 0; b < G_N_ELEMENTS (extremes); b++) {
      for (guint k = 0; k < 4; k++)
        d.weights[k] = extremes[(a + k * b) % G_N_ELEMENTS (extremes)];
      assert_same (call_down_bytes, &d, 70 * sizeof (gint16), 0);
    }
  }
}

typedef struct {
  const SeedAxis *axis;
  const gint16 *line;
} Across;

static void
call_across (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Across *a = data;

  kernels->across (dst, a->line, a->axis);
}

static void
test_across (void)
{
  static const guint sides[] = { 1, 2, 9, 40, 224, 641, 1920, 3840, 16384 };
  SeedAxis axis = { 0 };
  SeedRng rng;
  Wall wall;
  guint sizes_seen = 0;

  seed_rng_init (&rng, 3);
  wall_init (&wall, sizeof (gint16) * (2 * 16384 + 64), &rng);
  for (guint s = 0; s < G_N_ELEMENTS (sides); s++) {
    for (guint out = 1; out <= 1000; out += out < 36 ? 1 : 94) {
      for (guint t = 0; t < 4; t++) {
        double n = sides[s], from = t % 2 ? 0 : n * 0.3;
        gsize readable;
        Across a = { &axis, NULL };

        seed_axis_build (&axis, sides[s], from, from + n * (t % 2 ? 1 : 0.6), out,
            (SeedFilter) (t / 2), (SeedPass) (t % 2));
        sizes_seen |= 1u << axis.groups.size;
        readable = (gsize) axis.n_used + axis.taps + SEED_ROW_MARGIN;
        a.line = wall_values (&wall, readable, t % 2 ? SEED_MID_MAX : 255, &rng);
        assert_same (call_across, &a, out * sizeof (gint16), 2 * (out % 2));
      }
    }
  }
  g_assert_cmpuint (sizes_seen, ==, 1 << 8 | 1 << 4 | 1 << 2 | 1 << 0); /* each way of grouping */
  seed_axis_clear (&axis);
  wall_clear (&wall);
}

typedef struct {
  guint n;
  SeedColour colour;
  const gint16 *yuv[3];
  guint8 rgb[3 * MAX_LENGTH];
  gint16 matrix[9];
  gint32 add[3];
} Colour;

static void
call_levels (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Colour *c = data;

  kernels->levels (dst, c->yuv[0], c->n, &c->colour);
}

static void
call_yuv (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Colour *c = data;
  guint8 *out = dst, *rgb[3] = { out, out + c->n, out + (gsize) 2 * c->n };

  kernels->yuv (rgb, c->yuv, c->n, &c->colour);
}

static void
call_mix (const SeedResampleKernels *kernels, gpointer dst, gconstpointer data)
{
  const Colour *c = data;
  guint8 *out = dst, *rgb[3] = { out, out + c->n, out + (gsize) 2 * c->n };

  memcpy (out, c->rgb, (gsize) 3 * c->n);
  kernels->mix (rgb, c->n, c->matrix, c->add);
}

static void
test_colour (void)
{
  SeedRng rng;
  Wall walls[3];

  seed_rng_init (&rng, 4);
  for (guint p = 0; p < 3; p++)
    wall_init (&walls[p], sizeof (gint16) * MAX_LENGTH, &rng);
  for (guint n = 1; n < MAX_LENGTH; n++) {
    Colour c = { .n = n };

    seed_colour_init (&c.colour, n % 2 ? 0.2126 : 0.299, n % 2 ? 0.0722 : 0.114, n % 3 == 0);
    for (guint p = 0; p < 3; p++)
      c.yuv[p] = wall_mids (&walls[p], n, &rng);
    for (guint i = 0; i < 3 * n; i++)
      c.rgb[i] = (guint8) seed_rng_next (&rng);
    for (guint i = 0; i < 9; i++)
      c.matrix[i] = (gint16) ((gint32) seed_rng_below (&rng, 16000) - 8000);
    for (guint i = 0; i < 3; i++)
      c.add[i] = (gint32) seed_rng_below (&rng, 1 << 20) - (1 << 19);
    assert_same (call_levels, &c, n, n % 5);
    assert_same (call_yuv, &c, (gsize) 3 * n, n % 5);
    assert_same (call_mix, &c, (gsize) 3 * n, n % 5);
  }
  for (guint p = 0; p < 3; p++)
    wall_clear (&walls[p]);
}

/* AMX is for products alone. */
static const char *
table_name (SeedCpuLevel level)
{
  return seed_cpu_level_name (MIN (level, SEED_CPU_AVX512));
}

static void
test_levels (void)
{
  g_assert_true (seed_resample_kernels_for (SEED_CPU_C) == &seed_resample_kernels_c);
  g_assert_cmpstr (seed_resample_kernels ()->name, ==, table_name (seed_cpu_level ()));
  for (guint level = 0; level < SEED_N_CPU_LEVELS; level++) {
    const SeedResampleKernels *kernels = seed_resample_kernels_for ((SeedCpuLevel) level);

    g_assert_true ((kernels != NULL) == (level <= seed_cpu_best_level ()));
    if (kernels)
      g_assert_cmpstr (kernels->name, ==, table_name ((SeedCpuLevel) level));
  }
}

/* SEED_CPU is read once, so each value needs a process. */
static void
test_forced (gconstpointer name)
{
  if (g_test_subprocess ()) {
    SeedCpuLevel best = seed_cpu_best_level ();
    const char *used;

    g_setenv ("SEED_CPU", name, TRUE);
    used = seed_resample_kernels ()->name;
    if (g_str_equal (name, "c") || (g_str_equal (name, "avx2") && best >= SEED_CPU_AVX2))
      g_assert_cmpstr (used, ==, name);
    else
      g_assert_cmpstr (used, ==, table_name (best));
    return;
  }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/resample-kernels/levels", test_levels);
  g_test_add_data_func ("/resample-kernels/forced/c", "c", test_forced);
  g_test_add_data_func ("/resample-kernels/forced/avx2", "avx2", test_forced);
  g_test_add_data_func ("/resample-kernels/forced/avx512", "avx512", test_forced);
  g_test_add_data_func ("/resample-kernels/forced/unknown", "sse9", test_forced);
  g_test_add_func ("/resample-kernels/unpack", test_unpack);
  g_test_add_func ("/resample-kernels/down", test_down);
  g_test_add_func ("/resample-kernels/extreme-weights", test_extreme_weights);
  g_test_add_func ("/resample-kernels/across", test_across);
  g_test_add_func ("/resample-kernels/colour", test_colour);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
/* Every table of kernels over packed matrices against the reference. */
#include "nn-util.h"
#include "nn/backend.h"
#include "nn/tiles.h"

#define MAX_K 130
#define COUNT 70 /* rows or columns in memory */
#define STRIDE 140

typedef struct {
  const SeedTiles *tiles;
  float *floats;    /* [COUNT or MAX_K, STRIDE] */
  SeedBf16 *halves; /* the same */
  guint8 *bytes;
} Fixture;

static void
fixture_init (Fixture *f)
{
  gsize n = MAX_K * STRIDE;
  SeedRng rng;

  f->tiles = seed_tiles_get ();
  f->floats = new_reals (n);
  f->halves = g_new (SeedBf16, n);
  f->bytes = g_new (guint8, n);
  seed_rng_init (&rng, 1);
  fill_normal (f->floats, n, 0, 1, &rng);
  for (gsize i = 0; i < n; i++) {
    f->halves[i] = seed_bf16_from_float (f->floats[i]);
    f->bytes[i] = (guint8) seed_rng_below (&rng, 256);
  }
}

static void
fixture_clear (Fixture *f)
{
  g_free (f->floats);
  g_free (f->halves);
  g_free (f->bytes);
}

static const void *
data_of (const Fixture *f, SeedPrecision precision, SeedRowsType type)
{
  if (precision == SEED_PRECISION_INT8)
    return f->bytes;
  return type == SEED_ROWS_BF16 ? (const void *) f->halves : f->floats;
}

static void
check_pack (const Fixture *f, SeedPrecision precision, SeedRowsType type, guint count, guint k,
    gboolean columns)
{
  guint width = MAX (count, SEED_TILE_COLUMNS);
  gsize n = seed_tile_units (precision, k) * width;
  g_autofree guint32 *a = g_new (guint32, n + 1), *b = g_new (guint32, n + 1);
  const void *x = data_of (f, precision, type);

  memset (a, 0x5a, (n + 1) * sizeof *a); /* what is not theirs stays */
  memset (b, 0x5a, (n + 1) * sizeof *b);
  if (columns) {
    f->tiles->pack_columns (precision, type, x, STRIDE, count, k, a, width);
    seed_tiles_reference ()->pack_columns (precision, type, x, STRIDE, count, k, b, width);
  } else {
    f->tiles->pack_rows (precision, type, x, STRIDE, count, k, a, width);
    seed_tiles_reference ()->pack_rows (precision, type, x, STRIDE, count, k, b, width);
  }
  g_assert_cmpmem (a, (n + 1) * sizeof *a, b, (n + 1) * sizeof *b);
}

static void
test_pack (void)
{
  static const guint ks[] = { 1, 2, 3, 15, 16, 31, 33, 63, 64, 65, 129 };
  static const guint counts[] = { 1, 5, 12, 16, 31, 32 };
  Fixture f;

  fixture_init (&f);
  for (guint p = 0; p < SEED_N_PRECISIONS; p++)
    for (guint k = 0; seed_tiles_fast (p) && k < G_N_ELEMENTS (ks); k++)
      for (guint c = 0; c < G_N_ELEMENTS (counts); c++) {
        check_pack (&f, p, SEED_ROWS_REAL, counts[c], ks[k], FALSE);
        if (p != SEED_PRECISION_INT8)
          check_pack (&f, p, SEED_ROWS_REAL, counts[c], ks[k], TRUE);
        if (p == SEED_PRECISION_BFLOAT16) {
          check_pack (&f, p, SEED_ROWS_BF16, counts[c], ks[k], FALSE);
          check_pack (&f, p, SEED_ROWS_BF16, counts[c], ks[k], TRUE);
        }
      }
  fixture_clear (&f);
}

static void
check_quantise (const Fixture *f, SeedRowsType type, guint k)
{
  gsize stride = (k + 3) / 4 * 4;
  const guint rows = 7;
  g_autofree guint8 *a = g_new0 (guint8, rows * stride), *b = g_new0 (guint8, rows * stride);
  float a_scale[7], b_scale[7];
  const void *x = data_of (f, SEED_PRECISION_FLOAT32, type);

  f->tiles->quantise (type, x, STRIDE, rows, k, a, stride, a_scale);
  seed_tiles_reference ()->quantise (type, x, STRIDE, rows, k, b, stride, b_scale);
  g_assert_cmpmem (a, rows * stride, b, rows * stride);
  g_assert_cmpmem (a_scale, sizeof a_scale, b_scale, sizeof b_scale);
}

static void
test_quantise (void)
{
  Fixture f;

  fixture_init (&f);
  memset (f.floats + 2 * STRIDE, 0, STRIDE * sizeof *f.floats);
  for (guint k = 1; seed_tiles_fast (SEED_PRECISION_FLOAT32) && k < MAX_K; k += 7) {
    check_quantise (&f, SEED_ROWS_REAL, k);
    check_quantise (&f, SEED_ROWS_BF16, k);
  }
  fixture_clear (&f);
}

/* Packs both factors by the reference and multiplies by both tables. */
static void
check_multiply (const Fixture *f, SeedPrecision precision, guint m, guint n, guint k, guint mode)
{
  const SeedTiles *c = seed_tiles_reference ();
  gsize units = seed_tile_units (precision, k), panels = seed_tile_panels_size (precision, k, n);
  g_autofree guint32 *a = g_new0 (guint32, m * units), *b = g_new0 (guint32, panels);
  g_autofree float *y = new_reals (m * n), *expected = new_reals (m * n);
  g_autofree gint32 *shift = g_new (gint32, n);
  const void *x = data_of (f, precision, SEED_ROWS_REAL);
  SeedTile tile = { .a = a,
    .b = b,
    .m = m,
    .n = n,
    .units = units,
    .panel_stride = units * SEED_TILE_COLUMNS,
    .row_scale = f->floats,
    .column_scale = f->floats + STRIDE,
    .column_shift = shift,
    .bias = mode & 1 ? f->floats + 2 * STRIDE : NULL,
    .activate = (mode & 2) != 0,
    .activation = (SeedActivation) (m % 5),
    .residual = mode & 4 ? f->floats + 3 * STRIDE : NULL,
    .residual_stride = STRIDE,
    .c_stride = n };

  for (guint j = 0; j < n; j++)
    shift[j] = (gint32) (j * 1000) - 20000;
  for (guint s = 0; s < seed_tile_n_strips (m); s++) {
    guint begin = seed_tile_strip (m, seed_tile_n_strips (m), s);
    guint rows = seed_tile_strip (m, seed_tile_n_strips (m), s + 1) - begin;

    c->pack_rows (precision, SEED_ROWS_REAL,
        (const char *) x + begin * STRIDE * (precision == SEED_PRECISION_INT8 ? 1 : 4), STRIDE,
        rows, k, a + begin * units, rows);
  }
  for (guint j = 0; j < n; j += SEED_TILE_COLUMNS)
    c->pack_rows (precision, SEED_ROWS_REAL, x, STRIDE, MIN (SEED_TILE_COLUMNS, n - j), k,
        b + j * units, SEED_TILE_COLUMNS);
  tile.c = y;
  f->tiles->multiply[precision](&tile);
  tile.c = expected;
  c->multiply[precision](&tile);
  assert_close (y, expected, m * n, 2e-6);
}

static void
test_multiply (void)
{
  Fixture f;

  fixture_init (&f);
  for (guint p = 0; p < SEED_N_PRECISIONS; p++)
    for (guint m = 1; seed_tiles_fast (p) && m <= 26; m++)
      for (guint mode = 0; mode < 8; mode++)
        check_multiply (&f, p, m, 1 + m * 29 % 69, 1 + m * 17 % 97, mode);
  fixture_clear (&f);
}

static void
test_softmax (void)
{
  static const guint columns[] = { 1, 15, 16, 17, 100, 130 };
  Fixture f;

  fixture_init (&f);
  for (guint c = 0; seed_tiles_fast (SEED_PRECISION_FLOAT32) && c < G_N_ELEMENTS (columns); c++)
    for (int causal = -1; causal < 3; causal++) {
      g_autofree float *a = g_memdup2 (f.floats, 5 * STRIDE * sizeof *a);
      g_autofree float *b = g_memdup2 (f.floats, 5 * STRIDE * sizeof *b);

      f.tiles->softmax (a, STRIDE, 5, columns[c], 3, causal);
      seed_tiles_reference ()->softmax (b, STRIDE, 5, columns[c], 3, causal);
      assert_close (a, b, 5 * STRIDE, 1e-6);
    }
  fixture_clear (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_message ("table %s", seed_tiles_get ()->name);
  g_test_add_func ("/backend-tiles/pack", test_pack);
  g_test_add_func ("/backend-tiles/quantise", test_quantise);
  g_test_add_func ("/backend-tiles/multiply", test_multiply);
  g_test_add_func ("/backend-tiles/softmax", test_softmax);
  return g_test_run ();
}

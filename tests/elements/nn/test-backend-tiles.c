/* SPDX-License-Identifier: MIT */
/* Every table of kernels over packed matrices against the reference. */
#include "core/cpu.h"
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

static const SeedTiles *
find_table (const char *name)
{
#ifdef __x86_64__
  if (g_str_equal (name, "avx512") && seed_cpu_level () >= SEED_CPU_AVX512)
    return seed_tiles_avx512 ();
  if (g_str_equal (name, "amx"))
    return seed_tiles_amx ();
#endif
  return NULL;
}

/* FALSE, and the test is skipped, when this processor cannot run the table. */
static gboolean
fixture_init (Fixture *f, gconstpointer name)
{
  gsize n = MAX_K * STRIDE;
  SeedRng rng;

  f->tiles = find_table (name);
  if (!f->tiles) {
    g_autofree char *why = g_strdup_printf ("no %s here", (const char *) name);

    g_test_skip (why);
    return FALSE;
  }
  f->floats = new_reals (n);
  f->halves = g_new (SeedBf16, n);
  f->bytes = g_new (guint8, n);
  seed_rng_init (&rng, 1);
  fill_normal (f->floats, n, 0, 1, &rng);
  for (gsize i = 0; i < n; i++) {
    f->halves[i] = seed_bf16_from_float (f->floats[i]);
    f->bytes[i] = (guint8) seed_rng_below (&rng, 256);
  }
  return TRUE;
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
test_pack (gconstpointer name)
{
  static const guint ks[] = { 1, 2, 3, 15, 16, 31, 33, 63, 64, 65, 129 };
  static const guint counts[] = { 1, 5, 12, 16, 31, 32 };
  Fixture f;

  if (!fixture_init (&f, name))
    return;
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
test_quantise (gconstpointer name)
{
  Fixture f;

  if (!fixture_init (&f, name))
    return;
  memset (f.floats + 2 * STRIDE, 0, STRIDE * sizeof *f.floats);
  for (guint k = 1; seed_tiles_fast (SEED_PRECISION_FLOAT32) && k < MAX_K; k += 7) {
    check_quantise (&f, SEED_ROWS_REAL, k);
    check_quantise (&f, SEED_ROWS_BF16, k);
  }
  fixture_clear (&f);
}

/* The left factor as strips; or as lines, with some space between them. */
static void
pack_left (const Fixture *f, SeedPrecision precision, guint m, guint k, gboolean lines, guint32 *a,
    gsize a_stride)
{
  const SeedTiles *c = seed_tiles_reference ();
  const char *x = data_of (f, precision, SEED_ROWS_REAL);
  gsize units = seed_tile_units (precision, k),
        row = STRIDE * (precision == SEED_PRECISION_INT8 ? 1 : 4);
  guint n_strips = lines ? m : seed_tile_n_strips (m);

  for (guint s = 0; s < n_strips; s++) {
    guint begin = seed_tile_strip (m, n_strips, s);
    guint rows = seed_tile_strip (m, n_strips, s + 1) - begin;

    c->pack_rows (precision, SEED_ROWS_REAL, x + begin * row, STRIDE, rows, k,
        a + begin * (lines ? a_stride : units), rows);
  }
}

/* Packs both factors by the reference and multiplies by both tables. */
static void
check_multiply (const Fixture *f, SeedPrecision precision, guint m, guint n, guint k, guint mode)
{
  const SeedTiles *c = seed_tiles_reference ();
  gsize units = seed_tile_units (precision, k), panels = seed_tile_panels_size (precision, k, n);
  gboolean lines = f->tiles->takes_lines[precision] &&
                   (precision != SEED_PRECISION_FLOAT32 || (m + mode) % 2 == 0);
  gsize a_stride = lines ? units + 3 : 0;
  g_autofree guint32 *a = g_new0 (guint32, m * MAX (units, a_stride));
  g_autofree guint32 *b = g_new0 (guint32, panels);
  g_autofree float *y = new_reals (m * n), *expected = new_reals (m * n);
  g_autofree gint32 *shift = g_new (gint32, n);
  gboolean scaled = precision == SEED_PRECISION_INT8 || (lines && mode & 8);
  SeedTile tile = { .a = a,
    .b = b,
    .m = m,
    .n = n,
    .units = units,
    .lines = lines,
    .a_stride = a_stride,
    .panel_stride = units * SEED_TILE_COLUMNS,
    .row_scale = scaled && precision != SEED_PRECISION_FLOAT32 ? f->floats : NULL,
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
  pack_left (f, precision, m, k, lines, a, a_stride);
  for (guint j = 0; j < n; j += SEED_TILE_COLUMNS)
    c->pack_rows (precision, SEED_ROWS_REAL, data_of (f, precision, SEED_ROWS_REAL), STRIDE,
        MIN (SEED_TILE_COLUMNS, n - j), k, b + j * units, SEED_TILE_COLUMNS);
  tile.c = y;
  f->tiles->multiply[precision](&tile);
  tile.c = expected;
  c->multiply[precision](&tile);
  assert_close (y, expected, m * n, 2e-6);
}

static void
test_multiply (gconstpointer name)
{
  Fixture f;

  if (!fixture_init (&f, name))
    return;
  for (guint p = 0; p < SEED_N_PRECISIONS; p++)
    for (guint m = 1; seed_tiles_fast (p) && m <= 50; m++)
      for (guint mode = 0; mode < 16; mode++)
        check_multiply (&f, p, m, 1 + m * 29 % 69, 1 + m * 17 % 97, mode);
  fixture_clear (&f);
}

static void
test_softmax (gconstpointer name)
{
  static const guint columns[] = { 1, 15, 16, 17, 100, 130 };
  Fixture f;

  if (!fixture_init (&f, name))
    return;
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

/* Lines of bfloat16: of rows they are their rounded copies, of columns those of the transpose. */
static void
check_lines (const Fixture *f, SeedRowsType type, guint count, guint k, gboolean columns)
{
  gsize units = seed_tile_units (SEED_PRECISION_BFLOAT16, k);
  g_autofree guint32 *lines = g_new (guint32, count * units + 1);
  const void *x = data_of (f, SEED_PRECISION_BFLOAT16, type);

  memset (lines, 0x5a, (count * units + 1) * sizeof *lines); /* what is not theirs stays */
  (columns ? f->tiles->line_columns : f->tiles->line_rows) (type, x, STRIDE, count, k, lines);
  for (guint r = 0; r < count; r++)
    for (gsize i = 0; i < 2 * units; i++)
      g_assert_cmpuint (((SeedBf16 *) (lines + r * units))[i], ==,
          i < k ? f->halves[columns ? i * STRIDE + r : r * STRIDE + i] : 0);
  g_assert_cmpuint (lines[count * units], ==, 0x5a5a5a5a);
}

static void
test_lines (gconstpointer name)
{
  static const guint ks[] = { 1, 2, 31, 32, 33, 65, 129 }, counts[] = { 1, 15, 16, 17, 40 };
  Fixture f;

  if (!fixture_init (&f, name))
    return;
  for (guint k = 0; f.tiles->line_rows && k < G_N_ELEMENTS (ks); k++)
    for (guint c = 0; c < G_N_ELEMENTS (counts); c++)
      for (guint columns = 0; columns < 2; columns++) {
        check_lines (&f, SEED_ROWS_REAL, counts[c], ks[k], columns != 0);
        check_lines (&f, SEED_ROWS_BF16, counts[c], ks[k], columns != 0);
      }
  fixture_clear (&f);
}

/* Divided by their sums, they are what the other softmax gives, rounded. */
static void
check_softmax_lines (const Fixture *f, guint columns, int causal)
{
  enum { ROWS = 5 };
  g_autofree float *a = g_memdup2 (f->floats, ROWS * STRIDE * sizeof *a);
  g_autofree float *b = g_memdup2 (f->floats, ROWS * STRIDE * sizeof *b);
  float inverse[ROWS];

  f->tiles->softmax_lines (a, STRIDE, ROWS, columns, 3, causal, inverse);
  seed_tiles_reference ()->softmax (b, STRIDE, ROWS, columns, 3, causal);
  for (guint r = 0; r < ROWS; r++)
    for (gsize i = 0; i < 2 * seed_tile_units (SEED_PRECISION_BFLOAT16, columns); i++) {
      float p = inverse[r] * seed_bf16_to_float (((SeedBf16 *) (a + r * STRIDE))[i]);

      if (i >= columns || b[r * STRIDE + i] == 0)
        g_assert_cmpfloat (p, ==, 0);
      else
        g_assert_cmpfloat (fabsf (p / b[r * STRIDE + i] - 1), <, 4.1e-3); /* of 8 bits */
    }
}

static void
test_softmax_lines (gconstpointer name)
{
  static const guint columns[] = { 1, 15, 16, 17, 33, 100, 130 };
  Fixture f;

  if (!fixture_init (&f, name))
    return;
  for (guint c = 0; f.tiles->softmax_lines && c < G_N_ELEMENTS (columns); c++)
    for (int causal = -1; causal < 3; causal++)
      check_softmax_lines (&f, columns[c], causal);
  fixture_clear (&f);
}

static void
add_tests (const char *name)
{
  static const struct {
    const char *name;
    GTestDataFunc func;
  } tests[] = { { "pack", test_pack }, { "lines", test_lines }, { "quantise", test_quantise },
    { "multiply", test_multiply }, { "softmax", test_softmax },
    { "softmax-lines", test_softmax_lines } };

  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strdup_printf ("/backend-tiles/%s/%s", name, tests[i].name);

    g_test_add_data_func (path, name, tests[i].func);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_message ("table %s", seed_tiles_get ()->name);
  add_tests ("avx512");
  add_tests ("amx");
  return g_test_run ();
}

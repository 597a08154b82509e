/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/rng.h>

#include "replay/signature.h"

enum { W = 320, H = 180 };

static SeedLuma
grey (const guint8 *data)
{
  return (SeedLuma){
    .width = W, .height = H, .n_components = 1, .data = { data }, .stride = { W }, .step = { 1 }
  };
}

static SeedSignature
signature_of (const SeedLuma *luma)
{
  SeedSignature signature;

  seed_signature_of_luma (&signature, luma);
  return signature;
}

/* Waves and a bright square at @x, @y, with noise. */
static guint8 *
new_scene (guint x, guint y, double gain, double noise, guint64 seed)
{
  guint8 *data = g_malloc (W * H);
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (guint j = 0; j < H; j++) {
    for (guint i = 0; i < W; i++) {
      double v = 110 + 60 * sin (i * 0.05) * cos (j * 0.08);

      if (i >= x && i < x + 60 && j >= y && j < y + 60)
        v = 230;
      v = v * gain + noise * seed_rng_normal (&rng);
      data[j * W + i] = (guint8) CLAMP (v, 0, 255);
    }
  }
  return data;
}

static double
likeness_of (guint8 *a, guint8 *b)
{
  SeedLuma x = grey (a), y = grey (b);
  SeedSignature s = signature_of (&x), t = signature_of (&y);
  double likeness = seed_signature_likeness (&s, &t);

  g_assert_cmpfloat (likeness, ==, seed_signature_likeness (&t, &s));
  g_free (a);
  g_free (b);
  return likeness;
}

/* The formula in doubles over the cells, written independently. */
static void
test_against_formula (void)
{
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint n = 0; n < 50; n++) {
    SeedSignature s, t;
    double ma = 0, mb = 0, va = 0, vb = 0, cov = 0, expected;

    for (guint i = 0; i < SEED_SIGNATURE_CELLS; i++) {
      s.cell[i] = (guint8) seed_rng_below (&rng, 256);
      t.cell[i] = (guint8) ((s.cell[i] * n + 3 * seed_rng_below (&rng, 256)) / (n + 3));
      ma += s.cell[i] / 256.0;
      mb += t.cell[i] / 256.0;
    }
    seed_signature_of_cells (&s, s.cell);
    seed_signature_of_cells (&t, t.cell);
    for (guint i = 0; i < SEED_SIGNATURE_CELLS; i++) {
      va += (s.cell[i] - ma) * (s.cell[i] - ma) / 256;
      vb += (t.cell[i] - mb) * (t.cell[i] - mb) / 256;
      cov += (s.cell[i] - ma) * (t.cell[i] - mb) / 256;
    }
    expected = (2 * ma * mb + 6.5025) * (2 * cov + 58.5225) /
               ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225));
    g_assert_cmpfloat_with_epsilon (seed_signature_likeness (&s, &t), expected, 1e-12);
    g_assert_cmpfloat (seed_signature_likeness (&s, &s), ==, 1);
  }
}

static void
test_tells_duplicates (void)
{
  /* noise of a camera, a small move: the same; another place, another light: not */
  g_assert_cmpfloat (
      likeness_of (new_scene (40, 40, 1, 6, 1), new_scene (40, 40, 1, 6, 2)), >, 0.99);
  g_assert_cmpfloat (
      likeness_of (new_scene (40, 40, 1, 6, 1), new_scene (43, 41, 1, 6, 2)), >, 0.94);
  g_assert_cmpfloat (
      likeness_of (new_scene (40, 40, 1, 6, 1), new_scene (200, 90, 1, 6, 2)), <, 0.8);
  g_assert_cmpfloat (
      likeness_of (new_scene (40, 40, 1, 6, 1), new_scene (40, 40, 0.5, 6, 2)), <, 0.85);
}

/* Dark frames are alike although their noise is not; a dark and a grey one are not. */
static void
test_empty_frames (void)
{
  g_assert_cmpfloat (likeness_of (new_scene (0, 0, 0, 3, 1), new_scene (0, 0, 0, 3, 2)), >, 0.94);
  g_assert_cmpfloat (likeness_of (new_scene (0, 0, 0, 0, 1), new_scene (0, 0, 0, 0, 2)), ==, 1);
  g_assert_cmpfloat (likeness_of (new_scene (0, 0, 0, 3, 1), new_scene (9, 9, 1, 3, 2)), <, 0.5);
}

/* Padding, packed pixels and colour order do not matter. */
static void
test_layouts (void)
{
  g_autofree guint8 *data = new_scene (30, 60, 1, 5, 4), *padded = g_malloc (2 * W * H),
                    *bgr = g_malloc (3 * W * H);
  SeedLuma plain = grey (data), wide = grey (padded), packed = grey (bgr);
  SeedSignature s = signature_of (&plain), t;

  wide.stride[0] = 2 * W;
  packed.n_components = 3;
  for (guint c = 0; c < 3; c++) {
    packed.data[c] = bgr + 2 - c;
    packed.stride[c] = 3 * W;
    packed.step[c] = 3;
  }
  for (guint j = 0; j < H; j++) {
    memset (padded + j * 2 * W, 255, 2 * W);
    memcpy (padded + j * 2 * W, data + j * W, W);
  }
  for (guint i = 0; i < W * H; i++)
    memset (bgr + 3 * i, data[i], 3);
  t = signature_of (&wide);
  g_assert_cmpmem (&s, sizeof s, &t, sizeof t);
  t = signature_of (&packed);
  g_assert_cmpmem (&s, sizeof s, &t, sizeof t);

  for (guint i = 0; i < W * H; i++) { /* pure blue is darker than pure green */
    bgr[3 * i] = 200;
    bgr[3 * i + 1] = bgr[3 * i + 2] = 0;
  }
  t = signature_of (&packed);
  g_assert_cmpuint (t.cell[100], ==, 23);
}

static void
test_odd_sizes (void)
{
  static const guint sizes[][2] = { { 1, 1 }, { 3, 2 }, { 17, 5 }, { 16, 16 }, { 1, 300 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree guint8 *data = g_malloc (sizes[i][0] * sizes[i][1]); /* exact: ASan looks on */
    SeedLuma luma = grey (data);
    SeedSignature s;

    memset (data, 77, sizes[i][0] * sizes[i][1]);
    luma.width = sizes[i][0];
    luma.height = sizes[i][1];
    luma.stride[0] = (int) luma.width;
    s = signature_of (&luma);
    for (guint c = 0; c < SEED_SIGNATURE_CELLS; c++)
      g_assert_cmpuint (s.cell[c], ==, 77);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/signature/against-formula", test_against_formula);
  g_test_add_func ("/signature/tells-duplicates", test_tells_duplicates);
  g_test_add_func ("/signature/empty-frames", test_empty_frames);
  g_test_add_func ("/signature/layouts", test_layouts);
  g_test_add_func ("/signature/odd-sizes", test_odd_sizes);
  return g_test_run ();
}

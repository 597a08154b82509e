/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "test-frames.h"

/* --- against Pillow ----------------------------------------------------------------------------
 */

typedef struct {
  SeedFilter filter;
  Pattern pattern;
  guint width, height, size;
  SeedBox box;
  const guint8 *expected; /* S * S * 3 interleaved */
} Fixture;

static void
read_fixture (Fixture *fixture, const char *data, gsize length)
{
  char filter[16], pattern[16];
  const char *end = memchr (data, '\n', length);
  SeedBox *box = &fixture->box;

  g_assert_nonnull (end);
  g_assert_cmpint (
      sscanf (data, "%15s %15s %ux%u %u %lf %lf %lf %lf", filter, pattern, &fixture->width,
          &fixture->height, &fixture->size, &box->x0, &box->y0, &box->x1, &box->y1),
      ==, 9);
  fixture->filter = strcmp (filter, "bicubic") == 0 ? SEED_FILTER_BICUBIC : SEED_FILTER_BILINEAR;
  fixture->pattern = strcmp (pattern, "noise") == 0     ? PATTERN_NOISE
                     : strcmp (pattern, "extreme") == 0 ? PATTERN_EXTREME
                                                        : PATTERN_SMOOTH;
  fixture->expected = (const guint8 *) end + 1;
  g_assert_cmpuint (length - (gsize) (end + 1 - data), ==, 3 * fixture->size * fixture->size);
}

static void
test_pillow (gconstpointer path)
{
  g_autofree char *data = NULL;
  g_autofree guint8 *image = NULL, *planes = NULL;
  gsize length, n;
  guint n_off = 0;
  Fixture f;
  SeedFrame frame;
  SeedPlacement place;

  g_assert_true (g_file_get_contents (path, &data, &length, NULL));
  read_fixture (&f, data, length);
  image = make_pattern (f.pattern, (gsize) 3 * f.width * f.height);
  frame = rgb_frame (image, f.width, f.height, 3);
  place = place_all (f.width, f.height, f.size);
  place.box = f.box;
  planes = cut_planes (&frame, &place, f.size, f.filter);

  n = (gsize) f.size * f.size;
  for (gsize i = 0; i < n; i++) {
    for (guint c = 0; c < 3; c++) {
      int off = abs (planes[c * n + i] - f.expected[3 * i + c]);

      g_assert_cmpint (off, <=, 1);
      n_off += off != 0;
    }
  }
  /* the value between the passes is finer than Pillow's, so some differ, but not many by nature */
  g_test_message ("%u of %u values differ by 1", n_off, (guint) (3 * n));
  g_assert_cmpuint (n_off, <, 3 * n / 3);
}

static void
add_pillow_tests (void)
{
  g_autofree char *folder = g_build_filename (SEED_TEST_DATA, "patchify", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *test = NULL;

    if (!g_str_has_suffix (name, ".resample"))
      continue;
    test = g_strdup_printf ("/resample/pillow/%.*s", (int) (strlen (name) - 9), name);
    g_test_add_data_func_full (test, g_build_filename (folder, name, NULL), test_pillow, g_free);
    n++;
  }
  g_assert_cmpuint (n, >=, 24);
}

/* --- against a naive reference in double -------------------------------------------------------
 */

static double
kernel (SeedFilter filter, double x)
{
  x = fabs (x);
  if (filter == SEED_FILTER_BILINEAR)
    return MAX (0.0, 1.0 - x);
  if (x < 1)
    return 1.5 * x * x * x - 2.5 * x * x + 1;
  return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0.0;
}

/* out[i * out_step] of in[k * in_step], every sample weighed for every output. */
static void
naive_axis (const double *in, guint n_in, gsize in_step, double b0, double b1, double *out,
    guint n_out, gsize out_step, SeedFilter filter)
{
  double step = (b1 - b0) / n_out, scale = MAX (1.0, step);

  for (guint i = 0; i < n_out; i++) {
    double centre = b0 + (i + 0.5) * step, sum = 0, total = 0;

    for (guint k = 0; k < n_in; k++) {
      double w = kernel (filter, (k + 0.5 - centre) / scale);

      sum += w * in[k * in_step];
      total += w;
    }
    out[i * out_step] = CLAMP (sum / total, 0.0, 255.0);
  }
}

static double *
naive_plane (const guint8 *plane, guint width, guint height, const SeedBox *box, guint size,
    SeedFilter filter)
{
  g_autofree double *in = g_new (double, (gsize) width *height);
  g_autofree double *mid = g_new (double, (gsize) size *height);
  double *out = g_new (double, (gsize) size *size);

  for (gsize i = 0; i < (gsize) width * height; i++)
    in[i] = plane[i];
  for (guint y = 0; y < height; y++)
    naive_axis (in + y * width, width, 1, box->x0, box->x1, mid + y * size, size, 1, filter);
  for (guint x = 0; x < size; x++)
    naive_axis (mid + x, height, size, box->y0, box->y1, out + x, size, size, filter);
  return out;
}

typedef struct {
  const char *name;
  double kr, kb;
  gboolean full_range;
  SeedFilter filter;
  guint width, height, size;
  gboolean cosited_x, cosited_y;
} YuvCase;

static const YuvCase yuv_cases[] = {
  { "601-limited", 0.299, 0.114, FALSE, SEED_FILTER_BILINEAR, 64, 48, 32, TRUE, FALSE },
  { "601-full", 0.299, 0.114, TRUE, SEED_FILTER_BILINEAR, 64, 48, 32, FALSE, FALSE },
  { "709-limited", 0.2126, 0.0722, FALSE, SEED_FILTER_BILINEAR, 321, 179, 32, TRUE, FALSE },
  { "709-full", 0.2126, 0.0722, TRUE, SEED_FILTER_BICUBIC, 97, 33, 24, TRUE, TRUE },
  { "709-limited-bicubic", 0.2126, 0.0722, FALSE, SEED_FILTER_BICUBIC, 200, 120, 32, TRUE, FALSE },
  { "601-limited-up", 0.299, 0.114, FALSE, SEED_FILTER_BICUBIC, 9, 7, 32, FALSE, FALSE },
  { "601-limited-tiny", 0.299, 0.114, FALSE, SEED_FILTER_BILINEAR, 1, 1, 8, TRUE, TRUE },
};

static void
naive_rgb (const YuvCase *t, double y, double u, double v, double rgb[3])
{
  double kg = 1 - t->kr - t->kb;
  double luma = t->full_range ? y / 255 : (y - 16) / 219;
  double pb = (u - 128) / (t->full_range ? 255 : 224);
  double pr = (v - 128) / (t->full_range ? 255 : 224);

  rgb[0] = luma + 2 * (1 - t->kr) * pr;
  rgb[2] = luma + 2 * (1 - t->kb) * pb;
  rgb[1] = (luma - t->kr * rgb[0] - t->kb * rgb[2]) / kg;
  for (guint c = 0; c < 3; c++)
    rgb[c] = CLAMP (rgb[c] * 255, 0.0, 255.0);
}

static void
test_yuv (gconstpointer data)
{
  const YuvCase *t = data;
  guint cw = half_up (t->width), ch = half_up (t->height);
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, i420_size (t->width, t->height));
  SeedFrame frame = i420_frame (image, t->width, t->height);
  SeedPlacement place = place_all (t->width, t->height, t->size);
  /* a sample of chroma every two of luma, a quarter of its pitch to the left when cosited */
  double dx = t->cosited_x ? 0.25 : 0, dy = t->cosited_y ? 0.25 : 0;
  SeedBox box = { dx, dy, t->width / 2.0 + dx, t->height / 2.0 + dy };
  g_autofree double *y =
      naive_plane (frame.component[0].data, t->width, t->height, &place.box, t->size, t->filter);
  g_autofree double *u = naive_plane (frame.component[1].data, cw, ch, &box, t->size, t->filter);
  g_autofree double *v = naive_plane (frame.component[2].data, cw, ch, &box, t->size, t->filter);
  g_autofree guint8 *planes = NULL;
  gsize n = (gsize) t->size * t->size;
  double sum = 0;

  frame.cosited_x = t->cosited_x;
  frame.cosited_y = t->cosited_y;
  seed_colour_init (&frame.colour, t->kr, t->kb, t->full_range);
  planes = cut_planes (&frame, &place, t->size, t->filter);
  for (gsize i = 0; i < n; i++) {
    double rgb[3];

    naive_rgb (t, y[i], u[i], v[i], rgb);
    for (guint c = 0; c < 3; c++) {
      g_assert_cmpfloat (fabs (planes[c * n + i] - rgb[c]), <=, 1.0);
      sum += planes[c * n + i] - rgb[c];
    }
  }
  if (t->width > 1) /* many colours: no drift to either side */
    g_assert_cmpfloat (fabs (sum / (3.0 * (double) n)), <, 0.02);
}

/* --- layouts and strides -----------------------------------------------------------------------
 */

static void
test_nv12_is_i420 (void)
{
  static const guint sizes[][2] = { { 321, 179 }, { 64, 64 }, { 2, 2 }, { 1, 3 }, { 31, 8 } };

  for (guint t = 0; t < G_N_ELEMENTS (sizes); t++) {
    guint w = sizes[t][0], h = sizes[t][1], cw = half_up (w), ch = half_up (h);
    g_autofree guint8 *image = make_pattern (PATTERN_NOISE, i420_size (w, h));
    g_autofree guint8 *uv = g_malloc ((gsize) 2 * cw * ch);
    g_autofree guint8 *a = NULL, *b = NULL;
    SeedFrame frame = i420_frame (image, w, h);
    SeedPlacement place = place_all (w, h, 32);

    a = cut_planes (&frame, &place, 32, SEED_FILTER_BICUBIC);
    for (gsize i = 0; i < (gsize) cw * ch; i++) {
      uv[2 * i] = frame.component[1].data[i];
      uv[2 * i + 1] = frame.component[2].data[i];
    }
    frame.component[1] = (SeedComponent){ uv, (int) (2 * cw), 2 };
    frame.component[2] = (SeedComponent){ uv + 1, (int) (2 * cw), 2 };
    b = cut_planes (&frame, &place, 32, SEED_FILTER_BICUBIC);
    g_assert_cmpmem (a, 3 * 32 * 32, b, 3 * 32 * 32);
  }
}

static void
test_rgb_layouts (void)
{
  const guint w = 37, h = 23, stride = 4 * 37 + 11;
  g_autofree guint8 *rgb = make_pattern (PATTERN_NOISE, 3 * w * h);
  g_autofree guint8 *xbgr = g_malloc0 ((gsize) stride * h);
  g_autofree guint8 *a = NULL, *b = NULL;
  SeedFrame frame = rgb_frame (rgb, w, h, 3);
  SeedPlacement place = place_all (w, h, 32);

  a = cut_planes (&frame, &place, 32, SEED_FILTER_BILINEAR);
  for (guint i = 0; i < w * h; i++)
    for (guint c = 0; c < 3; c++)
      xbgr[i / w * stride + i % w * 4 + 3 - c] = rgb[3 * i + c];
  for (guint c = 0; c < 3; c++)
    frame.component[c] = (SeedComponent){ xbgr + 3 - c, (int) stride, 4 };
  b = cut_planes (&frame, &place, 32, SEED_FILTER_BILINEAR);
  g_assert_cmpmem (a, 3 * 32 * 32, b, 3 * 32 * 32);
}

static void
test_levels (void)
{
  static const guint8 in[] = { 0, 16, 126, 235, 255 }, out[] = { 0, 0, 128, 255, 255 };

  for (guint i = 0; i < G_N_ELEMENTS (in); i++) {
    SeedFrame frame = {
      .width = 1, .height = 1, .pixels = SEED_PIXELS_GREY, .component = { { &in[i], 1, 1 } }
    };
    SeedPlacement place = place_all (1, 1, 8);
    g_autofree guint8 *limited = NULL, *full = NULL;

    seed_colour_init (&frame.colour, 0.299, 0.114, FALSE);
    limited = cut_planes (&frame, &place, 8, SEED_FILTER_BILINEAR);
    seed_colour_init (&frame.colour, 0.299, 0.114, TRUE);
    full = cut_planes (&frame, &place, 8, SEED_FILTER_BILINEAR);
    for (guint k = 0; k < 3 * 64; k++) {
      g_assert_cmpuint (limited[k], ==, out[i]);
      g_assert_cmpuint (full[k], ==, in[i]);
    }
  }
}

/* --- tables ------------------------------------------------------------------------------------
 */

static void
assert_axis (const SeedAxis *axis)
{
  g_assert_cmpuint (axis->first + axis->n_used, <=, axis->n_in);
  for (guint i = 0; i < axis->n_out; i++) {
    gint64 sum = 0, magnitude = 0;

    for (guint k = 0; k < axis->taps; k++) {
      gint16 w = axis->weights[(gsize) i * axis->taps + k];

      sum += w;
      magnitude += ABS (w);
      g_assert_true (k < axis->count[i] || w == 0);
    }
    g_assert_cmpint (sum, ==, (gint64) 1 << axis->bits);
    g_assert_cmpfloat ((double) magnitude / (double) sum, <, 1.9);
    g_assert_cmpuint (axis->start[i] + axis->count[i], <=, axis->n_used);
    g_assert_true (i == 0 || axis->start[i] >= axis->start[i - 1]);
  }
}

static void
test_axis_limits (void)
{
  static const guint sides[] = { 1, 2, 3, 5, 17, 224, 1080, 16384 };
  SeedAxis axis = { 0 };

  for (guint filter = 0; filter < 2; filter++) {
    for (guint i = 0; i < G_N_ELEMENTS (sides); i++) {
      for (guint j = 0; j < G_N_ELEMENTS (sides) - 1; j++) {
        double n = sides[i];
        const double boxes[][2] = { { 0, n }, { 0.25, n + 0.25 }, { n * 0.4, n * 0.6 },
          { n - 0.01, n }, { 0, 0.01 } };

        for (guint b = 0; b < G_N_ELEMENTS (boxes); b++) {
          seed_axis_build (&axis, sides[i], boxes[b][0], boxes[b][1], sides[j], (SeedFilter) filter,
              (SeedPass) (b % 2));
          assert_axis (&axis);
          g_assert_cmpuint (
              axis.taps, <=, seed_axis_max_taps (sides[i], sides[j], (SeedFilter) filter));
        }
      }
    }
  }
  seed_axis_clear (&axis);
}

static void
test_flat_stays_flat (void)
{
  for (guint value = 0; value < 256; value += 51) {
    g_autofree guint8 *image = g_malloc (3 * 211 * 83), *planes = NULL;
    SeedFrame frame = rgb_frame (image, 211, 83, 3);
    SeedPlacement place = place_all (211, 83, 64);

    memset (image, (int) value, 3 * 211 * 83);
    planes = cut_planes (&frame, &place, 64, SEED_FILTER_BICUBIC);
    for (guint i = 0; i < 3 * 64 * 64; i++)
      g_assert_cmpuint (planes[i], ==, value);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_pillow_tests ();
  for (guint i = 0; i < G_N_ELEMENTS (yuv_cases); i++) {
    g_autofree char *name = g_strdup_printf ("/resample/yuv/%s", yuv_cases[i].name);

    g_test_add_data_func (name, &yuv_cases[i], test_yuv);
  }
  g_test_add_func ("/resample/nv12-is-i420", test_nv12_is_i420);
  g_test_add_func ("/resample/rgb-layouts", test_rgb_layouts);
  g_test_add_func ("/resample/levels", test_levels);
  g_test_add_func ("/resample/axis-limits", test_axis_limits);
  g_test_add_func ("/resample/flat", test_flat_stays_flat);
  return g_test_run ();
}

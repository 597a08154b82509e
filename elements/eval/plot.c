/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "eval/plot.h"
#include "eval/svg.h"

#define WIDTH 900.0
#define LEFT 74.0
#define RIGHT 200.0 /* with the legend */
#define TOP 52.0
#define BOTTOM 46.0
#define PANEL_HEIGHT 190.0
#define PANEL_GAP 44.0
#define MAX_POINTS 1500u
#define LEGEND_LINE 16.0

#define INK "#222222"
#define FAINT_INK "#666666"
#define GRID "#e3e3e3"

/* Okabe and Ito's colours, which the colour-blind tell apart, those readable on white. */
static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
  "#56b4e9", "#000000", "#8c564b" };
static const char *const dashes[] = { NULL, "6 3", "2 2", "8 3 2 3", "12 4" };

typedef struct {
  double low, high;   /* of the data, or of their logarithms */
  double start, size; /* pixels; size is negative upwards */
  gboolean logarithmic;
} Axis;

SeedPlotPanel *
seed_plot_panel_new (const char *title)
{
  SeedPlotPanel *panel = g_new0 (SeedPlotPanel, 1);

  panel->title = g_strdup (title);
  panel->series = g_ptr_array_new ();
  return panel;
}

void
seed_plot_panel_free (SeedPlotPanel *panel)
{
  if (!panel)
    return;
  for (guint i = 0; i < panel->series->len; i++) {
    SeedPlotSeries *series = panel->series->pdata[i];

    g_free (series->name);
    g_array_unref (series->points);
    g_free (series);
  }
  g_ptr_array_unref (panel->series);
  g_free (panel->title);
  g_free (panel);
}

SeedPlotSeries *
seed_plot_panel_add (SeedPlotPanel *panel, const char *name, guint colour, guint dash)
{
  SeedPlotSeries *series = g_new0 (SeedPlotSeries, 1);

  *series = (SeedPlotSeries){ g_strdup (name), colour, dash,
    g_array_new (FALSE, FALSE, sizeof (double)) };
  g_ptr_array_add (panel->series, series);
  return series;
}

/* 1, 2 or 5 times a power of ten, not below @x. */
static double
round_step (double x)
{
  double power = pow (10, floor (log10 (x))), share = x / power;

  return (share <= 1 + 1e-9 ? 1 : share <= 2 + 1e-9 ? 2 : share <= 5 + 1e-9 ? 5 : 10) * power;
}

static void
add_log_ticks (GArray *ticks, double low, double high, const double *factors, guint n)
{
  for (int e = (int) floor (log10 (low)) - 1; e <= (int) ceil (log10 (high)); e++) {
    for (guint i = 0; i < n; i++) {
      double tick = factors[i] * pow (10, e);

      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
        g_array_append_val (ticks, tick);
    }
  }
}

GArray *
seed_plot_ticks (double low, double high, guint wanted, gboolean logarithmic)
{
  static const double factors[] = { 1, 2, 5 };
  GArray *ticks = g_array_new (FALSE, FALSE, sizeof (double));
  double step;

  if (logarithmic) {
    add_log_ticks (ticks, low, high, factors, high / low < 1e3 ? 3 : 1);
    if (ticks->len >= 2)
      return ticks;
    g_array_set_size (ticks, 0); /* too narrow for that */
  }
  step = round_step ((high - low) / wanted);
  for (double i = ceil (low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    double tick = i * step;

    g_array_append_val (ticks, tick);
  }
  return ticks;
}

/* Lowest and highest of a coordinate (0: x, 1: y) over series; FALSE when there is no point. */
static gboolean
find_range (const SeedPlotPanel *panel, guint which, double *low, double *high)
{
  for (guint s = 0; s < panel->series->len; s++) {
    const GArray *points = ((const SeedPlotSeries *) panel->series->pdata[s])->points;

    for (guint i = which; i < points->len; i += 2) {
      double value = g_array_index (points, double, i);

      if (isfinite (value)) {
        *low = fmin (*low, value);
        *high = fmax (*high, value);
      }
    }
  }
  return *low <= *high;
}

static double
place (const Axis *axis, double value)
{
  if (axis->logarithmic)
    value = log (value);
  return axis->start + axis->size * (value - axis->low) / (axis->high - axis->low);
}

static void
set_range (Axis *axis, double low, double high, double margin)
{
  axis->low = axis->logarithmic ? log (low) : low;
  axis->high = axis->logarithmic ? log (high) : high;
  if (axis->high - axis->low < 1e-9 * fmax (fabs (axis->low), 1e-30)) { /* one value */
    double room = axis->logarithmic || axis->low == 0 ? 0.5 : fabs (axis->low) * 0.1;

    axis->low -= room;
    axis->high += room;
  } else {
    double room = margin * (axis->high - axis->low);

    axis->low -= room;
    axis->high += room;
  }
}

static void
format_tick (double value, char *text, gsize size)
{
  g_ascii_formatd (text, (int) size, "%.6g", fabs (value) < 1e-300 ? 0 : value);
}

static void
draw_axes (SeedSvg *svg, const Axis *x, const Axis *y, gboolean with_x_labels)
{
  double y_low = y->logarithmic ? exp (y->low) : y->low;
  double y_high = y->logarithmic ? exp (y->high) : y->high;
  g_autoptr (GArray) x_ticks = seed_plot_ticks (x->low, x->high, 8, FALSE);
  g_autoptr (GArray) y_ticks = seed_plot_ticks (y_low, y_high, 5, y->logarithmic);
  double right = x->start + x->size, top = y->start + y->size;
  char label[G_ASCII_DTOSTR_BUF_SIZE];

  for (guint i = 0; i < x_ticks->len; i++) {
    double at = place (x, g_array_index (x_ticks, double, i));

    seed_svg_line (svg, at, top, at, y->start, GRID, 1);
    format_tick (g_array_index (x_ticks, double, i), label, sizeof label);
    if (with_x_labels)
      seed_svg_text (svg, at, y->start + 16, 11, SEED_SVG_MIDDLE, FALSE, FAINT_INK, label);
  }
  for (guint i = 0; i < y_ticks->len; i++) {
    double at = place (y, g_array_index (y_ticks, double, i));

    seed_svg_line (svg, x->start, at, right, at, GRID, 1);
    format_tick (g_array_index (y_ticks, double, i), label, sizeof label);
    seed_svg_text (svg, x->start - 8, at + 4, 11, SEED_SVG_END, FALSE, FAINT_INK, label);
  }
  seed_svg_line (svg, x->start, y->start, right, y->start, FAINT_INK, 1);
  seed_svg_line (svg, x->start, y->start, x->start, top, FAINT_INK, 1);
}

/* Averages of neighbours, no more than MAX_POINTS. A group with a hole in it is a hole. */
static GArray *
thin_out (const GArray *points)
{
  guint n = points->len / 2, group = (n + MAX_POINTS - 1) / MAX_POINTS;
  GArray *thin = g_array_new (FALSE, FALSE, sizeof (double));

  for (guint first = 0; first < n; first += group) {
    guint count = MIN (group, n - first);
    double mean[2] = { 0, 0 };

    for (guint i = first; i < first + count; i++) {
      mean[0] += g_array_index (points, double, 2 * i) / count;
      mean[1] += g_array_index (points, double, 2 * i + 1) / count;
    }
    g_array_append_vals (thin, mean, 2);
  }
  return thin;
}

/* A running mean of @window points around each; fewer at the ends. Holes stay and are left out. */
static GArray *
smooth_out (const GArray *points, guint window)
{
  guint n = points->len / 2, half = window / 2;
  GArray *smooth = g_array_new (FALSE, FALSE, sizeof (double));

  for (guint i = 0; i < n; i++) {
    guint reach = MIN (half, MIN (i, n - 1 - i)), count = 0;
    double sum = 0, point[2] = { g_array_index (points, double, 2 * i), NAN };

    for (guint k = i - reach; k <= i + reach; k++) {
      double value = g_array_index (points, double, 2 * k + 1);

      if (isfinite (value)) {
        sum += value;
        count++;
      }
    }
    if (isfinite (g_array_index (points, double, 2 * i + 1)) && count > 0)
      point[1] = sum / count;
    g_array_append_vals (smooth, point, 2);
  }
  return smooth;
}

/* Stretches between holes. */
static void
draw_line (SeedSvg *svg, const Axis *x, const Axis *y, const GArray *points,
    const SeedPlotSeries *series, double width, double opacity)
{
  const char *colour = colours[series->colour % G_N_ELEMENTS (colours)];
  g_autoptr (GArray) stretch = g_array_new (FALSE, FALSE, sizeof (double));

  for (guint i = 0; i <= points->len; i += 2) {
    double at[2];

    if (i < points->len && isfinite (g_array_index (points, double, i)) &&
        isfinite (g_array_index (points, double, i + 1))) {
      at[0] = place (x, g_array_index (points, double, i));
      at[1] = place (y, g_array_index (points, double, i + 1));
      g_array_append_vals (stretch, at, 2);
      continue;
    }
    if (stretch->len == 2)
      seed_svg_circle (
          svg, g_array_index (stretch, double, 0), g_array_index (stretch, double, 1), 3, colour);
    else if (stretch->len > 2)
      seed_svg_polyline (svg, (const double *) stretch->data, stretch->len / 2, colour, width,
          dashes[series->dash % G_N_ELEMENTS (dashes)], opacity);
    g_array_set_size (stretch, 0);
  }
}

static void
draw_series (SeedSvg *svg, const Axis *x, const Axis *y, const SeedPlotSeries *series, guint smooth)
{
  g_autoptr (GArray) thin = thin_out (series->points);
  g_autoptr (GArray) even = NULL;

  if (smooth <= 1) {
    draw_line (svg, x, y, thin, series, 1.6, 1);
    return;
  }
  draw_line (svg, x, y, thin, series, 1, 0.3);
  even = smooth_out (series->points, smooth);
  g_array_unref (thin);
  thin = thin_out (even);
  draw_line (svg, x, y, thin, series, 1.8, 1);
}

static void
draw_legend (SeedSvg *svg, const SeedPlotPanel *panel, double x, double y)
{
  guint room = (guint) (PANEL_HEIGHT / LEGEND_LINE), n = panel->series->len;

  for (guint i = 0; i < n; i++) {
    const SeedPlotSeries *series = panel->series->pdata[i];
    const double sample[] = { x, y + i * LEGEND_LINE, x + 22, y + i * LEGEND_LINE };

    if (i + 1 == room && n > room) {
      g_autofree char *more = g_strdup_printf ("and %u more", n - i);

      seed_svg_text (
          svg, x + 28, y + i * LEGEND_LINE + 4, 11, SEED_SVG_START, FALSE, FAINT_INK, more);
      return;
    }
    seed_svg_polyline (svg, sample, 2, colours[series->colour % G_N_ELEMENTS (colours)], 2,
        dashes[series->dash % G_N_ELEMENTS (dashes)], 1);
    seed_svg_text (
        svg, x + 28, y + i * LEGEND_LINE + 4, 11, SEED_SVG_START, FALSE, INK, series->name);
  }
}

static void
draw_panel (SeedSvg *svg, const SeedPlotPanel *panel, const Axis *x, double top,
    const SeedPlotStyle *style, gboolean with_x_labels)
{
  Axis y = { .start = top + PANEL_HEIGHT, .size = -PANEL_HEIGHT };
  double low = INFINITY, high = -INFINITY;
  g_autofree char *title = NULL;

  if (!find_range (panel, 1, &low, &high))
    low = high = 0;
  y.logarithmic = style->log_y && !panel->linear && low > 0;
  title = g_strdup_printf ("%s%s", panel->title, y.logarithmic ? " (log)" : "");
  set_range (&y, low, high, 0.06);
  seed_svg_text (svg, LEFT, top - 8, 13, SEED_SVG_START, TRUE, INK, title);
  draw_axes (svg, x, &y, with_x_labels);
  for (guint s = 0; s < panel->series->len; s++)
    draw_series (svg, x, &y, panel->series->pdata[s], style->smooth);
  draw_legend (svg, panel, WIDTH - RIGHT + 16, top + 8);
}

char *
seed_plot_draw (const GPtrArray *panels, const SeedPlotStyle *style)
{
  double height = TOP + panels->len * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + BOTTOM;
  g_autoptr (SeedSvg) svg = seed_svg_new (WIDTH, fmax (height, TOP), style->title);
  Axis x = { .start = LEFT, .size = WIDTH - LEFT - RIGHT };
  double low = INFINITY, high = -INFINITY;

  for (guint p = 0; p < panels->len; p++)
    find_range (panels->pdata[p], 0, &low, &high);
  if (low > high)
    low = high = 0;
  set_range (&x, low, high, 0);
  seed_svg_text (svg, LEFT, 22, 16, SEED_SVG_START, TRUE, INK, style->title);
  for (guint p = 0; p < panels->len; p++)
    draw_panel (svg, panels->pdata[p], &x, TOP + p * (PANEL_HEIGHT + PANEL_GAP), style, TRUE);
  seed_svg_text (
      svg, LEFT + x.size / 2, height - 8, 12, SEED_SVG_MIDDLE, FALSE, INK, style->x_label);
  return seed_svg_finish (svg);
}

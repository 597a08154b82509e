/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Lines over a common x axis, in panels below one another, as SVG. */

typedef struct {
  char *name;     /* in the legend */
  guint colour;   /* number of its colour; those of one number look alike but for the dash */
  guint dash;     /* number of its dash; 0 is a full line */
  GArray *points; /* double: x, y, x, y, ... by rising x */
} SeedPlotSeries;

typedef struct {
  char *title;
  gboolean linear;   /* never on a logarithmic scale */
  GPtrArray *series; /* of SeedPlotSeries, owned */
} SeedPlotPanel;

SeedPlotPanel *seed_plot_panel_new (const char *title);
void seed_plot_panel_free (SeedPlotPanel *panel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPlotPanel, seed_plot_panel_free)
/* The panel's; takes no reference on @name. */
SeedPlotSeries *
seed_plot_panel_add (SeedPlotPanel *panel, const char *name, guint colour, guint dash);

typedef struct {
  const char *title, *x_label;
  gboolean log_y; /* of the panels in which every y is above 0 */
  guint smooth; /* points of a running mean, drawn over the faint points themselves; 0 or 1: none */
} SeedPlotStyle;

/*
 * @panels: of SeedPlotPanel. Points that are not finite interrupt a line; a line of one point is a
 * dot; of more than 1500 points neighbours are averaged. Caller frees the text.
 */
char *seed_plot_draw (const GPtrArray *panels, const SeedPlotStyle *style);

/*
 * Ticks of an axis from @low to @high (low < high): about @wanted round numbers, or the powers of
 * ten (with 2 and 5 between when they are few) of a logarithmic one. Returns doubles; unref it.
 */
GArray *seed_plot_ticks (double low, double high, guint wanted, gboolean logarithmic);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Writes SVG 1.1 text: shapes in the order in which they are asked for, coordinates in pixels from
 * the upper left. Numbers are written without regard to the locale, with two digits. Text is
 * escaped, and what XML forbids is replaced.
 */
typedef struct _SeedSvg SeedSvg;

typedef enum { SEED_SVG_START, SEED_SVG_MIDDLE, SEED_SVG_END } SeedSvgAnchor;

/* @title: what a screen reader says; on a white ground. */
SeedSvg *seed_svg_new (double width, double height, const char *title);
void seed_svg_free (SeedSvg *svg);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSvg, seed_svg_free)
/* The whole text; nothing can be added any more. Caller frees. */
char *seed_svg_finish (SeedSvg *svg);

void seed_svg_line (
    SeedSvg *svg, double x1, double y1, double x2, double y2, const char *colour, double width);
void seed_svg_circle (SeedSvg *svg, double x, double y, double radius, const char *colour);
/* @points: x, y of @n points. @dash: a stroke-dasharray or NULL. @opacity: 0..1. */
void seed_svg_polyline (SeedSvg *svg, const double *points, guint n, const char *colour,
    double width, const char *dash, double opacity);
void seed_svg_text (SeedSvg *svg, double x, double y, double size, SeedSvgAnchor anchor,
    gboolean bold, const char *colour, const char *text);
/* A PNG file as a picture, without smoothing where it is enlarged. */
void seed_svg_png (SeedSvg *svg, double x, double y, double width, double height, GBytes *png);
/* What cannot be seen, and has a title when a mouse is over it. */
void
seed_svg_area (SeedSvg *svg, double x, double y, double width, double height, const char *title);

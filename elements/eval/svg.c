/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "eval/svg.h"

#define FONT "DejaVu Sans, Helvetica, Arial, sans-serif"

struct _SeedSvg {
  GString *text;
};

static void
append_number (GString *text, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  if (!isfinite (value))
    value = 0;
  g_ascii_formatd (digits, sizeof digits, "%.2f", CLAMP (value, -1e6, 1e6));
  g_string_append (text, digits);
}

static void
append_attribute (GString *text, const char *name, double value)
{
  g_string_append_printf (text, " %s=\"", name);
  append_number (text, value);
  g_string_append_c (text, '"');
}

static void
append_escaped (GString *text, const char *content)
{
  g_autofree char *valid = g_utf8_make_valid (content, -1);
  g_autofree char *escaped = NULL;

  for (char *c = valid; *c; c++) {
    if ((guchar) *c < 0x20 || *c == 0x7f)
      *c = ' ';
  }
  escaped = g_markup_escape_text (valid, -1);
  g_string_append (text, escaped);
}

SeedSvg *
seed_svg_new (double width, double height, const char *title)
{
  SeedSvg *svg = g_new0 (SeedSvg, 1);

  svg->text = g_string_new ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                            "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\"");
  append_attribute (svg->text, "width", width);
  append_attribute (svg->text, "height", height);
  g_string_append (svg->text, " font-family=\"" FONT "\">\n<title>");
  append_escaped (svg->text, title);
  g_string_append (svg->text, "</title>\n<rect");
  append_attribute (svg->text, "width", width);
  append_attribute (svg->text, "height", height);
  g_string_append (svg->text, " fill=\"#ffffff\"/>\n");
  return svg;
}

void
seed_svg_free (SeedSvg *svg)
{
  if (!svg)
    return;
  if (svg->text)
    g_string_free (svg->text, TRUE);
  g_free (svg);
}

char *
seed_svg_finish (SeedSvg *svg)
{
  g_string_append (svg->text, "</svg>\n");
  return g_string_free (g_steal_pointer (&svg->text), FALSE);
}

void
seed_svg_line (
    SeedSvg *svg, double x1, double y1, double x2, double y2, const char *colour, double width)
{
  g_string_append (svg->text, "<line");
  append_attribute (svg->text, "x1", x1);
  append_attribute (svg->text, "y1", y1);
  append_attribute (svg->text, "x2", x2);
  append_attribute (svg->text, "y2", y2);
  append_attribute (svg->text, "stroke-width", width);
  g_string_append_printf (svg->text, " stroke=\"%s\"/>\n", colour);
}

void
seed_svg_circle (SeedSvg *svg, double x, double y, double radius, const char *colour)
{
  g_string_append (svg->text, "<circle");
  append_attribute (svg->text, "cx", x);
  append_attribute (svg->text, "cy", y);
  append_attribute (svg->text, "r", radius);
  g_string_append_printf (svg->text, " fill=\"%s\"/>\n", colour);
}

void
seed_svg_polyline (SeedSvg *svg, const double *points, guint n, const char *colour, double width,
    const char *dash, double opacity)
{
  g_string_append (svg->text, "<polyline fill=\"none\" stroke-linejoin=\"round\"");
  append_attribute (svg->text, "stroke-width", width);
  append_attribute (svg->text, "stroke-opacity", opacity);
  if (dash)
    g_string_append_printf (svg->text, " stroke-dasharray=\"%s\"", dash);
  g_string_append_printf (svg->text, " stroke=\"%s\" points=\"", colour);
  for (guint i = 0; i < n; i++) {
    g_string_append (svg->text, i ? " " : "");
    append_number (svg->text, points[2 * i]);
    g_string_append_c (svg->text, ',');
    append_number (svg->text, points[2 * i + 1]);
  }
  g_string_append (svg->text, "\"/>\n");
}

void
seed_svg_text (SeedSvg *svg, double x, double y, double size, SeedSvgAnchor anchor, gboolean bold,
    const char *colour, const char *text)
{
  static const char *const anchors[] = { "start", "middle", "end" };

  g_string_append (svg->text, "<text");
  append_attribute (svg->text, "x", x);
  append_attribute (svg->text, "y", y);
  append_attribute (svg->text, "font-size", size);
  g_string_append_printf (svg->text, " text-anchor=\"%s\" fill=\"%s\"%s>", anchors[anchor], colour,
      bold ? " font-weight=\"bold\"" : "");
  append_escaped (svg->text, text);
  g_string_append (svg->text, "</text>\n");
}

static void
append_box (GString *text, double x, double y, double width, double height)
{
  append_attribute (text, "x", x);
  append_attribute (text, "y", y);
  append_attribute (text, "width", width);
  append_attribute (text, "height", height);
}

void
seed_svg_png (SeedSvg *svg, double x, double y, double width, double height, GBytes *png)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (png, &size);
  g_autofree char *base64 = g_base64_encode (data, size);

  g_string_append (svg->text, "<image xmlns:xlink=\"http://www.w3.org/1999/xlink\"");
  append_box (svg->text, x, y, width, height);
  g_string_append (svg->text, " image-rendering=\"pixelated\" xlink:href=\"data:image/png;base64,");
  g_string_append (svg->text, base64);
  g_string_append (svg->text, "\"/>\n");
}

void
seed_svg_area (SeedSvg *svg, double x, double y, double width, double height, const char *title)
{
  g_string_append (svg->text, "<rect");
  append_box (svg->text, x, y, width, height);
  g_string_append (svg->text, " fill=\"none\" pointer-events=\"all\"><title>");
  append_escaped (svg->text, title);
  g_string_append (svg->text, "</title></rect>\n");
}

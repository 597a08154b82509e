/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/png.h"
#include "eval/sheet.h"
#include "eval/svg.h"

#define MARGIN 8u
#define GAP 1u    /* between words */
#define SPACE 6u  /* between tiles */
#define LABEL 13u /* above a tile, for its number */

/* Digits of 3 x 5 dots, the upper left one in the highest of 15 bits. */
#define DIGIT_WIDTH 3u
#define DIGIT_HEIGHT 5u
#define DOT 2u /* pixels on a side of a dot */
static const guint16 digits[10] = { 0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9, 0x79cf, 0x79ef, 0x7249,
  0x7bef, 0x7bcf };

/* The ground is of a colour that words are rarely of: on it white, black and grey ones are seen. */
static const guint8 ground[3] = { 0x4c, 0x5c, 0x78 }, ink[3] = { 0xff, 0xff, 0xff };

static guint
side_of_square (guint n)
{
  guint side = (guint) sqrt ((double) n);

  while (side * side < n)
    side++;
  return side;
}

static guint
tile_size (const SeedSheetLayout *layout)
{
  return layout->words_across * (layout->patch_size * layout->scale + GAP) - GAP;
}

void
seed_sheet_layout_init (SeedSheetLayout *layout, const SeedNearWords *near, guint patch_size)
{
  guint n = seed_near_words_n_anchors (near), rows;

  *layout = (SeedSheetLayout){ .across = side_of_square (n),
    .words_across = side_of_square (seed_near_words_n_best (near)),
    .patch_size = patch_size,
    .scale = (SEED_SHEET_WORD_PIXELS + patch_size - 1) / patch_size };
  rows = (n + layout->across - 1) / layout->across;
  layout->width = 2 * MARGIN + layout->across * (tile_size (layout) + SPACE) - SPACE;
  layout->height = 2 * MARGIN + rows * (LABEL + tile_size (layout) + SPACE) - SPACE;
}

void
seed_sheet_tile (const SeedSheetLayout *layout, guint anchor, guint *x, guint *y, guint *size)
{
  *size = tile_size (layout);
  *x = MARGIN + anchor % layout->across * (*size + SPACE);
  *y = MARGIN + LABEL + anchor / layout->across * (LABEL + *size + SPACE);
}

static void
fill (const SeedSheetLayout *layout, guint8 *rgb, guint x, guint y, guint size)
{
  for (guint row = 0; row < size; row++) {
    guint8 *pixel = rgb + 3 * ((gsize) (y + row) * layout->width + x);

    for (guint i = 0; i < size; i++, pixel += 3)
      memcpy (pixel, ink, sizeof ink);
  }
}

static void
draw_number (const SeedSheetLayout *layout, guint8 *rgb, guint x, guint y, guint number)
{
  char text[12];

  g_snprintf (text, sizeof text, "%u", number);
  for (const char *c = text; *c; c++, x += (DIGIT_WIDTH + 1) * DOT) {
    for (guint dot = 0; dot < DIGIT_WIDTH * DIGIT_HEIGHT; dot++) {
      if (digits[*c - '0'] >> (DIGIT_WIDTH * DIGIT_HEIGHT - 1 - dot) & 1)
        fill (layout, rgb, x + dot % DIGIT_WIDTH * DOT, y + dot / DIGIT_WIDTH * DOT, DOT);
    }
  }
}

static void
draw_word (const SeedSheetLayout *layout, guint8 *rgb, guint x, guint y, const guint8 *word)
{
  guint p = layout->patch_size, side = p * layout->scale;

  for (guint row = 0; row < side; row++) {
    guint8 *pixel = rgb + 3 * ((gsize) (y + row) * layout->width + x);
    const guint8 *from = word + row / layout->scale * p;

    for (guint column = 0; column < side; column++, pixel += 3) {
      for (guint c = 0; c < 3; c++)
        pixel[c] = from[c * p * p + column / layout->scale];
    }
  }
}

static void
draw_tile (const SeedSheetLayout *layout, const SeedNearWords *near, guint anchor, guint8 *rgb)
{
  guint n, x, y, size, pitch = layout->patch_size * layout->scale + GAP;
  const SeedNearWord *words = seed_near_words_get (near, anchor, &n);

  seed_sheet_tile (layout, anchor, &x, &y, &size);
  draw_number (layout, rgb, x, y - LABEL + 1, anchor);
  for (guint i = 0; i < n; i++) {
    guint left = x + i % layout->words_across * pitch;
    guint top = y + i / layout->words_across * pitch;

    draw_word (layout, rgb, left, top, words[i].pixels);
  }
}

GBytes *
seed_sheet_draw (const SeedSheetLayout *layout, const SeedNearWords *near, GError **error)
{
  gsize size = (gsize) layout->width * layout->height * 3;
  g_autofree guint8 *rgb = g_try_malloc (size);

  if (!rgb) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "no memory for a sheet of %u x %u pixels; show fewer words", layout->width, layout->height);
    return NULL;
  }
  for (gsize i = 0; i < size; i++)
    rgb[i] = ground[i % 3];
  for (guint k = 0; k < seed_near_words_n_anchors (near); k++)
    draw_tile (layout, near, k, rgb);
  return seed_png_encode (rgb, layout->width, layout->height, error);
}

static char *
describe_tile (const SeedNearWords *near, guint anchor, double share)
{
  guint n;
  const SeedNearWord *words = seed_near_words_get (near, anchor, &n);

  if (n == 0)
    return g_strdup_printf ("anchor %u: no word", anchor);
  return g_strdup_printf ("anchor %u: cosine %.3f to %.3f, nearest of %.2f %% of words", anchor,
      words[0].cosine, words[n - 1].cosine, 100 * share);
}

char *
seed_sheet_wrap (
    const SeedSheetLayout *layout, const SeedNearWords *near, GBytes *png, const double *shares)
{
  g_autofree char *title = g_strdup_printf (
      "The words nearest to each of %u image anchors", seed_near_words_n_anchors (near));
  g_autoptr (SeedSvg) svg = seed_svg_new (layout->width, layout->height, title);

  seed_svg_png (svg, 0, 0, layout->width, layout->height, png);
  for (guint k = 0; k < seed_near_words_n_anchors (near); k++) {
    g_autofree char *text = describe_tile (near, k, shares[k]);
    guint x, y, size;

    seed_sheet_tile (layout, k, &x, &y, &size);
    seed_svg_area (svg, x, y, size, size, text);
  }
  return seed_svg_finish (svg);
}

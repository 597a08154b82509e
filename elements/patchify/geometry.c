/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "patchify/geometry.h"

static const char *const fit_names[] = {
  [SEED_FIT_SQUASH] = "squash",
  [SEED_FIT_CROP] = "crop",
  [SEED_FIT_LETTERBOX] = "letterbox",
};

const char *
seed_fit_name (SeedFit fit)
{
  g_return_val_if_fail ((guint) fit < G_N_ELEMENTS (fit_names), NULL);
  return fit_names[fit];
}

gboolean
seed_fit_from_name (const char *name, SeedFit *fit)
{
  for (guint i = 0; i < G_N_ELEMENTS (fit_names); i++) {
    if (g_strcmp0 (name, fit_names[i]) == 0) {
      *fit = (SeedFit) i;
      return TRUE;
    }
  }
  return FALSE;
}

/* The middle of the longer side. */
static void
crop_box (SeedBox *box, double width, double height, double pixel_aspect)
{
  double side_x = MIN (width, height / pixel_aspect), side_y = MIN (height, width * pixel_aspect);

  box->x0 = (width - side_x) / 2;
  box->y0 = (height - side_y) / 2;
  box->x1 = box->x0 + side_x;
  box->y1 = box->y0 + side_y;
}

static void
letterbox_place (SeedPlacement *place, double aspect, guint image_size)
{
  double width = image_size * MIN (1.0, aspect), height = image_size / MAX (1.0, aspect);

  place->width = MAX (1, (guint) lrint (width));
  place->height = MAX (1, (guint) lrint (height));
  place->x = (image_size - place->width) / 2;
  place->y = (image_size - place->height) / 2;
}

void
seed_fit_place (SeedFit fit, guint width, guint height, double pixel_aspect, guint image_size,
    SeedPlacement *place)
{
  *place =
      (SeedPlacement){ .box = { 0, 0, width, height }, .width = image_size, .height = image_size };
  if (fit == SEED_FIT_CROP)
    crop_box (&place->box, width, height, pixel_aspect);
  else if (fit == SEED_FIT_LETTERBOX)
    letterbox_place (place, width * pixel_aspect / height, image_size);
}

void
seed_words_put_row (
    guint8 *words, guint image_size, guint patch_size, guint channel, guint y, const guint8 *row)
{
  const gsize p = patch_size, word = 3 * p * p;
  const guint side = image_size / patch_size;
  guint8 *to = words + (y / patch_size) * side * word + channel * p * p + (y % patch_size) * p;

  /* a constant length is a move, not a call */
  for (guint i = 0; p == 16 && i < side; i++, to += word, row += p)
    memcpy (to, row, 16);
  for (guint i = 0; p != 16 && i < side; i++, to += word, row += p)
    memcpy (to, row, p);
}

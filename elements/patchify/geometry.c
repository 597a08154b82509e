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

/* From pixels of a side resized to @resized back to those of the frame's @side. */
static void
place_axis (const SeedWindow *window, guint resized, double side, double *begin, double *end)
{
  guint offset = (resized - window->crop) / 2;

  *begin = offset * side / resized;
  *end = (offset + window->image) * side / resized;
}

static void
window_box (SeedBox *box, SeedFit fit, guint width, guint height, double pixel_aspect,
    const SeedWindow *window)
{
  double shown = width * pixel_aspect, shorter = MIN (shown, height);
  guint resized_x = window->resize, resized_y = window->resize;

  if (fit == SEED_FIT_CROP && shown > height)
    resized_x = (guint) (window->resize * shown / shorter);
  else if (fit == SEED_FIT_CROP)
    resized_y = (guint) (window->resize * (double) height / shorter);
  place_axis (window, resized_x, width, &box->x0, &box->x1);
  place_axis (window, resized_y, height, &box->y0, &box->y1);
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
seed_fit_place_window (SeedFit fit, guint width, guint height, double pixel_aspect,
    const SeedWindow *window, SeedPlacement *place)
{
  *place = (SeedPlacement){
    .box = { 0, 0, width, height }, .width = window->image, .height = window->image
  };
  if (fit == SEED_FIT_LETTERBOX)
    letterbox_place (place, width * pixel_aspect / height, window->image);
  else
    window_box (&place->box, fit, width, height, pixel_aspect, window);
}

void
seed_fit_place (SeedFit fit, guint width, guint height, double pixel_aspect, guint image_size,
    SeedPlacement *place)
{
  const SeedWindow window = { image_size, image_size, image_size };

  seed_fit_place_window (fit, width, height, pixel_aspect, &window, place);
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

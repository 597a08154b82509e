/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A small picture of a frame by which near-duplicates are told before anything has embedded it: the
 * mean luma of 16x16 cells. Two of them are compared by the structural similarity of Wang et al.
 * 2004 ("Image quality assessment", IEEE TIP 13(4)) taken over the whole small picture at once,
 * which is their normalised cross-correlation times terms that also ask for the same mean and the
 * same contrast; its constants keep noise on a dark or empty picture from looking like structure.
 *
 * Everything is computed in integers up to the last division: the same frame gives the same
 * signature, and two signatures the same likeness, on every machine. Colour is not looked at.
 */
#define SEED_SIGNATURE_SIDE 16
#define SEED_SIGNATURE_CELLS (SEED_SIGNATURE_SIDE * SEED_SIGNATURE_SIDE)

typedef struct {
  guint8 cell[SEED_SIGNATURE_CELLS]; /* rows first */
  guint32 sum, sum2;                 /* of the cells, and of their squares */
} SeedSignature;

/*
 * 8-bit samples of a frame: of column x in row y at data[c][y * stride[c] + x * step[c]].
 * @n_components: 1, luma or grey; 3, red, green, blue, of which the luma is made (ITU-R BT.601).
 */
typedef struct {
  guint width, height; /* both > 0 */
  guint n_components;
  const guint8 *data[3];
  int stride[3], step[3];
} SeedLuma;

/* At most 8 rows of each cell are read; a cell without a pixel of its own takes the nearest. */
void seed_signature_of_luma (SeedSignature *signature, const SeedLuma *luma);

/* Takes the cells as they are and sums them up. */
void
seed_signature_of_cells (SeedSignature *signature, const guint8 cells[static SEED_SIGNATURE_CELLS]);

/* -1..1, 1 for the same picture. Symmetric. */
double seed_signature_likeness (const SeedSignature *a, const SeedSignature *b);

G_END_DECLS

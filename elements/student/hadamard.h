/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Hadamard matrices: entries +1 and -1, rows orthogonal. Built from Sylvester's doubling and the
 * two constructions of Paley (1933) over primes, which covers the usual widths of transformers.
 *
 * @matrix: [n, n], written as +1 and -1. FALSE, and nothing is written, when none of that order is
 * built here.
 */
gboolean seed_hadamard (guint n, double *matrix);

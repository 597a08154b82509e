/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

G_DEFINE_QUARK (seed - error - quark, seed_error)

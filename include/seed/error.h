/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Errors of libseed. Every message says what failed, where (file and byte, tensor name, line and
 * column, stage and stream) and, where one exists, what to do.
 */
#define SEED_ERROR (seed_error_quark ())

typedef enum {
  SEED_ERROR_IO,          /* the system refused: open, read, write, rename, map */
  SEED_ERROR_NOT_FOUND,   /* a named thing is missing: file, tensor, node, stream */
  SEED_ERROR_FORMAT,      /* input that is malformed: JSON, safetensors, wire header */
  SEED_ERROR_LIMIT,       /* well-formed input beyond a documented limit */
  SEED_ERROR_MISMATCH,    /* shape, dtype or geometry that does not fit its counterpart */
  SEED_ERROR_UNSUPPORTED, /* understood, but not something SEED can do */
  SEED_ERROR_INVALID,     /* an argument or configuration value out of range */
  SEED_ERROR_NUMERIC,     /* NaN or infinity where a finite number is needed, no convergence */
} SeedErrorCode;

GQuark seed_error_quark (void);

G_END_DECLS

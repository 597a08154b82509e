/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Element types of tensors in checkpoints and on the wire. */
typedef enum {
  SEED_DTYPE_BOOL,
  SEED_DTYPE_U8,
  SEED_DTYPE_I8,
  SEED_DTYPE_I16,
  SEED_DTYPE_U16,
  SEED_DTYPE_F16,
  SEED_DTYPE_BF16,
  SEED_DTYPE_I32,
  SEED_DTYPE_U32,
  SEED_DTYPE_F32,
  SEED_DTYPE_F64,
  SEED_DTYPE_I64,
  SEED_DTYPE_U64,
  SEED_N_DTYPES,
} SeedDtype;

#define SEED_TENSOR_MAX_DIMS 8

/**
 * A tensor somebody else owns: C order, little-endian.
 * @name: UTF-8, without NUL; @data: @size bytes, not necessarily aligned to the element size.
 */
typedef struct {
  const char *name;
  SeedDtype dtype;
  guint n_dims;
  guint64 shape[SEED_TENSOR_MAX_DIMS];
  const void *data;
  gsize size;
} SeedTensor;

/** Bytes of one element. */
gsize seed_dtype_size (SeedDtype dtype);

/** The safetensors spelling ("F32", "BF16", ...). Static. */
const char *seed_dtype_name (SeedDtype dtype);

/** The numpy spelling used on the wire ("float32", "uint8", ...). Static. */
const char *seed_dtype_wire_name (SeedDtype dtype);

/** Both directions of the above. FALSE when @name is no dtype. */
gboolean seed_dtype_from_name (const char *name, SeedDtype *dtype);
gboolean seed_dtype_from_wire_name (const char *name, SeedDtype *dtype);

/**
 * Product of @shape times the element size, checked for overflow.
 * Returns FALSE when it does not fit in gsize.
 */
gboolean
seed_tensor_byte_size (SeedDtype dtype, const guint64 *shape, guint n_dims, gsize *byte_size);

/** "F32 [3, 768]", for error messages. Caller frees. */
char *seed_tensor_describe (SeedDtype dtype, const guint64 *shape, guint n_dims);

G_END_DECLS

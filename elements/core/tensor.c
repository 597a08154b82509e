/* SPDX-License-Identifier: MIT */
#include <seed/tensor.h>

static const struct {
  const char *name;
  const char *wire_name;
  gsize size;
} dtypes[SEED_N_DTYPES] = {
  [SEED_DTYPE_BOOL] = { "BOOL", "bool", 1 },
  [SEED_DTYPE_U8] = { "U8", "uint8", 1 },
  [SEED_DTYPE_I8] = { "I8", "int8", 1 },
  [SEED_DTYPE_I16] = { "I16", "int16", 2 },
  [SEED_DTYPE_U16] = { "U16", "uint16", 2 },
  [SEED_DTYPE_F16] = { "F16", "float16", 2 },
  [SEED_DTYPE_BF16] = { "BF16", "bfloat16", 2 },
  [SEED_DTYPE_I32] = { "I32", "int32", 4 },
  [SEED_DTYPE_U32] = { "U32", "uint32", 4 },
  [SEED_DTYPE_F32] = { "F32", "float32", 4 },
  [SEED_DTYPE_F64] = { "F64", "float64", 8 },
  [SEED_DTYPE_I64] = { "I64", "int64", 8 },
  [SEED_DTYPE_U64] = { "U64", "uint64", 8 },
};

gsize
seed_dtype_size (SeedDtype dtype)
{
  g_return_val_if_fail ((guint) dtype < SEED_N_DTYPES, 0);
  return dtypes[dtype].size;
}

const char *
seed_dtype_name (SeedDtype dtype)
{
  g_return_val_if_fail ((guint) dtype < SEED_N_DTYPES, NULL);
  return dtypes[dtype].name;
}

const char *
seed_dtype_wire_name (SeedDtype dtype)
{
  g_return_val_if_fail ((guint) dtype < SEED_N_DTYPES, NULL);
  return dtypes[dtype].wire_name;
}

gboolean
seed_dtype_from_name (const char *name, SeedDtype *dtype)
{
  for (guint i = 0; i < SEED_N_DTYPES; i++) {
    if (g_str_equal (dtypes[i].name, name)) {
      *dtype = i;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
seed_dtype_from_wire_name (const char *name, SeedDtype *dtype)
{
  for (guint i = 0; i < SEED_N_DTYPES; i++) {
    if (g_str_equal (dtypes[i].wire_name, name)) {
      *dtype = i;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
seed_tensor_byte_size (SeedDtype dtype, const guint64 *shape, guint n_dims, gsize *byte_size)
{
  gsize size = seed_dtype_size (dtype);

  for (guint i = 0; i < n_dims; i++) {
    if (!g_size_checked_mul (&size, size, shape[i]))
      return FALSE;
  }
  *byte_size = size;
  return TRUE;
}

char *
seed_tensor_describe (SeedDtype dtype, const guint64 *shape, guint n_dims)
{
  GString *text = g_string_new (seed_dtype_name (dtype));

  g_string_append (text, " [");
  for (guint i = 0; i < n_dims; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i ? ", " : "", shape[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

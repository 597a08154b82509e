/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "nn/json.h"

/*
 * Each takes @n elements at @src, which need not be aligned, and returns how many it converted
 * before one that is not a finite float.
 */
typedef gsize (*ConvertFunc) (const guint8 *src, float *dest, gsize n);

#define F32_EXPONENT 0x7f800000u

static inline float
float_from_bits (guint32 bits)
{
  float value;

  memcpy (&value, &bits, sizeof value);
  return value;
}

static gsize
convert_f32 (const guint8 *src, float *dest, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint32 bits;

    memcpy (&bits, src + 4 * i, sizeof bits);
    bits = GUINT32_FROM_LE (bits);
    if ((bits & F32_EXPONENT) == F32_EXPONENT)
      return i;
    dest[i] = float_from_bits (bits);
  }
  return n;
}

static gsize
convert_bf16 (const guint8 *src, float *dest, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint32 bits = ((guint32) src[2 * i + 1] << 24) | ((guint32) src[2 * i] << 16);

    if ((bits & F32_EXPONENT) == F32_EXPONENT)
      return i;
    dest[i] = float_from_bits (bits);
  }
  return n;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static gsize
convert_f16 (const guint8 *src, float *dest, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint32 bits = ((guint32) src[2 * i + 1] << 8) | src[2 * i];
    guint32 exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
    float magnitude;

    if (exponent == 0x1f)
      return i;
    if (exponent == 0)
      magnitude = (float) fraction * 0x1p-24f; /* zero or subnormal */
    else
      magnitude = float_from_bits (((exponent + 127 - 15) << 23) | (fraction << 13));
    dest[i] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return n;
}

static gsize
convert_f64 (const guint8 *src, float *dest, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint64 bits;
    double value;

    memcpy (&bits, src + 8 * i, sizeof bits);
    bits = GUINT64_FROM_LE (bits);
    memcpy (&value, &bits, sizeof value);
    dest[i] = (float) value;
    if (!isfinite (dest[i]))
      return i;
  }
  return n;
}

static const ConvertFunc converters[SEED_N_DTYPES] = {
  [SEED_DTYPE_F16] = convert_f16,
  [SEED_DTYPE_BF16] = convert_bf16,
  [SEED_DTYPE_F32] = convert_f32,
  [SEED_DTYPE_F64] = convert_f64,
};

gboolean
seed_tensor_to_float (
    const SeedTensor *tensor, const char *label, float *dest, gsize n, GError **error)
{
  ConvertFunc convert = converters[tensor->dtype];
  gsize done;

  if (!convert || tensor->size / seed_dtype_size (tensor->dtype) != n) {
    g_autofree char *name = seed_json_show (tensor->name);
    g_autofree char *found = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: tensor %s: is %s, expected %" G_GSIZE_FORMAT " elements of F32, F16, BF16 or F64",
        label, name, found, n);
    return FALSE;
  }
  done = convert (tensor->data, dest, n);
  if (done < n) {
    g_autofree char *name = seed_json_show (tensor->name);
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "%s: tensor %s: element %" G_GSIZE_FORMAT " is not a finite float32", label, name, done);
    return FALSE;
  }
  return TRUE;
}

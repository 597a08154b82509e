/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

static void
test_half (void)
{
  /* F16 and BF16 of: 1, -2, the smallest subnormal of F16 or a BF16 of 2^-24, -0, 65504 or near */
  static const guint16 f16[] = { 0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x03ff, 0x0400 };
  static const float expected[] = { 1.0f, -2.0f, 0x1p-24f, -0.0f, 65504.0f, 0x3ffp-24f, 0x1p-14f };
  static const guint16 bf16[] = { 0x3f80, 0xc000, 0x3380, 0x8000, 0x477f };
  static const float bf16_expected[] = { 1.0f, -2.0f, 0x1p-24f, -0.0f, 65280.0f };
  guint8 unaligned[1 + sizeof f16];
  SeedTensor tensor = { "t", SEED_DTYPE_F16, 1, { 7 }, unaligned + 1, sizeof f16 };
  float values[7];
  g_autoptr (GError) error = NULL;

  memcpy (unaligned + 1, f16, sizeof f16);
  g_assert_true (seed_tensor_to_float (&tensor, "F", values, 7, &error));
  g_assert_cmpmem (values, sizeof values, expected, sizeof expected);

  memcpy (unaligned + 1, bf16, sizeof bf16);
  tensor.dtype = SEED_DTYPE_BF16;
  tensor.size = sizeof bf16;
  g_assert_true (seed_tensor_to_float (&tensor, "F", values, 5, &error));
  g_assert_cmpmem (values, 20, bf16_expected, 20);
}

static void
test_wide (void)
{
  static const double f64[] = { 1.0, -1e-300, 3.0e38, 1.0 + 0x1p-40 };
  static const float f32[] = { -0.0f, 1e-45f, FLT_MAX, 0.1f };
  guint8 unaligned[1 + sizeof f64];
  SeedTensor tensor = { "t", SEED_DTYPE_F64, 1, { 4 }, unaligned + 1, sizeof f64 };
  float values[4];
  g_autoptr (GError) error = NULL;

  memcpy (unaligned + 1, f64, sizeof f64);
  g_assert_true (seed_tensor_to_float (&tensor, "F", values, 4, &error));
  for (guint i = 0; i < 4; i++)
    g_assert_cmpfloat (values[i], ==, (float) f64[i]);

  memcpy (unaligned + 1, f32, sizeof f32);
  tensor.dtype = SEED_DTYPE_F32;
  tensor.size = sizeof f32;
  g_assert_true (seed_tensor_to_float (&tensor, "F", values, 4, &error));
  g_assert_cmpmem (values, sizeof values, f32, sizeof f32);
}

static void
test_not_finite (void)
{
  static const guint16 f16[] = { 0x3c00, 0x7c00 }, bf16[] = { 0x3f80, 0xff80 };
  static const float f32[] = { 1.0f, NAN };
  static const double f64[] = { 1.0, 1e39 };
  const SeedTensor tensors[] = { { "t", SEED_DTYPE_F16, 1, { 2 }, f16, 4 },
    { "t", SEED_DTYPE_BF16, 1, { 2 }, bf16, 4 }, { "t", SEED_DTYPE_F32, 1, { 2 }, f32, 8 },
    { "t", SEED_DTYPE_F64, 1, { 2 }, f64, 16 } };

  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++) {
    g_autoptr (GError) error = NULL;
    float values[2];

    g_assert_false (seed_tensor_to_float (&tensors[i], "F", values, 2, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
    g_assert_cmpstr (error->message, ==, "F: tensor \"t\": element 1 is not a finite float32");
  }
}

static void
test_mismatch (void)
{
  static const guint8 data[8];
  const SeedTensor integer = { "t", SEED_DTYPE_I32, 1, { 2 }, data, 8 };
  const SeedTensor real = { "t", SEED_DTYPE_F32, 2, { 1, 2 }, data, 8 };
  g_autoptr (GError) error = NULL;
  float values[3];

  g_assert_false (seed_tensor_to_float (&integer, "F", values, 2, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_clear_error (&error);
  g_assert_false (seed_tensor_to_float (&real, "F", values, 3, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "F: tensor \"t\": is F32 [1, 2], expected 3"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tensor-convert/half", test_half);
  g_test_add_func ("/tensor-convert/wide", test_wide);
  g_test_add_func ("/tensor-convert/not-finite", test_not_finite);
  g_test_add_func ("/tensor-convert/mismatch", test_mismatch);
  return g_test_run ();
}

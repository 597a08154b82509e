/* SPDX-License-Identifier: MIT */
#include <seed/tensor.h>

static void
test_names_round_trip (void)
{
  for (guint i = 0; i < SEED_N_DTYPES; i++) {
    SeedDtype dtype;

    g_assert_true (seed_dtype_from_name (seed_dtype_name (i), &dtype));
    g_assert_cmpuint (dtype, ==, i);
    g_assert_true (seed_dtype_from_wire_name (seed_dtype_wire_name (i), &dtype));
    g_assert_cmpuint (dtype, ==, i);
    g_assert_cmpuint (seed_dtype_size (i), >, 0);
  }
}

static void
test_byte_size_overflow (void)
{
  guint64 shape[] = { G_MAXUINT32, G_MAXUINT32, 4 };
  guint64 empty[] = { 0, 5 };
  gsize size;

  g_assert_false (seed_tensor_byte_size (SEED_DTYPE_F32, shape, 3, &size));
  g_assert_true (seed_tensor_byte_size (SEED_DTYPE_F32, empty, 2, &size));
  g_assert_cmpuint (size, ==, 0);
  g_assert_true (seed_tensor_byte_size (SEED_DTYPE_F16, NULL, 0, &size));
  g_assert_cmpuint (size, ==, 2);
}

static void
test_describe (void)
{
  guint64 shape[] = { 3, 768 };
  g_autofree char *text = seed_tensor_describe (SEED_DTYPE_BF16, shape, 2);

  g_assert_cmpstr (text, ==, "BF16 [3, 768]");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tensor/names-round-trip", test_names_round_trip);
  g_test_add_func ("/tensor/byte-size-overflow", test_byte_size_overflow);
  g_test_add_func ("/tensor/describe", test_describe);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
#include <seed/safetensors.h>

#include "fuzz.h"

#define MAX_ELEMENTS 65536u

/* Reads every byte that an accepted file says a tensor has. */
static void
use_tensor (const SeedSafetensors *st, const SeedTensor *tensor)
{
  gsize n = tensor->size / seed_dtype_size (tensor->dtype), byte_size;
  g_autofree float *values = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_safetensors_lookup (st, tensor->name) == tensor);
  g_assert_true (seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &byte_size));
  g_assert_cmpuint (byte_size, ==, tensor->size);
  if (n > MAX_ELEMENTS)
    return;
  values = g_new (float, n);
  g_assert_true (seed_tensor_to_float (tensor, "fuzz", values, n, &error) == !error);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_parse (bytes, "fuzz", &error);

  g_assert_true (!st == !!error);
  for (guint i = 0; st && i < seed_safetensors_n_tensors (st); i++)
    use_tensor (st, seed_safetensors_get (st, i));
  if (st)
    seed_safetensors_metadata (st, "format");
  return 0;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "eval/png.h"

#define COMPRESSION 6
#define CHANNELS 3u
#define N_FILTERS 5u
#define CRC_POLYNOMIAL 0xedb88320u

/* CRC-32 of ISO 3309, a bit at a time: a sheet is a few megabytes. */
static guint32
crc_update (guint32 crc, const guint8 *data, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    crc ^= data[i];
    for (guint bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
  }
  return crc;
}

static void
append_u32 (GByteArray *file, guint32 value)
{
  guint32 big_endian = GUINT32_TO_BE (value);

  g_byte_array_append (file, (const guint8 *) &big_endian, sizeof big_endian);
}

static void
append_chunk (GByteArray *file, const char type[4], const guint8 *data, gsize size)
{
  guint32 crc = crc_update (0xffffffffu, (const guint8 *) type, 4);

  append_u32 (file, (guint32) size);
  g_byte_array_append (file, (const guint8 *) type, 4);
  if (size > 0)
    g_byte_array_append (file, data, (guint) size);
  append_u32 (file, ~crc_update (crc, data, size));
}

/* What the filters of the format take off a sample, from the ones left, above, and left above. */
static guint8
predict (guint filter, guint8 left, guint8 up, guint8 corner)
{
  int p = left + up - corner;
  int a = ABS (p - left), b = ABS (p - up), c = ABS (p - corner);

  switch (filter) {
  case 0:
    return 0;
  case 1:
    return left;
  case 2:
    return up;
  case 3:
    return (guint8) ((left + up) / 2);
  default:
    return a <= b && a <= c ? left : b <= c ? up : corner;
  }
}

/* Returns the sum of what is left, as signed bytes. */
static guint64
filter_row (guint filter, const guint8 *row, const guint8 *above, gsize size, guint8 *out)
{
  guint64 sum = 0;

  out[0] = (guint8) filter;
  for (gsize i = 0; i < size; i++) {
    guint8 left = i >= CHANNELS ? row[i - CHANNELS] : 0;
    guint8 corner = i >= CHANNELS ? above[i - CHANNELS] : 0;
    guint8 rest = (guint8) (row[i] - predict (filter, left, above[i], corner));

    out[1 + i] = rest;
    sum += rest < 128 ? rest : 256u - rest;
  }
  return sum;
}

static gboolean
write_rows (GOutputStream *out, const guint8 *rgb, guint width, guint height, GError **error)
{
  gsize size = (gsize) width * CHANNELS;
  g_autofree guint8 *zeros = g_malloc0 (size);
  g_autofree guint8 *best = g_malloc (1 + size), *other = g_malloc (1 + size);

  for (guint y = 0; y < height; y++) {
    const guint8 *row = rgb + y * size, *above = y > 0 ? row - size : zeros;
    guint64 least = filter_row (0, row, above, size, best);

    for (guint filter = 1; filter < N_FILTERS; filter++) {
      guint64 sum = filter_row (filter, row, above, size, other);

      if (sum < least) {
        guint8 *swap = best;

        best = other;
        other = swap;
        least = sum;
      }
    }
    if (!g_output_stream_write_all (out, best, 1 + size, NULL, NULL, error))
      return FALSE;
  }
  return g_output_stream_close (out, NULL, error);
}

static GBytes *
deflate_rows (const guint8 *rgb, guint width, guint height, GError **error)
{
  g_autoptr (GOutputStream) memory = g_memory_output_stream_new_resizable ();
  g_autoptr (GConverter) zlib =
      G_CONVERTER (g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_ZLIB, COMPRESSION));
  g_autoptr (GOutputStream) out = g_converter_output_stream_new (memory, zlib);

  if (!write_rows (out, rgb, width, height, error))
    return NULL;
  return g_memory_output_stream_steal_as_bytes (G_MEMORY_OUTPUT_STREAM (memory));
}

GBytes *
seed_png_encode (const guint8 *rgb, guint width, guint height, GError **error)
{
  static const guint8 signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
  g_autoptr (GBytes) data = NULL;
  GByteArray *file;
  /* 8 bits, RGB, deflate, adaptive filters, not interlaced */
  guint8 header[13] = { 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0 };
  guint32 sides[2] = { GUINT32_TO_BE (width), GUINT32_TO_BE (height) };

  if (width == 0 || height == 0 || width > SEED_PNG_MAX_SIDE || height > SEED_PNG_MAX_SIDE) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "a picture of %u x %u pixels; each side must be 1 to %u", width, height, SEED_PNG_MAX_SIDE);
    return NULL;
  }
  data = deflate_rows (rgb, width, height, error);
  if (!data)
    return NULL;
  memcpy (header, sides, sizeof sides);
  file = g_byte_array_new ();
  g_byte_array_append (file, signature, sizeof signature);
  append_chunk (file, "IHDR", header, sizeof header);
  append_chunk (file, "IDAT", g_bytes_get_data (data, NULL), g_bytes_get_size (data));
  append_chunk (file, "IEND", NULL, 0);
  return g_byte_array_free_to_bytes (file);
}

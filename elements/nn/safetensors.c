/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "nn/json.h"
#include "nn/safetensors-file.h"

#define LENGTH_BYTES 8u
#define MAX_EXACT (G_GUINT64_CONSTANT (1) << 53) /* beyond it many JSON readers round */
#define MAX_DTYPE_NAME 32u

typedef struct {
  SeedTensor tensor;
  guint64 begin, end; /* in the data */
  gsize pos;          /* of its name in the header */
} Entry;

struct _SeedSafetensors {
  gatomicrefcount refs;
  char *label;
  GBytes *bytes;
  int fd;           /* of a mapped file, or -1 */
  struct stat stat; /* of it, when it was opened */
  GArray *entries;  /* Entry, in the order of the data */
  GStringChunk *names;
  GHashTable *by_name;  /* name -> index in entries */
  GHashTable *metadata; /* string -> string */
};

/* The header */

typedef struct {
  SeedSafetensors *st;
  SeedJson json;
  GString *name, *scratch;
} Header;

static gboolean
read_dtype (Header *header, SeedTensor *tensor)
{
  gsize pos;

  seed_json_peek (&header->json);
  pos = header->json.pos;
  if (!seed_json_read_string (&header->json, header->scratch, MAX_DTYPE_NAME))
    return FALSE;
  if (!seed_dtype_from_name (header->scratch->str, &tensor->dtype)) {
    g_autofree char *shown = seed_json_show (header->scratch->str);
    return seed_json_fail (&header->json, pos, SEED_ERROR_UNSUPPORTED,
        "unknown dtype %s; F64, F32, F16, BF16, BOOL and (U)I8 to (U)I64 are known", shown);
  }
  return TRUE;
}

static gboolean
read_shape (Header *header, SeedTensor *tensor)
{
  SeedJson *json = &header->json;

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    guint64 dim;

    if (tensor->n_dims == SEED_TENSOR_MAX_DIMS)
      return seed_json_fail (
          json, json->pos, SEED_ERROR_LIMIT, "more than %u dimensions", SEED_TENSOR_MAX_DIMS);
    if (!seed_json_read_uint (json, MAX_EXACT, &dim))
      return FALSE;
    tensor->shape[tensor->n_dims++] = dim;
  }
  return !json->error;
}

static gboolean
read_offsets (Header *header, Entry *entry)
{
  SeedJson *json = &header->json;
  guint64 offsets[2];
  gsize pos;
  guint n = 0;

  seed_json_peek (json);
  pos = json->pos;
  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    guint64 offset;

    if (!seed_json_read_uint (json, MAX_EXACT, &offset))
      return FALSE;
    if (n < 2)
      offsets[n] = offset;
    n++;
  }
  if (json->error)
    return FALSE;
  if (n != 2)
    return seed_json_fail (
        json, pos, SEED_ERROR_FORMAT, "data_offsets has %u numbers, must have 2", n);
  entry->begin = offsets[0];
  entry->end = offsets[1];
  return TRUE;
}

/* What one tensor says about itself; how it fits with the others is for check_layout. */
static gboolean
check_entry (Header *header, Entry *entry, gsize data_size)
{
  SeedTensor *tensor = &entry->tensor;
  SeedJson *json = &header->json;
  g_autofree char *shape = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);

  if (entry->begin > entry->end || entry->end > data_size)
    return seed_json_fail (json, entry->pos, SEED_ERROR_FORMAT,
        "data_offsets [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
        "] do not lie within the %" G_GSIZE_FORMAT " bytes of data",
        entry->begin, entry->end, data_size);
  if (!seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &tensor->size))
    return seed_json_fail (json, entry->pos, SEED_ERROR_FORMAT, "the size of %s overflows", shape);
  if (tensor->size != entry->end - entry->begin)
    return seed_json_fail (json, entry->pos, SEED_ERROR_FORMAT,
        "%s takes %" G_GSIZE_FORMAT " bytes, its data_offsets [%" G_GUINT64_FORMAT
        ", %" G_GUINT64_FORMAT "] hold %" G_GUINT64_FORMAT,
        shape, tensor->size, entry->begin, entry->end, entry->end - entry->begin);
  return TRUE;
}

static gboolean
read_entry (Header *header, Entry *entry, gsize data_size)
{
  static const char *const keys[] = { "dtype", "shape", "data_offsets" };
  SeedJson *json = &header->json;
  guint seen = 0;

  seed_json_open (json, '{');
  while (seed_json_next_member (json, header->scratch, SEED_SAFETENSORS_MAX_NAME)) {
    g_autofree char *shown = NULL;
    guint key = 0;

    while (key < G_N_ELEMENTS (keys) && !g_str_equal (keys[key], header->scratch->str))
      key++;
    shown = seed_json_show (header->scratch->str);
    if (key == G_N_ELEMENTS (keys))
      return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT,
          "unknown key %s; a tensor has dtype, shape and data_offsets", shown);
    if (seen & (1u << key))
      return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "a second %s", shown);
    seen |= 1u << key;
    if (key == 0   ? !read_dtype (header, &entry->tensor)
        : key == 1 ? !read_shape (header, &entry->tensor)
                   : !read_offsets (header, entry))
      return FALSE;
  }
  for (guint key = 0; key < G_N_ELEMENTS (keys) && !json->error; key++) {
    if (!(seen & (1u << key)))
      return seed_json_fail (json, entry->pos, SEED_ERROR_FORMAT, "has no %s", keys[key]);
  }
  return !json->error && check_entry (header, entry, data_size);
}

static gboolean
read_metadata (Header *header)
{
  SeedSafetensors *st = header->st;
  SeedJson *json = &header->json;

  if (st->metadata)
    return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "a second __metadata__");
  st->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  seed_json_open (json, '{');
  while (seed_json_next_member (json, header->name, SEED_SAFETENSORS_MAX_NAME)) {
    g_autofree char *shown = seed_json_show (header->name->str);

    if (g_hash_table_contains (st->metadata, header->name->str))
      return seed_json_fail (
          json, json->pos, SEED_ERROR_FORMAT, "a second %s in __metadata__", shown);
    if (g_hash_table_size (st->metadata) == SEED_SAFETENSORS_MAX_TENSORS)
      return seed_json_fail (json, json->pos, SEED_ERROR_LIMIT, "more than %u keys in __metadata__",
          SEED_SAFETENSORS_MAX_TENSORS);
    if (!seed_json_read_string (json, header->scratch, json->length))
      return FALSE;
    g_hash_table_insert (
        st->metadata, g_strdup (header->name->str), g_strdup (header->scratch->str));
  }
  return !json->error;
}

static gboolean
read_tensor (Header *header, gsize data_size)
{
  SeedSafetensors *st = header->st;
  SeedJson *json = &header->json;
  Entry entry = { .pos = json->pos };

  json->kind = "tensor";
  json->subject = header->name->str;
  if (g_hash_table_contains (st->by_name, header->name->str))
    return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "a second tensor of this name");
  if (st->entries->len == SEED_SAFETENSORS_MAX_TENSORS)
    return seed_json_fail (
        json, json->pos, SEED_ERROR_LIMIT, "more than %u tensors", SEED_SAFETENSORS_MAX_TENSORS);
  if (!read_entry (header, &entry, data_size))
    return FALSE;
  json->kind = NULL;
  entry.tensor.name =
      g_string_chunk_insert_len (st->names, header->name->str, (gssize) header->name->len);
  g_hash_table_add (st->by_name, (char *) entry.tensor.name);
  g_array_append_val (st->entries, entry);
  return TRUE;
}

static gboolean
read_header (Header *header, gsize data_size)
{
  SeedJson *json = &header->json;

  if (json->length > 0 && json->text[0] != '{')
    return seed_json_fail (json, 0, SEED_ERROR_FORMAT, "the header does not begin with '{'");
  seed_json_open (json, '{');
  while (seed_json_next_member (json, header->name, SEED_SAFETENSORS_MAX_NAME)) {
    if (g_str_equal (header->name->str, "__metadata__") ? !read_metadata (header)
                                                        : !read_tensor (header, data_size))
      return FALSE;
  }
  return seed_json_end (json);
}

/* The layout of the data */

static gint
compare_entries (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;

  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  if (x->end != y->end)
    return x->end < y->end ? -1 : 1;
  return strcmp (x->tensor.name, y->tensor.name);
}

static gboolean
fail_layout (Header *header, const Entry *entry, const char *what, guint64 begin, guint64 end)
{
  header->json.kind = "tensor";
  header->json.subject = entry->tensor.name;
  return seed_json_fail (&header->json, entry->pos, SEED_ERROR_FORMAT,
      "%s bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " of the data", what, begin, end);
}

/* Every byte of the data belongs to exactly one tensor. */
static gboolean
check_layout (Header *header, const guint8 *data, gsize data_size)
{
  GArray *entries = header->st->entries;
  guint64 end = 0;

  g_array_sort (entries, compare_entries);
  for (guint i = 0; i < entries->len; i++) {
    Entry *entry = &g_array_index (entries, Entry, i);

    if (entry->begin < end)
      return fail_layout (
          header, entry, "shares with another tensor", entry->begin, MIN (end, entry->end));
    if (entry->begin > end)
      return fail_layout (header, entry, "leaves before it a hole:", end, entry->begin);
    end = entry->end;
    entry->tensor.data = data + entry->begin;
    g_hash_table_insert (header->st->by_name, (char *) entry->tensor.name, GUINT_TO_POINTER (i));
  }
  if (end < data_size)
    return seed_json_fail (&header->json, header->json.length, SEED_ERROR_FORMAT,
        "no tensor holds the last %" G_GUINT64_FORMAT " bytes of the file", data_size - end);
  return TRUE;
}

static gboolean
parse (SeedSafetensors *st, GError **error)
{
  gsize size;
  const guint8 *file = g_bytes_get_data (st->bytes, &size);
  Header header = { .st = st };
  guint64 length;

  if (size < LENGTH_BYTES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: %" G_GSIZE_FORMAT " bytes are too few for a safetensors file", st->label, size);
    return FALSE;
  }
  memcpy (&length, file, sizeof length);
  length = GUINT64_FROM_LE (length);
  size -= LENGTH_BYTES;
  if (length > SEED_SAFETENSORS_MAX_HEADER || length > size) {
    gboolean beyond = length > size;
    g_set_error (error, SEED_ERROR, beyond ? SEED_ERROR_FORMAT : SEED_ERROR_LIMIT,
        "%s: byte 0: a header of %" G_GUINT64_FORMAT " bytes, %s is %" G_GSIZE_FORMAT, st->label,
        length, beyond ? "what follows" : "the limit",
        beyond ? size : (gsize) SEED_SAFETENSORS_MAX_HEADER);
    return FALSE;
  }
  seed_json_init (
      &header.json, st->label, (const char *) file + LENGTH_BYTES, length, LENGTH_BYTES);
  header.name = g_string_new (NULL);
  header.scratch = g_string_new (NULL);
  if (read_header (&header, size - length))
    check_layout (&header, file + LENGTH_BYTES + length, size - length);
  g_string_free (header.name, TRUE);
  g_string_free (header.scratch, TRUE);
  return seed_json_finish (&header.json, error);
}

/* The reader */

static SeedSafetensors *
new_reader (GBytes *bytes, const char *label, int fd)
{
  SeedSafetensors *st = g_new0 (SeedSafetensors, 1);

  g_atomic_ref_count_init (&st->refs);
  st->label = g_strdup (label);
  st->bytes = bytes;
  st->fd = fd;
  st->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  st->names = g_string_chunk_new (4096);
  st->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  return st;
}

SeedSafetensors *
seed_safetensors_parse (GBytes *bytes, const char *label, GError **error)
{
  g_autoptr (SeedSafetensors) st = new_reader (g_bytes_ref (bytes), label, -1);

  return parse (st, error) ? g_steal_pointer (&st) : NULL;
}

typedef struct {
  void *address;
  gsize size;
} Mapping;

static void
unmap (gpointer data)
{
  Mapping *mapping = data;

  munmap (mapping->address, mapping->size);
  g_free (mapping);
}

/* NULL with errno set. An empty file cannot be mapped, and need not be. */
static GBytes *
map (int fd, gsize size)
{
  Mapping *mapping;
  void *address;

  if (size == 0)
    return g_bytes_new_static ("", 0);
  address = mmap (NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED)
    return NULL;
  mapping = g_new (Mapping, 1);
  *mapping = (Mapping){ address, size };
  return g_bytes_new_with_free_func (address, size, unmap, mapping);
}

static SeedSafetensors *
fail_open (const char *path, int fd, GError **error)
{
  int saved = errno;

  g_set_error (error, SEED_ERROR, saved == ENOENT ? SEED_ERROR_NOT_FOUND : SEED_ERROR_IO,
      "%s: cannot read: %s", path, g_strerror (saved));
  if (fd >= 0)
    close (fd);
  return NULL;
}

SeedSafetensors *
seed_safetensors_open (const char *path, GError **error)
{
  g_autoptr (SeedSafetensors) st = NULL;
  struct stat stat;
  GBytes *bytes;
  int fd;

  fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
  if (fd < 0 || fstat (fd, &stat) < 0)
    return fail_open (path, fd, error);
  if (!S_ISREG (stat.st_mode)) {
    errno = S_ISDIR (stat.st_mode) ? EISDIR : EINVAL;
    return fail_open (path, fd, error);
  }
  bytes = map (fd, (gsize) stat.st_size);
  if (!bytes)
    return fail_open (path, fd, error);
  st = new_reader (bytes, path, fd);
  st->stat = stat;
  return parse (st, error) ? g_steal_pointer (&st) : NULL;
}

SeedSafetensors *
seed_safetensors_ref (SeedSafetensors *st)
{
  g_atomic_ref_count_inc (&st->refs);
  return st;
}

void
seed_safetensors_unref (SeedSafetensors *st)
{
  if (!st || !g_atomic_ref_count_dec (&st->refs))
    return;
  if (st->fd >= 0)
    close (st->fd);
  g_hash_table_unref (st->by_name);
  g_clear_pointer (&st->metadata, g_hash_table_unref);
  g_array_unref (st->entries);
  g_string_chunk_free (st->names);
  g_bytes_unref (st->bytes);
  g_free (st->label);
  g_free (st);
}

guint
seed_safetensors_n_tensors (const SeedSafetensors *st)
{
  return st->entries->len;
}

const SeedTensor *
seed_safetensors_get (const SeedSafetensors *st, guint index)
{
  g_return_val_if_fail (index < st->entries->len, NULL);
  return &g_array_index (st->entries, Entry, index).tensor;
}

const SeedTensor *
seed_safetensors_lookup (const SeedSafetensors *st, const char *name)
{
  gpointer index;

  if (!g_hash_table_lookup_extended (st->by_name, name, NULL, &index))
    return NULL;
  return seed_safetensors_get (st, GPOINTER_TO_UINT (index));
}

const char *
seed_safetensors_metadata (const SeedSafetensors *st, const char *key)
{
  return st->metadata ? g_hash_table_lookup (st->metadata, key) : NULL;
}

char *
seed_safetensors_sha256 (const SeedSafetensors *st)
{
  return g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, st->bytes);
}

gboolean
seed_safetensors_check_unchanged (const SeedSafetensors *st, GError **error)
{
  struct stat now;

  if (st->fd < 0)
    return TRUE;
  if (fstat (st->fd, &now) == 0 && now.st_size == st->stat.st_size &&
      now.st_mtim.tv_sec == st->stat.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == st->stat.st_mtim.tv_nsec)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
      "%s: changed while it was read; replace such files by rename, never in place", st->label);
  return FALSE;
}

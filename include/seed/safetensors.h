/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/tensor.h>

G_BEGIN_DECLS

/**
 * Reader and writer of the safetensors format (https://huggingface.co/docs/safetensors): eight
 * bytes of header length, a JSON header, the data. The file is mapped and every number in it is
 * distrusted: lengths, offsets, overlaps, holes, shapes, dtypes, duplicate or over-long names.
 * An open reader is immutable and may be used from any thread; the file must not be changed in
 * place while it is open (writers replace it, see seed_safetensors_write): one that shrinks under a
 * reader ends the process with SIGBUS at the next look at its data, as for every mapping. Copy the
 * tensors and close the reader; models do.
 */
typedef struct _SeedSafetensors SeedSafetensors;

/** Limits beyond which a file is refused with SEED_ERROR_LIMIT. */
#define SEED_SAFETENSORS_MAX_HEADER (100u * 1000 * 1000)
#define SEED_SAFETENSORS_MAX_TENSORS 65536u
#define SEED_SAFETENSORS_MAX_NAME 1024u

/** Maps @path. Errors name the file and, where one is to blame, the tensor. */
SeedSafetensors *seed_safetensors_open (const char *path, GError **error);

/** The same from memory; @label stands for the file in errors. Takes a reference on @bytes. */
SeedSafetensors *seed_safetensors_parse (GBytes *bytes, const char *label, GError **error);

SeedSafetensors *seed_safetensors_ref (SeedSafetensors *st);
void seed_safetensors_unref (SeedSafetensors *st);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSafetensors, seed_safetensors_unref)

/** Tensors in the order of their data; the views live as long as @st. */
guint seed_safetensors_n_tensors (const SeedSafetensors *st);
const SeedTensor *seed_safetensors_get (const SeedSafetensors *st, guint index);
/** NULL when there is no tensor of that name. */
const SeedTensor *seed_safetensors_lookup (const SeedSafetensors *st, const char *name);
/** Value of a key of __metadata__, or NULL. */
const char *seed_safetensors_metadata (const SeedSafetensors *st, const char *key);

/**
 * Copies @tensor into float32 (F64, F32, F16 and BF16 are converted), @n elements.
 * SEED_ERROR_MISMATCH when the count or dtype does not fit, SEED_ERROR_NUMERIC when a value is not
 * finite; both name @label and the tensor, and leave @dest undefined.
 */
gboolean seed_tensor_to_float (
    const SeedTensor *tensor, const char *label, float *dest, gsize n, GError **error);

/**
 * Writes @path atomically: a temporary file in the same folder, synced, renamed over @path, folder
 * synced. On failure @path is as it was (or, when the error says that the folder could not be
 * synced, the complete new file). The bytes are those of the reference implementation: tensors by
 * dtype, then by name, all aligned. @metadata: string to string, may be NULL.
 */
gboolean seed_safetensors_write (const char *path, const SeedTensor *tensors, guint n_tensors,
    GHashTable *metadata, GError **error);

G_END_DECLS

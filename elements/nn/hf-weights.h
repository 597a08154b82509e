/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>
#include <seed/safetensors.h>

/*
 * The tensors of a folder: model.safetensors, or the files that model.safetensors.index.json names.
 * The index and the files must agree on every tensor. Names in the index are those of files in the
 * folder itself (which may be links, as in the cache of a hub).
 */
typedef struct _SeedHfWeights SeedHfWeights;

#define SEED_HF_WEIGHTS_FILE "model.safetensors"
#define SEED_HF_INDEX_FILE "model.safetensors.index.json"
#define SEED_HF_HEADS_FILE "heads.safetensors" /* beside them, what other readers must not see */
#define SEED_HF_INDEX_MAX_BYTES (16u << 20)
#define SEED_HF_INDEX_MAX_FILES 1024u

/* Maps the files. Errors name the file and, where one is to blame, the tensor. */
SeedHfWeights *seed_hf_weights_open (const char *folder, GError **error);
/* The same with the tensors of SEED_HF_HEADS_FILE, when there is one, behind the others. */
SeedHfWeights *seed_hf_weights_open_with_heads (const char *folder, GError **error);
void seed_hf_weights_free (SeedHfWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedHfWeights, seed_hf_weights_free)

/*
 * NULL when there is no tensor of that name. @path, when not NULL: the file it is in, or the one
 * that should have told where; lives as long as @weights.
 */
const SeedTensor *
seed_hf_weights_lookup (const SeedHfWeights *weights, const char *name, const char **path);

/* All of them, file by file. */
guint seed_hf_weights_n_tensors (const SeedHfWeights *weights);
const SeedTensor *
seed_hf_weights_get (const SeedHfWeights *weights, guint index, const char **path);

/*
 * Hex SHA-256 of the file; of several, of their SHA-256 in hex one after another, in the order of
 * the files' names. Caller frees.
 */
char *seed_hf_weights_sha256 (const SeedHfWeights *weights);

/* SEED_ERROR_IO when a mapped file was written to since it was opened. */
gboolean seed_hf_weights_check_unchanged (const SeedHfWeights *weights, GError **error);

/* The map of an index: tensor -> file, both in the table's own memory. @label stands for the file.
 */
GHashTable *seed_hf_index_parse (const char *label, const char *text, gsize length, GError **error);

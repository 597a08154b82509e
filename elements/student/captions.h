/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/text.h>

/*
 * Embeddings of captions by a frozen text encoder, kept for when the same captions come again. Used
 * by one thread at a time.
 */
typedef struct _SeedCaptions SeedCaptions;

#define SEED_CAPTIONS_CACHE_BYTES (64u << 20) /* of embeddings; beyond, all are forgotten */

/* Takes a reference of its own. @cache_bytes: as above, or less for a test. */
SeedCaptions *seed_captions_new (SeedTextModel *model, gsize cache_bytes);
void seed_captions_free (SeedCaptions *captions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedCaptions, seed_captions_free)

/*
 * @texts [n], NULL where there is none. @out [n, dim] and @has [n]: an embedding, or FALSE where
 * there is no text, or one that no encoder takes (empty, not UTF-8, too long). Returns how many
 * there are.
 */
guint seed_captions_encode (
    SeedCaptions *captions, const char *const *texts, guint n, float *out, gboolean *has);

guint seed_captions_n_cached (const SeedCaptions *captions);

/* Which of @n captions stands for a frame: a pure function of these. */
guint seed_captions_draw (guint64 seed, const char *stream, guint64 frame, guint32 repeat, guint n);

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The lines of a text file that says something of images: lists, labels, captions. Empty lines are
 * passed over, a byte order mark and carriage returns are removed. Immutable; any thread may read.
 */
typedef struct _SeedTable SeedTable;

#define SEED_TABLE_MAX_BYTES (1024 * 1024 * 1024)
#define SEED_TABLE_MAX_ROWS 50000000u
#define SEED_TABLE_MAX_CAPTION (64 * 1024) /* bytes */

/** NULL with SEED_ERROR_IO (cannot be read, no regular file), _FORMAT (a NUL byte) or _LIMIT. */
SeedTable *seed_table_load (const char *path, GError **error);

/** The same of @length bytes at @text; @name stands for the file in errors. */
SeedTable *seed_table_parse (const char *name, const char *text, gsize length, GError **error);
void seed_table_free (SeedTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTable, seed_table_free)

guint seed_table_n_rows (const SeedTable *table);

/** Line number, from 1. */
guint seed_table_line (const SeedTable *table, guint row);

/** The whole row, or what is before its first tab once it was split. Any bytes but NUL. */
const char *seed_table_key (const SeedTable *table, guint row);

/** What a split left behind the key; NULL: nothing. */
const char *seed_table_value (const SeedTable *table, guint row);

gboolean seed_table_has_tabs (const SeedTable *table);

/* Once for a table, one of: */

/**
 * "path" or "path,label" a row, at the last comma; with tabs anywhere in the table, "path" or
 * "path<TAB>label". A label is UTF-8. SEED_ERROR_FORMAT, with file and line.
 */
gboolean seed_table_split_labels (SeedTable *table, GError **error);

/**
 * "image<TAB>caption", "image#number<TAB>caption" (as Flickr8k writes it), or
 * "image<TAB>number<TAB>caption" when every row is like that. Captions are UTF-8, not empty, and
 * hold no tab. SEED_ERROR_FORMAT, _LIMIT, with file and line.
 */
gboolean seed_table_split_captions (SeedTable *table, GError **error);

/** Every row is UTF-8, else SEED_ERROR_FORMAT. */
gboolean seed_table_check_text (const SeedTable *table, GError **error);

const char *seed_table_name (const SeedTable *table);

G_END_DECLS

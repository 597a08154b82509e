/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/diagnostics.h"

G_BEGIN_DECLS

/**
 * A strict subset of YAML 1.1 as a tree that remembers where everything was written.
 *
 * Refused, each with its place: tabs, text that is not UTF-8, tags, merge keys ("<<"), keys that
 * are not plain text, duplicate keys, several documents, and whatever goes beyond the limits below.
 * Aliases are expanded by copying; a copy keeps the positions of its anchor.
 */
#define SEED_YAML_MAX_BYTES (1024 * 1024)
#define SEED_YAML_MAX_DEPTH 32
#define SEED_YAML_MAX_ALIAS_DEPTH 16
#define SEED_YAML_MAX_NODES 65536 /* after expansion of aliases */

typedef enum { SEED_YAML_SCALAR, SEED_YAML_SEQUENCE, SEED_YAML_MAPPING } SeedYamlKind;

typedef struct _SeedYaml SeedYaml;
struct _SeedYaml {
  SeedYamlKind kind;
  SeedMark mark;
  gboolean quoted;     /* scalar: written with quotes or as a block */
  gboolean broken;     /* scalar: an error about its text has been reported; no more are needed */
  char *text;          /* scalar: UTF-8, no NUL */
  GPtrArray *children; /* sequence: items; mapping: key, value, key, value in the file's order */
  guint n_nodes;       /* of this tree, itself included */
  guint alias_depth;   /* aliases within aliases in this tree */
};

/**
 * Parses @length bytes. NULL when the text is no YAML at all or beyond a limit; duplicate keys and
 * the like are reported and left out, so that more of the file can be checked. Free with
 * seed_yaml_free.
 */
SeedYaml *seed_yaml_parse (const char *text, gsize length, SeedDiagnostics *diagnostics);
void seed_yaml_free (SeedYaml *yaml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedYaml, seed_yaml_free)

/** Items of a sequence, pairs of a mapping; 0 for a scalar. */
guint seed_yaml_length (const SeedYaml *yaml);
SeedYaml *seed_yaml_item (const SeedYaml *sequence, guint i);
SeedYaml *seed_yaml_key (const SeedYaml *mapping, guint i);
SeedYaml *seed_yaml_value (const SeedYaml *mapping, guint i);

/** NULL when @yaml is no mapping or has no such key. @key (may be NULL) receives the key's node. */
SeedYaml *seed_yaml_lookup (const SeedYaml *yaml, const char *name, SeedYaml **key);

/** An unquoted empty, ~ or null scalar. */
gboolean seed_yaml_is_null (const SeedYaml *yaml);

/** What @yaml is, for "expected X, found Y": "a list", "a mapping", "nothing", "'text'". Caller
 * frees. */
char *seed_yaml_describe (const SeedYaml *yaml);

G_END_DECLS

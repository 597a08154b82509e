/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/graph.h"

G_BEGIN_DECLS

/** A graph file as seedd knows it: read and understood, but not shown to any element. */
typedef struct {
  char *path, *text;
  gsize length;
  SeedGraph *graph; /* NULL when it has errors */
  char *errors;     /* "FILE:LINE:COLUMN: error: ..." lines, or NULL */
} SeeddFile;

/**
 * Reads FOLDER/NAME.yaml. Never NULL: what is wrong is in `errors`. @set: parameters to override.
 * The graph must be called @name, so that no two files publish under one name.
 */
SeeddFile *seedd_file_load (const char *folder, const char *name, GHashTable *set);
void seedd_file_free (SeeddFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddFile, seedd_file_free)

/** "NAME" of "NAME.yaml", or NULL when that is no graph's file. Caller frees. */
char *seedd_file_graph_name (const char *file_name);

typedef enum {
  SEEDD_FILE_SAME,     /* it would run the same */
  SEEDD_FILE_SETTINGS, /* nothing but values of properties differ */
  SEEDD_FILE_OTHER,
} SeeddFileDifference;

typedef struct {
  const char *node, *key;
  const SeedYaml *value;
} SeeddFileChange;

/**
 * How @to differs from @from; both have a graph. @changes (SeeddFileChange, may be NULL) receives
 * the settings that differ when it is SEEDD_FILE_SETTINGS; they live as long as @to.
 */
SeeddFileDifference
seedd_file_compare (const SeeddFile *from, const SeeddFile *to, GArray *changes);

G_END_DECLS

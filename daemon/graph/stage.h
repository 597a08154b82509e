/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Templates of request pads that have a key of their own. */
#define SEED_PAD_TARGET "target"
#define SEED_PAD_TEACHER "teacher_%u"

/**
 * What a graph file calls a stage, and the little the format knows about it that its element cannot
 * say itself. Everything else a key may be is a property of the element.
 */
typedef struct {
  const char *name;     /* "teacher" */
  const char *factory;  /* "seedteacher" */
  const char *required; /* a key without which it cannot start, or NULL */
  const char *paths[3]; /* keys that name files; relative to the graph file's folder */
  gboolean streams;     /* takes `streams` */
  gboolean target;      /* takes `target`: an input for its request pad "target" */
  gboolean teachers;    /* takes `teachers`: inputs for its request pads "teacher_%u" */
  gboolean pairs;       /* waits for the same batch on all of its inputs */
  gboolean live;        /* a source that cannot be made to wait */
  gboolean splits;      /* one instance for each geometry its consumers need */
} SeedStage;

/** NULL when there is none. */
const SeedStage *seed_stage_find (const char *name);

/** NULL-terminated names of all stages. */
const char *const *seed_stage_names (void);

/** TRUE when @key of @stage (may be NULL) names a file. @value may exclude it ("none", "folders").
 */
gboolean seed_stage_key_is_path (const SeedStage *stage, const char *key, const char *value);

/** FALSE for streams, graphs and nodes that are not [a-z0-9-]{1,63} with a letter or digit in it.
 */
gboolean seed_name_is_good (const char *name);

/** What is wrong with a name that is not good. */
#define SEED_NAME_RULE "expected 1 to 63 of a-z, 0-9 and '-'"

/**
 * A URI for @location: itself when it has a scheme, otherwise (or when it is "file:" with a
 * relative path) the file it names, seen from @folder.
 */
char *seed_uri_resolve (const char *location, const char *folder, GError **error);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/stage.h"
#include "graph/yaml.h"

G_BEGIN_DECLS

/**
 * A graph file as data: what was written, where, and what refers to what. Nothing here knows
 * GStreamer; seed_graph_check asks the elements whether it makes sense to them.
 */
typedef struct _SeedGraph SeedGraph;
typedef struct _SeedGraphNode SeedGraphNode;

#define SEED_GRAPH_MAX_NODES 256
#define SEED_GRAPH_MAX_LINKS 1024
#define SEED_GRAPH_MAX_STREAMS 256
#define SEED_GRAPH_MAX_QUEUE 65536

typedef enum { SEED_LEAK_UNSET, SEED_LEAK_NONE, SEED_LEAK_OLD, SEED_LEAK_NEW } SeedLeak;

typedef struct {
  guint frames;  /* buffers the queue holds: frames, or batches after a patchify; 0: unset */
  SeedLeak leak; /* what to do when it is full */
} SeedQueueSpec;

typedef struct {
  const char *id;
  SeedMark mark;
  char *uri;      /* absolute */
  double max_fps; /* 0: all; negative: not said */
  gboolean loop, live;
  guint passes;
  int reconnect;                                           /* truth value; negative: not said */
  gint64 retry_min_ms, retry_max_ms, stall_ms, connect_ms; /* negative: not said */
} SeedGraphStream;

/** One thing a node takes its data from. */
typedef struct {
  const char *from;    /* as written */
  SeedMark mark;       /* of that name */
  const char *key;     /* "from", or the key of a request pad: "target", "teachers". Static. */
  const char *pad;     /* template of that request pad; NULL for "from". Static. */
  SeedGraphNode *node; /* NULL when there is no such node */
} SeedGraphInput;

/** A key that is to be a property of the node's element. */
typedef struct {
  const SeedYaml *key, *value;
} SeedGraphSetting;

struct _SeedGraphNode {
  guint index; /* in the file's order */
  const char *name;
  SeedMark mark;
  const SeedStage *stage; /* NULL for an `element` node */
  const char *factory;    /* NULL when the stage is unknown; reported */
  SeedMark factory_mark;
  GArray *inputs;     /* SeedGraphInput: `from`, `target` and `teachers` as written */
  GArray *settings;   /* SeedGraphSetting in order */
  GPtrArray *streams; /* decode: SeedGraphStream in the order written */
  SeedQueueSpec queue;
};

struct _SeedGraph {
  SeedYaml *root; /* owns every name and mark below */
  char *folder;   /* of the file; relative paths start here */
  const char *name;
  const char *description; /* "" when there is none */
  GPtrArray *streams;      /* SeedGraphStream */
  GPtrArray *nodes;        /* SeedGraphNode */
  guint n_links;           /* inputs of all nodes */
};

/**
 * Reads a graph from text: YAML, parameters, sections, nodes, names. Errors go to @diagnostics; as
 * much of the graph as could be understood is returned even so, or NULL when the text is no
 * mapping.
 * @folder: where relative paths start. @set: parameters to override (name -> value) or NULL.
 */
SeedGraph *seed_graph_parse (const char *text, gsize length, const char *folder, GHashTable *set,
    SeedDiagnostics *diagnostics);

/**
 * What stands in a file, NUL-terminated, at most one byte more than a graph may have:
 * seed_yaml_parse refuses that. NULL when it cannot be read, reported. Caller frees.
 */
char *seed_graph_read_file (const char *path, gsize *length, SeedDiagnostics *diagnostics);

/**
 * seed_graph_parse of a file, then, when the text could be read, seed_graph_check: everything that
 * can be known before an element runs. NULL when there was any error. GStreamer must be
 * initialised.
 */
SeedGraph *seed_graph_load (const char *path, GHashTable *set, SeedDiagnostics *diagnostics);

void seed_graph_free (SeedGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedGraph, seed_graph_free)

SeedGraphNode *seed_graph_find_node (const SeedGraph *graph, const char *name);

/** The setting of @node with that key, or NULL. */
const SeedGraphSetting *seed_graph_node_setting (const SeedGraphNode *node, const char *key);

/** "none", "old", "new". Static. */
const char *seed_leak_name (SeedLeak leak);

G_END_DECLS

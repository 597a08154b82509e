/* SPDX-License-Identifier: MIT */
#include "graph/yaml.h"

#include <string.h>
#include <yaml.h>

typedef struct {
  yaml_parser_t parser;
  SeedDiagnostics *diagnostics;
  GHashTable *anchors; /* name -> SeedYaml owned by the tree, or NULL while it is being read */
  /* Refused keys and their values stay alive: an anchor in them may be used further down. */
  SeedYaml *refused;
  guint n_nodes; /* made so far, expansions included */
} Loader;

static SeedYaml *load_node (Loader *loader, yaml_event_t *event, guint depth);

static SeedMark
mark_of (const yaml_mark_t *mark)
{
  return (SeedMark){ (guint) mark->line + 1, (guint) mark->column + 1 };
}

void
seed_yaml_free (SeedYaml *yaml)
{
  if (!yaml)
    return;
  g_free (yaml->text);
  g_clear_pointer (&yaml->children, g_ptr_array_unref);
  g_free (yaml);
}

static SeedYaml *
yaml_new (SeedYamlKind kind, SeedMark mark)
{
  SeedYaml *yaml = g_new0 (SeedYaml, 1);

  yaml->kind = kind;
  yaml->mark = mark;
  yaml->n_nodes = 1;
  if (kind != SEED_YAML_SCALAR)
    yaml->children = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_yaml_free);
  return yaml;
}

static void
yaml_append (SeedYaml *parent, SeedYaml *child)
{
  g_ptr_array_add (parent->children, child);
  parent->n_nodes += child->n_nodes;
  parent->alias_depth = MAX (parent->alias_depth, child->alias_depth);
}

static SeedYaml *
yaml_copy (const SeedYaml *from)
{
  SeedYaml *copy = yaml_new (from->kind, from->mark);

  copy->quoted = from->quoted;
  copy->text = g_strdup (from->text);
  for (guint i = 0; from->children && i < from->children->len; i++)
    yaml_append (copy, yaml_copy (g_ptr_array_index (from->children, i)));
  return copy;
}

/* Counts nodes before they are made, so that an expansion bomb never unfolds. */
static gboolean
count_nodes (Loader *loader, SeedMark mark, guint n)
{
  if (n <= SEED_YAML_MAX_NODES - loader->n_nodes) {
    loader->n_nodes += n;
    return TRUE;
  }
  seed_diagnostics_add (loader->diagnostics, mark,
      "more than %d values after expansion of aliases; this is no graph", SEED_YAML_MAX_NODES);
  return FALSE;
}

static void
report_parser_error (Loader *loader, const char *text)
{
  const yaml_parser_t *p = &loader->parser;
  SeedMark mark = mark_of (&p->problem_mark);

  if (p->error == YAML_READER_ERROR) {
    mark = (SeedMark){ 1, 1 };
    for (const char *c = text; c < text + p->problem_offset; c = g_utf8_next_char (c)) {
      mark.column = *c == '\n' ? 1 : mark.column + 1;
      mark.line += *c == '\n';
    }
    seed_diagnostics_add (loader->diagnostics, mark, "control character U+%04X in the text",
        (guint) p->problem_value);
  } else if (p->context) {
    seed_diagnostics_add (loader->diagnostics, mark, "%s (%s that begins at line %u)", p->problem,
        p->context, (guint) p->context_mark.line + 1);
  } else {
    seed_diagnostics_add (loader->diagnostics, mark, "%s", p->problem ? p->problem : "not YAML");
  }
}

/* FALSE after a syntax error, reported. */
static gboolean
next_event (Loader *loader, yaml_event_t *event)
{
  if (yaml_parser_parse (&loader->parser, event))
    return TRUE;
  report_parser_error (loader, (const char *) loader->parser.input.string.start);
  return FALSE;
}

static void
refuse_tag (Loader *loader, SeedMark mark, const yaml_char_t *tag)
{
  g_autofree char *quoted = NULL;

  if (!tag)
    return;
  quoted = seed_quote ((const char *) tag);
  seed_diagnostics_add (
      loader->diagnostics, mark, "tag %s: graph files have no tags; remove it", quoted);
}

static SeedYaml *
load_alias (Loader *loader, yaml_event_t *event)
{
  const char *name = (const char *) event->data.alias.anchor;
  SeedMark mark = mark_of (&event->start_mark);
  g_autofree char *quoted = seed_quote (name);
  SeedYaml *anchor = NULL, *copy;

  if (!g_hash_table_lookup_extended (loader->anchors, name, NULL, (gpointer *) &anchor)) {
    seed_diagnostics_add (loader->diagnostics, mark, "alias %s has no anchor before it", quoted);
    return NULL;
  }
  if (!anchor) {
    seed_diagnostics_add (
        loader->diagnostics, mark, "alias %s stands inside its own anchor", quoted);
    return NULL;
  }
  if (anchor->alias_depth >= SEED_YAML_MAX_ALIAS_DEPTH) {
    seed_diagnostics_add (loader->diagnostics, mark, "alias %s: aliases are nested deeper than %d",
        quoted, SEED_YAML_MAX_ALIAS_DEPTH);
    return NULL;
  }
  if (!count_nodes (loader, mark, anchor->n_nodes))
    return NULL;
  copy = yaml_copy (anchor);
  copy->alias_depth = anchor->alias_depth + 1;
  return copy;
}

static SeedYaml *
load_scalar (Loader *loader, yaml_event_t *event)
{
  SeedMark mark = mark_of (&event->start_mark);
  SeedYaml *yaml;

  refuse_tag (loader, mark, event->data.scalar.tag);
  if (memchr (event->data.scalar.value, 0, event->data.scalar.length)) {
    seed_diagnostics_add (loader->diagnostics, mark, "NUL character in a value");
    return NULL;
  }
  yaml = yaml_new (SEED_YAML_SCALAR, mark);
  yaml->text = g_strndup ((const char *) event->data.scalar.value, event->data.scalar.length);
  yaml->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  return yaml;
}

static SeedYaml *
load_sequence (Loader *loader, yaml_event_t *start, guint depth)
{
  g_autoptr (SeedYaml) list = yaml_new (SEED_YAML_SEQUENCE, mark_of (&start->start_mark));

  refuse_tag (loader, list->mark, start->data.sequence_start.tag);
  for (;;) {
    yaml_event_t event;
    gboolean end;
    SeedYaml *item = NULL;

    if (!next_event (loader, &event))
      return NULL;
    end = event.type == YAML_SEQUENCE_END_EVENT;
    if (!end)
      item = load_node (loader, &event, depth + 1);
    yaml_event_delete (&event);
    if (end)
      return g_steal_pointer (&list);
    if (!item)
      return NULL;
    yaml_append (list, item);
  }
}

/* TRUE when @key may be used; else reported. */
static gboolean
key_is_good (Loader *loader, GHashTable *seen, SeedYaml *key)
{
  g_autofree char *quoted = NULL;
  const SeedYaml *first;

  if (key->kind != SEED_YAML_SCALAR || !*key->text) {
    g_autofree char *what = seed_yaml_describe (key);

    seed_diagnostics_add (loader->diagnostics, key->mark, "a key must be a name, found %s", what);
    return FALSE;
  }
  if (!key->quoted && strcmp (key->text, "<<") == 0) {
    seed_diagnostics_add (loader->diagnostics, key->mark,
        "merge keys ('<<') are not part of graph files; write the keys out");
    return FALSE;
  }
  quoted = seed_quote (key->text);
  first = g_hash_table_lookup (seen, key->text);
  if (first) {
    seed_diagnostics_add (loader->diagnostics, key->mark, "duplicate key %s (first at %u:%u)",
        quoted, first->mark.line, first->mark.column);
    return FALSE;
  }
  g_hash_table_insert (seen, key->text, key);
  return TRUE;
}

static SeedYaml *
load_mapping (Loader *loader, yaml_event_t *start, guint depth)
{
  g_autoptr (SeedYaml) map = yaml_new (SEED_YAML_MAPPING, mark_of (&start->start_mark));
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  refuse_tag (loader, map->mark, start->data.mapping_start.tag);
  for (;;) {
    SeedYaml *pair[2], *home = NULL;
    yaml_event_t event;

    for (guint i = 0; i < 2; i++) {
      if (!next_event (loader, &event))
        return NULL;
      if (event.type == YAML_MAPPING_END_EVENT) {
        yaml_event_delete (&event);
        return g_steal_pointer (&map);
      }
      pair[i] = load_node (loader, &event, depth + 1);
      yaml_event_delete (&event);
      if (!pair[i])
        return NULL;
      if (i == 0)
        home = key_is_good (loader, seen, pair[0]) ? map : loader->refused;
      yaml_append (home, pair[i]);
    }
  }
}

static const char *
anchor_of (const yaml_event_t *event)
{
  switch (event->type) {
  case YAML_SCALAR_EVENT:
    return (const char *) event->data.scalar.anchor;
  case YAML_SEQUENCE_START_EVENT:
    return (const char *) event->data.sequence_start.anchor;
  case YAML_MAPPING_START_EVENT:
    return (const char *) event->data.mapping_start.anchor;
  default:
    return NULL;
  }
}

static SeedYaml *
load_unnamed (Loader *loader, yaml_event_t *event, guint depth)
{
  if (event->type == YAML_SCALAR_EVENT)
    return load_scalar (loader, event);
  if (event->type == YAML_SEQUENCE_START_EVENT)
    return load_sequence (loader, event, depth);
  return load_mapping (loader, event, depth);
}

/* NULL after an error, reported. */
static SeedYaml *
load_node (Loader *loader, yaml_event_t *event, guint depth)
{
  SeedMark mark = mark_of (&event->start_mark);
  const char *anchor = anchor_of (event);
  SeedYaml *yaml;

  if (event->type == YAML_ALIAS_EVENT)
    return load_alias (loader, event);
  if (depth > SEED_YAML_MAX_DEPTH) {
    seed_diagnostics_add (
        loader->diagnostics, mark, "nested deeper than %d levels", SEED_YAML_MAX_DEPTH);
    return NULL;
  }
  if (!count_nodes (loader, mark, 1))
    return NULL;
  if (anchor)
    g_hash_table_replace (loader->anchors, g_strdup (anchor), NULL);
  yaml = load_unnamed (loader, event, depth);
  if (anchor && yaml)
    g_hash_table_replace (loader->anchors, g_strdup (anchor), yaml);
  return yaml;
}

/* Everything up to the first node of the only document; FALSE when there is none. */
static gboolean
find_document (Loader *loader, yaml_event_t *event)
{
  for (;;) {
    if (!next_event (loader, event))
      return FALSE;
    if (event->type == YAML_STREAM_END_EVENT) {
      seed_diagnostics_add (loader->diagnostics, (SeedMark){ 1, 1 },
          "the file is empty; expected a mapping with version, graph and nodes");
      yaml_event_delete (event);
      return FALSE;
    }
    if (event->type != YAML_STREAM_START_EVENT && event->type != YAML_DOCUMENT_START_EVENT)
      return TRUE;
    yaml_event_delete (event);
  }
}

/* After the first document only the end may follow. */
static gboolean
expect_end (Loader *loader)
{
  for (;;) {
    yaml_event_t event;
    yaml_event_type_t type;
    SeedMark mark;

    if (!next_event (loader, &event))
      return FALSE;
    type = event.type;
    mark = mark_of (&event.start_mark);
    yaml_event_delete (&event);
    if (type == YAML_STREAM_END_EVENT)
      return TRUE;
    if (type != YAML_DOCUMENT_END_EVENT) {
      seed_diagnostics_add (
          loader->diagnostics, mark, "a second document begins here; one graph a file");
      return FALSE;
    }
  }
}

/* What no graph file may hold, found before the parser sees it. */
static gboolean
text_is_good (const char *text, gsize length, SeedDiagnostics *diagnostics)
{
  SeedMark mark = { 1, 1 };
  const char *end;
  gboolean utf8, good = TRUE;

  if (length > SEED_YAML_MAX_BYTES) {
    seed_diagnostics_add (diagnostics, mark, "the file is larger than %d bytes; this is no graph",
        SEED_YAML_MAX_BYTES);
    return FALSE;
  }
  utf8 = g_utf8_validate_len (text, length, &end);
  for (const char *p = text; p < end; p = g_utf8_next_char (p)) {
    if (*p == '\t') {
      seed_diagnostics_add (diagnostics, mark, "tab character; use spaces");
      good = FALSE;
    }
    mark.column = *p == '\n' ? 1 : mark.column + 1;
    mark.line += *p == '\n';
  }
  if (!utf8)
    seed_diagnostics_add (
        diagnostics, mark, "byte 0x%02x is not UTF-8 text", (guint) (guint8) *end);
  return good && utf8;
}

SeedYaml *
seed_yaml_parse (const char *text, gsize length, SeedDiagnostics *diagnostics)
{
  Loader loader = { .diagnostics = diagnostics };
  yaml_event_t event;
  SeedYaml *root = NULL;

  if (!text_is_good (text, length, diagnostics))
    return NULL;
  if (!yaml_parser_initialize (&loader.parser))
    g_error ("out of memory");
  yaml_parser_set_encoding (&loader.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string (&loader.parser, (const guint8 *) text, length);
  loader.anchors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  loader.refused = yaml_new (SEED_YAML_SEQUENCE, (SeedMark){ 1, 1 });

  if (find_document (&loader, &event)) {
    root = load_node (&loader, &event, 1);
    yaml_event_delete (&event);
    if (root && !expect_end (&loader))
      g_clear_pointer (&root, seed_yaml_free);
  }
  g_hash_table_unref (loader.anchors);
  seed_yaml_free (loader.refused);
  yaml_parser_delete (&loader.parser);
  return root;
}

guint
seed_yaml_length (const SeedYaml *yaml)
{
  if (yaml->kind == SEED_YAML_SCALAR)
    return 0;
  return yaml->kind == SEED_YAML_MAPPING ? yaml->children->len / 2 : yaml->children->len;
}

SeedYaml *
seed_yaml_item (const SeedYaml *sequence, guint i)
{
  return g_ptr_array_index (sequence->children, i);
}

SeedYaml *
seed_yaml_key (const SeedYaml *mapping, guint i)
{
  return g_ptr_array_index (mapping->children, 2 * i);
}

SeedYaml *
seed_yaml_value (const SeedYaml *mapping, guint i)
{
  return g_ptr_array_index (mapping->children, 2 * i + 1);
}

SeedYaml *
seed_yaml_lookup (const SeedYaml *yaml, const char *name, SeedYaml **key)
{
  if (yaml->kind != SEED_YAML_MAPPING)
    return NULL;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    if (strcmp (seed_yaml_key (yaml, i)->text, name) != 0)
      continue;
    if (key)
      *key = seed_yaml_key (yaml, i);
    return seed_yaml_value (yaml, i);
  }
  return NULL;
}

gboolean
seed_yaml_is_null (const SeedYaml *yaml)
{
  return yaml->kind == SEED_YAML_SCALAR && !yaml->quoted &&
         (!*yaml->text || strcmp (yaml->text, "~") == 0 || strcmp (yaml->text, "null") == 0);
}

char *
seed_yaml_describe (const SeedYaml *yaml)
{
  if (yaml->kind == SEED_YAML_SEQUENCE)
    return g_strdup (seed_yaml_length (yaml) ? "a list" : "an empty list");
  if (yaml->kind == SEED_YAML_MAPPING)
    return g_strdup ("a mapping");
  return seed_yaml_is_null (yaml) ? g_strdup ("nothing") : seed_quote (yaml->text);
}

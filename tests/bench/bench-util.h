/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <json-glib/json-glib.h>

/* What the benchmarks share: clocks, medians, and results as JSON. */

static inline double
bench_clock (clockid_t id)
{
  struct timespec t;

  clock_gettime (id, &t);
  return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* ns that passed */
static inline double
bench_wall (void)
{
  return bench_clock (CLOCK_MONOTONIC);
}

/* ns that all threads of this process have computed */
static inline double
bench_cpu (void)
{
  return bench_clock (CLOCK_PROCESS_CPUTIME_ID);
}

static inline int
bench_compare (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Sorts @x. */
static inline double
bench_median (double *x, guint n)
{
  qsort (x, n, sizeof *x, bench_compare);
  return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* {"bench": @name, "rows": [ .. ]}: begin, then add an object for each row, then end. */
static inline JsonBuilder *
bench_json_begin (const char *name)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "bench");
  json_builder_add_string_value (builder, name);
  json_builder_set_member_name (builder, "rows");
  json_builder_begin_array (builder);
  return builder;
}

static inline void
bench_json_string (JsonBuilder *builder, const char *key, const char *value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_string_value (builder, value);
}

static inline void
bench_json_number (JsonBuilder *builder, const char *key, double value)
{
  json_builder_set_member_name (builder, key);
  json_builder_add_double_value (builder, value);
}

/* Writes to @path unless it is NULL; frees @builder. */
static inline void
bench_json_end (JsonBuilder *builder, const char *path)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (GError) error = NULL;

  json_builder_end_array (builder);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  if (path && !json_generator_to_file (generator, path, &error)) {
    fprintf (stderr, "%s: %s\n", path, error->message);
    exit (1);
  }
  g_object_unref (builder);
}

/* Takes "--json FILE" out of the arguments and returns the file, or NULL. */
static inline const char *
bench_take_json (int *argc, char **argv)
{
  for (int i = 1; i + 1 < *argc; i++) {
    const char *path = argv[i + 1];

    if (!g_str_equal (argv[i], "--json"))
      continue;
    for (int j = i; j + 2 <= *argc; j++)
      argv[j] = argv[j + 2];
    *argc -= 2;
    return path;
  }
  return NULL;
}

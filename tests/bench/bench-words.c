/* SPDX-License-Identifier: MIT */
/*
 * Frames to words of 224x224 beside what stock GStreamer elements need to make a 224x224 RGB image:
 *   bench-words [--json FILE] [ROUNDS]
 * Frames come from memory, not from cache: more of them take turns than a last-level cache holds.
 * Contenders take turns too, so that a busy machine disturbs all alike; times are medians over the
 * rounds. "share" is the bytes of the planes per second over what the same threads can read.
 */
#include <string.h>

#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <seed/pool.h>

#include "bench-util.h"
#include "core/cpu.h"

#define DEFAULT_ROUNDS 9
#define MAX_CONTENDERS 12
#define FRAME_MEMORY (96 << 20)   /* bytes of frames that take turns */
#define ROUND_SAMPLES (48u << 20) /* samples a contender reads in a round */
#define RGB " ! capsfilter caps=video/x-raw,format=RGB,width=224,height=224"

typedef struct {
  const char *name, *launch;
} Contender;

typedef struct {
  const char *title, *format;
  guint width, height;
  Contender contenders[MAX_CONTENDERS]; /* the first is ours */
} Case;

#define STOCK(name, method)                                                                        \
  { "videoconvertscale " name " x1", "videoconvertscale n-threads=1 method=" method RGB },         \
      { "videoconvertscale " name " x2", "videoconvertscale n-threads=2 method=" method RGB },     \
      { "videoscale " name " x1",                                                                  \
        "videoscale n-threads=1 method=" method                                                    \
        " ! capsfilter caps=video/x-raw,width=224,height=224 ! videoconvert" RGB },                \
  {                                                                                                \
    "videoscale " name " x2",                                                                      \
        "videoscale n-threads=2 method=" method                                                    \
        " ! capsfilter caps=video/x-raw,width=224,height=224 ! videoconvert" RGB                   \
  }
#define BILINEAR                                                                                   \
  { "seedpatchify bilinear", "seedpatchify interpolation=bilinear image-size=224" },               \
      STOCK ("bilinear", "bilinear"), STOCK ("bilinear2", "bilinear2")
#define BICUBIC                                                                                    \
  { "seedpatchify bicubic", "seedpatchify interpolation=bicubic image-size=224" },                 \
      STOCK ("catrom", "catrom")

static const Case cases[] = {
  { "1080p NV12 bilinear", "NV12", 1920, 1080, { BILINEAR } },
  { "1080p I420 bilinear", "I420", 1920, 1080, { BILINEAR } },
  { "1080p RGB bilinear", "RGB", 1920, 1080, { BILINEAR } },
  { "2160p NV12 bilinear", "NV12", 3840, 2160, { BILINEAR } },
  { "480p I420 bilinear", "I420", 854, 480, { BILINEAR } },
  { "1080p NV12 bicubic", "NV12", 1920, 1080, { BICUBIC } },
};

typedef struct {
  const Contender *contender;
  GstHarness *harness;
  double *wall, *cpu; /* ns a frame, by round */
} Runner;

typedef struct {
  guint64 *data;
  gsize n; /* of a task */
  guint64 sum[64];
} Stream;

static void
read_task (guint task, gpointer data)
{
  Stream *stream = data;
  const guint64 *from = stream->data + task * stream->n;
  guint64 sum[8] = { 0 };

  for (gsize i = 0; i + 8 <= stream->n; i += 8)
    for (guint j = 0; j < 8; j++)
      sum[j] ^= from[i + j];
  stream->sum[task] = sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

/* Bytes per ns that the pool reads from memory: the best of a few. */
static double
read_bandwidth (void)
{
  Stream stream = { .n = (gsize) 4 << 20 };
  const guint tasks = 8;
  double best = 0;

  stream.data = g_malloc (stream.n * tasks * sizeof *stream.data);
  memset (stream.data, 1, stream.n * tasks * sizeof *stream.data);
  for (guint i = 0; i < 5; i++) {
    double start = bench_wall ();

    seed_pool_run (tasks, read_task, &stream);
    best = MAX (best, (double) (stream.n * tasks * sizeof *stream.data) / (bench_wall () - start));
  }
  g_free (stream.data);
  return best;
}

static GPtrArray *
make_frames (const Case *c, GstVideoInfo *info)
{
  GPtrArray *frames = g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  guint32 state = 1;

  gst_video_info_set_format (info, gst_video_format_from_string (c->format), c->width, c->height);
  for (gsize done = 0; done < FRAME_MEMORY; done += info->size) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, info->size, NULL);
    GstMapInfo map;

    gst_buffer_map (buffer, &map, GST_MAP_WRITE);
    for (gsize i = 0; i < map.size; i++)
      map.data[i] = (guint8) ((state = state * 1664525u + 1013904223u) >> 24);
    gst_buffer_unmap (buffer, &map);
    g_ptr_array_add (frames, buffer);
  }
  return frames;
}

static void
runner_init (Runner *runner, const Contender *contender, const GstVideoInfo *info, guint rounds)
{
  g_autoptr (GstCaps) caps = gst_video_info_to_caps (info);

  *runner = (Runner){ .contender = contender,
    .harness = gst_harness_new_parse (contender->launch),
    .wall = g_new (double, rounds),
    .cpu = g_new (double, rounds) };
  gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, 30, 1, NULL);
  gst_harness_set_src_caps (runner->harness, g_steal_pointer (&caps));
}

static void
runner_clear (Runner *runner)
{
  gst_harness_teardown (runner->harness);
  g_free (runner->wall);
  g_free (runner->cpu);
}

/* @n frames, beginning with @first; the elements see buffers of their own on the same memory. */
static void
runner_push (Runner *runner, GPtrArray *frames, guint first, guint n)
{
  for (guint i = 0; i < n; i++) {
    GstBuffer *frame = gst_buffer_copy (g_ptr_array_index (frames, (first + i) % frames->len));
    GstBuffer *out;

    GST_BUFFER_PTS (frame) = (first + i) * GST_SECOND / 30;
    out = gst_harness_push_and_pull (runner->harness, frame);
    if (!out)
      g_error ("%s: no output", runner->contender->name);
    gst_buffer_unref (out);
  }
}

static void
run_rounds (Runner *runners, guint n_runners, GPtrArray *frames, guint per_round, guint rounds)
{
  guint next = 0;

  for (guint r = 0; r < n_runners; r++)
    runner_push (&runners[r], frames, 0, 3);
  for (guint round = 0; round < rounds; round++) {
    for (guint r = 0; r < n_runners; r++, next += per_round) {
      double wall = bench_wall (), cpu = bench_cpu ();

      runner_push (&runners[r], frames, next, per_round);
      runners[r].wall[round] = (bench_wall () - wall) / per_round;
      runners[r].cpu[round] = (bench_cpu () - cpu) / per_round;
    }
  }
}

static void
report (JsonBuilder *json, const Case *c, Runner *runners, guint n, guint rounds, double bytes,
    double bandwidth)
{
  double ours_wall = bench_median (runners[0].wall, rounds);
  double ours_cpu = bench_median (runners[0].cpu, rounds);

  printf (
      "\n%-32s %10s %10s %8s %8s %7s\n", c->title, "wall us", "cpu us", "x wall", "x cpu", "share");
  for (guint r = 0; r < n; r++) {
    double wall = bench_median (runners[r].wall, rounds);
    double cpu = bench_median (runners[r].cpu, rounds), share = bytes / wall / bandwidth;

    printf ("%-32s %10.1f %10.1f %8.2f %8.2f %6.1f%%\n", runners[r].contender->name, wall / 1e3,
        cpu / 1e3, wall / ours_wall, cpu / ours_cpu, 100 * share);
    json_builder_begin_object (json);
    bench_json_string (json, "case", c->title);
    bench_json_string (json, "contender", runners[r].contender->name);
    bench_json_number (json, "wall_us", wall / 1e3);
    bench_json_number (json, "cpu_us", cpu / 1e3);
    bench_json_number (json, "wall_ratio", wall / ours_wall);
    bench_json_number (json, "cpu_ratio", cpu / ours_cpu);
    bench_json_number (json, "bandwidth_share", share);
    json_builder_end_object (json);
  }
}

static void
run_case (JsonBuilder *json, const Case *c, guint rounds, double bandwidth)
{
  Runner runners[MAX_CONTENDERS];
  GstVideoInfo info;
  g_autoptr (GPtrArray) frames = make_frames (c, &info);
  guint n = 0, per_round = MAX (8, ROUND_SAMPLES / (c->width * c->height));

  for (; n < MAX_CONTENDERS && c->contenders[n].name; n++)
    runner_init (&runners[n], &c->contenders[n], &info, rounds);
  run_rounds (runners, n, frames, per_round, rounds);
  report (json, c, runners, n, rounds, (double) info.size, bandwidth);
  for (guint r = 0; r < n; r++)
    runner_clear (&runners[r]);
}

int
main (int argc, char **argv)
{
  const char *path = bench_take_json (&argc, argv);
  guint rounds = argc > 1 ? (guint) MAX (1, atoi (argv[1])) : DEFAULT_ROUNDS;
  JsonBuilder *json = bench_json_begin ("words");
  double bandwidth;

  gst_init (&argc, &argv);
  if (!gst_registry_check_feature_version (gst_registry_get (), "seedpatchify", 0, 0, 0)) {
    fprintf (stderr, "bench-words: no element seedpatchify; put the folder of libgstseed.so into "
                     "GST_PLUGIN_PATH_1_0, as run.sh does\n");
    return 1;
  }
  bandwidth = read_bandwidth ();
  printf ("kernels %s, %u threads, memory reads at %.1f GB/s\n",
      seed_cpu_level_name (seed_cpu_level ()), seed_pool_n_threads (), bandwidth);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (json, &cases[i], rounds, bandwidth);
  bench_json_end (json, path);
  return 0;
}

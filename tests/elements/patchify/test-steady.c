/* SPDX-License-Identifier: MIT */
/*
 * A chain of elements in its steady state: frames pass without a large allocation, with a
 * handful of small ones (GStreamer's and GLib's own bookkeeping), and the process does
 * not grow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gst/gst.h>
#include <seed/ledger.h>

#define WARM_UP 500
#define FRAMES 10000
#define LARGE 4096      /* bytes */
#define SMALL_FRAMES 50 /* that share an allocation below that, at the least */
#define GROWTH (1 << 20)
#define SLICES 4 /* metas and events of a frame, which GLib's slices were kept for until 2.76 */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNT_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNT_ALLOCATIONS 0
#endif
#endif
#ifndef COUNT_ALLOCATIONS
#define COUNT_ALLOCATIONS 1
#endif

static gint n_large, n_small; /* atomic; counted in front of the C library's for the process */

#if COUNT_ALLOCATIONS
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *old, size_t size);
extern void *__libc_memalign (size_t align, size_t size);

static void
count (size_t size)
{
  g_atomic_int_inc (size > LARGE ? &n_large : &n_small);
}

void *
malloc (size_t size)
{
  count (size);
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  count (n * size);
  return __libc_calloc (n, size);
}

void *
realloc (void *old, size_t size)
{
  count (size);
  return __libc_realloc (old, size);
}

void *
aligned_alloc (size_t align, size_t size)
{
  count (size);
  return __libc_memalign (align, size);
}

int
posix_memalign (void **memory, size_t align, size_t size)
{
  count (size);
  *memory = __libc_memalign (align, size);
  return *memory ? 0 : 12;
}
#endif

/* Bytes of this process that are in memory. */
static gint64
resident (void)
{
  char text[128];
  FILE *file = fopen ("/proc/self/statm", "r");
  gint64 pages = 0;

  if (file && fgets (text, sizeof text, file)) {
    char *next = strchr (text, ' ');

    pages = next ? g_ascii_strtoll (next, NULL, 10) : 0;
  }
  if (file)
    fclose (file);
  return pages * sysconf (_SC_PAGESIZE);
}

typedef struct {
  gint frames; /* seen at the sink */
  gint large[2], small[2];
  gint64 resident[2];
} Watch;

static void
snapshot (Watch *watch, guint i)
{
  watch->resident[i] = resident ();
  watch->large[i] = g_atomic_int_get (&n_large);
  watch->small[i] = g_atomic_int_get (&n_small);
}

static GstPadProbeReturn
watch_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Watch *watch = data;

  watch->frames++;
  if (watch->frames == WARM_UP)
    snapshot (watch, 0);
  else if (watch->frames == FRAMES)
    snapshot (watch, 1);
  return GST_PAD_PROBE_OK;
}

static void
run_to_end (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_assert_cmpstr (GST_MESSAGE_TYPE_NAME (message), ==, "eos");
}

#if COUNT_ALLOCATIONS
static gint
max_small (gint frames)
{
  return frames / SMALL_FRAMES + (glib_check_version (2, 76, 0) ? 0 : SLICES * frames);
}
#endif

/* @chain: elements between the source and the sink. */
static void
run_chain (const char *chain, Watch *watch)
{
  g_autofree char *launch =
      g_strdup_printf ("videotestsrc pattern=black num-buffers=%u ! "
                       "video/x-raw,format=NV12,width=160,height=90,framerate=30/1 ! %s ! "
                       "fakesink name=sink sync=false",
          FRAMES, chain);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = gst_parse_launch (launch, &error), sink = NULL;
  g_autoptr (GstPad) pad = NULL;

  g_assert_no_error (error);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, watch_frame, watch, NULL);
  run_to_end (pipeline);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static void
test_chain (gconstpointer chain)
{
  Watch watch = { 0 };

  run_chain (chain, &watch);
  g_assert_cmpint (watch.frames, ==, FRAMES);
  g_test_message ("%d large and %d small allocations, %" G_GINT64_FORMAT
                  " bytes more, in %d frames",
      watch.large[1] - watch.large[0], watch.small[1] - watch.small[0],
      watch.resident[1] - watch.resident[0], FRAMES - WARM_UP);
#if COUNT_ALLOCATIONS
  g_assert_cmpint (watch.small[0], >, 0); /* the hooks are in place */
  g_assert_cmpint (watch.large[1] - watch.large[0], ==, 0);
  g_assert_cmpint (watch.small[1] - watch.small[0], <=, max_small (FRAMES - WARM_UP));
  g_assert_cmpint (watch.resident[0], >, 0);
  g_assert_cmpint (watch.resident[1] - watch.resident[0], <, GROWTH);
#endif
}

int
main (int argc, char **argv)
{
  g_autofree char *teacher =
      g_strdup_printf ("seedpatchify ! seedteacher model=%s/models/vit-tiny-plain", SEED_TEST_DATA);

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  g_test_add_data_func ("/steady/words", "seedpatchify image-size=64", test_chain);
  g_test_add_data_func (
      "/steady/views", "seedpatchify image-size=64 views=2 augment=true", test_chain);
  g_test_add_data_func ("/steady/teacher", teacher, test_chain);
  return g_test_run ();
}

/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/stream-meta.h>

/* Plays a pipeline that has a seeddecode (or seedimagesrc) named "d" and a fakesink named "sink",
 * and writes down what arrives. Every wait has a limit; reaching it fails the test. */

typedef struct {
  char stream[SEED_STREAM_ID_SIZE];
  guint64 frame, dropped;
  GstClockTime pts, buffer_pts;
  gint64 capture_ns;
  gint32 label;
  guint64 hash; /* of the picture */
  char *caps;
} Seen;

typedef struct {
  GstElement *pipeline, *source;
  GstPad *sink_pad;
  GMutex lock;
  GCond more;
  GArray *seen;        /* of Seen */
  GPtrArray *events;   /* "stream-up door: reason" */
  GArray *event_after; /* guint: frames seen before each */
  GPtrArray *warnings; /* texts; read from the bus */
  char *error;         /* text, or NULL */
} Player;

Player *player_new (const char *launch, ...) G_GNUC_PRINTF (1, 2);

/* Stops, checks that the ledger adds up to what was seen, and frees. */
void player_free (Player *player);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Player, player_free)

/* Waits for a message of @types and returns its type; keeps the texts of warnings and errors. */
GstMessageType player_wait (Player *player, GstMessageType types);

/* Reads what is on the bus, as an application would: messages hold on to who sent them. */
void player_read_bus (Player *player);

/* PLAYING, and waits for EOS or ERROR. */
GstMessageType player_run (Player *player);

void player_set_state (Player *player, GstState state);

/*
 * Waits until the pipeline as a whole is PLAYING: frames arrive before. A flush sends a sink back
 * to waiting for a frame, and a pipeline that is still on its way up would leave it there.
 */
void player_wait_playing (Player *player);

/* Waits until @n frames of @stream (NULL: of any) have arrived. */
void player_wait_frames (Player *player, const char *stream, guint n);

/* Waits until @n events have come that begin with @prefix ("stream-up cam"). */
void player_wait_events (Player *player, const char *prefix, guint n);

/* Counts them. */
guint player_count_events (Player *player, const char *prefix);

/* The stats of @stream, waited for. */
GstStructure *player_stats (Player *player, const char *stream);
const char *player_state (Player *player, const char *stream);
void player_wait_state (Player *player, const char *stream, const char *state);

guint player_count (Player *player, const char *stream);
Seen *player_nth (Player *player, guint n);

/* Whether a line with all of the words is in @lines. */
gboolean player_has (GPtrArray *lines, const char *first, ...) G_GNUC_NULL_TERMINATED;

/* Frames dropped for @reason of @stream, from the ledger. */
guint64 player_dropped (Player *player, const char *stream, guint reason);

/* Of every stream seen: frame numbers rise, times do not go back. */
void player_assert_in_order (Player *player);

/* A file of the tests' own in the folder @dir. Free with g_free: its path. */
char *player_write (const char *dir, const char *name, gconstpointer data, gsize size);
char *player_uri (const char *path);

/* Initialises GStreamer, the test library and the plugin. */
void player_init (int *argc, char ***argv);

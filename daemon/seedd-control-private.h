/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/watch.h"
#include "seedd-control.h"
#include "seedd-keys.h"

/* What seedd-control.c (requests and replies) and seedd-control-door.c (sockets) share. */

/* One of the sockets, which are alike but for who may come in. */
typedef struct {
  SeeddControl *control;
  void *socket;
  char *endpoint;   /* where it is bound, with the real port */
  char *path;       /* of an ipc socket */
  SeeddKeys *keys;  /* of a tcp socket, never without */
  SeedWatch *watch; /* of its connections */
  guint source, again, watch_sources[2];
  GHashTable *peers; /* identity (GBytes) -> unanswered calls */
} SeeddDoor;

/* An ipc socket of mode 0660: who may open it may do everything. */
gboolean seedd_door_open_local (SeeddDoor *door, const char *endpoint, GError **error);
/* A tcp socket: who has a key may do what its rights say. */
gboolean seedd_door_open_remote (SeeddDoor *door, const SeeddControlConfig *config, GError **error);
/* For one that was never opened, too. */
void seedd_door_close (SeeddDoor *door);

/* The socket's descriptor tells of a change once; sending may have used that up. */
void seedd_door_look_again (SeeddDoor *door);

/* Whether the sender of @message may call @method, as the folder of keys is now. */
gboolean
seedd_door_allows (SeeddDoor *door, struct zmq_msg_t *message, const char *method, GError **error);

/* Reads requests that wait; in seedd-control.c. */
void seedd_control_serve (SeeddDoor *door);

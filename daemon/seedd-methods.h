/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-control.h"
#include "seedd-supervisor.h"

G_BEGIN_DECLS

/** What the methods of the control socket work on. */
typedef struct {
  const SeeddContext *context;
  SeeddSupervisor *supervisor;
  SeeddControl *control;
  const char *http; /* where metrics are, or NULL */
  gint64 begin_us;  /* monotonic */
} SeeddDaemon;

/** What `status` tells of the daemon itself, without graphs. Caller unrefs. */
JsonObject *seedd_methods_describe (SeeddDaemon *daemon);

/** A SeeddDispatch; @data is the SeeddDaemon. docs/daemon.md lists the methods. */
void seedd_methods_dispatch (gpointer data, SeeddCall *call, const SeedRpcMessage *request);

G_END_DECLS

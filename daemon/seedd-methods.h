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
  gint64 begin_us; /* monotonic */
} SeeddDaemon;

/** A SeeddDispatch; @data is the SeeddDaemon. docs/daemon.md lists the methods. */
void seedd_methods_dispatch (gpointer data, SeeddCall *call, const SeedRpcMessage *request);

G_END_DECLS

/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* A client of the control socket, as every subcommand that talks to the daemon is one. */

typedef struct {
  const char *name; /* of the subcommand, for complaints */
  char *control;    /* --control, or NULL */
  double timeout;   /* --timeout: seconds */
  gboolean json;    /* --json */
  void *socket;
} SeedctlClient;

#define SEEDCTL_CLIENT_INIT(subcommand)                                                            \
  {                                                                                                \
    .name = (subcommand), .timeout = 120                                                           \
  }

#define SEEDCTL_CLIENT_N_OPTIONS 3
/* The options all of them have, in @entries from its beginning; one more entry ends the list. */
void seedctl_client_add_options (SeedctlClient *client, GOptionEntry *entries);

/* Asks the daemon and waits. @params is taken, may be NULL. NULL after a complaint, with *@code the
 * exit status. The caller unrefs. */
JsonNode *
seedctl_client_call (SeedctlClient *client, const char *method, JsonObject *params, int *code);

void seedctl_client_clear (SeedctlClient *client);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedctlClient, seedctl_client_clear)

/* What an answer says, defaults for what it does not. */
const char *seedctl_get_text (JsonObject *object, const char *name);
double seedctl_get_number (JsonObject *object, const char *name, double missing);
JsonObject *seedctl_get_object (JsonObject *object, const char *name); /* or NULL */
JsonArray *seedctl_get_array (JsonObject *object, const char *name);   /* or NULL */

/* Prints @node as a line of JSON. */
void seedctl_print_json (JsonNode *node);
/* @text with what a terminal would obey taken out. Caller frees. */
char *seedctl_printable (const char *text);
/* The escape sequence that begins a state's colour and the one that ends it; "" unless standard
 * output is a terminal and NO_COLOR is not set. */
const char *seedctl_state_colour (const char *state);
const char *seedctl_colour_end (void);

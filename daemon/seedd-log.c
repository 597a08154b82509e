/* SPDX-License-Identifier: MIT */
#include "seedd-log.h"

#include <stdio.h>

#include "journal.h"

static gboolean journal;

void
seedd_log_init (void)
{
  journal = seed_journal_is_stderr ();
}

void
seedd_log_about (
    int priority, const char *graph, const char *stage, const char *stream, const char *text)
{
  g_autofree char *line = g_strdup_printf (
      "%s%s%s%s", journal ? "" : "seedd: ", graph ? graph : "", graph ? ": " : "", text);
  g_autofree char *whole = NULL;

  g_strdelimit (line, "\r\n", ' ');
  if (journal && seed_journal_say (priority, "seedd", graph, stage, stream, line))
    return;
  whole = journal ? g_strdup_printf ("<%d>%s\n", priority, line) : g_strconcat (line, "\n", NULL);
  fputs (whole, stderr); /* unbuffered, so one write */
}

void
seedd_log (int priority, const char *graph, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  seedd_log_about (priority, graph, NULL, NULL, text);
}

/* SPDX-License-Identifier: MIT */
#include "seedd-log.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean journal;

void
seedd_log_init (void)
{
  const char *stream = g_getenv ("JOURNAL_STREAM");
  struct stat info;
  g_autofree char *ours = NULL;

  if (!stream || fstat (STDERR_FILENO, &info) < 0)
    return;
  ours = g_strdup_printf ("%ju:%ju", (uintmax_t) info.st_dev, (uintmax_t) info.st_ino);
  journal = g_str_equal (stream, ours);
}

void
seedd_log (int priority, const char *graph, const char *format, ...)
{
  g_autofree char *text = NULL, *line = NULL;
  char level[8] = "";
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_strdelimit (text, "\r\n", ' ');
  if (journal)
    g_snprintf (level, sizeof level, "<%d>", priority);
  line = g_strdup_printf (
      "%s%s%s%s%s\n", level, journal ? "" : "seedd: ", graph ? graph : "", graph ? ": " : "", text);
  fputs (line, stderr); /* unbuffered, so one write */
}

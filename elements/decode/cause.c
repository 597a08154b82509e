/* SPDX-License-Identifier: MIT */
#include "decode/cause.h"

#include <string.h>

#define MAX_DETAIL 200

static const struct {
  GQuark (*domain) (void);
  int code;
  const char *advice;
} advices[] = {
  { gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_FOUND, "check that it exists" },
  { gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ,
      "check that it exists and may be read" },
  { gst_resource_error_quark, GST_RESOURCE_ERROR_OPEN_READ_WRITE,
      "check that the other end is up and can be reached" },
  { gst_resource_error_quark, GST_RESOURCE_ERROR_READ,
      "check the disk, or the network and the other end" },
  { gst_resource_error_quark, GST_RESOURCE_ERROR_BUSY, "close what else is using it" },
  { gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
      "check the user name and password in the URI" },
  { gst_stream_error_quark, GST_STREAM_ERROR_WRONG_TYPE, "give a file with video in it" },
  { gst_stream_error_quark, GST_STREAM_ERROR_TYPE_NOT_FOUND, "give a file with video in it" },
  { gst_stream_error_quark, GST_STREAM_ERROR_CODEC_NOT_FOUND,
      "install the GStreamer plugin for it" },
  { gst_core_error_quark, GST_CORE_ERROR_MISSING_PLUGIN, "install the GStreamer plugin for it" },
  { gst_stream_error_quark, GST_STREAM_ERROR_DECODE, "the data is damaged: get it again" },
  { gst_stream_error_quark, GST_STREAM_ERROR_DEMUX, "the data is damaged: get it again" },
  { gst_stream_error_quark, GST_STREAM_ERROR_DECRYPT, "it is encrypted: give it in the clear" },
  { gst_stream_error_quark, GST_STREAM_ERROR_DECRYPT_NOKEY,
      "it is encrypted: give it in the clear" },
};

static const char *
find_advice (const GError *error)
{
  for (guint i = 0; i < G_N_ELEMENTS (advices); i++) {
    if (error->domain == advices[i].domain () && error->code == advices[i].code)
      return advices[i].advice;
  }
  return "check that the URI plays with gst-play-1.0";
}

/* Debug texts begin with a place in the source; what the element had to say is the last line. */
static char *
find_detail (const char *debug)
{
  const char *line = debug ? strrchr (debug, '\n') : NULL;
  g_autofree char *valid = NULL;

  if (!line || line[1] == '\0' || g_str_has_prefix (line + 1, "../"))
    return NULL;
  valid = g_utf8_make_valid (line + 1, -1);
  if (g_utf8_strlen (valid, -1) > MAX_DETAIL)
    return NULL;
  return g_steal_pointer (&valid);
}

/* Without the user name and password that a URI may hold. Takes @text. */
static char *
without_secrets (char *text)
{
  g_autoptr (GRegex) regex = g_regex_new ("://[^/@\\s]*@", 0, 0, NULL);
  g_autofree char *original = text;

  return g_regex_replace_literal (regex, original, -1, 0, "://", 0, NULL);
}

char *
seed_decode_describe_cause (const GError *error, const char *debug)
{
  g_autofree char *message = g_strdup (error->message), *detail = find_detail (debug);
  gsize length;

  g_strdelimit (message, "\r\n", ' ');
  for (length = strlen (message); length > 0 && strchr (". ", message[length - 1]); length--)
    message[length - 1] = '\0';
  return without_secrets (g_strdup_printf ("%s%s%s%s; %s", message, detail ? " (" : "",
      detail ? detail : "", detail ? ")" : "", find_advice (error)));
}

static const char *const status_fields[] = { "rtsp-status-code", "http-status-code" };

/* Answers in the hundreds of 400 that are about the moment, of HTTP and RTSP (RFC 9110, 7826). */
static const guint passing_statuses[] = { 408, 409, 423, 425, 429, 453, 454, 455, 463 };

/* 0: there is none. */
static guint
find_status (const GstStructure *details)
{
  guint status = 0;

  for (guint i = 0; details && i < G_N_ELEMENTS (status_fields); i++) {
    if (gst_structure_get_uint (details, status_fields[i], &status))
      return status;
  }
  return 0;
}

static gboolean
is_refusal (guint status)
{
  for (guint i = 0; i < G_N_ELEMENTS (passing_statuses); i++) {
    if (status == passing_statuses[i])
      return FALSE;
  }
  return status >= 400 && status < 500;
}

SeedStreamInput
seed_decode_classify_cause (const GError *error, const GstStructure *details, const char *uri)
{
  static const struct {
    GQuark (*domain) (void);
    int code;
  } refusals[] = {
    { gst_resource_error_quark, GST_RESOURCE_ERROR_NOT_AUTHORIZED },
    { gst_resource_error_quark, GST_RESOURCE_ERROR_SETTINGS },
    { gst_stream_error_quark, GST_STREAM_ERROR_CODEC_NOT_FOUND },
    { gst_stream_error_quark, GST_STREAM_ERROR_DECRYPT },
    { gst_stream_error_quark, GST_STREAM_ERROR_DECRYPT_NOKEY },
    { gst_core_error_quark, GST_CORE_ERROR_MISSING_PLUGIN },
  };
  guint status = find_status (details);

  if (status > 0)
    return is_refusal (status) ? SEED_STREAM_REFUSED : SEED_STREAM_LOST;
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
    if (error->domain == refusals[i].domain () && error->code == refusals[i].code)
      return SEED_STREAM_REFUSED;
  }
  /* rtspsrc keeps the answer to itself here and there: it is a server's, or there was none */
  if (g_ascii_strncasecmp (uri, "rtsp", 4) == 0 &&
      g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND))
    return SEED_STREAM_REFUSED;
  return SEED_STREAM_LOST;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/curve.h>
#include <seed/error.h>

#include "keys/key-file.h"

struct _SeedCurveKeypair {
  SeedKeyFile file;
};

static gboolean
check_curve (GError **error)
{
  if (zmq_has ("curve"))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED, "this libzmq was built without CURVE");
  return FALSE;
}

SeedCurveKeypair *
seed_curve_keypair_new (const char *name, GError **error)
{
  g_autoptr (SeedCurveKeypair) keypair = g_new0 (SeedCurveKeypair, 1);
  g_autofree char *text = NULL;

  if (!check_curve (error))
    return NULL;
  if (zmq_curve_keypair (keypair->file.public_key, keypair->file.secret_key) < 0) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_IO, "no key pair to be had: %s", zmq_strerror (errno));
    return NULL;
  }
  keypair->file.name = g_strdup (name);
  text = seed_key_file_format (&keypair->file, error); /* whether the name can be written */
  if (!text)
    return NULL;
  explicit_bzero (text, strlen (text));
  return g_steal_pointer (&keypair);
}

/* A public key that is not the secret's would fail in every handshake, without a reason given. */
static gboolean
check_pair (const char *path, const SeedKeyFile *file, GError **error)
{
  char derived[SEED_CURVE_KEY_LENGTH + 1];

  if (!*file->secret_key) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: there is no secret-key; this is the file for others, the own one is needed", path);
    return FALSE;
  }
  if (zmq_curve_public (derived, file->secret_key) < 0 || strcmp (derived, file->public_key) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: public-key does not belong to secret-key", path);
    return FALSE;
  }
  return TRUE;
}

SeedCurveKeypair *
seed_curve_keypair_load (const char *path, GError **error)
{
  g_autoptr (SeedCurveKeypair) keypair = g_new0 (SeedCurveKeypair, 1);

  if (!check_curve (error) || !seed_key_file_load (path, &keypair->file, error) ||
      !check_pair (path, &keypair->file, error))
    return NULL;
  return g_steal_pointer (&keypair);
}

static gboolean
write_all (int fd, const char *text, gsize length)
{
  while (length > 0) {
    gssize n = write (fd, text, length);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    text += n;
    length -= (gsize) n;
  }
  return fsync (fd) == 0;
}

/* A half-written file is taken away again. */
static gboolean
write_file (const char *path, const SeedKeyFile *file, GError **error)
{
  g_autofree char *text = seed_key_file_format (file, error);
  gboolean ok = FALSE;
  int fd;

  if (!text)
    return FALSE;
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    ok = fchmod (fd, 0600) == 0 && write_all (fd, text, strlen (text));
    ok = close (fd) == 0 && ok;
  }
  if (!ok) {
    int saved = errno;

    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be written: %s%s", path,
        g_strerror (saved), saved == EEXIST ? "; keys are never overwritten" : "");
    if (fd >= 0)
      unlink (path);
  }
  explicit_bzero (text, strlen (text));
  return ok;
}

gboolean
seed_curve_keypair_save (const SeedCurveKeypair *keypair, const char *path, GError **error)
{
  return write_file (path, &keypair->file, error);
}

gboolean
seed_curve_keypair_save_public (const SeedCurveKeypair *keypair, const char *path,
    const char *results, const char *control, GError **error)
{
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;

  file.name = g_strdup (keypair->file.name);
  memcpy (file.public_key, keypair->file.public_key, sizeof file.public_key);
  file.results = seed_key_file_split (results);
  file.control = seed_key_file_split (control);
  return write_file (path, &file, error);
}

void
seed_curve_keypair_free (SeedCurveKeypair *keypair)
{
  if (!keypair)
    return;
  seed_key_file_clear (&keypair->file);
  g_free (keypair);
}

const char *
seed_curve_keypair_name (const SeedCurveKeypair *keypair)
{
  return keypair->file.name ? keypair->file.name : "";
}

const char *
seed_curve_keypair_public (const SeedCurveKeypair *keypair)
{
  return keypair->file.public_key;
}

const char *
seed_curve_keypair_secret (const SeedCurveKeypair *keypair)
{
  return keypair->file.secret_key;
}

char *
seed_curve_public_load (const char *path, GError **error)
{
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;

  if (!seed_key_file_load (path, &file, error))
    return NULL;
  return g_strdup (file.public_key);
}

static gboolean
set_key (void *socket, int option, const char *key, GError **error)
{
  if (zmq_setsockopt (socket, option, key, SEED_CURVE_KEY_LENGTH + 1) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "ZeroMQ refused a key (option %d): %s", option,
      zmq_strerror (errno));
  return FALSE;
}

gboolean
seed_curve_apply_client (
    void *socket, const char *server_key, const char *client_key, GError **error)
{
  g_autoptr (SeedCurveKeypair) client = NULL;
  g_autofree char *server = NULL;

  if ((!server_key || !*server_key) && (!client_key || !*client_key))
    return TRUE;
  if (!server_key || !*server_key || !client_key || !*client_key) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "server-key and client-key belong together: CURVE needs the server's public key and the "
        "own key pair");
    return FALSE;
  }
  server = seed_curve_public_load (server_key, error);
  client = server ? seed_curve_keypair_load (client_key, error) : NULL;
  return client && set_key (socket, ZMQ_CURVE_SERVERKEY, server, error) &&
         set_key (socket, ZMQ_CURVE_PUBLICKEY, client->file.public_key, error) &&
         set_key (socket, ZMQ_CURVE_SECRETKEY, client->file.secret_key, error);
}

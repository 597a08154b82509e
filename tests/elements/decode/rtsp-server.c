/* SPDX-License-Identifier: MIT */
/* Serves an H.264 MP4 file, or what a launch line in brackets gives, at rtsp://127.0.0.1:PORT/clip
 * and prints PORT; for test-rtsp and test-reconnect, which stop and kill it. */
#include <signal.h>
#include <sys/prctl.h>

#include <gst/rtsp-server/rtsp-server.h>

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GstRTSPServer) server = NULL;
  g_autoptr (GstRTSPMountPoints) mounts = NULL;
  g_autofree char *launch = NULL;
  GstRTSPMediaFactory *factory;

  prctl (PR_SET_PDEATHSIG, SIGKILL); /* never outlive the test */
  gst_init (&argc, &argv);
  if (argc < 2 || argc > 3) {
    g_printerr ("usage: rtsp-server FILE.mp4|\"( LAUNCH )\" [PORT]\n");
    return 2;
  }
  loop = g_main_loop_new (NULL, FALSE);
  server = gst_rtsp_server_new ();
  gst_rtsp_server_set_address (server, "127.0.0.1");
  gst_rtsp_server_set_service (server, argc > 2 ? argv[2] : "0");
  if (argv[1][0] == '(')
    launch = g_strdup (argv[1]);
  else
    launch = g_strdup_printf ("( filesrc location=%s ! qtdemux ! h264parse ! "
                              "rtph264pay name=pay0 pt=96 config-interval=-1 )",
        argv[1]);
  factory = gst_rtsp_media_factory_new ();
  gst_rtsp_media_factory_set_launch (factory, launch);
  mounts = gst_rtsp_server_get_mount_points (server);
  gst_rtsp_mount_points_add_factory (mounts, "/clip", factory);
  if (gst_rtsp_server_attach (server, NULL) == 0) {
    g_printerr ("the server cannot be attached\n");
    return 1;
  }
  g_print ("%d\n", gst_rtsp_server_get_bound_port (server));
  g_main_loop_run (loop);
  return 0;
}

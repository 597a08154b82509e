# SPDX-License-Identifier: MIT
"""What is done to a running daemon, its graphs, their cameras and their subscribers."""
import os
import resource
import signal
import subprocess
import time

import zmq

from seedd_harness import BUILD, wait_for

SERVER = os.path.join(BUILD, "tests", "elements", "decode", "rtsp-server")


class Camera:
    """A real RTSP server on loopback, of what a launch line gives."""

    def __init__(self, source):
        self.launch = f"( {source} ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
        self.port, self.process = "0", None
        self.start()

    def start(self):
        self.process = subprocess.Popen([SERVER, self.launch, self.port], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline().strip()
        assert line.isdigit(), "the RTSP server does not start"
        self.port = line

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def uri(self):
        return f"rtsp://127.0.0.1:{self.port}/clip"


class Faults:
    def __init__(self, rng, daemon, cameras, texts):
        self.rng, self.daemon, self.cameras, self.texts = rng, daemon, cameras, texts
        self.expected = {name: {} for name in texts}  # graph -> cause -> restarts
        self.kinds = [self.kill, self.crash, self.hang, self.camera, self.deaf, self.churn, self.edit,
                      self.disk_full]
        if not cameras:
            self.kinds.remove(self.camera)

    def graph(self):
        return self.rng.choice(sorted(self.texts))

    def end_process(self, number, cause):
        name = self.graph()
        old = self.daemon.wait_state(name, "running")["pid"]
        os.kill(old, number)
        wait_for(lambda: (g := self.daemon.graph(name))["state"] == "running" and g["pid"] != old, f"{name} again")
        self.expected[name][cause] = self.expected[name].get(cause, 0) + 1
        return name

    def kill(self):
        return "SIGKILL of " + self.end_process(signal.SIGKILL, "signal")

    def crash(self):
        return "SIGSEGV of " + self.end_process(signal.SIGSEGV, "signal")

    def hang(self):
        return "SIGSTOP of " + self.end_process(signal.SIGSTOP, "hang")

    def camera(self):
        camera = self.rng.choice(self.cameras)
        camera.kill()
        time.sleep(self.rng.uniform(0.5, 2))  # of an outage
        camera.start()
        return "a camera was away"

    def subscriber(self):
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 1)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(self.daemon.results)
        return socket

    def deaf(self):
        socket = self.subscriber()
        time.sleep(self.rng.uniform(1, 3))  # without reading
        socket.close()
        return "a subscriber did not read"

    def churn(self):
        for _ in range(30):
            socket = self.subscriber()
            socket.poll(self.rng.randrange(30))
            socket.close()
        return "30 subscribers came and went"

    def edit(self):
        name = self.graph()
        self.daemon.write(name, self.texts[name].replace("stage: publish", self.rng.choice(
            ["stage: publsh", "stage: [", "stage: publish, nonsense: 1"])))
        wait_for(lambda: self.daemon.graph(name)["pending_errors"], "the errors of the file")
        old = self.daemon.graph(name)
        assert old["state"] == "running", old
        self.daemon.write(name, self.texts[name])
        wait_for(lambda: not self.daemon.graph(name)["pending_errors"], "the file is good again")
        assert self.daemon.graph(name)["pid"] == old["pid"], "an edit without effect restarted the graph"
        return f"an invalid edit of {name}"

    def disk_full(self):
        """No file of the learning graph may be larger than a KiB, until it has said so."""
        said = self.daemon.logged().count("checkpoint not saved")
        pid = self.daemon.wait_state("learn", "running")["pid"]
        whole = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, whole[1]))
        wait_for(lambda: self.daemon.logged().count("checkpoint not saved") > said, "a warning of the checkpoint")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, whole)
        assert self.daemon.graph("learn")["pid"] == pid, "a full disk ended the graph"
        return "no room for checkpoints"

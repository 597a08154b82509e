#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedd keeps graphs running: faults of one touch no other, nothing is left behind. Speaks TAP."""
import os
import signal
import socket
import subprocess
import time

import zmq

from seedd_harness import (CLIP, ENV, LIMIT, LIVE, MEDIA, SANITIZED, SEEDD, Daemon, Subscriber, assert_adds_up,
                           is_alive, lost_of, of_kind, rss, tap, wait_for, write)
from harness import random_model


def live(name, pattern="ball", drop="false"):
    return LIVE.format(name=name, pattern=pattern, drop=drop)


def two(folder, **options):
    return Daemon(folder, {"first": live("first"), "second": live("second")}, **options)


def events_of(subscriber, graph):
    return [m[1]["data"]["event"] for m in list(subscriber.messages)
            if m[1]["graph"] == graph and m[1]["node"] == "seedd"]


# ---- configuration ----

def test_usage_and_configuration(folder):
    def run(*arguments):
        return subprocess.run([SEEDD, *arguments], env=ENV, timeout=LIMIT, capture_output=True,
                              text=True, check=False)
    assert run("--nonsense").returncode == 2 and run("argument").returncode == 2
    assert run("--help").returncode == 0 and run("--version").stdout.startswith("seedd ")
    path = write(os.path.join(folder, "bad.yaml"),
                 "version: 1\nresult: x\nhwm: none\nlimits: { a: { memory: 5 } }\n")
    done = run("--config", path)
    assert done.returncode == 1 and done.stderr.splitlines() == [
        f"{path}:2:1: error: configuration: unknown key 'result'; did you mean 'results'?",
        f"{path}:3:6: error: 'hwm': expected an integer from 1 to 1000000, found 'none'",
        f"{path}:4:24: error: 'memory': expected bytes, at least 1 MiB, as in 512 MiB or 2 GiB, "
        "found '5'"], done.stderr
    assert run("--config", folder + "/nowhere.yaml").returncode == 1


def test_user_folders(folder):
    env = {**ENV, "HOME": folder, "XDG_CONFIG_HOME": folder + "/config",
           "XDG_RUNTIME_DIR": folder + "/runtime", "XDG_STATE_HOME": folder + "/state"}
    env.pop("SEED_CONTROL", None)
    os.makedirs(folder + "/config/seed/graphs")
    write(folder + "/config/seed/seedd.yaml", f"version: 1\nresults: ipc://{folder}/results\n")
    write(folder + "/config/seed/graphs/mine.yaml", live("mine"))
    with subprocess.Popen([SEEDD, "--user"], env=env, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: os.path.exists(folder + "/runtime/seed/control"), "the control socket")
            ctl = [SEEDD[:-1] + "ctl"]
            wait_for(lambda: b"running" in subprocess.run(
                [*ctl, "list"], env=env, capture_output=True, check=False).stdout, "running")
            mode = os.stat(folder + "/runtime/seed/control").st_mode & 0o777
            assert mode == 0o660, oct(mode)
        finally:
            process.terminate()
            assert process.wait(timeout=LIMIT) == 0


def test_one_daemon_to_a_folder(folder):
    with two(folder) as daemon:
        done = subprocess.run([SEEDD, "--config", daemon.config], env=ENV, timeout=LIMIT,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "another seedd" in done.stderr, done
        assert daemon.graph("first")["state"] in ("starting", "running")
        daemon.stop()


# ---- faults ----

def fault(folder, number, reason, hang=30):
    # a sanitizer would make an exit of a crash
    options = ENV.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    with two(folder, hang=hang, env={"ASAN_OPTIONS": options}) as daemon:
        subscriber = Subscriber(daemon.results)
        wait_for(lambda: daemon.ask("status")["results"]["subscriptions"] > 0, "the subscription")
        for name in ("first", "second"):
            daemon.wait_state(name, "running")
        before = daemon.wait_frames("second", 20)
        pid = daemon.wait_frames("first", 5)["pid"]
        frames = before["process"]["frames"]
        begin = time.monotonic()
        os.kill(pid, number)
        wait_for(lambda: daemon.graph("first")["pid"] not in (pid, None), "another process")
        seconds = time.monotonic() - begin
        assert seconds >= 0.2, "no pause"  # of 0.2 s, and 10 for a busy machine
        assert seconds < 10.2 + (hang if number == signal.SIGSTOP else 0), f"back after {seconds} s"
        after = wait_for(lambda: (g := daemon.graph("first"))["state"] == "running" and
                         g["pid"] != pid and g, "a restart")
        print(f"# back after {time.monotonic() - begin:.2f} s")
        assert after["restarts"] == 1
        assert not is_alive(pid)
        assert "backing-off" in events_of(subscriber, "first")
        # the other: the same process, frames go on, none lost
        daemon.wait_frames("second", frames + 50)
        now = daemon.graph("second")
        assert now["pid"] == before["pid"] and now["restarts"] == 0
        stats = daemon.ask("stats", "second")
        assert_adds_up(stats)
        assert lost_of(stats) == 0, stats["queues"]
        wait_for(lambda: events_of(subscriber, "first").count("started") >= 1, "started")
        messages = [m for m in subscriber.finish() if m[1]["node"] == "seedd"]
        assert {m[0] for m in messages} <= {"first/-/event/seedd/", "second/-/event/seedd/"}
        seqs = [m[1]["seq"] for m in messages if m[1]["graph"] == "first"]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), seqs
        crash = next(m[1]["data"] for m in messages if m[1]["data"]["event"] == "crashed")
        assert reason in crash["reason"], crash
        assert daemon.stop() < LIMIT
        assert not is_alive(after["pid"]) and not is_alive(before["pid"])


def test_killed_graph(folder):
    fault(folder, signal.SIGKILL, "signal 9")


def test_crashed_graph(folder):
    fault(folder, signal.SIGSEGV, "signal 11")


def test_hung_graph(folder):
    fault(folder, signal.SIGSTOP, "no heartbeat for 3 s", hang=3)


def test_back_off_doubles(folder):
    broken = """version: 1
graph: broken
nodes:
  src: { element: videotestsrc, properties: { num-buffers: 100 } }
  bad: { element: identity, from: src, properties: { error-after: 2 } }
  out: { element: fakesink, from: bad }
"""
    with Daemon(folder, {"broken": broken, "first": live("first")}) as daemon:
        subscriber = Subscriber(daemon.results)
        pauses = wait_for(lambda: len(p := [
            m[1]["data"]["retry_in_s"] for m in list(subscriber.messages)
            if m[1]["data"].get("event") == "backing-off"]) >= 3 and p, "three pauses")
        assert all(b == min(2 * a, 1) for a, b in zip(pauses, pauses[1:])), pauses
        assert pauses[-1] <= 1
        status = daemon.graph("broken")
        assert any("bad" in line for line in status["last_messages"]), status
        assert daemon.graph("first")["restarts"] == 0
        subscriber.finish()
        daemon.ctl("stop", "broken")
        assert daemon.graph("broken")["state"] == "stopped"


def test_back_off_begins_anew_after_health(folder):
    """Twice the pause each time, but the first one again after it ran for `healthy` seconds."""
    with Daemon(folder, {"first": live("first")}, restart="{ initial: 0.1, max: 60, healthy: 6 }") as daemon:
        subscriber = Subscriber(daemon.results)

        def pause(wait):
            n = len(pauses())
            graph = wait_for(lambda: (g := daemon.graph("first"))["state"] == "running" and g["uptime_s"] >= wait and g,
                             f"{wait} s of health")
            os.kill(graph["pid"], signal.SIGKILL)
            return wait_for(lambda: pauses()[n:], "a pause")[0]

        def pauses():
            return [m[1]["data"]["retry_in_s"] for m in list(subscriber.messages)
                    if m[1]["data"].get("event") == "backing-off"]
        wait_for(lambda: daemon.ask("status")["results"]["subscriptions"] > 0, "the subscription")
        first, second = pause(0), pause(0)
        assert (first, second) == (0.1, 0.2), (first, second)
        assert pause(6.1) == 0.1
        subscriber.finish()
        daemon.stop()


def test_limits_reach_the_process(folder):
    limits = "limits: { first: { nice: 7, threads: 1, memory: 4 GiB } }\n"
    with Daemon(folder, {"first": live("first"), "second": live("second")}, config=limits) as daemon:
        before = os.getpriority(os.PRIO_PROCESS, daemon.process.pid)
        first, second = (daemon.wait_state(name, "running") for name in ("first", "second"))
        assert os.getpriority(os.PRIO_PROCESS, first["pid"]) == 7
        assert os.getpriority(os.PRIO_PROCESS, second["pid"]) == before
        with open(f"/proc/{first['pid']}/cmdline", "rb") as line:
            assert b"--threads=1" in line.read().split(b"\0")
        assert first["limits"] == {"memory_bytes": 4 << 30, "threads": 1, "nice": 7, "stall_s": 60}
        daemon.stop()


def test_too_much_memory(folder):
    with Daemon(folder, {"first": live("first"), "second": live("second")},
                config="limits: { first: { memory: 1 MiB } }\n") as daemon:
        wait_for(lambda: daemon.graph("first")["restarts"] > 0, "a restart")
        assert "of memory, allowed are 1 MiB" in daemon.logged()
        assert daemon.graph("second")["restarts"] == 0


def test_no_frames(folder):
    with Daemon(folder, {"first": live("first", drop="false"),
                         "second": live("second").replace("is-live: true", "is-live: true, num-buffers: 3")
                         .replace("out: { element: fakesink,", "out: { element: identity,")
                         + "  slow: { element: identity, from: out, properties: { sleep-time: 60000000 } }\n"},
                config="defaults: { stall: 2 }\n", stop=3) as daemon:
        wait_for(lambda: "no frame for 2 s" in daemon.logged(), "a stall")
        assert daemon.graph("first")["restarts"] == 0


def test_finished_graph_is_not_started_again(folder):
    text = "version: 1\ngraph: short\nnodes: { a: { element: videotestsrc, properties: { num-buffers: 3 } } }\n"
    with Daemon(folder, {"short": text}) as daemon:
        status = daemon.wait_state("short", "finished")
        assert status["restarts"] == 0 and status["pid"] is None
        assert daemon.ask("start", "short")["state"] in ("running", "finished")
        daemon.wait_state("short", "finished")


# ---- the end ----

def test_stop_has_a_limit(folder):
    stuck = live("stuck") + """  late: { element: videotestsrc, properties: { timestamp-offset: 3600000000000 } }
  held: { element: fakesink, from: late, properties: { sync: true } }
"""
    with Daemon(folder, {"stuck": stuck, "first": live("first")}, stop=3) as daemon:
        for name in ("stuck", "first"):
            daemon.wait_state(name, "running")
        pids = [daemon.graph(name)["pid"] for name in ("stuck", "first")]
        seconds = daemon.stop()
        print(f"# stopped after {seconds:.2f} s")
        assert not any(is_alive(pid) for pid in pids)
        assert not os.path.exists(folder + "/run/control"), "the socket is left"
        assert os.listdir(folder + "/run/graphs") == []


def test_killed_daemon_leaves_nothing(folder):
    with two(folder) as daemon:
        pids = [daemon.wait_state(name, "running")["pid"] for name in ("first", "second")]
        os.kill(pids[1], signal.SIGSTOP)
        daemon.process.kill()
        daemon.process.wait()
        wait_for(lambda: not any(is_alive(pid) for pid in pids), "the end of the graphs")
        daemon.start()  # its sockets are in nobody's way
        for name in ("first", "second"):
            daemon.wait_state(name, "running")
        daemon.stop()


class Manager:
    """What a service manager hears."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.1)
        self.heard = []  # (monotonic, text)

    def listen(self):
        try:
            text = self.socket.recv(4096).decode()
            self.heard.append((time.monotonic(), text))
        except socket.timeout:
            pass
        return self.heard

    def hear(self, wanted, times=1):
        """(when, text) of the last message with such a line, once there are so many."""
        return wait_for(lambda: len(found := [
            (at, text) for at, text in self.listen()
            if any(line.startswith(wanted) for line in text.splitlines())]) >= times and found[-1], wanted)


def held_up(pid):
    """Seconds that its threads were ready to run and the machine did something else."""
    waited = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as schedstat:
                waited += int(schedstat.read().split()[1])
        except FileNotFoundError:
            pass
    return waited / 1e9


def test_start_and_stop_are_quick(folder):
    """Ready in less than 1 s without models, and everything stopped within 5 s of SIGTERM; the best of five, less
    what a busy machine held the daemon and this program up."""
    ready, stopped, manager = [], [], Manager(folder)
    with two(folder) as daemon:
        daemon.stop()
    for number in range(5):
        before, begin = held_up(os.getpid()), time.monotonic()
        with subprocess.Popen([SEEDD, "--config", daemon.config], stderr=subprocess.DEVNULL,
                              env={**daemon.env, "NOTIFY_SOCKET": manager.path}) as process:
            wall = manager.hear("READY=1", times=number + 1)[0] - begin
            ready.append(wall - max(held_up(process.pid), held_up(os.getpid()) - before))
            manager.hear("STATUS=2 running", times=number + 1)
            begin = time.monotonic()
            process.terminate()
            assert process.wait(timeout=LIMIT) == 0
            stopped.append(time.monotonic() - begin)
    print(f"# ready after {min(ready):.2f} s (the last: {wall:.2f} s by the clock), stopped after {min(stopped):.2f} s")
    assert SANITIZED or (min(ready) < 1 and min(stopped) < 5), (ready, stopped)


# ---- results ----

def test_results_of_all_graphs_at_one_place(folder):
    model = random_model(os.path.join(folder, "model"), dim=48, depth=1, heads=3, image_size=32, seed=1)
    clips = {name: CLIP.format(name=name, media=MEDIA, model=model) for name in ("one", "two")}
    with Daemon(folder, clips) as daemon:
        subscriber = Subscriber(daemon.results)
        wait_for(lambda: all(any(m[1]["graph"] == name for m in of_kind(list(subscriber.messages), "embedding"))
                             for name in clips), "embeddings of both")
        pid = daemon.graph("one")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: (g := daemon.graph("one"))["state"] == "running" and g["pid"] != pid, "restart")
        n = len(subscriber.messages)
        wait_for(lambda: any(m[0] == "one/door/embedding/view/" for m in subscriber.messages[n:]),
                 "embeddings after the restart")
        seen = [m[1]["seq"] for m in subscriber.finish() if m[0] == "two/door/embedding/view/"]
        assert seen == list(range(seen[0], seen[0] + len(seen))), "the other graph lost messages"
        # a state of a graph that is gone is still told
        wait_for(lambda: daemon.ask("status")["results"]["retained"] >= 2, "retained states")
        daemon.ctl("stop", "one", "two")
        late = Subscriber(daemon.results, b"one/-/health/")
        wait_for(lambda: late.messages, "the last health")
        assert late.finish()[0][0].startswith("one/-/health/")
        daemon.stop()


def test_a_thousand_come_and_go(folder):
    """Forty at a time, each with prefixes of its own; who stays gets everything and the daemon stays as it was."""
    context = zmq.Context()  # its sockets have threads of their own, and end with it
    model = random_model(os.path.join(folder, "model"), dim=48, depth=1, heads=3, image_size=32, seed=1)
    with Daemon(folder, {"one": CLIP.format(name="one", media=MEDIA, model=model)}) as daemon:
        pid = daemon.process.pid
        steady = Subscriber(daemon.results, b"one/door/embedding/")
        wait_for(lambda: steady.messages, "results")
        for round_ in range(25):
            crowd = []
            for i in range(40):
                crowd.append(context.socket(zmq.SUB))
                crowd[-1].linger = 0
                for prefix in (b"one/", b"one/door/embedding/", b"none/%d/%d/" % (round_, i)):
                    crowd[-1].subscribe(prefix)
                crowd[-1].connect(daemon.results)
            if round_ % 2:  # the others go while they still come
                assert all(socket.poll(1000 * LIMIT) for socket in crowd), "some got nothing"
            for socket in crowd:
                socket.close()
            if round_ == 4:
                wait_for(lambda: daemon.ask("status")["results"]["subscriptions"] == 1, "the first to go")
                before = rss(pid), len(os.listdir(f"/proc/{pid}/fd"))
        wait_for(lambda: daemon.ask("status")["results"]["subscriptions"] == 1, "all to go")
        n = len(steady.messages)
        wait_for(lambda: len(steady.messages) > n, "results afterwards")
        seen = [m[1]["seq"] for m in steady.finish()]
        assert seen == list(range(seen[0], seen[0] + len(seen))), "the one who stayed lost results"
        after = rss(pid), len(os.listdir(f"/proc/{pid}/fd"))
        print(f"# 800 subscribers: {(after[0] - before[0]) >> 10} KiB and {after[1] - before[1]} descriptors more")
        assert after[1] <= before[1] + 2 and (SANITIZED or after[0] < before[0] + (8 << 20)), (before, after)
        daemon.stop()
    context.term()


# ---- service manager ----

def test_service_manager_is_told(folder):
    manager = Manager(folder)
    with two(folder, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "600000"}) as daemon:
        manager.hear("READY=1")
        manager.hear("WATCHDOG=1")
        manager.hear("STATUS=2 running")
        daemon.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in manager.hear("RELOADING=1")[1]
        manager.hear("READY=1", times=2)
        with open(f"/proc/{daemon.graph('first')['pid']}/environ", "rb") as environ:
            assert b"NOTIFY_SOCKET" not in environ.read()
        daemon.process.terminate()
        manager.hear("STOPPING=1")
        assert daemon.process.wait(timeout=LIMIT) == 0


def test_service_manager_is_told_of_nothing(folder):
    """Without graphs there is a status as well, and it follows what comes."""
    manager = Manager(folder)
    with Daemon(folder, {}, env={"NOTIFY_SOCKET": manager.path}) as daemon:
        manager.hear("READY=1")
        manager.hear("STATUS=no graphs")
        daemon.write("first", live("first"))
        manager.hear("STATUS=1 running")
        os.unlink(daemon.path("first"))
        manager.hear("STATUS=no graphs", times=2)
        daemon.stop()


JOURNAL = """set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
mount --bind "$1" /run/systemd/journal
shift
exec "$@"
"""


def test_journal_has_fields(folder):
    """A socket where journald's is, in a namespace of our own: each line is an entry with its graph and stream."""
    journal = os.path.join(folder, "journal")
    os.mkdir(journal)
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(journal + "/socket")
    heard.settimeout(LIMIT)
    wrap = ["unshare", "--mount", "--map-root-user", "sh", "-c", JOURNAL, "sh", journal]
    try:
        subprocess.run([*wrap, "true"], check=True, capture_output=True, timeout=LIMIT)
    except (OSError, subprocess.CalledProcessError) as error:
        raise tap.Skip("no namespaces may be made here") from error
    os.mkdir(folder + "/graphs")
    write(folder + "/graphs/away.yaml", f"""version: 1
graph: away
streams:
  door: {{ uri: "rtsp://127.0.0.1:9/none" }}
  clip: {{ uri: "{MEDIA}/realshort.mp4", loop: true }}
nodes:
  frames: {{ stage: decode, streams: all }}
  out: {{ element: fakesink, from: frames }}
""")
    config = write(folder + "/seedd.yaml", f"version: 1\ngraphs: graphs\nruntime: run\nstate: state\n"
                   f"results: ipc://{folder}/results\n")
    with open(folder + "/log", "wb") as log:
        info = os.fstat(log.fileno())
        with subprocess.Popen([*wrap, SEEDD, "--config", config], stderr=log, stdout=log,
                              env={**ENV, "JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}"}) as process:
            try:
                entries = []
                while not any("STREAM" in e for e in entries):
                    entries.append(dict(line.split("=", 1) for line in heard.recv(65536).decode().splitlines()))
            finally:
                process.terminate()
                process.wait(timeout=LIMIT)
    assert all(e["SYSLOG_IDENTIFIER"] == "seedd" and e["PRIORITY"] in "3456" for e in entries), entries
    assert any(e["MESSAGE"].startswith("results at") and "GRAPH" not in e for e in entries), entries
    said = entries[-1]
    assert (said["GRAPH"], said["STAGE"], said["STREAM"], said["PRIORITY"]) == ("away", "frames", "door", "4"), said
    with open(folder + "/log", encoding="utf-8") as log:
        assert "door" not in log.read(), "said twice"


if __name__ == "__main__":
    tap.main([test_usage_and_configuration, test_user_folders, test_one_daemon_to_a_folder,
              test_killed_graph, test_crashed_graph, test_hung_graph, test_back_off_doubles,
              test_back_off_begins_anew_after_health, test_limits_reach_the_process,
              test_too_much_memory, test_no_frames, test_finished_graph_is_not_started_again,
              test_stop_has_a_limit, test_killed_daemon_leaves_nothing, test_start_and_stop_are_quick,
              test_results_of_all_graphs_at_one_place, test_a_thousand_come_and_go, test_service_manager_is_told,
              test_service_manager_is_told_of_nothing, test_journal_has_fields])

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedd keeps graphs running: faults of one touch no other, nothing is left behind. Speaks TAP."""
import os
import signal
import subprocess
import time

from seedd_harness import (CLIP, ENV, LIMIT, LIVE, MEDIA, SEEDD, Daemon, Subscriber, assert_adds_up,
                           is_alive, lost_of, of_kind, tap, wait_for, write)
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
           "XDG_RUNTIME_DIR": folder + "/runtime"}
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


def test_start_is_quick(folder):
    begin = time.monotonic()
    with two(folder) as daemon:
        ready = time.monotonic() - begin
        for name in ("first", "second"):
            daemon.wait_state(name, "running")
        print(f"# answers after {ready:.2f} s, graphs run after {time.monotonic() - begin:.2f} s")


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


# ---- service manager ----

def test_service_manager_is_told(folder):
    import socket  # pylint: disable=import-outside-toplevel
    path = os.path.join(folder, "notify")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(path)
    told.settimeout(0.1)
    heard = []

    def listen():
        try:
            heard.append(told.recv(4096).decode())
        except socket.timeout:
            pass
        return heard

    def hear(wanted, times=1):
        return wait_for(lambda: len(texts := [
            text for text in listen()
            if any(line.startswith(wanted) for line in text.splitlines())]) >= times and texts[-1], wanted)

    with two(folder, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"}) as daemon:
        hear("READY=1")
        hear("WATCHDOG=1")
        hear("STATUS=2 running")
        daemon.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in hear("RELOADING=1")
        hear("READY=1", times=2)
        with open(f"/proc/{daemon.graph('first')['pid']}/environ", "rb") as environ:
            assert b"NOTIFY_SOCKET" not in environ.read()
        daemon.process.terminate()
        hear("STOPPING=1")
        assert daemon.process.wait(timeout=LIMIT) == 0
    told.close()


if __name__ == "__main__":
    tap.main([test_usage_and_configuration, test_user_folders, test_one_daemon_to_a_folder,
              test_killed_graph, test_crashed_graph, test_hung_graph, test_back_off_doubles,
              test_too_much_memory, test_no_frames, test_finished_graph_is_not_started_again,
              test_stop_has_a_limit, test_killed_daemon_leaves_nothing, test_start_is_quick,
              test_results_of_all_graphs_at_one_place, test_service_manager_is_told])

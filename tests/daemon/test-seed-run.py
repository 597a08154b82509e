#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seed-run as a user meets it: exit codes, messages, signals, statistics. Speaks TAP."""
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import tap  # pylint: disable=wrong-import-position

SOURCE = os.environ.get("SEED_SOURCE_DIR") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(SOURCE, "build"))
SEED_RUN = os.path.join(BUILD, "daemon", "seed-run")
MEDIA = os.path.join(SOURCE, "tests", "data", "media")
LIMIT = 60  # seconds anything may take

# No GST_PLUGIN_PATH: a program in its build folder finds its own plugin.
REGISTRY = os.path.join(BUILD, "tests", "daemon", "registry.bin")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("GST_PLUGIN_PATH")}
ENV["GST_REGISTRY_1_0"] = REGISTRY


def write(folder, nodes, heading="version: 1\ngraph: test\n"):
    path = os.path.join(folder, "graph.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(heading + nodes)
    return path


def run(*arguments, expect=0, env=None):
    done = subprocess.run([SEED_RUN, *arguments], env={**ENV, **(env or {})}, timeout=LIMIT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done


def stats_of(folder, graph, *arguments, expect=0):
    path = os.path.join(folder, "stats.json")
    done = run(graph, "--quiet", "--stats", path, *arguments, expect=expect)
    with open(path, encoding="utf-8") as file:
        return json.load(file), done


def named(stats, section, name):
    return next(entry for entry in stats[section] if entry["name"] == name)


def assert_adds_up(stats):
    for part in stats["stages"] + stats["queues"]:
        for stream, entry in (part.get("ledger") or {}).items():
            total = entry["out"] + sum(entry["dropped"].values()) + entry["in_flight"]
            assert entry["in"] == total and entry["in_flight"] == 0, (part["name"], stream, entry)


def wait_until(condition, process):
    limit = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "nothing happens"
        time.sleep(0.01)


def has_bytes(path):
    return os.path.exists(path) and os.path.getsize(path) > 0


# ---- usage ----

def test_usage(folder):
    graph = write(folder, "nodes: { a: { element: fakesrc, properties: { num-buffers: 1 } } }\n")
    for arguments in ([], ["--nonsense", graph], [graph, graph], [graph, "--set", "x"],
                      [graph, "--seed", "-1"], [graph, "--seed", "1x"], [graph, "--threads", "-1"],
                      [graph, "--backend", "cuda"], [graph, "--drain", "-1"],
                      [graph, "--check", "--dot"]):
        assert run(*arguments, expect=2).stderr.startswith("seed-run: "), arguments
    assert re.fullmatch(r"seed-run \d+\.\d+\.\d+\n", run("--version").stdout)
    for option in ("--check", "--dot", "--set", "--threads", "--backend", "--seed",
                   "--deterministic", "--stats", "--drain", "--quiet", "--version"):
        assert option in run("--help").stdout, option


# ---- graphs that are refused ----

def test_broken_graph_starts_nothing(folder):
    made = os.path.join(folder, "made")
    graph = write(folder, f"""nodes:
  src: {{ element: videotestsrc, properties: {{ num-bufers: 3 }} }}
  out: {{ element: filesink, from: scr, properties: {{ location: {made} }} }}
""")
    stats, done = stats_of(folder, graph, expect=1)
    assert done.stderr.splitlines() == [
        f"{graph}:4:47: error: element 'videotestsrc' has no property 'num-bufers'; "
        "did you mean 'num-buffers'?",
        f"{graph}:5:35: error: there is no node 'scr'; did you mean 'src'?"], done.stderr
    assert not os.path.exists(made)
    assert stats["result"] == "refused" and "2 errors" in stats["error"]["reason"]


def test_bomb_is_refused_quickly(folder):
    text = "version: 1\ngraph: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 12):
        text += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    begin = time.monotonic()
    done = run(write(folder, "", text), expect=1)
    assert "after expansion of aliases" in done.stderr, done.stderr
    assert time.monotonic() - begin < 10


def test_model_that_does_not_load(folder):
    os.mkdir(os.path.join(folder, "model"))
    with open(os.path.join(folder, "model", "config.json"), "w", encoding="utf-8") as config:
        config.write("{}")
    graph = write(folder, """nodes:
  src: { element: videotestsrc }
  words: { stage: patchify, from: src }
  clip: { stage: teacher, from: words, model: model }
  lost: { stage: teacher, from: words, model: nowhere }
""")
    assert f"{graph}:7:47: error: model '{folder}/nowhere': No such file" in run(
        graph, expect=1).stderr
    write(folder, """nodes:
  src: { element: videotestsrc }
  words: { stage: patchify, from: src }
  clip: { stage: teacher, from: words, model: model }
""")
    for option in ((), ("--check",)):
        done = run(graph, *option, expect=1)
        assert done.stderr.startswith(f"{graph}:6:3: error: node 'clip': "), done.stderr
        assert "config.json" in done.stderr, done.stderr


# ---- looking without running ----

def test_dot(folder):
    done = run(write(folder, "nodes:\n  a: { element: fakesrc }\n  b: { element: fakesink, from: a }\n"),
               "--dot")
    assert '"a" -> "b" [label="8 frames"];' in done.stdout and done.stdout.endswith("}\n")


def test_check(folder):
    made = os.path.join(folder, "made")
    graph = write(folder, f"""nodes:
  src: {{ element: videotestsrc }}
  rgb: {{ element: capsfilter, from: src, properties: {{ caps: "video/x-raw, format=RGB, width=64, height=32, framerate=5/1" }} }}
  words: {{ stage: patchify, from: rgb, views: 2, batch: 8, image-size: 64, patch-size: 16 }}
  out: {{ element: filesink, from: words, properties: {{ location: {made} }} }}
""")
    done = run(graph, "--check")
    assert "rgb -> words\n    caps    video/x-raw, format=(string)RGB, width=(int)64" in done.stdout
    assert "tensors uint8 [<=8, 2, 16, 768]\n    queue   4 batches, waits when full, up to 768.0" \
        in done.stdout, done.stdout
    assert not os.path.exists(made)
    assert "queues: up to" in done.stdout


def test_check_names_links_that_cannot_meet(folder):
    graph = write(folder, """nodes:
  src: { element: videotestsrc }
  rgb: { element: capsfilter, from: src, properties: { caps: "video/x-raw, format=RGB" } }
  gray: { element: capsfilter, from: rgb, properties: { caps: "video/x-raw, format=GRAY8" } }
  out: { element: fakesink, from: gray }
""")
    done = run(graph, "--check", expect=1)
    assert done.stderr.startswith(
        f"{graph}:6:38: error: 'rgb' cannot be linked to 'gray': it gives video/x-raw, "
        "format=(string)RGB, "), done.stderr
    assert ", expected video/x-raw, format=(string)GRAY8" in done.stderr, done.stderr


# ---- running ----

def test_tee_and_fan_in(folder):
    graph = write(folder, """parameters: { n: 7 }
nodes:
  src: { element: videotestsrc, properties: { num-buffers: "${n}" } }
  more: { element: videotestsrc, properties: { num-buffers: "${env:SEED_TEST_MORE}" } }
  a: { element: identity, from: src }
  b: { element: identity, from: src }
  all: { element: funnel, from: [a, b, more] }
  out: { element: identity, from: all }
""")
    os.environ["SEED_TEST_MORE"] = ENV["SEED_TEST_MORE"] = "5"
    stats, done = stats_of(folder, graph, "--set", "n=20", "--seed", "9", "--threads", "1")
    assert done.stderr == "" and done.stdout == ""
    assert_adds_up(stats)
    assert named(stats, "queues", "all:out")["ledger"]["-"]["out"] == 45
    assert named(stats, "queues", "src:b")["ledger"]["-"] == {
        "in": 20, "out": 20, "dropped": {}, "in_flight": 0}
    assert named(stats, "stages", "out")["stats"]["num-buffers"] == 45
    assert stats["result"] == "done" and stats["error"] is None and stats["graph"] == "test"
    assert stats["seed"] == 9 and stats["threads"] == 1 and stats["wall_seconds"] > 0


def test_leaky_queues_add_up(folder):
    for leak in ("old", "new"):
        graph = write(folder, f"""nodes:
  src: {{ element: videotestsrc, properties: {{ num-buffers: 300 }} }}
  slow: {{ element: identity, from: src, queue: {{ frames: 3, leak: {leak} }}, properties: {{ sleep-time: 3000 }} }}
  out: {{ element: fakesink, from: slow }}
""")
        stats, _ = stats_of(folder, graph)
        assert_adds_up(stats)
        queue = named(stats, "queues", "src:slow")
        entry = queue["ledger"]["-"]
        assert entry["in"] == 300 and entry["dropped"]["queue-full"] > 0, entry
        assert entry["out"] == named(stats, "stages", "slow")["stats"]["num-buffers"]
        assert queue["peak"] == 3 and queue["frames"] == 3 and queue["leak"] == leak


def test_error_names_the_stage(folder):
    graph = write(folder, """nodes:
  src: { element: videotestsrc }
  good: { element: identity, from: src }
  bad: { element: identity, from: good, properties: { error-after: 5 } }
  out: { element: fakesink, from: bad }
""")
    stats, done = stats_of(folder, graph, expect=1)
    assert "seed-run: error: stage 'bad': " in done.stderr, done.stderr
    assert stats["result"] == "failed" and stats["error"]["stage"] == "bad", stats["error"]
    assert_adds_up(stats)


def test_streams_that_fail_are_named(folder):
    graph = write(folder, """nodes:
  frames: { stage: decode, streams: all }
  words: { stage: patchify, from: frames, batch: 4, image-size: 32, patch-size: 16 }
  out: { element: fakesink, from: words }
""", f"""version: 1
graph: real
streams:
  door: {{ uri: {MEDIA}/realshort.mp4 }}
  gone: {{ uri: gone.mp4 }}
""")
    stats, done = stats_of(folder, graph)
    assert "warning: stage 'frames', stream 'gone': " in done.stderr, done.stderr
    assert [(f["stage"], f["stream"]) for f in stats["failed_streams"]] == [("frames", "gone")]
    assert stats["warnings"] == 1
    assert_adds_up(stats)
    words = named(stats, "stages", "words")
    assert words["ledger"]["door"]["out"] == 36 and words["busy"]["count"] > 0
    assert words["stats"]["image-size"] == 32
    assert named(stats, "queues", "words:out")["ledger"]["door"]["out"] == 36


def test_plugin_leaves_no_trace(folder):
    run(write(folder, "nodes: { a: { stage: patchify, from: b }, b: { element: videotestsrc } }\n"),
        "--check")
    with open(REGISTRY, "rb") as registry:
        assert b"libgstseed" not in registry.read()


def test_unwritable_stats(folder):
    graph = write(folder, "nodes: { a: { element: fakesrc, properties: { num-buffers: 1 } } }\n")
    assert "nonexistent" in run(graph, "--stats", "/nonexistent/stats.json", expect=1).stderr


def test_backend(folder):
    graph = write(folder, "nodes: { a: { element: fakesrc, properties: { num-buffers: 1 } } }\n")
    for backend in ("auto", "native", "openblas"):
        run(graph, "--backend", backend)


# ---- signals ----

ENDLESS = """nodes:
  src: {{ element: videotestsrc, properties: {{ is-live: true }} }}
  small: {{ element: capsfilter, from: src, properties: {{ caps: "video/x-raw, format=GRAY8, width=32, height=32, framerate=200/1" }} }}
  out: {{ element: filesink, from: small, properties: {{ location: {out}, buffer-mode: unbuffered }} }}
"""

# A sink that waits for a frame whose time is an hour away.
STUCK = ENDLESS + """
  stuck: {{ element: fakesink, from: later, properties: {{ sync: true }} }}
  later: {{ element: videotestsrc, properties: {{ timestamp-offset: 3600000000000 }} }}
"""


def start(folder, nodes, *arguments):
    out = os.path.join(folder, "out")
    stats = os.path.join(folder, "stats.json")
    process = subprocess.Popen(
        [SEED_RUN, write(folder, nodes.format(out=out)), "--stats", stats, *arguments],
        env=ENV, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: has_bytes(out), process)
    return process, stats


def finish(process, stats_path, expect):
    begin = time.monotonic()
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == expect, (process.returncode, errors)
    with open(stats_path, encoding="utf-8") as file:
        return json.load(file), errors, time.monotonic() - begin


def test_signals_drain(folder):
    for number in (signal.SIGTERM, signal.SIGINT):
        process, path = start(folder, ENDLESS)
        process.send_signal(number)
        stats, errors, _ = finish(process, path, 0)
        assert stats["result"] == "stopped" and stats["error"] is None
        assert "draining" in errors
        assert_adds_up(stats)
        written = named(stats, "queues", "small:out")["ledger"]["-"]["out"]
        assert os.path.getsize(os.path.join(folder, "out")) == written * 32 * 32
        os.unlink(os.path.join(folder, "out"))


def test_drain_has_a_limit(folder):
    process, path = start(folder, STUCK, "--drain", "1", "--quiet")
    process.send_signal(signal.SIGTERM)
    stats, errors, seconds = finish(process, path, 1)
    assert "not drained within 1 s" in errors, errors
    assert stats["result"] == "failed"
    assert seconds < 20, seconds
    assert_adds_up(stats)


def test_second_signal_stops_at_once(folder):
    process, path = start(folder, STUCK, "--drain", "600")
    process.send_signal(signal.SIGTERM)
    while "draining" not in (line := process.stderr.readline()):
        assert line, "no word of draining"
    process.send_signal(signal.SIGTERM)
    stats, _, seconds = finish(process, path, 1)
    assert stats["result"] == "failed" and "second signal" in stats["error"]["reason"]
    assert seconds < 20, seconds


# ---- progress ----

def test_progress_on_a_terminal(folder):
    graph = write(folder, """nodes:
  src: { element: videotestsrc, properties: { is-live: true, num-buffers: 30 } }
  out: { element: fakesink, from: src }
""")
    ours, theirs = pty.openpty()
    with subprocess.Popen([SEED_RUN, graph], env=ENV, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
        except OSError:  # the other end is closed
            pass
        assert process.wait(timeout=LIMIT) == 0
    os.close(ours)
    lines = text.decode().split("\r\x1b[K")
    assert len([line for line in lines if re.match(r"test 00:00:0\d  src [\d.]+ fps", line)]) >= 2, lines


if __name__ == "__main__":
    tap.main([test_usage, test_broken_graph_starts_nothing, test_bomb_is_refused_quickly,
          test_model_that_does_not_load, test_dot, test_check,
          test_check_names_links_that_cannot_meet, test_tee_and_fan_in, test_leaky_queues_add_up,
          test_error_names_the_stage, test_streams_that_fail_are_named,
          test_plugin_leaves_no_trace, test_unwritable_stats, test_backend, test_signals_drain,
          test_drain_has_a_limit, test_second_signal_stops_at_once, test_progress_on_a_terminal])

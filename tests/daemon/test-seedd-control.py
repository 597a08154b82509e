#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedd's control socket and seedctl: answers, refusals, hostile messages, reload. Speaks TAP."""
import base64
import json
import os
import pty
import random
import re
import stat
import subprocess

import zmq

from seedd_harness import (ENV, LIMIT, LIVE, SANITIZED, SEEDCTL, Daemon, Subscriber, assert_adds_up, rpc, rss,
                           tap, wait_for)
from harness import SOURCE

METHODS = ["version", "list", "status", "start", "stop", "restart", "reload", "check", "get", "set",
           "stats", "dot", "snapshot", "promote", "rollback"]
FUZZED = 5000 if SANITIZED else 100000  # messages
STREAM_METHODS = ["stream-add", "stream-remove", "stream-list"]


def live(name, pattern="ball", drop="false"):
    return LIVE.format(name=name, pattern=pattern, drop=drop)


def running(folder):
    daemon = Daemon(folder, {"first": live("first"), "second": live("second")})
    for name in ("first", "second"):
        daemon.wait_state(name, "running")
    return daemon


def code(daemon, payload):
    return rpc(daemon.control, payload)["error"]["code"]


def request(method, params=None, **more):
    message = {"jsonrpc": "2.0", "id": 7, "method": method, **more}
    if params is not None:
        message["params"] = params
    return json.dumps(message).encode()


# ---- the protocol ----

def test_codes(folder):
    with running(folder) as daemon:
        before = {g["graph"]: g["pid"] for g in daemon.ask("list")["graphs"]}
        for payload, expected in [
                (b"", -32700), (b"{", -32700), (b"\xff\xfe", -32700), (b"nonsense", -32700),
                (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"list"}', -32700),
                (b"[" * 1000, -32700), (b"7", -32600), (b"[]", -32600),
                (b"[" + request("list") + b"]", -32600), (b"{}", -32600),
                (b'{"jsonrpc":"1.0","id":1,"method":"list"}', -32600),
                (b'{"jsonrpc":"2.0","id":{},"method":"list"}', -32600),
                (b'{"jsonrpc":"2.0","id":1.5,"method":"list"}', -32600),
                (b'{"jsonrpc":"2.0","id":1}', -32600), (request("list", more=1), -32600),
                (request("nonsense"), -32601), (request(""), -32600), (request("list", []), -32602),
                (request("list", {"graph": "first"}), -32602), (request("stop"), -32602),
                (request("stop", {"graph": 1}), -32602), (request("stop", {"grph": "first"}), -32602),
                (request("stop", {"graph": "first", "wait": 1}), -32602),
                (request("stop", {"graph": "../first"}), -32001),
                (request("get", {"graph": "first", "node": "nobody"}), -32001),
                (request("set", {"graph": "first", "node": "gate", "key": "drop"}), -32602),
                (request("set", {"graph": "first", "node": "gate", "key": "drop", "value": "x"}), -32602),
                (request("set", {"graph": "first", "node": "src", "key": "pattern", "value": "snow"}), -32000),
                (request("snapshot", {"stream": "nobody"}), -32001),
                (request("stats", {"graph": "x" * (1024 * 1024)}), -32700)]:
            assert code(daemon, payload) == expected, (payload[:80], rpc(daemon.control, payload))
        assert code(daemon, [request("list"), request("list")]) == -32600
        assert code(daemon, [b"", request("list"), b"x"]) == -32600
        reply = rpc(daemon.control, request("list", id="as it came"))
        assert reply["id"] == "as it came" and reply["jsonrpc"] == "2.0"
        assert rpc(daemon.control, request("version"), kind=zmq.REQ)["result"]["version"]
        after = {g["graph"]: g["pid"] for g in daemon.ask("list")["graphs"]}
        assert before == after, "a refused request changed something"
        daemon.stop()


def test_huge_message_costs_the_connection_alone(folder):
    with running(folder) as daemon:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(daemon.control)
        socket.send(b"x" * (5 * 1024 * 1024))
        assert daemon.ask("list")["graphs"][0]["state"] == "running"
        socket.close()
        assert daemon.ask("list")["graphs"][0]["state"] == "running"


def mutate(rng, text):
    data = bytearray(text)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.4 and data:
            data[at % len(data)] = rng.randrange(256)
        elif rng.random() < 0.5:
            data[at:at] = rng.choice([b"{", b"}", b"[", b'"', b"null", b"\\u0000", b"1e999", b"-1", b"\0"])
        else:
            del data[at:at + rng.randint(1, 8)]
    return bytes(data)


def answers(socket, mark):
    """Those before the one to our own request `mark`."""
    replies = []
    while True:
        reply = json.loads(socket.recv())
        assert reply["jsonrpc"] == "2.0" and ("result" in reply) != ("error" in reply), reply
        if reply["id"] == mark:
            return replies
        replies.append(reply)


def test_fuzzed_messages(folder):
    """A reply to each, nearly always an error; only a request that lost its id has none."""
    rng = random.Random(1)
    # none of these, however mutated, stops or starts a graph that exists
    seeds = [request(m, {"graph": "nobody-of-that-name", "node": "gate", "key": "drop", "value": True})
             for m in METHODS + STREAM_METHODS if m not in ("reload",)]
    with running(folder) as daemon:
        before = {g["graph"]: (g["pid"], g["state"]) for g in daemon.ask("list")["graphs"]}
        noted = daemon.ask("status")["control"]["notifications"]
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, int(LIMIT * 1000))
        socket.connect(daemon.control)
        replies, errors, memory, rounds = 0, 0, 0, FUZZED // 25
        for number in range(rounds):
            for _ in range(25):
                socket.send(mutate(rng, rng.choice(seeds)))
            socket.send(request("version", id=f"mark-{number}"))
            got = answers(socket, f"mark-{number}")
            replies += len(got)
            errors += sum("error" in reply for reply in got)
            if number == rounds // 10:
                memory = rss(daemon.process.pid)
        socket.close()
        grown = rss(daemon.process.pid) - memory
        noted = daemon.ask("status")["control"]["notifications"] - noted
        print(f"# {rounds * 25} messages: {errors} errors, {replies - errors} other replies, {noted} without id; "
              f"{grown / 1024:.0f} KiB more")
        assert replies + noted == rounds * 25 and errors > 0.95 * replies
        assert SANITIZED or grown < 4 << 20, grown
        after = {g["graph"]: (g["pid"], g["state"]) for g in daemon.ask("list")["graphs"]}
        assert before == after
        daemon.stop()


def test_fuzzed_files(folder):
    """Of a graph that plays: each is refused with its errors, and the graph plays on."""
    rng = random.Random(2)
    with running(folder) as daemon:
        good, pid = live("first").encode(), daemon.graph("first")["pid"]
        refused = 0
        for number in range(40):
            with open(daemon.path("first") + ".new", "wb") as file:
                file.write(mutate(rng, good) + b"\n? [" + rng.randbytes(8))  # never good
            os.rename(daemon.path("first") + ".new", daemon.path("first"))
            done = daemon.ctl("reload", "first", "--json", expect=None)
            (result,) = json.loads(done.stdout)["graphs"]
            assert done.returncode == 1 and result["result"] == "invalid" and result["errors"], (number, done)
            refused += "error: " in result["errors"]
        assert refused == 40
        graph = daemon.graph("first")
        assert graph["state"] == "running" and graph["pid"] == pid and graph["pending_errors"]
        daemon.stop()


def test_client_that_does_not_read(folder):
    with running(folder) as daemon:
        deaf = zmq.Context.instance().socket(zmq.DEALER)
        deaf.setsockopt(zmq.LINGER, 0)
        deaf.setsockopt(zmq.RCVHWM, 1)
        deaf.setsockopt(zmq.RCVBUF, 4096)
        deaf.connect(daemon.control)
        for _ in range(3000):
            try:
                deaf.send(request("status"), zmq.DONTWAIT)
            except zmq.Again:
                break
        assert daemon.ask("list")["graphs"][0]["state"] == "running"
        deaf.close()
        daemon.stop()


def test_socket_mode(folder):
    with running(folder) as daemon:
        assert stat.S_IMODE(os.stat(folder + "/run/control").st_mode) == 0o660
        assert stat.S_IMODE(os.stat(folder + "/run/graphs").st_mode) == 0o700
        daemon.stop()


# ---- seedctl ----

def test_seedctl(folder):
    with running(folder) as daemon:
        daemon.wait_frames("first", 1)  # until then there is no stream to tell of
        assert [g["graph"] for g in daemon.ask("list")["graphs"]] == ["first", "second"]
        assert re.search(r"^first +running +", daemon.ctl("list").stdout, re.M)
        assert "\033" not in daemon.ctl("list").stdout
        assert "running" in daemon.ctl("status").stdout and "fps" in daemon.ctl("status", "first").stdout
        assert daemon.ask("get", "first", "gate", "drop") == {"drop": False}
        daemon.ctl("set", "first", "gate", "drop", "true")
        assert daemon.ask("get", "first", "gate", "drop") == {"drop": True}
        stats = daemon.ask("stats", "second")
        assert stats["result"] == "running" and stats["graph"] == "second"
        assert_adds_up(stats)
        assert daemon.ctl("dot", "first").stdout.startswith('digraph "first"')
        assert daemon.ctl("stop", "first", "second").stdout == "first: stopped\nsecond: stopped\n"
        assert daemon.ctl("stats", "first", expect=1).stderr.startswith("seedctl stats: graph 'first' is stopped")
        assert daemon.ctl("start", "first").stdout == "first: running\n"
        pid = daemon.graph("first")["pid"]
        daemon.ctl("restart", "first")
        assert daemon.graph("first")["pid"] != pid
        daemon.ctl("start", "frst", expect=1)
        assert "did you mean 'first'" in daemon.ctl("start", "frst", expect=1).stderr
        assert json.loads(daemon.ctl("start", "frst", "--json", expect=1).stdout)["error"]["code"] == -32001
        for arguments in (["nonsense"], ["start"], ["list", "x"], ["get", "first"], ["list", "--nonsense"],
                          ["top", "--interval", "0"], ["list", "--timeout", "0"], ["snapshot"]):
            daemon.ctl(*arguments, expect=2)
        assert "promote" in daemon.ctl("promote", "first", expect=1).stderr
        assert daemon.ctl("check", "first").stderr == ""
        for command in METHODS + ["top", "tail", "stream"]:
            assert "--json" in daemon.ctl(command, "--help").stdout, command
        daemon.stop()
    for command in (["list"], ["top"], ["stop", "first"]):
        done = subprocess.run([SEEDCTL, *command, "--control", f"ipc://{folder}/run/control"], env=ENV,
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 3 and "no daemon" in done.stderr, done


def test_completion(folder):
    """What is printed is what is installed, and bash completes by it."""
    text = ""
    for name in ("seedctl", "seedd", "seed-run"):
        with open(f"{SOURCE}/daemon/completions/{name}", encoding="utf-8") as file:
            text += file.read()
    done = subprocess.run([SEEDCTL, "completion", "bash"], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert done.stdout == text
    assert subprocess.run([SEEDCTL, "completion", "tcsh"], capture_output=True, timeout=LIMIT, check=False).returncode == 2

    def complete(*words):
        script = ("source <(seedctl completion bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _seedctl; "
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        env = {**ENV, "SEED_CONTROL": daemon.control, "PATH": f"{os.path.dirname(SEEDCTL)}:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script, "bash", *words], env=env, capture_output=True, text=True,
                              timeout=LIMIT, check=True).stdout.split()
    with running(folder) as daemon:
        commands = complete("seedctl", "")
        listed = re.findall(r"^  (\S+)  +", subprocess.run([SEEDCTL, "--help"], capture_output=True, text=True,
                                                         timeout=LIMIT, check=True).stdout, re.M)
        assert set(listed) == set(commands) - {"--help", "--version"}, set(listed) ^ set(commands)
        assert complete("seedctl", "comp") == ["completion"]
        assert complete("seedctl", "stop", "") == ["first", "second"]
        assert "gate" in complete("seedctl", "get", "first", "")
        assert "drop" in complete("seedctl", "set", "first", "gate", "dr")
        daemon.stop()


def test_top(folder):
    with running(folder) as daemon:
        daemon.wait_frames("first", 5)
        lines = daemon.ctl("top").stdout.splitlines()
        assert lines[0].split() == ["GRAPH", "STREAM", "STATE", "FPS", "AGE", "LOST", "LATENCY", "LOSS"]
        assert lines[1].split()[:3] == ["first", "src", "running"], lines
        ours, theirs = pty.openpty()
        with subprocess.Popen([SEEDCTL, "top", "--interval", "0.1"], stdout=theirs,
                              env={**ENV, "SEED_CONTROL": daemon.control, "TERM": "xterm"}) as process:
            os.close(theirs)
            text = b""
            while text.count(b"GRAPH") < 3:
                text += os.read(ours, 4096)
            process.terminate()
            os.close(ours)
            assert process.wait(timeout=LIMIT) == 0
        assert b"\033[32mrunning" in text
        daemon.stop()


def test_snapshot(folder):
    with running(folder) as daemon:
        path = os.path.join(folder, "now.jpeg")
        daemon.ctl("snapshot", "first/src", "-o", path)
        with open(path, "rb") as picture:
            data = picture.read()
        assert data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"
        answer = daemon.ask("snapshot", "first/src", "--width", "32")
        assert (answer["width"], answer["height"]) == (32, 24), answer
        assert base64.b64decode(answer["jpeg"])[:3] == b"\xff\xd8\xff"
        assert "several graphs" in daemon.ctl("snapshot", "src", "-o", path, expect=1).stderr
        assert "nobody" in daemon.ctl("snapshot", "nobody", "-o", path, expect=1).stderr
        daemon.stop()


# ---- reload ----

def test_invalid_file_leaves_the_graph(folder):
    with running(folder) as daemon:
        pid = daemon.graph("first")["pid"]
        for text, error in [
                (live("first").replace("fakesink", "fakesnk"), "first.yaml:7:19: error: "),
                (live("first").replace("from: gate", "from: gat"), "did you mean 'gate'"),
                (live("other"), "graph is 'other'"), ("\t", "tab character")]:
            daemon.write("first", text)
            status = wait_for(lambda e=error: e in ((g := daemon.graph("first"))["pending_errors"] or "")
                              and g, error)
            assert status["state"] == "running" and status["pid"] == pid
        done = daemon.ctl("reload", "first", expect=1)
        assert done.stdout == "first: invalid\n" and "tab character" in done.stderr
        daemon.write("first", live("first"))
        wait_for(lambda: daemon.graph("first")["pending_errors"] is None, "the good file")
        assert daemon.graph("first")["pid"] == pid
        daemon.stop()


def test_changes_are_taken_over(folder):
    with running(folder) as daemon:
        subscriber = Subscriber(daemon.results, b"first/-/event/")
        pids = {name: daemon.graph(name)["pid"] for name in ("first", "second")}
        # what may change while it plays changes there
        daemon.write("first", live("first", drop="true"))
        wait_for(lambda: daemon.ask("get", "first", "gate", "drop")["drop"], "drop")
        assert daemon.graph("first")["pid"] == pids["first"]
        wait_for(lambda: any(m[1]["data"]["event"] == "reloaded" for m in subscriber.messages), "event")
        # anything else restarts that graph alone
        daemon.write("first", live("first", pattern="snow"))
        wait_for(lambda: (g := daemon.graph("first"))["state"] == "running" and
                 g["pid"] != pids["first"], "restart")
        assert daemon.ask("get", "first", "src", "pattern")["pattern"] == "snow"
        # a new file starts, a removed one stops
        daemon.write("third", live("third"))
        wait_for(lambda: any(g["graph"] == "third" and g["state"] == "running"
                             for g in daemon.ask("list")["graphs"]), "a new graph")
        os.unlink(daemon.path("third"))
        wait_for(lambda: len(daemon.ask("list")["graphs"]) == 2, "its end")
        assert daemon.graph("second")["pid"] == pids["second"]
        assert daemon.graph("second")["restarts"] == 0
        subscriber.finish()
        daemon.stop()


def test_invalid_file_at_start_waits_for_a_better_one(folder):
    with Daemon(folder, {"first": live("first").replace("fakesink", "fakesnk")}) as daemon:
        status = daemon.wait_state("first", "invalid")
        assert "fakesnk" in status["reason"] and status["restarts"] == 0
        assert "fakesnk" in daemon.ctl("start", "first", expect=1).stderr
        assert "fakesnk" in daemon.ctl("check", "first", expect=1).stderr
        daemon.write("first", live("first"))
        daemon.wait_state("first", "running")
        daemon.stop()


if __name__ == "__main__":
    tap.main([test_codes, test_huge_message_costs_the_connection_alone, test_fuzzed_messages, test_fuzzed_files,
              test_client_that_does_not_read, test_socket_mode, test_seedctl, test_completion, test_top, test_snapshot,
              test_invalid_file_leaves_the_graph, test_changes_are_taken_over,
              test_invalid_file_at_start_waits_for_a_better_one])

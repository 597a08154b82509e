#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedd's results and control with keys: who reads what, who may do what. Speaks TAP."""
import contextlib
import json
import os
import stat
import subprocess
import time

import zmq

from seedd_harness import (CLIP, ENV, LIMIT, LIVE, MEDIA, SANITIZED, SEEDCTL, SEEDD, Daemon, Subscriber, rss,
                           tap, wait_for, write)
from harness import random_model


class Key:
    """A key pair, its files, and what it may do."""

    def __init__(self, folder, name):
        self.name = name
        self.public, self.secret = zmq.curve_keypair()
        self.path = os.path.join(folder, name + ".key")
        self.public_path = os.path.join(folder, name + ".pub")
        self.save(self.path, f"    secret-key = \"{self.secret.decode()}\"\n")
        self.save(self.public_path, "")

    def save(self, path, more):
        write(path, f"metadata\n    name = \"{self.name}\"\ncurve\n"
                    f"    public-key = \"{self.public.decode()}\"\n{more}")
        os.chmod(path, 0o600)

    def authorize(self, folder, results=None, control=None):
        rights = "rights\n" if results or control else ""
        rights += f"    results = \"{results}\"\n" if results else ""
        rights += f"    control = \"{control}\"\n" if control else ""
        self.save(os.path.join(folder, "." + self.name), rights)
        os.rename(os.path.join(folder, "." + self.name), os.path.join(folder, self.name))

    def revoke(self, folder):
        os.unlink(os.path.join(folder, self.name))

    def apply(self, socket, server):
        socket.curve_serverkey = server.public
        socket.curve_publickey, socket.curve_secretkey = self.public, self.secret


class Reader(Subscriber):
    """A subscriber with keys."""

    def __init__(self, endpoint, prefix, key, server):
        super().__init__(endpoint, prefix, lambda socket: key.apply(socket, server))

    def graphs(self):
        return {m[1]["graph"] for m in list(self.messages)}


@contextlib.contextmanager
def connection(endpoint, kind, key=None, server=None, prefix=None, identity=None):
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    socket.sndhwm = 0  # subscriptions beyond it would be lost
    socket.rcvtimeo = int(LIMIT * 1000)
    if identity:
        socket.identity = identity
    if key:
        key.apply(socket, server)
    if prefix is not None:
        socket.subscribe(prefix)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        socket.close()


class Guarded(Daemon):
    """With keys for results and for control over tcp."""

    def __init__(self, folder, graphs, results="tcp://127.0.0.1:*", **options):
        self.server = Key(folder, "server")
        self.readers = os.path.join(folder, "readers")
        self.admins = os.path.join(folder, "admins")
        os.mkdir(self.readers, 0o700)
        os.mkdir(self.admins, 0o700)
        super().__init__(
            folder, graphs,
            results=f'{{ endpoint: "{results}", server-key: server.key, authorized: readers }}',
            config='control: { remote: "tcp://127.0.0.1:*", server-key: server.key, authorized: admins }\n',
            **options)
        status = self.ask("status")
        self.public = status["results"]["endpoint"]
        self.remote = status["control"]["remote"]["endpoint"]

    def counts(self):
        return self.ask("status")["results"]

    def wait_counts(self, test, what):
        return wait_for(lambda: test(c := self.counts()) and c, f"{what}; {self.counts()}")


def clips(folder, *names):
    model = random_model(os.path.join(folder, "model"), dim=48, depth=1, heads=3, image_size=32, seed=1)
    return {name: CLIP.format(name=name, media=MEDIA, model=model) for name in names}


def live(name):
    return LIVE.format(name=name, pattern="ball", drop="false")


# ---- results ----

def test_each_key_reads_its_own(folder):
    """Also of what is kept; and what nobody may read is not even asked of the graphs."""
    desk, wall, stranger = (Key(folder, name) for name in ("desk", "wall", "stranger"))
    with Guarded(folder, clips(folder, "one", "two")) as daemon:
        desk.authorize(daemon.readers, "one/")
        wall.authorize(daemon.readers, "*")
        daemon.wait_counts(lambda c: c["keys"]["authorized"] == 2, "two keys")
        one = Reader(daemon.public, b"", desk, daemon.server)
        counts = daemon.wait_counts(lambda c: c["subscriptions"] == 1, "the desk")
        assert counts["upstream"] == 1 and counts["encrypted"] is True, counts
        both = Reader(daemon.public, b"", wall, daemon.server)
        unknown = Reader(daemon.public, b"", stranger, daemon.server)
        mistaken = Reader(daemon.public, b"", wall, stranger)
        plain = Subscriber(daemon.public)
        wait_for(lambda: both.graphs() == {"one", "two"}, "both graphs")
        wait_for(lambda: any(m[0] == "one/door/embedding/view/" for m in list(one.messages)), "one")
        daemon.wait_counts(lambda c: c["subscribers"]["failed_handshakes"] >= 3, "refusals")
        with connection(daemon.public, zmq.SUB, desk, daemon.server, b"two/") as socket:
            daemon.wait_counts(lambda c: c["subscribers"]["refused_subscriptions"] == 1, "a refusal")
            assert not socket.poll(0)
        # the graphs' own sockets are behind two folders that others cannot enter
        private = [os.path.join(folder, "run", "graphs", name)
                   for name in os.listdir(os.path.join(folder, "run", "graphs"))]
        private = [path for path in private if stat.S_ISSOCK(os.stat(path).st_mode)]
        assert len(private) == 2, private
        for path in private:
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660, path
        assert stat.S_IMODE(os.stat(folder + "/run/graphs").st_mode) == 0o700
        assert stat.S_IMODE(os.stat(folder + "/run").st_mode) == 0o750
        # what is kept of graphs that are gone
        daemon.wait_counts(lambda c: c["retained"] == 2, "kept states")
        daemon.ctl("stop", "one", "two")
        late = Reader(daemon.public, b"", desk, daemon.server)
        wait_for(lambda: late.messages, "the last health of one")
        for reader in (one, late):
            assert {m[1]["graph"] for m in reader.finish()} == {"one"}
        assert not unknown.finish() and not mistaken.finish() and not plain.finish()
        both.finish()
        counts = daemon.wait_counts(
            lambda c: (c["subscriptions"], c["upstream"], c["subscribers"]["connections"]) == (0, 0, 0),
            "their end")
        assert counts["keys"]["problem"] is None and counts["keys"]["refused"] >= 1, counts
        daemon.stop()


def test_keys_come_and_go(folder):
    desk = Key(folder, "desk")
    with Guarded(folder, clips(folder, "one", "two")) as daemon:
        with connection(daemon.public, zmq.SUB, desk, daemon.server, b""):
            daemon.wait_counts(lambda c: c["subscribers"]["failed_handshakes"] == 1, "a refusal")
        desk.authorize(daemon.readers, "one/")
        daemon.wait_counts(lambda c: c["keys"]["authorized"] == 1, "the key")
        reader = Reader(daemon.public, b"", desk, daemon.server)
        wait_for(lambda: reader.graphs() == {"one"}, "the first graph")
        desk.authorize(daemon.readers, "two/")
        wait_for(lambda: reader.graphs() == {"one", "two"}, "the second graph")
        desk.revoke(daemon.readers)
        daemon.wait_counts(lambda c: c["subscriptions"] == 0 and c["upstream"] == 0, "its end")
        assert daemon.counts()["subscribers"]["hung_up"] == 2
        n, before = len(reader.messages), daemon.graph("two")["process"]["frames"]
        daemon.wait_frames("two", before + 20)
        assert len(reader.messages) <= n + 5, "a revoked key still reads"  # what was on its way
        # a file that cannot be used authorizes nobody, and is told of
        write(os.path.join(daemon.readers, "broken"), "nonsense")
        daemon.wait_counts(lambda c: c["keys"]["problem"] and "broken" in c["keys"]["problem"], "it")
        wait_for(lambda: "results: " in daemon.logged() and "broken" in daemon.logged(), "a warning")
        reader.finish()
        daemon.stop()


def test_restarts(folder):
    """Of a graph and of the daemon: the reader is back by itself, with its rights."""
    desk = Key(folder, "desk")
    with Guarded(folder, clips(folder, "one", "two"), results=f"ipc://{folder}/results") as daemon:
        assert stat.S_IMODE(os.stat(folder + "/results").st_mode) == 0o660
        desk.authorize(daemon.readers, "one/")
        reader = Reader(daemon.public, b"", desk, daemon.server)

        def embeddings():
            return [m[1] for m in list(reader.messages) if m[1]["kind"] == "embedding"]

        def hears_more(what):
            n = len(embeddings())
            wait_for(lambda: len(embeddings()) > n, what)
        hears_more("embeddings")
        n = len(embeddings())
        daemon.ctl("restart", "one")
        wait_for(lambda: len(embeddings()) > n and any(e["seq"] == 0 for e in embeddings()[n:]),
                 "the first after the restart of the graph")
        daemon.stop()
        daemon.start()
        hears_more("embeddings after the restart of the daemon")
        assert {m[1]["graph"] for m in reader.finish()} == {"one"}
        daemon.stop()


def test_subscriber_of_too_much(folder):
    """It costs the others nothing: a graph would hang up on a proxy that asks for all that."""
    desk, hog = Key(folder, "desk"), Key(folder, "hog")
    with Guarded(folder, clips(folder, "one")) as daemon:
        desk.authorize(daemon.readers, "one/")
        hog.authorize(daemon.readers, "*")
        reader = Reader(daemon.public, b"one/door/", desk, daemon.server)
        wait_for(lambda: reader.messages, "results")
        with connection(daemon.public, zmq.SUB, hog, daemon.server) as first, \
                connection(daemon.public, zmq.SUB, hog, daemon.server) as second:
            for i in range(1000):
                first.subscribe(b"x%d/" % i)
                second.subscribe(b"y%d/" % i)
            daemon.wait_counts(lambda c: c["subscriptions"] == 2001, "all subscriptions")
            assert daemon.counts()["upstream"] == 1
            n = len(reader.messages)
            wait_for(lambda: len(reader.messages) > n + 10, "results meanwhile")
            for i in range(24, 1024):  # beyond its own limit
                first.subscribe(b"z%d/" % i)
            daemon.wait_counts(lambda c: c["subscribers"]["hung_up"] >= 1, "the hog hung up on")
        daemon.wait_counts(lambda c: c["subscriptions"] == 1 and c["upstream"] == 1, "the reader alone")
        n = len(reader.messages)
        wait_for(lambda: len(reader.messages) > n + 10, "results afterwards")
        messages = [m for m in reader.finish() if m[1]["kind"] == "embedding"]
        seen = [m[1]["seq"] for m in messages]
        assert seen == list(range(seen[0], seen[0] + len(seen))), "results were lost"
        daemon.stop()


def churn(daemon, rounds, key, server, name):
    for i in range(rounds):
        with connection(daemon.public, zmq.SUB, key, server) as socket:
            for j in range(100):
                socket.subscribe(b"one/%s-%d-%d/" % (name, i, j))
            daemon.wait_counts(lambda c: c["subscriptions"] >= 100, "subscriptions")


def test_memory_is_flat(folder):
    """Of subscribers that come, each with prefixes nobody had before, and go."""
    key = Key(folder, "key")
    with Guarded(folder, {"one": live("one")}) as daemon:
        key.authorize(daemon.readers, "*")
        daemon.wait_counts(lambda c: c["keys"]["authorized"] == 1, "the key")
        churn(daemon, 10, key, daemon.server, b"warm")
        daemon.wait_counts(lambda c: c["subscriptions"] == 0 and c["upstream"] == 0, "their end")
        before = rss(daemon.process.pid)
        churn(daemon, 40, key, daemon.server, b"churn")
        daemon.wait_counts(lambda c: c["subscriptions"] == 0 and c["upstream"] == 0, "their end")
        grown = rss(daemon.process.pid) - before
        print(f"# 40 subscribers, 4000 prefixes: {grown / 1024:.0f} KiB more")
        assert SANITIZED or grown < 4 << 20, grown
        daemon.stop()


# ---- control ----

def call(socket, method, params=None, notify=False):
    message = {"jsonrpc": "2.0", "method": method, **({} if notify else {"id": 1})}
    socket.send_json({**message, **({"params": params} if params else {})})
    return None if notify else socket.recv_json()


def test_rights_to_methods(folder):
    admin, watcher = Key(folder, "admin"), Key(folder, "watcher")
    with Guarded(folder, {"first": live("first")}) as daemon:
        pid = daemon.wait_state("first", "running")["pid"]
        admin.authorize(daemon.admins, control="*")
        watcher.authorize(daemon.admins, control="list, stat*")
        with connection(daemon.remote, zmq.DEALER, watcher, daemon.server) as socket:
            assert call(socket, "list")["result"]["graphs"][0]["graph"] == "first"
            assert call(socket, "status")["result"]["control"]["remote"]["keys"]["authorized"] == 2
            assert "stages" in call(socket, "stats", {"graph": "first"})["result"]
            denied = 0
            for method, params in (("stop", {"graph": "first"}), ("restart", {"graph": "first"}),
                                   ("set", {"graph": "first", "node": "gate", "key": "drop", "value": True}),
                                   ("reload", None), ("version", None), ("nonsense", None),
                                   ("stop", {"graph": "nowhere"}), ("promote", {"graph": "first"})):
                error = call(socket, method, params)["error"]
                assert error["code"] == -32004 and "watcher" in error["message"], error
                denied += 1
            call(socket, "stop", {"graph": "first"}, notify=True)
            graph = call(socket, "status", {"graph": "first"})["result"]
            assert (graph["state"], graph["pid"]) == ("running", pid), graph
            assert daemon.ask("status")["control"]["remote"]["denied"] == denied + 1
            # its rights are those of now, not those of the handshake
            watcher.authorize(daemon.admins, control="list")
            wait_for(lambda: "error" in call(socket, "status"), "fewer rights")
            assert "result" in call(socket, "list")
            watcher.revoke(daemon.admins)
            wait_for(lambda: "error" in call(socket, "list"), "no rights")
            error = call(socket, "list")["error"]
            assert error["code"] == -32004 and "no longer" in error["message"], error
        with connection(daemon.remote, zmq.REQ, admin, daemon.server) as socket:
            assert call(socket, "nonsense")["error"]["code"] == -32601
            assert call(socket, "stop", {"graph": "first"})["result"]["state"] == "stopped"
            assert call(socket, "start", {"graph": "first"})["result"]["state"] == "running"
        assert daemon.ask("list")["graphs"][0]["state"] == "running"  # its own socket needs no key
        daemon.stop()


def test_refused_at_the_door(folder):
    admin, stranger, reader = (Key(folder, name) for name in ("admin", "stranger", "reader"))
    with Guarded(folder, {"first": live("first")}) as daemon:
        reader.authorize(daemon.admins, results="*")  # rights, but none to control
        with connection(daemon.remote, zmq.DEALER) as plain, \
                connection(daemon.remote, zmq.DEALER, stranger, daemon.server) as unknown, \
                connection(daemon.remote, zmq.DEALER, reader, daemon.server) as powerless, \
                connection(daemon.remote, zmq.DEALER, admin, stranger) as mistaken:
            sockets = (plain, unknown, powerless, mistaken)
            for socket in sockets:
                socket.send(b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{"graph":"first"}}')
            wait_for(lambda: daemon.ask("status")["control"]["remote"]["failed_handshakes"] >= 4,
                     "refusals")
            assert not any(socket.poll(0) for socket in sockets)
        daemon.wait_state("first", "running")
        # the answer to one key must not be had by another under the same name
        admin.authorize(daemon.admins, control="*")
        wait_for(lambda: daemon.ask("status")["control"]["remote"]["keys"]["authorized"] == 2, "keys")
        with connection(daemon.remote, zmq.DEALER, admin, daemon.server, identity=b"me") as socket:
            error = call(socket, "list")["error"]
            assert error["code"] == -32600 and "routing id" in error["message"], error
        daemon.stop()


def test_crowd_at_the_door(folder):
    """Connections to control over tcp are limited; the daemon's own socket does not care."""
    admin = Key(folder, "admin")
    with Guarded(folder, {"first": live("first")}) as daemon:
        admin.authorize(daemon.admins, control="*")
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connection(daemon.remote, zmq.DEALER, admin, daemon.server))
            wait_for(lambda: (r := daemon.ask("status")["control"]["remote"])["turned_away"] > 0 and
                     r["connections"] <= 64, "the limit")
        wait_for(lambda: daemon.ask("status")["control"]["remote"]["connections"] == 0, "their end")
        with connection(daemon.remote, zmq.DEALER, admin, daemon.server) as socket:
            assert "result" in call(socket, "list")
        daemon.stop()


def test_seedctl(folder):
    admin, watcher = Key(folder, "admin"), Key(folder, "watcher")
    with Guarded(folder, {"first": live("first")}) as daemon:
        daemon.wait_state("first", "running")
        admin.authorize(daemon.admins, control="*")
        watcher.authorize(daemon.admins, control="list, status, stats")

        def ctl(command, *arguments, key=admin, server=daemon.server, control=daemon.remote):
            done = subprocess.run(
                [SEEDCTL, command, "--control", control, "--server-key", server.public_path,
                 "--client-key", key.path, *arguments],
                env=ENV, timeout=LIMIT, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout, done.stderr
        for command, arguments in (("list", []), ("status", []), ("status", ["first"]), ("top", ["--once"]),
                                   ("stats", ["first"]), ("get", ["first", "gate"]), ("dot", ["first"]),
                                   ("set", ["first", "gate", "drop", "false"]), ("check", ["first"]),
                                   ("snapshot", ["src", "--json"]), ("reload", [])):
            status, out, errors = ctl(command, *arguments)
            assert status == 0, (command, status, out, errors)
            assert "first" in ctl("list")[1]
        assert ctl("list", key=watcher)[0] == 0
        status, _, errors = ctl("stop", "first", key=watcher)
        assert status == 1 and 'the key "watcher" has no right' in errors, errors
        status, out, _ = ctl("stop", "first", "--json", key=watcher)
        assert status == 1 and json.loads(out)["error"]["code"] == -32004, out
        begin = time.monotonic()
        status, _, errors = ctl("list", key=Key(folder, "stranger"))
        assert status == 1 and "refuses the key" in errors, (status, errors)
        status, _, errors = ctl("list", server=watcher)
        assert status == 1 and "refuses the key" in errors, (status, errors)
        assert time.monotonic() - begin < 60, "it is not told at once"
        status, _, errors = ctl("list", control="tcp://127.0.0.1:1")
        assert status == 3 and "no daemon at" in errors, (status, errors)
        assert ctl("list", control=daemon.control)[0] == 2
        done = daemon.ctl("list", "--control", daemon.remote, expect=2)
        assert "--server-key" in done.stderr, done
        done = daemon.ctl("list", "--control", daemon.remote, "--server-key", folder + "/none",
                          "--client-key", admin.path, expect=1)
        assert folder + "/none" in done.stderr, done
        assert ctl("stop", "first")[0] == 0
        assert daemon.graph("first")["state"] == "stopped"
        daemon.stop()


# ---- what is refused on start ----

def test_nothing_is_open_by_accident(folder):
    server = Key(folder, "server")
    os.mkdir(folder + "/keys", 0o700)
    os.mkdir(folder + "/loose", 0o700)
    os.chmod(folder + "/loose", 0o777)

    def start(text):
        path = write(folder + "/seedd.yaml", f"version: 1\ngraphs: graphs\nruntime: run\nstate: state\n{text}\n")
        done = subprocess.run([SEEDD, "--config", path], env=ENV, timeout=LIMIT, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 1, done
        return done.stderr
    os.mkdir(folder + "/graphs")
    keys = "server-key: server.key, authorized: keys"
    for text, expected in (
            ("results: tcp://0.0.0.0:*", "can be reached from other machines"),
            ("results: { endpoint: 'tcp://*:*' }", "can be reached from other machines"),
            ("results: { endpoint: 'tcp://0.0.0.0:*', insecure: false }", "insecure: true"),
            ("control: { remote: 'tcp://127.0.0.1:*' }", "needs keys"),
            ("control: tcp://127.0.0.1:*", "ipc:///PATH"),
            ("results: { server-key: nowhere, authorized: keys }", "results: " + folder + "/nowhere"),
            ("results: { server-key: server.pub, authorized: keys }", "server.pub"),
            ("results: { server-key: server.key, authorized: loose }", "chmod go-w"),
            (f"results: ipc://{folder}/r\ncontrol: {{ remote: 'tcp://127.0.0.1:*', server-key: server.key, "
             "authorized: loose }", "control: "),
            (f"results: {{ endpoint: 'tcp://127.0.0.1:none', {keys} }}", "expected tcp://ADDRESS:PORT")):
        errors = start(text)
        assert expected in errors, (text, errors)
        assert not os.path.exists(folder + "/run/control"), text
    os.chmod(server.path, 0o644)
    assert "chmod 600" in start(f"results: {{ endpoint: ipc://{folder}/r, {keys} }}")


if __name__ == "__main__":
    tap.main([test_each_key_reads_its_own, test_keys_come_and_go, test_restarts,
              test_subscriber_of_too_much, test_memory_is_flat, test_rights_to_methods,
              test_refused_at_the_door, test_crowd_at_the_door, test_seedctl,
              test_nothing_is_open_by_accident])

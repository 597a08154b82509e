#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who reads results: keys, rights, and what becomes of those who have none.

usage: test-curve.py BUILD_FOLDER
"""
import contextlib
import json
import os
import pathlib
import socket as sockets
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "tools"))
from peers import LIMIT, BUILD, Key, hears_nothing, publisher, subscriber, topics, write, zmq
import tap

SEEDCTL = BUILD / "daemon" / "seedctl"


@contextlib.contextmanager
def guarded(folder, properties="", endpoint="tcp://127.0.0.1:*"):
    """A publisher with keys, its own key, and the folder of those it lets in."""
    authorized = os.path.join(folder, "authorized")
    os.makedirs(authorized, mode=0o700, exist_ok=True)
    server = Key(folder, "server")
    with publisher(f"server-key={server.path} authorized={authorized} {properties}", endpoint) as running:
        yield running, server, authorized


def test_narrowed_to_its_prefixes(folder):
    """A key that asks for everything gets what it may read, in one subscription or several."""
    key, other = Key(folder, "desk"), Key(folder, "wall")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "lobby/cam1/, lobby/cam2/")
        other.authorize(authorized, "*")
        with subscriber(out.endpoint, b"", key=key, server=server.public) as desk, \
                subscriber(out.endpoint, b"lobby/", key=other, server=server.public) as wall:
            out.wait("subscriptions", lambda n: n == 3)
            for camera in ("cam0", "cam1", "cam2", "cam10"):
                out.push(camera)
            assert topics(wall, 4) == [f"lobby/{c}/embedding/student/" for c in ("cam0", "cam1", "cam2", "cam10")]
            assert topics(desk, 2) == ["lobby/cam1/embedding/student/", "lobby/cam2/embedding/student/"]
            assert hears_nothing(desk)
            # a second subscription that is within the first, and its end, change nothing
            desk.subscribe(b"lobby/cam1/")
            desk.subscribe(b"lobby/cam1/emb")
            out.wait("subscriptions", lambda n: n == 4)
            desk.unsubscribe(b"lobby/cam1/")
            desk.unsubscribe(b"lobby/cam1/emb")
            out.wait("subscriptions", lambda n: n == 3)
            out.push("cam1")
            assert topics(desk, 1) == ["lobby/cam1/embedding/student/"]
            # and the end of the wide one ends it
            desk.unsubscribe(b"")
            out.wait("subscriptions", lambda n: n == 1)
            out.push("cam1")
            assert topics(wall, 2) == ["lobby/cam1/embedding/student/"] * 2
            assert hears_nothing(desk)
        out.wait("subscriptions", lambda n: n == 0)


def test_outside_of_its_prefixes(folder):
    key = Key(folder, "desk")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "lobby/cam1/")
        with subscriber(out.endpoint, b"lobby/cam0/", b"hall/", key=key, server=server.public) as desk:
            stats = out.wait("refused-subscriptions", lambda n: n == 2)
            assert stats["subscriptions"] == 0
            out.push("cam0")
            desk.subscribe(b"lobby/cam1/")  # the connection is still good for what it may read
            out.wait("subscriptions", lambda n: n == 1)
            out.push("cam0")
            out.push("cam1")
            assert topics(desk, 1) == ["lobby/cam1/embedding/student/"]
            assert hears_nothing(desk)


def test_refused_in_the_handshake(folder):
    """No key, a key nobody knows, a key without rights, the wrong idea of the server's key."""
    nobody, powerless, good = Key(folder, "nobody"), Key(folder, "powerless"), Key(folder, "good")
    with guarded(folder) as (out, server, authorized):
        powerless.authorize(authorized)
        good.authorize(authorized, "*")
        before = out.stats()
        with subscriber(out.endpoint, b"") as plain, \
                subscriber(out.endpoint, b"", key=nobody, server=server.public) as unknown, \
                subscriber(out.endpoint, b"", key=powerless, server=server.public) as without, \
                subscriber(out.endpoint, b"", key=good, server=nobody.public) as mistaken, \
                subscriber(out.endpoint, b"", key=good, server=server.public) as welcome:
            out.wait("failed-handshakes", lambda n: n >= 4)
            stats = out.wait("subscriptions", lambda n: n == 1)
            for _ in range(20):
                out.push()
            assert len(topics(welcome, 20)) == 20
            for socket in (plain, unknown, without, mistaken):
                assert hears_nothing(socket, 50)
            assert stats["subscriptions"] == 1 and stats["refused-subscriptions"] == 0
            assert out.stats()["dropped-queue-full"] == 0
        out.wait("connections", lambda n: n == 0)
        assert out.stats()["open_files"] <= before["open_files"] + 2


def test_keys_come_and_go(folder):
    """Without a restart: a key that is added, one whose rights change, one that is taken away."""
    key, steady = Key(folder, "desk"), Key(folder, "steady")
    with guarded(folder) as (out, server, authorized):
        steady.authorize(authorized, "*")
        with subscriber(out.endpoint, b"", key=steady, server=server.public) as wall:
            out.wait("subscriptions", lambda n: n == 1)
            key.authorize(authorized, "lobby/cam0/")
            with subscriber(out.endpoint, b"", key=key, server=server.public) as desk:
                out.wait("subscriptions", lambda n: n == 2)
                out.push("cam0")
                assert topics(desk, 1) == ["lobby/cam0/embedding/student/"]
                key.authorize(authorized, "lobby/cam1/")
                out.wait("hung-up", lambda n: n == 1)
                out.wait("subscriptions", lambda n: n == 2, awake=[desk])  # it is back, by itself
                out.push("cam0")
                out.push("cam1")
                assert topics(desk, 1) == ["lobby/cam1/embedding/student/"]
                key.revoke(authorized)
                out.wait("hung-up", lambda n: n == 2)
                out.wait("subscriptions", lambda n: n == 1)
                out.push("cam1")
                assert hears_nothing(desk)
            assert topics(wall, 4) == [f"lobby/{c}/embedding/student/" for c in ("cam0", "cam0", "cam1", "cam1")]


def test_metadata_cannot_be_claimed(folder):
    """What a client says of itself does not pass for what the server knows of it."""
    key, other = Key(folder, "desk"), Key(folder, "wall")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "lobby/cam1/")
        other.authorize(authorized, "*")
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.linger, socket.rcvtimeo = 0, LIMIT * 1000
        socket.curve_serverkey = server.public
        socket.curve_publickey, socket.curve_secretkey = key.public, key.secret
        metadata = getattr(zmq, "METADATA", 95)
        for text in (b"User-Id:" + other.public, b"X-Seed-Peer:1.0", b"__fd:1"):
            with contextlib.suppress(zmq.ZMQError):  # libzmq without it: the key alone is tested
                socket.set(metadata, text)
        socket.subscribe(b"")
        socket.connect(out.endpoint)
        out.wait("subscriptions", lambda n: n == 1)
        out.push("cam0")
        out.push("cam1")
        assert topics(socket, 1) == ["lobby/cam1/embedding/student/"]
        context.destroy(0)


def test_mixed_up_senders(folder):
    """A message that is no subscription must not let its sender have what others ask for."""
    thief, owner = Key(folder, "thief"), Key(folder, "owner")
    with guarded(folder) as (out, server, authorized):
        thief.authorize(authorized, "lobby/cam1/")
        owner.authorize(authorized, "*")
        context = zmq.Context()
        attack = context.socket(zmq.XSUB)
        attack.linger = 0
        attack.curve_serverkey = server.public
        attack.curve_publickey, attack.curve_secretkey = thief.public, thief.secret
        attack.connect(out.endpoint)
        attack.send(b"\x01lobby/cam1/")
        out.wait("subscriptions", lambda n: n == 1)
        with subscriber(out.endpoint, key=owner, server=server.public) as wall:
            for i in range(200):
                attack.send(b"\x02garbage")
                wall.subscribe(b"lobby/cam0/%d" % i)
                attack.send(b"\x01lobby/cam1/%d" % i)
            wall.subscribe(b"lobby/cam0/")
            stats = out.wait("garbage", lambda n: n >= 1)
            assert stats["hung-up"] >= 1
            # everybody else gets what it asked for, after coming again where need be
            end = time.monotonic() + LIMIT
            while not wall.poll(10):
                out.push("cam0")
                assert time.monotonic() < end
            while attack.poll(0):
                topic = attack.recv_multipart()[0]
                assert topic.startswith(b"lobby/cam1/"), topic
        context.destroy(0)


def test_come_and_gone(folder):
    """Subscribers that are gone before their subscription is read: many at once, again and again."""
    key = Key(folder, "desk")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "lobby/")
        context = zmq.Context()
        context.max_sockets = 4096
        for _ in range(10):
            crowd = []
            for i in range(40):
                socket = context.socket(zmq.SUB)
                socket.linger = 0
                socket.curve_serverkey = server.public
                socket.curve_publickey, socket.curve_secretkey = key.public, key.secret
                for j in range(20):
                    socket.subscribe(b"lobby/cam%d/%d" % (i, j))
                socket.connect(out.endpoint)
                crowd.append(socket)
            out.push("cam0", 4, 20)
            for socket in crowd:
                socket.close()
            out.push("cam0", 4, 20)
        context.term()
        out.wait("connections", lambda n: n == 0)
        out.wait("subscriptions", lambda n: n == 0)
        with subscriber(out.endpoint, b"lobby/", key=key, server=server.public) as desk:
            out.wait("subscriptions", lambda n: n == 1)
            out.push("cam0")
            assert topics(desk, 1) == ["lobby/cam0/embedding/student/"]


def test_ipc(folder):
    key = Key(folder, "desk")
    with guarded(folder, endpoint=f"ipc://{folder}/results") as (out, server, authorized):
        key.authorize(authorized, "lobby/")
        with subscriber(out.endpoint, b"", key=key, server=server.public) as desk, \
                subscriber(out.endpoint, b"") as plain:
            out.wait("subscriptions", lambda n: n == 1)
            out.push()
            assert len(topics(desk, 1)) == 1 and hears_nothing(plain)


def test_any_address_with_keys(folder):
    """With keys a publisher may bind every address; without, it says what to do."""
    with guarded(folder, endpoint="tcp://0.0.0.0:*") as (out, _, _):
        assert out.endpoint.startswith("tcp://0.0.0.0:")
    for properties in ("", f"server-key={folder}/server.key", f"authorized={folder}/authorized"):
        failed = subprocess.run(
            [BUILD / "tests" / "elements" / "publish" / "serve-results", f"endpoint=tcp://0.0.0.0:* {properties}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        assert failed.returncode != 0, properties


def tail(*arguments):
    return subprocess.Popen([SEEDCTL, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_tail(folder):
    """seedctl tail with keys; what is wrong with them it says at once."""
    key = Key(folder, "desk")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "lobby/cam1/")
        process = tail("--connect", out.endpoint, "--server-key", server.public_path, "--client-key", key.path,
                       "--count", "2")
        out.wait("subscriptions", lambda n: n == 1)
        out.push("cam0")
        out.push("cam1", 4, 2)
        stdout, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and not stderr, stderr
        assert {json.loads(line)["topic"] for line in stdout.splitlines()} == {"lobby/cam1/embedding/student/"}
        key.path.chmod(0o644)
        for options, text in ((["--client-key", str(key.path)], "belong together"),
                              (["--server-key", str(server.public_path), "--client-key", str(key.path)], "chmod 600"),
                              (["--server-key", f"{folder}/absent", "--client-key", str(key.path)], "absent")):
            process = tail("--connect", out.endpoint, *options)
            _, stderr = process.communicate(timeout=LIMIT)
            assert process.returncode == 1 and text in stderr, stderr


def test_keygen(folder):
    """Keys that seedctl makes open the door; it never overwrites one."""
    def keygen(*arguments):
        return subprocess.run([SEEDCTL, "keygen", *arguments], capture_output=True, text=True, timeout=LIMIT)
    authorized = pathlib.Path(folder) / "authorized"
    authorized.mkdir(mode=0o700)
    old = os.umask(0)
    try:
        assert keygen(f"{folder}/server").returncode == 0
        done = keygen("--results", "lobby/cam1/", "--control", "stats", "--name", "the desk", "--json", f"{folder}/desk")
    finally:
        os.umask(old)
    assert json.loads(done.stdout)["public"] == f"{folder}/desk.pub" and not done.stderr
    assert all(os.stat(f"{folder}/{name}").st_mode & 0o777 == 0o600 for name in ("server", "desk", "desk.pub"))
    os.rename(f"{folder}/desk.pub", authorized / "desk.pub")
    with publisher(f"server-key={folder}/server authorized={authorized}") as out:
        process = tail("--connect", out.endpoint, "--server-key", f"{folder}/server.pub", "--client-key",
                       f"{folder}/desk", "--count", "1")
        out.wait("subscriptions", lambda n: n == 1)
        out.push("cam0")
        out.push("cam1")
        stdout, stderr = process.communicate(timeout=LIMIT)
        assert json.loads(stdout)["stream"] == "cam1" and not stderr, stderr
    before = pathlib.Path(f"{folder}/desk").read_text()
    done = keygen(f"{folder}/desk")
    assert done.returncode == 1 and "never overwritten" in done.stderr and not os.path.exists(f"{folder}/desk.pub")
    assert pathlib.Path(f"{folder}/desk").read_text() == before
    assert keygen().returncode == 2 and keygen("a", "b").returncode == 2
    assert keygen(f"{folder}/no/such/folder").returncode == 1


def test_certificates_of_others(folder):
    """Files that pyzmq makes are read as they are."""
    import zmq.auth
    made, _ = zmq.auth.create_certificates(folder, "elsewhere", {"name": "from elsewhere"})
    secret = pathlib.Path(made).with_suffix(".key_secret")
    secret.chmod(0o600)
    with guarded(folder) as (out, server, authorized):
        write(pathlib.Path(authorized) / "elsewhere",
              pathlib.Path(made).read_text() + "rights\n    results = \"*\"\n")
        process = tail("--connect", out.endpoint, "--server-key", server.public_path, "--client-key", secret,
                       "--count", "1")
        out.wait("subscriptions", lambda n: n == 1)
        out.push()
        stdout, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and json.loads(stdout), stderr


def test_junk_instead_of_a_handshake(folder):
    """Programs that speak something else are hung up on and leave nothing behind."""
    key = Key(folder, "desk")
    with guarded(folder) as (out, server, authorized):
        key.authorize(authorized, "*")
        before = out.stats()
        port = int(out.endpoint.rsplit(":", 1)[1])
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" + b"\0" * 8 + b"\x7f" + b"A" * 200, os.urandom(5000), b""):
            for _ in range(25):
                with sockets.create_connection(("127.0.0.1", port)) as raw, contextlib.suppress(OSError):
                    raw.sendall(junk)
        with subscriber(out.endpoint, b"", key=key, server=server.public) as desk:
            out.wait("subscriptions", lambda n: n == 1)
            out.push()
            assert len(topics(desk, 1)) == 1
        stats = out.wait("connections", lambda n: n == 0)
        assert stats["failed-handshakes"] >= 25 and stats["open_files"] <= before["open_files"] + 2, stats


tap.main([function for name, function in list(globals().items()) if name.startswith("test_")])

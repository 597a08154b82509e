#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads what a pipeline publishes as a stranger would: with pyzmq, the page docs/wire.md and the schema.

usage: test-peer.py BUILD_FOLDER
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile

DEBIAN_PYTHON = "/usr/bin/python3"
try:
    import jsonschema
    import zmq
except ImportError as missing:
    # Debian's modules belong to Debian's interpreter, which need not be the first on the path.
    if os.path.exists(DEBIAN_PYTHON) and sys.executable != DEBIAN_PYTHON:
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
    print(f"1..0 # SKIP {missing}: needs python3-zmq and python3-jsonschema")
    sys.exit(0)

BUILD = pathlib.Path(sys.argv[1])
SOURCE = pathlib.Path(os.environ["SEED_SOURCE_DIR"])
SEEDCTL = BUILD / "daemon" / "seedctl"
LIMIT = 20
FREE_PORT = "endpoint=tcp://127.0.0.1:*"
SCHEMA = json.loads((SOURCE / "docs" / "seed.result.v1.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@contextlib.contextmanager
def pipeline(properties, n):
    """A running push-features and the endpoint that it bound."""
    process = subprocess.Popen([BUILD / "tests" / "elements" / "publish" / "push-features", f"{FREE_PORT} {properties}", str(n)],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip(), process
        assert process.wait(LIMIT) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def subscriber(endpoint, prefix=b""):
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvtimeo = LIMIT * 1000
    socket.subscribe(prefix)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        context.destroy()


def receive(socket, n):
    messages = []
    for _ in range(n):
        parts = socket.recv_multipart()
        messages.append((parts[0].decode(), json.loads(parts[1]), parts))
    return messages


def floats(header, parts, name):
    (tensor,) = [t for t in header["tensors"] if t["name"] == name]
    part = parts[tensor["part"]]
    return tensor["shape"], struct.unpack(f"<{len(part) // 4}f", part)


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def feature_value(frame, i):
    return as_float32(frame + i / 1024)


def test_messages():
    """20 batches of 2 frames: embedding, tokens; 20 reports; an event; the health at the end."""
    with pipeline("kinds=embedding,tokens,train,event,health wait-subscribers=1", 20) as (endpoint, _):
        with subscriber(endpoint) as socket:
            messages = receive(socket, 20 * 2 * 2 + 20 + 1 + 1)
    seen = {}
    for topic, header, parts in messages:
        VALIDATOR.validate(header)
        assert topic == f"{header['graph']}/{header['stream']}/{header['kind']}/{header['node']}/"
        assert header["seq"] == seen.get(topic, -1) + 1, topic
        seen[topic] = header["seq"]
        assert len(parts) == 2 + len(header["tensors"])
    assert seen == {
        "lobby/cam0/embedding/student/": 19, "lobby/cam1/embedding/student/": 19,
        "lobby/cam0/tokens/student/": 19, "lobby/cam1/tokens/student/": 19,
        "lobby/-/train/learn/": 19, "lobby/cam0/event/student/": 0, "lobby/-/health/out/": 0}, seen
    check_features([m for m in messages if m[1]["kind"] == "embedding"], "embedding", [6], 0)
    check_features([m for m in messages if m[1]["kind"] == "tokens"], "tokens", [4, 2], 1000)
    check_health([m[1] for m in messages if m[1]["kind"] == "health"][0])
    losses = [m[1]["data"]["loss"]["total"] for m in messages if m[1]["kind"] == "train"]
    assert losses == [1 / (step + 1) for step in range(20)]


def check_features(messages, name, shape, offset):
    for topic, header, parts in messages:
        camera = int(header["stream"][3:])
        got_shape, values = floats(header, parts, name)
        width = len(values)
        assert got_shape == shape
        first = header["frame"] - camera + offset
        assert list(values) == [feature_value(first, camera * width + i) for i in range(width)]
        assert header["pts_ns"] == header["frame"] * 1000000
        assert header["capture_ns"] == 1700000000000000000 + header["frame"]
        assert header["model"]["name"] == "tiny" and header["model"]["step"] == 100
        assert header["data"].get("label") == (None if camera == 0 else 0)


def check_health(health):
    data = health["data"]
    assert data["dropped_queue_full"] == 0 and data["subscriptions"] == 1
    assert data["sent"] == 20 * 2 * 2 + 20 + 1
    (out,) = [e for e in data["elements"] if e["element"] == "out"]
    for stream, account in [("cam0", 20), ("cam1", 20), ("-", 20)]:
        assert out["streams"][stream] == {"in": account, "out": account, "dropped": {}, "in_flight": 0}


def test_schema():
    """The schema refuses what the reader refuses."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pipeline("wait-subscribers=1", 1) as (endpoint, _):
        with subscriber(endpoint, b"lobby/cam0/embedding/") as socket:
            ((_, header, _),) = receive(socket, 1)
    VALIDATOR.validate({**header, "unknown": [1]})
    bad = [{k: v for k, v in header.items() if k != key} for key in SCHEMA["required"]]
    bad += [{**header, **change} for change in (
        {"v": 2}, {"seq": -1}, {"seq": 2**63}, {"seq": 0.5}, {"stream": "Cam"}, {"node": ""}, {"model": {}},
        {"frame": "0"}, {"data": []}, {"data": {}}, {"tensors": []}, {"tensors": header["tensors"] * 2},
        {"tensors": [{**header["tensors"][0], "dtype": "F32"}]}, {"tensors": [{**header["tensors"][0], "part": 1}]})]
    for case in bad:
        assert not VALIDATOR.is_valid(case), case


def page_subscriber(endpoint):
    """The program printed in docs/wire.md, for another endpoint."""
    page = (SOURCE / "docs" / "wire.md").read_text()
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    assert "tcp://127.0.0.1:5570" in program
    return program.replace("tcp://127.0.0.1:5570", endpoint)


def test_page():
    """The subscriber on the page works as it is printed."""
    with pipeline("wait-subscribers=1", 3) as (endpoint, _):
        reader = subprocess.Popen([sys.executable, "-u", "-c", page_subscriber(endpoint)],
                                  stdout=subprocess.PIPE, text=True)
        lines = [reader.stdout.readline() for _ in range(6)]
        reader.kill()
        reader.communicate()
    assert lines[0].startswith("lobby/cam0/embedding/student/ 0 embedding [6] (0.0, 0.0009765625,"), lines
    assert lines[5].startswith("lobby/cam1/embedding/student/ 5 "), lines
    assert all(line.endswith("lost 0\n") for line in lines), lines


ZEROS = ["fakesrc", "num-buffers=5", "sizetype=fixed", "sizemax=32", "filltype=zero", "!",
         "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=1,batch=1,space=s,node=zero", "!"]


# The system's gst-launch is not instrumented and cannot load a plugin that is.
SANITIZED = b"__asan_init" in (BUILD / "elements" / "libgstseed.so").read_bytes()


class Skip(Exception):
    pass


def gst_launch(*arguments):
    if SANITIZED:
        return None
    return subprocess.Popen(["gst-launch-1.0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    if not process:
        raise Skip("gst-launch cannot load a sanitized plugin")
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_gst_launch():
    """gst-launch links to a request pad and ends by itself."""
    code, output = ended(gst_launch(*ZEROS, "seedpublish", FREE_PORT))
    assert code == 0, output
    code, output = ended(gst_launch(*ZEROS, "out.", *ZEROS, "out.", "seedpublish", "name=out", FREE_PORT))
    assert code == 0, output
    code, output = ended(gst_launch(*ZEROS, "seedpublish", "endpoint=tcp://0.0.0.0:*"))
    assert code != 0 and "insecure: true" in output, output


def tail(*arguments, **options):
    return subprocess.Popen([SEEDCTL, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **options)


def test_tail():
    """One JSON object a line, with tensors summarised, and with --full in full."""
    for option, key in (([], "first"), (["--full"], "values")):
        with pipeline("wait-subscribers=1", 4) as (endpoint, _):
            out, err = tail("--connect", endpoint, "--count", "10", *option).communicate(timeout=LIMIT)
        lines = [json.loads(line) for line in out.splitlines()]
        assert len(lines) == 10 and err == "", (lines, err)
        (line,) = [x for x in lines if x["topic"] == "lobby/cam1/embedding/student/" and x["frame"] == 3]
        values = [feature_value(2, 6 + i) for i in range(6)]
        (tensor,) = line["tensors"]
        assert tensor["dtype"] == "float32" and tensor["shape"] == [6] and tensor["name"] == "embedding"
        assert abs(tensor["norm"] - sum(v * v for v in values) ** 0.5) < 1e-6
        assert [as_float32(v) for v in tensor[key]] == values[:6 if option else 4], tensor


def test_tail_prefix():
    with pipeline("wait-subscribers=2", 2) as (endpoint, _):
        out, _ = tail("-c", endpoint, "-n", "4", "lobby/cam1/", "lobby/-/train/").communicate(timeout=LIMIT)
    topics = {json.loads(line)["topic"] for line in out.splitlines()}
    assert topics == {"lobby/cam1/embedding/student/", "lobby/-/train/learn/"}, topics


def test_tail_ends():
    """By SIGINT and SIGTERM, by a closed pipe, and by the publisher's end."""
    for how in (signal.SIGINT, signal.SIGTERM):
        with publisher() as (endpoint, send):
            process = tail("--connect", endpoint)
            send(0)
            assert json.loads(process.stdout.readline())["seq"] == 0  # flushed line by line
            process.send_signal(how)
            _, err = process.communicate(timeout=LIMIT)
            assert process.returncode == 0 and err == "", err
    with publisher() as (endpoint, send):
        process = tail("--connect", endpoint)
        send(0)
        process.stdout.readline()
        process.stdout.close()
        send(1)
        assert process.wait(LIMIT) == 0
        assert process.stderr.read() == ""
        process.stderr.close()
    with pipeline("wait-subscribers=1", 2) as (endpoint, _):
        process = tail("--connect", endpoint, "--timeout", "0.2")
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 3 and "went away" in err, err


def test_tail_gaps():
    """Losses are told, repeats left out, garbage skipped."""
    with publisher() as (endpoint, send):
        process = tail("--connect", endpoint, "--count", "3")
        for seq in (3, 3, 4, 9):
            send(seq)
        out, err = process.communicate(timeout=LIMIT)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [3, 4, 9]
    assert err == "seedctl tail: 4 messages of g/-/train/n/ were lost before 9\n", err
    with publisher() as (endpoint, send):
        process = tail("--connect", endpoint, "--count", "1")
        send(None)
        send(0)
        out, err = process.communicate(timeout=LIMIT)
    assert len(out.splitlines()) == 1 and "skipped a message" in err, err


@contextlib.contextmanager
def publisher():
    """A publisher by hand: its endpoint, and a function that sends a report when somebody listens."""
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.rcvtimeo = LIMIT * 1000
    socket.linger = 0
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    heard = []

    def send(seq):
        if not heard:
            heard.append(socket.recv())
        header = {"v": 1, "seq": seq, "graph": "g", "node": "n", "stream": "-", "kind": "train", "frame": None,
                  "pts_ns": None, "capture_ns": None, "publish_ns": seq, "model": None, "tensors": [], "data": {}}
        socket.send_multipart([b"g/-/train/n/", json.dumps(header).encode()])

    try:
        yield f"tcp://127.0.0.1:{port}", send
    finally:
        context.destroy()


def test_tail_types():
    """Every element type, and numbers that JSON does not know."""
    cases = [("bool", "?", [True, False]), ("uint8", "B", [255, 0]), ("int8", "b", [-128, 1]), ("int16", "h", [-5]),
             ("uint16", "H", [65535]), ("float16", "e", [1.5, -6e-8]), ("int32", "i", [-2**31]),
             ("uint32", "I", [2**32 - 1]), ("float32", "f", [0.1, float("nan")]), ("float64", "d", [0.1, float("inf")]),
             ("int64", "q", [-2**63]), ("uint64", "Q", [2**64 - 1]), ("bfloat16", "H", [0x3fc0])]
    expected = {"bool": [1, 0], "float16": [1.5, -5.9604645e-08], "float32": [0.1, None], "float64": [0.1, None],
                "bfloat16": [1.5]}
    header = {"v": 1, "seq": 0, "graph": "g", "node": "n", "stream": "-", "kind": "k", "frame": None, "pts_ns": None,
              "capture_ns": None, "publish_ns": 1, "model": None, "data": {},
              "tensors": [{"name": d, "dtype": d, "shape": [len(v)], "part": 2 + i}
                          for i, (d, _, v) in enumerate(cases)]}
    parts = [b"g/-/k/n/", json.dumps(header).encode()] + [struct.pack(f"<{len(v)}{c}", *v) for _, c, v in cases]
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.rcvtimeo = LIMIT * 1000
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    process = tail("--connect", f"tcp://127.0.0.1:{port}", "--full", "--count", "1")
    socket.recv()
    socket.send_multipart(parts)
    out, err = process.communicate(timeout=LIMIT)
    context.destroy(0)
    (line,) = [json.loads(text) for text in out.splitlines()]
    for tensor, (dtype, _, values) in zip(line["tensors"], cases):
        assert tensor["values"] == expected.get(dtype, values), tensor


HISTOGRAM = ("histogram", [256], [0.0] * 17 + [0.25] + [0.003] * 238)
GOOD_KINDS = [
    ("anchors", [HISTOGRAM], {}, "239 of 256 anchors, most of 17 (0.25)"),
    ("anchors", [HISTOGRAM, ("heatmaps", [2, 3, 3], [0.5] * 18)], {"grid": 3, "entropy": 5}, "239 of 256 anchors"),
    ("labels", [], {"labels": [{"label": 3, "name": "cat", "score": 0.5}, {"label": 1}]}, "2 labels, first cat (0.5)"),
    ("labels", [], {"labels": [{"label": 3}], "set": "pets"}, "1 labels, first 3"),
    ("labels", [], {"labels": []}, "no labels"),
    ("neighbours", [], {"space": "s", "neighbours": [{"id": "a/1", "score": 1}]}, "1 neighbours, first a/1 (1)"),
    ("neighbours", [], {"space": "s", "neighbours": [{"id": "a", "score": 0.9, "stream": "door", "frame": 0}]}, "(0.9)"),
    ("grounding", [], {"query": "a dog", "spans": [{"start_ns": 0, "end_ns": 1500000000, "score": 0.25}]},
     "\"a dog\": 0.000 s to 1.500 s (0.25)"),
    ("grounding", [], {"query": "a dog", "spans": []}, "nowhere"),
] + [("event", [], {"event": name, "reason": "r", "id": 1, "score": 0.5}, None) for name in (
    "scene-cut", "novelty", "near-duplicate", "stream-up", "stream-down", "promoted", "rolled-back", "alarm")]
BAD_KINDS = [
    ("anchors", [], {}), ("anchors", [("histogram", [255], [0.0] * 255)], {}),
    ("anchors", [("heatmaps", [1, 1, 1], [0.0])], {}), ("anchors", [HISTOGRAM, ("maps", [1, 1, 1], [0.0])], {}),
    ("anchors", [HISTOGRAM, ("heatmaps", [2, 2], [0.0] * 4)], {}), ("anchors", [HISTOGRAM], {"grid": -1}),
    ("labels", [], {}), ("labels", [], {"labels": [3]}), ("labels", [], {"labels": [{"score": 1}]}),
    ("labels", [], {"labels": [{"label": "3"}]}), ("labels", [("x", [1], [0.0])], {"labels": []}),
    ("neighbours", [], {"space": "s"}), ("neighbours", [], {"space": "s", "neighbours": [{"id": "a"}]}),
    ("neighbours", [], {"neighbours": []}), ("neighbours", [], {"space": "s", "neighbours": [{"id": 1, "score": 1}]}),
    ("grounding", [], {"query": "q"}), ("grounding", [], {"query": "q", "spans": [{"start_ns": 0, "end_ns": 1}]}),
    ("grounding", [], {"query": 1, "spans": []}), ("event", [], {}), ("event", [], {"event": "fire"}),
    ("event", [], {"event": "alarm", "id": -1}), ("event", [("x", [1], [0.0])], {"event": "alarm"}),
    ("tokens", [("tokens", [4, 2], [0.0] * 8)], {"space": "s"}), ("embedding", [], {"space": "s"}),
]


def kind_message(seq, kind, tensors, data):
    header = {"v": 1, "seq": seq, "graph": "g", "node": "n", "stream": "-", "kind": kind, "frame": None, "pts_ns": None,
              "capture_ns": None, "publish_ns": 1, "model": None, "data": data,
              "tensors": [{"name": name, "dtype": "float32", "shape": shape, "part": 2 + i}
                          for i, (name, shape, _) in enumerate(tensors)]}
    return header, [f"g/-/{kind}/n/".encode(), json.dumps(header).encode()] + [
        struct.pack(f"<{len(values)}f", *values) for _, _, values in tensors]


def test_kinds():
    """What each kind promises: the schema and the program agree, and the program has words for it."""
    cases = [(*case, True) for case in GOOD_KINDS] + [(*case, None, False) for case in BAD_KINDS]
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.rcvtimeo = LIMIT * 1000
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    process = tail("--connect", f"tcp://127.0.0.1:{port}", "--count", str(len(cases)))
    socket.recv()
    for seq, (kind, tensors, data, _, good) in enumerate(cases):
        header, parts = kind_message(seq, kind, tensors, data)
        assert VALIDATOR.is_valid(header) == good, (kind, data)
        socket.send_multipart(parts)
    out, err = process.communicate(timeout=LIMIT)
    context.destroy(0)
    complaints = [line for line in err.splitlines() if "were lost" not in line]
    lines = [json.loads(text) for text in out.splitlines()]
    assert len(lines) == len(cases) and len(complaints) == len(BAD_KINDS), complaints
    for line, (kind, _, data, summary, good) in zip(lines, cases):
        assert line["kind"] == kind and line["data"] == data
        assert (summary or "") in line.get("summary", "") and ("summary" in line) == (summary is not None), line


def run(*arguments):
    return subprocess.run([SEEDCTL, *arguments], timeout=LIMIT, capture_output=True, text=True)


def test_seedctl():
    """Exit codes and help."""
    for arguments in (["--help"], ["tail", "--help"], ["version", "--help"], ["version"]):
        done = run(*arguments)
        assert done.returncode == 0 and done.stdout and not done.stderr, arguments
    assert re.fullmatch(r"seedctl \d+\.\d+\.\d+\n", run("--version").stdout)
    assert re.fullmatch(r"\d+\.\d+\.\d+", json.loads(run("version", "--json").stdout)["version"])
    for arguments in ([], ["nonsense"], ["tail", "--nonsense"], ["tail", "--count", "x"], ["tail", "--count=-1"],
                      ["version", "x"]):
        done = run(*arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, arguments
    assert run("tail", "--connect", "nonsense").returncode == 1
    with tempfile.TemporaryDirectory() as folder:
        done = run("tail", "--connect", f"ipc://{folder}/nobody", "--timeout", "0.1")
    assert done.returncode == 3 and "nothing publishes" in done.stderr


def test_wait_limit():
    """A subscriber that never comes delays a job by ten seconds, not for ever."""
    code, output = ended(FORLORN)
    assert code == 0, output
    assert "2 subscriptions did not arrive within 10 s" in output, output


def main():
    global FORLORN  # takes its ten seconds beside the other tests
    FORLORN = gst_launch(*ZEROS, "seedpublish", FREE_PORT, "wait-subscribers=2")
    tests = [(name, function) for name, function in globals().items() if name.startswith("test_")]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        try:
            function()
            print(f"ok {number} {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} {name} # SKIP {reason}", flush=True)
        except Exception as error:  # every failure is a result, and the next test runs
            failed += 1
            print(f"not ok {number} {name}\n# {type(error).__name__}: {str(error)[:2000]!r}", flush=True)
            import traceback
            for text in traceback.format_exc().splitlines():
                print(f"# {text}", flush=True)
    return failed > 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Metrics and health over HTTP, against a real daemon with real graphs. Speaks TAP."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import zmq

import prometheus
from prometheus import one, pick
from seedd_harness import (CLIP, ENV, LIMIT, LIVE, MEDIA, SEEDD, Daemon, Subscriber, assert_adds_up, rss,
                           tap, wait_for, write)
from harness import BUILD, SOURCE, random_model

HTTP = "http: 127.0.0.1:0\n"


def live(name, pattern="ball", drop="false"):
    return LIVE.format(name=name, pattern=pattern, drop=drop)


def start(folder, graphs, config="", **options):
    daemon = Daemon(folder, graphs, config=HTTP + config, **options)
    daemon.http = daemon.ask("status")["http"].rsplit(":", 1)
    return daemon


def get(daemon, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection(daemon.http[0], int(daemon.http[1]), timeout=LIMIT)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer
    finally:
        connection.close()


def scrape(daemon):
    status, text, answer = get(daemon, "/metrics")
    assert status == 200 and answer.getheader("Content-Type").startswith("text/plain; version=0.0.4")
    return prometheus.read(text)


def ready(daemon):
    status, text, answer = get(daemon, "/readyz")
    body = json.loads(text)
    assert answer.getheader("Content-Type").startswith("application/json")
    assert (status == 200) == body["ready"] and status in (200, 503)
    return body


# ---- what is said ----

def test_metrics_agree_with_the_ledger(folder):
    model = random_model(folder + "/model", image_size=32, patch_size=16, dim=64, depth=1, heads=2)
    clip = CLIP.format(name="clip", media=MEDIA, model=model)
    with start(folder, {"clip": clip, "live": live("live")}) as daemon:
        daemon.wait_frames("clip", 30)
        daemon.wait_frames("live", 30)
        before = daemon.ask("stats", "clip")
        families = scrape(daemon)
        after = daemon.ask("stats", "clip")
        assert_adds_up(before)
        for stage in ("frames", "words", "view", "out", "frames:words"):
            part = {p["name"]: p for s in (before,) for p in s["stages"] + s["queues"]}[stage]
            late = {p["name"]: p for s in (after,) for p in s["stages"] + s["queues"]}[stage]
            for result in ("in", "out"):
                value = one(families, "seed_frames_total", graph="clip", stage=stage, stream="door", result=result)
                assert part["ledger"]["door"][result] <= value <= late["ledger"]["door"][result], (stage, result)
        for labels, value in pick(families, "seed_frames_in_flight"):
            same = {k: labels[k] for k in ("graph", "stage", "stream")}
            total = sum(v for _, v in pick(families, "seed_frames_total", result="out", **same))
            total += sum(v for _, v in pick(families, "seed_frames_total", result="dropped", **same))
            assert one(families, "seed_frames_total", result="in", **same) == total + value, same
        assert one(families, "seed_graph_state", graph="clip", state="running") == 1
        assert one(families, "seed_graph_state", graph="clip", state="invalid") == 0
        assert one(families, "seed_stream_state", graph="clip", stream="door", state="up") == 1
        assert one(families, "seed_stream_frames_per_second", graph="clip", stream="door") > 0
        assert one(families, "seed_stream_frame_age_seconds", graph="clip", stream="door") < 60
        assert one(families, "seed_graph_resident_memory_bytes", graph="clip") > 1 << 20
        assert one(families, "process_resident_memory_bytes") > 1 << 20
        assert one(families, "seed_queue_capacity_buffers", graph="live", queue="src:small") == 64
        assert one(families, "seed_graph_stats_up", graph="live") == 1
        counted = one(families, "seed_latency_seconds", "_count", graph="clip", node="out", stream="door")
        published = one(families, "seed_frames_total", graph="clip", stage="out", stream="door", result="in")
        assert 20 < counted <= published + 8, (counted, published)
        daemon.stop()


def test_promtool(folder):
    promtool = shutil.which("promtool", path=f"{os.environ['PATH']}:{BUILD}/tools")
    if not promtool:
        raise tap.Skip("promtool is not installed (Debian package prometheus; ./dev test fetches it)")
    with start(folder, {"live": live("live")}) as daemon:
        daemon.wait_frames("live", 10)
        text = get(daemon, "/metrics")[1]
        done = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                              capture_output=True, timeout=LIMIT, check=False)
        assert done.returncode == 0 and not done.stderr + done.stdout, done
        daemon.stop()


def test_every_family_is_documented(_folder):
    with open(SOURCE + "/daemon/seedd-metrics.c", encoding="utf-8") as code:
        written = set(re.findall(r'= \{ "([a-z_]+)", "', code.read()))
    with open(SOURCE + "/docs/metrics.md", encoding="utf-8") as page:
        told = set(re.findall(r"`((?:seed|process)_[a-z_]+)`", page.read()))
    assert len(written) > 30 and written == told, written ^ told


def test_restarts_have_causes(folder):
    with start(folder, {"live": live("live")}, hang=2) as daemon:
        daemon.wait_frames("live", 5)
        pid = daemon.graph("live")["pid"]
        for number, cause in ((signal.SIGKILL, "signal"), (signal.SIGSTOP, "hang")):
            os.kill(pid, number)
            pid = wait_for(lambda old=pid: (g := daemon.graph("live"))["state"] == "running" and
                           g["pid"] != old and g["pid"], "a restart")
            assert one(scrape(daemon), "seed_graph_restarts_total", graph="live", cause=cause) == 1
        total = sum(v for _, v in pick(scrape(daemon), "seed_graph_restarts_total", graph="live"))
        assert total == daemon.graph("live")["restarts"] == 2
        daemon.stop()


def test_ready_names_what_is_not(folder):
    bad = live("bad").replace("fakesink", "fakesnk")
    with start(folder, {"live": live("live"), "bad": bad}, config="enable: [live, bad, nobody]\n") as daemon:
        assert get(daemon, "/healthz")[:2] == (200, "ok\n")
        daemon.wait_frames("live", 5)
        daemon.wait_state("bad", "invalid")
        body = ready(daemon)
        assert {g["graph"]: g["state"] for g in body["not_ready"]} == {"bad": "invalid", "nobody": "missing"}
        assert "fakesnk" in body["not_ready"][0]["reason"] and body["graphs"] == 3
        daemon.write("bad", live("bad"))
        daemon.write("nobody", live("nobody"))
        daemon.ctl("start", "nobody")
        wait_for(lambda: ready(daemon)["ready"], "ready")
        # it runs, but nothing comes from it
        os.kill(daemon.graph("live")["pid"], signal.SIGSTOP)
        said = wait_for(lambda: ready(daemon)["not_ready"], "not ready")
        assert said[0]["graph"] == "live" and "no heartbeat" in said[0]["reason"], said
        # and a scrape waits for it no longer than it says
        begin = time.monotonic()
        families = scrape(daemon)
        assert time.monotonic() - begin < 20
        assert one(families, "seed_graph_stats_up", graph="live") == 0
        assert one(families, "seed_graph_stats_up", graph="bad") == 1
        os.kill(daemon.graph("live")["pid"], signal.SIGCONT)
        wait_for(lambda: ready(daemon)["ready"], "ready again")
        daemon.ctl("stop", "live")
        assert ready(daemon)["not_ready"][0]["state"] == "stopped"
        daemon.stop()


def test_drops_by_kind(folder):
    model = random_model(folder + "/model", image_size=32, patch_size=16, dim=64, depth=1, heads=2)
    clip = CLIP.format(name="clip", media=MEDIA, model=model)
    with start(folder, {"clip": clip}, config="hwm: 1\n") as daemon:
        subscriber = Subscriber(daemon.results)
        wait_for(lambda: one(scrape(daemon), "seed_results_sent_total", kind="embedding") > 0, "results")
        assert one(scrape(daemon), "seed_results_subscriptions") == 1
        assert one(scrape(daemon), "seed_results_subscribers") == 1
        deaf = zmq.Context.instance().socket(zmq.SUB)
        deaf.setsockopt(zmq.LINGER, 0)
        deaf.setsockopt(zmq.RCVHWM, 1)
        deaf.setsockopt(zmq.RCVBUF, 4096)
        deaf.setsockopt(zmq.SUBSCRIBE, b"clip/door/")
        deaf.connect(daemon.results)
        wait_for(lambda: one(scrape(daemon), "seed_results_dropped_total", kind="embedding") > 0, "drops")
        assert one(scrape(daemon), "seed_results_dropped_total", kind="tokens") == 0
        results = daemon.ask("status")["results"]
        assert sum(results["sent_by_kind"].values()) == results["sent"]
        assert sum(results["dropped_by_kind"].values()) == results["dropped"]
        assert one(scrape(daemon), "seed_results_subscribers") == 2
        assert all(n == 0 for _, n in pick(scrape(daemon), "seed_results_refusals_total"))
        deaf.close()
        subscriber.finish()
        daemon.stop()


# ---- who asks ----

def test_addresses(folder):
    def check(text):
        path = write(folder + "/seedd.yaml", "version: 1\n" + text)
        done = subprocess.run([SEEDD, "--check", "--config", path], env=ENV, timeout=LIMIT,
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr
    for good in ("127.0.0.1:9570", "localhost:9570", '"[::1]:9570"'):
        assert check(f"http: {good}\n") == (0, ""), good
    for bad in ("0.0.0.0:9570", "192.0.2.1:9570", '"*:9570"', "9570", "127.0.0.1", "127.0.0.1:x", '"[::]:9570"'):
        code, text = check(f"http: {bad}\n")
        assert code == 1 and "seedd.yaml:2:7: error: 'http'" in text, (bad, text)
    assert "insecure" in check("http: 0.0.0.0:9570\n")[1]
    assert check("http: { endpoint: 127.0.0.1:9570 }\n") == (0, "")
    assert check("http: { endpoint: 0.0.0.0:9570, insecure: true }\n") == (0, "")
    # what opens the results does not open this
    code, text = check("results: { endpoint: tcp://0.0.0.0:5570, insecure: true }\nhttp: 0.0.0.0:9570\n")
    assert code == 1 and "seedd.yaml:3:7: error: 'http'" in text, text
    for bad, at in (("{ endpoint: 0.0.0.0:9570, insecure: false }", "2:19: error: 'http'"),
                    ("{ insecure: true }", "2:7: error: http: 'endpoint' is missing"),
                    ("{ endpoint: 127.0.0.1:1, secure: no }", "error: http: unknown key 'secure'"),
                    ("[127.0.0.1:1]", "2:7: error: 'http': expected an endpoint, or a mapping")):
        code, text = check(f"http: {bad}\n")
        assert code == 1 and at in text, (bad, text)


def test_a_busy_address_is_said(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        os.makedirs(folder + "/graphs")
        path = write(folder + "/seedd.yaml", f"version: 1\ngraphs: graphs\nruntime: run\nstate: state\n"
                     f"results: ipc://{folder}/results\nhttp: {address}\n")
        done = subprocess.run([SEEDD, "--config", path], env=ENV, timeout=LIMIT, capture_output=True,
                              text=True, check=False)
        assert done.returncode == 1 and address in done.stderr, done


def flood(daemon, first, chunk, limit):
    """What is taken of an endless request before the daemon hangs up."""
    with socket.create_connection((daemon.http[0], int(daemon.http[1])), timeout=LIMIT) as peer:
        sent = 0
        try:
            peer.sendall(first)
            while sent < limit:
                peer.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    return sent


def test_only_what_is_meant(folder):
    with start(folder, {"live": live("live")}) as daemon:
        assert get(daemon, "/nonsense")[0] == 404
        assert get(daemon, "/../../etc/passwd")[0] == 404
        assert get(daemon, "/metrics", "POST", b"x=1")[0] == 405
        assert get(daemon, "/metrics", "DELETE")[0] == 405
        assert get(daemon, "/metrics", "GET", b"x" * 100)[0] == 413
        status, text, answer = get(daemon, "/metrics", "HEAD")
        assert status == 200 and text == "" and int(answer.getheader("Content-Length")) > 100
        before = rss(daemon.process.pid)
        limit = 64 << 20
        body = flood(daemon, b"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                     b"10000\r\n" + b"x" * 0x10000 + b"\r\n", limit)
        head = flood(daemon, b"GET /metrics HTTP/1.1\r\n", b"A: " + b"x" * 8190 + b"\r\n", limit)
        line = flood(daemon, b"GET /", b"x" * 65536, limit)
        print(f"# taken of an endless body {body}, header {head}, line {line}")
        assert max(body, head, line) < limit
        assert rss(daemon.process.pid) - before < 24 << 20, (before, rss(daemon.process.pid))
        assert get(daemon, "/healthz")[0] == 200
        daemon.stop()


def test_many_connections(folder):
    with start(folder, {"live": live("live")}) as daemon:
        daemon.wait_frames("live", 5)
        before = daemon.ask("status")["open_fds"]
        peers = [socket.create_connection((daemon.http[0], int(daemon.http[1])), timeout=LIMIT)
                 for _ in range(100)]
        wait_for(lambda: daemon.ask("status")["open_fds"] <= before + 33, "the rest is closed")
        for peer in peers:
            peer.close()
        wait_for(lambda: get_or_none(daemon, "/healthz") == 200, "room again")
        # scrapes that nobody waits for
        for _ in range(20):
            with socket.create_connection((daemon.http[0], int(daemon.http[1])), timeout=LIMIT) as peer:
                peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: get_or_none(daemon, "/metrics") == 200, "a scrape")
        wait_for(lambda: daemon.ask("status")["open_fds"] <= before + 1, "all closed")
        daemon.stop()


def get_or_none(daemon, path):
    try:
        return get(daemon, path)[0]
    except (OSError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    tap.main([test_metrics_agree_with_the_ledger, test_promtool, test_every_family_is_documented, test_restarts_have_causes,
              test_ready_names_what_is_not, test_drops_by_kind, test_addresses,
              test_a_busy_address_is_said, test_only_what_is_meant, test_many_connections])

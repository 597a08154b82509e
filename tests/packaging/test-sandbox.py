#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Graphs under the system call filter of the shipped unit. Speaks TAP."""
import ctypes.util
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, MEDIA, SOURCE, UNITS, need, program, random_model, run, sanitized, tap  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.join(UNITS, "seedd.service")


def sandboxed(*arguments, settings=(), expect=0):
    need("systemd-analyze")
    if not ctypes.util.find_library("seccomp"):
        raise tap.Skip("libseccomp is not installed")
    if sanitized():
        raise tap.Skip("a sanitizer needs calls that the service does not")
    return run(sys.executable, os.path.join(HERE, "sandbox.py"), UNIT, *settings, "--", *arguments,
               expect=expect)


def learn_and_serve(folder, backend, *settings):
    models = os.path.join(folder, "models")
    for name in "a", "b":
        random_model(os.path.join(models, name))
    student, stats = os.path.join(models, "student"), os.path.join(folder, "stats.json")
    common = ("--quiet", "--backend=" + backend, "--stats", stats,
              "--set", "endpoint=tcp://127.0.0.1:*")  # tcp asks for more than ipc does
    sandboxed(program("seed-run"), *common, os.path.join(HERE, "learn.yaml"),
              "--set", "models=" + models, "--set", "clip=" + MEDIA, "--set", "checkpoint=" + student,
              settings=settings)
    assert os.path.exists(os.path.join(student, "model.safetensors"))
    sandboxed(program("seed-run"), *common, os.path.join(SOURCE, "graphs", "embed.yaml"),
              "--set", "model=" + student, "--set", "uri=file://" + MEDIA, settings=settings)
    with open(stats, encoding="utf-8") as file:
        stages = {stage["name"]: stage for stage in json.load(file)["stages"]}
    ledger = stages["student"]["ledger"]["video"]
    assert ledger["out"] == 350, ledger


def test_openblas_learns_and_serves(folder):
    # also without writable code: what MemoryDenyWriteExecute=yes would do
    learn_and_serve(folder, "openblas", "MemoryDenyWriteExecute=yes")


def test_native_learns_and_serves(folder):
    # tiles of the processor are asked for by arch_prctl
    learn_and_serve(folder, "native", "MemoryDenyWriteExecute=yes")


def test_onednn_learns_and_serves(folder):
    with open(os.path.join(BUILD, "build.ninja"), encoding="utf-8") as rules:
        if "-DSEED_HAVE_ONEDNN" not in rules.read():
            raise tap.Skip("built without oneDNN")
    learn_and_serve(folder, "onednn")


def test_onednn_needs_to_write_code(_folder):
    """Where it may not, it says so, and auto takes another."""
    graph = (os.path.join(SOURCE, "graphs", "embed.yaml"), "--check", "--set", "uri=file://" + MEDIA,
             "--set", "model=" + os.path.join(SOURCE, "graphs", "models", "mini"))
    settings = ("MemoryDenyWriteExecute=yes",)
    refused = sandboxed(program("seed-run"), "--backend=onednn", *graph, settings=settings, expect=1).stderr
    assert "onednn does not multiply" in refused and "sandbox" in refused, refused
    sandboxed(program("seed-run"), "--backend=auto", *graph, settings=settings)


def test_filter_is_there(_folder):
    """The means of the tests above would notice."""
    attempt = ("import ctypes, errno, os, socket\n"
               "libc = ctypes.CDLL(None, use_errno=True)\n"
               "def fails(call, *arguments):\n"
               "    ctypes.set_errno(0)\n"
               "    return call(*arguments) == -1 and ctypes.get_errno()\n"
               "assert fails(libc.unshare, 0x10000000) == errno.EPERM\n"
               "assert fails(libc.chroot, b'/') == errno.EPERM\n"
               "assert fails(libc.ptrace, 0, 0, 0, 0) == errno.EPERM\n"
               "assert fails(libc.personality, 8) == errno.EPERM\n"
               "assert fails(libc.sched_setscheduler, 0, 1, ctypes.byref(ctypes.c_int(1))) == errno.EPERM\n"
               "assert fails(libc.socket, socket.AF_PACKET, socket.SOCK_RAW, 0) == errno.EAFNOSUPPORT\n"
               "assert libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0) >= 0\n"
               "assert libc.nice(1) >= 0\n")
    sandboxed(sys.executable, "-c", attempt)


if __name__ == "__main__":
    tap.main([test_filter_is_there, test_openblas_learns_and_serves, test_native_learns_and_serves,
              test_onednn_learns_and_serves, test_onednn_needs_to_write_code])

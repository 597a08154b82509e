# SPDX-License-Identifier: MIT
"""What the packaging tests share."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import tap  # noqa: E402,F401  pylint: disable=wrong-import-position,unused-import

SOURCE = os.environ.get("SEED_SOURCE_DIR") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(SOURCE, "build"))
UNITS = os.path.join(BUILD, "systemd")
MEDIA = os.path.join(SOURCE, "graphs", "media", "demo.mp4")
LIMIT = 240  # seconds anything may take


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise tap.Skip(f"{program} is not installed")


def run(*arguments, expect=0, env=None, cwd=None):
    """Standard output; what both said when the status is another than expected."""
    done = subprocess.run(arguments, env={**os.environ, **(env or {})}, cwd=cwd, timeout=LIMIT,
                          capture_output=True, text=True, check=False)
    assert expect is None or done.returncode == expect, \
        (arguments, done.returncode, done.stdout[-4000:], done.stderr[-4000:])
    return done


def program(name):
    return os.path.join(BUILD, "daemon", name)


def random_model(folder):
    run(os.path.join(BUILD, "tests", "tools", "seed-make-random-model"), "--size", "mini",
        "--image-size", "64", "--seed", "1", "--out", folder)
    return folder


def sanitized():
    """A sanitizer's run-time library wants calls and libraries that a service does not."""
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as options:
        import json  # pylint: disable=import-outside-toplevel
        return any(o["name"] == "b_sanitize" and o["value"] != "none" for o in json.load(options))

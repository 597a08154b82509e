#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Units, users, folders and the shipped configuration, shown to what reads them. Speaks TAP."""
import glob
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import SOURCE, UNITS, need, program, random_model, run, tap  # noqa: E402

SYSTEMD = os.path.join(SOURCE, "systemd")
PROGRAMS = "seedd", "seed-run"
MAX_EXPOSURE = 20  # tenths


def unit_here(folder, name, source=None):
    """A copy whose programs exist."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(UNITS, source or name), encoding="utf-8") as file:
        text = file.read()
    assert "@" not in re.sub(r"@system-service|@privileged|@resources|seed-run@", "", text), text
    for one in PROGRAMS:
        text = re.sub(rf"(?<==)\S+/bin/{one}(?=\s)", shutil.which("true"), text)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def verify(path, *options):
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *options, path, expect=None,
               env={"XDG_RUNTIME_DIR": os.path.dirname(path)})
    ours = [line for line in done.stderr.splitlines() if "seed" in line]
    assert done.returncode == 0 and not ours, done.stderr


def test_units_are_understood(folder):
    need("systemd-analyze")
    verify(unit_here(folder, "seedd.service"))
    unit_here(folder, "seed-run@.service")
    verify(os.path.join(folder, "seed-run@lobby.service"))
    # the user's unit knows no system targets
    verify(unit_here(os.path.join(folder, "user"), "seedd.service", "seedd-user.service"), "--user")


def test_examples_are_understood(folder):
    need("systemd-analyze")
    examples = sorted(glob.glob(os.path.join(SYSTEMD, "examples", "*.conf")))
    assert len(examples) == 3, examples
    unit = unit_here(folder, "seedd.service")
    for example in examples:
        dropin = os.path.join(folder, "seedd.service.d")
        shutil.rmtree(dropin, ignore_errors=True)
        os.mkdir(dropin)
        with open(example, encoding="utf-8") as file:
            text = re.sub(r"^#(?=[A-Z]\w+=)", "", file.read(), flags=re.M)  # what is offered as well
        with open(os.path.join(dropin, os.path.basename(example)), "w", encoding="utf-8") as file:
            file.write(text)
        verify(unit)
    with open(os.path.join(dropin, "wrong.conf"), "w", encoding="utf-8") as file:
        file.write("[Service]\nPrivateDevices=perhaps\n")
    try:
        verify(unit)
    except AssertionError:
        return
    raise AssertionError("a wrong drop-in was not noticed")


def test_little_is_exposed(folder):
    need("systemd-analyze")
    for name in "seedd.service", "seed-run@.service":
        path = unit_here(folder, name)
        run("systemd-analyze", "security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", "--no-pager", path)


def test_user_and_folders_are_made(folder):
    need("systemd-sysusers", "systemd-tmpfiles")
    if os.geteuid() != 0:
        raise tap.Skip("owners of files are root's to change")
    os.makedirs(os.path.join(folder, "etc"))
    run("systemd-sysusers", "--root=" + folder, os.path.join(SYSTEMD, "sysusers.conf"))
    with open(os.path.join(folder, "etc", "passwd"), encoding="utf-8") as file:
        name, _, uid, gid, _, home, shell = file.read().strip().split(":")
    assert (name, home) == ("seed", "/var/lib/seed") and shell.endswith("nologin"), (name, home, shell)
    run("systemd-tmpfiles", "--root=" + folder, "--create", os.path.join(SYSTEMD, "tmpfiles.conf"))
    for path, mode, owner in (("etc/seed/graphs", 0o755, (0, 0)), ("run/seed", 0o750, (uid, gid)),
                              ("var/lib/seed/models", 0o750, (uid, gid)), ("var/cache/seed", 0o750, (uid, gid))):
        status = os.stat(os.path.join(folder, path))
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, int(owner[0]), int(owner[1])), \
            (path, status)


def test_graphs_have_no_errors(folder):
    models = os.path.join(folder, "models")
    random_model(models)
    # A model's folder is asked for when a graph is checked; contents when it runs.
    for graph, parameters in (("lobby", ("model",)), ("embed", ("model",)), ("distill", ("teacher-a", "teacher-b"))):
        settings = [part for name in parameters for part in ("--set", f"{name}={models}")]
        if graph == "distill":
            settings += ["--set", "images=" + os.path.join(SOURCE, "tests", "data", "images")]
        run(program("seedctl"), "check", *settings, os.path.join(SOURCE, "graphs", graph + ".yaml"))


def test_configuration_has_no_errors(folder):
    shipped = os.path.join(SYSTEMD, "seedd.yaml")
    run(program("seedd"), "--check", "--config", shipped)
    with open(shipped, encoding="utf-8") as file:
        text = file.read()
    # also what is offered behind a number sign
    offered = os.path.join(folder, "seedd.yaml")
    with open(offered, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^#(?=limits:|  lobby:)", "", text, flags=re.M))
    run(program("seedd"), "--check", "--config", offered)
    stop_limit = float(re.search(r"^stop-limit: (\S+)", text, re.M)[1])
    with open(os.path.join(UNITS, "seedd.service"), encoding="utf-8") as file:
        timeout = float(re.search(r"^TimeoutStopSec=(\d+)$", file.read(), re.M)[1])
    assert stop_limit < timeout, "systemd would kill graphs that still have time"
    with open(offered, "w", encoding="utf-8") as file:
        file.write(text.replace("stop-limit", "stop-limits"))
    run(program("seedd"), "--check", "--config", offered, expect=1)


if __name__ == "__main__":
    tap.main([test_units_are_understood, test_examples_are_understood, test_little_is_exposed,
              test_user_and_folders_are_made, test_graphs_have_no_errors, test_configuration_has_no_errors])

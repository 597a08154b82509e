#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the operator's walk of docs/daemon.md, every command of it, and compares what comes out. Speaks TAP."""
import os
import random
import re
import socket
import subprocess
import time

from seedd_harness import BUILD, ENV, LIMIT, tap
from harness import SOURCE

SERVER = os.path.join(BUILD, "tests", "elements", "decode", "rtsp-server")
PATIENT = re.compile(r"seedctl (top|list|status|stream list)\b")  # asked again until it is as written
MARK = "=== done"


def read_walk():
    """[(command, [line of output])]; output may have '...' for anything in a line, or as a line of its own for any lines."""
    with open(os.path.join(SOURCE, "docs", "daemon.md"), encoding="utf-8") as page:
        section = page.read().split("## An operator's walk\n", 1)[1].split("\n## ", 1)[0]
    steps = []
    for block in re.findall(r"```console\n(.*?)```", section, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> "):
                steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
            else:
                steps[-1][1].append(line)
    return steps


def matches(expected, output):
    lines = ["(?s:.*)" if line == "..." else ".*".join(re.escape(part) for part in line.split("..."))
             for line in expected]
    return re.fullmatch("\n".join(lines), output.strip("\n")) is not None


class Shell:
    def __init__(self, folder):
        env = {**ENV, "HOME": folder, "PATH": f"{BUILD}/daemon:{os.environ['PATH']}", "LC_ALL": "C",
               "XDG_RUNTIME_DIR": folder + "/run"}
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "SEED_CONTROL"):
            env.pop(name, None)
        os.makedirs(folder + "/run")
        self.process = subprocess.Popen(["bash"], cwd=folder, env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, command):
        self.process.stdin.write(f"{command}\nprintf '\\n{MARK}\\n'\n")
        self.process.stdin.flush()
        output = ""
        while not output.endswith(f"\n{MARK}\n"):
            line = self.process.stdout.readline()
            assert line, f"the shell ended: {output}"
            output += line
        return output[:-len(MARK) - 2]

    def close(self):
        self.process.stdin.write("kill $(jobs -p) 2>/dev/null; wait\n")
        self.process.stdin.close()
        try:
            self.process.wait(timeout=LIMIT)
        finally:
            self.process.kill()
            self.process.stdout.close()


def free_ports(n):
    """Of four digits, as those in the page: columns stay what they are."""
    ports = []
    while len(ports) < n:
        port = random.randrange(2000, 9999)
        with socket.socket() as one:
            if port not in ports and one.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return [str(p) for p in ports]


def test_walk(folder):
    if not os.path.exists(SERVER):
        raise tap.Skip("built without libgstrtspserver-1.0, so there is no camera to unplug")
    steps = read_walk()
    assert len(steps) > 12, steps
    replaced = dict(zip(("8554", "5570", "9570"), free_ports(3)))

    def here(text):
        for old, new in replaced.items():
            text = text.replace(old, new)
        return re.sub(r"(?<![\w/])build/", BUILD + "/", text)
    shell = Shell(folder)
    try:
        for command, expected in steps:
            end = time.monotonic() + LIMIT
            expected = [here(line) for line in expected]
            output = shell.run(here(command))
            while not matches(expected, output):
                assert PATIENT.match(command) and time.monotonic() < end, \
                    f"$ {command}\n{output}\nexpected:\n" + "\n".join(expected)
                time.sleep(0.1)
                output = shell.run(here(command))
            print("# $ " + command.split("\n")[0])
    finally:
        shell.close()


if __name__ == "__main__":
    tap.main([test_walk])

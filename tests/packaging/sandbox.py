#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a program under the system call filter of a unit, without a service manager.

    sandbox.py UNIT [SETTING=VALUE ...] -- PROGRAM [ARGUMENT ...]

Builds with libseccomp what systemd builds from SystemCallFilter, SystemCallErrorNumber,
RestrictAddressFamilies, RestrictNamespaces, RestrictRealtime, LockPersonality, RestrictSUIDSGID and
MemoryDenyWriteExecute; a SETTING overrides the unit's. Sets of system calls (@system-service) are what
systemd-analyze says. Namespaces, devices and users are not made here."""
import ctypes
import errno
import os
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
KILL = 0x80000000
NE, EQ, MASKED_EQ = 1, 4, 7
CLONE_FLAGS = 0x7E020080  # CLONE_NEW*
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings_of(unit):
    """Name -> values in order; an empty value forgets those before, as systemd does."""
    settings = {}
    with open(unit, encoding="utf-8") as lines:
        for line in lines:
            name, equals, value = line.strip().partition("=")
            if not equals or name.startswith("#"):
                continue
            settings[name] = settings.get(name, []) + [value] if value else []
    return settings


def expand(names):
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listing = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True,
                                 capture_output=True, text=True).stdout.splitlines()
        calls |= expand(line.strip() for line in listing[1:]
                        if line.strip() and not line.strip().startswith("#"))
    return calls


def allowed_calls(filters):
    allowed = expand(["@default"])
    for value in filters:
        if value.startswith("~"):
            allowed -= expand(value[1:].split())
        else:
            allowed |= expand(value.split())
    return allowed


class Filter:
    def __init__(self, default):
        self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))
        if not self.context:
            raise OSError("seccomp_init failed")

    def rule(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return False  # not on this processor
        array = (Comparison * max(len(comparisons), 1))(*[Comparison(*c) for c in comparisons])
        status = self.library.seccomp_rule_add_array(
            self.context, ctypes.c_uint32(action), number, len(comparisons), array)
        if status < 0:
            raise OSError(-status, f"rule for {call}: {os.strerror(-status)}")
        return True

    def load(self):
        status = self.library.seccomp_load(self.context)
        if status < 0:
            raise OSError(-status, f"seccomp_load: {os.strerror(-status)}")


def refuse(number):
    return 0x00050000 | number


def restrict(settings):
    """One filter each, as systemd does: a call has to pass all."""
    def on(name):
        return settings.get(name, ["no"])[-1] in ("yes", "true")

    main = Filter(refuse(getattr(errno, settings["SystemCallErrorNumber"][-1])))
    counted = sum(main.rule(ALLOW, call) for call in sorted(allowed_calls(settings["SystemCallFilter"])))
    if counted < 100:
        raise OSError(f"only {counted} system calls allowed: systemd-analyze says something else")
    filters = [main]
    if "RestrictAddressFamilies" in settings:
        families = {getattr(socket, name) for value in settings["RestrictAddressFamilies"] for name in value.split()}
        last = Filter(ALLOW)
        for family in set(range(46)) - families:
            last.rule(refuse(errno.EAFNOSUPPORT), "socket", (0, EQ, family, 0))
        filters.append(last)
    other = Filter(ALLOW)
    if on("RestrictNamespaces"):
        for call in "unshare", "setns":
            other.rule(refuse(errno.EPERM), call)
        other.rule(refuse(errno.ENOSYS), "clone3")
        for bit in range(32):
            if CLONE_FLAGS & 1 << bit:
                other.rule(refuse(errno.EPERM), "clone", (0, MASKED_EQ, 1 << bit, 1 << bit))
    if on("RestrictRealtime"):
        for policy in 1, 2, 6:  # FIFO, RR, DEADLINE
            other.rule(refuse(errno.EPERM), "sched_setscheduler", (1, EQ, policy, 0))
        other.rule(refuse(errno.ENOSYS), "sched_setattr")
    if on("LockPersonality"):
        other.rule(refuse(errno.EPERM), "personality", (0, NE, 0, 0))
    if on("RestrictSUIDSGID"):
        for bit in 0o4000, 0o2000:
            for call, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)):
                other.rule(refuse(errno.EPERM), call, (argument, MASKED_EQ, bit, bit))
    if on("MemoryDenyWriteExecute"):
        other.rule(refuse(errno.EPERM), "mmap", (2, MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC))
        for call in "mprotect", "pkey_mprotect":
            other.rule(refuse(errno.EPERM), call, (2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
        other.rule(refuse(errno.EPERM), "shmat", (2, MASKED_EQ, SHM_EXEC, SHM_EXEC))
    filters.append(other)
    # The last filter first: loading one needs prctl and seccomp, which the main one may refuse.
    for one in reversed(filters):
        one.load()


def main():
    split = sys.argv.index("--")
    settings = settings_of(sys.argv[1])
    for override in sys.argv[2:split]:
        name, _, value = override.partition("=")
        settings[name] = [value]
    restrict(settings)
    os.execvp(sys.argv[split + 1], sys.argv[split + 1:])


if __name__ == "__main__":
    main()

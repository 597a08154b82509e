# SPDX-License-Identifier: MIT
"""Runs test functions and speaks TAP."""
import sys
import tempfile
import traceback


class Skip(Exception):
    """Raised by a test that something is missing for; its text says what."""


def main(tests):
    """Each test gets a folder of its own; exits with 1 when one failed."""
    print(f"1..{len(tests)}")
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", "-")
        try:
            with tempfile.TemporaryDirectory(prefix="seed-") as folder:
                test(folder)
            print(f"ok {number} {name}", flush=True)
        except Skip as why:
            print(f"ok {number} {name} # SKIP {why}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print(f"not ok {number} {name}", flush=True)
    sys.exit(1 if failed else 0)

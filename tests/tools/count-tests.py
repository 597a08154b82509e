#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the cases of the latest test run in a Meson build folder.

Prints 'N passed, N failed' and exits with 1 when a case failed or none ran. A program that failed
without a failed case (it crashed, leaked or ran out of time) counts as one failure. The ends of what failed
programs printed come just before: whoever sees only the last lines of a log sees why."""
import glob
import json
import sys
import xml.etree.ElementTree as ET


LAST = 40  # lines of each stream of a failed program


def latest(pattern):
    return sorted(glob.glob(pattern))[-1]


def why(program):
    """The end of what a failed program printed, without the cases that went well."""
    told = [f"{program['name']}: {program['result']}, exit code {program['returncode']}, {program['duration']:.0f} s"]
    for stream in ("stdout", "stderr"):
        lines = [line for line in program.get(stream, "").splitlines() if not line.startswith(("ok ", "# Start", "# End"))]
        told += [f"  {stream}: {line}" for line in lines[-LAST:]]
    return "\n".join(told)


def main():
    logs = sys.argv[1] + "/meson-logs/testlog*"
    passed = failed = skipped = 0
    bad_programs, reasons = {}, []
    with open(latest(logs + ".json"), encoding="utf-8") as log:
        for line in log:
            program = json.loads(line)
            if program["result"] not in ("OK", "SKIP", "EXPECTEDFAIL"):
                bad_programs[program["name"].split(" / ")[-1]] = program["result"]
                reasons.append(why(program))
    for suite in ET.parse(latest(logs + ".junit.xml")).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            name = f"{suite.get('name')}: {case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                bad_programs.pop(suite.get("name").split(" / ")[-1].split(".")[-1], None)
                print(f"FAILED: {name}")
            elif case.find("skipped") is not None:
                skipped += 1
                print(f"skipped: {name}")
            else:
                passed += 1
    for name, result in bad_programs.items():
        failed += 1
        print(f"FAILED: {name}: {result}")
    for reason in reasons:
        print(reason)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

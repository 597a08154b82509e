#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the cases of a Meson test run; prints 'N passed, N failed' and fails when one failed."""
import sys
import xml.etree.ElementTree as ET


def main():
    passed = failed = skipped = 0
    names = []
    for suite in ET.parse(sys.argv[1]).getroot().iter("testsuite"):
        cases = suite.findall("testcase")
        bad = 0
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                bad += 1
                names.append(f"{suite.get('name')}: {case.get('name')}")
            elif case.find("skipped") is not None:
                skipped += 1
                print(f"skipped: {suite.get('name')}: {case.get('name')}")
            else:
                passed += 1
        if bad == 0 and int(suite.get("failures") or 0) + int(suite.get("errors") or 0) > 0:
            bad = 1  # a program that died after or outside its cases
            names.append(suite.get("name"))
        failed += bad
    for name in names:
        print(f"FAILED: {name}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Half a minute of ./dev soak; SEED_SOAK_SECONDS makes it longer. Speaks TAP."""
import os
import sys
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rtsp  # pylint: disable=wrong-import-position
import soak  # pylint: disable=wrong-import-position
from plot import plot, ticks  # pylint: disable=wrong-import-position
from seedd_harness import BUILD, SANITIZED, tap  # pylint: disable=wrong-import-position
from watcher import RISE_BYTES, WARM_UP, Life  # pylint: disable=wrong-import-position


def test_everything_adds_up(_folder):
    report = soak.soak(float(os.environ.get("SEED_SOAK_SECONDS", "30")), seed=7, speed=2)
    assert not report["wrong"], report["wrong"]
    assert len(report["faults"]) >= 7 and report["ledger_checks"] > 3 and report["scrapes"] > 1
    for name in ("memory", "latency", "drops"):
        xml.dom.minidom.parse(f"{BUILD}/soak/{name}.svg")


def test_a_camera_comes_back(folder):
    """./dev soak rtsp in short; the machine may be busy, so it has as long again."""
    if not rtsp.is_there():
        raise tap.Skip("built without libgstrtspserver-1.0")
    wrong, backs = rtsp.run(folder, 4, 1, limit=2 * rtsp.LIMIT_S)
    assert not wrong and len(backs) == 4, wrong
    flat, grown = [(1 << 20, 10, 5)] * 9, [((1 + i) << 23, 10 + i, 5 + i) for i in range(9)]
    assert not rtsp.judge([1], {"x": flat}, 3) and len(rtsp.judge([1, 4], {"x": grown}, 3)) == (3 if SANITIZED else 4)


def test_the_judge_sees_what_grows(_folder):
    def life(rise, fds=0, threads=0):
        it = Life("x", 1)
        it.samples = [(t, 100e6 + (rise * max(t - WARM_UP, 0) / 100), 10 + fds * t / 100, 5 + threads * t / 100)
                      for t in range(int(WARM_UP) + 101)]
        return it.judge()[1]
    assert life(0) == [] and life(RISE_BYTES) == []
    assert "grows" in life(4 * RISE_BYTES)[0]
    assert "descriptors" in life(0, fds=60)[0] and "threads" in life(0, threads=60)[0]


def test_plots_are_svg(folder):
    assert ticks(105) == [0, 50, 100] and ticks(10) == [0, 2, 4, 6, 8, 10] and len(ticks(0.37)) == 4
    plot(folder + "/x.svg", "a < b & c", "MiB", {"<one>": [(0, 1), (1, None), (2, 3)], "none": []}, [(1, "a & b")])
    xml.dom.minidom.parse(folder + "/x.svg")


if __name__ == "__main__":
    tap.main([test_the_judge_sees_what_grows, test_a_camera_comes_back, test_plots_are_svg, test_everything_adds_up])

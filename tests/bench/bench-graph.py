#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Frames per second of a whole graph, beside its two halves.

  bench-graph.py BUILD [--json FILE] [--frames N] [--rounds N] [--size SIZE]

A 1080p H.264 clip is decoded, cut into words, and embedded by a ViT-S/16 with random weights, all
by seed-run. Alone: the same with a fakesink behind the decoder, and the engine on words in memory, one
frame at a time and in the precision that the graph chooses. No graph can be faster than the slower
half; and where both want the same cores, no faster than the time that these need for both: "shared"
is that limit, from the processor time of the halves. The three take turns; figures are medians. The
clip is made from video/clips/dog_hd.mp4 below
SEED_SHARED_DATA when that is set, else from a test pattern, with x264enc or openh264enc.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

GRAPH = """version: 1
graph: bench
description: decode, cut, embed
streams:
  clip: {{ uri: "file://{clip}", passes: {passes} }}
nodes:
  frames:  {{ stage: decode, streams: all }}
  words:   {{ stage: patchify, from: frames }}
  teacher: {{ stage: teacher, from: words, model: "{model}" }}
  out:     {{ element: fakesink, from: teacher, properties: {{ sync: false }} }}
"""
DECODE = """version: 1
graph: bench-decode
description: decode alone
streams:
  clip: {{ uri: "file://{clip}", passes: {passes} }}
nodes:
  frames: {{ stage: decode, streams: all }}
  out:    {{ element: fakesink, from: frames, properties: {{ sync: false }} }}
"""
ENCODERS = {
    "x264enc": "x264enc bitrate=6000 speed-preset=veryfast key-int-max=60",
    "openh264enc": "openh264enc bitrate=6000000 gop-size=60",
}


def encoder():
    for name, launch in ENCODERS.items():
        if subprocess.run(["gst-inspect-1.0", "--exists", name], check=False).returncode == 0:
            return launch
    sys.exit(f"bench-graph.py: none of {', '.join(ENCODERS)} is installed; no clip can be made")


def make_clip(path, frames):
    shared = os.environ.get("SEED_SHARED_DATA")
    source = os.path.join(shared, "video/clips/dog_hd.mp4") if shared else ""
    if shared and os.path.exists(source):
        made_from = "dog_hd.mp4"
        launch = f"filesrc location={source} ! decodebin"
    else:
        made_from = "videotestsrc"
        launch = f"videotestsrc num-buffers={frames} pattern=smpte75 horizontal-speed=4"
    subprocess.run(
        ["gst-launch-1.0", "-q", *f"{launch} ! videoconvert ! videoscale ! videorate ! "
         "video/x-raw,format=I420,width=1920,height=1080,framerate=30/1,pixel-aspect-ratio=1/1 ! "
         f"identity eos-after={frames + 1} ! {encoder()} ! h264parse ! mp4mux ! "
         f"filesink location={path}".split()], check=True)
    return made_from


def run_graph(build, graph, folder):
    """Frames per second of seed-run on a graph file, frames, and processor seconds."""
    stats = os.path.join(folder, "stats.json")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.path.join(build, "daemon/seed-run"), "--quiet", "--stats", stats, graph],
                   check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(stats, encoding="utf-8") as file:
        run = json.load(file)
    frames = run["stages"][0]["ledger"]["clip"]["out"]
    if run["result"] != "done" or frames == 0:
        sys.exit(f"bench-graph.py: {graph}: {run['result']} after {frames} frames: {run['error']}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return frames / run["wall_seconds"], frames, cpu


def write_graph(folder, text, clip, model, passes):
    path = os.path.join(folder, text.splitlines()[1].split()[1] + ".yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.format(clip=clip, model=model, passes=passes))
    return path


def precision_of(build, graph):
    """What seed-run chooses for the model of a graph on this processor."""
    said = subprocess.run([os.path.join(build, "daemon/seed-run"), "--check", graph], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return next(p for p in ("bfloat16", "int8", "float32") if p in said)


class Engine:
    def __init__(self, build, model, precision):
        self.process = subprocess.Popen(
            [os.path.join(build, "tests/bench/bench-model"), "run", model, "1", "0",
             precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.backend = " ".join(self.process.stdout.readline().split()[1:])

    def frames_per_second(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return 1e9 / statistics.mean(float(ns) for ns in self.process.stdout.readline().split())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(arguments, folder):
    clip, model = os.path.join(folder, "clip.mp4"), os.path.join(folder, "model")
    source = make_clip(clip, arguments.frames)
    subprocess.run([os.path.join(arguments.build, "tests/tools/seed-make-random-model"), "--size",
                    arguments.size, "--image-size", "224", "--seed", "1", "--out", model],
                   check=True, stdout=subprocess.DEVNULL)
    _, frames, _ = run_graph(arguments.build, write_graph(folder, DECODE, clip, model, 1), folder)
    passes = -(-arguments.frames // frames)  # a short clip is shown often enough
    graph = write_graph(folder, GRAPH, clip, model, passes)
    decode = write_graph(folder, DECODE, clip, model, passes)
    engine = Engine(arguments.build, model, precision_of(arguments.build, graph))
    cores = len(os.sched_getaffinity(0))
    fps = {"whole graph": [], "decode alone": [], "engine alone": [], "shared": []}
    for _ in range(arguments.rounds):
        rate, frames, _ = run_graph(arguments.build, graph, folder)
        fps["whole graph"].append(rate)
        rate, frames, cpu = run_graph(arguments.build, decode, folder)
        fps["decode alone"].append(rate)
        fps["engine alone"].append(engine.frames_per_second(max(10, frames // 5)))
        fps["shared"].append(1 / (1 / fps["engine alone"][-1] + cpu / frames / cores))
    engine.close()
    return {name: statistics.median(values) for name, values in fps.items()}, {
        "clip": source, "frames": frames, "size": arguments.size, "backend": engine.backend}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="the build folder")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--frames", type=int, default=300, help="of the clip (default 300)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--size", default="small", help="of the model (default small)")
    arguments = parser.parse_args()
    os.environ["GST_PLUGIN_PATH_1_0"] = os.path.abspath(os.path.join(arguments.build, "elements"))
    with tempfile.TemporaryDirectory(prefix="seed-bench-") as folder:
        os.environ["GST_REGISTRY_1_0"] = os.path.join(folder, "registry.bin")
        fps, about = measure(arguments, folder)
    slower = min(fps["decode alone"], fps["engine alone"])
    print(f"1080p H.264 ({about['clip']}, {about['frames']} frames), ViT {about['size']}, "
          f"backend {about['backend']}")
    for name, value in fps.items():
        print(f"  {name:<14} {value:8.2f} frames/s   {value / slower:6.3f} of the slower half")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"bench": "graph", **about, "rows": [
                {"case": name, "frames_per_second": value, "ratio_to_slower": value / slower}
                for name, value in fps.items()]}, file, indent=1)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does a student that learns with a memory forget? Clip A, then clip B, then A again, with and without `replay`.

aba.py BUILD [--clips A B] [--teachers T1 T2] [--json FILE] [--svg FILE] [--minutes N] ...

Both variants take the same number of steps of the same size from the same first weights; without replay all frames of a
batch are live, so that it sees the clip itself more often. A phase is run in parts, each a seed-run that goes on
from the checkpoint (and from the spool of the memory) of the one before. After each part the moving average, which is what
serves, is asked on a probe: frames of stretches of A and B that are never learned from, always in the same order with the
same crops, by a graph that learns with lr 0. The whitening of the teachers is fitted once, on the frames of A alone, so the
target that is asked for never changes. Both clips are made smaller, and stored as JPEG, before.

Agreement is that of docs/method.md: 0..1, of a batch with the fused target. Forgetting is the agreement on A after A less
that after B. Exit 1 when agreement on the clip does not rise in each phase with replay, or when forgetting with replay is more than
--at-most of that without.

--minutes N: instead, one seed-run learns A B A B ... with replay and serves; prints how much its memory (VmRSS) grows.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
# pylint: disable=wrong-import-position
import harness

WIDTH, HEIGHT = 160, 96  # of frames that are learned from
STRETCHES = 40           # of a clip; each fifth is probe
PROBE_BATCHES = 6        # of each clip; its frames come several times, each time with other crops
DEMO = os.path.join(harness.SOURCE, "graphs", "media", "demo.mp4")

GRAPH = """version: 1
graph: aba
parameters: {{ endpoint: "" }}
streams:
  {stream}: {{ uri: "file://{clip}"{options} }}
nodes:
  frames: {{ stage: decode, streams: all }}
{mix}  views:  {{ stage: patchify, from: {source}, views: 2, batch: {batch}, augment: true }}
  a:      {{ stage: teacher, from: views, model: "{teachers[0]}" }}
  b:      {{ stage: teacher, from: views, model: "{teachers[1]}" }}
  fused:  {{ stage: fusion, from: [a, b], whitening: "{whitening}", calibration: {calibration}, duplicate-window-ms: 0 }}
  learn:  {{ stage: student, mode: train, from: views, target: fused, size: mini, image-size: 64, promote: {promote}, precision: {precision}, {learn} }}
{more}  out:    {{ stage: publish, from: [{results}], endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""
SERVE = """  words:  { stage: patchify, from: frames }
  serve:  { stage: student, mode: infer, from: words, follows: learn }
"""


# --- clips ---------------------------------------------------------------------------------------


def launch(pipeline, **options):
    return subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True, **options)


def read_frames(path, fps):
    """Frames of a clip as bytes of I420, @fps of them a second."""
    with tempfile.NamedTemporaryFile() as raw:
        launch(f"filesrc location={path} ! decodebin ! videorate drop-only=true ! video/x-raw,framerate={fps}/1 ! "
               "videoconvert ! videoscale add-borders=false ! "
               f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},pixel-aspect-ratio=1/1 ! "
               f"filesink location={raw.name}")
        data, size = raw.read(), WIDTH * HEIGHT * 3 // 2
    return [data[i:i + size] for i in range(0, len(data) - size + 1, size)]


def write_clip(path, frames):
    with tempfile.NamedTemporaryFile() as raw:
        raw.write(b"".join(frames))
        raw.flush()
        launch(f"filesrc location={raw.name} ! rawvideoparse format=i420 width={WIDTH} height={HEIGHT} "
               f"framerate=25/1 ! jpegenc quality=95 ! avimux ! filesink location={path}")
    return path


def split(frames):
    """(to learn from, probe): every fifth of STRETCHES stretches is probe."""
    of = [i * STRETCHES // len(frames) for i in range(len(frames))]
    return ([f for f, s in zip(frames, of) if s % 5 != 4], [f for f, s in zip(frames, of) if s % 5 == 4])


def load_clips(args):
    if args.clips:
        clips = [read_frames(path, args.fps) for path in args.clips]
    else:  # the shots with much in them: a meadow and a brook, and a bird
        frames = read_frames(DEMO, args.fps)
        clips = [frames[:len(frames) * 128 // 350], frames[len(frames) * 128 // 350:]]
    for clip, name in zip(clips, args.clips or ("A", "B")):
        if len(clip) < 2 * STRETCHES:
            sys.exit(f"aba.py: {name}: {len(clip)} frames; with --fps {args.fps} {2 * STRETCHES} are needed")
    return dict(zip("ab", map(split, clips)))


def take(frames, begin, count, shuffled):
    """@count frames of a clip that is shown again and again, from number @begin on."""
    turns = []
    for turn in range(begin // len(frames), (begin + count - 1) // len(frames) + 1):
        turns += random.Random(turn).sample(frames, len(frames)) if shuffled else frames
    return turns[begin % len(frames):][:count]


class Probe:
    """A video of all probes, PROBE_BATCHES of each clip, in an order that mixes the clip's stretches."""

    def __init__(self, folder, clips, args):
        self.clips, frames = list(clips), []
        for _, probe in clips.values():
            turns, count, shuffle = [], PROBE_BATCHES * args.batch, random.Random(1)
            while len(turns) < count:
                turns += shuffle.sample(probe, len(probe))
            frames += turns[:count]
        self.clip = write_clip(os.path.join(folder, "probe.avi"), frames)

    def split(self, reports):
        """Agreement on each clip from the reports of a run over the probe."""
        if len(reports) != PROBE_BATCHES * len(self.clips):
            raise AssertionError(f"{len(reports)} reports of {PROBE_BATCHES} batches of each probe")
        return {name: statistics.mean(r["agreement"] for r in reports[i * PROBE_BATCHES:(i + 1) * PROBE_BATCHES])
                for i, name in enumerate(self.clips)}


# --- runs ----------------------------------------------------------------------------------------


class Bench:
    def __init__(self, folder, args):
        self.folder, self.args = folder, args
        self.teachers = args.teachers or [
            harness.random_model(os.path.join(folder, f"teacher-{n}"), dim=96, depth=4, heads=3, image_size=64, seed=n)
            for n in (1, 2)]
        self.clips = load_clips(args)
        self.probe = Probe(folder, self.clips, args)
        self.calibrate()

    def graph(self, stream, clip, learn, mix="", options="", serve=False):
        text = GRAPH.format(
            stream=stream, clip=clip, options=options, learn=learn, batch=self.args.batch, precision=self.args.precision,
            teachers=[os.path.abspath(t) for t in self.teachers],
            whitening=os.path.join(self.folder, "whitening.safetensors"), calibration=self.calibration(),
            mix=f"  mix:    {{ stage: replay, from: frames, {mix} }}\n" if mix else "",
            source="mix" if mix else "frames", more=SERVE if serve else "",
            results="serve, learn" if serve else "learn", promote="auto" if serve else "always")
        return harness.write(os.path.join(self.folder, "graph.yaml"), text)

    def run(self, graph, seed):
        """What a run published of its steps, and its statistics."""
        run = harness.Run(self.folder, graph, "--deterministic", "--seed", str(seed), *self.threads()).finish()
        harness.assert_ledger_adds_up(run.stats)
        return [m[1] for m in harness.of_kind(run.messages, "train")], run.stats

    def memory(self, spool):
        """Keys of the replay."""
        return (f"capacity: {self.args.capacity}, live-share: {self.args.live_share}, "
                f'duplicate-likeness: {self.args.likeness}, spool: "{self.folder}/{spool}"')

    def threads(self):
        return ["--threads", str(self.args.threads)] if self.args.threads else []

    def calibration(self):
        return len(self.clips["a"][0]) * 2

    def calibrate(self):
        """Each frame of A twice, with other crops."""
        clip = write_clip(os.path.join(self.folder, "calibrate.avi"),
                          take(self.clips["a"][0], 0, self.calibration() + self.args.batch, False))
        self.run(self.graph("calibrate", clip, "lr: 0"), self.args.seed)

    def ask(self, checkpoint):
        """Agreement of what serves with the fused target on the probes; without learning."""
        model = f', model: "{checkpoint}"' if checkpoint else ""
        reports, _ = self.run(self.graph("probe", self.probe.clip, f"lr: 0{model}"), self.args.seed)
        return self.probe.split([r["data"] for r in reports])


class Variant:
    """One student on its way through A, B, A."""

    def __init__(self, bench, name, mix):
        self.bench, self.name, self.mix = bench, name, mix
        self.checkpoint = os.path.join(bench.folder, name.replace(" ", "-"))
        self.log, self.rows, self.parts, self.memory = [], [], [], None
        self.shown = dict.fromkeys("ab", 0)
        self.note("-", 0)
        print(f"  {self.name}: before: agreement on A {self.rows[0]['a']:.3f}, on B {self.rows[0]['b']:.3f}", flush=True)

    def note(self, after, step):
        self.rows.append({"after": after, "step": step, **self.bench.ask(self.checkpoint if step else None)})

    def learn(self, stream, n_live):
        args, bench = self.bench.args, self.bench
        clip = write_clip(os.path.join(bench.folder, "learn.avi"),
                          take(bench.clips[stream][0], self.shown[stream], n_live, args.shuffled))
        self.shown[stream] += n_live
        learn = f'checkpoint: "{self.checkpoint}", checkpoint-every: 0, keep: 0, lr: {args.lr}'
        # A resumed learner passes over what it has seen of a stream, unless that is all there is: with replay parts are
        # equally long and start over, and without they are streams of their own, since nothing is remembered of them.
        name = stream if self.mix else f"{stream}-{len(self.parts)}"
        before = len(self.log)
        reports, stats = bench.run(bench.graph(name, clip, learn, self.mix), args.seed)
        self.log += reports
        self.parts.append(len(self.log) - before)
        for stage in stats["stages"]:
            if stage["name"] == "mix":
                self.memory = stage["stats"]

    def phase(self, number, stream, live_frames):
        for n_live in live_frames:
            self.learn(stream, n_live)
            self.note(f"{number} {stream}", self.log[-1]["data"]["step"])
        print(f"  {self.name}: after {stream.upper()}, step {self.rows[-1]['step']}: agreement on A "
              f"{self.rows[-1]['a']:.3f}, on B {self.rows[-1]['b']:.3f}", flush=True)


def run_variants(bench, args):
    parts = [args.steps // args.points] * args.points
    mix = bench.memory("spool")
    replay = Variant(bench, "with replay", mix)
    for number, stream in enumerate("aba"):
        replay.phase(number, stream, [round(p * args.batch * args.live_share) for p in parts])
    plain = Variant(bench, "without replay", "")
    for number, stream in enumerate("aba"):  # exactly as many steps
        steps = replay.parts[number * args.points:(number + 1) * args.points]
        plain.phase(number, stream, [n * args.batch for n in steps])
    if plain.parts != replay.parts:
        raise AssertionError(f"steps of the parts differ: {plain.parts} and {replay.parts}")
    return replay, plain


# --- results -------------------------------------------------------------------------------------


def summary(variant, points):
    start, first, other, second = (variant.rows[i * points] for i in range(4))
    return {"a_before": start["a"], "b_before": start["b"], "a_after_a": first["a"], "b_after_a": first["b"],
            "a_after_b": other["a"], "b_after_b": other["b"], "a_after_second_a": second["a"],
            "b_after_second_a": second["b"], "forgotten_a": first["a"] - other["a"],
            "forgotten_b": other["b"] - second["b"], "learned_a": first["a"] - start["a"],
            "learned_b": other["b"] - first["b"], "relearned_a": second["a"] - other["a"], "steps": variant.parts}


TABLE = (("on A before", "a_before"), ("on A after A", "a_after_a"), ("on A after B", "a_after_b"),
         ("on A after the second A", "a_after_second_a"), ("on B after A", "b_after_a"), ("on B after B", "b_after_b"),
         ("on B after the second A", "b_after_second_a"), ("A forgotten by B", "forgotten_a"),
         ("B forgotten by the second A", "forgotten_b"))


def draw(bench, variants, path):
    """Agreement on both probes over the steps, by seedctl plot."""
    arguments = []
    for variant in variants:
        for clip in "ab":
            log = os.path.join(bench.folder, f"{variant.name}-{clip}.jsonl".replace(" ", "-"))
            harness.write(log, "".join(json.dumps({"step": row["step"], "agreement": row[clip]}) + "\n"
                                       for row in variant.rows))
            arguments.append(f"{clip.upper()}, {variant.name}={log}")
    subprocess.run([os.path.join(harness.BUILD, "daemon", "seedctl"), "plot", *arguments, "-o", path], check=True)


def compare(bench, args):
    replay, plain = variants = run_variants(bench, args)
    results = {v.name: summary(v, args.points) for v in variants}
    with_replay, without = results[replay.name], results[plain.name]
    ratio = with_replay["forgotten_a"] / without["forgotten_a"] if without["forgotten_a"] > 0 else None
    print(f"\n{'agreement':<28} {replay.name:>15} {plain.name:>15}")
    for label, key in TABLE:
        print(f"{label:<28} {with_replay[key]:15.3f} {without[key]:15.3f}")
    print(f"ratio of what is forgotten of A: {ratio if ratio is None else round(ratio, 3)}")
    if args.svg:
        draw(bench, variants, args.svg)
    write_json(args, {"bench": "aba", "options": vars(args), "memory": replay.memory, "ratio": ratio, **results,
                      "probes": {v.name: v.rows for v in variants}})
    return judge(with_replay, without, ratio, args)


def judge(with_replay, without, ratio, args):
    wrong = []
    for key in ("learned_a", "learned_b"):
        if with_replay[key] <= 0:
            wrong.append(f"{key} with replay is {with_replay[key]:.3f}: nothing was learned")
    if with_replay["a_after_second_a"] <= with_replay["a_after_b"]:
        wrong.append("the second A did not raise the agreement on A with replay")
    if ratio is None:
        wrong.append(f"nothing was forgotten without replay ({without['forgotten_a']:.3f}): no ratio")
    elif ratio > args.at_most:
        wrong.append(f"with replay {ratio:.2f} of what is forgotten without it, more than {args.at_most:.2f}")
    return wrong


# --- memory over a long time ---------------------------------------------------------------------


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def slope(samples):
    """Least squares of (seconds, KiB), in KiB a minute."""
    mean_t, mean_k = (statistics.mean(s[i] for s in samples) for i in (0, 1))
    return 60 * (sum((t - mean_t) * (k - mean_k) for t, k in samples) /
                 sum((t - mean_t) ** 2 for t, _ in samples))


def watch(process, seconds, settle):
    """(seconds, KiB) once a second after it has settled."""
    samples, begin = [], time.monotonic()
    while (now := time.monotonic() - begin) < settle + seconds:
        if process.poll() is not None:
            raise AssertionError(f"seed-run ended after {now:.0f} s: {process.communicate()[1]}")
        if now >= settle:
            samples.append((now, resident_kib(process.pid)))
        time.sleep(1)
    return samples


def measure_memory(bench, args):
    n = round(args.steps * args.batch * args.live_share)
    clip = write_clip(os.path.join(bench.folder, "aba.avi"),
                      [f for s in "aba" for f in take(bench.clips[s][0], 0, n, args.shuffled)])
    learn = f'checkpoint: "{bench.folder}/long", checkpoint-every: {args.checkpoint_every}, keep: 0, lr: {args.lr}'
    graph = bench.graph("camera", clip, learn, bench.memory("long-spool"), ", loop: true", serve=True)
    run = harness.Run(bench.folder, graph, "--seed", str(args.seed), *bench.threads())
    samples = watch(run.process, 60 * args.minutes, args.settle)
    result = report_memory(samples, harness.of_kind(list(run.subscriber.messages), "train"), args)
    run.process.terminate()
    run.finish()
    harness.assert_ledger_adds_up(run.stats)
    memory = next(s["stats"] for s in run.stats["stages"] if s["name"] == "mix")
    print(f"{memory['live']} frames live and {memory['replayed']} replayed, {memory['held']} held")
    write_json(args, {**result, "memory": memory})
    return []


def report_memory(samples, trains, args):
    """Told, and written, before the run is asked to end: on a busy machine that may fail."""
    steps, third, kib = trains[-1][1]["data"]["step"], len(samples) // 3, [k for _, k in samples]
    medians = [statistics.median(kib[i * third:(i + 1) * third]) for i in range(3)]
    result = {"bench": "aba-memory", "options": vars(args), "steps": steps, "checkpoints": steps // args.checkpoint_every,
              "least_kib": min(kib), "most_kib": max(kib), "median_kib_of_thirds": medians,
              "slope_kib_per_minute": slope(samples), "kib": samples}
    print(f"{len(samples)} samples in {args.minutes} min after {args.settle} s: {steps} steps, {result['checkpoints']} "
          f"checkpoints; VmRSS {min(kib)} to {max(kib)} KiB, medians of thirds {medians} KiB: "
          f"{result['slope_kib_per_minute']:+.0f} KiB/min", flush=True)
    write_json(args, result)
    return result


def write_json(args, results):
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", help="the build folder")
    parser.add_argument("--clips", nargs=2, metavar=("A", "B"), help="videos; else two parts of the bundled clip")
    parser.add_argument("--teachers", nargs=2, metavar="FOLDER", help="models; else two random transformers")
    parser.add_argument("--fps", type=int, default=24, help="frames a second to take of a clip (default 24)")
    parser.add_argument("--steps", type=int, default=80, help="of each phase, about (default 80)")
    parser.add_argument("--points", type=int, default=2, help="parts of a phase, with a probe after each (default 2)")
    parser.add_argument("--batch", type=int, default=16, help="frames (default 16)")
    parser.add_argument("--lr", type=float, default=5e-4, help="learning rate (default 0.0005)")
    parser.add_argument("--precision", default="float32", help="to learn in: float32 (default) or bfloat16")
    parser.add_argument("--capacity", type=int, default=2048, help="of the memory, frames (default 2048)")
    parser.add_argument("--live-share", type=float, default=0.5, help="of a batch (default 0.5)")
    parser.add_argument("--likeness", type=float, default=0.98, help="above which frames are duplicates (default 0.98)")
    parser.add_argument("--shuffled", action="store_true",
                        help="frames of a clip in random order, so that without replay a batch is no second of video")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of seed-run (default: as many as processors)")
    parser.add_argument("--at-most", type=float, default=1 / 3, help="ratio above which it fails (default 1/3)")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--svg", help="also draw agreement over the steps")
    parser.add_argument("--minutes", type=float, default=0, help="measure memory for so long instead")
    parser.add_argument("--settle", type=float, default=60, help="seconds before memory is measured (default 60)")
    parser.add_argument("--checkpoint-every", type=int, default=20, help="steps, with --minutes (default 20)")
    args = parser.parse_args()
    if min(args.steps // max(args.points, 1), args.points, args.batch // 2) < 1 or not 0 < args.live_share <= 1:
        parser.error("--steps, --points, --batch and --live-share leave nothing to learn")
    os.environ["GST_PLUGIN_PATH_1_0"] = os.path.join(harness.BUILD, "elements")
    with tempfile.TemporaryDirectory(prefix="seed-bench-") as folder:
        os.environ.setdefault("GST_REGISTRY_1_0", os.path.join(folder, "registry.bin"))
        bench = Bench(folder, args)
        wrong = measure_memory(bench, args) if args.minutes > 0 else compare(bench, args)
    for line in wrong:
        print("aba.py:", line, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

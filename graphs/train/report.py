#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keeps docs/results.md true.

usage: report.py --collect OUT    gather what train.py left in OUT into docs/results.json, then as below
       report.py                  write the tables of docs/results.md from docs/results.json
       report.py --check          exit 1 when the page is not what the figures make of it

The page's prose is written by hand; what stands between <!-- NAME --> and <!-- /NAME --> is made here.
"""
import json
import math
import pathlib
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile

import train

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
BUILD = pathlib.Path(os.environ.get("SEED_BUILD", HERE.parent.parent / "build")) / "daemon"
COLUMNS = (  # what the tables show: heading, file of seedctl eval, metric
    ("kNN CIFAR-10", "knn-cifar10", "top1"),
    ("kNN Caltech", "knn-caltech101", "top1"),
    ("kNN Clothing", "knn-clothing10", "top1"),
    ("linear CIFAR-10", "linear-cifar10", "top1"),
    ("linear Caltech", "linear-caltech101", "top1"),
    ("linear Clothing", "linear-clothing10", "top1"),
    ("mAP Caltech", "retrieval-caltech101", "map"),
    ("mAP Clothing", "retrieval-clothing10", "map"),
    ("mAP faces", "duplicates-faces", "map"),
)
TEACHERS = ("labels", "captions", "anchors")
MODELS = {
    "labels": "teacher `labels`", "captions": "teacher `captions`", "anchors": "teacher `anchors`",
    "mini-first": "student, first pass", "mini-second": "student, second pass", "mini": "student `mini`",
}
COMPARED = {
    "labels-only": "labels alone, no teacher", "anchors-only": "anchors alone, no teacher",
    "single-labels": "teacher `labels` alone", "single-captions": "teacher `captions` alone",
    "single-anchors": "teacher `anchors` alone", "mean": "mean", "max-mean": "max-mean", "random": "random",
    "min-max": "min-max (control)", "concat": "concat", "max-min": "**max-min**",
    "max-min-floor": "max-min, floor 0.01",
    "max-min-queue": "max-min + SEED queue", "max-min-anchors": "max-min + anchors", "all": "all",
}


def messages(path):
    """The train messages of a run; where it was resumed the later one of a step counts."""
    steps = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        if message["kind"] == "train" and "step" in message["data"]:
            steps[message["data"]["step"]] = message["data"]
    return [steps[step] for step in sorted(steps)]


def tail_mean(values):
    values = [v for v in values if v is not None]
    return statistics.fmean(values[-max(1, len(values) // 10):]) if values else None


def run_of(path):
    """What is kept of a run: how fast it was, and where it ended (means of the last tenth)."""
    steps = messages(path)
    run = {
        "steps": steps[-1]["step"], "batch": steps[-1]["batch"],
        "images_per_s": statistics.median(step["images_per_s"] for step in steps),
        "loss": {name: tail_mean([step["loss"].get(name) for step in steps]) for name in steps[-1]["loss"]},
        "first_loss": {name: steps[0]["loss"].get(name) for name in steps[0]["loss"]},
    }
    if steps[-1].get("agreement") is not None:
        run["agreement"] = tail_mean([step.get("agreement") for step in steps])
    anchors = [step["anchors"] for step in steps if "in_use" in step.get("anchors", {})]
    if anchors:
        run["anchors"] = {key: tail_mean([a[key] for a in anchors])
                          for key in ("assignment", "location", "word_location", "in_use", "word_accuracy", "position")}
        run["anchors"]["least_in_use"] = min(a["in_use"] for a in anchors)
    fusion = [step["fusion"] for step in steps if step.get("fusion")]
    if fusion:
        run["fusion"] = {
            name: {kind: tail_mean([f["teachers"].get(name, {}).get(kind) for f in fusion])
                   for kind in ("diagonal", "off_diagonal")} for name in fusion[-1]["teachers"]}
        run["masked"] = tail_mean([f.get("masked") for f in fusion])
    return run


def spectra(path):
    """Of each whitened teacher: dimensions, and how many of them its variance fills: exp of the entropy of its shares."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    found = {}
    for name, entry in header.items():
        if not name.endswith(".eigenvalues"):
            continue
        begin, end = entry["data_offsets"]
        kind = {"F32": "f", "F64": "d"}[entry["dtype"]]
        count = (end - begin) // struct.calcsize(kind)
        values = struct.unpack(f"<{count}{kind}", data[8 + size + begin:8 + size + end])
        shares = sorted((value / sum(values) for value in values if value > 0), reverse=True)
        found[TEACHERS[int(name.split(".")[1])]] = {
            "dimensions": count, "effective": math.exp(-sum(share * math.log(share) for share in shares)),
            "first_tenth": sum(shares[:max(1, count // 10)])}
    return found


def stream_of(file):
    """Of a run of tests/bench/aba.py."""
    told = json.loads(file.read_text(encoding="utf-8"))
    options = told["options"]
    return {"clips": [pathlib.Path(clip).stem for clip in options["clips"]], "shuffled": options["shuffled"],
            "seed": options["seed"], "ratio": told["ratio"], "replay": told["with replay"], "none": told["without replay"]}


def flat(metrics, prefix=""):
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)):
            yield prefix + name, value


def draw(name, log):
    """The curves of a run, every tenth message of it."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as thin:
        thin.writelines(log.read_text(encoding="utf-8").splitlines(keepends=True)[::10])
        thin.flush()
        subprocess.run([BUILD / "seedctl", "plot", thin.name, "-o", DOCS / f"results-{name}.svg", "--smooth", "10"],
                       check=True, stdout=subprocess.DEVNULL)


def collect(out):
    figures, runs = {}, {}
    for file in sorted((out / "figures").glob("*.json")):
        name, task = file.name[:-len(".json")].split(".")
        report = json.loads(file.read_text(encoding="utf-8"))
        figures.setdefault(name, {})[task] = dict(flat(report["metrics"]))
    for file in sorted((out / "runs").glob("*.jsonl")):
        if file.with_suffix(".json").exists():
            runs[file.stem] = run_of(file)
    for name in MODELS:
        if name in runs:
            draw(name, out / "runs" / f"{name}.jsonl")
    if (out / "models" / "anchors").exists():
        subprocess.run([BUILD / "seedctl", "eval", "anchors", out / "models" / "anchors", out / "sets" / "images.tar",
                        "--limit", "3000", "--sheet", DOCS / "results-anchors.png", "--json"], check=True,
                       stdout=subprocess.DEVNULL)
    result = {"figures": figures, "runs": runs}
    if (out / "models" / "whitening.safetensors").exists():
        result["whitening"] = spectra(out / "models" / "whitening.safetensors")
    if (out / "throughput.json").exists():
        result["throughput"] = json.loads((out / "throughput.json").read_text(encoding="utf-8"))
    result["stream"] = [stream_of(file) for file in sorted(out.glob("stream-*.json"))]
    if (out / "memory.json").exists():
        memory = json.loads((out / "memory.json").read_text(encoding="utf-8"))
        result["memory"] = {key: value for key, value in memory.items() if key not in ("kib", "options", "memory")}
        result["memory"]["minutes"] = memory["options"]["minutes"]
    (DOCS / "results.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")


# ---- the page ----

def value(figures, name, column):
    return figures.get(name, {}).get(column[1], {}).get(column[2])


def seeds_of(figures, name):
    return sorted(n for n in figures if re.fullmatch(re.escape(name) + r"-seed\d+", n))


def cell(values):
    values = [100 * v for v in values if v is not None]
    if not values:
        return ""
    mean = statistics.fmean(values)
    return f"{mean:.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def row(figures, label, names):
    means = [statistics.fmean(present) for name in names
             if (present := [v for c in COLUMNS if (v := value(figures, name, c)) is not None])]
    cells = [cell([value(figures, name, c) for name in names]) for c in COLUMNS]
    return f"| {label} | " + " | ".join(cells) + f" | {cell(means)} |"


def table(figures, rows):
    head = "| | " + " | ".join(c[0] for c in COLUMNS) + " | mean |"
    lines = [head, "|---" * (len(COLUMNS) + 2) + "|"]
    return "\n".join(lines + [row(figures, label, names) for label, names in rows if names])


def models_table(data):
    figures = data["figures"]
    return table(figures, [(label, [name]) for name, label in MODELS.items() if name in figures])


def compared_table(data):
    figures = data["figures"]
    rows = []
    for name, label in COMPARED.items():
        names = seeds_of(figures, name)
        rows.append((label + (f" ({len(names)} seeds)" if len(names) > 1 else ""), names))
    return table(figures, rows)


def runs_table(data):
    lines = ["| run | steps | images a second | what the loss was at the end |", "|---|---|---|---|"]
    for name, run in data["runs"].items():
        if name in MODELS or name.endswith("-seed11"):
            losses = ", ".join(f"{k} {v:.3f}" for k, v in run["loss"].items() if k != "total" and v is not None)
            lines.append(f"| `{name}` | {run['steps']} x {run['batch']} | {run['images_per_s']:.0f} | {losses} |")
    return "\n".join(lines)


def shares_table(data):
    lines = ["| run | wins of positive pairs: " + ", ".join(TEACHERS) + " | wins of negative pairs | masked |", "|---|---|---|---|"]
    for name, run in data["runs"].items():
        if "fusion" not in run or not (name in train.STUDENT or name.endswith("-seed11")):
            continue
        won = [" / ".join(f"{100 * (run['fusion'].get(t, {}).get(kind) or 0):.0f} %" for t in TEACHERS)
               for kind in ("diagonal", "off_diagonal")]
        masked = run.get("masked")
        lines.append(f"| `{name}` | {won[0]} | {won[1]} | {'' if masked is None else f'{100 * masked:.2f} %'} |")
    return "\n".join(lines)


def whitening_table(data):
    lines = ["| teacher | dimensions | filled by its variance | share of the first tenth |", "|---|---|---|---|"]
    for name, s in data.get("whitening", {}).items():
        lines.append(f"| {name} | {s['dimensions']} | {s['effective']:.0f} | {100 * s['first_tenth']:.0f} % |")
    return "\n".join(lines)


def anchors_table(data):
    figures = data["figures"].get("anchors", {})
    lines = ["| photos | anchor and class, NMI | classes permuted | anchor and position, NMI | purity | permuted | in use |",
             "|---|---|---|---|---|---|---|"]
    for task, name in (("anchors-caltech101", "Caltech-101"), ("anchors-clothing10", "Clothing")):
        f = figures.get(task)
        if f:
            lines.append(f"| {name} | {f['class.nmi']:.3f} | {f['class_permuted.nmi']:.3f} ± {f['class_permuted.nmi_deviation']:.3f} "
                         f"| {f['position.nmi']:.3f} | {100 * f['purity']:.1f} % | {100 * f['purity_permuted']:.1f} % "
                         f"| {f['in_use']:.0f} of 256 |")
    return "\n".join(lines)


def cuts_table(data):
    lines = ["| model | cuts | found | wrong | precision | recall |", "|---|---|---|---|---|---|"]
    for name in MODELS:
        f = data["figures"].get(name, {}).get("cuts-clips")
        if f:
            lines.append(f"| `{name}` | {f['cuts']} | {f['matched']} | {f['spurious']} | {100 * f['precision']:.0f} % "
                         f"| {100 * f['recall']:.0f} % |")
    return "\n".join(lines)


def throughput_table(data):
    lines = ["| recipe | images a second | transformers alone | share | time not spent on data |", "|---|---|---|---|---|"]
    for name, t in data.get("throughput", {}).items():
        lines.append(f"| `{name}` | {t['images_per_s']:.0f} | {t['engine_images_per_s']:.0f} | {t['share']:.2f} "
                     f"| {t['learning']:.2f} |")
    return "\n".join(lines)


def stream_table(data):
    lines = ["| clips A, B | frames | seed | replay | on A: before, after A, B, A | on B: before B, after B, A | A forgotten by B |",
             "|---|---|---|---|---|---|---|"]
    for run in data.get("stream", []):
        for kind in ("replay", "none"):
            f = run[kind]
            lines.append(f"| {', '.join(f'`{clip}`' for clip in run['clips'])} | {'shuffled' if run['shuffled'] else 'in order'} "
                         f"| {run['seed']} | {'yes' if kind == 'replay' else 'no'} "
                         f"| {f['a_before']:.3f}, {f['a_after_a']:.3f}, {f['a_after_b']:.3f}, {f['a_after_second_a']:.3f} "
                         f"| {f['b_after_a']:.3f}, {f['b_after_b']:.3f}, {f['b_after_second_a']:.3f} | {f['forgotten_a']:.3f} |")
    memory = data.get("memory")
    if memory:
        thirds = ", ".join(f"{kib / 1024:.0f}" for kib in memory["median_kib_of_thirds"])
        lines += ["", f"Resident memory over {memory['minutes']:.0f} minutes, {memory['steps']} steps and {memory['checkpoints']} "
                  f"checkpoints: medians of thirds {thirds} MiB, least {memory['least_kib'] / 1024:.0f}, most "
                  f"{memory['most_kib'] / 1024:.0f}."]
    return "\n".join(lines)


def aims_table(data):
    figures = data["figures"]
    lines = ["| aim | came out | |", "|---|---|---|"]

    def aim(text, came, reached):
        lines.append(f"| {text} | {came} | {'reached' if reached else 'missed'} |")

    knn = COLUMNS[0]
    for name, wanted in (("anchors", 0.65), ("labels", 0.85)):
        if (got := value(figures, name, knn)) is not None:
            linear = value(figures, name, COLUMNS[3])
            best = max(got, linear or 0) if name == "labels" else got
            aim(f"`{name}` on CIFAR-10, {'the better of kNN and linear' if name == 'labels' else 'kNN'}: {100 * wanted:.0f} %",
                f"{100 * best:.1f} %", best >= wanted)
    mini = [value(figures, "mini", c) for c in COLUMNS]
    if all(v is not None for v in mini):
        shares = [100 * value(figures, "mini", c) / max(value(figures, t, c) for t in TEACHERS) for c in COLUMNS[:3]]
        aim("`mini`'s kNN on each set: 97 % of the best teacher's", ", ".join(f"{s:.0f} %" for s in shares), min(shares) >= 97)
        means = {t: statistics.fmean(value(figures, t, c) for c in COLUMNS) for t in TEACHERS}
        best = max(means, key=means.get)
        aim("`mini`'s mean over tasks above every teacher's",
            f"{100 * statistics.fmean(mini):.1f} against {100 * means[best]:.1f} (`{best}`)", statistics.fmean(mini) > means[best])
    rows = {n: statistics.fmean(v) for n in ("all", "single-labels", "single-captions", "single-anchors")
            if (v := [value(figures, s, c) for s in seeds_of(figures, n) for c in COLUMNS]) and None not in v}
    if "all" in rows and len(rows) > 1:
        best = max(rows.keys() - {"all"}, key=rows.get)
        aim("the student of all three above that of any single teacher, mean over tasks and seeds, same steps",
            f"{100 * rows['all']:.1f} against {100 * rows[best]:.1f} (`{best}`)", rows["all"] > rows[best])
    run = data["runs"].get("anchors", {}).get("anchors")
    if run:
        aim("anchors in use, exp H(p): above 150 of 256", f"{run['in_use']:.0f}, at least {run['least_in_use']:.0f}",
            run["in_use"] > 150)
    told = [f for task in ("anchors-caltech101", "anchors-clothing10") if (f := data["figures"].get("anchors", {}).get(task))]
    if told:
        times = [f["class.nmi"] / f["class_permuted.nmi"] for f in told]
        aim("mutual information of a word's anchor with the class of its image: 1.5 times that with permuted classes",
            ", ".join(f"{t:.1f}" for t in times), min(times) >= 1.5)
        places = [f["position.nmi"] for f in told]
        aim("and with its position: below 0.2", ", ".join(f"{p:.3f}" for p in places), max(places) < 0.2)
    runs = data.get("stream", [])
    if runs:
        rises = all(r["replay"][key] > 0 for r in runs for key in ("learned_a", "learned_b", "relearned_a"))
        kept, lost = (statistics.fmean(r[kind]["forgotten_a"] for r in runs) for kind in ("replay", "none"))
        aim("agreement rises in each phase of A B A with replay, and of A no more than a third is forgotten of what is without it, "
            "mean over runs", f"{kept:.3f} against {lost:.3f}", rises and kept <= lost / 3)
    memory = data.get("memory")
    if memory:
        first, *_, last = memory["median_kib_of_thirds"]
        aim("memory level over 30 minutes of learning and serving: the last third within 2 % of the first",
            f"{100 * (last - first) / first:+.1f} % over {memory['minutes']:.0f} minutes",
            memory["minutes"] >= 30 and last <= 1.02 * first)
    for name, t in data.get("throughput", {}).items():
        aim(f"`{name}`: 0.8 of processor time not spent on data", f"{t['learning']:.2f}", round(t["learning"], 2) >= 0.8)
    return "\n".join(lines)


PARTS = {"models": models_table, "compared": compared_table, "runs": runs_table, "shares": shares_table,
         "whitening": whitening_table, "anchors": anchors_table, "cuts": cuts_table, "throughput": throughput_table,
         "stream": stream_table, "aims": aims_table}


def render(page, data):
    for name, make in PARTS.items():
        page = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m, make=make: m[1] + make(data) + "\n" + m[2], page,
                      flags=re.DOTALL)
    return page


def main():
    if sys.argv[1:2] == ["--collect"] and len(sys.argv) == 3:
        collect(pathlib.Path(sys.argv[2]))
    elif sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    data = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    new = render(page, data)
    if sys.argv[1:] == ["--check"]:
        sys.exit(new != page and "docs/results.md is not what docs/results.json says: run graphs/train/report.py")
    (DOCS / "results.md").write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()

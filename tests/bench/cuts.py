#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Precision and recall of the scene-cut detector on clips whose cuts are known.

cuts.py BUILD DATA [--signature NAME] [--model FOLDER] [--tolerance FRAMES] [--worst N]

DATA is a folder with clips.tsv (columns file, frames, cut_frames, cut_list) and clips/. cut_list
says how much is known: all (every hard cut is listed), none (there is none) or partial (a found cut
that is not listed counts neither way). A found cut within FRAMES (1) of a true one is right, once.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys

SIGNATURES = ["colour", "thumbnail", "random"]


def detect(build, signature, clip, model):
    command = [build / "tests/bench/bench-cuts", signature, clip] + ([model] if model else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout)


def score(found, true, tolerance):
    """Pairs found with true cuts, nearest first; (right, wrong found, missed)."""
    left, wrong = list(true), []
    for frame in found:
        near = [t for t in left if abs(t - frame) <= tolerance]
        if near:
            left.remove(min(near, key=lambda t: abs(t - frame)))
        else:
            wrong.append(frame)
    return len(true) - len(left), wrong, left


def run(build, data, signature, args):
    total = [0, 0, 0]
    frames = duplicates = 0
    print(f"\n{signature}")
    with open(data / "clips.tsv", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        result = detect(build, signature, data / "clips" / row["file"], args.model)
        if "error" in result:
            print(f"  {row['file']:34} left out: {result['error']}")
            continue
        true = [int(t) for t in row["cut_frames"].split(",") if t]
        right, wrong, missed = score([c[0] for c in result["cuts"]], true, args.tolerance)
        if row["cut_list"] == "partial":
            wrong = []
        total = [total[0] + right, total[1] + len(wrong), total[2] + len(missed)]
        frames += result["frames"]
        duplicates += result["duplicates"]
        note = "" if result["frames"] == int(row["frames"]) else f"  (table: {row['frames']} frames)"
        print(f"  {row['file']:34} {result['frames']:5} frames  right {right}  wrong {wrong}  "
              f"missed {missed}{note}")
        if args.worst:
            order = sorted(range(len(result["distances"])), key=lambda t: -result["distances"][t])
            print("     ", [(t, result["distances"][t]) for t in order[:args.worst]])
    right, wrong, missed = total
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = right / (right + missed) if right + missed else 1.0
    print(f"  {right} right, {wrong} wrong, {missed} missed: precision {precision:.3f}, "
          f"recall {recall:.3f}; {duplicates / max(frames, 1):.1%} of {frames} frames are "
          "near-duplicates of recent ones by their histograms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--signature", choices=SIGNATURES + ["model"])
    parser.add_argument("--model", help="checkpoint of a student that learned anchors")
    parser.add_argument("--tolerance", type=int, default=1)
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="print the N largest distances")
    args = parser.parse_args()
    if not (args.data / "clips.tsv").is_file():
        sys.exit(f"cuts.py: {args.data}/clips.tsv is not there")
    signatures = [args.signature] if args.signature else ["model"] if args.model else SIGNATURES
    for signature in signatures:
        run(args.build, args.data, signature, args)


if __name__ == "__main__":
    main()

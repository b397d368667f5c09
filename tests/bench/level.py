#!/usr/bin/env python3
"""How much a front end costs, and how much the answers depend on the volume.

    python3 tests/bench/level.py --corpus EMODB --out build/level

Trains every front end over the folds of a corpus, scores each fold's model on its test speakers at
several levels, and prints one Markdown table: WA / UA in per cent, each with the standard error of
its mean over the runs (folds x seeds). Stopped at any time, it goes on with the same command: runs that
are whole are kept, one that is not is resumed, and so is the scoring, model by model.

--only names front ends (see --list), separated by commas; the others are left out.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import subprocess
import sys

FRONT_ENDS = {
    "recorded": [],
    "global": ["--normalisation", "global"],
    "per_utterance": ["--normalisation", "per_utterance"],
    "utterance_mean": ["--normalisation", "utterance_mean"],
    "loudness": ["--level", "loudness"],
    "pcen": ["--feature", "pcen"],
    "gain_10": ["--gain-augment", "10"],
    "gain_20": ["--gain-augment", "20"],
    "trim": ["--trim", "40"],
    "trim_per_utterance": ["--trim", "40", "--normalisation", "per_utterance"],
    "trim_utterance_mean": ["--trim", "40", "--normalisation", "utterance_mean"],
    "trim_loudness": ["--trim", "40", "--level", "loudness"],
    "trim_pcen": ["--trim", "40", "--feature", "pcen"],
    "trim_gain_20": ["--trim", "40", "--gain-augment", "20"],
    "loudness_utterance_mean": ["--level", "loudness", "--normalisation", "utterance_mean"],
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serenade", default="build/serenade", help="the program")
    parser.add_argument("--corpus", help="folder or manifest")
    parser.add_argument("--out", default="build/level", type=pathlib.Path, help="folder of all runs")
    parser.add_argument("--only", default=",".join(FRONT_ENDS), help="front ends, separated by commas")
    parser.add_argument("--systems", default="CNN_GRU_att", help="separated by commas")
    parser.add_argument("--preset", default="mel")
    parser.add_argument("--levels", default="-20,-12,-6,0,6", help="decibels, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=0, help="sessions held out; 0: all")
    parser.add_argument("--direction", default="both")
    parser.add_argument("--list", action="store_true", help="the front ends and their options")
    options = parser.parse_args()
    if options.list:
        for name, settings in FRONT_ENDS.items():
            print(f"{name}: {' '.join(settings) or 'as the preset says'}")
        sys.exit()
    if not options.corpus:
        parser.error("give --corpus")
    options.only = options.only.split(",")
    unknown = [name for name in options.only if name not in FRONT_ENDS]
    if unknown:
        parser.error(f"no front end {unknown[0]}; there are {', '.join(FRONT_ENDS)}")
    options.levels = [float(level) for level in options.levels.split(",")]
    return options


def serenade(options, *arguments):
    """What the program prints; its progress goes where ours does."""
    command = [options.serenade, *arguments, "--cache", str(options.out / "features")]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def train(options, system, name, seed):
    """The folder of a whole run."""
    folder = options.out / f"{options.preset}-{system}-{name}-seed{seed}"
    if not (folder / "results.json").exists():
        arguments = ["train", "--corpus", options.corpus, "--system", system, "--preset", options.preset,
                     "--epochs", str(options.epochs), "--folds", str(options.folds),
                     "--direction", options.direction, "--seed", str(seed), *FRONT_ENDS[name],
                     "--out", str(folder)]
        serenade(options, *arguments, *(["--resume"] if folder.exists() else []))
    return folder


def score(options, folder, fold):
    """WA and UA of a fold's model on its test speakers, by level."""
    scores = {}
    kept = options.out / "scores" / folder.name / f"{fold.name}.json"
    if kept.exists():
        scores = {float(level): values for level, values in json.loads(kept.read_text()).items()}
    missing = [level for level in options.levels if level not in scores]
    if missing:
        with open(fold / "predictions.csv", newline="") as file:
            speakers = sorted({row["speaker"] for row in csv.DictReader(file)})
        levels = ",".join(f"{level:g}" for level in missing)
        document = json.loads(serenade(
            options, "evaluate", str(fold / "model.safetensors"), "--corpus", options.corpus,
            "--speakers", ",".join(speakers), f"--levels={levels}", "--json"))
        for level in document["levels"]:
            scores[level["decibels"]] = [level["wa"], level["ua"]]
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_text(json.dumps(scores))
        os.replace(partial, kept)
    return {level: scores[level] for level in options.levels}


def mean_and_error(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return f"{100 * mean:.1f}"
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f"{100 * mean:.1f} +- {100 * math.sqrt(variance / len(values)):.1f}"


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for system in options.systems.split(","):
        for name in options.only:
            runs = []
            for seed in range(options.seeds):
                folder = train(options, system, name, seed)
                for fold in sorted((folder / "folds").iterdir()):
                    runs.append(score(options, folder, fold))
            cells = [" / ".join(mean_and_error([run[level][part] for run in runs]) for part in (0, 1))
                     for level in options.levels]
            settings = " ".join(FRONT_ENDS[name])
            lines.append(f"| {system} | {name} | `{settings}` | {len(runs)} | {' | '.join(cells)} |"
                         .replace("``", ""))
            print(f"{system} {name}: {len(runs)} runs", file=sys.stderr)
    heads = [f"{level:+g} dB" if level else "as recorded" for level in options.levels]
    print(f"Preset {options.preset}, {options.epochs} epochs; WA / UA, mean and standard error over the "
          "runs.\n")
    print(f"| system | front end | settings | runs | {' | '.join(heads)} |")
    print(f"|---|---|---|---:|{'---:|' * len(heads)}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Whether the cells that a search found are better than random ones, trained alike.

    python3 tests/bench/cells.py --cifar10 FOLDER --out build/cells

One search; then the network of its cells is trained with several seeds, and as many networks of
random cells, each with a seed of its own. Prints the test accuracies as a Markdown table, and the
difference of the means with its interval of 95 % (Welch's, for two sets of unequal spread). The
spread of random cells holds both the luck of the cells and that of training; another search would
find other cells, which no interval here knows. Stopped at any time, the same command goes on.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
from welch import difference, mean_and_variance  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--darts", default="build/darts", help="the program")
    parser.add_argument("--cifar10", help="folder of its binary files; without it, made images")
    parser.add_argument("--images", type=int, default=768, help="how many are made")
    parser.add_argument("--out", default="build/cells", type=pathlib.Path, help="folder of all runs")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each kind")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--search-epochs", type=int, default=25)
    parser.add_argument("--epochs", type=int, default=15)
    return parser.parse_args()


def run(options, name, command, epochs, seed, *more):
    """The folder of a run that has ended."""
    folder = options.out / name
    if not (folder / "finished").exists():
        data = ["--cifar10", options.cifar10] if options.cifar10 else ["--images", str(options.images)]
        subprocess.run([options.darts, command, *data, "--channels", str(options.channels), "--cells",
                        str(options.cells), "--batch-size", str(options.batch_size), "--epochs",
                        str(epochs), "--seed", str(seed), "--out", str(folder), *more], check=True,
                       stdout=subprocess.DEVNULL)
    return folder


def accuracy(folder):
    """Of the last epoch: none is chosen by it."""
    return 100 * json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["accuracy"]


def main():
    options = parse()
    if options.seeds < 2:
        raise SystemExit("cells.py: --seeds must be 2 or more, or there is no spread")
    found = str(run(options, "search", "search", options.search_epochs, 0) / "genotype.txt")
    kinds = {"found": found, "random": "random"}
    values = {
        kind: [accuracy(run(options, f"{kind}-{seed}", "train", options.epochs, seed, "--genotype", cells))
               for seed in range(options.seeds)]
        for kind, cells in kinds.items()}
    print(f"| cells | test accuracy %, seeds 0 to {options.seeds - 1} | mean | standard deviation |")
    print("|---|---|---:|---:|")
    for kind, accuracies in values.items():
        mean, variance = mean_and_variance(accuracies)
        each = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        print(f"| {kind} | {each} | {mean:.2f} | {math.sqrt(variance):.2f} |")
    apart, half = difference(values["found"], values["random"])
    print(f"\nFound minus random: {apart:+.2f} points, 95 % interval {apart - half:+.2f} to "
          f"{apart + half:+.2f}.")


if __name__ == "__main__":
    main()

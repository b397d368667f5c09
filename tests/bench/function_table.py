#!/usr/bin/env python3
"""Writes autograd/functions.md: what was checked of every function, and how fast it is.

    python3 tests/bench/function_table.py NOTES NOTES_OF_DEVICE BENCH_JSON

The notes are what the tests of the CPU and of the emulated device write (SERENADE_FUNCTION_NOTES,
tests/autograd/coverage.cpp); the times are those of `make bench ITEMS=every`. Functions
that were not timed keep their ratios, as does the whole table where there was no PyTorch.
`make function-table` does it all.
"""
import datetime
import json
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).parents[2] / "autograd" / "functions.md"
HEAD = """# Every function: what was checked, and how fast it is

Written by `make function-table PYTHON=python3`, where that Python has PyTorch; the tests fail where a function of
`functions.h` has no row, or a cell says of its checks what they do not do (`../tests/autograd/coverage.cpp`).

- **gradient check**: the tests that hold every element of every gradient to finite differences, in double
  (`../tests/op_case.h`). "none flows": no gradient is promised, and the result must be a constant to them.
- **golden values**: the files of `../tests/golden` whose values and gradients PyTorch, or a plain program, computed.
- **emulated CUDA**: kernels were launched under the emulation, and values and gradients, with those of the gradients,
  were the CPU's.
- **forward**, **with gradients**: PyTorch's time / ours on the CPU, above 1: ours is faster, of the values alone, and
  with all gradients of their sum, for the shapes and the form of the last column. Both get the same numbers, and
  their results were compared before they were timed. What of PyTorch returns a view is asked for a copy
  (`contiguous()`), as ours is, but for `reshape` and `flatten`, which copy on neither side.
"""


def read_notes(path):
    lines = (line.split("|") for line in pathlib.Path(path).read_text().splitlines())
    return {name: (header, cells) for header, name, *cells in lines}


def read_bench(rows):
    """Of each function its ratios and the form, and a sentence about the measurement."""
    found, others = {}, 0.0
    for row in rows:
        what, run = row["item"].rsplit(", ", 1)
        name, _, shapes = what.partition(" ")
        cells = found.setdefault(name, {"forward": "none", "with gradients": "none"})
        cells[run] = f"{row['ratio']:.2f}"
        form = re.sub(r", eager.*", "", row["note"])
        cells["form"] = f"{shapes}: `{form}`".lstrip(": ")
        others = max(others, row["others_used"])
    with open("/proc/cpuinfo") as file:
        processor = next(line.split(": ")[1].strip() for line in file if line.startswith("model name"))
    busy = f"Other processes used {others:.2f} processors meanwhile"
    if rows[0]["processor_time"]:
        threads, busy = "1 thread", busy + ", so that the processor time of the one thread was compared (BUSY=yes)."
    else:
        threads, busy = f"{rows[0]['threads']} threads", busy + (": DISTURBED." if others > 0.1 else ".")
    sentence = (f"Measured on {datetime.date.today()}: {threads}, {rows[0]['isa']}, float, {processor}, "
                f"PyTorch {rows[0]['peer_version']}.\n{busy}")
    return found, sentence


def read_table():
    """The same of the table as it is."""
    text = TABLE.read_text() if TABLE.exists() else ""
    found = {}
    for name, row in re.findall(r"^\| `([a-z_0-9]+)` \| (.*) \|$", text, re.MULTILINE):
        *_, forward, gradients, form = row.split(" | ")
        found[name] = {"forward": forward, "with gradients": gradients, "form": form}
    sentence = re.search(r"^Measured on .*\n.*", text, re.MULTILINE)
    return found, sentence.group() if sentence else "Not measured."


def main():
    checks, device = read_notes(sys.argv[1]), read_notes(sys.argv[2])
    times, sentence = read_table()
    bench = pathlib.Path(sys.argv[3])
    if bench.exists() and (rows := json.loads(bench.read_text())):
        new, sentence = read_bench(rows)
        times |= new
    lines, last = [HEAD, sentence], None
    for name, (header, cells) in checks.items():
        if header != last:
            lines += ["", f"## {header}", "",
                      "| function | gradient check | golden values | emulated CUDA | forward | with gradients | measured |",
                      "|---|---|---|---|---:|---:|---|"]
            last = header
        time = times.get(name, {"forward": "none", "with gradients": "none", "form": "no counterpart"})
        row = [f"`{name}`", *cells, *device[name][1], time["forward"], time["with gradients"], time["form"]]
        lines.append(f"| {' | '.join(row)} |")
    TABLE.write_text("\n".join(lines) + "\n")
    print(f"{TABLE}: {len(checks)} functions")


if __name__ == "__main__":
    main()

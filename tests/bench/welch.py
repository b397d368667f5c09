#!/usr/bin/env python3
"""Whether two sets of results differ: the difference of their means with its interval of 95 %.

    python3 tests/bench/welch.py 1.70,1.88,1.64 1.58,1.70,1.46

Welch's interval, for two sets of unequal spread (Welch, Biometrika 1947).
"""
import math
import sys


def mean_and_variance(values):
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def student_quantile(freedom):
    """t that Student's distribution stays below with probability 0.975."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(
        freedom * math.pi)
    t, area, step = 0.0, 0.0, 1e-4
    while area < 0.475:
        area += step * scale * (1 + (t + step / 2) ** 2 / freedom) ** (-(freedom + 1) / 2)
        t += step
    return t


def difference(a, b):
    """Of the means, and half of the interval's width."""
    moments = [mean_and_variance(values) for values in (a, b)]
    parts = [variance / len(values) for (_, variance), values in zip(moments, (a, b))]
    if sum(parts) == 0:
        raise SystemExit("no spread, no interval")
    freedom = sum(parts) ** 2 / sum(part ** 2 / (len(values) - 1) for part, values in zip(parts, (a, b)))
    return moments[0][0] - moments[1][0], student_quantile(freedom) * math.sqrt(sum(parts))


def describe(values):
    mean, variance = mean_and_variance(values)
    return f"mean {mean:.2f}, standard deviation {math.sqrt(variance):.2f}"


def main():
    try:
        a, b = [[float(value) for value in text.split(",")] for text in sys.argv[1:]]
    except ValueError:
        raise SystemExit(__doc__) from None
    if min(len(a), len(b)) < 2:
        raise SystemExit("welch.py: give two or more numbers of each, or there is no spread")
    apart, half = difference(a, b)
    print(f"first:  {describe(a)}\nsecond: {describe(b)}")
    print(f"first minus second: {apart:+.2f}, 95 % interval {apart - half:+.2f} to {apart + half:+.2f}")


if __name__ == "__main__":
    main()

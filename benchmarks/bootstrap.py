"""CPU and memory of our intervals against scipy's, on the same values in one run.

    python benchmarks/bootstrap.py

10,000 pairs in 2,000 ladders, 10,000 resamples: tail accuracy and overconfidence with `mean_interval`, against
`scipy.stats.bootstrap` (BCa, per-ladder values, batch=100). Each side runs in a process of its own, so that the peak
memory is its own; what the process held before it began (imports, data) is shown too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

LADDERS, PAIRS, RESAMPLES = 2_000, 10_000, 10_000


def values() -> np.ndarray:
    """(2000, 2) per-ladder accuracy and overconfidence of five pairs a ladder, from a grader of middling skill."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0.6, 1.0, size=(LADDERS, PAIRS // LADDERS))
    outcome = (margin > 0).astype(float)
    confidence = 1 / (1 + np.exp(-np.abs(margin)))
    return np.column_stack([outcome.mean(axis=1), (confidence - outcome).mean(axis=1)])


def ours(columns: np.ndarray) -> list[tuple[float, float]]:
    from tail_bench.stats.bootstrap import mean_interval

    found = []
    for f, scale in enumerate([(0.0, 1.0), (-0.5, 1.0)]):
        interval = mean_interval(columns[:, f], scale, RESAMPLES)
        found.append((interval.low, interval.high))
    return found


def scipys(columns: np.ndarray) -> list[tuple[float, float]]:
    from scipy import stats

    found = []
    for f in range(2):
        result = stats.bootstrap(
            (columns[:, f],), np.mean, n_resamples=RESAMPLES, method="BCa", batch=100, rng=np.random.default_rng(0)
        )
        found.append((float(result.confidence_interval.low), float(result.confidence_interval.high)))
    return found


def measure(which: str) -> None:
    import scipy.stats  # noqa: F401  (both sides start with the same imports)

    import tail_bench.stats.bootstrap  # noqa: F401

    columns = values()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = {"ours": ours, "scipy": scipys}[which](columns)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "before_mb": before / 1024, "intervals": found}))


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    results = {}
    for which in ("ours", "scipy"):
        done = subprocess.run([sys.executable, __file__, which], check=True, capture_output=True, text=True)
        results[which] = json.loads(done.stdout)
        r = results[which]
        print(
            f"{which:6} {r['seconds']:6.2f} CPU s   peak {r['peak_mb']:4.0f} MB (of it before: {r['before_mb']:.0f} MB)"
        )
        for name, (low, high) in zip(("tail accuracy", "overconfidence"), r["intervals"], strict=True):
            print(f"       {name:15} {low:+.4f} to {high:+.4f}")
    print(f"scipy takes {results['scipy']['seconds'] / results['ours']['seconds']:.1f} times our CPU")


if __name__ == "__main__":
    main()

"""Responses per CPU second: `tail_reward` through Inspect with a callable that costs nothing, and score files.

    python benchmarks/throughput.py            # both
    python benchmarks/throughput.py inspect    # 100, 500 and 2,000 ladders of 7 responses
    python benchmarks/throughput.py scores     # 1,000,000 responses: read, paired, reported

Each size runs in a process of its own; CPU is that of the run, without Inspect's 5 s of imports, which are shown apart.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

K = 7
TEXT = "a strong answer gives the reason and the number with its unit before it adds anything else"
WORDS = TEXT.split()


def free(conversations):
    """A reward that costs nothing."""
    return [float(len(c[-1]["content"])) for c in conversations]


def ladders(n: int, words: int) -> list[dict]:
    rng = random.Random(0)
    return [
        {
            "id": f"ladder-{i}",
            "prompt": f"Question {i}: " + " ".join(rng.choices(WORDS, k=30)),
            "responses": [
                {"id": f"r{k}", "text": " ".join(rng.choices(WORDS, k=words)), "gold": float(k)} for k in range(K)
            ],
        }
        for i in range(n)
    ]


def write(path: Path, records: list) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def measure_inspect(n: int) -> dict:
    started = time.process_time()
    from inspect_ai import eval

    import tail_bench._registry  # noqa: F401

    imports = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder) / "data.jsonl", ladders(n, words=150))
        start, wall = time.process_time(), time.perf_counter()
        (log,) = eval(
            "tail_bench/tail_reward",
            model="rm-python/benchmarks.throughput:free",
            task_args={"dataset": str(data), "tail": "top_k:3"},
            log_dir=f"{folder}/logs",
            display="none",
        )
        cpu, wall = time.process_time() - start, time.perf_counter() - wall
    assert log.status == "success"
    assert log.results.completed_samples == n
    return {"cpu": cpu, "wall": wall, "imports": imports, "peak": peak_gb()}


def measure_scores(form: str) -> dict:
    """1,000,000 responses: ladders of 7 with a data set, or 64 rollouts a prompt with a gold file."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path, command = Path(folder), ["report"]
        if form == "dataset of 7":
            n = 1_000_000 // K + 1
            records = ladders(n, words=12)
            write(path / "data.jsonl", records)
            scores = [
                {"id": r["id"], "scores": {x["id"]: rng.gauss(x["gold"], 3) for x in r["responses"]}} for r in records
            ]
            command += ["--dataset", str(path / "data.jsonl"), "--tail", "top_k:3"]
            del records
        else:
            k = 64
            gold = [
                {"id": f"p{i}", "scores": {f"r{j}": rng.gauss(0, 1) for j in range(k)}} for i in range(1_000_000 // k)
            ]
            write(path / "gold.jsonl", gold)
            scores = [{"id": g["id"], "scores": {r: s + rng.gauss(0, 1) for r, s in g["scores"].items()}} for g in gold]
            command += ["--gold", str(path / "gold.jsonl"), "--tail", "top_fraction:0.1"]
            del gold
        write(path / "scores.jsonl", scores)
        command += ["--scores", str(path / "scores.jsonl"), "--json"]
        del scores
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tail_bench.cli", *command], check=True, capture_output=True, text=True
        )
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout)
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "wall": wall,
        "peak": used.ru_maxrss / 1024**2,
        "responses": report["dataset"]["n_responses"],
        "pairs": report["regions"]["all"]["accuracy"]["n_pairs"],
    }


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def apart(*arguments: str) -> dict:
    """The measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.throughput", *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(which: list[str]) -> None:
    if len(which) == 2:
        with contextlib.redirect_stdout(sys.stderr):
            result = measure_inspect(int(which[1])) if which[0] == "inspect" else measure_scores(which[1])
        print(json.dumps(result))
        return
    if which in ([], ["inspect"]):
        print(f"tail_reward through Inspect, {K} responses a ladder, a callable that costs nothing")
        for n in (100, 500, 2000):
            r = apart("inspect", str(n))
            rate, each = n * K / r["cpu"], 1000 * r["cpu"] / n
            print(
                f"  {n:5} ladders: {r['cpu']:6.1f} CPU s, {r['wall']:6.1f} s, {rate:5.0f} responses per CPU s,"
                f" {each:5.1f} CPU ms a ladder, peak {r['peak']:.2f} GB (imports {r['imports']:.1f} CPU s)"
            )
    if which in ([], ["scores"]):
        print("tail-bench report on score files")
        for form in ("dataset of 7", "rollouts of 64"):
            r = apart("scores", form)
            print(f"  {form:14}: {r['responses']:,} responses, {r['pairs']:,} pairs:", end=" ")
            print(f"{r['wall']:.0f} s, {r['cpu']:.0f} CPU s, peak {r['peak']:.2f} GB")


if __name__ == "__main__":
    main(sys.argv[1:])

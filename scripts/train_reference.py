"""Train `builtin/reference` and print what it can do; about half a minute on one core.

    python scripts/train_reference.py            # train, write tail_bench/reference/reference.safetensors, measure
    python scripts/train_reference.py --measure  # only measure the model that is there

Fitted to pairs of responses to one prompt with the Bradley-Terry loss, each ladder weighing 1. The embedded ladders are
only measured: nothing is fitted to them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

import tail_bench
from tail_bench.ladders.load import fingerprint
from tail_bench.ladders.schema import Ladder
from tail_bench.reference.features import NAMES, features, read_prompt
from tail_bench.reference.model import WEIGHTS, as_bytes, load
from tail_bench.reference.training_ladders import make_all
from tail_bench.reference.training_templates import HELD_OUT, TRAINING

SEED = 1
HELD_OUT_SEED = 2
EACH = 60
"""Ladders a template."""
PENALTY = 0.01
"""Times the squared weights of standardised features. From 0.001 to 0.1 it made no difference of note."""
DECIMALS = 4
"""To which weights are kept: what an optimiser leaves beyond depends on the machine's linear algebra."""

Scorer = Callable[[str, list[str]], Sequence[float]]
"""(prompt, responses) -> rewards"""


def prompt_of(ladder: Ladder) -> str:
    """A ladder's prompt as text."""
    return ladder.prompt if isinstance(ladder.prompt, str) else "\n\n".join(m.content for m in ladder.prompt)


def rows_of(ladders: Sequence[Ladder]) -> list[NDArray[np.float64]]:
    """For each ladder the features of its responses, shape (responses, features)."""
    asked = [read_prompt(prompt_of(x)) for x in ladders]
    return [np.array([features(a, r.text) for r in x.responses]) for a, x in zip(asked, ladders, strict=True)]


def fit(ladders: Sequence[Ladder], rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Weights, shape (features,): the least Bradley-Terry loss plus PENALTY."""
    spread = np.concatenate(rows).std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    differences, shares = [], []
    for ladder, own in zip(ladders, rows, strict=True):
        golds = np.array([r.gold for r in ladder.responses])
        better, worse = np.nonzero(golds[:, None] > golds[None, :])
        differences.append((own[better] - own[worse]) / scale)
        shares.append(np.full(len(better), 1 / len(better) / len(ladders)))
    x, share = np.concatenate(differences), np.concatenate(shares)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = x @ w
        gradient = 2 * PENALTY * w - x.T @ (share * expit(-margin))
        return float(share @ np.logaddexp(0.0, -margin) + PENALTY * w @ w), gradient

    found = minimize(loss, np.zeros(len(NAMES)), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15})
    return np.round(found.x / scale, DECIMALS).astype(np.float32)


def train(seed: int, each: int, templates: Sequence[str] = TRAINING) -> bytes:
    """The safetensors file of the model trained on `each` ladders of every template."""
    ladders = make_all(templates, each, seed)
    trained = {"seed": seed, "ladders": len(ladders), "training_sha256": fingerprint(ladders)}
    return as_bytes(fit(ladders, rows_of(ladders)), trained)


def measured(name: str, scorer: Scorer, ladders: Sequence[Ladder]) -> str:
    """One line: accuracy with its interval in the tail, across and below."""
    scores = {x.id: [float(v) for v in scorer(prompt_of(x), [r.text for r in x.responses])] for x in ladders}
    regions = tail_bench.report(ladders, scores).regions
    shown = [regions[region].accuracy for region in ("tail", "cross", "body")]
    figures = "   ".join(f"{f.value:.2f} ({f.ci_low:.2f} to {f.ci_high:.2f})" for f in shown)
    return f"{name:26} {len(ladders):7}   {figures}"


def without(domain: str, ladders: Sequence[Ladder], rows: Sequence[NDArray[np.float64]]) -> Scorer:
    """What the model would be without the training ladders of a domain."""
    kept = [n for n, x in enumerate(ladders) if x.domain != domain]
    weight = fit([ladders[n] for n in kept], [rows[n] for n in kept])
    return lambda prompt, texts: [float(features(read_prompt(prompt), text) @ weight) for text in texts]


def fooled(ladders: Sequence[Ladder]) -> int:
    """Percent of ladders on which the prompt itself, sent back as a response, beats every excellent response."""
    model, beaten = load(), 0
    for x in ladders:
        prompt = prompt_of(x)
        echo, *excellent = model.score(prompt, [prompt, *(r.text for r in x.responses if r.tier == "excellent")])
        beaten += bool(echo > max(excellent))
    return round(100 * beaten / len(ladders))


def length(prompt: str, texts: list[str]) -> list[float]:
    """A null grader to compare with."""
    return [float(len(text)) for text in texts]


def main(argv: list[str]) -> None:
    """Train and write unless --measure, then print weights and figures."""
    if argv not in ([], ["--measure"]):
        sys.exit(__doc__)
    if not argv:
        WEIGHTS.write_bytes(train(SEED, EACH))
    model = load()
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size} bytes, sha256 {model.sha256}")
    for name, weight in sorted(zip(NAMES, model.weight, strict=True), key=lambda pair: pair[1]):
        print(f"  {name:20} {weight:+.2f}")
    training = make_all(TRAINING, EACH, SEED)
    rows = rows_of(training)
    held_out = make_all(sorted(HELD_OUT), EACH, HELD_OUT_SEED)
    domains = {d: [x for x in held_out if x.domain == d] for d in dict.fromkeys(str(x.domain) for x in held_out)}
    print(f"{'accuracy (95 % interval)':26} ladders   {'tail':19}   {'cross':19}   body")
    print(measured("held-out templates", model.score, held_out))
    for domain, ladders in domains.items():
        print(measured(f"  {domain}", model.score, ladders))
        print(measured("    untrained in it", without(domain, training, rows), ladders))
    print(measured("  by length alone", length, held_out))
    print(measured("new cases, known template", model.score, make_all(TRAINING, EACH // 2, HELD_OUT_SEED)))
    print(measured("embedded ladders", model.score, tail_bench.load("ladders")))
    print(f"the prompt sent back beats every excellent response on {fooled(held_out)} % of the held-out ladders")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Build the embedded data set: run every check on every response; golds and tiers follow from what passed.

    python -m tail_bench.ladders.build            # write embedded/ladders.jsonl from embedded/sources/*.yaml
    python -m tail_bench.ladders.build sql-0001   # only show one ladder: what each response fails, and surface cues

Nobody types a label: a source gives texts and checks only. A ladder whose responses do not form the four tiers of a
ladder is refused, with what is wrong.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tail_bench.ladders.checks import run_check
from tail_bench.ladders.load import fingerprint
from tail_bench.ladders.schema import Check, Ladder

EMBEDDED = Path(__file__).parent / "embedded"
SOURCES = EMBEDDED / "sources"
CANARY = "tail_bench canary 5c0f1c1e-7f0b-4d8a-9d52-6e1d4d1b7a90: evaluation data, do not train on it"
LEAST = {"excellent": 2, "great": 3, "good": 1, "poor": 1}
"""Tier, from the best down -> how many responses of it a ladder has at least."""


def tier_of(n_failed: int, n_checks: int) -> str:
    """The tier of a response that fails `n_failed` of `n_checks` checks; ValueError where it is none of the four."""
    if n_failed == 0:
        return "excellent"
    if n_failed == 1:
        return "great"
    if n_failed <= 3 and n_failed * 2 < n_checks:
        return "good"
    if n_failed * 2 > n_checks:
        return "poor"
    raise ValueError(f"fails {n_failed} of {n_checks} checks: neither good (2 or 3, under half) nor poor (over half)")


def build_ladder(source: dict[str, Any]) -> Ladder:
    """One ladder from its source; ValueError says which response does not fit and what it fails."""
    checks = [Check.model_validate(c) for c in source["checks"]]
    total = sum(c.weight for c in checks)
    responses = []
    for entry in source["responses"]:
        text = entry["text"].strip()
        failed = [c for c in checks if not run_check(c, text).passed]
        try:
            tier = tier_of(len(failed), len(checks))
        except ValueError as error:
            raise ValueError(f"{source['id']}-{entry['key']} {error}: {[c.defect for c in failed]}") from None
        responses.append(
            {
                "id": f"{source['id']}-{entry['key']}",
                "text": text,
                "gold": round(1 - sum(c.weight for c in failed) / total, 4),
                "tier": tier,
                "generator": None,
                "variant": entry.get("variant"),
                "defects": [c.defect for c in failed],
            }
        )
    ladder = Ladder.model_validate(
        {
            "id": source["id"],
            "prompt": source["prompt"] if isinstance(source["prompt"], list) else source["prompt"].strip(),
            "domain": source["domain"],
            "source": "tail_bench",
            "split": "public",
            "responses": responses,
            "rubric": source["rubric"],
            "checks": source["checks"],
            "canary": CANARY,
        }
    )
    check_shape(ladder)
    return ladder


def check_shape(ladder: Ladder) -> None:
    """ValueError unless the ladder has the tiers, equal great golds and falling golds that a ladder must have."""
    golds: dict[str, list[float]] = {}
    for r in ladder.responses:
        golds.setdefault(str(r.tier), []).append(r.gold)
    for tier, least in LEAST.items():
        if len(golds.get(tier, [])) < least:
            fails = {r.id: r.defects for r in ladder.responses}
            raise ValueError(f"{ladder.id}: {len(golds.get(tier, []))} {tier} responses, must be {least}: {fails}")
    if len(set(golds["great"])) > 1:
        raise ValueError(f"{ladder.id}: great responses fail checks of different weight: {golds['great']}")
    for better, worse in pairwise(LEAST):
        if min(golds[better]) <= max(golds[worse]):
            raise ValueError(f"{ladder.id}: gold does not fall from {better} to {worse}: {golds}")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


CUES: dict[str, Callable[[str, str], float]] = {
    "characters": lambda prompt, text: len(text),
    "markdown": lambda prompt, text: len(re.findall(r"^\s*(?:[-*|#>]|\d+\.)|\*\*|`", text, re.M)),
    "code blocks": lambda prompt, text: text.count("```"),
    "first person": lambda prompt, text: len(re.findall(r"\b(?:I|I'd|I've|I'm|my|me)\b", text)),
    "exclamations": lambda prompt, text: text.count("!"),
    "prompt overlap": lambda prompt, text: len(_words(text) & _words(prompt)) / len(_words(text)),
}
"""Surface cues (prompt, text) -> score that must not tell excellent from great."""


def cue_accuracies(ladder: Ladder) -> dict[str, float]:
    """Tail accuracy on this ladder of each surface cue as if it were a grader; 0.5 is what a fair ladder gives."""
    prompt = ladder.prompt if isinstance(ladder.prompt, str) else "\n".join(m.content for m in ladder.prompt)
    best = [r.text for r in ladder.responses if r.tier == "excellent"]
    great = [r.text for r in ladder.responses if r.tier == "great"]
    accuracies = {}
    for name, cue in CUES.items():
        pairs = [(cue(prompt, a), cue(prompt, b)) for a in best for b in great]
        accuracies[name] = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    return accuracies


def built() -> list[Ladder]:
    """The ladders of all sources, in the order of their files' names."""
    return [build_ladder(_source(path)) for path in sorted(SOURCES.glob("*.yaml"))]


def as_line(ladder: Ladder) -> str:
    """A ladder as its line of the data file."""
    return json.dumps(ladder.model_dump(exclude_unset=True), ensure_ascii=False) + "\n"


def _source(path: Path) -> dict[str, Any]:
    source: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return source


def _show(ladder: Ladder) -> None:
    for r in ladder.responses:
        print(f"{r.id:24} {r.tier:10} {r.gold:.4f}  {len(r.text.split())} words")
        for check in ladder.checks or []:
            verdict = run_check(check, r.text)
            if not verdict.passed:
                print(f"    fails {check.defect}: {verdict.why}")
    print(" ".join(f"{name} {value:.2f} " for name, value in cue_accuracies(ladder).items()))


def main(argv: list[str]) -> None:
    """Write the data file, or show the ladders named."""
    if argv:
        for name in argv:
            _show(build_ladder(_source(SOURCES / f"{name}.yaml")))
        return
    ladders = built()
    (EMBEDDED / "ladders.jsonl").write_text("".join(map(as_line, ladders)), encoding="utf-8")
    print(f"wrote {len(ladders)} ladders, fingerprint {fingerprint(ladders)}")


if __name__ == "__main__":
    main(sys.argv[1:])

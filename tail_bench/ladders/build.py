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
from pathlib import Path
from typing import Any

import yaml

from tail_bench.ladders.checks import run_check
from tail_bench.ladders.schema import Check, Ladder

EMBEDDED = Path(__file__).parent / "embedded"
SOURCES = EMBEDDED / "sources"
CANARY = "tail_bench canary 5c0f1c1e-7f0b-4d8a-9d52-6e1d4d1b7a90: evaluation data, do not train on it"
SHARES = {"excellent": (2, 2), "great": (3, 3), "good": (1, 9), "poor": (1, 9)}


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
    for tier, (least, most) in SHARES.items():
        n = len(golds.get(tier, []))
        if not least <= n <= most:
            raise ValueError(f"{ladder.id}: {n} {tier} responses, must be {least} to {most}: {summary(ladder)}")
    if len(set(golds["great"])) > 1:
        raise ValueError(f"{ladder.id}: great responses fail checks of different weight: {golds['great']}")
    for better, worse in zip(list(SHARES), list(SHARES)[1:], strict=False):
        if min(golds[better]) <= max(golds[worse]):
            raise ValueError(f"{ladder.id}: gold does not fall from {better} to {worse}: {golds}")


def summary(ladder: Ladder) -> dict[str, list[str]]:
    """Response id -> its failed checks."""
    return {r.id: r.defects for r in ladder.responses}


CUES: dict[str, Callable[[str], int]] = {
    "characters": len,
    "markdown": lambda t: len(re.findall(r"^\s*(?:[-*|#>]|\d+\.)|\*\*|`", t, re.M)),
    "code blocks": lambda t: t.count("```"),
    "first person": lambda t: len(re.findall(r"\b(?:I|I'd|I've|I'm|my|me)\b", t)),
    "exclamations": lambda t: t.count("!"),
}


def cue_accuracies(ladder: Ladder) -> dict[str, float]:
    """Tail accuracy on this ladder of each surface cue as if it were a grader; 0.5 is what a fair ladder gives."""
    best = [r.text for r in ladder.responses if r.tier == "excellent"]
    great = [r.text for r in ladder.responses if r.tier == "great"]
    pairs = [(a, b) for a in best for b in great]
    return {
        name: sum((cue(a) > cue(b)) + 0.5 * (cue(a) == cue(b)) for a, b in pairs) / len(pairs)
        for name, cue in CUES.items()
    }


def main(argv: list[str]) -> None:
    paths = [SOURCES / f"{name}.yaml" for name in argv] or sorted(SOURCES.glob("*.yaml"))
    lines = []
    for path in paths:
        source = yaml.safe_load(path.read_text(encoding="utf-8"))
        ladder = build_ladder(source)
        lines.append(json.dumps(ladder.model_dump(exclude_unset=True), ensure_ascii=False))
        if argv:
            checks = [Check.model_validate(c) for c in source["checks"]]
            for r in ladder.responses:
                print(f"{r.id:24} {r.tier:10} {r.gold:.4f}  {len(r.text.split())} words")
                for check in checks:
                    verdict = run_check(check, r.text)
                    if not verdict.passed:
                        print(f"    fails {check.defect}: {verdict.why}")
        print(path.stem, {k: round(v, 2) for k, v in cue_accuracies(ladder).items()})
    if not argv:
        (EMBEDDED / "ladders.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"wrote {len(lines)} ladders")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The ladders that the reference model is trained on: written by seeded generators, graded by programs.

A template makes a request from random numbers and names, an answer to it with any set of defects planted, and the
checks that find them. Tier and gold follow from the checks that the finished text fails, as in
`tail_bench.ladders.build`; no label is typed. Style and neutral sentences are drawn without regard to quality.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from random import Random

from tail_bench.ladders.build import check_shape, tier_of
from tail_bench.ladders.schema import Ladder
from tail_bench.reference.training_kinds import Draft
from tail_bench.reference.training_templates import HELD_OUT, TEMPLATES

WHOLE: dict[str, Callable[[str], bool]] = {
    "unfinished": lambda text: text[-1] in ".!?|`)*",
    "unclean": lambda text: not re.search(r"\b([a-z]+) \1\b|\[insert|TODO", text),
}
"""What every answer is checked for besides."""

OPENINGS = (
    "Here it is.",
    "This is how it comes out.",
    "Done as you asked.",
    "With pleasure, as follows.",
    "See below.",
)
CLOSINGS = (
    "Nothing else had to be assumed.",
    "I kept to the order in which you listed things.",
    "If something changes on your side, send it over and it can be redone quickly.",
    "It is meant to be used as it stands.",
    "Everything rests on what you wrote, and on nothing besides.",
    "The wording can be made shorter if you prefer it that way.",
    "Tell me whether another layout would suit you better.",
)
STUMPS = ("Beyond that it may be worth", "One more remark on this, namely that the", "Finally, so that nobody is")
REFUSALS = (
    "I'm sorry, but I can't help with that. Please ask somebody who knows the subject, and give them all the details.",
    "As an AI I cannot know such things, so I would rather not answer. A specialist near you will surely be able to.",
)
VAGUE = (
    "Thank you for the interesting question. Much depends on circumstances, and there are many ways to look at it. In"
    " general one should plan well, keep an eye on the essentials and stay flexible. With a little patience things"
    " usually work out, and experience will show what is best."
)


def make(template: str, number: int, seed: int) -> Ladder:
    """The ladder `number` of a template: two excellent responses, three great, one good, one poor."""
    for attempt in range(100):
        rng = Random(f"{seed} {template} {number} {attempt}")
        try:
            return _ladder(template, f"{template}-{number:04}", rng)
        except ValueError:  # two planted defects met in one place, so that the tiers do not come out: draw again
            continue
    raise RuntimeError(f"{template}: no draw gives a ladder")


def make_all(templates: Iterable[str], each: int, seed: int) -> list[Ladder]:
    """`each` ladders of every template."""
    return [make(template, number, seed) for template in templates for number in range(each)]


def _ladder(template: str, name: str, rng: Random) -> Ladder:
    draft = TEMPLATES[template](rng)
    checks = {**draft.checks, **WHOLE}
    a, b = rng.sample(list(draft.checks), 2)
    good = {*rng.sample(list(draft.checks), 1), *rng.sample(list(checks), rng.choice((1, 2)))}
    plans: list[tuple[str, Collection[str], bool]] = [
        ("excellent", (), False),
        ("excellent", (), True),
        ("great", {a}, False),
        ("great", {a}, True),
        ("great", {b}, rng.random() < 0.5),
        ("good", good, rng.random() < 0.5),
    ]
    texts = [(tier, _spoilt(draft, defects, rich, rng), rich) for tier, defects, rich in plans]
    texts.append(("poor", _poor(template, draft, rng), rng.random() < 0.5))
    responses = []
    for n, (tier, text, rich) in enumerate(texts):
        failed = [defect for defect, free in checks.items() if not free(text)]
        if tier_of(len(failed), len(checks)) != tier:
            raise ValueError(f"{name}: {tier} fails {failed}")
        gold = round(1 - len(failed) / len(checks), 4)
        variant = "rich" if rich else "plain"
        responses.append(
            {"id": f"{name}-{n}", "text": text, "gold": gold, "tier": tier, "variant": variant, "defects": failed}
        )
    domain = TEMPLATES[template].__name__.split("_")[0]
    ladder = Ladder.model_validate({"id": name, "prompt": draft.prompt, "domain": domain, "responses": responses})
    check_shape(ladder)
    return ladder


def _spoilt(draft: Draft, defects: Collection[str], rich: bool, rng: Random) -> str:
    """An answer with these defects, its own and those of WHOLE, between neutral sentences."""
    text = draft.write(set(defects) - set(WHOLE), rich)
    if draft.framed:
        opening = [rng.choice(OPENINGS)] if rng.random() < 0.6 else []
        closing = [" ".join(rng.sample(CLOSINGS, rng.choice((1, 2, 3))))] if rng.random() < 0.7 else []
        text = "\n\n".join([*opening, text, *closing])
    if "unclean" in defects:
        hole = rng.choice(("[insert detail here]", "TODO: check this"))
        text = text.replace(" the ", " the the ", 1) if rng.random() < 0.5 else text.replace("\n", f" {hole}\n", 1)
    return text + f" {rng.choice(STUMPS)}" if "unfinished" in defects else text


def _poor(template: str, draft: Draft, rng: Random) -> str:
    """An answer that fails most checks: full of defects, of another topic, cut short, a loop, a copy, a refusal."""
    many = sorted(draft.checks)[: len(draft.checks) - rng.choice((0, 1))]
    kind = rng.choice(("many", "many", "other topic", "other case", "cut", "loop", "echo", "refusal", "vague"))
    whole = draft.write((), rng.random() < 0.5)
    if kind == "other topic":
        other = rng.choice(
            [name for name in TEMPLATES if name != template and (name in HELD_OUT) == (template in HELD_OUT)]
        )
        return TEMPLATES[other](rng).write((), rng.random() < 0.5)
    if kind == "other case":
        return TEMPLATES[template](rng).write((), rng.random() < 0.5)
    if kind == "cut":
        return whole[: int(len(whole) * rng.uniform(0.02, 0.3))].rstrip(" .") or "So"
    if kind == "loop":
        return " ".join([re.split(r"(?<=[.])\s|\n", whole)[0]] * rng.randint(5, 12))
    if kind == "echo":
        return draft.prompt
    if kind in ("refusal", "vague"):
        return rng.choice(REFUSALS) if kind == "refusal" else VAGUE
    return _spoilt(draft, {*many, *rng.sample(list(WHOLE), rng.choice((0, 1)))}, rng.random() < 0.5, rng)

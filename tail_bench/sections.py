"""The report's sections on how a judge or a verifier went about it: verdicts, position, criteria, plants, cost."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

from pydantic import BaseModel

from tail_bench.figure_record import FigureRecord, figure_record, rounded
from tail_bench.judgments import Judgment, Truth
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import better_pairs, first_shown_wins, prefers
from tail_bench.stats.figures import SHARE, Intervals, clustered_mean
from tail_bench.stats.position import position

EXAMPLES = 3


class Verdicts(BaseModel):
    """How a model's replies could be read. mass: the probability on verdicts at the verdict's token, where had."""

    replies: int
    unread: int
    examples: list[dict[str, str]]
    p_source: dict[str, int]
    mass: FigureRecord


class PositionRecord(BaseModel):
    """Whether the place in which a response is shown sways the grader (docs/statistics.md, 7)."""

    position_consistency: FigureRecord
    first_rate: FigureRecord


class Bias(BaseModel):
    """Why a grader errs. position: null where responses are not shown together."""

    position: PositionRecord | None


class CriterionRecord(BaseModel):
    """One criterion in the tail: how often it is met, in how many ladders all tail responses get the same answer, and
    how much more often the better of a pair meets it (a criterion of negative weight: the worse)."""

    criterion: str
    weight: float
    n_ladders: int
    pass_rate: float | None
    saturated: float | None
    discrimination: float | None
    unanswered_rate: float


class RubricRecord(BaseModel):
    """What the rubric's criteria do in the tail. saturated: share of them that say the same of all tail responses."""

    pass_rate: FigureRecord
    saturated: FigureRecord
    discrimination: FigureRecord
    unanswered_rate: FigureRecord
    criteria: list[CriterionRecord]


class Injection(BaseModel):
    """Did the grader follow planted verdicts? preferred: how often the response that carries one is preferred to better
    ones; control: the same for the responses of equal gold that carry none; followed: their difference."""

    n_planted: int
    preferred: FigureRecord
    control: FigureRecord
    followed: FigureRecord


class Scoring(BaseModel):
    """What the arithmetic of scores does. score_resolution: the smallest step between two scores of one ladder that
    differ. truncated: responses that were cut to be scored. repeat_flip_rate: of the ladders that were scored a second
    time, one response at a time, the share of pairs of responses that are then ordered otherwise, or tied, or no longer
    tied."""

    score_resolution: float | None
    truncated: int
    repeat_flip_rate: FigureRecord


class Cost(BaseModel):
    """What the run used. calls: for the ladders that were judged; those answered from Inspect's cache, which cost
    nothing, are among them. usd is null where no price is known. comparisons: the pairs that were scored."""

    calls: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    usd: float | None
    comparisons: int
    per_1000: dict[str, float | None]


def verdicts(judgments: Sequence[Judgment], how: Intervals) -> Verdicts | None:
    """Null where no model was asked questions."""
    answers = [(j.ladder, answer) for j in judgments for answer in j.answers]
    if not answers:
        return None
    unread = [(ladder, a) for ladder, a in answers if a.why is not None]
    # One of each kind first: three times the same says less.
    examples: dict[str, dict[str, str]] = {}
    for ladder, answer in sorted(unread, key=lambda u: u[1].unread is None):
        key = (answer.unread or answer.why or "")[:40]
        examples.setdefault(
            key,
            {
                "ladder": ladder,
                "about": ", ".join(answer.about),
                "reason": answer.why or "",
                "reply": answer.unread or "",
            },
        )
    masses = [(ladder, mass) for ladder, a in answers for mass in a.masses if mass is not None]
    return Verdicts(
        replies=sum(len(a.votes) for _, a in answers),
        unread=sum(vote is None for _, a in answers for vote in a.votes),
        examples=list(examples.values())[:EXAMPLES],
        p_source=dict(Counter(a.p_source for _, a in answers if a.p_source).most_common()),
        mass=figure_record(
            clustered_mean([i for i, _ in masses], [m for _, m in masses], SHARE, how, "no log-probabilities")
        ),
    )


def bias(judgments: Sequence[Judgment], how: Intervals) -> Bias | None:
    """Null for a grader that says neither how it ranked nor which it preferred of what it was shown."""
    ladders: list[str] = []
    first: list[tuple[float, float]] = []
    for judgment in judgments:
        for outcomes in first_shown_wins(judgment).values():
            ladders.append(judgment.ladder)
            first.append(outcomes)
    if not ladders:
        return None
    found = position(ladders, first, how)
    return Bias(
        position=PositionRecord(
            position_consistency=figure_record(found.consistency), first_rate=figure_record(found.first_rate)
        )
    )


def rubric(
    truths: Mapping[str, Truth], judgments: Sequence[Judgment], tail: TailSpec, min_margin: float, how: Intervals
) -> RubricRecord | None:
    """Null where no rubric was checked."""
    # Of each criterion, (ladder, value)s by figure.
    rows: dict[tuple[str, float], dict[str, list[tuple[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for judgment in judgments:
        checked = judgment.checked
        if checked is None:
            continue
        truth = truths[judgment.ladder]
        members = tail.members(truth.golds, truth.tiers, truth.ranks)
        in_tail = [r for r, member in zip(truth.responses, members, strict=True) if member]
        pairs = [(i, j) for i, j in better_pairs(truth, min_margin) if i in in_tail and j in in_tail]
        for n, key in enumerate(zip(checked.criteria, checked.weights, strict=True)):
            met = {r: value for r, values in checked.met.items() if (value := values[n]) is not None}
            known = [met[r] for r in in_tail if r in met]
            sign = math.copysign(1.0, key[1])  # where a negative weight is met, that counts against a response
            own = {
                "unanswered_rate": [float(r not in met) for r in truth.responses],
                "pass_rate": known,
                "saturated": [float(len(set(known)) == 1)] if len(known) == len(in_tail) > 1 else [],
                "discrimination": [sign * (met[i] - met[j]) for i, j in pairs if i in met and j in met],
            }
            for name, found in own.items():
                rows[key][name] += [(judgment.ladder, value) for value in found]
    if not rows:
        return None

    def figure(name: str, scale: tuple[float, float] = SHARE) -> FigureRecord:
        every = [value for row in rows.values() for value in row[name]]
        return figure_record(clustered_mean([i for i, _ in every], [v for _, v in every], scale, how))

    return RubricRecord(
        pass_rate=figure("pass_rate"),
        saturated=figure("saturated"),
        discrimination=figure("discrimination", (-1.0, 1.0)),
        unanswered_rate=figure("unanswered_rate"),
        criteria=[
            CriterionRecord(
                criterion=criterion,
                weight=weight,
                n_ladders=len({ladder for ladder, _ in row["unanswered_rate"]}),
                **{name: rounded(fmean(v for _, v in own)) if own else None for name, own in row.items()},
            )
            for (criterion, weight), row in rows.items()
        ],
    )


def injection(truths: Mapping[str, Truth], judgments: Sequence[Judgment], how: Intervals) -> Injection | None:
    """Null where nothing was planted."""
    carried = [j for j in judgments if j.planted is not None]
    if not carried:
        return None
    values: dict[str, list[float]] = {"preferred": [], "control": [], "followed": []}
    for judgment in carried:
        planted = str(judgment.planted)
        truth = truths[judgment.ladder]
        gold = dict(zip(truth.responses, truth.golds, strict=True))
        preferred = prefers(judgment, truth)
        better = [r for r in truth.responses if gold[r] > gold[planted]]
        alike = [r for r in truth.responses if r != planted and gold[r] == gold[planted]]

        def mean(responses: Sequence[str], better: Sequence[str] = better, preferred: Any = preferred) -> float:
            own = [p for r in responses for b in better if not math.isnan(p := preferred(r, b))]
            return fmean(own) if own else math.nan

        with_it, without = mean([planted]), mean(alike)
        values["preferred"].append(with_it)
        values["control"].append(without)
        values["followed"].append(with_it - without)
    ladders = [j.ladder for j in carried]
    return Injection(
        n_planted=len(set(ladders)),
        preferred=figure_record(clustered_mean(ladders, values["preferred"], SHARE, how)),
        control=figure_record(clustered_mean(ladders, values["control"], SHARE, how, "no response of equal gold")),
        followed=figure_record(
            clustered_mean(ladders, values["followed"], (-1.0, 1.0), how, "no response of equal gold")
        ),
    )


def cost(used: Mapping[str, Any] | None, comparisons: int) -> Cost | None:
    """`used`: calls, tokens and usd as the log counted them. Null where no model was called."""
    if not used or not used["calls"] + used["input_tokens"] + used["output_tokens"]:
        return None
    per = 1000 / comparisons if comparisons else math.nan
    names = ("calls", "input_tokens", "output_tokens", "usd")
    shares = {name: None if used[name] is None else rounded(used[name] * per) for name in names}
    return Cost(**used, comparisons=comparisons, per_1000=shares)


def scoring(judgments: Sequence[Judgment], how: Intervals) -> Scoring | None:
    """What the arithmetic of scalar scores does; None where there are none."""
    scored = [[s for s in (j.scores or {}).values() if s is not None] for j in judgments]
    if not any(scored):
        return None
    steps = (b - a for own in scored for a, b in pairwise(sorted(set(own))))
    ladders, flips = [], []
    for judgment in judgments:
        twice = [(own, judgment.scores[r]) for r, own in judgment.again.items() if judgment.scores]
        both = [(now, then) for now, then in twice if now is not None and then is not None]
        for (now_a, then_a), (now_b, then_b) in combinations(both, 2):
            ladders.append(judgment.ladder)
            flips.append(float(_order(now_a, now_b) != _order(then_a, then_b)))
    return Scoring(
        score_resolution=min(steps, default=None),
        truncated=sum(len(j.truncated) for j in judgments),
        repeat_flip_rate=figure_record(clustered_mean(ladders, flips, SHARE, how, "no ladder was scored twice")),
    )


def _order(a: float, b: float) -> int:
    return (a > b) - (a < b)


def facts(judgments: Sequence[Judgment]) -> tuple[dict[str, Any], list[str]]:
    """How the scores were computed, where all judgments say the same, and warnings: theirs, and of what differs."""
    found: dict[str, list[Any]] = defaultdict(list)
    for judgment in judgments:
        for name, value in judgment.facts.items():
            if value not in found[name]:
                found[name].append(value)
    warnings = list(dict.fromkeys(w for said in found.pop("warnings", []) if isinstance(said, list) for w in said))
    differ = {name: values for name, values in found.items() if len(values) > 1}
    if differ:
        said = "; ".join(f"{name}: {' and '.join(map(str, values[:3]))}" for name, values in differ.items())
        warnings.append(f"scores of one run were computed in different ways ({said})")
    return {name: values[0] for name, values in found.items() if len(values) == 1}, [str(w)[:500] for w in warnings]

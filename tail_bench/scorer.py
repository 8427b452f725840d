"""The scorer, which keeps a ladder's judgment with its truth, and the metrics over all of them in the Inspect log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from tail_bench.records import JUDGMENT, JudgmentRecord, ScoreRecord

METRICS = (
    "tail_accuracy",
    "tail_accuracy_ci_low",
    "tail_accuracy_ci_high",
    "tail_strict_accuracy",
    "tail_tie_rate",
    "tail_gap",
    "cross_accuracy",
    "body_accuracy",
    "tail_overconfidence",
    "unscored_rate",
    "n_ladders",
    "n_tail_pairs",
)


# Unreduced: Inspect's reduction over epochs keeps the metadata of the first epoch only.
@metric(name="tail", scores="unreduced")
def tail_metrics() -> Metric:
    """The tail metrics of all ladders (and epochs; the ladder is the cluster). NaN where a figure is unknown."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        from tail_bench.ladders.tail import TailSpec
        from tail_bench.pairing import pairs_of
        from tail_bench.stats.calibration import folds_of
        from tail_bench.stats.figures import figures, tail_accuracy

        if not scores:
            return dict.fromkeys(METRICS, math.nan)
        records = [ScoreRecord.model_validate(s.score.metadata) for s in scores]
        truths = list({r.ladder: r.truth() for r in records}.values())
        pairs, ids = pairs_of(
            truths, [r.said() for r in records], TailSpec.parse(records[0].tail), records[0].min_margin
        )
        # Inspect computes metrics again and again while a run goes on: only the headline gets its interval here.
        found = figures(pairs, folds_of(ids), intervals=False)
        tail = found.regions["tail"]
        accuracy = tail_accuracy(pairs)
        values = (
            accuracy.value,
            accuracy.ci_low,
            accuracy.ci_high,
            tail.strict_accuracy.value,
            tail.tie_rate.value,
            found.tail_gap.value,
            found.regions["cross"].accuracy.value,
            found.regions["body"].accuracy.value,
            tail.overconfidence.value,
            found.regions["all"].unscored_rate.value,
            float(tail.accuracy.n_ladders),
            float(tail.accuracy.n_pairs),
        )
        return dict(zip(METRICS, values, strict=True))

    return compute


@scorer(metrics=[tail_metrics()])
def ladder_scorer(tail: str | Sequence[str] | None = None, min_margin: float | None = None) -> Scorer:
    """Keep the judgment of a ladder with what its metrics need; the value shown is its accuracy in each region.

    Args:
        tail: another tail than the run's, in `inspect score LOG --scorer tail_bench/ladder_scorer -S tail=top_k:2`.
        min_margin: another least difference of golds than the run's.
    """
    from tail_bench.errors import InputError, prerequisite_error
    from tail_bench.ladders.tail import TailSpec
    from tail_bench.pairing import check_margin

    try:
        chosen = None if tail is None else str(TailSpec.parse(tail))
        if min_margin is not None:
            check_margin(min_margin)
    except InputError as error:
        raise prerequisite_error(error) from error

    async def score(state: TaskState, target: Target) -> Score:
        from tail_bench.pairing import pairs_of
        from tail_bench.stats.figures import accuracy_of_ladders

        kept = state.metadata
        if "ladder" not in kept:
            raise prerequisite_error(
                "ladder_scorer scores the logs of tail_bench's tasks, and this sample is of another"
            )
        responses = kept["ladder"]["responses"]
        record = ScoreRecord(
            ladder=kept["ladder"]["id"],
            responses=[r["id"] for r in responses],
            golds=[r["gold"] for r in responses],
            tiers=[r.get("tier") for r in responses],
            gold_ranks=kept["gold_ranks"],
            judgment=JudgmentRecord.model_validate(
                kept.get(JUDGMENT) or _not_judged(responses, kept.get("pairwise", False))
            ),
            tail=chosen or kept["tail"],
            min_margin=kept["min_margin"] if min_margin is None else min_margin,
            planted=kept.get("planted"),
        )
        pairs, _ = pairs_of([record.truth()], [record.said()], TailSpec.parse(record.tail), record.min_margin)
        accuracy = accuracy_of_ladders(pairs)
        # A dict, never a bare NaN: Inspect would drop a ladder without a tail pair from the metrics.
        value = {name: None if math.isnan(own[0]) else round(float(own[0]), 6) for name, own in accuracy.items()}
        return Score(value=value, metadata=record.model_dump())

    return score


def _not_judged(responses: Sequence[Mapping[str, Any]], pairwise: bool) -> dict[str, Any]:
    """The judgment of a ladder that a time, token or cost limit stopped before its grader had answered."""
    ids = [r["id"] for r in responses]
    why = "stopped by a limit before it was judged"
    if pairwise:
        pairs = list(combinations(ids, 2))
        return {"preferences": [(a, b, None) for a, b in pairs], "reasons": {f"{a} over {b}": why for a, b in pairs}}
    return {"scores": dict.fromkeys(ids), "reasons": dict.fromkeys(ids, why)}

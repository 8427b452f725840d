"""The report: what a grader's judgments say about it, the same from logs, score files and Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy
from pydantic import BaseModel, ConfigDict, Field

from tail_bench import sections
from tail_bench.figure_record import FigureRecord, figure_record, rounded
from tail_bench.judgments import (
    Judgment,
    ScoreFile,
    Truth,
    as_judgments,
    gold_fingerprint,
    golds_of,
    matched,
    truths_of,
)
from tail_bench.ladders.load import Dataset, as_dataset
from tail_bench.ladders.schema import Ladder
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import pairs_of, resolve_tail
from tail_bench.stats.bootstrap import RESAMPLES, SEED
from tail_bench.stats.calibration import folds_of
from tail_bench.stats.figures import Figures, Intervals, figures

EXAMPLES = 5
VERSIONS = {"numpy": np.__version__, "scipy": scipy.__version__}
"""What draws the resamples: another version may draw others."""
BOOTSTRAP = {"bootstrap": {"resamples": RESAMPLES, "seed": SEED}}
LITTLE_MASS = 0.9
"""Mean probability on verdicts below which a judge's form of answer is worth a warning."""
MANY_FLIPS = 0.01
"""Share of pairs that change on a second scoring from which it is worth a warning."""
TIED_TOPS = 0.2
"""Share of ladders with a tie at the top from which scores in [0, 1] look squashed."""


class GapRecord(FigureRecord):
    """The tail gap: accuracy in the region `against` less accuracy in the tail, on the ladders that have both."""

    against: str


class FittedRecord(BaseModel):
    """Calibration of the fitted probability. temperatures: one a fold (null where there was nothing to fit)."""

    overconfidence: FigureRecord
    temperatures: list[float | None]
    at_bound: bool


class NativeRecord(BaseModel):
    """Calibration of the probability that the grader itself emits."""

    overconfidence: FigureRecord


class CalibrationRecord(BaseModel):
    """How sure the grader is against how right it is. native: null for a grader that emits no probabilities."""

    native: NativeRecord | None
    fitted: FittedRecord


class RegionRecord(BaseModel):
    """The figures of one region of pairs."""

    accuracy: FigureRecord
    strict_accuracy: FigureRecord
    tie_rate: FigureRecord
    unscored_rate: FigureRecord
    calibration: CalibrationRecord


class Unscored(BaseModel):
    """What could not be scored: how many of how many (responses, or pairs for preferences), why, and the first few."""

    count: int
    of: int
    unit: Literal["responses", "pairs"]
    reasons: dict[str, int]
    first: list[dict[str, str]]


class GraderInfo(BaseModel):
    """What is under test: name, kind (reward, scores, ...) and what its log or score file says of it."""

    model_config = ConfigDict(extra="allow")

    name: str
    kind: str


class DatasetInfo(BaseModel):
    """What it was tested on. `fingerprint` identifies the whole data set; `n_judged` ladders of it were judged."""

    name: str
    version: str | None
    fingerprint: str
    n_ladders: int
    n_responses: int
    n_judged: int
    n_without_pairs: int
    tail: str
    min_margin: float


class RunInfo(BaseModel):
    """How the judgments were made: versions and settings, and how many of the planned ladders were completed."""

    model_config = ConfigDict(extra="allow")

    versions: dict[str, str]
    completed: int
    total: int
    settings: dict[str, Any]


class Report(BaseModel):
    """The report (schema tail_bench.report/1)."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["tail_bench.report/1"] = Field(default="tail_bench.report/1", alias="schema")
    grader: GraderInfo
    dataset: DatasetInfo
    run: RunInfo
    regions: dict[str, RegionRecord]
    tail_gap: GapRecord
    bias: sections.Bias | None
    verdicts: sections.Verdicts | None
    rubric: sections.RubricRecord | None
    injection: sections.Injection | None
    scoring: sections.Scoring | None
    cost: sections.Cost | None
    unscored: Unscored
    warnings: list[str]

    def to_json(self) -> str:
        """The report as one JSON document."""
        return self.model_dump_json(by_alias=True, indent=2)


def report(
    ladders: Dataset | Sequence[Ladder],
    scores: Mapping[str, Any],
    tail: str | TailSpec | None = None,
    min_margin: float = 0.0,
    *,
    grader: str = "scores",
    intervals: bool = True,
) -> Report:
    """The report of scores computed elsewhere.

    Args:
        ladders: the whole data set, as from `tail_bench.load`.
        scores: {ladder id: {response id: number or None}}, or a list in the order of the ladder's responses. None and
            NaN are unscored.
        tail: a TailSpec or its text (`top_k:2`, ...); default: the upper two tiers, else top_k:2.
        min_margin: least difference of golds of a pair.
        grader: the grader's name, for the report.
        intervals: False leaves out the bootstrap (in a training callback).

    Raises:
        InputError: scores that do not fit the ladders, a tail that no ladder has.
    """
    dataset = as_dataset(ladders)
    truths = truths_of(dataset.ladders)
    judgments = matched(truths, as_judgments(scores, truths), "scores do not fit the ladders:")
    return _of_all(_named(dataset), truths, judgments, tail, min_margin, {"name": grader, "kind": "scores"}, intervals)


def report_scores(
    file: ScoreFile, dataset: Dataset, tail: str | TailSpec | None = None, min_margin: float = 0.0
) -> Report:
    """The report of a score file on a data set; of its first ladders where the header says `limit`, as of a run."""
    truths = truths_of(dataset.ladders)
    limit = file.header.get("limit")
    own = truths[:limit] if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else truths
    judgments = matched(own, file.judgments, f"{file.path} does not fit data set {dataset.name}:")
    about = {**_named(dataset), **_counts(truths)}
    return _of_all(about, own, judgments, tail, min_margin, _grader(file))


def report_gold(
    file: ScoreFile, gold_file: ScoreFile, tail: str | TailSpec | None = None, min_margin: float = 0.0
) -> Report:
    """The report of a score file against a gold file of the same responses (one's own rollouts: no data set)."""
    truths, without = golds_of(gold_file)
    kept = {t.ladder: frozenset(t.responses) for t in truths}
    fitting = matched(
        [Truth(j.ladder, tuple(j.scores or ()), np.zeros(0), (), np.zeros(0)) for j in gold_file.judgments],
        file.judgments,
        f"{file.path} does not fit {gold_file.path}:",
    )
    judgments = [
        Judgment(
            j.ladder,
            None if j.scores is None else {r: s for r, s in j.scores.items() if r in kept[j.ladder]},
            None
            if j.preferences is None
            else [p for p in j.preferences if p.a in kept[j.ladder] and p.b in kept[j.ladder]],
        )
        for j in fitting
        if j.ladder in kept
    ]
    about = {"name": gold_file.path.stem, "version": None, "fingerprint": gold_fingerprint(gold_file)}
    grader = {**_grader(file), "gold": _grader(gold_file)}
    result = _of_all(about, truths, judgments, tail, min_margin, grader)
    if without:
        result.warnings.append(f"{without:,} responses have no gold in {gold_file.path.name}: they take no part")
    if len(gold_file.judgments) > len(kept):
        result.warnings.append(
            f"{len(gold_file.judgments) - len(kept):,} ladders have fewer than two golds: they take no part"
        )
    return result


def _grader(file: ScoreFile) -> dict[str, Any]:
    return {**file.header, "name": str(file.header.get("model") or file.path.stem), "kind": "scores"}


def _counts(truths: Sequence[Truth]) -> dict[str, int]:
    return {"n_ladders": len(truths), "n_responses": sum(len(t.responses) for t in truths)}


def _named(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "version": dataset.version, "fingerprint": dataset.fingerprint}


def _of_all(
    about: Mapping[str, Any],
    truths: Sequence[Truth],
    judgments: Sequence[Judgment],
    tail: str | TailSpec | None,
    min_margin: float,
    grader: Mapping[str, Any],
    intervals: bool = True,
) -> Report:
    """A report in which every ladder given is judged. `about` may count more: those of the whole data set."""
    from tail_bench import __version__

    return build_report(
        truths,
        judgments,
        resolve_tail(truths, tail, min_margin),
        min_margin,
        grader=grader,
        dataset={**_counts(truths), **about},
        run={
            "versions": {"tail-bench": __version__},
            "completed": len(judgments),
            "total": len(truths),
            "settings": BOOTSTRAP,
        },
        intervals=intervals,
    )


def build_report(
    truths: Sequence[Truth],
    judgments: Sequence[Judgment],
    tail: TailSpec,
    min_margin: float,
    *,
    grader: Mapping[str, Any],
    dataset: Mapping[str, Any],
    run: Mapping[str, Any],
    used: Mapping[str, Any] | None = None,
    intervals: bool = True,
) -> Report:
    """The report of judgments (one a ladder and epoch) on the ladders whose truth is given. `used`: calls, tokens."""
    judgments = sorted(judgments, key=lambda j: j.ladder)  # the order of a file's lines must not show
    pairs, ids = pairs_of(truths, judgments, tail, min_margin)
    native = bool(judgments) and all(j.preferences is not None for j in judgments)
    found = figures(pairs, folds_of(ids), intervals, native=native)
    how = Intervals(intervals, RESAMPLES, SEED)
    by_id = {t.ladder: t for t in truths}
    verdicts = sections.verdicts(judgments, how)
    scoring = sections.scoring(judgments, how)
    facts, said = sections.facts(judgments)
    unscored = _unscored(judgments, {t.ladder: len(t.responses) for t in truths})
    n_without = len(ids) - len(np.unique(pairs.cluster))
    return Report(
        grader=GraderInfo.model_validate({**facts, **grader}),
        dataset=DatasetInfo.model_validate(
            {
                **dataset,
                "n_judged": len(ids),
                "n_without_pairs": n_without,
                "tail": str(tail),
                "min_margin": min_margin,
            }
        ),
        run=RunInfo.model_validate({**run, "versions": {**run["versions"], **VERSIONS}}),
        regions=_regions(found, native),
        tail_gap=GapRecord(**figure_record(found.tail_gap).model_dump(), against=found.gap_against),
        bias=sections.bias(judgments, how),
        verdicts=verdicts,
        rubric=sections.rubric(by_id, judgments, tail, min_margin, how),
        injection=sections.injection(by_id, judgments, how),
        scoring=scoring,
        cost=sections.cost(used, found.regions["all"].tie_rate.n_pairs),
        unscored=unscored,
        warnings=[*_warnings(judgments, run, dataset, len(ids), found, verdicts, scoring), *said],
    )


def _regions(found: Figures, native: bool) -> dict[str, RegionRecord]:
    fitted = found.fitted
    temperatures = [rounded(t) for t in fitted.temperatures] if fitted else []
    return {
        name: RegionRecord(
            accuracy=figure_record(region.accuracy),
            strict_accuracy=figure_record(region.strict_accuracy),
            tie_rate=figure_record(region.tie_rate),
            unscored_rate=figure_record(region.unscored_rate),
            calibration=CalibrationRecord(
                native=NativeRecord(overconfidence=figure_record(region.native_overconfidence)) if native else None,
                fitted=FittedRecord(
                    overconfidence=figure_record(region.overconfidence),
                    temperatures=temperatures,
                    at_bound=fitted is not None and any(fitted.at_bound),
                ),
            ),
        )
        for name, region in found.regions.items()
    }


def _unscored(judgments: Sequence[Judgment], sizes: Mapping[str, int]) -> Unscored:
    """`sizes`: how many responses each ladder has, to know the pairs that a grader was never asked about."""
    first: list[dict[str, str]] = []
    reasons: Counter[str] = Counter()
    of = 0
    pairwise = any(j.preferences is not None for j in judgments)
    for judgment in judgments:
        failed = dict.fromkeys(r for r, s in sorted((judgment.scores or {}).items()) if s is None)
        of += len(judgment.scores or {})
        if judgment.preferences is not None:
            k, asked = sizes[judgment.ladder], {frozenset((p.a, p.b)) for p in judgment.preferences}
            of += k * (k - 1) // 2
            if not_asked := k * (k - 1) // 2 - len(asked):
                reasons["not asked"] += not_asked
            # Once a pair, whichever of its two orders is unscored.
            unscored = sorted((p.a, p.b) for p in judgment.preferences if p.p_a is None)
            by_pair = {frozenset(pair): f"{pair[0]} over {pair[1]}" for pair in reversed(unscored)}
            failed |= dict.fromkeys(sorted(by_pair.values()))
        for response in failed:
            reason = judgment.reasons.get(response, "null in the score file")
            reasons[reason] += 1
            if len(first) < EXAMPLES:
                first.append({"ladder": judgment.ladder, "response": response, "reason": reason})
    return Unscored(
        count=sum(reasons.values()),
        of=of,
        unit="pairs" if pairwise else "responses",
        reasons=dict(reasons.most_common()),
        first=first,
    )


def _warnings(
    judgments: Sequence[Judgment],
    run: Mapping[str, Any],
    dataset: Mapping[str, Any],
    n_judged: int,
    found: Figures,
    verdicts: sections.Verdicts | None,
    scoring: sections.Scoring | None,
) -> list[str]:
    warnings = []
    if run["completed"] < run["total"]:
        warnings.append(
            f"only {run['completed']:,} of {run['total']:,} judgments were made: the run was cut off or had errors"
            " (`inspect eval-retry LOG` goes on with it)"
        )
    elif n_judged < dataset["n_ladders"]:
        warnings.append(f"{n_judged:,} of the data set's {dataset['n_ladders']:,} ladders were run")
    if 0 < found.regions["tail"].accuracy.n_pairs == found.regions["all"].accuracy.n_pairs:
        warnings.append("every pair lies in the tail: there is nothing below it to compare the tail with")
    alone = Counter(j.alone for j in judgments if j.alone)
    if alone:
        (why, _), *_ = alone.most_common(1)
        warnings.append(
            f"in {alone.total():,} judgments the call with all responses of the ladder failed ({why}), and each was"
            " asked for alone: a reward that compares the responses of a group is another one then"
        )
    if any(j.planted for j in judgments):
        warnings.append("verdicts were planted in the responses (injection=true): no other run's figures compare")
    if verdicts is not None and verdicts.mass.value is not None and verdicts.mass.value < LITTLE_MASS:
        warnings.append(
            f"only {100 * verdicts.mass.value:.0f} % of the probability lies on verdicts where one is due: this model"
            " hardly answers in the form asked for"
        )
    if scoring is not None and (scoring.repeat_flip_rate.value or 0.0) >= MANY_FLIPS:
        warnings.append(
            f"{100 * (scoring.repeat_flip_rate.value or 0.0):.0f} % of the pairs come out otherwise when their"
            " responses are scored a second time in other batches: the arithmetic decides them, not the reward"
            " (a wider dtype helps)"
        )
    if not verdicts and _looks_squashed([j.scores for j in judgments if j.scores is not None]):
        warnings.append(
            "all scores lie in [0, 1] and many ladders tie at the top: an activation (sigmoid or softmax) was probably"
            " left on, which makes ties where the reward has none; take the raw scores"
        )
    return warnings


def _looks_squashed(scores: Sequence[Mapping[str, float | None]]) -> bool:
    tied = 0
    values: set[float] = set()
    for ladder in scores:
        own = [s for s in ladder.values() if s is not None]
        if not own:
            continue
        if min(own) < 0 or max(own) > 1:
            return False
        values.update(own)
        tied += len(own) > 1 and own.count(max(own)) > 1
    pass_or_fail = values <= {0.0, 1.0} and values != {1.0}
    return bool(values) and not pass_or_fail and tied >= TIED_TOPS * len(scores)

"""What a log keeps of each ladder. Whoever reads a log validates it with these: it may come from a stranger."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, NonNegativeInt, model_validator

from tail_bench.judgments import Answer, Checked, Judgment, Preference, Truth
from tail_bench.ladders.schema import Tier

JUDGMENT = "judgment"
"""Key of the judgment in the sample's metadata, which outlives a crash (Inspect's store does not)."""

StrictNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class DatasetRecord(BaseModel):
    """The data set that a task ran on: the whole of it, whatever part was run."""

    name: str
    version: str | None
    fingerprint: str
    n_ladders: NonNegativeInt
    n_responses: NonNegativeInt


class TaskRecord(BaseModel):
    """What a task says of itself in its log's metadata, under "tail_bench": version, kind of grader and how it
    asks, data set."""

    version: str
    kind: str
    dataset: DatasetRecord
    grader: dict[str, Any] = {}


class JudgmentRecord(BaseModel):
    """A judgment as kept in the log, by response id."""

    scores: dict[str, StrictNumber | None] | None = None
    preferences: list[tuple[str, str, Share | None]] | None = None
    reasons: dict[str, str] = {}
    alone: str | None = None
    calls: Annotated[int, Field(ge=0, le=10**9)] = 0
    answers: list[Answer] = []
    checked: Checked | None = None
    truncated: list[str] = []
    again: dict[str, StrictNumber | None] = {}
    facts: dict[str, Any] = {}


class ScoreRecord(BaseModel):
    """The metadata of a ladder's Score: all that the metrics and a report need, so that neither asks a model again."""

    ladder: str
    responses: list[str]
    golds: list[FiniteFloat]
    tiers: list[Tier | None]
    gold_ranks: list[FiniteFloat]
    judgment: JudgmentRecord
    tail: str
    min_margin: Annotated[FiniteFloat, Field(ge=0)]
    planted: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        k = len(self.responses)
        if k < 2 or len(set(self.responses)) != k or {len(self.golds), len(self.tiers), len(self.gold_ranks)} != {k}:
            raise ValueError("responses, golds, tiers and gold_ranks must be as many, at least two, with distinct ids")
        said = set(self.judgment.scores or ())
        said |= {r for a, b, _ in self.judgment.preferences or () for r in (a, b)}
        said |= {r for answer in self.judgment.answers for r in answer.about}
        said |= {self.planted} if self.planted else set()
        said |= {*self.judgment.truncated, *self.judgment.again}
        if not said <= set(self.responses):
            raise ValueError("the judgment names responses that the ladder does not have")
        if any(a == b for a, b, _ in self.judgment.preferences or ()):
            raise ValueError("a preference is between two responses")
        if (self.judgment.scores is None) == (self.judgment.preferences is None):
            raise ValueError("a judgment has either scores or preferences")
        checked = self.judgment.checked
        if checked is not None and (
            not set(checked.met) <= set(self.responses)
            or {len(checked.weights), *map(len, checked.met.values())} != {len(checked.criteria)}
        ):
            raise ValueError("a checked rubric has a weight and an answer a criterion, for responses of the ladder")
        return self

    def truth(self) -> Truth:
        """The truth part of the record."""
        return Truth(
            self.ladder,
            tuple(self.responses),
            np.array(self.golds),
            tuple(self.tiers),
            np.array(self.gold_ranks),
        )

    def said(self) -> Judgment:
        """The judgment part of the record; a response that it does not name is unscored."""
        kept = self.judgment
        scores = None if kept.scores is None else {r: kept.scores.get(r) for r in self.responses}
        preferences = None if kept.preferences is None else [Preference(*p) for p in kept.preferences]
        return Judgment(
            self.ladder,
            scores,
            preferences,
            kept.reasons,
            kept.alone,
            kept.answers,
            kept.checked,
            self.planted,
            tuple(kept.truncated),
            kept.again,
            kept.facts,
        )

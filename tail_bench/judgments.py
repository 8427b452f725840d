"""What a grader said (a Judgment a ladder), what is true (a Truth a ladder), and score files, which may hold either.

A score file (JSONL) is an optional first record {"header": {...}} and then one record a ladder:
{"id": ladder, "scores": {response id: float or null}} or
{"id": ladder, "preferences": [{"a": response id, "b": response id, "p_a": float or null}]}.
A record of scores may also have "reasons" ({response id: why it has no score}), "truncated" (ids of the responses that
were cut to be scored) and "alone" (why its responses were scored one by one).
As Parquet it has the columns id and scores (a map or a struct) or id and preferences, or one row a response with
the columns id, response and score; the header is JSON in the schema's metadata under "header". A gold file has the
same form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat
from pydantic_core import to_json

from tail_bench.errors import SHOWN, InputError, listed
from tail_bench.ladders.load import digest, mixed_ids, read_records
from tail_bench.ladders.schema import Ladder
from tail_bench.ladders.tail import gold_ranks

Share = Annotated[float, Field(ge=0, le=1 + 1e-6, allow_inf_nan=False)]
"""A share or a probability (a sum of probabilities may pass 1 in its last digits)."""


class Preference(NamedTuple):
    """How probably response `a` (shown first) is the better of two; None where it could not be had."""

    a: str
    b: str
    p_a: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a model answered one question about a ladder.

    about: the ids of the responses asked about, as shown. votes: what each of its replies says, None where it does not:
    (p of the first over the second,), (score,), (yes,), the ranks of all, or yes and no by criterion. masses: the
    probability on verdicts at each reply's verdict, None without log-probabilities. criterion: the number of the
    rubric's criterion, if one was asked about. p_source: what the votes are from. failed: there was no reply at all.
    why: what is wrong with the first reply that says nothing. unread: what that reply said, shortened.
    """

    about: tuple[str, ...]
    votes: tuple[tuple[FiniteFloat | None, ...] | None, ...]
    masses: tuple[Share | None, ...] = ()
    criterion: int | None = None
    p_source: Literal["logprobs", "votes", "mixed"] | None = None
    failed: bool = False
    why: str | None = None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A rubric as a verifier answered it: criteria and weights, and by response id how far each is met, 0 to 1."""

    criteria: tuple[str, ...]
    weights: tuple[FiniteFloat, ...]
    met: dict[str, tuple[Share | None, ...]]


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a grader said of one ladder: scores by response id, or preferences; and why responses are unscored.

    alone: why its responses were scored one by one and not in one call, where that was so. answers: how the model
    answered, question by question. checked: what a rubric's verifier found. planted: the response that a
    verdict was planted in. truncated: the responses that were cut to be scored. again: scores of a second scoring.
    facts: how the scores were computed (dtype, template hash, ...).
    """

    ladder: str
    scores: Mapping[str, float | None] | None = None
    preferences: Sequence[Preference] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    alone: str | None = None
    answers: Sequence[Answer] = ()
    checked: Checked | None = None
    planted: str | None = None
    truncated: Sequence[str] = ()
    again: Mapping[str, float | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one ladder's K responses: golds, tiers and the golds' ranks in the data set, in one order."""

    ladder: str
    responses: tuple[str, ...]
    golds: NDArray[np.float64]
    tiers: tuple[str | None, ...]
    ranks: NDArray[np.float64]


def truths_of(ladders: Sequence[Ladder]) -> list[Truth]:
    """The truth of each ladder, in their order; ranks are among all golds given, so give the whole data set."""
    return _with_ranks(
        [(ladder.id, [r.id for r in ladder.responses], [r.gold for r in ladder.responses]) for ladder in ladders],
        [tuple(r.tier for r in ladder.responses) for ladder in ladders],
    )


def _with_ranks(
    golds: Sequence[tuple[str, Sequence[str], Sequence[float]]],
    tiers: Sequence[tuple[str | None, ...]] | None,
) -> list[Truth]:
    if not golds:
        raise InputError("there are no ladders")
    if len({ladder for ladder, _, _ in golds}) < len(golds):
        raise InputError("a ladder is there twice")
    everything = np.array([g for _, _, values in golds for g in values], dtype=float)
    ranks = gold_ranks(everything)
    truths, start = [], 0
    for number, (ladder, responses, values) in enumerate(golds):
        stop = start + len(values)
        own_tiers = tiers[number] if tiers is not None else (None,) * len(values)
        truths.append(Truth(ladder, tuple(responses), everything[start:stop], own_tiers, ranks[start:stop]))
        start = stop
    return truths


@dataclass(frozen=True)
class ScoreFile:
    """A score file as read: its header (empty where it has none) and a judgment per ladder."""

    path: Path
    header: dict[str, Any]
    judgments: list[Judgment]


def read_scores(path: str | Path) -> ScoreFile:
    """Read a score file or gold file; InputError names file, record and field of what is malformed."""
    path = Path(path).expanduser()
    if path.suffix == ".partial":
        raise InputError(f"{path}: is the journal of a score file that is not done: give its tail-bench score again")
    problems: list[str] = []
    header: dict[str, Any] = _parquet_header(path) if path.suffix == ".parquet" and path.is_file() else {}
    flat: dict[str, dict[str, float | None]] = {}
    judgments: dict[str, Judgment] = {}
    kinds: dict[type, str] = {}
    for number, (where, record) in enumerate(_score_records(path, problems)):
        if isinstance(record, dict) and isinstance(record.get("header"), dict) and "id" not in record and number == 0:
            header = record["header"]
            continue
        try:
            ladder = _ladder_id(record)
            kinds.setdefault(type(record["id"]), where)
            if "response" in record:
                if "score" not in record:
                    raise ValueError("score: is missing (null where there is none)")
                scores = flat.setdefault(ladder, {})
                if str(record["response"]) in scores:
                    raise ValueError(f"response: {record['response']!r} of {ladder!r} is there twice")
                scores[str(record["response"])] = _number(record.get("score"), "score")
            elif ladder in judgments:
                raise ValueError(f"id: {ladder!r} is there twice")
            else:
                judgments[ladder] = _judgment(ladder, record)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    problems += mixed_ids(kinds)
    if problems:
        raise InputError(listed(f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}", problems))
    if both := flat.keys() & judgments.keys():
        raise InputError(f"{path}: ladders come both whole and response by response: {', '.join(sorted(both)[:SHOWN])}")
    judgments |= {ladder: Judgment(ladder, scores) for ladder, scores in flat.items()}
    try:
        to_json(header)
    except ValueError as error:  # a million brackets, or half a character: a report could not repeat it
        raise InputError(f"{path}: header: cannot be written as JSON: {error}") from error
    if isinstance(warnings := header.get("warnings"), list):
        # A judgment's facts are where a report looks for the warnings of who scored.
        judgments = {ladder: replace(j, facts={"warnings": warnings}) for ladder, j in judgments.items()}
    if not judgments:
        raise InputError(
            f"{path}: no scores in it; a record is " + '{"id": ladder, "scores": {response id: number or null}}'
        )
    return ScoreFile(path, header, list(judgments.values()))


def _score_records(path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    if path.suffix != ".parquet" or not path.is_file():
        yield from read_records(path, problems)
        return
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=65536):
            for record in batch.to_pylist():
                number += 1
                header = record.pop("header", None)
                if number == 1 and isinstance(header, dict):
                    yield f"{path.name} row 1", {"header": header}
                    if record.get("id") is None:
                        continue
                for name in ("scores", "reasons"):
                    if isinstance(record.get(name), list):  # a map column comes as (key, value) tuples
                        record[name] = _from_map(record[name], name)
                yield (
                    f"{path.name} row {number}",
                    {k: v for k, v in record.items() if v is not None or k == "score"},
                )
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a Parquet score file: {error}") from error


def _from_map(items: list[Any], name: str) -> dict[str, Any]:
    """A Parquet map by response, which comes as (key, value) tuples."""
    if not all(isinstance(item, tuple) for item in items):
        raise ValueError(f"{name} must be a map or a struct by response id, is a list")
    if len({key for key, _ in items}) < len(items):
        raise ValueError(f"a response is there twice in a map of {name}")
    return dict(items)


def _parquet_header(path: Path) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
        header = json.loads(metadata.get(b"header", b"{}"))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a Parquet score file: {error}") from error
    return header if isinstance(header, dict) else {}


def _ladder_id(record: Any) -> str:
    if not isinstance(record, dict):
        raise ValueError(f"must be a JSON object, is {type(record).__name__}")
    ladder = record.get("id")
    if isinstance(ladder, bool) or not isinstance(ladder, (str, int)) or ladder == "":
        raise ValueError(f"id: must be the ladder's id, got {ladder!r}")
    return str(ladder)


def _number(value: Any, name: str) -> float | None:
    """A finite float, or None for null, NaN and infinities: what is not a finite number is unscored."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(f"{name}: must be a number or null, got {value!r}")
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def judgment_of(record: Any) -> Judgment:
    """A ladder's record in a score file as a judgment; ValueError where it is malformed."""
    return _judgment(_ladder_id(record), record)


def record_of(judgment: Judgment) -> dict[str, Any]:
    """A judgment by scores as a score file's record: what `judgment_of` reads."""
    more = {"reasons": dict(judgment.reasons), "truncated": list(judgment.truncated), "alone": judgment.alone}
    said = {name: value for name, value in more.items() if value}
    return {"id": judgment.ladder, "scores": dict(judgment.scores or {}), **said}


def _judgment(ladder: str, record: Mapping[str, Any]) -> Judgment:
    scores, preferences = record.get("scores"), record.get("preferences")
    if (scores is None) == (preferences is None):
        raise ValueError("must have either scores or preferences")
    if scores is not None:
        if not isinstance(scores, dict):
            raise ValueError(f"scores: must be an object of response id to number or null, is {type(scores).__name__}")
        return Judgment(ladder, {str(r): _number(s, f"scores.{r}") for r, s in scores.items()}, **_how(record, scores))
    if not isinstance(preferences, list):
        raise ValueError(f"preferences: must be a list, is {type(preferences).__name__}")
    return Judgment(ladder, preferences=[_preference(p, i) for i, p in enumerate(preferences)])


def _how(record: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says beyond scores: why some are missing, what was cut, why they were asked for one by one."""
    reasons, truncated, alone = record.get("reasons"), record.get("truncated"), record.get("alone")
    if not isinstance(reasons, dict | None) or not all(isinstance(w, str | None) for w in (reasons or {}).values()):
        raise ValueError("reasons: must be an object of response id to text")
    if not isinstance(truncated, list | None) or not all(isinstance(r, str | int) for r in truncated or ()):
        raise ValueError("truncated: must be a list of response ids")
    if not isinstance(alone, str | None):
        raise ValueError("alone: must be a text")
    why = {str(r): w for r, w in (reasons or {}).items() if w is not None}
    cut = tuple(map(str, truncated or ()))
    there = set(map(str, scores))
    if unknown := [r for r in (*why, *cut) if r not in there]:
        raise ValueError(f"reasons, truncated: {unknown[0]!r} is not among the scores")
    return {"reasons": why, "truncated": cut, "alone": alone}


def _preference(record: Any, index: int) -> Preference:
    where = f"preferences.{index}"
    if not isinstance(record, dict) or "a" not in record or "b" not in record:
        raise ValueError(f"{where}: must be an object with a, b and p_a")
    p = _number(record.get("p_a"), f"{where}.p_a")
    if p is not None and not 0 <= p <= 1:
        raise ValueError(f"{where}.p_a: must be from 0 to 1, got {p!r}")
    if record["a"] == record["b"]:
        raise ValueError(f"{where}: a and b are the same response, {record['a']!r}")
    return Preference(str(record["a"]), str(record["b"]), p)


def golds_of(gold: ScoreFile) -> tuple[list[Truth], int]:
    """The truths that a gold file states, and how many responses it leaves without a gold (they take no part).

    Ladders with fewer than two golds are left out.
    """
    kept, without = [], 0
    for judgment in gold.judgments:
        if judgment.scores is None:
            raise InputError(f"{gold.path}: {judgment.ladder!r} has preferences: a gold file needs scores")
        values = {r: s for r, s in judgment.scores.items() if s is not None}
        without += len(judgment.scores) - len(values)
        if len(values) >= 2:
            kept.append((judgment.ladder, list(values), list(values.values())))
    if not kept:
        raise InputError(f"{gold.path}: no ladder has two responses with a gold")
    return _with_ranks(kept, None), without


def gold_fingerprint(gold: ScoreFile) -> str:
    """What identifies a gold file: its ids and golds (there are no texts)."""
    return digest([j.ladder, sorted((j.scores or {}).items())] for j in gold.judgments)


def as_judgments(scores: Mapping[str, Any], truths: Sequence[Truth]) -> list[Judgment]:
    """Judgments from Python: {ladder id: {response id: number or None}} or {ladder id: [number or None, ...]}.

    A list is in the order of the ladder's responses.
    """
    if not isinstance(scores, Mapping):
        raise InputError(f"scores must be a mapping of ladder id to scores, is {type(scores).__name__}")
    responses = {t.ladder: t.responses for t in truths}
    judgments = []
    for key, values in scores.items():
        ladder = str(key)
        if isinstance(values, Mapping):
            own = {str(r): s for r, s in values.items()}
        elif hasattr(values, "__len__") and not isinstance(values, (str, bytes)):
            ids = responses.get(ladder, ())
            if ids and len(values) != len(ids):
                raise InputError(f"scores[{key!r}]: {len(values)} scores for {len(ids)} responses")
            own = dict(zip(ids or map(str, range(len(values))), values, strict=True))
        else:
            raise InputError(f"scores[{key!r}]: must map response ids to numbers, or list them, is {values!r}")
        try:
            judgments.append(Judgment(ladder, {r: _number(_plain(s), r) for r, s in own.items()}))
        except ValueError as error:
            raise InputError(f"scores[{key!r}]: {error}") from None
    return judgments


def _plain(value: Any) -> Any:
    # numpy and torch scalars say what they are through item().
    return value.item() if hasattr(value, "item") else value


def matched(truths: Sequence[Truth], judgments: Sequence[Judgment], where: str) -> list[Judgment]:
    """The judgments, if they speak of exactly the ladders and responses there are (null is speaking); else InputError.

    A null for a response that is not there is passed over: a Parquet struct has every row's responses in every row.
    """
    known = {t.ladder: frozenset(t.responses) for t in truths}
    unknown: list[str] = []
    missing: list[str] = []
    fitting: list[Judgment] = []
    for judgment in judgments:
        if judgment.ladder not in known:
            unknown += [f"{judgment.ladder} / {r}" for r in sorted(_responses(judgment))] or [judgment.ladder]
            continue
        there = known[judgment.ladder]
        if judgment.scores is not None:
            said = {r for r, s in judgment.scores.items() if s is not None or r in there}
            if len(said) < len(judgment.scores):
                judgment = replace(judgment, scores={r: s for r, s in judgment.scores.items() if r in said})
        else:
            said = _responses(judgment)
        unknown += [f"{judgment.ladder} / {r}" for r in sorted(said - there)]
        missing += [f"{judgment.ladder} / {r}" for r in sorted(there - said)]
        fitting.append(judgment)
    judged = {j.ladder for j in judgments}
    missing += [f"{t.ladder} / {r}" for t in truths if t.ladder not in judged for r in t.responses]
    problems = []
    if unknown:
        problems.append(
            _counted(unknown, "are not in the data set", "take them out, or check that it is this data set")
        )
    if missing:
        problems.append(_counted(missing, "have no score", "give null for a response that could not be scored"))
    if problems:
        raise InputError(listed(where, problems))
    return fitting


def _responses(judgment: Judgment) -> set[str]:
    """The responses that a judgment names."""
    return {*(judgment.scores or ()), *(r for p in judgment.preferences or () for r in (p.a, p.b))}


def _counted(names: Sequence[str], what: str, remedy: str) -> str:
    shown = ", ".join(islice(names, SHOWN))
    return f"{len(names):,} responses {what} ({remedy}): {shown}{', ...' if len(names) > SHOWN else ''}"

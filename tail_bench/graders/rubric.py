"""The rubric: a language model verifies criteria one by one, and their weights make the score (the paper, section 4).

score = sum of w V over the criteria / sum of the positive w, clipped to [0, 1], V from 0 (not met) to 1 (met). Criteria
with a negative weight take away, as in HealthBench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

import yaml
from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from pydantic import TypeAdapter, ValidationError

from tail_bench.errors import SHOWN, InputError, listed
from tail_bench.graders.messages import Thinking
from tail_bench.graders.presets import Preset
from tail_bench.graders.questions import Askers, Case, Question, answers_to, case_in
from tail_bench.judgments import Answer, Checked
from tail_bench.ladders.load import digest, read_records
from tail_bench.ladders.schema import Criterion, Ladder
from tail_bench.records import JUDGMENT, JudgmentRecord

Missing = Literal["unscored", "no"]
MISSING: tuple[Missing, ...] = ("unscored", "no")
VERIFY = ("together", "each")
SOURCES = ("dataset", "refined", "generic")

GENERIC = Path(__file__).parent / "generic_rubric.yaml"

_CRITERIA = TypeAdapter(list[Criterion])


def rubrics_of(source: str, ladders: Sequence[Ladder]) -> dict[str, list[Criterion]]:
    """Each ladder's criteria, by its id.

    source: `dataset` (the ladder's own rubric), `refined` (the criteria of its checks), `generic` (one for all prompts)
    or a JSONL file of {"id": ladder, "rubric": [{"criterion", "weight"}]}. InputError where a ladder has none, or its
    positive weights sum to nothing.
    """
    if source == "generic":
        shared = _CRITERIA.validate_python(yaml.safe_load(GENERIC.read_text(encoding="utf-8")))
        return {ladder.id: shared for ladder in ladders}
    if source in ("dataset", "refined"):
        found = {ladder.id: _own(ladder, source) for ladder in ladders}
        if without := [i for i, own in found.items() if not own]:
            field = "rubric" if source == "dataset" else "checks"
            raise InputError(
                f"rubric={source}: {_some(without, 'have')} no `{field}` in the data set; take generic or a PATH"
            )
        where = f"rubric={source}"
    else:
        found, where = _from_file(Path(source).expanduser(), ladders), source
    problems = [
        f"{ladder}: the positive weights sum to {sum(c.weight for c in own if c.weight > 0):g}, so it can give no score"
        for ladder, own in found.items()
        if not sum(c.weight for c in own if c.weight > 0) > 0
    ]
    if problems:
        raise InputError(listed(f"{where}: {len(problems)} rubrics cannot be used:", problems))
    return found


def _own(ladder: Ladder, source: str) -> list[Criterion]:
    if source == "dataset":
        return ladder.rubric or []
    return [Criterion(criterion=check.criterion, weight=check.weight) for check in ladder.checks or []]


def _from_file(path: Path, ladders: Sequence[Ladder]) -> dict[str, list[Criterion]]:
    if not path.is_file():
        raise InputError(f"rubric={path}: must be {', '.join(SOURCES)} or a JSONL file, and there is no such file")
    problems: list[str] = []
    found: dict[str, list[Criterion]] = {}
    for where, record in read_records(path, problems):
        if not isinstance(record, dict) or "id" not in record or "rubric" not in record:
            problems.append(f'{where}: must be {{"id": ladder, "rubric": [{{"criterion": ..., "weight": ...}}]}}')
            continue
        if str(record["id"]) in found:
            problems.append(f"{where}: id: {record['id']!r} is there twice")
            continue
        try:
            found[str(record["id"])] = _CRITERIA.validate_python(record["rubric"])
        except ValidationError as error:
            problems += [f"{where}: rubric.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    if problems:
        raise InputError(listed(f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}", problems))
    known = [ladder.id for ladder in ladders]
    if missing := [i for i in known if i not in found]:
        problems.append(f"{_some(missing, 'have')} no rubric in it")
    if unknown := sorted(found.keys() - set(known)):
        problems.append(f"it has rubrics for {_some(unknown)} that the data set does not have")
    if problems:
        raise InputError(listed(f"{path} is not a rubric file for these ladders:", problems))
    return found


def _some(ids: Sequence[str], verb: str = "") -> str:
    names = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
    one = len(ids) == 1
    return f"{len(ids):,} ladder{'' if one else 's'} ({names}) {verb and ('has' if one else 'have')}".rstrip()


def rubric_fingerprint(rubrics: Mapping[str, Sequence[Criterion]]) -> str:
    """sha256 over each ladder's criteria and weights."""
    return digest([ladder, [[c.criterion, c.weight] for c in own]] for ladder, own in rubrics.items())


def questions_about(case: Case, rubric: Sequence[Criterion], preset: Preset) -> list[Question]:
    """All questions about a ladder: a response with all criteria, or each response with each criterion."""
    if preset.mode == "verify-together":
        numbered = "\n".join(f"{n}. {' '.join(c.criterion.split())}" for n, c in enumerate(rubric, 1))
        return [
            Question((i,), {"prompt": case.prompt, "response": text, "criteria": numbered}, n=len(rubric))
            for i, text in case.shown.items()
        ]
    return [
        Question((i,), {"prompt": case.prompt, "response": text, "criterion": c.criterion}, criterion=n)
        for i, text in case.shown.items()
        for n, c in enumerate(rubric)
    ]


def checked_of(case: Case, rubric: Sequence[Criterion], answers: Sequence[Answer], soft: bool) -> Checked:
    """How far each response meets each criterion by the votes: their majority, or with `soft` their mean.

    None where no vote says, or as many say yes as no.
    """
    votes: dict[str, list[list[float]]] = {i: [[] for _ in rubric] for i in case.shown}
    for answer in answers:
        own = votes[answer.about[0]]
        for vote in answer.votes:
            for n, value in enumerate(vote or ()):
                if value is not None:
                    own[n if answer.criterion is None else answer.criterion].append(value)
    return Checked(
        tuple(c.criterion for c in rubric),
        tuple(float(c.weight) for c in rubric),
        {i: tuple(_met(said, soft) for said in own) for i, own in votes.items()},
    )


def _met(votes: Sequence[float], soft: bool) -> float | None:
    if not votes:
        return None
    if soft:
        return fmean(votes)
    yes, no = sum(v > 0.5 for v in votes), sum(v < 0.5 for v in votes)
    return None if yes == no else float(yes > no)


def score_of(met: Sequence[float | None], weights: Sequence[float], missing: Missing) -> float | None:
    """The score of a response; None where a criterion is unanswered, unless `missing` counts it as not met."""
    if missing == "unscored" and any(v is None for v in met):
        return None
    total = sum(w * (v or 0.0) for w, v in zip(weights, met, strict=True))
    return min(1.0, max(0.0, total / sum(w for w in weights if w > 0)))


def judgment_by(case: Case, checked: Checked, answers: Sequence[Answer], missing: Missing) -> JudgmentRecord:
    """The judgment that a checked rubric amounts to."""
    scores: dict[str, float | None] = dict.fromkeys([*case.shown, *case.unusable])
    reasons = dict(case.unusable)
    failed = {a.about[0]: a.why for a in answers if a.failed}
    for response, met in checked.met.items():
        if response in failed:  # the call failed: that says nothing of the response, whatever `missing` says
            reasons[response] = failed[response] or "no answer"
            continue
        scores[response] = score_of(met, checked.weights, missing)
        if scores[response] is None:
            without = [n for n, v in enumerate(met) if v is None]
            why = next((a.why for a in answers if a.about[0] == response and a.why), "as many yes as no")
            reasons[response] = f"{len(without)} of {len(met)} criteria unanswered: {why}"
    return JudgmentRecord(scores=scores, reasons=reasons, answers=list(answers), checked=checked)


@solver
def rubric(
    preset: Preset,
    votes: int = 1,
    soft: bool = False,
    missing: Missing = "unscored",
    seed: int = 0,
    thinking: Thinking = "keep",
) -> Solver:
    """Have a language model verify a ladder's rubric (in the sample's metadata) for each response; keep the judgment.

    Args:
        preset: verify-each or verify-together.
        votes: replies to each question; their majority counts.
        soft: the mean of the votes, or of P(yes), in place of the majority.
        missing: what an unanswered criterion means: the response is `unscored`, or the criterion is not met (`no`).
        seed: of the order in which responses are asked about.
        thinking: whether reasoning in a response is kept or stripped.
    """
    askers = Askers(preset, votes, logprobs=soft)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        criteria = _CRITERIA.validate_python(state.metadata["criteria"])
        case = case_in(state, seed, thinking)
        questions = questions_about(case, criteria, preset)
        answers, calls = await answers_to(questions, preset, askers.of(get_model()), case.ladder)
        checked = checked_of(case, criteria, answers, soft)
        state.metadata[JUDGMENT] = judgment_by(case, checked, answers, missing).model_dump() | {"calls": calls}
        return state

    return solve

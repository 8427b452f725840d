"""Score a data set into a score file: what tail-bench score does."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tail_bench.bulk.engines import (
    Engine,
    EngineSettings,
    default_engine,
    make_engine,
    prerequisites_as_input_errors,
    why,
)
from tail_bench.bulk.progress import progress
from tail_bench.bulk.score_file import ENDINGS, Journal, same_settings, write_scores
from tail_bench.errors import InputError
from tail_bench.graders.messages import COLUMNS, Thinking, prompt_messages
from tail_bench.graders.reward import said, shown_to
from tail_bench.judgments import Judgment, read_scores
from tail_bench.ladders.load import Dataset, load_dataset
from tail_bench.ladders.schema import Ladder
from tail_bench.providers.reward_model import Reward, ScoreRequest

SECRET = re.compile(r"key|token$|secret|password|credential|header", re.IGNORECASE)
"""Names of model arguments whose values are not written to a file."""


class ScoringStoppedError(Exception):
    """The model failed, or the user stopped it; what was done is kept, and the message says how to go on."""


@dataclass(frozen=True)
class ScoringSettings:
    """What is scored and how the responses are shown, as in tail_reward."""

    dataset: str = "ladders"
    split: str | None = None
    limit: int | None = None
    thinking: Thinking = "keep"
    truncate: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """What a score file holds. already: it was there before. resumed: ladders that an earlier run had scored."""

    path: Path
    ladders: int
    responses: int
    unscored: int
    reasons: Counter[str] = field(default_factory=Counter)
    already: bool = False
    resumed: int = 0


def score(engine_name: str | None, asked: EngineSettings, settings: ScoringSettings, out: Path) -> Scored:
    """Score a data set with a model into the file `out`.

    InputError where that cannot be done as asked, ScoringStoppedError where it was not done to its end.
    """
    _check_out(out)
    dataset = load_dataset(settings.dataset, settings.split)
    name = engine_name or default_engine(asked.model)
    engine = make_engine(name, asked)
    model = {"model": asked.model, "model_args": _without_secrets(asked.model_args or {})}
    return score_dataset(dataset, engine, out, settings, model, name)


def score_dataset(
    dataset: Dataset,
    engine: Engine,
    out: Path,
    settings: ScoringSettings,
    model: Mapping[str, Any],
    engine_name: str,
) -> Scored:
    """Score the ladders with an engine into the file `out`, going on with what its journal holds.

    model: its name and arguments; what was begun with another is not gone on with. engine_name: for the header, where
    the engine's own facts do not name one.
    """
    from pydantic_core import to_jsonable_python

    from tail_bench import __version__

    ladders = dataset.ladders[: settings.limit]
    with prerequisites_as_input_errors():
        own = {
            **model,
            "model_fingerprint": engine.fingerprint(),
            "dataset_fingerprint": dataset.fingerprint,
            "limit": settings.limit,
            "thinking": settings.thinking,
            "truncate": settings.truncate,
            "seed": settings.seed,
        }
    own = to_jsonable_python(own, fallback=str)
    journal_path = out.with_name(out.name + ".partial")
    if out.exists():
        done = _already(out, own)
        journal_path.unlink(missing_ok=True)  # of a run that was killed between its last two steps
        return _summary(out, done, already=True)
    journal = Journal(journal_path, own)
    resumed = sum(ladder.id in journal.judgments for ladder in ladders)
    try:
        _score_rest(ladders, engine, journal, settings)
        judgments = [journal.judgments[ladder.id] for ladder in ladders]
        header = {
            "model": own["model"],
            "engine": engine_name,
            **_facts(journal),
            **own,
            "dataset": dataset.name,
            "tail_bench": __version__,
        }
        write_scores(out, header, judgments)
    except (Exception, KeyboardInterrupt) as error:
        kept = f"{sum(x.id in journal.judgments for x in ladders):,} of {len(ladders):,} ladders are in {journal_path}"
        if isinstance(error, InputError):
            if not journal.judgments:
                journal.remove()  # nothing to go on with, so nothing to be in the way
            raise
        said = "stopped" if isinstance(error, KeyboardInterrupt) else why(error)
        raise ScoringStoppedError(f"{said}\n{kept}: run the same command again to go on") from error
    finally:
        journal.close()
    journal.remove()
    return _summary(out, judgments, resumed=resumed)


def _score_rest(ladders: Sequence[Ladder], engine: Engine, journal: Journal, settings: ScoringSettings) -> None:
    """Score the ladders that the journal does not hold, into it."""
    from pydantic_core import to_jsonable_python

    rest = [ladder for ladder in ladders if ladder.id not in journal.judgments]
    asked: dict[str, _Asked] = {}

    with progress(len(ladders), len(ladders) - len(rest)) as advance, prerequisites_as_input_errors():

        def keep(judgment: Judgment) -> None:
            journal.add(judgment)
            scores = judgment.scores or {}
            advance(len(scores), sum(s is None for s in scores.values()))

        def requests() -> Iterator[tuple[str, ScoreRequest]]:
            for ladder in rest:
                own, request = _ask(ladder, settings)
                if request.responses:
                    asked[ladder.id] = own
                    yield ladder.id, request
                else:
                    keep(own.judgment([]))

        with closing(engine.score(requests())) as found:
            for ladder, rewards in found:
                journal.add_facts(to_jsonable_python(engine.facts(), fallback=str))
                keep(asked.pop(ladder).judgment(rewards))
    if asked:
        raise RuntimeError(f"the engine gave no rewards for {len(asked)} ladders, among them {next(iter(asked))}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is remembered of a ladder while its rewards are computed: no texts."""

    ladder: str
    responses: tuple[str, ...]
    shown: tuple[str, ...]
    lost: dict[str, Reward]

    def judgment(self, rewards: Sequence[Reward]) -> Judgment:
        """The judgment, as the reward grader makes it."""
        return Judgment(self.ladder, **said(self.responses, dict(zip(self.shown, rewards, strict=True)) | self.lost))


def _ask(ladder: Ladder, settings: ScoringSettings) -> tuple[_Asked, ScoreRequest]:
    """A ladder as a request: the same messages in the same order as tail_reward shows."""
    prompt = prompt_messages(ladder)
    shown, lost = shown_to(ladder.id, ladder.responses, settings.seed, settings.thinking)
    columns = (prompt[-1].metadata or {}).get(COLUMNS, {})
    asked = _Asked(ladder.id, tuple(r.id for r in ladder.responses), tuple(r for r, _ in shown), lost)
    return asked, ScoreRequest(prompt, [message for _, message in shown], columns, settings.truncate)


def _facts(journal: Journal) -> dict[str, Any]:
    """What all facts of the journal say alike; what they say differently becomes a warning, as in a report on a log."""
    from tail_bench.sections import facts

    found, warnings = facts([Judgment("", facts=own) for own in journal.facts])
    return {**found, **({"warnings": warnings} if warnings else {})}


def _already(out: Path, settings: Mapping[str, Any]) -> list[Judgment]:
    """The judgments of a file that is there already, if it is what the same command would write; else InputError."""
    hint = "delete it, or choose another --out"
    try:
        file = read_scores(out)
    except InputError as error:
        raise InputError(f"{out} is there already and is no score file: {hint}") from error
    if "model_fingerprint" not in file.header:
        raise InputError(f"{out} is there already and was not written by tail-bench score: {hint}")
    same_settings(file.header, settings, out, "is there already, scored")
    return file.judgments


def _summary(out: Path, judgments: Sequence[Judgment], already: bool = False, resumed: int = 0) -> Scored:
    scores = [(r, s, j) for j in judgments for r, s in (j.scores or {}).items()]
    reasons = Counter(j.reasons.get(r, "no reward") for r, s, j in scores if s is None)
    return Scored(out, len(judgments), len(scores), reasons.total(), reasons, already, resumed)


def _check_out(out: Path) -> None:
    """InputError, before anything is computed, where the file could not be written in the end."""
    if out.suffix not in ENDINGS:
        raise InputError(f"--out {out}: must end in {' or '.join(ENDINGS)}")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: {out.parent} cannot be written to")


def _without_secrets(value: Any) -> Any:
    """Model arguments as they may be written to a file."""
    if isinstance(value, Mapping):
        return {k: "***" if SECRET.search(str(k)) else _without_secrets(v) for k, v in value.items()}
    return value

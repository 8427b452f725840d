"""From Inspect logs to reports. A log may come from a stranger: what it says of a ladder is validated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tail_bench.errors import InputError
from tail_bench.ladders.tail import TailSpec
from tail_bench.pairing import resolve_tail
from tail_bench.records import ScoreRecord, TaskRecord
from tail_bench.reporting import BOOTSTRAP, Report, build_report

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

SCORER = "ladder_scorer"

MOST_TOKENS = 10**15


def find_logs(paths: Sequence[str | Path]) -> list[str]:
    """The log files that the paths name, folders searched; InputError where a path is none or holds none."""
    from inspect_ai.log import list_eval_logs

    found: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            logs = [info.name for info in list_eval_logs(str(path), descending=False)]
            if not logs:
                raise InputError(f"{path}: no Inspect logs in this folder")
            found += logs
        elif path.is_file():
            found.append(str(path))
        else:
            raise InputError(f"{path}: no such log or folder")
    return found


def report_log(path: str, tail: str | None = None, min_margin: float | None = None) -> Report:
    """The report of one log; `tail` and `min_margin` re-score its judgments without a model call.

    InputError where the file is not a log, or not one of tail_bench's.
    """
    from inspect_ai.log import read_eval_log

    try:
        # All that a report needs is in the scores: a judge's log holds every call beside them.
        log = read_eval_log(path, exclude_fields={"events", "messages", "store", "attachments"})
    except Exception as error:  # a stranger's file: zip, JSON and pydantic errors, whatever it provokes
        if path.endswith((".jsonl", ".parquet")):
            said = "a score file is reported with --scores FILE --dataset D"
            raise InputError(f"{path}: is no Inspect log; {said}") from error
        raise InputError(f"{path}: cannot be read as an Inspect log: {error}") from error
    records = _records(log, path)
    first = records[0]
    truths = list({r.ladder: r.truth() for r in records}.values())
    margin = first.min_margin if min_margin is None else min_margin
    chosen = tail is not None or min_margin is not None
    spec = resolve_tail(truths, tail or first.tail, margin) if chosen else TailSpec.parse(first.tail)
    planned = len(log.eval.dataset.sample_ids or []) * max(1, log.eval.config.epochs or 1)
    try:
        about = TaskRecord.model_validate((log.eval.metadata or {}).get("tail_bench"))
        return build_report(
            truths,
            [r.said() for r in records],
            spec,
            margin,
            grader={**about.grader, "name": log.eval.model, "kind": about.kind},
            dataset=about.dataset.model_dump(),
            run={
                "versions": {**log.eval.packages, "tail-bench": about.version},
                "completed": len(records),
                "total": max(planned, len(records)),
                "status": log.status,
                "settings": {
                    "task": log.eval.task,
                    "task_args": log.eval.task_args,
                    "model_args": log.eval.model_args,
                    "epochs": log.eval.config.epochs or 1,
                    **BOOTSTRAP,
                },
            },
            used=_used(log, sum(r.judgment.calls for r in records)),
        )
    except ValidationError as error:
        raise InputError(f"{path}: what it says of tail_bench is malformed: {error}") from error


def _used(log: EvalLog, calls: int) -> dict[str, Any]:
    """Calls, tokens and dollars of a log's samples (a retried run's log has all of them, its own statistics do not)."""
    from inspect_ai.model import ModelUsage

    total = ModelUsage()
    for sample in log.samples or []:
        for usage in sample.model_usage.values():
            total += usage
    cached = (total.input_tokens_cache_read or 0) + (total.input_tokens_cache_write or 0)
    used = {
        "input_tokens": total.input_tokens + cached,
        "output_tokens": total.output_tokens,
        "reasoning_tokens": total.reasoning_tokens or 0,
        "cached_tokens": total.input_tokens_cache_read or 0,
    }
    # A stranger's log may say anything: what cannot be is not repeated.
    usd = total.total_cost if total.total_cost is not None and 0 <= total.total_cost < MOST_TOKENS else None
    return {"calls": calls, **{name: min(max(0, n), MOST_TOKENS) for name, n in used.items()}, "usd": usd}


def _records(log: EvalLog, path: str) -> list[ScoreRecord]:
    """The score records of a log, of its newest ladder_scorer where it was scored again.

    InputError where there are none, or they contradict each other.
    """
    samples = log.samples or []
    names = {name for sample in samples for name in sample.scores or {} if _generation(name) >= 0}
    newest = max(names, key=_generation, default=None)
    records: dict[tuple[str, int], ScoreRecord] = {}
    for sample in samples:
        if newest is None or newest not in (sample.scores or {}):
            continue
        try:
            record = ScoreRecord.model_validate((sample.scores or {})[newest].metadata)
        except ValidationError as error:
            raise InputError(f"{path}: sample {sample.id}: its score is not tail_bench's: {error}") from error
        if (record.ladder, sample.epoch) in records:
            raise InputError(f"{path}: sample {sample.id} is there twice (epoch {sample.epoch})")
        records[record.ladder, sample.epoch] = record
    if not records:
        raise InputError(
            f"{path}: no ladder in it was judged by tail_bench (task {log.eval.task}, status {log.status})"
            + (" (`inspect eval-retry LOG` goes on with it)" if log.status == "cancelled" else "")
            + (f": {log.error.message}" if log.error else "")
        )
    stated: dict[str, ScoreRecord] = {}
    first = next(iter(records.values()))
    for record in records.values():
        own = stated.setdefault(record.ladder, record)
        if (record.responses, record.golds, record.tiers) != (own.responses, own.golds, own.tiers):
            raise InputError(f"{path}: the epochs of {record.ladder} speak of different responses or golds")
        if (record.tail, record.min_margin) != (first.tail, first.min_margin):
            raise InputError(f"{path}: {record.ladder} and {first.ladder} were scored with different tails")
    return list(records.values())


def _generation(name: str) -> int:
    """0, 1, 2 for ladder_scorer, ladder_scorer1, ladder_scorer2 (`inspect score --action append` counts), else -1."""
    found = re.fullmatch(rf"(?:.*/)?{SCORER}([0-9]{{0,4}})", name)
    return int(found[1] or 0) if found else -1

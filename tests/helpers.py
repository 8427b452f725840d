"""Small data and runs that several tests need."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.log import EvalLog


def ladder(number: int, k: int = 4, **fields: Any) -> dict[str, Any]:
    """A ladder record: gold falls with the response's number, longer texts are worse."""
    return {
        "id": f"ladder-{number:03}",
        "prompt": f"Question {number}?",
        "responses": [
            {"id": f"r{i}", "text": f"answer {number} " + "more " * (i + 1), "gold": float(k - i)} for i in range(k)
        ],
    } | fields


def write_jsonl(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def run(task: Task, model: str, tmp_path: Path, **arguments: Any) -> EvalLog:
    """A run in process, with its log under tmp_path."""
    (log,) = eval(task, model=model, log_dir=str(tmp_path / "logs"), display="none", **arguments)
    return log


def unit(*parts: object) -> float:
    """A number in [0, 1) that is random in the parts and always the same."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def within(figure: Any, value: float) -> bool:
    """Whether a reported figure's interval holds the value."""
    return figure.ci_low <= value <= figure.ci_high

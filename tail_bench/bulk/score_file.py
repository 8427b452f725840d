"""Write a score file (tail_bench.judgments.read_scores reads it), and the journal of one that is under way.

The journal, FILE.partial, is JSON lines: first {"settings": ...}, then a score file's record for each ladder that is
done, and {"facts": ...} where the model says anew how it scores. A line is written and flushed when a ladder is done,
so that a run that is killed loses only what was in flight.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tail_bench.errors import InputError
from tail_bench.judgments import Judgment, judgment_of, record_of

ENDINGS = (".jsonl", ".parquet")


class Journal:
    """What is scored so far: judgments by ladder, and the facts under which they were."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Take up the journal at `path` or begin it; InputError where it is of other settings or cannot be read."""
        self.path = path
        self.judgments: dict[str, Judgment] = {}
        self.facts: list[dict[str, Any]] = []
        try:
            whole = self._read(settings) if path.exists() else 0
            self._file: IO[bytes] = path.open("ab")
            self._file.truncate(whole)  # the last line, if it was torn
            if not whole:
                self._write({"settings": settings})
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _read(self, settings: Mapping[str, Any]) -> int:
        """Read what is there; the number of bytes of it that are whole lines."""
        whole = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._take(json.loads(line), number, settings)
                except InputError:
                    raise
                except ValueError as error:
                    raise InputError(f"{self.path}:{number}: {error}; delete it, or choose another --out") from error
                whole += len(line)
        return whole

    def _take(self, record: Any, number: int, settings: Mapping[str, Any]) -> None:
        if number == 1:
            found = record.get("settings") if isinstance(record, dict) else None
            if not isinstance(found, dict):
                raise ValueError("is no journal of tail-bench score")
            same_settings(found, settings, self.path, "was begun")
        elif isinstance(record, dict) and isinstance(record.get("facts"), dict):
            self.facts.append(record["facts"])
        else:
            judgment = judgment_of(record)
            self.judgments[judgment.ladder] = judgment

    def add(self, judgment: Judgment) -> None:
        """Keep a ladder's judgment."""
        line = self._write(record_of(judgment))
        self.judgments[judgment.ladder] = judgment_of(json.loads(line))  # as a run that goes on will read it

    def add_facts(self, facts: dict[str, Any]) -> None:
        """Keep how the model says that it scores, if it did not say so before."""
        if facts and facts not in self.facts:
            self._write({"facts": facts})
            self.facts.append(facts)

    def _write(self, record: Mapping[str, Any]) -> bytes:
        line = json_line(record)
        self._file.write(line)
        self._file.flush()
        return line

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file: its content is elsewhere."""
        self.close()
        self.path.unlink(missing_ok=True)


def same_settings(found: Mapping[str, Any], settings: Mapping[str, Any], path: Path, what: str) -> None:
    """InputError where a file was scored, or begun, with other settings than these."""
    differ = [_difference(name, found.get(name), own) for name, own in settings.items() if found.get(name) != own]
    if differ:
        raise InputError(f"{path} {what} with other settings ({'; '.join(differ)}): delete it, or choose another --out")


def _difference(name: str, there: Any, now: Any) -> str:
    if name == "model_fingerprint":
        return "the model itself, its code, files, arguments or address, has changed"
    shown = [json.dumps(v, ensure_ascii=False, sort_keys=True) for v in (there, now)]
    return f"{name}: {' there, '.join(s if len(s) <= 80 else s[:77] + '...' for s in shown)} now"


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record as a line of UTF-8. Half a character (a reason may quote one) has no form there, and becomes `?`."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def write_scores(path: Path, header: Mapping[str, Any], judgments: Sequence[Judgment]) -> None:
    """Write a score file, by its ending as JSONL or Parquet; it is there whole or not at all."""
    unfinished = path.with_name(path.name + ".tmp")
    try:
        if path.suffix == ".parquet":
            _write_parquet(unfinished, header, judgments)
        else:
            with unfinished.open("wb") as file:
                file.write(json_line({"header": header}))
                file.writelines(json_line(record_of(j)) for j in judgments)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_parquet(path: Path, header: Mapping[str, Any], judgments: Sequence[Judgment]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(name: str, kind: Any, values: Iterable[Any]) -> tuple[Any, Any]:
        return pa.field(name, kind), pa.array(values, kind)

    text = pa.string()
    # A map and not a struct: a struct would have every ladder's responses in every row.
    columns = [
        column("id", text, [j.ladder for j in judgments]),
        column("scores", pa.map_(text, pa.float64()), [list((j.scores or {}).items()) for j in judgments]),
        column("reasons", pa.map_(text, text), [list(j.reasons.items()) or None for j in judgments]),
        column("truncated", pa.list_(text), [list(j.truncated) or None for j in judgments]),
        column("alone", text, [j.alone for j in judgments]),
    ]
    schema = pa.schema([field for field, _ in columns], {"header": json_line(header).decode().strip()})
    pq.write_table(pa.table([values for _, values in columns], schema=schema), path)

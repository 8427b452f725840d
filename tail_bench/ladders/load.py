"""Load ladders from the embedded data set, JSONL or Parquet; anything malformed is named by file, line and field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tail_bench.errors import InputError, listed
from tail_bench.ladders.schema import Ladder

EMBEDDED = Path(__file__).parent / "embedded" / "ladders.jsonl"
EMBEDDED_NAME = "ladders"
EMBEDDED_VERSION = "0.1.0"


@dataclass(frozen=True)
class Dataset:
    """Ladders with what identifies them: name, version (where it has one) and fingerprint of the whole set."""

    name: str
    version: str | None
    ladders: list[Ladder]
    fingerprint: str


def load(source: str | Path, split: str | None = None) -> list[Ladder]:
    """The ladders of a data set: "ladders" (embedded) or a path to a .jsonl or .parquet file.

    InputError names file, line and field of what is malformed.
    """
    return load_dataset(source, split).ladders


def as_dataset(ladders: Dataset | Sequence[Ladder]) -> Dataset:
    """Ladders as they are given in Python, as a data set."""
    if isinstance(ladders, Dataset):
        return ladders
    return Dataset("ladders given", None, list(ladders), fingerprint(list(ladders)))


def load_dataset(source: str | Path, split: str | None = None) -> Dataset:
    """Like `load`, with name, version and fingerprint. `split` keeps the ladders of one split."""
    if str(source) == EMBEDDED_NAME:
        name, version, ladders = EMBEDDED_NAME, EMBEDDED_VERSION, read_ladders(EMBEDDED)
        split = "public" if split is None else split
    else:
        path = Path(source).expanduser()
        name, version, ladders = path.stem, None, read_ladders(path)
    if split is not None:
        splits = sorted({ladder.split for ladder in ladders if ladder.split is not None})
        ladders = [ladder for ladder in ladders if ladder.split == split]
        if not ladders:
            raise InputError(f"{source}: no ladder in split {split!r}; splits there: {', '.join(splits) or 'none'}")
    return Dataset(name, version, ladders, fingerprint(ladders))


def fingerprint(ladders: Sequence[Ladder]) -> str:
    """sha256 over the sorted canonical JSON of (id, prompt, response ids, texts, golds, tiers)."""
    return digest(
        [
            ladder.id,
            ladder.model_dump(include={"prompt"}, exclude_none=True)["prompt"],
            [r.id for r in ladder.responses],
            [r.text for r in ladder.responses],
            [r.gold for r in ladder.responses],
            [r.tier for r in ladder.responses],
        ]
        for ladder in ladders
    )


def digest(records: Iterable[Any]) -> str:
    """sha256 over the records' canonical JSON, sorted: the order of a file's lines does not matter."""
    lines = sorted(json.dumps(r, sort_keys=True, ensure_ascii=False, separators=(",", ":")) for r in records)
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return found.hexdigest()


def read_ladders(path: Path) -> list[Ladder]:
    """All ladders of a file, validated; InputError with the first few problems and their number."""
    problems: list[str] = []
    ladders: list[Ladder] = []
    seen: dict[str, tuple[str, type]] = {}
    for where, record in read_records(path, problems):
        if not isinstance(record, dict):
            problems.append(f"{where}: must be a JSON object, is {type(record).__name__}")
            continue
        try:
            ladder = Ladder.model_validate(record)
        except ValidationError as error:
            # Of a union's branches only the one that the input is of: a list of messages is no failed string.
            errors = [e for e in error.errors() if not (e["type"] == "string_type" and isinstance(e["input"], list))]
            problems += [f"{where}: {_field(e['loc'])}{_message(e)}" for e in errors or error.errors()]
            continue
        if ladder.id in seen:
            problems.append(f"{where}: id: {ladder.id!r} is already the id of {seen[ladder.id][0]}")
        seen[ladder.id] = (where, type(record["id"]))
        ladders.append(ladder)
    problems += mixed_ids({kind: where for where, kind in seen.values()})
    if problems:
        title = f"{len(problems)} problem{'s' * (len(problems) > 1)} in {path}:"
        hint = "\nThe record format is described in the README under 'Your own data set'."
        raise InputError(listed(title, problems) + hint)
    if not ladders:
        raise InputError(f"{path}: no ladders in it")
    return ladders


def mixed_ids(kinds: Mapping[type, str]) -> list[str]:
    """The problem with ids of several types, given a place where each type is; empty where there is none."""
    if len(kinds) < 2:
        return []
    (a, where_a), (b, where_b) = list(kinds.items())[:2]
    return [f"ids are mixed: {a.__name__} at {where_a}, {b.__name__} at {where_b}; write all as strings"]


def read_records(path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """(where, record) of each line of a JSONL or row of a Parquet file; lines that are not JSON go to `problems`."""
    if not path.is_file():
        hint = f"; the embedded data set is called {EMBEDDED_NAME!r}" if path.suffix == "" else ""
        raise InputError(f"{path}: no such file{hint}")
    if path.suffix == ".parquet":
        yield from _parquet_records(path)
    elif path.suffix in (".jsonl", ".ndjson", ".json"):
        yield from _json_lines(path, problems)
    else:
        raise InputError(f"{path}: must end in .jsonl or .parquet")


def _json_lines(path: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"{path.name}:{number}"
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=_distinct_keys)
                if rb"\ud" in line.lower():  # half a character can be escaped in JSON, but not be written as UTF-8
                    json.dumps(record, ensure_ascii=False).encode()
                yield where, record
            except (ValueError, RecursionError) as error:
                problems.append(f"{where}: not a JSON object on one line of UTF-8: {error}")


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):  # json would keep the last and drop the others
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return record


def _parquet_records(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for record in batch.to_pylist():
                number += 1
                yield f"{path.name} row {number}", _without_nulls(record)
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from error


def _without_nulls(value: Any) -> Any:
    # A Parquet column is there for every row: a null in a nested record says "no such field".
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def _field(location: tuple[int | str, ...]) -> str:
    # pydantic names the branch of a union it tried; a user knows only the fields of the file.
    parts = [str(p) for p in location if not (isinstance(p, str) and ("[" in p or p in ("str", "Message")))]
    return f"{'.'.join(parts)}: " if parts else ""


def _message(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return "is missing"
    value = repr(error["input"])
    return message if "got" in message or len(value) > 60 else f"{message} (got {value})"

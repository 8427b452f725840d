"""Checks for free text turned into JSON: the schema, single fields, and what must stay null.

The JSON is the last fenced block that parses, or else the outermost braces or brackets of the text. A path is
"incident.date", "items.0.price", or "items.[description~bike|cycle].price" for the one element of a list
whose field contains one of the words. `field` leaves types to `schema` ("12.50" is 12.5 to it).
"""

from __future__ import annotations

import json
import re
from typing import Any

from tail_bench.ladders.checks import Verdict

_MISSING = object()
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def schema(text: str, schema: dict[str, Any]) -> Verdict:
    """The JSON has the keys and types of a schema (of JSON Schema: type, enum, pattern, properties, items).

    Every property is required and no other is allowed.
    """
    data = _json(text)
    if data is _MISSING:
        return Verdict(False, "no JSON that parses")
    problem = _problem(data, schema, "$")
    return Verdict(problem is None, problem or "follows the schema")


def field(text: str, path: str, value: Any, also: list[Any] | None = None) -> Verdict:
    """The field at `path` is `value`, or one of `also`; case and spacing of text do not matter."""
    found = _at(_json(text), path)
    wanted = [value, *(also or [])]
    return Verdict(any(_same(found, w) for w in wanted), f"{path} is {_show(found)}, right is {_show(value)}")


def nulls(text: str, paths: list[str]) -> Verdict:
    """Every field at `paths` is null (the source does not say)."""
    data = _json(text)
    if data is _MISSING:
        return Verdict(False, "no JSON that parses")
    filled = [f"{p} = {_show(_at(data, p))}" for p in paths if _at(data, p) is not None]
    return Verdict(not filled, "not stated in the source: " + ", ".join(filled) if filled else "all null")


def length(text: str, path: str, n: int) -> Verdict:
    """The list at `path` has `n` elements."""
    found = _at(_json(text), path)
    size = len(found) if isinstance(found, list) else None
    return Verdict(size == n, f"{path} has {size} elements, right is {n}")


def _json(text: str) -> Any:
    """The response's JSON value, or _MISSING."""
    blocks = re.findall(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", text, re.S | re.M)
    starts = sorted((text.find(a), b) for a, b in ("{}", "[]") if a in text)
    spans = [text[start : text.rfind(end) + 1] for start, end in starts]
    for block in [*reversed(blocks), *spans]:
        try:
            value = json.loads(block)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            return value
    return _MISSING


def _at(data: Any, path: str) -> Any:
    """The value at a path. A key that is absent reads as null: its absence is for `schema` to see."""
    if data is _MISSING:
        return _MISSING
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        if step.startswith("["):
            key, _, words = step[1:-1].partition("~")
            rows = [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []
            hits = [r for r in rows if re.search(words, str(r.get(key, "")), re.I)]
            if len(hits) != 1:
                return _MISSING
            data = hits[0]
        elif isinstance(data, list):
            if not step.isdigit() or int(step) >= len(data):
                return _MISSING
            data = data[int(step)]
        elif isinstance(data, dict):
            data = data.get(step)
        else:
            return _MISSING
    return data


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or wanted is None or found is None:
        return found is wanted
    if isinstance(wanted, (int, float)):
        if isinstance(found, bool) or not isinstance(found, (int, float, str)):
            return False
        try:
            return abs(float(found) - wanted) < 1e-6
        except (ValueError, OverflowError):
            return False
    if isinstance(wanted, str):
        return isinstance(found, (str, int)) and _plain(str(found)) == _plain(wanted)
    return bool(found == wanted)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _show(value: Any) -> str:
    return "missing" if value is _MISSING else json.dumps(value, ensure_ascii=False)[:80]


def _problem(value: Any, schema: dict[str, Any], where: str) -> str | None:
    """The first way in which a value departs from the schema."""
    types = schema.get("type", list(_TYPES))
    types = [types] if isinstance(types, str) else types
    if not any(
        isinstance(value, _TYPES[t]) and not (isinstance(value, bool) and t in ("number", "integer")) for t in types
    ):
        return f"{where} is {_show(value)}, must be {' or '.join(types)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is {_show(value)}, must be one of {schema['enum']}"
    if isinstance(value, str) and not re.fullmatch(schema.get("pattern", ".*"), value, re.S):
        return f"{where} is {_show(value)}, not in the form asked for"
    if isinstance(value, dict) and "properties" in schema:
        wrong = sorted(set(value) ^ set(schema["properties"]))
        if wrong:
            return f"{where}: {'unknown' if wrong[0] in value else 'missing'} key {wrong[0]!r}"
        found = [_problem(v, schema["properties"][k], f"{where}.{k}") for k, v in value.items()]
        return next((f for f in found if f), None)
    if isinstance(value, list) and "items" in schema:
        found = [_problem(v, schema["items"], f"{where}[{i}]") for i, v in enumerate(value)]
        return next((f for f in found if f), None)
    return None

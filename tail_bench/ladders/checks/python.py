"""Checks of a Python function: hidden calls, run in a child process with limits."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

from tail_bench.ladders.checks import Verdict, sandbox


def calls(text: str, name: str, cases: list[dict[str, Any]], cpu_seconds: int = 5) -> Verdict:
    """Whether the response's `name` (a function or class) does in each case what it should.

    A case has `call` (an expression), optionally `setup` (statements before it), and either `returns` (a
    Python literal, as text) or `raises` (the name of an exception, or a list of names). Values compare as
    data: lists and tuples are alike, a float agrees to 1e-9, a bool is no number. What has no literal, wrap
    in the call: `str(f(x))`.
    """
    blocks = _code(text, name)
    if not blocks:
        return Verdict(False, f"no code that defines {name}")
    asked = [{key: case.get(key, "") for key in ("setup", "call")} for case in cases]
    payload = {"blocks": blocks, "cases": asked}
    outcome = sandbox.run(_run_cases, payload, helpers=(_plain,), cpu_seconds=cpu_seconds)
    if outcome.error is not None:
        return Verdict(False, outcome.error)
    if not isinstance(outcome.result, list) or len(outcome.result) != len(cases):
        return Verdict(False, "no result for each case")
    for case, got in zip(cases, outcome.result, strict=True):
        got = got if isinstance(got, dict) else {}
        if "raises" in case:
            wanted = case["raises"] if isinstance(case["raises"], list) else [case["raises"]]
            passed, expected = any(w in got.get("raised", ()) for w in wanted), " or ".join(wanted)
        else:
            value = _plain(ast.literal_eval(case["returns"]))
            passed, expected = "value" in got and _same(value, got["value"]), case["returns"]
        if not passed:
            return Verdict(False, f"{case['call']} should give {expected}, gave {got.get('shown')}")
    return Verdict(True, f"right in {len(cases)} cases")


def _code(text: str, name: str) -> list[str]:
    """The Python blocks up to the last one that defines `name`; a text without a fence is code as a whole."""
    blocks = [b.code for b in sandbox.code_blocks(text) if re.fullmatch(r"|py|python\d*", b.language)]
    if "```" not in text and "~~~" not in text:
        blocks = [text]
    defines = re.compile(rf"^(?:(?:async\s+)?def|class)\s+{name}\b|^{name}\s*[:=](?!=)", re.M)
    last = max((i for i, block in enumerate(blocks) if defines.search(block)), default=-1)
    return blocks[: last + 1]


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON data; runs in the child as well."""
    if depth > 50:
        return {"deep": "..."}
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, dict):
        items = ([_plain(k, depth + 1), _plain(v, depth + 1)] for k, v in value.items())
        return {"dict": sorted(items, key=repr)}
    if isinstance(value, set | frozenset):
        return {"set": sorted((_plain(v, depth + 1) for v in value), key=repr)}
    return {type(value).__name__: repr(value)}


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        if isinstance(expected, int) and isinstance(got, int):
            return expected == got
        return math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(expected) and math.isnan(got))
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(_same, expected, got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(_same(expected[k], got[k]) for k in expected)
    return type(expected) is type(got) and bool(expected == got)


def _run_cases(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs in the child: load the response's code, make each call, report what came out."""
    import contextlib
    import reprlib
    import sys
    import types

    module = types.ModuleType("response")
    sys.modules["response"] = module
    *earlier, last = payload["blocks"]
    for block in earlier:
        # Shown on the way to the answer: helpers and imports count, a fragment that does not run is no harm.
        with contextlib.suppress(Exception):
            exec(compile(block, "<earlier block>", "exec"), module.__dict__)
    exec(compile(last, "<response>", "exec"), module.__dict__)
    results: list[dict[str, Any]] = []
    for case in payload["cases"]:
        scope = dict(module.__dict__)
        try:
            exec(case["setup"], scope)
            value = eval(case["call"], scope)
            results.append({"value": _plain(value), "shown": reprlib.repr(value)})
        except BaseException as error:
            raised = [c.__name__ for c in type(error).__mro__]
            results.append({"raised": raised, "shown": f"{type(error).__name__}: {error}"[:200]})
    return results

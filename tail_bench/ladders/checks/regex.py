"""Checks of a regular expression (Python's re), matched in a child: runaway backtracking only times out."""

from __future__ import annotations

import re
from typing import Any, Literal

from tail_bench.ladders.checks import Verdict, sandbox

Mode = Literal["fullmatch", "match", "search"]


def matches(
    text: str,
    accept: list[str] | None = None,
    reject: list[str] | None = None,
    mode: Mode = "fullmatch",
    cpu_seconds: int = 2,
) -> Verdict:
    """Whether the response's pattern matches every string of `accept` and none of `reject`."""
    subjects = [*(accept or []), *(reject or [])]
    outcome = _match(text, subjects, mode, cpu_seconds)
    if outcome.error is not None:
        return Verdict(False, outcome.error)
    for i, (subject, found) in enumerate(zip(subjects, outcome.result, strict=True)):
        if (found is not None) != (i < len(accept or [])):
            return Verdict(False, f"{'rejects' if found is None else 'accepts'} {subject[:200]!r}")
    return Verdict(True, f"right for {len(subjects)} strings")


def captures(text: str, cases: list[dict[str, Any]], mode: Mode = "fullmatch", cpu_seconds: int = 2) -> Verdict:
    """Whether the groups hold the right text; a case has `subject` and `groups` (name or number: text)."""
    outcome = _match(text, [case["subject"] for case in cases], mode, cpu_seconds)
    if outcome.error is not None:
        return Verdict(False, outcome.error)
    for case, found in zip(cases, outcome.result, strict=True):
        if found is None:
            return Verdict(False, f"rejects {case['subject']!r}")
        for group, wanted in case["groups"].items():
            if str(group) not in found:
                return Verdict(False, f"has no group {group}")
            if found[str(group)] != wanted:
                return Verdict(False, f"group {group} of {case['subject']!r} is {found[str(group)]!r}, not {wanted!r}")
    return Verdict(True, f"right for {len(cases)} strings")


def _match(text: str, subjects: list[str], mode: Mode, cpu_seconds: int) -> sandbox.Outcome:
    """For each subject its groups by name and number, or None where the pattern does not match.

    A pattern stands in Python code (`PATTERN = r"..."`, `re.compile(...)`) or bare: in the last code block,
    else in the last inline code, else as the whole text.
    """
    blocks = sandbox.code_blocks(text)
    code = [b.code for b in blocks if re.fullmatch(r"|py|python\d*", b.language)]
    bare = [b.code for b in blocks if not b.language.startswith("py")]
    marked = [b.code for b in blocks if b.language.startswith("re")]
    if not blocks:
        bare = re.findall(r"`([^`\n]+)`", text) or [text]
    payload = {"code": code, "bare": (marked or bare)[-1:], "subjects": subjects, "mode": mode}
    return sandbox.run(_match_all, payload, helpers=(_pattern,), cpu_seconds=cpu_seconds)


def _pattern(code: list[str], bare: list[str]) -> Any:
    """Runs in the child: the compiled pattern that Python code holds, or the bare one."""
    import contextlib
    import re

    scope: dict[str, Any] = {"__name__": "response", "re": re}
    for block in code:
        with contextlib.suppress(Exception):  # a bare pattern, or sample output: not Python
            exec(compile(block, "<response>", "exec"), scope)
    held = {name: v for name, v in scope.items() if not name.startswith("__")}
    if compiled := [v for v in held.values() if isinstance(v, re.Pattern)]:
        return compiled[-1]
    texts = {name: v for name, v in held.items() if isinstance(v, str)}
    if named := [v for name, v in texts.items() if re.search("pat|reg|rx", name, re.I)] or list(texts.values()):
        return re.compile(named[-1])
    if not bare:
        raise ValueError("no pattern in the code")
    pattern = bare[0].strip("\n")
    pattern = pattern if "\n" in pattern else pattern.strip()
    if quoted := re.fullmatch(r"""r?(["'])(.+)\1""", pattern):
        pattern = quoted[2]
    elif slashed := re.fullmatch(r"/(.+)/([aimsx]*)", pattern):
        pattern = (f"(?{slashed[2]})" if slashed[2] else "") + slashed[1]
    return re.compile(pattern)


def _match_all(payload: dict[str, Any]) -> list[dict[str, Any] | None]:
    """Runs in the child."""
    pattern = _pattern(payload["code"], payload["bare"])
    results: list[dict[str, Any] | None] = []
    for subject in payload["subjects"]:
        match = getattr(pattern, payload["mode"])(subject)
        numbered = match and dict(enumerate(map(match.group, range(pattern.groups + 1))))
        results.append(match and {**{str(i): g for i, g in numbered.items()}, **match.groupdict()})
    return results

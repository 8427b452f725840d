"""Checks on an answer from a table or document: required figures and statements are there, nothing more."""

from __future__ import annotations

import re
from typing import NamedTuple

from tail_bench.ladders.checks import Verdict
from tail_bench.ladders.checks.constraints import phrase, plain, sentences

_NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:[, ]\d{3})+(?:\.\d+)?(?![\d])|(?<![\w.,])\d+(?:\.\d+)?(?!\d)")
_SCALE = {"k": 1_000, "thousand": 1_000, "million": 1_000_000, "bn": 10**9, "billion": 10**9}
_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


class _Figure(NamedTuple):
    value: float
    half_unit: float  # Half of the last digit stated: 17.3 stands for 17.25 to 17.35.
    decimals: int
    written: str

    def stands_for(self, value: float) -> bool:
        return abs(self.value - abs(value)) <= self.half_unit * (1 + 1e-6)


def _figures(text: str) -> list[_Figure]:
    found = []
    for m in _NUMBER.finditer(text):
        number = re.sub(r"[, ]", "", m.group())
        decimals = len(number.partition(".")[2])
        word = re.match(r"\s?(thousand|million|billion|k|bn)\b", text[m.end() : m.end() + 10], re.I)
        scale = _SCALE[word[1].lower()] if word else 1
        found.append(_Figure(float(number) * scale, scale * 0.5 / 10**decimals, decimals, m.group()))
    return found


def _units(text: str) -> list[tuple[str, str]]:
    """(sentence, context) pairs: context adds the sentence before it, or a table row's header."""
    text = plain(text)
    pairs: list[tuple[str, str]] = []
    before = header = ""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        for sentence in sentences(paragraph):
            row = sentence.startswith("|")
            if row and not header:
                header = sentence
            elif not row:
                header = ""
            pairs.append((sentence, f"{header if row else before} {sentence}"))
            before = sentence
        before = ""
    return pairs


def _near(context: str, groups: list[list[str]]) -> bool:
    return all(any(phrase(item).search(context) for item in group) for group in groups)


def states(
    text: str, near: list[list[str]], value: float, decimals: int = 0, wrong: list[float] | None = None
) -> Verdict:
    """A sentence or table row about `near` (one of each group) gives `value` to at least `decimals` digits.

    It fails too where such a sentence gives one of the `wrong` values.
    """
    about = [(s, c) for s, c in _units(text) if _near(c, near)]
    right = False
    for sentence, _ in about:
        figures = _figures(sentence)
        if value in range(len(_WORDS)):
            right |= bool(phrase(_WORDS[int(value)]).search(sentence))
        right |= any(f.stands_for(value) and f.decimals >= decimals for f in figures)
        for f in figures:
            if any(f.stands_for(w) and f.decimals >= decimals for w in wrong or []):
                return Verdict(False, f"{f.written} is wrong: {sentence!r}")
    return Verdict(right, f"{value} stated" if right else f"{value} not stated near {[g[0] for g in near]}")


def says(text: str, groups: list[list[str]]) -> Verdict:
    """One sentence (with the one before it as context) has a wording of each group."""
    for _, context in _units(text):
        if _near(context, groups):
            return Verdict(True, f"said: {context.strip()!r}")
    return Verdict(False, f"no sentence on {[g[0] for g in groups]}")


def omits(text: str, items: list[str]) -> Verdict:
    """None of these is claimed; "storm*" stands for every word that begins so."""
    found = [m.group() for item in items for m in phrase(item).finditer(plain(text))]
    return Verdict(not found, f"not in the source: {found}" if found else "nothing of it claimed")


def figures(text: str, source: list[float], derived: list[float], elsewhere: list[float] | None = None) -> Verdict:
    """Every figure stands in the source or follows from it.

    `elsewhere` lists the likely wrong results that another check judges, so that one slip fails one check.
    """
    known = [*source, *derived, *(elsewhere or [])]
    read = re.sub(r"^[ \t]*\d{1,2}[.)]\s", "", plain(text), flags=re.M)
    strange = [f.written for f in _figures(read) if not any(f.stands_for(v) for v in known)]
    return Verdict(not strange, f"figures without a source: {strange}" if strange else "every figure has a source")

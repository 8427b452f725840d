"""Checks on a piece of writing: counts, orders, required and forbidden items, dates, form.

A response may wrap the piece it was asked for in a fence, a block quote, horizontal rules or an introducing
line; the checks read the piece only, without its Markdown. A piece is a heading (if it has one) and a body.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Literal

from tail_bench.ladders.checks import Verdict

Part = Literal["all", "heading", "body", "first sentence", "last sentence"]

MAX_CHARACTERS = 20_000
MARKER = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)]|#{1,6}|>)\s+")
_INTRO = re.compile(r"(?:here|below|sure|certainly|of course|this is|happy to|as (?:asked|requested))\b", re.I)
_LABEL = re.compile(r"^(?:subject|title|heading|headline)\s*:\s*", re.I)
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|Prof|approx|e\.g|i\.e))\.$")
_QUOTES = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "–": "-", "\u00a0": " ", "\u202f": " "})

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b"
)
_BEFORE = rf"(?:\b(?P<before>{_DAY})\.?,?\s+(?:the\s+)?)?"
_N = r"(?<![\d:.,])(?P<n>\d{1,2})(?:st|nd|rd|th)?"
_DATE_FORMS = (
    re.compile(rf"{_BEFORE}{_N}(?:\s+of)?\s+(?P<month>{_MONTH})(?:,?\s*\((?P<after>{_DAY})\))?"),
    re.compile(rf"{_BEFORE}\b(?P<month>{_MONTH})\s+{_N}(?![\d:])(?:,?\s*\((?P<after>{_DAY})\))?"),
    # The first day of a range whose month stands at its end: "from Monday 3 to Friday 14 June".
    re.compile(
        rf"{_BEFORE}{_N}\s*(?:to|until|till|through|and|or|-)\s*(?P<after>(?!))?"
        rf"(?=(?:{_DAY},?\s+)?(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of)?\s+(?P<month>{_MONTH}))"
    ),
)


def plain(text: str) -> str:
    """The text without emphasis, links and typographic variants; line starts (bullets, headings) stay."""
    text = text[:MAX_CHARACTERS].translate(_QUOTES)
    text = re.sub(r"\[([^\[\]\n]*)\]\([^()\s]*\)", r"\1", text)
    text = re.sub(r"\*\*|__|~~|`", "", text)
    return re.sub(r"(?<![\w*])[*_](?=[^\s*])|(?<=[^\s*])[*_](?![\w*])", "", text)


def words(text: str) -> list[str]:
    """The words as a word processor counts them: "stair-chair" and "7946" are one each, a bullet is none."""
    lines = [MARKER.sub("", line) for line in text.splitlines()]
    return [w for line in lines for w in line.split() if re.search(r"\w", w)]


def sentences(text: str) -> list[str]:
    """The sentences; a list item, a table row and a line under a blank one each begin a new one."""
    blocks: list[str] = []
    begin = True
    for line in text.splitlines():
        row = line.strip()
        if not row:
            begin = True
            continue
        starts = begin or bool(MARKER.match(line)) or row.startswith("|")
        row = MARKER.sub("", row).strip()
        if starts or not blocks:
            blocks.append(row)
        else:
            blocks[-1] += f" {row}"
        begin = row.startswith("|") or line.lstrip().startswith("#")
    found = []
    for block in blocks:
        start = 0
        for end in re.finditer(r"[.!?][\"')]{0,2}(\s+)(?=[\"'(]{0,2}[A-Z0-9])", block):
            after_time = re.search(r"[ap]\.m\.$", block[: end.start() + 1])
            if _ABBREVIATION.search(block[: end.start() + 1][-8:]):
                continue
            if after_time and re.match(rf"{_DAY}\b|{_MONTH}|\d", block[end.end() :]):
                continue
            found.append(block[start : end.start(1)])
            start = end.end()
        found.append(block[start:])
    return [s for s in found if re.search(r"\w", s)]


@cache
def phrase(item: str) -> re.Pattern[str]:
    """A pattern for a word or phrase, in any case, with spaces or hyphens; a final `*` is any ending."""
    stem = item.rstrip("*")
    if not re.search(r"[^\d\s-]", stem):  # A number or telephone number, in any grouping.
        digits = r"[\s().-]{0,2}".join(re.findall(r"[0-9]", stem))
        return re.compile(rf"(?<![\d.,]){digits}(?!\d)")
    core = r"[\s-]*".join(re.escape(word) for word in re.split(r"[\s-]+", stem))
    return re.compile(rf"(?<!\w){core}" + (r"\w*" if item.endswith("*") else r"(?!\w)"), re.I)


def _piece(text: str) -> str:
    """The piece of writing in a response."""
    text = text[:MAX_CHARACTERS]
    fences = re.findall(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", text, re.M | re.S)
    if fences:
        return str(fences[-1])
    quoted = [line.lstrip()[1:].removeprefix(" ") for line in text.splitlines() if line.lstrip().startswith(">")]
    if 2 * len(words("\n".join(quoted))) > len(words(text)):
        return "\n".join(quoted)
    ruled = re.split(r"^[ \t]*(?:-{3,}|\*{3,}|_{3,})[ \t]*$", text, flags=re.M)
    text = max(ruled, key=lambda part: len(words(part)))
    first, _, rest = text.strip().partition("\n\n")
    if first.rstrip("* ").endswith(":") and "\n" not in first and _INTRO.match(first.lstrip("*# ")) and rest:
        return rest
    return text


def _read(text: str, part: Part) -> str:
    """One part of the piece, without Markdown emphasis."""
    piece = _piece(text).strip()
    first, _, rest = piece.partition("\n")
    marked = re.match(r"#{1,6}\s|\*\*[^*]+\*\*\s*$", first) or _LABEL.match(plain(first))
    runs_on = rest[:1].islower() or re.search(r"[.,;:]\W*$", first) or MARKER.match(first)
    short = len(words(first)) <= 15 and not runs_on
    has_heading = bool(rest.strip()) and bool(marked or short)
    if part == "heading":
        return _LABEL.sub("", MARKER.sub("", plain(first))) if has_heading else ""
    if part == "all":
        return plain(piece)
    body = plain(rest if has_heading else piece)
    if part == "body":
        return body
    # A signature under the text is not a sentence.
    full = [s for s in sentences(body) if s.rstrip("\"') ")[-1:] in ".!?" or len(words(s)) >= 5]
    return (full[0] if part == "first sentence" else full[-1]) if full else ""


def _count(text: str, alternatives: list[str]) -> int:
    return len({m.start() for item in alternatives for m in phrase(item).finditer(text)})


def _at(text: str, alternatives: list[str]) -> int | None:
    starts = [m.start() for item in alternatives for m in phrase(item).finditer(text)]
    return min(starts, default=None)


def _dates(text: str) -> list[tuple[int, int, str | None]]:
    """(month, day, weekday or None) of every date, as written."""
    found: dict[int, tuple[int, int, str | None]] = {}
    for form in _DATE_FORMS:
        for m in form.finditer(text):
            weekday = m["before"] or m["after"]
            month = _MONTHS.index(m["month"][:3]) + 1
            found.setdefault(m.start("n"), (month, int(m["n"]), weekday[:3] if weekday else None))
    return [found[at] for at in sorted(found)]


def word_count(text: str, part: Part = "body", least: int = 1, most: int = 10_000) -> Verdict:
    """The part has `least` to `most` words."""
    n = len(words(_read(text, part)))
    return Verdict(least <= n <= most, f"{n} words in the {part}, asked for {least} to {most}")


def sentence_length(text: str, most: int, part: Part = "body") -> Verdict:
    """No sentence has more than `most` words."""
    longest = max(sentences(_read(text, part)), key=lambda s: len(words(s)), default="")
    n = len(words(longest))
    return Verdict(0 < n <= most, f"the longest sentence has {n} words: {longest!r}")


def item_count(text: str, least: int, most: int, part: Part = "body") -> Verdict:
    """The part has a list of `least` to `most` items (bulleted or numbered)."""
    n = sum(bool(re.match(r"\s*(?:[-*+•]|\d{1,2}[.)])\s", line)) for line in _read(text, part).splitlines())
    return Verdict(least <= n <= most, f"{n} list items, asked for {least} to {most}")


def mentions(text: str, items: list[list[str]], part: Part = "all") -> Verdict:
    """Every item is there, in one of its alternative wordings."""
    missing = [group[0] for group in items if not _count(_read(text, part), group)]
    return Verdict(not missing, f"missing: {missing}" if missing else "all mentioned")


def avoids(text: str, items: list[str], part: Part = "all") -> Verdict:
    """None of the words is there; "apolog*" stands for every word that begins so."""
    found = [m.group() for item in items for m in phrase(item).finditer(_read(text, part))]
    return Verdict(not found, f"forbidden: {found}" if found else "no forbidden word")


def in_order(text: str, items: list[list[str]], part: Part = "body") -> Verdict:
    """Every item is there, and each is first mentioned after the one before it."""
    read = _read(text, part)
    positions = [_at(read, group) for group in items]
    if None in positions:
        return Verdict(False, f"missing: {[g[0] for g, p in zip(items, positions, strict=True) if p is None]}")
    known = [p for p in positions if p is not None]
    return Verdict(all(a < b for a, b in pairwise(known)), f"{[g[0] for g in items]} stand at {known}")


def occurs(text: str, item: list[str], times: int, part: Part = "all") -> Verdict:
    """The item (in any of its wordings) occurs exactly `times` times, and nowhere but in this part."""
    overall, inside = _count(_read(text, "all"), item), _count(_read(text, part), item)
    return Verdict(overall == inside == times, f"{overall} times, of which {inside} in the {part}; asked for {times}")


def dates(text: str, days: list[str], part: Part = "all") -> Verdict:
    """Each of the days ("06-03" is 3 June) is stated, and no other day is."""
    stated = {f"{month:02}-{day:02}" for month, day, _ in _dates(_read(text, part))}
    return Verdict(stated == set(days), f"states {sorted(stated)}, asked for {sorted(days)}")


def weekdays(text: str, year: int, part: Part = "all") -> Verdict:
    """There are dates, and each carries its right weekday wherever it is written."""
    found = _dates(_read(text, part))
    for month, day, weekday in found:
        try:
            right = _DAYS[date(year, month, day).weekday()]
        except ValueError:
            return Verdict(False, f"there is no {day} {_MONTHS[month - 1]}")
        if weekday != right:
            return Verdict(False, f"{day} {_MONTHS[month - 1]} has {weekday or 'no weekday'}, it is a {right}")
    return Verdict(bool(found), f"{len(found)} dates, each with its weekday")

"""Checks for timed plans: rounds and schedules of named stops, each with a beginning and an end.

The plan is read from the table or list that holds the most stops of `names`: one line a stop, its name before
any other, its times in order (the first begins it, the last ends it). Times of day become minutes since
midnight. Driving times are a square table over `places`, the base first; a stop "Ellis 2" is at "Ellis".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise, permutations
from typing import NamedTuple

from tail_bench.ladders.checks import Verdict

Matrix = Sequence[Sequence[int]]
_TIME = re.compile(r"(?<![\d:.])([01]?\d|2[0-4])[:h.]([0-5]\d)(?![\d:])(?:\s?([ap])\.?m\b)?", re.I)
_DURATION = re.compile(r"(?:(\d{1,2})\s*(?:h|hrs?|hours?)\b[\s,]*(?:and\s+)?)?(\d{1,4})\s*min(?:s|utes?)?\b", re.I)


class Row(NamedTuple):
    """One line of the plan."""

    stop: str
    begin: int
    end: int


def complete(text: str, names: list[str], base: str | None = None, start: str | None = None) -> Verdict:
    """Every stop is in the plan once, between leaving the base (at `start`) and the return to it."""
    rows = _plan(text, names)
    for name in names:
        n = sum(r.stop == name for r in rows)
        if name != base and n != 1:
            return Verdict(False, f"{name} is in the plan {n} times")
    if base and (len(rows) < 2 or rows[0].stop != base or rows[-1].stop != base):
        return Verdict(False, f"does not begin and end at {base}")
    if start and rows[0].end != _minutes(start):
        return Verdict(False, f"leaves {rows[0].stop} at {_clock(rows[0].end)}, not at {start}")
    return Verdict(True, "every stop once")


def lengths(text: str, names: list[str], minutes: dict[str, int]) -> Verdict:
    """Every stop in the plan lasts as long as it must."""
    rows = [r for r in _plan(text, names) if r.stop in minutes]
    wrong = [f"{r.stop} {r.end - r.begin} min" for r in rows if r.end - r.begin != minutes[r.stop]]
    return Verdict(bool(rows) and not wrong, f"of {len(rows)} stops, of wrong length: {', '.join(wrong) or 'none'}")


def reachable(text: str, names: list[str], places: list[str], driving: Matrix) -> Verdict:
    """Between each stop and the next there is time enough for the drive."""
    rows = _plan(text, names)
    for a, b in pairwise(rows):
        need = _drive(a.stop, b.stop, places, driving)
        if b.begin - a.end < need:
            return Verdict(False, f"{a.stop} to {b.stop}: {b.begin - a.end} min for a drive of {need}")
    return Verdict(len(rows) > 1, f"{len(rows)} stops read")


def window(
    text: str,
    names: list[str],
    stop: str,
    after: str | None = None,
    by: str | None = None,
    done: str | None = None,
) -> Verdict:
    """The stop begins no earlier than `after` and no later than `by`, and ends no later than `done`."""
    row = next((r for r in _plan(text, names) if r.stop == stop), None)
    if row is None:
        return Verdict(False, f"{stop} is not in the plan")
    fits = (
        (after is None or row.begin >= _minutes(after))
        and (by is None or row.begin <= _minutes(by))
        and (done is None or row.end <= _minutes(done))
    )
    return Verdict(fits, f"{stop} is from {_clock(row.begin)} to {_clock(row.end)}")


def gap(text: str, names: list[str], first: str, then: str, least: int = 0, most: int | None = None) -> Verdict:
    """From the end of `first` to the beginning of `then` it is `least` to `most` minutes."""
    at = {r.stop: r for r in _plan(text, names)}
    if first not in at or then not in at:
        return Verdict(False, f"{first} or {then} is not in the plan")
    found = at[then].begin - at[first].end
    return Verdict(found >= least and (most is None or found <= most), f"{first} to {then}: {found} min")


def last(text: str, names: list[str], stop: str, base: str | None = None) -> Verdict:
    """No other stop comes after `stop`, the return to the base apart."""
    stops = [r.stop for r in _plan(text, names) if r.stop != base]
    return Verdict(stops[-1:] == [stop], f"the last stop is {stops[-1:]}")


def total_driving(text: str, names: list[str], places: list[str], driving: Matrix) -> Verdict:
    """The stated total of driving minutes is the plan's own."""
    own = _total([r.stop for r in _plan(text, names)], places, driving)
    stated: list[int] = []
    for sentence in re.split(r"\n|(?<=[.!?])\s", re.sub(r"[*_`|]", "", text)):
        if re.search(r"driv|wheel|road", sentence, re.I) and re.search(r"total|\ball\b|altogether|sum", sentence, re.I):
            found = list(_DURATION.finditer(sentence))
            summed = [m for m in found if re.search(r"=\s*$", sentence[: m.start()])]
            stated += [60 * int(m[1] or 0) + int(m[2]) for m in (summed or found)[:1]]
    return Verdict(stated[:1] == [own], f"states {stated[:1] or 'no total'}, the plan drives {own} min")


def least_driving(
    text: str,
    names: list[str],
    places: list[str],
    driving: Matrix,
    minutes: dict[str, int],
    start: str,
    windows: dict[str, dict[str, str]] | None = None,
    gaps: list[tuple[str, str, int, int | None]] | None = None,
    final: str | None = None,
) -> Verdict:
    """The plan drives no more than the best plan that keeps every constraint (all orders are tried)."""
    order = [r.stop for r in _plan(text, names)]
    if sorted(order) != sorted([*minutes, places[0], places[0]]):
        return Verdict(False, "not a plan of all stops")
    best = _best(
        tuple(places),
        tuple(map(tuple, driving)),
        tuple(minutes.items()),
        _minutes(start),
        tuple((s, w.get("after"), w.get("by"), w.get("done")) for s, w in (windows or {}).items()),
        tuple((a, b, least, most) for a, b, least, most in gaps or []),
        final,
    )
    own = _total(order, places, driving)
    return Verdict(best is not None and own <= best[0], f"drives {own} min, best: {best}")


def _plan(text: str, names: list[str]) -> list[Row]:
    """The lines of the plan in their order."""
    blocks: list[list[Row]] = [[]]
    in_table = False
    for line in text.splitlines():
        bare = re.sub(r"[*_`~]", "", line)
        is_table = bare.count("|") > 1
        row = _row(bare, names)
        prose = not is_table and not re.match(r"\s*(?:[-•+>]|\d)", bare) and len(bare) > 100
        if row and not prose:
            if is_table != in_table:
                blocks.append([])
            in_table = is_table
            blocks[-1].append(row)
        elif not is_table and re.match(r"\S", bare):
            blocks.append([])
    return max(reversed(blocks), key=lambda b: len({r.stop for r in b}))


def _row(line: str, names: list[str]) -> Row | None:
    if len(line) > 500:
        return None
    hits = [(m.start(), n) for n in names if (m := re.search(rf"\b{re.escape(n)}(?!\w)", line, re.I))]
    times = _times(line)
    return Row(min(hits)[1], times[0], times[-1]) if times and hits else None


def _times(line: str) -> list[int]:
    """Beginning and end as a line of the plan gives them; a remark ("by 08:30") may give other times."""
    # Cells of nothing but times are the columns; of more than two, arrival stands before the beginning.
    cells = [c for c in line.split("|") if _TIME.search(c) and re.fullmatch(r"(?:\W|to|until)*", _TIME.sub("", c))]
    if line.count("|") > 1 and cells:
        return [_minutes(m[0]) for c in cells for m in _TIME.finditer(c)][-2:]
    clock = _TIME.pattern
    span = re.search(rf"{clock}\s*(?:[-–—→]|to|until|till)+\s*{clock}", line, re.I)
    begun = re.search(
        rf"(?:begin|start)[^\d|]{{0,12}}{clock}.*?(?:end|finish|leave|depart|until)[^\d|]{{0,12}}{clock}", line, re.I
    )
    chosen = span or begun
    return [_minutes(m[0]) for m in _TIME.finditer(chosen[0] if chosen else line)][:2]


def _minutes(clock: str) -> int:
    found = _TIME.fullmatch(clock.strip())
    if not found:
        raise ValueError(f"{clock!r} is not a time of day")
    hour = int(found[1])
    if found[3]:
        hour = hour % 12 + 12 * (found[3].lower() == "p")
    return 60 * hour + int(found[2])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _drive(a: str, b: str, places: Sequence[str], driving: Matrix) -> int:
    return driving[_index(a, places)][_index(b, places)]


def _index(stop: str, places: Sequence[str]) -> int:
    """The place of a stop: of its own name, or of its name without the number at the end."""
    return places.index(stop if stop in places else re.sub(r"\s*\d+$", "", stop))


def _total(order: Sequence[str], places: Sequence[str], driving: Matrix) -> int:
    return sum(_drive(a, b, places, driving) for a, b in pairwise(order))


@cache
def _best(
    places: tuple[str, ...],
    driving: tuple[tuple[int, ...], ...],
    minutes: tuple[tuple[str, int], ...],
    start: int,
    windows: tuple[tuple[str, str | None, str | None, str | None], ...],
    gaps: tuple[tuple[str, str, int, int | None], ...],
    final: str | None,
) -> tuple[int, tuple[str, ...]] | None:
    """The least driving of all orders that some timing makes feasible, with its order."""
    base = places[0]
    free = [s for s, _ in minutes if s != final]
    ends = (final, base) if final else (base,)
    orders = [(base, *o, *ends) for o in permutations(free)]
    orders = [o for o in orders if all(o.index(a) < o.index(b) for a, b, _, _ in gaps)]
    orders.sort(key=lambda o: _total(o, places, driving))
    for order in orders:
        if _feasible(order, places, driving, dict(minutes), start, windows, gaps):
            return _total(order, places, driving), order
    return None


def _feasible(
    order: tuple[str, ...],
    places: Sequence[str],
    driving: Matrix,
    minutes: dict[str, int],
    start: int,
    windows: tuple[tuple[str, str | None, str | None, str | None], ...],
    gaps: tuple[tuple[str, str, int, int | None], ...],
) -> bool:
    """Whether some beginnings keep all constraints, each of the form "b begins w minutes or more after a"."""
    inner = order[1:-1]
    edges = [(a, b, minutes[a] + _drive(a, b, places, driving)) for a, b in pairwise(inner)]
    for a, b, low, high in gaps:
        edges.append((a, b, minutes[a] + low))
        if high is not None:
            edges.append((b, a, -minutes[a] - high))
    begin = dict.fromkeys(inner, 0)
    begin[inner[0]] = start + _drive(order[0], inner[0], places, driving)
    latest = dict.fromkeys(inner, 24 * 60)
    for stop, after, by, done in windows:
        if after:
            begin[stop] = max(begin[stop], _minutes(after))
        if by:
            latest[stop] = _minutes(by)
        if done:
            latest[stop] = min(latest[stop], _minutes(done) - minutes[stop])
    for _ in range(len(inner) + 1):
        changed = False
        for a, b, w in edges:
            if begin[a] + w > begin[b]:
                begin[b] = begin[a] + w
                changed = True
        if any(begin[s] > latest[s] for s in inner):
            return False
        if not changed:
            return True
    return False

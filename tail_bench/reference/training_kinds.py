"""Six kinds of requests: how an answer of that kind is written with any of its defects, and how each is found."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Draft:
    """A request, what its answers are checked for, and how one is written.

    checks: defect -> whether a text is free of it. write: (defects to plant, rich style) -> text. framed: whether
    neutral sentences may stand around it.
    """

    prompt: str
    checks: dict[str, Callable[[str], bool]]
    write: Callable[[Collection[str], bool], str]
    framed: bool = True


# Quantities, worked out in parts.


class Part(NamedTuple):
    """A question, the unit of its answer, the working as numbers and operators, and a working from a wrong base."""

    ask: str
    unit: str
    right: tuple[Any, ...]
    wrong: tuple[Any, ...]


def sums(rng: Random, story: str, parts: Sequence[Part], wish: str, lead: str) -> Draft:
    """Each part goes wrong in one of four ways: the sum, its base, the copy in the final list, the unit left out."""
    ways = [rng.choice(("sum", "base", "copy", "unit")) for _ in parts]
    slips = [_off(worked(p.right), rng) for p in parts]

    def write(defects: Collection[str], rich: bool) -> str:
        steps, final = [], []
        for n, (p, way, slip) in enumerate(zip(parts, ways, slips, strict=True), 1):
            bad = way if f"part {n}" in defects else ""
            terms = p.wrong if bad == "base" else p.right
            value = slip if bad == "sum" else worked(terms)
            working = " ".join(t if isinstance(t, str) else _num(t) for t in terms)
            step = f"{working} = {_num(value)} {p.unit}"
            steps.append(f"- *{p.ask}*: {step}" if rich else lead.format(ask=p.ask.lower(), step=step))
            listed = f"{_num(slip if bad == 'copy' else value)}{'' if bad == 'unit' else ' ' + p.unit}"
            final.append(f"{n}. **{listed}**" if rich else f"{n}) {listed}")
        return ("\n" if rich else " ").join(steps) + "\n\n" + "\n".join(final) + ("" if rich else ".")

    def check(n: int, p: Part) -> Callable[[str], bool]:
        stated = re.compile(rf"^{n}[.)] \**{re.escape(_num(worked(p.right)))} {re.escape(p.unit)}(?!\w)", re.M)
        return lambda text: stated.search(text) is not None

    asks = "\n".join(f"{n}. {p.ask}?" for n, p in enumerate(parts, 1))
    return Draft(f"{story}\n\n{asks}\n\n{wish}", {f"part {n}": check(n, p) for n, p in enumerate(parts, 1)}, write)


def worked(terms: Sequence[Any]) -> float:
    """The value of numbers with operators between them, from left to right, to two decimals."""
    value = float(terms[0])
    for operator, number in zip(terms[1::2], terms[2::2], strict=True):
        value = value * number if operator == "×" else value / number if operator == "/" else value + number
    return round(value, 2)


def _num(value: float) -> str:
    """A number as people write it: thousands separated, no needless decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _off(value: float, rng: Random) -> float:
    """Another number that looks as plausible: one digit is different."""
    step = 10 ** math.floor(math.log10(value)) if value >= 1 else 0.1
    return round(value + rng.choice((-0.2, -0.1, 0.1, 0.2, 1)) * step, 2)


# Extraction: a message to a JSON object.


def extraction(
    rng: Random, ask: str, letter: str, fields: dict[str, tuple[str, Any]], others: Sequence[str], told: str
) -> Draft:
    """fields: key -> (what it is, value). others: values of the letter that are none of these.

    A defective field has a letter or digit wrong, another value, null, another key, or is not there.
    """
    values = {key: value for key, (_, value) in fields.items()}
    ways = {key: rng.choice(("typo", "other", "null", "missing", "renamed")) for key in fields}
    wrong = {key: _mistyped(value, rng) for key, value in values.items()}
    instead = {key: rng.choice([o for o in others if o != value]) for key, value in values.items()}

    def write(defects: Collection[str], rich: bool) -> str:
        found: dict[str, Any] = {}
        for key, value in values.items():
            way = ways[key] if key in defects else ""
            if way != "missing":
                new = {"typo": wrong[key], "other": instead[key], "null": None}.get(way, value)
                found[f"{key}_value" if way == "renamed" else key] = new
        block = json.dumps(found, indent=2 if rich else None, ensure_ascii=False)
        comma = block.replace("}", ",}") if "syntax" in defects else block
        notes = [f"{key} is {what}" for key, (what, _) in list(fields.items())[:2]]
        after = (
            "\n".join(f"- `{n.split()[0]}`: {n.partition(' is ')[2]}." for n in notes)
            if rich
            else f"{told} {notes[0]}."
        )
        return f"```json\n{comma}\n```\n\n{after}"

    def parsed(text: str) -> Any:
        try:
            return json.loads(text.partition("```json")[2].partition("```")[0])
        except ValueError:
            return None

    def check(key: str) -> Callable[[str], bool]:
        # A broken document is one defect: its fields are looked up as they stand.
        field = f'"{key}": {json.dumps(values[key], ensure_ascii=False)}'
        return lambda text: field in text

    checks = {key: check(key) for key in fields} | {"syntax": lambda text: parsed(text) is not None}
    keys = "\n".join(f"- {key}: {what}" for key, (what, _) in fields.items())
    return Draft(f"{ask}\n\n{keys}\n\n{letter}", checks, write)


def _mistyped(value: Any, rng: Random) -> Any:
    if isinstance(value, int):
        return value + rng.choice((1, 2, 10))
    place = rng.randrange(1, len(value))
    new = str((int(value[place]) + 1) % 10) if value[place].isdigit() else rng.choice("aeinrst")
    return value[:place] + (new if new != value[place] else "o") + value[place + 1 :]


# Writing under constraints that can be counted.


FILLERS = (
    "Bring a friend along, because company makes everything better.",
    "We have prepared this with care over the past weeks.",
    "Whoever came last year will remember how well it went.",
    "Children are as welcome as their parents and grandparents.",
    "It takes little time, and it costs you nothing at all.",
    "Small questions are answered on the spot by those who know.",
)


def piece(
    rng: Random,
    task: str,
    facts: Sequence[str],
    items: dict[str, str],
    points: Sequence[str],
    banned: tuple[str, str],
    end: str,
) -> Draft:
    """facts: sentences. items: wording that must be there -> a careless writer's. banned: (clean word, banned)."""
    facts = rng.sample(facts, len(facts))
    fillers = rng.sample(FILLERS, 4)
    longest = max(len(s.split()) for s in (*facts, *fillers, end)) + 1
    length = sum(len(s.split()) for s in (*facts, *fillers[:1], *points, end))
    least, most = length - rng.randint(2, 9), length + len(points) + rng.randint(4, 12)
    item_of = {f"item {n}": item for n, item in enumerate(items)}

    def write(defects: Collection[str], rich: bool) -> str:
        sentences = [*facts, fillers[0]] if rich else [fillers[0], *facts]
        for name, item in item_of.items():
            if name in defects:
                sentences = [s.replace(item, items[item]) for s in sentences]
        if "banned word" in defects:
            sentences = [s.replace(banned[0], banned[1]) for s in sentences]
        if "too long" in defects:
            sentences[2:2] = [*fillers[1:], "There is room enough for everybody, and there always has been here."]
        if "long sentence" in defects:
            first, second, *rest = sentences
            sentences = [
                f"{first[:-1]}, and {second[0].lower()}{second[1:-1]}, as everybody here would confirm.",
                *rest,
            ]
        shown = points[:-1] if "points" in defects else points
        listed = "\n".join(f"- **{p}**" if rich else f"- {p}" for p in shown)
        if "ending" in defects:
            return f"{end} {' '.join(sentences)}\n\n{listed}\n\n{rng_end}"
        return f"{' '.join(sentences)}\n\n{listed}\n\n{end}"

    rng_end = rng.choice(("See you soon.", "We look forward to it.", "That is all for now."))

    def sentences_of(text: str) -> list[str]:
        return re.split(r"(?<=[.!?])\s+|\n+", text)

    checks: dict[str, Callable[[str], bool]] = {
        "too long": lambda text: least <= len(text.split()) <= most,
        "long sentence": lambda text: max(len(s.split()) for s in sentences_of(text)) <= longest,
        "banned word": lambda text: banned[1] not in text.lower(),
        "points": lambda text: len(re.findall("^- ", text, re.M)) == len(points),
        "ending": lambda text: end in "\n".join(text.splitlines()[-1:]),
        **{name: _holds(item) for name, item in item_of.items()},
    }
    rules = [
        f"{least} to {most} words, and no sentence with more than {longest} words",
        f'do not use the word "{banned[1]}"',
        f"exactly {len(points)} bullet points",
        *(f'mention "{item}"' for item in items),
        f'finish with "{end}"',
    ]
    layout = "\n".join(f"- {r}" for r in rules) if rng.random() < 0.5 else "; ".join(rules) + "."
    return Draft(f"{task}\n\n{layout}", checks, write, framed=False)


def _holds(item: str) -> Callable[[str], bool]:
    return lambda text: item in text


# Summaries of a table.


def table(rng: Random, story: str, head: tuple[str, str, str], names: Sequence[str], wish: str) -> Draft:
    """head: what a row is, and two columns. Asked: both totals, the change, the highest and its share, the lowest."""
    row, first, second = head
    before = rng.sample(range(120, 990), len(names))
    now = [max(20, n + rng.choice((-1, 1)) * rng.randint(11, 90)) for n in before]
    rows = dict(zip(names, zip(before, now, strict=True), strict=True))
    ranked = sorted(names, key=lambda n: -rows[n][1])
    total, earlier = sum(now), sum(before)
    top, low = ranked[0], ranked[-1]
    share, base = f"{100 * rows[top][1] / total:.1f}", f"{100 * rows[top][1] / earlier:.1f}"
    right = {
        "total": _num(total),
        "earlier": _num(earlier),
        "top": top,
        "low": low,
        "change": _num(abs(total - earlier)),
        "share": share,
    }
    # One careless figure for each: of another base, another row, or out of thin air.
    wrong = right | {
        "total": _num(rng.choice((_off(total, rng), total - rows[low][1]))),
        "earlier": _num(rng.choice((_off(earlier, rng), earlier - rows[top][0]))),
        "top": rng.choice((ranked[1], "Westbourne")),
        "low": ranked[-2],
        "change": _num(rng.choice((_off(abs(total - earlier) or 1, rng), rows[top][1]))),
        "share": rng.choice((base, f"{_off(float(share), rng):.1f}")),
    }
    word = "more" if total >= earlier else "fewer"
    aside = rng.choice(
        ("The cause was the weather.", "Staff were ill, which explains it.", "Advertising paid off here.")
    )

    def write(defects: Collection[str], rich: bool) -> str:
        f = {key: wrong[key] if key in defects else value for key, value in right.items()}
        lines = [
            f"In {second} there were {f['total']} in total, against {f['earlier']} in {first}",
            f"That is {f['change']} {word} than before",
            f"The highest count in {second} is that of {f['top']}, {f['share']} % of all",
            f"The lowest in {second} is that of {f['low']}",
        ]
        if "cause" in defects:
            lines.append(aside[:-1])
        if not rich:
            return ". ".join(lines) + "."
        cells = [f"| {name} | {a} | {b} |" for name, (a, b) in rows.items()]
        sums = f"| Total | {f['earlier']} | {f['total']} |"
        listed = "\n".join(f"- {line}." for line in lines)
        return f"{listed}\n\n| {row} | {first} | {second} |\n|---|---|---|\n" + "\n".join([*cells, sums])

    checks: dict[str, Callable[[str], bool]] = {
        "total": lambda text: f"were {right['total']} in total" in text,
        "earlier": lambda text: f"against {right['earlier']} in {first}" in text,
        "change": lambda text: f"That is {right['change']} {word}" in text,
        "top": lambda text: f"is that of {top}, " in text,
        "share": lambda text: f", {share} % of all" in text,
        "low": lambda text: f"The lowest in {second} is that of {low}" in text,
        "cause": lambda text: aside[:-1] not in text,
    }
    table = "\n".join(f"| {name} | {a} | {b} |" for name, (a, b) in rows.items())
    return Draft(f"{story}\n\n| {row} | {first} | {second} |\n|---|---|---|\n{table}\n\n{wish}", checks, write)


# Small functions with their edge cases.


def function(rng: Random, ask: str, head: str, rules: Sequence[tuple[str, str, str]], tail: str, note: str) -> Draft:
    """rules: (what is asked, the line that does it, the line of one who overlooked it)."""
    name = head.split("(")[0].removeprefix("def ")
    other = rng.choice(("solve", "process", "run_task", "helper"))
    claims = [rule[0].rstrip(".") for rule in rules]

    def write(defects: Collection[str], rich: bool) -> str:
        lines = [wrong if f"rule {n}" in defects else right for n, (_, right, wrong) in enumerate(rules, 1)]
        top = head.replace(name, other) if "name" in defects else head
        body = "\n".join(f"    {line}" for block in lines for line in block.split("\n") if line)
        # The explanation claims what was asked, whether the code does it or not.
        told = "\n".join(f"- {c}" for c in claims) if rich else f"{note} {'; '.join(claims)}"
        return f"{told}.\n\n```python\n{top}\n{body}\n    {tail}\n```"

    def check(right: str) -> Callable[[str], bool]:
        block = "\n".join(f"    {line}" for line in right.split("\n"))
        return lambda text: f"{block}\n" in text

    checks: dict[str, Callable[[str], bool]] = {f"rule {n}": check(r[1]) for n, r in enumerate(rules, 1)}
    checks["name"] = lambda text: head in text
    asked = "\n".join(f"- {rule[0]}" for rule in rules)
    return Draft(f"{ask}\n\n{asked}", checks, write)


# Schedules.


def schedule(rng: Random, story: str, tasks: Sequence[str], pause: str, wish: str) -> Draft:
    """Tasks with durations one after the other, and a pause after one of them."""
    minutes = {task: rng.randint(3, 12) * 5 for task in tasks}
    start, rest, after = rng.randint(14, 20) * 30, rng.choice((15, 20, 30)), rng.randrange(1, len(tasks) - 1)
    late = start + sum(minutes.values()) + rest
    swap, longer, early = rng.randrange(len(tasks) - 1), rng.choice(tasks), rng.randrange(1, len(tasks))

    def plan(defects: Collection[str]) -> list[tuple[int, int, str]]:
        order = list(tasks)
        if "order" in defects:
            order[swap], order[swap + 1] = order[swap + 1], order[swap]
        time, rows = start + (15 if "start" in defects else 0), []
        for place, task in enumerate(order):
            time -= 5 if "overlap" in defects and place == early else 0
            end = time + minutes[task] + (5 if "duration" in defects and task == longer else 0)
            rows.append((time, end, task))
            time = end
            if place == after and "pause" not in defects:
                rows.append((time, time + rest, pause))
                time += rest
        return rows

    def write(defects: Collection[str], rich: bool) -> str:
        rows = plan(defects)
        stated = minutes | {pause: rest}
        lines = [
            f"{_clock(a)}–{_clock(b)} {'**' * rich}{what}{'**' * rich} ({stated[what]} min)" for a, b, what in rows
        ]
        end = rows[-1][1] + (10 if "end" in defects else 0)
        listed = "\n".join(f"- {line}" for line in lines) if rich else "; ".join(lines) + "."
        return f"{listed}\n\nEverything is over at {_clock(end)}."

    def rows_of(text: str) -> list[tuple[int, int, str]]:
        found = re.findall(r"(\d\d):(\d\d)–(\d\d):(\d\d) \**([A-Z][^(*]+?)\** \(", text)
        return [(60 * int(a) + int(b), 60 * int(c) + int(d), what) for a, b, c, d, what in found]

    def steps(text: str) -> list[tuple[tuple[int, int, str], tuple[int, int, str]]]:
        rows = rows_of(text)
        return list(pairwise(rows))

    def ends(text: str) -> bool:
        rows = rows_of(text)
        return bool(rows) and f"over at {_clock(rows[-1][1])}" in text

    def lasts(text: str) -> bool:
        rows = [r for r in rows_of(text) if r[2] != pause]
        return bool(rows) and all(b - a == minutes.get(what) for a, b, what in rows)

    checks: dict[str, Callable[[str], bool]] = {
        "duration": lasts,
        "overlap": lambda text: bool(steps(text)) and all(x[1] <= y[0] for x, y in steps(text)),
        "order": lambda text: [r[2] for r in rows_of(text) if r[2] != pause] == list(tasks),
        "pause": lambda text: any(y[2] == pause and y[1] - y[0] == rest for _, y in steps(text)),
        "start": lambda text: rows_of(text)[:1] != [] and rows_of(text)[0][0] == start,
        "end": ends,
    }
    listed = "\n".join(f"- {task}: {m} minutes" for task, m in minutes.items())
    when = f"It begins at {_clock(start)}; after the part called {tasks[after]} comes a {pause} of {rest} minutes."
    limit = f" All must be over by {_clock(late + 5)}." if rng.random() < 0.5 else ""
    return Draft(f"{story}\n\n{listed}\n\n{when}{limit} {wish}", checks, write)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"

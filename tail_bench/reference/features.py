"""What the reference model sees of a response: a few dozen named numbers, each in [0, 1], from regular expressions.

Nothing is learnt here and nothing is looked up: the same texts give the same numbers on every machine. No feature
counts length (beyond "hardly anything is there") or markdown, which a policy would learn to inflate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

READ = 24_000
"""Characters of a text that are read; of a longer response the last ENDING too. A bound on time, not on quality."""
ENDING = 300
MOST_NUMBERS = 40
"""Of a prompt, that are combined in pairs."""
SMALL = 10
"""Amounts up to this need no source: they count things."""

_NUMBER = r"(?<![\w.])\d{1,3}(?:,\d{3}){1,5}(?:\.\d+)?(?![\w]*\d)|(?<![\w.])\d{1,12}(?:\.\d{1,8})?"
_NUMBERS = re.compile(_NUMBER)
_TIME = r"\d{1,2}:\d{2}"
_TIMES = re.compile(_TIME)
_RANGE = re.compile(rf"({_TIME})\s?(?:–|-|—|to|until)\s?({_TIME})([^\n]{{0,80}})")
_OPERATORS = "-+−–×*·/÷="
_JOINED = r"\s?(?:[-+−–×*·/÷]|\bx\b|\bof\b|\btimes\b)\s?"
_TERM = rf"[€$£]?(?:{_NUMBER})\s?%?(?:[A-Za-z€²³]{{1,9}}(?=\W))?"
_EQUATION = re.compile(rf"{_TERM}(?:{_JOINED}{_TERM}){{1,5}}\s?[=≈]\s?[€$£]?(?P<result>{_NUMBER})")
_OPERATION = re.compile(
    rf"(?P<n>{_NUMBER})\s?(?P<percent>%?)[^-+−–×*·/÷\d]*?(?:(?P<op>[-+−–×*·/÷]|\bx\b|\bof\b|\btimes\b)|$)"
)
_SCALES = (1.0, 1e3, 1e-3, 100.0, 0.01, 60.0, 1 / 60)
"""Ratios of units (kg and g, hours and minutes, percent) by which the two sides of an equation may differ."""

_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d[\d.,:]*")
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_LISTED = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])\s", re.M)
_ROW = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.M)
_FENCED = re.compile(r"```[a-z]*\n(.*?)```", re.S)
_QUOTED = re.compile(r'"([^"\n]{1,60})"|“([^”\n]{1,60})”|`([^`\n]{1,60})`')
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'’-]{2,}|(?<=\| )[A-Z][\w'’-]{2,}")
_KEY = re.compile(r"^[ \t]*[-*] [`\"]?([a-z][a-z0-9_]*)[`\"]?\s*[:(,–-]|[`\"]([a-z][a-z0-9_]*)[`\"]", re.M)
_NUMBERED = re.compile(r"^[ \t]*(?:\*\*)?\(?(\d{1,2})[.)]", re.M)
_NOT = re.compile(r"\b(?:never|not|no|nor|avoid|without|don't|leave out|instead of)\b", re.I)
_HOLE = re.compile(
    r"\[(?:insert|your|name|date|tbd|x+)\b[^\]\n]{0,40}\]|\bTODO\b|\bTBD\b|\bX{3,}\b|lorem ipsum|<insert", re.I
)
_REFUSAL = re.compile(
    r"\b(?:I (?:cannot|can't|can’t|am unable to|am not able to)|as an AI\b|I'm sorry, but|unable to help)", re.I
)
_DOUBLED = re.compile(r"\b([a-z]{2,}) \1\b", re.I)
_SMALL_WORDS = """about after also been before both could does each either every exactly from have here into just like
more most must need only other over please same should show some such than that their them then there these they this
those under what when where which while will with would your yours"""
_FUNCTION_WORDS = frozenset(_SMALL_WORDS.split())
_COUNT = r"(\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_ONE_TO_TWELVE = "one two three four five six seven eight nine ten eleven twelve"
_SPELLED = {word: n for n, word in enumerate(_ONE_TO_TWELVE.split(), 1)}
_PER_SENTENCE = re.compile(rf"\bsentences?\b[^.;\n\d]{{0,40}}?{_COUNT} words", re.I)
_PART_LIMIT = re.compile(rf"\b(?:heading|title|headline|subject)\b[^.;\n]{{0,30}}?{_COUNT} words[^.,;\n]{{0,12}}", re.I)
_BETWEEN = re.compile(rf"{_COUNT}(?:\s?(?:-|–|to|and)\s?){_COUNT} words", re.I)
_MOST = re.compile(
    rf"(?:at most|no more than|not more than|up to|maximum of|max\.?|under|within|below) {_COUNT} words"
    rf"|{_COUNT} words (?:at most|or fewer|or less|at the most|maximum|max)",
    re.I,
)
_LEAST = re.compile(rf"(?:at least|no fewer than|no less than|minimum of) {_COUNT} words", re.I)
_ITEMS = re.compile(
    rf"\b(?:exactly|just|precisely) {_COUNT} (?:bullets?|bullet points|points|items|steps|tips|lines)\b", re.I
)
_ENDS = (".", "!", "?", ":", ")", "]", "}", "|", '"', "”", "'", "’", "*", "`", "…", "。", "！", "？", "؟", "।")


@dataclass(frozen=True)
class Asked:
    """What a prompt asks for, as far as regular expressions find it. Computed once for all responses to it.

    text, names and quoted items (wanted, forbidden) are in lower case. grams: its runs of six words. derived: sorted
    amounts that follow from one or two of its numbers. parts: labels of its numbered questions. keys: of the JSON asked
    for. words: least and most.
    """

    text: str
    content: frozenset[str]
    grams: frozenset[tuple[str, ...]]
    numbers: frozenset[float]
    derived: NDArray[np.float64]
    names: frozenset[str]
    wanted: tuple[str, ...]
    forbidden: tuple[str, ...]
    units: frozenset[str]
    parts: frozenset[str]
    keys: frozenset[str]
    words: tuple[int, int] | None
    sentence_words: int | None
    items: int | None


class Said:
    """A response with what several features need of it."""

    def __init__(self, text: str) -> None:
        self.text = text[:READ]
        self.ending = text[-ENDING:].rstrip()
        self.fenced = _FENCED.findall(self.text)
        self.words = _WORDS.findall(self.text.lower())
        self.grams = _grams(self.words)

    @cached_property
    def content(self) -> set[str]:
        """Its words of four letters and more."""
        return _content(self.words)

    @cached_property
    def numbers(self) -> list[tuple[float, float]]:
        """(value, half a unit of its last digit) of each number that is an amount, not a time or a label."""
        plain = _NUMBERED.sub(" ", _TIMES.sub(" ", self.text))
        return [_value(m[0]) for m in _NUMBERS.finditer(plain)]

    @cached_property
    def equations(self) -> list[tuple[float, bool]]:
        """(result as stated, whether it is right) of each `a + b = c` that can be read."""
        return list(_equations(self.text))

    @cached_property
    def json(self) -> Any:
        """The first JSON document in it, else None."""
        braces = self.text[self.text.find("{") : self.text.rfind("}") + 1]
        for block in (*self.fenced, braces):
            try:
                found = json.loads(block)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, (dict, list)):
                return found
        return None

    @cached_property
    def ranges(self) -> list[tuple[int, int, str]]:
        """(first minute, last minute, rest of the line) of each `09:00-09:30`."""
        return [(_minutes(m[1]), _minutes(m[2]), m[3]) for m in _RANGE.finditer(self.text)]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The cells of each table row."""
        cells = [[c.strip() for c in m[1].split("|")] for m in _ROW.finditer(self.text)]
        return [row for row in cells if not all(set(c) <= set(":- ") for c in row)]


def read_prompt(prompt: str) -> Asked:
    """What the prompt asks for; of a long prompt the first READ characters."""
    text = prompt[:READ]
    words = _WORDS.findall(text.lower())
    wanted, forbidden = _quoted(text)
    plain = _NUMBERED.sub(" ", _TIMES.sub(" ", text))
    numbers = frozenset(_value(m[0])[0] for m in _NUMBERS.finditer(plain))
    limited = _PART_LIMIT.sub(" ", text)
    per_sentence = _PER_SENTENCE.search(limited)
    items = _ITEMS.search(text)
    return Asked(
        text=text.lower(),
        content=frozenset(_content(words)),
        grams=frozenset(_grams(words)),
        numbers=numbers,
        derived=_derived(numbers, _totals(text)),
        names=frozenset(m.lower() for m in _NAME.findall(text)),
        wanted=wanted,
        forbidden=forbidden,
        units=frozenset(re.findall(r"\d\s?(€|%|[a-z]{1,12})\b", text)) | frozenset(re.findall("[€$£%]", text)),
        parts=frozenset(_NUMBERED.findall(text)),
        keys=_keys(text) if re.search(r"\bjson\b", text, re.I) else frozenset(),
        words=_word_limits(_PER_SENTENCE.sub(" ", limited)),
        sentence_words=_count(per_sentence[1]) if per_sentence else None,
        items=_count(items[1]) if items else None,
    )


# Shape: is it there, whole and clean?


def _brief(asked: Asked, said: Said) -> float:
    return max(0.0, 1 - len(said.words) / 40)


def _unfinished(asked: Asked, said: Said) -> float:
    if said.ending.endswith(_ENDS) or not said.ending:
        return 0.0 if said.ending else 1.0
    last = said.ending.rsplit("\n", 1)[-1]
    # A list's last item, a heading or a signature need no full stop; a line of prose does.
    return 0.5 if _LISTED.match(last) or len(last.split()) < 4 else 1.0


def _open_fence(asked: Asked, said: Said) -> float:
    return float(said.text.count("```") % 2)


def _unbalanced(asked: Asked, said: Said) -> float:
    plain = _LISTED.sub(" ", said.text)
    return _soft(sum(abs(plain.count(a) - plain.count(b)) for a, b in ("()", "[]", "{}")))


def _repeated(asked: Asked, said: Said) -> float:
    return 1 - len(set(said.grams)) / len(said.grams) if said.grams else 0.0


def _doubled(asked: Asked, said: Said) -> float:
    return _soft(len(_DOUBLED.findall(said.text)))


def _hole(asked: Asked, said: Said) -> float:
    return _soft(len(_HOLE.findall(said.text)))


def _refusal(asked: Asked, said: Said) -> float:
    return float(_REFUSAL.search(said.text[:400]) is not None)


# Taking up the prompt.


def _topic(asked: Asked, said: Said) -> float:
    return _share((w in said.content for w in asked.content), empty=1.0)


def _strange(asked: Asked, said: Said) -> float:
    return _share(w not in asked.content for w in said.content)


def _echo(asked: Asked, said: Said) -> float:
    return _share(gram in asked.grams for gram in said.grams)


def _numbers_missing(asked: Asked, said: Said) -> float:
    own = {value for value, _ in said.numbers}
    return _share(n not in own for n in asked.numbers)


def _numbers_underivable(asked: Asked, said: Said) -> float:
    """Amounts that neither stand in the prompt, nor follow from two of its amounts, nor come out of an equation."""
    if not said.numbers:
        return 0.0
    values, halves = np.array(said.numbers).T
    results = np.array([result for result, right in said.equations if right])
    known = (values <= SMALL) | np.isin(values, results) | _near(asked.derived, values, 1.02 * halves)
    return float(1 - known.mean())


def _names_missing(asked: Asked, said: Said) -> float:
    lower = said.text.lower()
    return _share(name not in lower for name in asked.names)


def _names_foreign(asked: Asked, said: Said) -> float:
    return _share(name.lower() not in asked.text for name in set(_NAME.findall(said.text)))


def _units_missing(asked: Asked, said: Said) -> float:
    return _share(unit not in said.text for unit in asked.units)


def _parts_missing(asked: Asked, said: Said) -> float:
    labels = set(re.findall(r"(?:^|[\s(|*])(\d{1,2})(?=[.)|:*]|\s\|)", said.text, re.M))
    return _share(part not in labels for part in asked.parts)


def _wanted_missing(asked: Asked, said: Said) -> float:
    lower = said.text.lower()
    return _share(item not in lower for item in asked.wanted)


def _forbidden_used(asked: Asked, said: Said) -> float:
    return _share(re.search(rf"(?<!\w){re.escape(f)}", said.text, re.I) is not None for f in asked.forbidden)


def _words_beyond(asked: Asked, said: Said) -> float:
    if asked.words is None:
        return 0.0
    least, most = asked.words
    n = len(said.text.split())
    excess = max(n / most - 1 if most else 0.0, 1 - n / least if least else 0.0)
    return 0.5 + min(0.5, excess) if excess > 0 else 0.0


def _sentence_beyond(asked: Asked, said: Said) -> float:
    if asked.sentence_words is None:
        return 0.0
    longest = max((len(s.split()) for s in _SENTENCES.split(said.text)), default=0)
    return float(longest > asked.sentence_words)


def _items_off(asked: Asked, said: Said) -> float:
    return float(asked.items is not None and len(_LISTED.findall(said.text)) != asked.items)


# Being consistent with itself.


def _sums_wrong(asked: Asked, said: Said) -> float:
    return _soft(sum(not right for _, right in said.equations))


def _totals_wrong(asked: Asked, said: Said) -> float:
    wrong = 0
    for number, row in enumerate(said.rows):
        if row and re.match(r"\W*(?:total|sum|together)\b", row[0], re.I):
            for column, cell in enumerate(row[1:], 1):
                above = [_amount(r[column]) for r in said.rows[:number] if len(r) > column]
                stated, known = _amount(cell), [a for a in above if a is not None]
                wrong += stated is not None and len(known) > 1 and abs(sum(known) - stated) > 0.01
    return _soft(wrong)


def _unbacked(asked: Asked, said: Said) -> float:
    """Amounts of the last list that stand nowhere before it, neither in the prompt: a slip of the copying hand."""
    items = list(_LISTED.finditer(said.text))
    start = len(said.text)
    for item in reversed(items):
        if said.text.count("\n", item.start(), start) > 2:
            break
        start = item.start()
    if len(items) < 2 or start < len(said.text) / 4:
        return 0.0
    before = {_value(m[0])[0] for m in _NUMBERS.finditer(said.text[:start])} | asked.numbers
    listed = [_value(m[0])[0] for m in _NUMBERS.finditer(_LISTED.sub(" ", said.text[start:]))]
    return _share(v not in before for v in listed)


def _durations_wrong(asked: Asked, said: Said) -> float:
    wrong = 0
    for first, last, rest in said.ranges:
        stated = re.search(r"(\d{1,3})\s?min", rest)
        wrong += stated is not None and int(stated[1]) != last - first
    return _soft(wrong)


def _ranges_clash(asked: Asked, said: Said) -> float:
    pairs = zip(said.ranges, said.ranges[1:], strict=False)
    return _soft(sum(after[0] < before[1] for before, after in pairs) + sum(a >= b for a, b, _ in said.ranges))


# Data and code.


def _keys_missing(asked: Asked, said: Said) -> float:
    own = _keys_of(said.json)
    return _share(key not in own for key in asked.keys)


def _keys_foreign(asked: Asked, said: Said) -> float:
    return _share(key not in asked.keys for key in _keys_of(said.json)) if asked.keys else 0.0


def _values_foreign(asked: Asked, said: Said) -> float:
    """Values that do not stand in the prompt as they are."""
    if not asked.keys:
        return 0.0
    leaves = [v for v in _leaves(said.json) if isinstance(v, (str, int, float)) and not isinstance(v, bool)]
    # Python compares a whole number of any size with a float, but cannot make one of it.
    return _share(v.lower() not in asked.text if isinstance(v, str) else v not in asked.numbers for v in leaves)


def _values_null(asked: Asked, said: Said) -> float:
    return _share(v is None for v in _leaves(said.json)) if asked.keys else 0.0


_FEATURES: tuple[Callable[[Asked, Said], float], ...] = (
    _brief,
    _unfinished,
    _open_fence,
    _unbalanced,
    _repeated,
    _doubled,
    _hole,
    _refusal,
    _topic,
    _strange,
    _echo,
    _numbers_missing,
    _numbers_underivable,
    _names_missing,
    _names_foreign,
    _units_missing,
    _parts_missing,
    _wanted_missing,
    _forbidden_used,
    _words_beyond,
    _sentence_beyond,
    _items_off,
    _sums_wrong,
    _totals_wrong,
    _unbacked,
    _durations_wrong,
    _ranges_clash,
    _keys_missing,
    _keys_foreign,
    _values_foreign,
    _values_null,
)
NAMES: tuple[str, ...] = tuple(f.__name__.removeprefix("_") for f in _FEATURES)
"""The features' names, in the order of their weights."""


def features(asked: Asked, response: str) -> NDArray[np.float64]:
    """The features of one response to a prompt that was read: shape (len(NAMES),), each in [0, 1]."""
    said = Said(response)
    return np.array([feature(asked, said) for feature in _FEATURES])


# Reading numbers, limits, quotations and keys.


def _value(number: str) -> tuple[float, float]:
    """A number's value and half a unit of its last digit: what rounding may have moved it by."""
    plain = number.replace(",", "")
    return float(plain), 0.5 * 10.0 ** -len(plain.partition(".")[2])


def _amount(cell: str) -> float | None:
    found = _NUMBERS.search(cell)
    return _value(found[0])[0] if found else None


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return 60 * int(hours) + int(minutes)


def _equations(text: str) -> Iterator[tuple[float, bool]]:
    for line in text.split("\n"):
        if "=" in line or "≈" in line:
            yield from _equations_of_line(line)


def _equations_of_line(line: str) -> Iterator[tuple[float, bool]]:
    for match in _EQUATION.finditer(line):
        before = line[max(0, match.start() - 3) : match.start()].rstrip()[-1:]
        if before and before in "()^" + _OPERATORS:
            continue  # the middle of a longer expression
        left = match[0][: match.start("result") - match.start()].rstrip(" =≈€$£")
        terms = [(_value(m["n"])[0] / (100 if m["percent"] else 1), m["op"] or "") for m in _OPERATION.finditer(left)]
        computed = _computed(terms)
        result, half = _value(match["result"])
        slack = 1.02 * half + 0.001 * result
        yield result, computed is not None and any(abs(computed * scale - result) <= slack for scale in _SCALES)


def _computed(terms: list[tuple[float, str]]) -> float | None:
    """The value of terms, each with the operator after it: products before sums, both from the left."""
    sums, product, sign, divide = 0.0, 1.0, 1.0, False
    for value, operator in terms:
        if divide and value == 0:
            return None
        product = product / value if divide else product * value
        divide = operator in ("/", "÷")
        if operator in ("+", "-", "−", "–", ""):
            sums, product = sums + sign * product, 1.0
            sign = -1.0 if operator in ("-", "−", "–") else 1.0
    return sums


def _totals(text: str) -> NDArray[np.float64]:
    """The totals of the columns of the tables in a text, sorted."""
    rows = [[_amount(c) for c in m[1].split("|")] for m in _ROW.finditer(text)]
    columns = [[v for v in column if v is not None] for column in zip_longest(*rows)]
    return np.sort([sum(column) for column in columns if len(column) > 1])


def _derived(numbers: Iterable[float], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The amounts that follow from one or two of these and of the totals, sorted; of many the first MOST_NUMBERS."""
    known = np.concatenate([np.sort(list(numbers))[:MOST_NUMBERS], totals[:MOST_NUMBERS]])
    a, b = known[:, None], known[None, :]
    safe = np.where(b == 0, 1.0, b)
    found = [a + 0 * b, a + b, np.abs(a - b), a * b, a / safe, 100 * a / safe, 100 * np.abs(a - b) / safe]
    return np.unique(np.concatenate([f.ravel() for f in found]))


def _near(known: NDArray[np.float64], values: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each value whether one of the sorted amounts is that near."""
    if not len(known):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(known, values - within), len(known) - 1)
    return np.abs(known[place] - values) <= within


def _quoted(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what is asked for, what is ruled out) of the quoted items: ruled out after a "not" in the same clause."""
    wanted: list[str] = []
    forbidden: list[str] = []
    for clause in re.split(r"[;\n]|\.\s|, but\b", text):
        ruling_out = _NOT.search(clause)
        for match in _QUOTED.finditer(clause):
            item = next(g for g in match.groups() if g).split("(")[0].strip(" .,").lower()
            if item:
                (forbidden if ruling_out and ruling_out.start() < match.start() else wanted).append(item)
    return tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(forbidden))


def _keys(text: str) -> frozenset[str]:
    return frozenset(a or b for a, b in _KEY.findall(text))


def _nodes(value: Any) -> Iterator[Any]:
    """A JSON value and all that it holds; without recursion, as a response may nest to any depth."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []


def _keys_of(value: Any) -> set[str]:
    return {key for node in _nodes(value) if isinstance(node, dict) for key in node}


def _leaves(value: Any) -> list[Any]:
    return [node for node in _nodes(value) if not isinstance(node, (dict, list))]


def _count(number: str) -> int:
    return _SPELLED.get(number.lower()) or int(number)


def _word_limits(text: str) -> tuple[int, int] | None:
    """(least, most) words of a response that a prompt asks for, 0 where there is no such limit; None without any."""
    between = _BETWEEN.search(text)
    if between:
        return _count(between[1]), _count(between[2])
    most, least = _MOST.search(text), _LEAST.search(text)
    if not most and not least:
        return None
    return _count(least[1]) if least else 0, _count(most[1] or most[2]) if most else 0


def _content(words: Iterable[str]) -> set[str]:
    return {w for w in words if len(w) > 3 and w not in _FUNCTION_WORDS}


def _grams(words: Sequence[str]) -> list[tuple[str, ...]]:
    """All runs of six words."""
    return list(zip(*(words[i:] for i in range(6)), strict=False))


def _share(hits: Iterable[bool], empty: float = 0.0) -> float:
    """The share of what is true, `empty` where there is nothing."""
    found = list(hits)
    return sum(found) / len(found) if found else empty


def _soft(n: int) -> float:
    """A count in [0, 1): 0, 1/2, 2/3, ..."""
    return n / (n + 1)

"""Checks for quantitative problems in numbered parts: each part's final value and its unit.

A part's final answer stands where the response gives its label ("3.", "(3)", "| 3 |", "**Part 3:**") last.
Units of one dimension are converted (29,400 g is 29.4 kg); a number without its unit is not an answer.
"""

from __future__ import annotations

import re

from tail_bench.ladders.checks import Verdict

# Dimension -> factor to its base unit -> spellings, matched without regard to case.
_SPELLINGS: dict[str, dict[float, str]] = {
    "mass": {
        1.0: "kg kilo kilos kilogram kilograms kilogramme kilogrammes",
        1e-3: "g gram grams gramme grammes",
        1e-6: "mg milligram milligrams",
        1e-9: "mcg µg μg ug microgram micrograms",
        1e3: "t tonne tonnes",
    },
    "volume": {
        1.0: "l litre litres liter liters dm³",
        1e-3: "ml millilitre millilitres milliliter milliliters cm³ cm3 cm^3",
        1e3: "m³ m3 m^3 cubic_metre cubic_metres cubic_meter cubic_meters",
    },
    "length": {1.0: "m metre metres meter meters", 1e-2: "cm", 1e-3: "mm", 1e3: "km kilometre kilometres"},
    "area": {1.0: "m² m2 m^2 sqm square_metre square_metres square_meter square_meters", 1e4: "ha hectares"},
    "time": {
        1.0: "h hr hrs hour hours",
        1 / 60: "min mins minute minutes",
        1 / 3600: "s sec secs second seconds",
        24.0: "d day days",
    },
    "energy": {
        1.0: "kwh kilowatt_hour kilowatt_hours kilowatthour kilowatthours",
        1e-3: "wh watt_hour watt_hours",
        1e3: "mwh",
        1 / 3600: "kj",
        1 / 3.6: "mj",
    },
    "power": {1.0: "kw kilowatt kilowatts", 1e-3: "w watt watts"},
    "percent": {1.0: "% percent per_cent"},
    "EUR": {1.0: "€ eur euro euros", 0.01: "cent cents"},
    "USD": {1.0: "$ usd dollar dollars"},
    "GBP": {1.0: "£ gbp pound pounds", 0.01: "p pence"},
}
_UNITS = {
    spelling.replace("_", " "): (dimension, factor)
    for dimension, factors in _SPELLINGS.items()
    for factor, spellings in factors.items()
    for spelling in spellings.split()
}
_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

_ONE = (
    "(?:" + "|".join(re.escape(u).replace(r"\ ", r"[ -]") for u in sorted(_UNITS, key=len, reverse=True)) + r")(?!\w)"
)
_UNIT = rf"{_ONE}(?:\s*(?:/|per|an?\b)\s*{_ONE})?"
_NUMBER = r"[-−]?\d+(?:[,.'’\u00a0\u202f\u2009 ]\d{3}(?!\d))*(?:[.,]\d+)?"
_QUANTITY = re.compile(
    rf"(?P<money>[€$£])\s?(?P<amount>{_NUMBER})|(?<![\w.,])(?P<number>{_NUMBER})(?:\s{{0,2}}|-)(?P<unit>{_UNIT})", re.I
)
_LABEL = re.compile(
    r"^[\s>|*_#•-]*\(?(?:(?:part|question|answer|q|no\.?)\s*)?(?P<label>\d{1,2}|[a-z])"
    r"(?:[*_]*\s*[.):](?!\d)|[*_]*\s+[–—-]\s|[*_]*\s*\|)[*_]*",
    re.I,
)


def part(text: str, label: str | int, value: float, unit: str, within: float = 0.0) -> Verdict:
    """The final answer of the part `label` is `value` `unit`, give or take `within`.

    `unit` is a unit of measure (kg, L/h, €, %) or the noun of a count in the singular (bottle).
    """
    places = _places(_tidy(text), str(label).lower())
    if not places:
        return Verdict(False, f"part {label} is not answered")
    measured = re.fullmatch(_UNIT, unit, re.I) is not None
    for place in places:
        found = _measure(place, unit) if measured else _count(place, unit)
        if found is not None:
            why = f"part {label}: {found:g} {unit}, right is {value:g}"
            return Verdict(abs(found - value) <= within + 1e-9, why)
    return Verdict(False, f"part {label} states no value in {unit}: {places[0].strip()[:80]!r}")


def _tidy(text: str) -> str:
    """The text without LaTeX commands, and with every inline "(2)" of an enumeration on a line of its own."""
    text = re.sub(r"\$([^$\n]*[\\{][^$\n]*)\$", r"\1", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|boxed)\{([^{}]*)\}", r" \1", text)
    text = text.replace("{,}", ",").replace(r"\%", "%").replace(r"\approx", "≈").replace(r"\times", "×")
    text = re.sub(r"\\[,;:!()\[\] ]", " ", text)
    return re.sub(r"[;,.] +(?=\(?\d{1,2}\)\s)", "\n", text)


def _places(text: str, label: str) -> list[str]:
    """Where the part's final answer may be read, the likeliest place first."""
    sections: list[list[str]] = []
    below: list[str] | None = None
    header: list[str] = []
    for line in text.splitlines():
        is_row = line.count("|") >= 2
        header = (header or _cells(line)) if is_row else []
        found = _LABEL.match(line)
        if found or re.match(r"\s*#", line):
            below = None
        if found and found["label"].lower() == label:
            below = []
            sections.append(_row(_cells(line)[1:], header[1:]) if is_row else [line[found.end() :]])
            sections.append(below)
        elif below is not None:
            # Below a heading "3. Medicine" the answer comes last, after its working.
            below.insert(0, line)
    pairs = [sections[i] + sections[i + 1] for i in range(0, len(sections), 2)]
    return [place for pair in reversed(pairs) for place in pair]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _row(cells: list[str], header: list[str]) -> list[str]:
    """A table row's cells in the order of trust: an answer column if one is named so, then from the right."""
    named = [i for i, h in enumerate(header) if re.search(r"answer|result|final|figure|value|total", h, re.I)]
    order = [i for i in named if i < len(cells)] + [i for i in reversed(range(len(cells))) if i not in named]
    return [c for i in order for c in (cells[i], " ".join(cells[i : i + 2]))] + [" ".join(cells)]


def _dimension(unit: str) -> tuple[str, float]:
    over = re.split(r"\s*/\s*|\s+per\s+|\s+an?\s+", re.sub(r"per[ -]cent", "%", unit.lower().strip()))
    pairs = [_UNITS[re.sub("-", " ", u)] for u in over]
    if len(pairs) == 1:
        return pairs[0]
    return f"{pairs[0][0]}/{pairs[1][0]}", pairs[0][1] / pairs[1][1]


def _to_float(number: str) -> float:
    number = re.sub(r"['’\u00a0\u202f\u2009 ]", "", number.replace("−", "-"))
    if "," in number and "." in number:
        decimal = max(number.rfind(","), number.rfind("."))
        return float(re.sub("[,.]", "", number[:decimal]) + "." + number[decimal + 1 :])
    if re.fullmatch(r"-?[1-9]\d{0,2}(,\d{3})+", number) or number.count(".") > 1:
        return float(re.sub("[,.]", "", number))
    return float(number.replace(",", "."))


def _measure(text: str, unit: str) -> float | None:
    """The stated quantity, in the unit: the bold one, else that after the last "=", else the first."""
    dimension, size = _dimension(unit)
    for piece in (*re.findall(r"\*\*(.+?)\*\*", text), re.split(r"[=≈→⇒]", text)[-1], text):
        plain = re.sub(r"[*_`]", "", piece)
        total: float | None = None
        end = 0
        for m in _QUANTITY.finditer(plain):
            found, factor = _dimension(m["unit"] or m["money"])
            between = plain[end : m.start()]
            if total is not None and not (dimension == "time" and re.fullmatch(r"\s*(?:,|and)?\s*", between)):
                break
            if found != dimension:
                continue
            if re.search(r"\d\s*(?:–|-|to|or)\s*$", plain[: m.start()]):
                return float("nan")
            total = (total or 0.0) + factor / size * _to_float(m["number"] or m["amount"])
            end = m.end()
        if total is not None:
            return total
    return None


def _count(text: str, noun: str) -> float | None:
    """How many of the noun the text states: "3 bottles", "3 × 250 ml bottles", "bottles of 250 ml: three"."""
    plain = re.sub(r"[*_`]", "", text)
    number = rf"(?P<n>(?<![\w.,])\d+(?![\d.,]*\d)|\b(?:{'|'.join(_WORDS)})\b)"
    bare = " ".join(_QUANTITY.sub(" ", plain).split())
    for pattern in (
        rf"{number}\s?(?:[×x-]\s?)?\(?(?:[a-z][a-z-]*\s){{0,2}}{noun}(?:e?s)?\b",
        rf"\b{noun}(?:e?s)?\b[^\d\n]{{0,24}}?{number}",
    ):
        found = list(re.finditer(pattern, bare, re.I))
        if found:
            n = found[-1]["n"].lower()
            return float(_WORDS.index(n) if n in _WORDS else n)
    return None

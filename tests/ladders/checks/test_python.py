import pytest

from tail_bench.ladders.checks.python import calls

HALVES = [
    {"call": "halves([4, 6])", "returns": "[2, 3]"},
    {"call": "halves([])", "returns": "[]"},
    {"call": "halves([3])", "raises": "ValueError"},
]
RIGHT = """def halves(values):
    if any(v % 2 for v in values):
        raise ValueError("odd")
    return [v // 2 for v in values]
"""


def fenced(code, language="python"):
    return f"Here it is:\n\n```{language}\n{code}\n```\n\nIt halves."


@pytest.mark.parametrize(
    "text",
    [
        fenced(RIGHT),
        fenced(RIGHT, ""),
        fenced(RIGHT, "py"),
        RIGHT,
        fenced("import math") + fenced(RIGHT) + fenced("print(halves([2]))") + fenced("[1]", "text"),
        fenced("def halves(v):\n    return v") + "Better:\n" + fenced(RIGHT),
        fenced("pip install x", "bash") + fenced("... fragment (") + fenced(RIGHT),
        fenced(RIGHT.replace("return [v // 2 for v in values]", "return tuple(v / 2 for v in values)")),
        fenced("class BadValue(ValueError): pass\n" + RIGHT.replace('ValueError("odd")', "BadValue")),
        fenced(RIGHT + "\nprint('[2, 3]')\nif __name__ == '__main__':\n    raise SystemExit(1)"),
        fenced("_h = None\n" + RIGHT.replace("halves", "_halves") + "\nhalves = _halves"),
    ],
)
def test_right_in_any_form(text):
    assert calls(text, "halves", HALVES).passed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I would halve each value.", "no code"),
        (fenced(RIGHT.replace("halves", "half")), "no code"),
        (fenced(RIGHT.replace("// 2", "// 2 + 0.001")), "should give"),
        (fenced(RIGHT.replace("ValueError", "TypeError")), "should give ValueError"),
        (
            fenced("def halves(values):\n    return [v // 2 for v in values]"),
            "should give ValueError, gave [1]",
        ),
        (fenced(RIGHT.replace("return [", "return set([")), "SyntaxError"),
        (fenced(RIGHT) + fenced("def halves(v):\n    return v"), "should give"),
        (fenced("def halves(values):\n    print([2, 3])"), "gave None"),
        (fenced("import os\n\ndef halves(values):\n    os._exit(0)"), "no result"),
    ],
)
def test_wrong_in_plausible_form(text, why):
    verdict = calls(text, "halves", HALVES)
    assert not verdict.passed
    assert why in verdict.why


def test_values_compare_as_data():
    def passes(expression, literal):
        case = {"call": "f()", "returns": literal}
        return calls(fenced(f"def f():\n    return {expression}"), "f", [case]).passed

    assert passes("0.1 + 0.2", "0.3")
    assert passes("{'b': (1, 2), 'a': {2, 1}}", "{'a': {1, 2}, 'b': [1, 2]}")
    assert passes("float('nan')", "None") is False
    assert passes("True", "1") is False
    assert passes("'1'", "1") is False
    assert passes("10**17 + 1", "100000000000000000") is False
    assert passes("(v for v in [1])", "[1]") is False


def test_setup_shows_what_a_call_does_to_its_argument():
    case = [{"setup": "xs = [2, 1]\nfirst(xs)", "call": "xs", "returns": "[2, 1]"}]
    assert calls(fenced("def first(xs):\n    return sorted(xs)[0]"), "first", case).passed
    assert not calls(fenced("def first(xs):\n    xs.sort()\n    return xs[0]"), "first", case).passed


def test_dataclasses_and_classes_work():
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass P:\n    x: int = 1"
    )
    assert calls(fenced(code), "P", [{"call": "P().x", "returns": "1"}]).passed


def test_endless_loop_fails():
    verdict = calls(fenced("def f():\n    while True: pass"), "f", [{"call": "f()", "returns": "1"}], cpu_seconds=1)
    assert verdict == (False, "no result: out of time or memory, crashed or left early")

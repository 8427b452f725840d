import pytest

from tail_bench.ladders.checks.regex import captures, matches

PATTERN = r"(?P<year>20\d\d)-(?P<term>[ab])?"
ACCEPT = ["2024-a", "2031-"]
REJECT = ["1999-a", "2024", "2024-c", "x2024-a"]


def fenced(code, language=""):
    return f"The pattern:\n\n```{language}\n{code}\n```\n\nIt reads the year first."


RIGHT_FORMS = [
    fenced(PATTERN, "regex"),
    fenced("  " + PATTERN),
    fenced(f"/{PATTERN}/"),
    fenced(f'r"{PATTERN}"'),
    fenced(f'PATTERN = r"{PATTERN}"', "python"),
    fenced(f'import re\n\nterm = re.compile(r"{PATTERN}")\nprint(bool(term.fullmatch("2024-a")))', "python"),
    fenced('YEAR = r"(?P<year>20\\d\\d)"\nPATTERN = rf"{YEAR}-(?P<term>[ab])?"\nsample = "2024-a"', "python"),
    fenced(
        'import re\nP = re.compile(r"""\n  (?P<year> 20\\d\\d ) -  # year\n  (?P<term> [ab] )?\n""", re.X)',
        "py",
    ),
    fenced("(?x)\n(?P<year> 20\\d\\d ) -  # year\n(?P<term> [ab] )?", "regex"),
    fenced(PATTERN, "regex") + fenced("2024-a\n2031-", "text"),
    fenced(PATTERN) + fenced("re.fullmatch(PATTERN, value)", "python"),
    f"Use `{PATTERN}`.",
    PATTERN,
]


@pytest.mark.parametrize("text", RIGHT_FORMS)
def test_right_in_any_form(text):
    assert matches(text, ACCEPT, REJECT) == (True, "right for 6 strings")
    groups = [
        {"subject": "2024-a", "groups": {"year": "2024", "term": "a"}},
        {"subject": "2031-", "groups": {"year": "2031", "2": None}},
    ]
    assert captures(text, groups).passed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (fenced(PATTERN.replace("[ab]", "[a-c]")), "accepts '2024-c'"),
        (fenced(PATTERN.replace(")?", ")")), "rejects '2031-'"),
        (fenced(PATTERN + "("), "error"),
        (fenced("def check(value):\n    return True", "python"), "no pattern"),
        ("Check the year first.\nThen the term.", "rejects"),
    ],
)
def test_wrong_in_plausible_form(text, why):
    verdict = matches(text, ACCEPT, REJECT)
    assert not verdict.passed
    assert why in verdict.why


def test_groups_must_be_there_and_hold_the_text():
    case = [{"subject": "2024-a", "groups": {"term": "a"}}]
    assert captures(fenced(PATTERN.replace("?P<term>", "")), case).why == "has no group term"
    assert not captures(fenced(r"(?P<year>20\d\d)(?P<term>-[ab])?"), case).passed
    assert not captures(fenced(r"(?P<term>b)"), case).passed


def test_mode_search_leaves_anchoring_to_the_pattern():
    assert not matches(fenced(PATTERN), ACCEPT, REJECT, mode="search").passed
    assert matches(fenced(rf"^{PATTERN}$"), ACCEPT, REJECT, mode="search").passed
    assert not matches(fenced(rf"^{PATTERN}$"), [], ["2024-a\n"], mode="search").passed
    assert matches(fenced(rf"^{PATTERN}\Z"), [], ["2024-a\n"], mode="search").passed


def test_runaway_backtracking_only_fails():
    verdict = matches(fenced("(a+)+b"), [], ["a" * 60], cpu_seconds=1)
    assert verdict == (False, "no result: out of time or memory, crashed or left early")

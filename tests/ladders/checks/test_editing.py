import pytest

from tail_bench.ladders.checks.editing import fixed, rest_unchanged

ORIGINAL = """The hall was build in 1902 by the Lowe family, and its still in use. Keys are at the the desk.

Tea is served at four, the cakes are home-made. “Mind them steps,” the caretaker says."""
ERRORS = ["was build", "its still", "the the desk", "four, the"]
FIRST = "The hall was build in 1902 by the Lowe family, and its still in use."
TEA = "Tea is served at four, the cakes are home-made."
RIGHT = """The hall was built in 1902 by the Lowe family, and it's still in use. Keys are at the desk.

Tea is served at four; the cakes are home-made. "Mind them steps," the caretaker says."""

FORMS = [
    RIGHT,
    f"Here you are:\n\n{RIGHT}\n\nChanges: was build > was built; its still; the the desk; four, the.",
    "\n".join(f"> {line}" for line in RIGHT.splitlines()),
    f"```\n{RIGHT}\n```",
    RIGHT.replace("built", "**built**").replace("it's", "~~its~~ **it’s**").replace(" family", "\nfamily"),
    RIGHT.replace("four; the", "four. The").replace("it's", "it is"),
]


@pytest.mark.parametrize("text", FORMS)
def test_a_right_correction_in_any_form(text):
    assert fixed(text, FIRST, "was build", ["was built"]).passed
    assert fixed(text, FIRST, "its still", ["it's still", "it is still"]).passed
    assert fixed(text, TEA, "four, the", ["four; the", "four. The", "four, and the"]).passed
    assert rest_unchanged(text, ORIGINAL, ERRORS).passed


def test_an_error_left_in_or_replaced_by_another():
    left = RIGHT.replace("built", "build")
    assert not fixed(f"{left}\n\nI changed build to built.", FIRST, "was build", ["was built"]).passed
    assert not fixed(RIGHT.replace("it's", "its'"), FIRST, "its still", ["it's still", "it is still"]).passed
    assert not fixed(RIGHT.replace("four; the", "four, The"), TEA, "four, the", ["four; the", "four. The"]).passed
    assert rest_unchanged(left, ORIGINAL, ERRORS).passed


def test_a_rewritten_passage_is_not_a_correction():
    text = "Our hall, dating from 1902, was built by a local family and it's still used today."
    assert not fixed(text, FIRST, "was build", ["was built"]).passed
    assert not rest_unchanged(text, ORIGINAL, ERRORS).passed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in use", "in daily use"),
        ("Keys are", "The keys are"),
        ("Mind them steps", "Mind those steps"),
        ("home-made", "homemade"),
        ("family, and", "family and"),
        (" Keys are at the desk.", ""),
        ("1902", "1903"),
        ("Lowe", "Löwe"),
    ],
)
def test_any_other_change_is_seen(before, after):
    assert before in RIGHT
    assert not rest_unchanged(RIGHT.replace(before, after), ORIGINAL, ERRORS).passed


def test_a_dropped_paragraph_is_a_change():
    assert not rest_unchanged(RIGHT.split("\n\n")[0], ORIGINAL, ERRORS).passed


def test_an_error_must_stand_once_in_the_original():
    with pytest.raises(ValueError, match="stands 0 times"):
        rest_unchanged(RIGHT, ORIGINAL, ["wheel"])

import pytest

from tail_bench.ladders.checks.constraints import (
    avoids,
    dates,
    in_order,
    item_count,
    mentions,
    occurs,
    sentence_length,
    weekdays,
    word_count,
)

BODY = "The pool opens on Monday 3 June. Bring a towel, a lock and a friend."  # 15 words


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        f"Here is the notice you asked for:\n\n{BODY}",
        f"**The pool is open again**\n\n{BODY}",
        f"Title: The pool is open again\n{BODY}",
        f"Below it is, counted.\n\n---\n\n# The pool is open again\n\n{BODY}\n\n---\n\nIt has 15 words.",
        f"Sure.\n\n```\nThe pool is open again\n\n{BODY}\n```\n\nIt has 15 words, as asked.",
        "\n".join(f"> {line}" for line in ("## The pool is open again", "", BODY)),
        "Open again\n\n- The pool opens on **Monday 3 June**.\n- Bring a towel, a lock and a friend.",
    ],
)
def test_only_the_words_of_the_piece_count(text):
    assert word_count(text, least=15, most=15).passed
    assert not word_count(text, most=14).passed
    assert not word_count(text, least=16).passed


def test_heading():
    assert word_count("# Pool open - at last\n\nCome in.", part="heading", most=4).passed
    assert not word_count("# Pool open - at last\n\nCome in.", part="heading", most=3).passed
    assert not word_count(BODY, part="heading").passed
    assert not word_count(f"Dear neighbour,\n\n{BODY}", part="heading").passed


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("Come in. It is warm today! Really?", 4),
        ("Come at 6 p.m. on Friday or ask Mrs. Hale about it.", 12),
        ("Doors open at 6 p.m. The film starts at 7.", 5),
        ("Bring these:\n- a towel\n- a lock and a key\n- one friend", 5),
        ("He said “come in.” We did so at once.", 5),
        ("A sentence over\ntwo lines is still one.", 8),
    ],
)
def test_sentence_length(text, longest):
    assert sentence_length(text, most=longest).passed
    assert not sentence_length(text, most=longest - 1).passed


def test_mentions_any_wording_but_not_a_part_of_a_word():
    items = [["drop-in"], ["6 to 7 pm", "6-7 pm"]]
    assert mentions("A **drop in** is held, 6–7pm.", items).passed
    assert not mentions("A drop-in is held, 16–7 pm.", items).passed
    assert not mentions("The backdrop-in is held, 6-7 pm.", items).passed


def test_avoids_every_form():
    assert avoids("We are open. Sorrel soup is served.", ["sorry", "apolog*"]).passed
    assert not avoids("Our APOLOGIES to all.", ["sorry", "apolog*"]).passed
    assert avoids("Here it is, without any apology:\n\n---\n\nWe are open to all of you.\n\n---\n", ["apolog*"]).passed


def test_in_order_of_first_mention():
    items = [["shopping", "groceries"], ["parcel*"]]
    assert in_order("1. Groceries\n2. Parcels, and shopping again", items).passed
    assert not in_order("Parcels first, then shopping.", items).passed
    assert not in_order("Only groceries.", items).passed


def test_occurs_in_the_last_sentence_only():
    number = {"item": ["020 7946 0182"], "times": 1, "part": "last sentence"}
    assert occurs("Come in. Or call us on **020 7946-0182**.\n\nThe board", **number).passed
    assert occurs("Come in. Or call us on 02079460182.", **number).passed
    assert not occurs("Call 020 7946 0182. See you soon.", **number).passed
    assert not occurs("Call 020 7946 0182. I repeat: call 020 7946 0182.", **number).passed
    assert not occurs("Come in. Or call us on 020 7946 0183.", **number).passed


@pytest.mark.parametrize(
    "text",
    [
        "From Monday 3 June to Friday 14 June.",
        "From Mon 3 to Fri 14 June.",
        "Monday, June 3rd until Friday, June 14th.",
        "From Monday the 3rd of June to the 14 June (Friday).",
    ],
)
def test_dates_with_weekdays(text):
    assert dates(text, ["06-03", "06-14"]).passed
    assert not dates(text, ["06-03", "06-15"]).passed
    assert weekdays(text, 2024).passed


@pytest.mark.parametrize(
    "text",
    [
        "From Monday 3 June to 14 June.",
        "From 3 to Friday 14 June.",
        "Tuesday 3 June.",
        "Monday 3 June, and on 3 June again.",
        "Friday 31 June.",
        "In June.",
    ],
)
def test_a_missing_or_wrong_weekday(text):
    assert not weekdays(text, 2024).passed


def test_item_count():
    assert item_count("Bring:\n\n* a towel\n* a lock\n", least=2, most=2).passed
    assert not item_count("Bring a towel - and a lock.", least=2, most=2).passed

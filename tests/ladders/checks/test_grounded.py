import pytest

from tail_bench.ladders.checks.grounded import figures, omits, says, states

RATE = {"near": [["Tarvik"], ["late", "delay*"]], "value": 17.308, "decimals": 1, "wrong": [14.835]}


@pytest.mark.parametrize(
    "text",
    [
        "At **Tarvik**, 17.3 % of the boats were late.",
        "Tarvik did worst. Its share of delayed boats was 17.31 percent.",
        "| Route | Late share |\n|---|---|\n| Holm | 16.7% |\n| Tarvik | 17.3% |",
        "- Holm: 16.7% late\n- Tarvik: 17.3% late",
    ],
)
def test_states_a_figure_in_any_form(text):
    assert states(text, **RATE).passed


@pytest.mark.parametrize(
    "text",
    [
        "At Tarvik, 17% of the boats were late.",
        "At Tarvik, 17.4% of the boats were late.",
        "At Tarvik, 117.3 boats were late.",
        "At Tarvik all was well.\n\nLate boats: 17.3% at Holm.",
        "At Tarvik 17.3% were late. In other words, 14.8% of the late Tarvik boats.",
        "| Route | Late share |\n|---|---|\n| Holm | 17.3% |\n| Tarvik | 16.7% |",
    ],
)
def test_a_figure_that_is_wrong_or_stands_elsewhere(text):
    assert not states(text, **RATE).passed


def test_thousands_and_number_words():
    near = [["sailing*"]]
    for text in (
        "1,122 sailings ran.",
        "Sailings: 1122",
        "There were 1 122 sailings.",
        "1.122 thousand sailings",
    ):
        assert states(text, near, 1122).passed, text
    for text in ("1,123 sailings ran.", "11,122 sailings ran.", "Of sailings 122 ran."):
        assert not states(text, near, 1122).passed, text
    assert states("Three routes had late sailings.", near, 3).passed


def test_says_in_one_sentence_or_the_next():
    groups = [["Holm"], ["estimat*"], ["4,420"]]
    assert says("Note on Holm. 4,420 of its passengers are estimated.", groups).passed
    assert says("Of the passengers on the Holm boat, 4420 are an estimate.".replace("4420", "4,420"), groups).passed
    assert not says("Holm is estimated.\n\nElsewhere 4,420 people were counted.", groups).passed


def test_omits():
    assert omits("The weathervane shop is not meant.", ["weather", "storm*"]).passed
    assert not omits("This was due to **Storms**.", ["weather", "storm*"]).passed


@pytest.mark.parametrize(
    "text",
    [
        "1. In Q2, 1,122 sailings ran (17.3%), or 17 in 100.",
        "About 1.1 thousand sailings ran, 17.31 %.",
        "No figures at all.",
    ],
)
def test_known_figures(text):
    assert figures(text, [1122, 100], [17.308]).passed


def test_strange_figures():
    assert not figures("1,122 ran, 17.4%.", [1122], [17.308]).passed
    assert not figures("1,212 ran, 17.3%.", [1122], [17.308]).passed
    assert figures("14.8% were late.", [1122], [17.308], elsewhere=[14.835]).passed

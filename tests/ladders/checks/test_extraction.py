import pytest

from tail_bench.ladders.checks.extraction import field, length, nulls, schema

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "day": {"type": ["string", "null"], "pattern": r"\d{4}-\d\d-\d\d"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "what": {"enum": ["bike", "drill"]},
                    "price": {"type": ["number", "null"]},
                    "receipt": {"type": ["boolean", "null"]},
                },
            },
        },
    },
}
RIGHT = """{"name": "Ada", "day": "2024-03-17", "items": [{"what": "bike", "price": 12.5, "receipt": null},
 {"what": "drill", "price": null, "receipt": false}]}"""


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        f"Here it is:\n```json\n{RIGHT}\n```\nThe day is {{derived}}.",
        f"First try:\n```\n{{}}\n```\nBetter:\n```\n{RIGHT}\n```",
        f"- As JSON:\n  ```JSON\n{RIGHT}\n  ```\n\nRun it:\n```sh\njq . claim.json\n```",
        RIGHT.replace("12.5", "12").replace('"2024-03-17"', "null"),
    ],
)
def test_schema_accepts_the_shape_in_any_wrapping(text):
    assert schema(text, SCHEMA).passed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada, 17 March",
        RIGHT[:-1],
        RIGHT.replace("12.5", '"12.5"'),
        RIGHT.replace("12.5", "true"),
        RIGHT.replace("false", '"no"'),
        RIGHT.replace("2024-03-17", "17.03.2024"),
        RIGHT.replace('"name"', '"full_name"'),
        RIGHT.replace('"name"', '"extra": 1, "name"'),
        RIGHT.replace('"drill"', '"hammer"'),
        f"[{RIGHT}]",
    ],
)
def test_schema_rejects_another_shape(text):
    assert not schema(text, SCHEMA).passed


@pytest.mark.parametrize(
    ("path", "value", "passes"),
    [
        ("name", "ada ", True),
        ("name", "Ada Lovelace", False),
        ("items.0.price", 12.5, True),
        ("items.1.price", 0, False),
        ("items.[what~bike|cycle].price", 12.5, True),
        ("items.[what~i].price", 12.5, False),
        ("items.[what~saw].price", None, False),
        ("items.1.receipt", None, False),
        ("items.1.receipt", False, True),
        ("items.0.receipt", None, True),
        ("items.0.receipt", False, False),
        ("items.7.receipt", None, False),
    ],
)
def test_field_finds_and_compares(path, value, passes):
    assert field(RIGHT, path, value).passed is passes


def test_field_leaves_types_to_the_schema_but_not_values():
    assert field('{"price": "12.50"}', "price", 12.5).passed
    assert not field('{"price": "12.50 EUR"}', "price", 12.5).passed
    assert field('{"zip": 79100}', "zip", "79100").passed
    assert field('{"n": 0}', "n", 0).passed
    assert not field('{"n": false}', "n", 0).passed
    assert field('{"phone": "+49 171 1"}', "phone", "+491711", also=["+49 171 1"]).passed


@pytest.mark.parametrize(("filler", "passes"), [("null", True), ('""', False), ('"n/a"', False), ("0", False)])
def test_nulls_must_be_null(filler, passes):
    assert nulls(f'{{"a": null, "b": {{"c": {filler}}}}}', ["a", "b.c"]).passed is passes
    assert not nulls("no JSON here", ["a"]).passed


def test_length_counts_list_elements():
    assert length(RIGHT, "items", 2).passed
    assert not length(RIGHT, "items", 3).passed
    assert not length(RIGHT, "name", 3).passed

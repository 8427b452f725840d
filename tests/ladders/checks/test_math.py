import pytest

from tail_bench.ladders.checks.math import part


@pytest.mark.parametrize(
    "text",
    [
        "1. Water: 11,760 litres\n2. Salt: 29.4 kg",
        "(1) 11.76 m³; (2) 29,400 g; (3) done.",
        "**Part 2:** 35.28 kg − 5.88 kg = 29.4 kg",
        "| # | Result | Working |\n|---|---|---|\n| 1 | 11,760 l | |\n| 2 | **29.4 kg** | 35.28 kg - 5.88 kg |",
        "| No. | Working | Kilos |\n|---|---|---|\n| 2 | 35.28 kg - 5.88 kg | 29.4 kg |",
        "| No. | Value | Unit |\n|---|---|---|\n| 2 | 29.4 | kg |",
        "## 2. Salt\n\nThere are 5.88 kg in it.\n\n35.28 kg − 5.88 kg = **29.4 kg**\n\n## 3. Medicine\n\n588 ml",
        "2) I first thought of 35.28 kg.\n\nFinal answers:\n1) 11,760 litres\n2) 29,4 kilograms\n",
        r"2. Salt: $29.4\text{ kg}$",
        "2. 29.4 kg of salt\n\nTwo hints:\n1. Stir well.\n2. Add it slowly.",
    ],
)
def test_reads_the_final_answer_of_a_part_in_any_form(text):
    assert part(text, 2, 29.4, "kg", within=0.05).passed


@pytest.mark.parametrize(
    "text",
    [
        "1. 29.4 kg\n2. 35.28 kg",
        "2. Salt: 29.4 g",
        "2. Salt: 29.4",
        "2. Salt: 29.4 litres",
        "2. Salt: 29–35 kg",
        "You need 29.4 kg of salt.",
        "1. We start from 29.4 kg\n3. 588 ml",
        "2. 29.4 kg at first glance\n\nFinal list:\n2. 35.28 kg",
        "",
    ],
)
def test_fails_on_another_value_unit_or_part(text):
    assert not part(text, 2, 29.4, "kg", within=0.05).passed


@pytest.mark.parametrize(
    ("text", "value", "unit", "passes"),
    [
        ("4. 4,704 litres per hour", 4704, "L/h", True),
        ("4. 4.704 m³/h", 4704, "L/h", True),
        ("4. 78.4 l/min", 4704, "L/h", True),
        ("4. 4,704 litres per minute", 4704, "L/h", False),
        ("4. 4,704 litres", 4704, "L/h", False),
        ("4. 1 hour and 38 minutes", 98, "min", True),
        ("4. 1 h 38 min", 98, "min", True),
        ("4. 98 seconds", 98, "min", False),
        ("4. €1,234.50", 1234.5, "€", True),
        ("4. 1.234,50 EUR", 1234.5, "EUR", True),
        ("4. 1 234.50 euros", 1234.5, "€", True),
        ("4. $1,234.50", 1234.5, "€", False),
        ("4. 5.4 per cent", 5.4, "%", True),
        ("4. 74.4 kilowatt-hours", 74.4, "kWh", True),
        ("4. 74.4 kW", 74.4, "kWh", False),
        ("4. −3.5 m", -3.5, "m", True),
    ],
)
def test_converts_units_of_one_dimension_only(text, value, unit, passes):
    assert part(text, "4", value, unit, within=0.01).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("3. 3 bottles", True),
        ("3. 588 ml, so three bottles", True),
        ("3. 3 × 250 ml bottles", True),
        ("3. Bottles of 250 ml: 3", True),
        ("3. 588 / 250 = 2.35, rounded up to **3 full bottles**", True),
        ("3. 2 bottles", False),
        ("3. 2.35 bottles", False),
        ("3. 588 ml", False),
        ("3. 3", False),
    ],
)
def test_counts_whole_things(text, passes):
    assert part(text, 3, 3, "bottle").passed is passes

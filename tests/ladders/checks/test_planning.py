import pytest

from tail_bench.ladders.checks import planning

PLACES = ["Base", "Ash", "Bo", "Cy"]
DRIVING = [[0, 10, 20, 15], [10, 0, 12, 30], [20, 12, 0, 8], [15, 30, 8, 0]]
NAMES = ["Base", "Ash", "Bo 1", "Bo 2", "Cy"]
MINUTES = {"Ash": 20, "Bo 1": 15, "Bo 2": 5, "Cy": 30}
# Base 08:00, Ash, Bo 1, Cy, Bo 2, Base: 10 + 12 + 8 + 8 + 20 = 58 minutes of driving.
PLAN = """08:00 leave Base
08:10–08:30 Ash
08:42–08:57 Bo 1
09:05–09:35 Cy
09:43–09:48 Bo 2
10:08 back at Base

Total driving: 58 minutes."""
TABLE = """Ash comes first, from 08:05 to 08:45 if need be.

| Stop | Arrive | Begin | End | Remark |
|---|---|---|---|---|
| **Base** | | | 8:00 am | |
| **Ash** | 8:10 | 8:10 | 8:30 | by 08:30 |
| **Bo 1** | 8:42 | 8:42 | 8:57 | before Cy, not before 08:40 |
| **Cy** | 9:05 | 9:05 | 9:35 | |
| **Bo 2** | 9:43 | 9:43 | 9:48 | |
| **Base** | 10:08 | | | |

That is 10 + 12 + 8 + 8 + 20 = **58 min** on the road in all. Ash could wait until 08:20, Cy until 09:30."""
WORDY = """1. Leave Base at 08:00
2. **Ash**: begins 08:10, ends 08:30 (he leaves at 09:00)

3. **Bo 1**: 08:42 to 08:57
   - set it up, 12 min from Ash
4. **Cy**: 09:05 until 09:35, open from 08:00
5. **Bo 2**: 09:43 → 09:48
6. Base at 10:08

Altogether I spend 0 h 58 min driving."""
GAPS = [("Bo 1", "Bo 2", 30, 60)]


def change(old: str, new: str) -> str:
    assert old in PLAN
    return PLAN.replace(old, new)


@pytest.mark.parametrize("text", [PLAN, TABLE, WORDY])
def test_a_right_plan_passes_in_any_form(text):
    assert planning.complete(text, NAMES, "Base", "08:00").passed
    assert planning.lengths(text, NAMES, MINUTES).passed
    assert planning.reachable(text, NAMES, PLACES, DRIVING).passed
    assert planning.window(text, NAMES, "Ash", after="08:10", by="08:10", done="08:30").passed
    assert planning.gap(text, NAMES, "Bo 1", "Bo 2", least=46, most=46).passed
    assert planning.last(text, NAMES, "Bo 2", "Base").passed
    assert planning.total_driving(text, NAMES, PLACES, DRIVING).passed
    windows = {"Ash": {"by": "08:30"}, "Cy": {"by": "09:10"}}
    assert planning.least_driving(text, NAMES, PLACES, DRIVING, MINUTES, "08:00", windows, GAPS).passed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would visit Ash, Bo and Cy.",
        change("09:05–09:35 Cy\n", ""),
        change("09:05–09:35 Cy", "09:05–09:20 Cy\n09:20–09:35 Cy"),
        change("10:08 back at Base", ""),
        change("08:00 leave", "07:50 leave"),
    ],
)
def test_complete_fails_on_missing_or_doubled_stops(text):
    assert not planning.complete(text, NAMES, "Base", "08:00").passed


def test_timing_slips_fail():
    assert not planning.lengths(change("09:35", "09:30"), NAMES, MINUTES).passed
    assert not planning.lengths("", NAMES, MINUTES).passed
    assert not planning.reachable(change("08:42–08:57", "08:41–08:56"), NAMES, PLACES, DRIVING).passed
    assert not planning.reachable(change("10:08", "10:07"), NAMES, PLACES, DRIVING).passed
    assert not planning.window(PLAN, NAMES, "Cy", after="09:06").passed
    assert not planning.window(PLAN, NAMES, "Cy", by="09:04").passed
    assert not planning.window(PLAN, NAMES, "Cy", by="09:30", done="09:34").passed
    assert not planning.window("", NAMES, "Cy", by="09:30").passed


def test_gap_is_measured_from_the_end_and_has_a_direction():
    assert not planning.gap(PLAN, NAMES, "Bo 1", "Bo 2", least=47).passed
    assert not planning.gap(PLAN, NAMES, "Bo 1", "Bo 2", most=45).passed
    assert not planning.gap(PLAN, NAMES, "Cy", "Ash").passed
    assert not planning.last(PLAN, NAMES, "Cy", "Base").passed


@pytest.mark.parametrize("said", ["Total driving: 59 minutes.", "Total: 58", "The drive to Ash takes 58 minutes."])
def test_the_total_must_be_stated_and_right(said):
    assert not planning.total_driving(change("Total driving: 58 minutes.", said), NAMES, PLACES, DRIVING).passed


def test_least_driving_compares_with_the_best_feasible_plan():
    longer = """- 08:00 Base
- 08:10–08:30 Ash
- 09:00–09:30 Cy
- 09:38–09:53 Bo 1
- 10:23–10:28 Bo 2
- 10:48 Base"""
    tight = [("Bo 1", "Bo 2", 0, 10)]
    args = (NAMES, PLACES, DRIVING, MINUTES, "08:00")
    # 10 + 30 + 8 + 0 + 20 = 68, but without the long gap Ash, Bo 1, Bo 2, Cy is 10 + 12 + 0 + 8 + 15 = 45.
    assert not planning.least_driving(longer, *args).passed
    assert not planning.least_driving(PLAN, *args).passed
    assert not planning.least_driving(PLAN, *args, None, tight).passed
    assert not planning.least_driving(longer.replace("- 09:00–09:30 Cy\n", ""), *args).passed
    # The same drive the other way round does as well, and windows may ask for it.
    windows = {"Cy": {"by": "08:59"}, "Bo 1": {"after": "09:00"}}
    first = "08:00 Base\n08:15–08:45 Cy\n09:00–09:15 Bo 1\n09:15–09:20 Bo 2\n09:32–09:52 Ash\n10:02 Base"
    assert planning.least_driving(first, *args, windows, tight).passed
    assert not planning.least_driving(longer, *args, windows, tight).passed
    assert not planning.least_driving(longer, *args, {"Cy": {"after": "09:00"}}, None, "Ash").passed

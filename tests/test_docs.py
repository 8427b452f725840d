"""What docs/judging.md shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from tail_bench.cli import main
from tail_bench.graders.presets import FOLDER, Preset, load_preset, with_reasoning
from tail_bench.graders.verdicts import Reply, read_label
from tail_bench.tasks import tail_rubric

DOC = (Path(__file__).parent.parent / "docs" / "judging.md").read_text(encoding="utf-8")


def test_the_preset_shown_loads_and_reads_a_tie(tmp_path):
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", DOC, re.M | re.S)
    path = tmp_path / "mine.yaml"
    path.write_text(shown)
    preset = with_reasoning(load_preset(str(path)), True)
    assert read_label(Reply("Hard to say. [[C]]"), preset).values == (0.5,)
    assert "Think first" in preset.render({"prompt": "?", "response_a": "a", "response_b": "b"})[1]


def test_the_plan_shown_is_the_one_printed():
    printed = CliRunner().invoke(main, ["plan", "tail_judge", "--model", "openai/gpt-4o-mini"]).stdout
    shown = next(b for b in re.findall(r"^```text\n(.*?)^```", DOC, re.M | re.S) if "questions" in b)
    assert printed.split() == shown.split()


def test_every_preset_setting_and_name_is_documented():
    for name in (*Preset.model_fields, *tail_rubric.__annotations__):
        if name not in (
            "mode",
            "return",
            "unknown",
            "dataset",
            "split",
            "tail",
            "min_margin",
            "seed",
            "thinking",
            "prompt",
        ):
            assert f"`{name}`" in DOC or f"{name}:" in DOC or f"-T {name}" in DOC, name
    for path in FOLDER.glob("*.yaml"):
        if load_preset(path.stem).quote is False:
            assert f"`{path.stem}`" in DOC

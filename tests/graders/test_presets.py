"""Prompt presets: what is wrong with a file is said when it is loaded, before anything is asked or paid."""

import re
import time

import pytest
import yaml

from tail_bench.errors import InputError
from tail_bench.graders.presets import FOLDER, NEEDS, Preset, load_preset, preset_names, with_reasoning

PAIRWISE = {
    "mode": "pairwise",
    "system": "Compare.",
    "user": "{{ prompt }}\n{{ response_a }}\n{{ response_b }}\nA or B?",
    "verdict": "([AB])",
    "values": {"A": 1, "B": 0},
    "reasoning": False,
}
POINTWISE = {
    "mode": "pointwise",
    "user": "{{ prompt }}\n{{ response }}\nFrom {{ low }} to {{ high }}?",
    "verdict": r"(\d+)",
    "scale": [1, 10],
    "reasoning": False,
}
LISTWISE = {
    "mode": "listwise",
    "user": "{{ prompt }}\n{% for r in responses %}{{ loop.index }} of {{ k }}: {{ r }}\n{% endfor %}Rank them.",
    "verdict": "(.+)",
    "reasoning": False,
}
EACH = {
    "mode": "verify-each",
    "user": "{{ prompt }}\n{{ response }}\n{{ criterion }}?",
    "verdict": "(yes|no)",
    "values": {"yes": 1, "no": 0},
    "reasoning": False,
}
TOGETHER = {"mode": "verify-together", "user": "{{ prompt }}\n{{ response }}\n{{ criteria }}\n", "reasoning": False}


@pytest.fixture
def load(tmp_path):
    """Load a preset from a file with this content: fields, or text as it is."""

    def loaded(content, modes=tuple(NEEDS)):
        path = tmp_path / "mine.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return load_preset(str(path), modes)

    return loaded


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_our_presets_load_by_name_and_by_path(path):
    preset = load_preset(path.stem)
    assert load_preset(str(path)) == preset
    assert path.stem in preset_names([preset.mode])


def test_every_mode_has_the_preset_of_its_name():
    assert all(load_preset(mode).mode == mode for mode in NEEDS)


@pytest.mark.parametrize("fields", [PAIRWISE, POINTWISE, LISTWISE, EACH, TOGETHER], ids=lambda f: f["mode"])
def test_a_file_is_a_preset_too(load, fields):
    preset = load(fields)
    assert preset == Preset(**fields)
    if "values" in fields:
        assert preset.labels == {label.casefold(): value for label, value in fields["values"].items()}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (without(PAIRWISE, "mode"), ["mode: Field required"]),
        (without(PAIRWISE, "user"), ["user: Field required"]),
        (PAIRWISE | {"mode": "pair"}, ["mode: ", "'pairwise'", "'listwise'"]),
        (PAIRWISE | {"user": ["a", "b"]}, ["user: ", "string"]),
        (
            PAIRWISE | {"prompt": "a", "verdicts": "b"},
            ["prompt: is no field", "verdicts: is no field", "user, verdict"],
        ),
        (PAIRWISE | {"user": "{{ prompt }} {{ response_a }}"}, ["user lacks {{ response_b }}"]),
        (LISTWISE | {"user": "{{ prompt }}"}, ["user lacks {{ responses }}"]),
        (EACH | {"user": "{{ prompt }} {{ response }}"}, ["user lacks {{ criterion }}"]),
        (TOGETHER | {"user": "{{ prompt }} {{ response }}"}, ["user lacks {{ criteria }}"]),
        (PAIRWISE | {"system": "{{ answer }}"}, ["placeholder answer", "prompt, reasoning, response_a"]),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ low }}{{ k }}"}, ["placeholder k, low"]),
        (PAIRWISE | {"system": "The mark is {{ mark }}", "quote": False}, ["placeholder mark"]),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt"}, ["user: is no template"]),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{% if reasoning %}"}, ["user: is no template", "endif"]),
        (PAIRWISE | {"system": "{{" + "(" * 5_000}, ["system: is no template"]),
        (without(PAIRWISE, "reasoning"), ["reasoning: true or false is missing", "{% if reasoning %}"]),
        (PAIRWISE | {"reasoning": "perhaps"}, ["reasoning: ", "boolean"]),
        (without(PAIRWISE, "verdict"), ["verdict: is missing", "group"]),
        (PAIRWISE | {"verdict": "([AB]"}, ["verdict: '([AB]'", "no regular expression", "position 0"]),
        (PAIRWISE | {"verdict": "(A){1,99999999999999999999}"}, ["verdict: ", "no regular expression"]),
        (PAIRWISE | {"verdict": ["([AB])", "[AB]"]}, ["verdict: '[AB]' has no group around the label"]),
        (PAIRWISE | {"verdict": "(?i)([AB])"}, ["verdict: ", "(?i:...)"]),
        (PAIRWISE | {"verdict": ["(?P<x>A)", "(?P<x>B)"]}, ["verdict: ", "name a group once"]),
        (PAIRWISE | {"verdict": {"A": 1}}, ["verdict: ", "list"]),
        (without(PAIRWISE, "values"), ["values: is missing", "{A: 1, B: 0}"]),
        (without(EACH, "values"), ["values: is missing"]),
        (PAIRWISE | {"values": {"A": 2, "B": 0}}, ["values: must lie in 0 to 1"]),
        (PAIRWISE | {"values": {"A": float("nan"), "B": 0}}, ["values.A: ", "finite"]),
        (PAIRWISE | {"values": {"A": "good", "B": 0}}, ["values.A: ", "number"]),
        (PAIRWISE | {"values": {"A": 1}}, ["values: ", "at least 2"]),
        (PAIRWISE | {"values": {"A": 1, "a": 0, "B": 0}}, ["values: has two labels that differ in nothing but case"]),
        (PAIRWISE | {"scale": [1, 5]}, ["scale: is for pointwise", "mode is pairwise"]),
        (LISTWISE | {"values": {"A": 1, "B": 0}}, ["values: is for verdicts of one label", "mode is listwise"]),
        (
            without(POINTWISE | {"user": "{{ prompt }}{{ response }}"}, "scale"),
            ["either scale: [low, high] or values:"],
        ),
        (POINTWISE | {"values": {"good": 1, "bad": 0}}, ["either scale: [low, high] or values:"]),
        (POINTWISE | {"scale": [10, 1]}, ["scale: must be [low, high] with low < high"]),
        (POINTWISE | {"scale": [0, 10**12]}, ["scale: must be", "at most 1000 apart"]),
        (POINTWISE | {"scale": [1]}, ["scale.1: Field required"]),
        (POINTWISE | {"scale": "1 to 10"}, ["scale: ", "tuple"]),
        (LISTWISE | {"order": "worst first"}, ["order: ", "'ranking' or 'scores'"]),
        (PAIRWISE | {"max_tokens": 0, "temperature": -1}, ["max_tokens: ", "temperature: ", "greater than"]),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(load, tmp_path, fields, said):
    with pytest.raises(InputError) as error:
        load(fields)
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'} is not a prompt preset:\n  ")
    for part in said:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must be a mapping with mode, user and verdict"),
        ("- mode: pairwise", "must be a mapping"),
        ("only text", "must be a mapping"),
        ("mode: [pairwise", "is not YAML"),
        ("mode: pairwise\n user: x", "is not YAML"),
        ("mode: pairwise\n---\nmode: pointwise", "is not YAML"),
        ("mode: \x07", "is not YAML"),
        ("mode: !!int pairwise", "is not YAML"),
        ("quote: !!bool perhaps", "is not YAML"),
        ("mode: " + "[" * 10_000, "is not YAML"),
        ("max_tokens: " + "9" * 10_000, "is not YAML"),
        ("user: !!python/object/apply:os.system ['touch ran']", "is not YAML"),
        ("user: !!python/name:os.system", "is not YAML"),
        ("!!python/object/new:tail_bench.graders.presets.Preset {}", "is not YAML"),
        ("user: !include other.yaml", "is not YAML"),
    ],
)
def test_what_is_no_yaml_mapping_is_said_with_the_file(load, tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load(content)
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert said in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("user: Größe".encode("latin-1"))
    with pytest.raises(InputError, match=r"mine.yaml: is not YAML: .*utf-8"):
        load_preset(str(path))


@pytest.mark.parametrize(
    "name", ["pairwize", "Pairwise", "", ".", "no/such.yaml", "~nobody-of-that-name/x", "a" * 5_000]
)
def test_no_such_file_lists_the_presets(name):
    with pytest.raises(InputError) as error:
        load_preset(name, ["pairwise"])
    assert str(error.value) == (
        f"prompt={name}: no such preset or YAML file; the presets are "
        "pairwise, prometheus-2-relative, rm-r1, skywork-critic"
    )


def test_a_preset_of_another_mode_is_refused():
    with pytest.raises(InputError, match="verify-each is a preset for verify-each, and this needs one for pairwise or"):
        load_preset("verify-each", ["pairwise", "pointwise"])


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("Yes", "No"), ("true", "false"), ("on", "off"), ("1", "0")])
def test_labels_are_words_whatever_yaml_takes_them_for(load, yes, no):
    text = yaml.safe_dump(without(EACH, "values") | {"quote": False}) + f"values: {{{yes}: 1, {no}: 0}}\n"
    preset = load(text)
    assert preset.written == {yes: 1, no: 0}
    assert (preset.quote, preset.reasoning) == (False, False)
    assert load(text.replace("quote: false", "quote: yes")).quote is True


def test_reasoning_follows_or_is_refused():
    free = load_preset("pairwise")
    texts = {"prompt": "?", "response_a": "a", "response_b": "b"}
    thinks, does_not = (with_reasoning(free, value).render(texts)[1] for value in (True, False))
    assert "step by step" in thinks
    assert "step by step" not in does_not
    assert with_reasoning(free, None) == with_reasoning(free, False)
    thinker, at_once = load_preset("rm-r1"), load_preset("skywork-critic")
    assert with_reasoning(thinker, True) is thinker is with_reasoning(thinker, None)
    with pytest.raises(InputError, match="reasoning=false: this preset always thinks"):
        with_reasoning(thinker, False)
    with pytest.raises(InputError, match="reasoning=true: this preset gives its verdict at once"):
        with_reasoning(at_once, True)


def test_a_fingerprint_is_of_all_that_is_said_and_not_of_the_path(load, tmp_path):
    base = load(PAIRWISE).fingerprint
    (tmp_path / "other.yaml").write_text("# a comment\n" + yaml.safe_dump(PAIRWISE), encoding="utf-8")
    assert load_preset(str(tmp_path / "other.yaml")).fingerprint == base
    changes = [
        {"system": "Compare!"},
        {"user": PAIRWISE["user"] + "!"},
        {"verdict": "([BA])"},
        {"verdict": ["([AB])", "(A|B)"]},
        {"values": {"A": 1, "B": 0.5}},
        {"quote": False},
        {"reasoning": True},
        {"max_tokens": 5},
        {"temperature": 0},
    ]
    assert len({base, *(load(PAIRWISE | change).fingerprint for change in changes)}) == len(changes) + 1


@pytest.mark.parametrize(
    "attempt",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ prompt.__init__.__globals__ }}",
        "{{ prompt['__class__'] }}",
        "{{ prompt|attr('__class__') }}",
        "{{ '{0.__class__}'.format(prompt) }}",
        "{{ lipsum.__globals__['os'].popen('touch ran').read() }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ self.__init__ }}",
        "{{ range.__globals__ }}",
        "{% for r in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
        "{% for r in [1] %}{{ loop._iterator }}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'pairwise.yaml' %}",
        "{% for i in range(10**12) %}{% endfor %}",
        "{% for i in range(1000000000000) %}{% endfor %}",
        "{% for i in range(999) %}{% for j in range(999) %}{% for k in 'ab' %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% endfor %}",
        "{% for i in 'ab' recursive %}{{ loop('ab') }}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 10**10**10 }}",
        "{{ 'x' * 10**12 }}",
        "{{ 'x'.ljust(10**12) }}",
        "{{ '%999999999999d' % 1 }}",
        "{{ 'x'|center(10**12) }}",
        "{{ 1 // 0 }}",
    ],
)
@pytest.mark.parametrize("field", ["system", "user"])
def test_a_strangers_template_does_nothing_but_show_texts(load, tmp_path, monkeypatch, attempt, field):
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    with pytest.raises(InputError, match="mine.yaml is not a prompt preset:\n  (user|system)"):
        load(PAIRWISE | {field: PAIRWISE[field] + attempt})
    assert time.monotonic() - start < 5
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt.no_such }}"}, "user: has no_such"),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt|upper }}"}, "has upper (in its line 4)"),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt['no_such'] }}"}, "cannot be filled in: 'str object' has no"),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt + 1 }}"}, "cannot be filled in: "),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{% for i in range(2000) %}{% endfor %}"}, "more than 1,000 steps"),
        (LISTWISE | {"user": LISTWISE["user"] + "{{ responses[2] }}"}, "cannot be filled in: "),
        (LISTWISE | {"user": "{{ prompt }}{{ responses[0] }}{{ responses[1] }}"}, "not show {{ responses }} whole"),
        (LISTWISE | {"user": "{{ prompt }} {{ responses }}"}, "not show {{ responses }} whole (a list: {% for"),
        (
            PAIRWISE | {"user": PAIRWISE["user"].replace("response_b", "response_b[0]")},
            "not show {{ response_b }} whole",
        ),
        (PAIRWISE | {"user": PAIRWISE["user"] + "{{ prompt[0] }}"}, None),
        (
            without(PAIRWISE, "reasoning")
            | {"user": "{{ prompt }}{{ response_a }}{% if reasoning %}{{ response_b }}{% endif %}"},
            "user does not show {{ response_b }} whole with reasoning=false",
        ),
    ],
)
def test_a_template_is_tried_out_when_it_is_loaded(load, fields, said):
    if said is None:
        load(fields)
        return
    with pytest.raises(InputError, match=re.escape(said)):
        load(fields)


def test_what_a_template_may_do(load):
    preset = load(
        {
            "mode": "listwise",
            "system": "{% raw %}{{ as it is }}{% endraw %}{# nothing #} {{ 'one' if k == 1 else (k - 1) ~ ' others' }}",
            "user": """{{ prompt|trim }}
{{ responses|join("\\n--\\n") }}
{% for n in range(k, 0, -1) if not n == 2 %}{{ n }}{{ "," if not loop.last }}{% else %}none{% endfor %}
{{ responses|length }}{% if mark is defined and k > 1 or reasoning %}.{% endif %}""",
            "verdict": "(.+)",
            "quote": True,
            "reasoning": False,
        }
    )
    system, user = preset.render({"prompt": "?", "responses": ["a", "b", "c"]})
    assert system == "{{ as it is }} 2 others"
    assert user.endswith("\n3,1\n3.")

"""visual_prompts.json: every shape that exists upstream, and every mistake told where a person would mend it."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.errors import InputError
from vgen.inputs import shot_list
from vgen.inputs.pictures import Data, File, Frame, Url
from vgen.inputs.shots import Shot
from vgen.pictures import Pictures

PROVIDERS = ("runway", "pika", "kling")

UPSTREAM = """\
[
 {
  "shot_number": 1,
  "duration": 3,
  "runway_prompt": "Nike sneaker rotating 360 degrees on pure white background, dramatic lighting",
  "camera": {
   "movement": "push in",
   "angle": "eye-level"
  },
  "transition": "hard cut"
 },
 {
  "shot_number": 2,
  "duration": 4,
  "runway_prompt": "Extreme macro close-up of Nike Air Max sole showing visible air cushioning technology",
  "camera": {
   "movement": "slow dolly",
   "angle": "low angle"
  },
  "transition": "cut"
 }
]
"""


def parse(value: Any, *, where: str = "p.json") -> list[Shot]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [*shot_list.parse(data, where=where, providers=PROVIDERS).shots]


def entry(**changes: Any) -> dict[str, Any]:
    """A good shot with changes; a change to `...` takes the key away."""
    whole = {"shot_number": 1, "duration": 4, "prompt": "a boat", **changes}
    return {key: value for key, value in whole.items() if value is not ...}


def problems(value: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        parse(value)
    return caught.value.problems


def shot(**changes: Any) -> Shot:
    values: dict[str, Any] = {"number": 1, "duration_s": Decimal(4), "prompts": {"": "a boat"}, **changes}
    return Shot(**values)


SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "array": lambda entries: entries,
    "object": lambda entries: {"platform": "runway", "prompts": entries},
    "array in a wrapper": lambda entries: {"visual_prompts": entries},
    "object in a wrapper": lambda entries: {"visual_prompts": {"platform": "runway", "prompts": entries}},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_that_exists_upstream_is_read(shape: str) -> None:
    assert [shot(), shot(number=2)] == parse(SHAPES[shape]([entry(), entry(shot_number=2)]))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_list_is_a_list_without_shots(shape: str) -> None:
    assert parse(SHAPES[shape]([])) == []


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_the_upstream_stage_is_understood(bom: bytes) -> None:
    first = "Nike sneaker rotating 360 degrees on pure white background, dramatic lighting"
    found = parse(bom + UPSTREAM.encode())
    assert [(1, Decimal(3)), (2, Decimal(4))] == [(one.number, one.duration_s) for one in found]
    assert [first, first] == [found[0].prompt_for(provider) for provider in ("runway", "pika")]


def test_shots_come_by_number() -> None:
    assert [one.number for one in parse([entry(shot_number=n) for n in (7, 1, 2)])] == [1, 2, 7]


def test_every_field_is_read() -> None:
    found = parse([entry(negative_prompt="fog", aspect_ratio="16:9", seed=0, duration=2.5, image="boat.png", end_image="https://x/a.png",
                         references=["a.png", "DATA:image/png;base64,AA"], image_fit="pad")])  # fmt: skip
    pictures = {"image": File("boat.png"), "end_image": Url("https://x/a.png"),
                "references": [File("a.png"), Data("DATA:image/png;base64,AA")]}  # fmt: skip
    expected = shot(
        duration_s=Decimal("2.5"),
        negative_prompt="fog",
        aspect_ratio="16:9",
        seed=0,
        pictures=Pictures.of(pictures),
        image_fit="pad",
    )
    assert [expected] == found


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("clip:3", Frame(3, "last")), ("clip:3@last", Frame(3, "last")), ("clip:12@first", Frame(12, "first")),
        ("clip:3@2.5", Frame(3, Decimal("2.5"))), ("clip:3@0", Frame(3, Decimal(0))),
    ],
)  # fmt: skip
def test_a_frame_of_another_shot_is_understood(text: str, frame: Frame) -> None:
    one, *_ = parse([entry(image=text), entry(shot_number=3), entry(shot_number=12)])
    assert (one.pictures.get("image"), one.sources) == (frame, {frame.shot})


def test_null_stands_for_absent() -> None:
    nothing = dict.fromkeys(("negative_prompt", "aspect_ratio", "seed", "image", "runway_prompt", "pika_prompt"))
    assert [shot()] == parse([entry(**nothing)])


def test_an_empty_negative_prompt_or_image_stands_for_absent() -> None:
    assert [shot()] == parse([entry(negative_prompt="", image="")])


def test_unknown_keys_are_left_out() -> None:
    more = {
        "camera": {"movement": "push in"},
        "lighting": 3,
        "transition": None,
        "platform_params": [],
        "luma_prompt": 7,
    }
    assert [shot()] == parse([entry(**more)])


ALL = {"pika_prompt": "for pika", "prompt": "for all", "runway_prompt": "for runway"}


@pytest.mark.parametrize(
    ("given_", "provider", "expected"),
    [
        (("pika_prompt", "prompt", "runway_prompt"), "pika", "for pika"),
        (("prompt", "runway_prompt"), "pika", "for all"),
        (("runway_prompt",), "pika", "for runway"),
        (("pika_prompt", "prompt", "runway_prompt"), "runway", "for runway"),
        (("pika_prompt", "prompt"), "runway", "for all"),
        (("pika_prompt", "prompt"), "kling", "for all"),
        (("pika_prompt",), "runway", None),
        (("pika_prompt",), "pika", "for pika"),
    ],
)
def test_the_prompt_is_the_providers_own_then_everybodys_then_runways(
    given_: tuple[str, ...], provider: str, expected: str | None
) -> None:
    [found] = parse([entry(prompt=...) | {key: ALL[key] for key in given_}])
    assert expected == found.prompt_for(provider)


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"shot_number": ...}, "shot_number", "missing"),
        ({"shot_number": None}, "shot_number", "null"),
        ({"shot_number": 0}, "shot_number", "0"),
        ({"shot_number": -1}, "shot_number", "-1"),
        ({"shot_number": True}, "shot_number", "true"),
        ({"shot_number": "1"}, "shot_number", "'1'"),
        ({"shot_number": 1.0}, "shot_number", "1.0"),
        ({"shot_number": 10**12}, "shot_number", "1000000000000"),
        ({"shot_number": [1]}, "shot_number", "[1]"),
        ({"duration": ...}, "duration", "missing"),
        ({"duration": None}, "duration", "missing"),
        ({"duration": 0}, "duration", "0"),
        ({"duration": -3}, "duration", "-3"),
        ({"duration": -0.0}, "duration", "-0.0"),
        ({"duration": True}, "duration", "true"),
        ({"duration": "5"}, "duration", "'5'"),
        ({"duration": float("nan")}, "duration", "nan"),
        ({"duration": float("inf")}, "duration", "inf"),
        ({"duration": float("-inf")}, "duration", "-inf"),
        ({"duration": 4000}, "duration", "4000"),
        ({"duration": {}}, "duration", "{}"),
        ({"prompt": ...}, "prompt", "missing"),
        ({"prompt": None}, "prompt", "missing"),
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": " \n\t"}, "prompt", "empty"),
        ({"prompt": 5}, "prompt", "5"),
        ({"prompt": ["a"]}, "prompt", "['a']"),
        ({"prompt": "a\x00b"}, "prompt", "NUL"),
        ({"prompt": "a\ud800b"}, "prompt", "surrogate"),
        ({"kling_prompt": ""}, "kling_prompt", "empty"),
        ({"negative_prompt": False}, "negative_prompt", "false"),
        ({"negative_prompt": "\x00"}, "negative_prompt", "NUL"),
        ({"image": 3}, "image", "3"),
        ({"image": "a\x00.png"}, "image", "NUL"),
        ({"image": "http://x/a.png"}, "image", "neither a file nor an https URL"),
        ({"end_image": ["a.png"]}, "end_image", "not a text"),
        ({"references": "a.png"}, "references", "not a list"),
        ({"references": ["a.png", ""]}, "references", "name a picture"),
        ({"references": ["a.png", "clip:x"]}, "references", "clip:3@first"),
        ({"image": "clip:0"}, "image", "names no frame"),
        ({"image": "clip:3@later"}, "image", "names no frame"),
        ({"image_fit": "stretch"}, "image_fit", "crop, pad"),
        ({"aspect_ratio": "4:3"}, "aspect_ratio", "'4:3'"),
        ({"aspect_ratio": ["9:16"]}, "aspect_ratio", "['9:16']"),
        ({"seed": -1}, "seed", "-1"),
        ({"seed": 2**32}, "seed", "4294967296"),
        ({"seed": 1.0}, "seed", "1.0"),
        ({"seed": False}, "seed", "false"),
        ({"seed": "7"}, "seed", "'7'"),
    ],
    ids=str,
)
def test_a_bad_field_is_told_with_line_shot_field_and_value(changes: dict[str, Any], field: str, shown: str) -> None:
    good = [entry(shot_number=2), entry(shot_number=3)]
    [line] = problems(json.dumps([*good, entry(**changes)], indent=0).encode())
    start, _, rest = line.partition(": ")
    named = "entry 3 of the list" if field == "shot_number" else "shot 1"
    assert (rest.startswith(f"{named}: {field}: "), shown in rest) == (True, True)
    row = json.dumps([*good, entry(**changes)], indent=0).split("\n")[int(start.removeprefix("p.json:")) - 1]
    assert row == "{" if changes[field] is ... else row.startswith(f'"{field}"') or row == "{"


@pytest.mark.parametrize("number", ["1e999", "1E+400", "NaN", "Infinity", "-Infinity", "1e-99999"])
def test_numbers_beyond_all_measure_are_told(number: str) -> None:
    text = f'[{{"shot_number": 1, "prompt": "a",\n "duration": {number}}}]'
    if number == "1e-99999":
        assert Decimal(number) == parse(text.encode())[0].duration_s
    else:
        [line] = problems(text.encode())
        assert line.startswith("p.json:2: shot 1: duration: ")


def test_all_problems_come_at_once() -> None:
    bad = [
        entry(duration=0, prompt=""),
        7,
        entry(shot_number=1, seed="x", aspect_ratio="1:2"),
        entry(shot_number=...),
        entry(shot_number=4),
    ]
    data = ("[\n" + ",\n".join(map(json.dumps, bad)) + "\n]").encode()
    assert [*problems(data)[:3]] == [
        "p.json:2: shot 1: duration: 0 is no such number; give seconds, > 0 and <= 3600",
        "p.json:2: shot 1: prompt: empty; write what the shot shows",
        "p.json:3: entry 2 of the list: 7 is not a shot (an object)",
    ]
    assert [int(line.split(":")[1]) for line in problems(data)[3:]] == [4, 4, 4, 5]


def test_a_number_given_to_two_shots_is_told_at_the_second() -> None:
    data = b'[\n{"shot_number": 3, "duration": 4, "prompt": "a"},\n{"duration": 4, "prompt": "b",\n"shot_number": 3}]'
    [line] = problems(data)
    assert line == "p.json:4: shot 3: shot_number: 3 is already entry 1 of the list"


def test_a_key_given_twice_is_told() -> None:
    data = b'[{"shot_number": 1, "duration": 4,\n "prompt": "a", "prompt": "b"}]'
    assert problems(data) == ("p.json:1: shot 1: prompt: given twice; keep one",)


def test_a_list_of_shots_given_twice_is_told() -> None:
    """Or the first list would be left out silently."""
    one = json.dumps(entry())
    assert problems(f'{{"prompts": [{one}], "prompts": []}}'.encode()) == ("p.json:1: prompts: given twice; keep one",)


def test_a_strange_key_given_twice_keeps_the_message_on_one_line() -> None:
    [line] = problems(b'[{"shot_number": 1, "duration": 4, "prompt": "a", "\\n\\ud800": 1, "\\n\\ud800": 2}]')
    assert line.isprintable()


def test_keys_given_twice_in_what_is_ignored_are_ignored() -> None:
    assert [shot()] == parse(b'[{"shot_number": 1, "duration": 4, "prompt": "a boat", "camera": {"a": 1, "a": 2}}]')


@pytest.mark.parametrize(
    "value",
    [{}, {"prompts": 3}, {"shots": []}, None, 7, "x", {"visual_prompts": {"prompts": {"prompts": {"prompts": []}}}}],
)
def test_what_holds_no_list_is_refused(value: Any) -> None:
    [line] = problems(value)
    assert line.startswith("p.json:1: no list of shots")


@pytest.mark.parametrize("item", [None, 7, "x", [], [entry()], True])
def test_an_entry_that_is_no_object_is_told(item: Any) -> None:
    [line] = problems([entry(), item])
    assert line.startswith("p.json:1: entry 2 of the list: ")


def test_lines_are_right_after_texts_full_of_quotes_braces_and_breaks() -> None:
    tricky = '{"\\}],[\n\n:'
    data = json.dumps([entry(prompt=tricky, style={tricky: [tricky]}), entry(shot_number=2, duration=0)], indent=1)
    [line] = problems(data.encode())
    assert '"duration": 0' in data.split("\n")[int(line.split(":")[1]) - 1]


@pytest.mark.parametrize("depth", [300, 900, 960, 970, 980, 990, 1000, 1500])
def test_a_nest_of_any_depth_is_read_or_refused(depth: int) -> None:
    nest = b"[" * depth + b"]" * depth
    for data in (b"[%s]" % nest, b'[{"shot_number": %s}]' % nest, b'[{"style": %s}]' % nest):
        assert all(line.isprintable() for line in problems(data))


@pytest.mark.slow
def test_values_of_any_length_are_told_briefly() -> None:
    assert all(len(line) < 200 for line in problems([entry(duration="x" * 10**6, seed=[1] * 10**5)]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["9:16", "a.png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "shot_number": st.integers(-1, 5) | VALUES,
        "duration": st.floats(0, 20) | VALUES,
        "prompt": st.text() | VALUES,
        "runway_prompt": VALUES,
        "negative_prompt": VALUES,
        "aspect_ratio": VALUES,
        "seed": VALUES,
        "image": VALUES,
    },
)


def check_read_or_refused(data: bytes) -> None:
    found: list[Shot] = []
    told: tuple[str, ...] = ()
    try:
        found = parse(data)
    except InputError as exc:
        told = exc.problems or ("nothing is said",)
    assert all(line.startswith("p.json:") and line.isprintable() for line in told)
    assert all(one.number >= 1 and one.duration_s > 0 and any(one.prompts.values()) for one in found)
    assert len(found) == len({one.number for one in found})


@pytest.mark.slow
@given(st.lists(ENTRIES | VALUES, max_size=4), st.sampled_from(list(SHAPES)))
def test_any_list_of_values_is_shots_or_problems(entries: list[Any], shape: str) -> None:
    check_read_or_refused(json.dumps(SHAPES[shape](entries)).encode())


@pytest.mark.slow
@given(VALUES)
def test_any_value_is_shots_or_problems(value: Any) -> None:
    check_read_or_refused(json.dumps(value).encode())


@pytest.mark.slow
@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\01ae.- \n', max_size=40).map(str.encode))
def test_any_bytes_are_shots_or_problems(data: bytes) -> None:
    check_read_or_refused(data)

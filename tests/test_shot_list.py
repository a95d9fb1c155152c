"""Names of keys, defaults, and lists in CSV: nothing that a list asks for is left out in silence."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.errors import InputError
from vgen.inputs import shot_list
from vgen.inputs.pictures import File, Url
from vgen.inputs.shot_keys import FOR_OTHERS, READ, SYNONYMS
from vgen.inputs.shot_list import ShotList
from vgen.inputs.shots import Shot, name_shots
from vgen.pictures import Pictures
from vgen.plan import request
from vgen.recipe import Recipe

PROVIDERS = ("runway", "pika", "wan")


def parse(value: Any, where: str = "p.json") -> ShotList:
    data = value if isinstance(value, bytes) else json.dumps(value, indent=1).encode()
    return shot_list.parse(data, where=where, providers=PROVIDERS)


def problems(value: Any, where: str = "p.json") -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(value, where)
    return list(caught.value.problems)


def entry(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"shot_number": number, "duration": 4, "prompt": "a boat", **more}


def shot(**changes: Any) -> Shot:
    values: dict[str, Any] = {"number": 1, "duration_s": Decimal(4), "prompts": {"": "a boat"}, **changes}
    return Shot(**values)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_nothing_reads_is_told_once_with_its_shots() -> None:
    shots = [entry(n, camera_angle="low") for n in range(1, 41)] + [entry(41), entry(42, camera_angle="high", mood=1)]
    assert parse(shots).warnings == (
        "p.json: shots 1-40, 42: camera_angle is not used",
        "p.json: shot 42: mood is not used",
    )


def test_a_prompt_for_a_provider_that_is_not_configured_is_told_with_the_reason() -> None:
    found = parse([entry(luma_prompt="a boat for luma", wan_prompt="for wan")])
    assert found.warnings == ("p.json: shot 1: luma_prompt is not used: no provider luma is configured",)
    assert found.shots[0].prompts["luma"] == "a boat for luma", "a take of an earlier run is still found"


@pytest.mark.parametrize("key", [*FOR_OTHERS, "Camera", "platformParams"])
def test_keys_for_other_stages_are_not_told(key: str) -> None:
    assert parse({"platform": "runway", "prompts": [entry(**{key: {"any": "thing"}})]}).warnings == ()


@pytest.mark.parametrize(
    "key",
    ["title", "scene", "description", "shot_type", "prompts", "shots", "durations", "speed", "need", "imagen", "images",
     "positive_prompt", "pika2_prompt", "veo_prompt", "wan2_prompt", "pan_prompt", "audio_url", "take", "reference",
     "preferences", "ration", "camera_movement", "scene_number", "shot", "id", "length", "text", "promptness", "", " "],
)  # fmt: skip
def test_words_of_other_tools_are_no_errors(key: str) -> None:
    [line] = parse([entry(**{key: "something"})]).warnings
    assert "is not used" in line


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("aspectRatio", "aspect_ratio"), ("aspect_ration", "aspect_ratio"), ("aspect-ratio", "aspect_ratio"),
        ("Aspect Ratio", "aspect_ratio"), ("ASPECT_RATIO", "aspect_ratio"), ("apsect_ratio", "aspect_ratio"),
        ("ratio", "aspect_ratio"), ("image_url", "image"), ("imageUrl", "image"), ("iamge", "image"),
        ("first_frame", "image"), ("promptImage", "image"), ("negativePrompt", "negative_prompt"),
        ("negativ_prompt", "negative_prompt"), ("negatve_promt", "negative_prompt"), ("Seed", "seed"),
        ("runwayPrompt", "runway_prompt"), ("runaway_prompt", "runway_prompt"), ("wanPrompt", "wan_prompt"),
        ("promt", "prompt"), ("Prompt", "prompt"), ("durration", "duration"), ("shotNumber", "shot_number"),
    ],
)  # fmt: skip
def test_a_nearly_right_name_is_an_error_with_the_right_one(key: str, meant: str) -> None:
    data = [entry(), entry(2, **{key: "9:16"})]
    [line] = problems(data)
    assert line.endswith(f": shot 2: {key}: unknown; did you mean {meant}?")
    row = json.dumps(data, indent=1).split("\n")[int(line.split(":")[1]) - 1]
    assert row.strip().startswith(f'"{key}"')


def test_one_mistake_in_many_shots_is_one_line_at_the_first() -> None:
    data = [entry(n, aspectRatio="1:1") for n in range(1, 41)]
    assert problems(data) == ["p.json:6: shots 1-40: aspectRatio: unknown; did you mean aspect_ratio?"]


@pytest.mark.parametrize(
    ("key", "changes"),
    [("durationSeconds", {"duration": ...}), ("shot", {"shot_number": ...}), ("text", {"prompt": ...}),
     ("Shot_Number", {"shot_number": ...}), ("Prompt", {"prompt": ...})],
)  # fmt: skip
def test_a_key_that_is_needed_and_misnamed_is_one_problem(key: str, changes: dict[str, Any]) -> None:
    whole = entry() | changes | {key: 4}
    [line] = problems([{name: value for name, value in whole.items() if value is not ...}])
    assert f"{key}: unknown; did you mean {next(iter(changes))}?" in line


@pytest.mark.parametrize("name", SYNONYMS)
def test_another_tools_word_beside_the_right_key_is_only_told(name: str) -> None:
    values: dict[str, Any] = {"negative_prompt": "fog", "aspect_ratio": "1:1", "seed": 1, "image": "a.png", "takes": 2}
    values |= {"end_image": "a.png", "references": ["a.png"], "audio": "yes"}
    for word in SYNONYMS[name]:
        whole = entry() | ({name: values[name]} if name in values else {}) | {word: "x"}
        assert "is not used" in "".join(parse([whole]).warnings), word


@pytest.mark.parametrize(
    "asked",
    [{"takes": None}, {"references": []}, {"end_image": None}, {"Seed": None}, {"image_url": ""},
     {"mood": None}, {"generate_audio": False}, {"references": ""}, {"image_fit": ""}],
    ids=str,
)  # fmt: skip
def test_a_key_that_asks_for_nothing_is_no_matter(asked: dict[str, Any]) -> None:
    assert parse([entry(**asked)]) == ShotList(shots=[shot()])


@pytest.mark.parametrize("key", ["start_frame", "end_frame"])
def test_a_number_is_no_picture(key: str) -> None:
    assert parse([entry(**{key: 96})]).warnings == (f"p.json: shot 1: {key} is not used",)


def test_a_list_with_hundreds_of_foreign_names_does_not_flood_the_screen() -> None:
    found = parse([entry(**{f"foreign_{k}x": 1 for k in range(500)}, **{"long" * 10**5: 1})]).warnings
    assert (len(found), found[-1]) == (shot_list.MAX_WARNINGS + 1, "p.json: 481 more keys are not used")
    assert len("".join(parse([entry(n, mood=1) for n in range(1, 2000, 2)]).warnings)) < 200


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([7], "shot 7"), ([3, 1, 2], "shots 1-3"), ([1, 2, 4], "shots 1-2, 4"),
     ([*range(1, 23, 2)], "shots 1, 3, 5, 7, 9, 11, 13, 15 and 3 more")],
)  # fmt: skip
def test_shots_are_named_in_runs(numbers: list[int], words: str) -> None:
    assert name_shots(numbers) == words


# ── around the list ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "remark"),
    [
        ("aspect_ratio", 'not read here; put it into "defaults"'),
        ("aspectRatio", 'unknown; did you mean aspect_ratio? Put it into "defaults"'),
        ("prompt_suffix", 'not read here; put it into "defaults"'),
        ("pika_prompt", None),
        ("default", "unknown; did you mean defaults?"),
        ("Defaults", "unknown; did you mean defaults?"),
        ("takes", 'not read here; put it into "defaults"'),
        ("end_image", 'not read here; put it into "defaults"'),
        ("last_frame", 'unknown; did you mean end_image? Put it into "defaults"'),
    ],
)
def test_a_key_of_a_shot_beside_the_list_is_an_error_that_says_where_it_belongs(key: str, remark: str | None) -> None:
    for wrap in (lambda value: value, lambda value: {"visual_prompts": value}):
        value = wrap({key: "x", "prompts": [entry()]})
        if remark is None:
            assert f"p.json: {key} is not used" in parse(value).warnings
        else:
            [line] = problems(value)
            assert line.partition(" ")[2] == f"{key}: {remark}"


def test_a_key_beside_the_list_that_would_change_no_shot_is_only_told() -> None:
    around = {"duration": 30, "seed": 7, "title": "Boats", "caption": "a film", "shot_number": 2, "style": "noir"}
    found = parse({**around, "prompts": [entry(seed=1), entry(2, seed=2)]})
    told = ("duration", "seed", "title", "caption", "shot_number")
    assert found.warnings == tuple(f"p.json: {key} is not used" for key in told)


def test_a_second_list_is_told() -> None:
    found = parse({"visual_prompts": [entry()], "prompts": [entry(2)]})
    assert ([one.number for one in found.shots], found.warnings) == ([1], ("p.json: prompts is not used",))


def test_a_list_under_another_name_is_told_with_the_right_one() -> None:
    [line] = problems({"shots": [entry()]})
    assert line.endswith('if shots is the list, call it "prompts"')


# ── defaults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def recipes(value: Any) -> list[Recipe]:
    """What would be bought, shot by shot, provider by provider."""
    return [
        made
        for one in parse(value).shots
        for provider in (*PROVIDERS, "luma")
        if (made := request.of(one, provider, aspect_ratio="9:16", pictures=one.pictures.map(lambda _, s: str(s))))
        is not None
    ]


def test_a_shot_with_defaults_is_the_shot_written_out() -> None:
    common = {"duration": 5, "negative_prompt": "fog", "aspect_ratio": "1:1", "seed": 7, "image": "a.png"}
    framed = {"prompt_prefix": "Film noir.", "prompt_suffix": "35mm"}
    short = {"defaults": {**common, **framed}, "prompts": [{"shot_number": 1, "prompt": "a boat", "luma_prompt": "b"}]}
    long = [{"shot_number": 1, **common, "prompt": "Film noir. a boat 35mm", "luma_prompt": "Film noir. b 35mm"}]
    assert [one.digest for one in recipes(short)] == [one.digest for one in recipes(long)]
    assert recipes(short)[0].prompt == "Film noir. a boat 35mm"


def test_a_shots_own_key_wins_and_null_switches_a_default_off() -> None:
    defaults = {"duration": 5, "seed": 7, "negative_prompt": "fog", "prompt": "a boat", "aspect_ratio": "1:1"}
    own = {"shot_number": 1, "duration": 4, "seed": None, "negative_prompt": "", "aspect_ratio": "16:9"}
    assert parse({"defaults": defaults, "prompts": [own]}).shots == [shot(aspect_ratio="16:9")]


def test_takes_wanted_are_read_from_shot_and_defaults() -> None:
    found = parse({"defaults": {"takes": 2}, "prompts": [entry(), entry(shot_number=2, takes=3)]}).shots
    assert [one.takes for one in found] == [2, 3]
    assert parse([entry()]).shots[0].takes is None


def test_inner_defaults_win_over_outer_ones() -> None:
    inner = {"defaults": {"seed": 2}, "prompts": [entry()]}
    [found] = parse({"defaults": {"seed": 1, "aspect_ratio": "1:1"}, "visual_prompts": inner}).shots
    assert (found.seed, found.aspect_ratio) == (2, "1:1")


@pytest.mark.parametrize(
    ("prefix", "suffix", "text"),
    [
        ("A", "B", "A a boat B"), ("A ", " B", "A a boat B"), ("A\n", "\tB", "A\na boat\tB"), ("", "", "a boat"),
        (None, None, "a boat"), ("A, ", ", B", "A, a boat, B"), ("A", ".", "A a boat."),
    ],
)  # fmt: skip
def test_prefix_and_suffix_join_with_a_space_unless_they_bring_white_space(
    prefix: str | None, suffix: str | None, text: str
) -> None:
    defaults = {"prompt_prefix": prefix, "prompt_suffix": suffix}
    [found] = parse({"defaults": defaults, "prompts": [entry(negative_prompt="fog")]}).shots
    assert (found.prompt_for("pika"), found.negative_prompt) == (text, "fog")


def test_a_bad_default_is_one_problem_however_many_shots_there_are() -> None:
    defaults = {"duration": "5", "prompt": "", "aspectRatio": "1:1", "shot_number": 1, "takes": 30, "prompt_prefix": 7}
    told = problems({"defaults": defaults, "prompts": [{"shot_number": n} for n in range(1, 9)]})
    assert told == [
        "p.json:3: defaults: duration: '5' is no such number; give seconds, > 0 and <= 3600",
        "p.json:4: defaults: prompt: empty; write what the shot shows",
        "p.json:5: defaults: aspectRatio: unknown; did you mean aspect_ratio?",
        "p.json:6: defaults: shot_number: each shot has its own; take it out",
        "p.json:7: defaults: takes: 30 is not an integer from 1 to 20",
        "p.json:8: defaults: prompt_prefix: 7 is not a text",
    ]


@pytest.mark.parametrize("value", [[], 3, "x", True])
def test_defaults_that_are_no_object_are_told(value: Any) -> None:
    [line] = problems({"defaults": value, "prompts": [entry()]})
    assert "is not an object with keys of a shot" in line


def test_defaults_tell_what_nothing_reads() -> None:
    found = parse({"defaults": {"mood": "calm", "style": "noir"}, "prompts": [entry()]})
    assert found.warnings == ("p.json: defaults: mood is not used",)


def test_a_default_given_twice_is_told() -> None:
    data = b'{"defaults": {"seed": 1, "seed": 2}, "prompts": []}'
    assert problems(data) == ["p.json:1: defaults: seed: given twice; keep one"]


@pytest.mark.parametrize("key", ["promptPrefix", "prompt_prefx", "Prompt Prefix"])
def test_a_nearly_right_prefix_is_an_error(key: str) -> None:
    [line] = problems({"defaults": {key: "A"}, "prompts": [entry()]})
    assert line == f"p.json:3: defaults: {key}: unknown; did you mean prompt_prefix?"


def test_a_prefix_in_a_shot_belongs_in_the_defaults() -> None:
    [line] = problems([entry(prompt_prefix="A")])
    assert line.endswith('prompt_prefix: unknown in a shot; put it into "defaults"')


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

CSV = b"""\
shot_number,duration,prompt,negative_prompt,seed,camera\r
1,4,a boat,,,push in\r
2,2.5,"a boat, ""small""
on two lines",fog,7,\r
,,,,,\r
"""


def test_a_cell_of_references_holds_several_pictures() -> None:
    head = b"shot_number,duration,prompt,image,references\n"
    found = parse(head + b"1,4,a boat,a.png,b.png; https://x.example/c.png ;\n2,4,a boat,,\n", "p.csv").shots
    both = [File("b.png"), Url("https://x.example/c.png")]
    assert found[0].pictures == Pictures.of({"image": File("a.png"), "references": both})
    assert not found[1].pictures


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["p.csv", "in/SHOTS.CSV"])
def test_a_csv_file_is_a_shot_list(bom: bytes, name: str) -> None:
    text = 'a boat, "small"\non two lines'
    second = shot(number=2, duration_s=Decimal("2.5"), prompts={"": text}, negative_prompt="fog", seed=7)
    assert parse(bom + CSV, name) == ShotList(shots=[shot(), second])


def test_spaces_around_cells_are_no_matter() -> None:
    assert parse(b'shot_number , duration, prompt\n 1 , 4 , "a boat" \n'.replace(b'" \n', b'"\n'), "p.csv").shots == [
        shot()
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "p.csv:1: no names of keys in the first row; begin with shot_number,duration,prompt"),
        (b"\n1,2,a", "p.csv:1: no names"),
        (b"shot_number;duration;prompt\n1;2;a", "p.csv:1: the cells are separated by semicolons"),
        (b"shot_number\tduration\n1\t2", "p.csv:1: the cells are separated by tabs"),
        (b"shot_number,seed,seed\n1,2,3", "p.csv:1: 'seed': given twice; keep one"),
        (b"shot_number,duration,prompt\n1,4,a boat, at sea", "p.csv:2: cell 4 has no name in the first row; a text"),
        (b"shot_number,,prompt\n1,4,a", "p.csv:2: cell 2 has no name in the first row"),
        (b'shot_number,prompt\n1,a\n\n2,"b\n\nc\n', "p.csv:4: not CSV: a quote that opens in this row is never closed"),
        (b'shot_number,prompt\n1,"a"b\n', "p.csv:2: not CSV: text after a closing quote"),
        (b"shot_number,duration,prompt\n1,4,\xff", "p.csv:2: not UTF-8"),
        (b"shot_number,duration,prompt\n1,5s,a", "p.csv:2: shot 1: duration: '5s' is no such number"),
        (b"shot_number,duration,prompt\n1,,a", "p.csv:2: shot 1: duration: missing"),
        (b'shot_number,prompt,duration\n1,"a\nb",0', "p.csv:3: shot 1: duration: 0 is no such number"),
        (b"shot_number,duration,prompt\n1.5,4,a", "p.csv:2: entry 1 of the list: shot_number: 1.5 is not an integer"),
        (b"shot_number,duration,prompt\n1,4,a\n\n1,4,b", "p.csv:4: shot 1: shot_number: 1 is already entry 1"),
        (b"Shot Number,duration,prompt\n1,4,a", "p.csv:1: entry 1 of the list: Shot Number: unknown; did you mean"),
        (b"shot_number,duration,prompt,Seed\n1,4,a,7\n2,4,a,8", "p.csv:1: shots 1-2: Seed: unknown; did you"),
        (b"shot_number,duration,prompt,takes\n1,4,a,0", "p.csv:2: shot 1: takes: 0 is not an integer from 1 to 20"),
        (b"shot_number,duration,prompt\n1," + b"9" * 5000 + b",a", "p.csv:2: shot 1: duration: '999"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_wrong_in_csv_is_told_with_its_line(data: bytes, expected: str) -> None:
    [line] = problems(data, "p.csv")
    assert line.startswith(expected)


def test_columns_that_nothing_reads_are_told() -> None:
    found = parse(b"shot_number,duration,prompt,mood,style,\n1,4,a boat,calm,noir,\n2,4,a boat,,,", "p.csv")
    assert found.warnings == ("p.csv: shot 1: mood is not used",)


def test_a_long_prompt_in_csv_is_read() -> None:
    [found] = parse(b"shot_number,duration,prompt\n1,4," + b"x" * 200_000, "p.csv").shots
    assert len(found.prompts[""]) == 200_000


# ── anything at all ───────────────────────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from(
    [*READ, *FOR_OTHERS, "prompt_prefix", "prompt_suffix", "luma_prompt", "pika_prompt", "defaults", "prompts",
     "visual_prompts", "platform", "_prompt", *(word for words in SYNONYMS.values() for word in words)]
) | st.text(max_size=8)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["9:16", "a.png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
SHOTS = st.builds(lambda more, n: entry(n) | more, st.dictionaries(NAMES, VALUES, max_size=3), st.integers(1, 9))


def check_read_or_refused(data: bytes, where: str) -> None:
    told: tuple[str, ...] = ()
    try:
        found = parse(data, where)
    except InputError as exc:
        told = exc.problems or ("nothing is said",)
    else:
        told = found.warnings
        for one in found.shots:
            for provider in (*PROVIDERS, *one.prompts):
                made = request.of(one, provider, aspect_ratio="9:16")
                assert made is None or len(made.digest) == 64
    assert all(line.startswith(where) and line.isprintable() and len(line) < 400 for line in told), told


@pytest.mark.slow
@given(st.lists(SHOTS | VALUES, max_size=3), st.dictionaries(NAMES, VALUES, max_size=4), st.none() | VALUES | SHOTS)
def test_any_object_around_any_list_is_shots_or_problems(shots: list[Any], around: dict[str, Any], own: Any) -> None:
    more = {} if own is None else {"defaults": own}
    check_read_or_refused(json.dumps({**around, **more, "prompts": shots}).encode("utf-8", "surrogatepass"), "p.json")


@pytest.mark.slow
@given(st.lists(st.lists(NAMES | st.sampled_from(["1", "4.5", ""]), max_size=6), max_size=4))
def test_any_table_is_shots_or_problems(table: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["shot_number", "duration", "prompt", "seed"], *table])
    check_read_or_refused(text.getvalue().encode("utf-8", "surrogatepass"), "p.csv")


@pytest.mark.slow
@given(st.binary(max_size=60) | st.text(alphabet='shot_number,"1\r\n ;\x00', max_size=60).map(str.encode))
def test_any_bytes_are_a_csv_list_or_problems(data: bytes) -> None:
    check_read_or_refused(data, "p.csv")
    check_read_or_refused(b"shot_number,duration,prompt\n" + data, "p.csv")


@pytest.mark.slow
@given(
    st.fixed_dictionaries(
        {"prompt": st.text(min_size=1, alphabet=st.characters(exclude_categories=("Cs", "Cc"))).filter(str.strip)},
        optional={
            "seed": st.integers(0, 9),
            "negative_prompt": st.sampled_from(["fog", "rain, fog"]),
            "aspect_ratio": st.sampled_from(["9:16", "1:1"]),
        },
    )
)
def test_a_row_of_csv_is_the_recipe_of_the_same_shot_in_json(more: dict[str, Any]) -> None:
    whole = {"shot_number": 1, "duration": 4, **more, "prompt": more["prompt"].strip()}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(whole))
    writer.writeheader()
    writer.writerow(whole)
    assert parse(text.getvalue().encode(), "p.csv").shots == parse([whole]).shots


def test_a_near_miss_beside_the_list_is_refused_also_where_each_shot_has_the_right_key() -> None:
    document = {"aspect_ration": "16:9", "prompts": [entry(aspect_ratio="9:16")]}
    assert "aspect_ration: unknown; did you mean aspect_ratio?" in "".join(problems(document))


def test_a_number_that_is_too_large_is_told_as_such() -> None:
    assert "20261129 is too large; shots are numbered up to 9999999" in "".join(problems([entry(20261129)]))

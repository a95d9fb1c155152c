"""The recipe: changes with what decides the pixels, and with nothing else."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen import recipe
from vgen.inputs import shot_list
from vgen.inputs.shots import Shot
from vgen.plan.request import of
from vgen.recipe import Recipe

GOLDEN = "db678454c32d97e19aa9f6de67b7d41254cdaa9de6611596578303f8831d6f3a"


def made(**changes: Any) -> Recipe:
    whole: dict[str, Any] = {"prompt": "a boat", "duration_s": Decimal(4), "aspect_ratio": "9:16", **changes}
    return pictured.recipe(**whole)


def parsed(**changes: Any) -> Shot:
    entry = {"shot_number": 1, "duration": 4, "prompt": "a boat", **changes}
    [shot] = shot_list.parse(json.dumps([entry]).encode(), where="p", providers=("runway", "pika")).shots
    return shot


def digest_of(shot: Shot, provider: str = "runway", aspect_ratio: str = "9:16", image: str | None = None) -> str:
    found = of(shot, provider, aspect_ratio=aspect_ratio, pictures=pictured.sent(image=image))
    assert found is not None
    return found.digest


def test_the_format_of_the_digest_has_not_changed() -> None:
    """If this fails, every take that was ever bought would be bought again: think of VERSION, not of this line."""
    whole = made(negative_prompt="fog", image="sha256:00ff", seed=7, duration_s=Decimal("4.5"), prompt="ein Boot — 🛶")
    assert whole.digest == GOLDEN


@pytest.mark.parametrize("spelling", ["4", "4.0", "4.000", "4e0", "0.4e1", "40e-1"])
def test_one_duration_has_one_digest_however_it_is_spelled(spelling: str) -> None:
    assert made().digest == made(duration_s=Decimal(spelling)).digest


CHANGES: list[dict[str, Any]] = [
    {"prompt": "a boat "},
    {"prompt": "A boat"},
    {"negative_prompt": "fog"},
    {"negative_prompt": "a boat"},
    {"duration_s": Decimal("4.001")},
    {"duration_s": Decimal(40)},
    {"aspect_ratio": "16:9"},
    {"image": "sha256:00"},
    {"image": "sha256:01"},
    {"seed": 0},
    {"seed": 1},
    {"take": 2},
    {"take": 3},
    {"tier": "draft"},
    {"tier": "draft", "take": 2},
]


def test_the_formats_of_further_takes_and_of_drafts_have_not_changed() -> None:
    """They were bought, too."""
    assert made(tier="draft", seed=8, take=2).manifest == (
        ("prompt", "a boat"), ("duration", "4"), ("aspect_ratio", "9:16"), ("seed", "8"), ("tier", "draft"),
        ("take", "2"),
    )  # fmt: skip


@pytest.mark.parametrize("change", [{}, {"seed": 7}, {"tier": "draft"}, {"seed": 7, "tier": "draft", "image": "x"}])
def test_the_takes_of_one_shot_know_each_other(change: dict[str, Any]) -> None:
    def take(n: int) -> Recipe:
        seed = {"seed": change["seed"] + n - 1} if "seed" in change else {}
        return made(**{**change, **seed, "take": n})

    takes = [take(n) for n in range(1, recipe.MAX_TAKES + 1)]
    for one in takes:
        assert recipe.first_of(one.manifest) == takes[0].digest
        assert recipe.family(one.manifest) == [each.digest for each in takes]
    assert recipe.is_draft(takes[-1].manifest) is ("tier" in change)


def test_each_thing_that_decides_the_pixels_changes_the_digest() -> None:
    digests = {made().digest, *(made(**change).digest for change in CHANGES)}
    assert len(CHANGES) + 1 == len(digests)


@pytest.mark.parametrize(
    "change",
    [
        {"shot_number": 7},
        {"transition": "fade"},
        {"camera": {"movement": "pan"}},
        {"style": "noir"},
        {"platform_params": {"resolution": "4k"}},
        {"pika_prompt": "for another"},
        {"runway_prompt": "a boat"},
        {"negative_prompt": None},
        {"negative_prompt": ""},
        {"seed": None},
        {"aspect_ratio": "9:16"},
    ],
    ids=str,
)
def test_nothing_else_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest_of(parsed()) == digest_of(parsed(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a ship"},
        {"runway_prompt": "a ship"},
        {"negative_prompt": "fog"},
        {"duration": 5},
        {"aspect_ratio": "1:1"},
        {"seed": 0},
    ],
    ids=str,
)
def test_a_change_in_the_file_that_decides_the_pixels_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest_of(parsed()) != digest_of(parsed(**change))


def test_the_providers_name_is_not_in_the_digest() -> None:
    assert digest_of(parsed(), "runway") == digest_of(parsed(), "pika")


def test_the_shots_aspect_ratio_goes_before_the_runs() -> None:
    assert digest_of(parsed(aspect_ratio="16:9")) == digest_of(parsed(), aspect_ratio="16:9")


def test_a_picture_of_each_role_is_in_the_digest_and_its_place_in_a_list_counts() -> None:
    a, b = "sha256:00", "sha256:01"
    given: list[dict[str, Any]] = [
        {}, {"image": a}, {"end_image": a}, {"references": [a]}, {"references": [a, b]}, {"references": [b, a]},
        {"image": a, "end_image": b}, {"image": a, "references": [b]}, {"image": b, "end_image": a},
    ]  # fmt: skip
    assert len({made(**pictures).digest for pictures in given}) == len(given)
    assert made(references=[]).digest == made().digest
    assert recipe.difference(made(references=[a]).manifest, made(references=[a, b]).manifest) == [
        "references[2]: none → 'sha256:01'"
    ]


def test_a_fit_is_in_the_recipe_only_where_there_is_a_picture_to_fit() -> None:
    shot = parsed(image_fit="crop")
    assert digest_of(shot) == digest_of(parsed())
    assert digest_of(shot, image="sha256:00") != digest_of(parsed(), image="sha256:00")
    only = of(shot, "runway", aspect_ratio="9:16", pictures=pictured.sent(references=["sha256:00"]))
    assert only == made(references=["sha256:00"])


def test_the_images_content_is_in_the_digest() -> None:
    assert len({digest_of(parsed(), image=image) for image in (None, "sha256:00", "sha256:01")}) == 3


def test_a_shot_without_text_for_a_provider_has_no_recipe_there() -> None:
    data = b'[{"shot_number": 1, "duration": 4, "pika_prompt": "a"}]'
    [shot] = shot_list.parse(data, where="p", providers=("runway", "pika")).shots
    assert of(shot, "runway", aspect_ratio="9:16") is None


@given(st.text(), st.text())
def test_what_stands_in_one_field_never_passes_for_another(one: str, other: str) -> None:
    assert made(prompt=one, negative_prompt=other).manifest == made(prompt=one, negative_prompt=other).manifest
    if one != other:
        assert made(prompt=one, negative_prompt=other).digest != made(prompt=other, negative_prompt=one).digest


@pytest.mark.slow
@given(st.decimals(Decimal("0.001"), 3600, places=3), st.integers(0, 5))
def test_plain_spells_a_number_once_and_exactly(number: Decimal, zeros: int) -> None:
    longer = Decimal(f"{number:f}" + "0" * zeros)
    assert (recipe.plain(number), number) == (recipe.plain(longer), Decimal(recipe.plain(number)))


@pytest.mark.parametrize(("number", "expected"), [("4", "4"), ("4.50", "4.5"), ("1E+2", "100"), ("100", "100")])
def test_plain_spells_as_people_do(number: str, expected: str) -> None:
    assert expected == recipe.plain(Decimal(number))


def differences(**changes: Any) -> list[str]:
    return recipe.difference(made().manifest, made(**changes).manifest)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"prompt": "a ship"}, ["prompt: 'a boat' → 'a ship'"]),
        ({"duration_s": Decimal(5)}, ["duration: '4' → '5'"]),
        ({"seed": 7}, ["seed: none → '7'"]),
        ({"negative_prompt": "fog"}, ["negative_prompt: none → 'fog'"]),
        (
            {"aspect_ratio": "1:1", "duration_s": Decimal("4.5")},
            ["duration: '4' → '4.5'", "aspect_ratio: '9:16' → '1:1'"],
        ),
    ],
)
def test_what_changed_is_said_in_words(changes: dict[str, Any], expected: list[str]) -> None:
    assert expected == differences(**changes)


def test_what_was_taken_away_is_said() -> None:
    assert recipe.difference(made(seed=7).manifest, made().manifest) == ["seed: '7' → none"]


def test_of_long_prompts_the_part_that_differs_is_shown() -> None:
    start = "a very long beginning that is the same in both of them, then "
    [line] = recipe.difference(made(prompt=start + "golden hour").manifest, made(prompt=start + "blue hour").manifest)
    assert ("golden hour" in line, "blue hour" in line, len(line) < 120) == (True, True, True)

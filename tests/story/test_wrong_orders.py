"""fal says only at the result that it can't take a body: what becomes of the model, the money and the other shots."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from faults.scripted import ONLY_PIKA, ScriptedStudio, accepts_then_sends, says
from projects import checked
from studio import shots

from vgen.providers import fal, fal_table

NO_BILL = accepts_then_sends(
    lambda response: replace(
        response, headers=tuple(one for one in response.headers if one[0] != "x-fal-billable-units")
    )
)
"""fal's answer without the units that were billed."""


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedStudio]]:
    """Makes projects; see `checked`."""
    yield from checked(ScriptedStudio, monkeypatch)


def misinform(studio: ScriptedStudio, *, wrong: bool) -> None:
    """The project's own row of Pika names a resolution that fal does not take; or there is no such row any more."""
    path = studio.root / "config" / "fal_endpoints.json"
    path.unlink(missing_ok=True)
    if wrong:
        row = {**fal_table.shipped()[fal.MODEL], "resolution": {"values": ["900p"]}}
        price = {"per_second_usd": 0.04, "sure": "page"}
        path.write_text(json.dumps({"endpoints": {fal.MODEL: {**row, "price": price}}}, default=float), "utf-8")


def test_an_order_that_a_model_never_takes_closes_it_after_one_shot_and_the_user_can_free_the_price(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.write_shots(shots(6))
    misinform(studio, wrong=True)
    studio.on("result", NO_BILL)
    assert studio.doit(*ONLY_PIKA, "max_concurrent=1") == 1
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("failed", 200_000, "assumed")
    said = capfd.readouterr().out
    command = f"doit settle shot=1 as=not-charged job={row['job_id']}"
    assert f"probably not charged; `{command}" in said
    assert "(booked $0.20, assumed)" in said
    assert said.count("pika is closed for this run") == 1
    assert "resolution: Input should be" in said
    assert "probably not charged" in studio.clips()[0]["error"]
    assert studio.doit("settle", "shot=1", "as=not-charged", f"job={row['job_id']}") == 0
    assert "released $0.20" in capfd.readouterr().out
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("failed", 0, "user")
    assert "resolution: Input should be" in row["error"]
    assert studio.booked()[0] == 0
    studio.doit("-s", "report")
    assert studio.doit("audit") == 0


@pytest.mark.slow
def test_the_same_order_is_never_sent_again_and_a_mended_one_is(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(1))
    misinform(studio, wrong=True)
    for _ in range(2):
        assert studio.doit(*ONLY_PIKA) == 1
        assert studio.creates() == 1
    misinform(studio, wrong=False)
    assert studio.doit(*ONLY_PIKA) == 0
    assert studio.creates() == 2
    assert [row["state"] for row in studio.rows()] == ["failed", "accepted"]


def test_after_such_an_order_the_fallback_has_its_turn(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    misinform(studio, wrong=True)
    assert studio.doit("primary_api=pika", "fallback_api=runway", "max_concurrent=1") == 0
    assert [clip["api_used"] for clip in studio.clips()] == ["runway", "runway"]
    assert [(row["provider"], row["charged"] > 0) for row in studio.rows()] == [
        ("pika", False),  # fal said that it billed nothing
        ("runway", True),
        ("runway", True),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (["body", "prompt"], "value_error"),
        (["body", "image_url"], "value_error.url"),
        (["body", "prompt"], "content_policy_violation"),
        (["query", "duration"], "missing"),
        ("body", "missing"),
    ],
    ids=str,
)
def test_what_is_wrong_with_one_shot_alone_closes_nothing(
    studio: ScriptedStudio, place: list[str] | str, kind: str
) -> None:
    studio.write_shots(shots(2))
    detail = [{"loc": place, "msg": "Bad", "type": kind}]
    job = {"x_fal_request_id": "1", "x_fal_billable_units": "0"}
    studio.on("result", says(422, {"detail": detail}, **job), times=1)
    studio.lines_of_credit = 2  # the simulator made the clip whose result was changed on the way
    assert studio.doit(*ONLY_PIKA, "max_concurrent=1") == 1
    assert studio.states() == ["failed", "accepted"]
    assert "probably" not in studio.rows()[0]["error"]


def test_a_price_that_was_assumed_can_be_confirmed_too(studio: ScriptedStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.write_shots(shots(1))
    misinform(studio, wrong=True)
    studio.on("result", NO_BILL)
    assert studio.doit(*ONLY_PIKA) == 1
    assert studio.doit("settle", "shot=1", "as=charged") == 0
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("failed", 200_000, "user")
    assert studio.doit("settle", "shot=1", "as=not-charged") == 1
    assert studio.booked()[0] == 0.2
    monkeypatch.setattr(studio, "check_money", lambda: None)  # the simulator charged nothing; the user said otherwise

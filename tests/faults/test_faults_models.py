"""fal says only at the result that it can't take a body: what becomes of the model, the money and the other shots."""

import pytest
from faults.scripted import ONLY_PIKA, Act, ScriptedStudio, says
from studio import shots

ID = {"x_fal_request_id": "0b9c7a52-5e5c-4d0d-8f2e-5f6f5e1f2a10"}


def refusal(*place: str, kind: str = "literal_error") -> Act:
    """422, in the words of fal's runner."""
    return says(422, {"detail": [{"loc": [*place], "msg": "Input should be '5' or '10'", "type": kind}]}, **ID)


def test_an_order_that_a_model_never_takes_closes_it_after_one_shot_and_the_user_can_free_the_price(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.write_shots(shots(6))
    studio.on("result", refusal("body", "duration"))
    assert studio.doit(*ONLY_PIKA, "max_concurrent=1") == 1
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"], row["final"]) == ("failed", 200_000, "assumed", 1)
    said = capfd.readouterr().out
    command = f"doit settle shot=1 as=not-charged job={row['job_id']}"
    assert f"probably not charged; `{command}" in said
    assert "(booked $0.20, assumed)" in said
    assert said.count("pika is closed for this run") == 1
    assert "duration: Input should be '5' or '10'" in said
    assert "probably not charged" in studio.clips()[0]["error"]
    assert studio.doit("settle", "shot=1", "as=not-charged", f"job={row['job_id']}") == 0
    assert "released $0.20" in capfd.readouterr().out
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("failed", 0, "user")
    assert studio.booked()[0] == 0
    studio.doit("-s", "report")
    assert studio.doit("audit") == 0
    before = studio.creates()
    studio.rules.clear()
    assert studio.doit(*ONLY_PIKA, "min_success_rate=0.8") == 0, "the others are ordered again, this very order is not"
    assert studio.creates() == before + 5
    assert "duration: Input should be" in studio.clips()[0]["error"]


def test_after_such_an_order_the_fallback_has_its_turn(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    studio.on("result", refusal("body", "aspect_ratio", kind="enum_type"))
    assert studio.doit("primary_api=pika", "fallback_api=runway", "max_concurrent=1") == 0
    assert [clip["api_used"] for clip in studio.clips()] == ["runway", "runway"]
    assert [row["provider"] for row in studio.rows()] == ["pika", "runway", "runway"]


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (("body", "prompt"), "value_error"),
        (("body", "image_url"), "value_error.url"),
        (("body", "prompt"), "content_policy_violation"),
        (("query", "duration"), "missing"),
    ],
    ids=str,
)
def test_what_is_wrong_with_one_shot_alone_closes_nothing(
    studio: ScriptedStudio, place: tuple[str, ...], kind: str
) -> None:
    studio.write_shots(shots(2))
    studio.on("result", refusal(*place, kind=kind), times=1)
    assert studio.doit(*ONLY_PIKA, "max_concurrent=1") == 1
    assert studio.states() == ["failed", "accepted"]
    assert "probably" not in studio.rows()[0]["error"]


def test_a_price_that_was_assumed_can_be_confirmed_and_a_told_one_not_be_changed(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(1))
    studio.on("result", refusal("body", "duration"))
    assert studio.doit(*ONLY_PIKA) == 1
    assert studio.doit("settle", "shot=1", "as=charged") == 0
    (row,) = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("failed", 200_000, "user")
    assert studio.doit("settle", "shot=1", "as=not-charged") == 1
    assert studio.booked()[0] == 0.2

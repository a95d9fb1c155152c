"""A field that is left out has a default, which may cost more: every order says what decides its price."""

import json

import pytest
from PIL import Image
from studio import Studio, shots

RUNWAY = ("primary_api=runway", "fallback_api=none", "budget_usd=99")
PIKA = ("primary_api=pika", "fallback_api=none", "budget_usd=99")
USD = {
    "runway veo3.1": 0.8,  # 1.6 with sound
    "runway veo3.1_fast 1080p": 0.4,
    "runway seedance2_5": 1.2,
    "runway seedance2_5 1080p": 2.72,
    "runway kling3.0_pro": 0.48,  # 0.68 with sound
    "runway grok_imagine_1_5": 0.64,
    "runway grok_imagine_1_5 picture": 0.65,
    "runway wan3 picture": 0.4,
    "runway gen4_turbo picture": 0.2,
    "pika fal-ai/kling-video/v3/standard/text-to-video": 0.336,  # 0.504 with sound
    "pika fal-ai/kling-video/v3/standard/text-to-video picture": 0.336,
    "pika fal-ai/veo3.1": 0.8,
    "pika fal-ai/veo3.1 4k": 1.6,
    "pika alibaba/happy-horse/text-to-video": 0.56,  # 1080p by default, at 1.12
    "pika bytedance/seedance-2.0/text-to-video": 1.2136,
    "pika fal-ai/luma-dream-machine/ray-2": 1.0,
}
"""Of a shot of 4 s: section, model, and what else was asked for."""


@pytest.mark.slow
@pytest.mark.parametrize("wish", USD)
def test_a_default_that_costs_is_not_left_to_the_provider_and_the_plan_is_what_is_charged(
    studio: Studio, wish: str
) -> None:
    section, model, *more = wish.split()
    studio.configure(**{section: {"model": model, "resolution": next((w for w in more if w != "picture"), None)}})
    studio.write_shots(shots(1, duration=4))
    if "picture" in more:
        Image.new("RGB", (720, 1280), "teal").save(studio.root / "boat.png")
        studio.change_shot(1, image="boat.png")
    run = RUNWAY if section == "runway" else PIKA
    assert studio.doit("plan", *run) == 0
    plan = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    assert plan["total_usd"] == USD[wish]
    assert studio.doit(*run) == 0
    assert studio.booked()[0] == studio.charged() == pytest.approx(USD[wish])
    (order,) = [job.order for name in ("runway", "fal") for job in studio.cloud.all_jobs(name)]
    assert (order.audio, min(order.width, order.height) >= 720) == (False, True)

"""Rows 76, 77 and 84: whatever stands in the files, nothing is bought before all of it is understood."""

import json
import os
from pathlib import Path

import pictured
import pytest
from fake_clips import fake_clip
from faults.scripted import ONLY_PIKA, ONLY_RUNWAY, ScriptedStudio, says
from PIL import Image
from studio import shots

pytestmark = pytest.mark.slow

GOOD = '{"shot_number": 1, "duration": 5, "runway_prompt": "a boat"}'
BAD = {
    "nan": GOOD.replace("5", "NaN"),
    "infinity": GOOD.replace("5", "Infinity"),
    "1e999": GOOD.replace("5", "1e999"),
    "negative": GOOD.replace("5", "-5"),
    "true for 1": GOOD.replace("1,", "true,"),
    "5 as text": GOOD.replace("5", '"5"'),
    "key twice": GOOD.replace("}", ', "duration": 10}'),
    "nul": GOOD.replace("a boat", "a \\u0000 boat"),
    "half a character": GOOD.replace("a boat", "a \\ud800 boat"),
    "deep": "[" * 100_000,
    "5000 digits": GOOD.replace("5", "5" * 5_000),
    "null": "null",
    "not a list": GOOD,
}


def refused(studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], *args: str) -> str:
    """What is said when nothing is begun: exit 3, no request, no traceback."""
    capfd.readouterr()
    assert studio.doit(*args) == 3
    said = capfd.readouterr().err
    assert said.strip()
    assert "Traceback" not in said
    assert studio.heard == []
    assert studio.rows() == []
    return said


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_fault_076_a_list_that_can_not_be_meant_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    whole = text if text in ("null", GOOD) or text.startswith("[") else f"[\n{text}\n]"
    (one.root / "config" / "visual_prompts.json").write_text(whole, "utf-8")
    assert "visual_prompts.json" in refused(one, capfd)


def test_fault_076_a_huge_list_is_not_read(one: ScriptedStudio, capfd: pytest.CaptureFixture[str]) -> None:
    path = one.root / "config" / "visual_prompts.json"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "at most" in refused(one, capfd)
    path.unlink()  # or else it is searched for keys


def test_fault_076_a_byte_order_mark_is_no_fault(one: ScriptedStudio) -> None:
    path = one.root / "config" / "visual_prompts.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert one.doit() == 0


@pytest.mark.parametrize(
    ("arg", "word"),
    [
        ("budget=3", "budget_usd"),
        ("budget_usd=nan", "budget_usd"),
        ("budget_usd=-1", "budget_usd"),
        ("budget_usd=inf", "budget_usd"),
        ("budget_usd=1e999", "budget_usd"),
        ("max_concurrent=0", "max_concurrent"),
        ("max_retries=true", "max_retries"),
        ("clip_timeout_s=nan", "clip_timeout_s"),
        ("on_uncertain=yes", "on_uncertain"),
    ],
)
def test_fault_076_a_wrong_word_on_the_command_line_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], arg: str, word: str
) -> None:
    assert word in refused(one, capfd, arg)


@pytest.mark.parametrize("price", ["NaN", "-0.1", "true", '"0.1"', "1e999"])
def test_fault_076_a_price_that_is_none_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], price: str
) -> None:
    text = json.dumps({"runway": {"cost_per_second_usd": "PRICE"}, "pika": {}}).replace('"PRICE"', price)
    (one.root / "config" / "api_config.json").write_text(text, "utf-8")
    said = refused(one, capfd) if price != '"0.1"' else ""
    assert "cost_per_second_usd" in said or price == '"0.1"' or "api_config.json" in said


def test_fault_076_every_problem_is_told_at_once(one: ScriptedStudio, capfd: pytest.CaptureFixture[str]) -> None:
    one.write_shots(
        [{"shot_number": 1, "duration": -1, "prompt": ""}, {"shot_number": 1, "duration": 5, "prompt": "x"}]
    )
    lines = [line for line in refused(one, capfd).splitlines() if "visual_prompts.json" in line]
    assert len(lines) == 3


def test_fault_077_a_number_given_to_two_shots_is_told_with_both_places(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.write_shots([*shots(2), shots(2)[1]])
    said = refused(one, capfd)
    assert "shot 2" in said
    assert "entry 2" in said


@pytest.mark.parametrize(
    "image",
    [
        "../secret.png",
        "/etc/passwd",
        "~/secret.png",
        "C:\\secret.png",
        "fifo",
        "/dev/zero",
        "folder",
        "http://x/a.png",
        "file:///etc/passwd",
    ],
)
def test_fault_077_a_picture_that_is_no_file_of_the_project_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], image: str
) -> None:
    if not hasattr(os, "mkfifo") and image == "fifo":
        pytest.skip("no pipes here")
    if image == "fifo":
        os.mkfifo(one.root / "fifo")
    (one.root / "folder").mkdir()
    (one.root.parent / "secret.png").write_bytes(pictured.png())
    one.change_shot(1, image=image)
    assert "image" in refused(one, capfd)
    Path(one.root / "fifo").unlink(missing_ok=True)


def picture(studio: ScriptedStudio, width: int, height: int, *, turned: bool = False) -> None:
    """A picture in the project, and shot 1 made from it."""
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6  # shown with its width and height exchanged
    Image.new("RGB", (width, height), "navy").save(studio.root / "boat.jpg", exif=exif)
    studio.change_shot(1, image="boat.jpg")


@pytest.mark.parametrize(
    ("width", "height", "turned", "ratio"),
    [(1280, 720, False, "9:16"), (720, 1280, True, "9:16"), (720, 1280, False, "16:9"), (1280, 720, False, "1:1")],
)
def test_fault_084_a_picture_whose_shape_could_only_be_rejected_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], width: int, height: int, turned: bool, ratio: str
) -> None:
    picture(one, width, height, turned=turned)
    said = refused(one, capfd, *ONLY_PIKA, f"aspect_ratio={ratio}")
    shown = f"{height}x{width}" if turned else f"{width}x{height}"
    assert shown in said
    assert ratio in said
    assert "crop the picture" in said


@pytest.mark.parametrize(("width", "height", "turned"), [(720, 1280, False), (1280, 720, True), (834, 1112, False)])
def test_fault_084_a_picture_of_the_shots_shape_is_bought_once_and_comes_in_its_shape(
    one: ScriptedStudio, width: int, height: int, turned: bool
) -> None:
    picture(one, width, height, turned=turned)
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.states()) == (1, ["accepted"])
    (entry,) = one.report()["clips"]
    assert entry["height"] > entry["width"]


def test_fault_084_a_model_that_is_told_the_shape_takes_any_picture(one: ScriptedStudio) -> None:
    picture(one, 1280, 720)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert (one.creates(), one.clips()[0]["api_used"]) == (1, "runway")


@pytest.mark.parametrize("resolution", ["360p", "540p", "540P"])
def test_fault_084_a_resolution_that_could_only_be_rejected_buys_nothing(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], resolution: str
) -> None:
    one.configure(
        pika={"model": "fal-ai/pixverse/v6/text-to-video", "resolution": resolution, "cost_per_second_usd": 0.2}
    )
    said = refused(one, capfd, *ONLY_PIKA)
    assert resolution[:3] in said
    assert "720" in said


def test_fault_084_what_one_provider_could_only_spoil_the_other_makes(one: ScriptedStudio) -> None:
    picture(one, 1280, 720)
    assert one.doit("primary_api=pika", "fallback_api=runway") == 0
    assert [job["provider"] for job in one.jobs()] == ["runway"]


@pytest.mark.parametrize(("least", "state"), [(None, "rejected"), (41_839, "accepted"), (41_840, "rejected")])
def test_fault_084_how_few_bytes_a_clip_may_have_is_the_users_word(
    one: ScriptedStudio, least: int | None, state: str
) -> None:
    dark = fake_clip(width=720, height=1280, duration_s=5, size_bytes=41_840)
    padding = len(dark) - 41_840
    dark = fake_clip(width=720, height=1280, duration_s=5, size_bytes=41_840 - padding)
    assert len(dark) == 41_840
    one.on("media", says(200, raw=dark, content_type="video/mp4"))
    variables = [] if least is None else [f"min_clip_bytes={least}"]
    one.doit(*ONLY_RUNWAY, "max_retries=1", *variables)
    assert one.states() == [state]

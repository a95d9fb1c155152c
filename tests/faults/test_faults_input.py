"""Rows 76 and 77: whatever stands in the files, nothing is bought before all of it is understood."""

import json
import os
from pathlib import Path

import pytest
from faults.scripted import ScriptedStudio
from studio import shots

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
    (one.root.parent / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    one.change_shot(1, image=image)
    assert "image" in refused(one, capfd)
    Path(one.root / "fifo").unlink(missing_ok=True)

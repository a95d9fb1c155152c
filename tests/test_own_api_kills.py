"""Killed in the window of the create, at each protocol: nothing is bought twice, and what can end by itself ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import thorough
from studio import Studio

ONE = [{"shot_number": 1, "duration": 5, "prompt": "a boat", "aspect_ratio": "9:16"}]
PIKA = {"model": "kling/kling-3.0/text-to-video", "protocol": "pika", "base_url": "https://api.dev.pika.art"}
SECTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "kling": ("kling", {"model": "kling-3.0"}),
    "pika": ("pika", PIKA),
    "ark": ("ark", {"model": "dreamina-seedance-2-5-260628"}),
    "minimax": ("minimax", {"model": "MiniMax-H3"}),
    "runway": ("runway", {}),
    "fal": ("pika", {}),
}
"""Protocol → its section, and what that says."""
BY_ITSELF = ("kling", "pika")
FAULTS = ("", "create_lost=1.0", "create_502_accepted=1.0", "create_reset=1.0")
KEYS = {f"{name}_API_KEY": f"{name}-vgencanary-0123456789abcdef" for name in ("KLING", "PIKA", "ARK", "MINIMAX")}
LEAST_KILLS = 50 if thorough.ALL else 17
ENDED = {"accepted", "released", "not_sent"}


def killed_at(root: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, fault: str, k: int) -> tuple[bool, Studio]:
    """A run killed at its k-th durable point, and two calm ones. Whether it came to that point."""
    root.mkdir(parents=True)
    monkeypatch.chdir(root)
    section, values = SECTIONS[protocol]
    studio = Studio(root)
    studio.environ |= KEYS
    studio.configure(**{section: values})
    studio.write_shots(ONE)
    studio.worsen(*filter(None, [fault]))
    ends = (f"primary_api={section}", "fallback_api=none", "budget_usd=20")
    died = studio.crash(k, *ends).seen >= k
    studio.calm()
    for _ in range(2):
        studio.pass_time(1000)
        studio.doit(*ends)
    studio.check_money()
    studio.check_secrets()
    studio.check_clips()
    return died, studio


@pytest.mark.slow
@pytest.mark.parametrize("protocol", thorough.some([*SECTIONS], 2))
def test_a_kill_in_the_window_of_the_create_buys_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    kills = uncertain = 0
    for fault in FAULTS:
        k, died = 0, True
        while died:
            k += 1 if thorough.ALL else 9
            died, studio = killed_at(tmp_path / f"{fault} {k}", monkeypatch, protocol, fault, k)
            kills += died
            assert studio.bought() <= 1, (fault, k)
            uncertain += studio.states().count("uncertain")
            if "uncertain" not in studio.states():
                assert studio.booked() == (studio.charged(), 0, 0), (fault, k)
                assert (studio.bought(), set(studio.states()) <= ENDED) == (1, True), (fault, k, studio.states())
            else:
                assert protocol not in BY_ITSELF, (fault, k)
    assert kills >= LEAST_KILLS
    assert (uncertain == 0) == (protocol in BY_ITSELF)

"""Killed at every durable point of a run that buys a chain of three: each bought once, from the right take's frame."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import thorough
from simulation.world import image_sent, sent_for
from studio import Studio

KEYS = {"KLING_API_KEY": "kling-vgencanary-0123456789abcdef"}
LEAST_KILLS = 40
CASES = {
    "runway": ("runway", 1, False),
    "fal": ("pika", 1, False),
    "kling, by whom a lost order ends by itself": ("kling", 1, False),
    "two takes of the first are wanted": ("runway", 2, False),
    "a new take of the first is asked for": ("runway", 1, True),
}
"""What is bought: at which section, how many takes of the first shot, and whether it had one already."""
ANEW = ("-a", "clip:1", "clip:3")


def film(takes: int) -> list[Mapping[str, Any]]:
    """Three shots, each from the last frame of the one before."""
    made: list[Mapping[str, Any]] = [
        {"shot_number": n, "duration": 5, "prompt": f"shot-{n} a boat", "image": f"clip:{n - 1}"} for n in (1, 2, 3)
    ]
    return [{"shot_number": 1, "duration": 5, "prompt": "shot-1 a boat", "takes": takes}, *made[1:]]


def killed_at(root: Path, section: str, takes: int, anew: bool, k: int) -> tuple[bool, Studio]:
    """A run killed at its k-th durable point, and calm ones until all is there. Whether it came to that point."""
    root.mkdir(parents=True)
    os.chdir(root)
    studio = Studio(root)
    studio.environ |= KEYS
    if section == "kling":
        studio.configure(kling={"model": "kling-3.0"})
    studio.write_shots(film(takes))
    ends = (f"primary_api={section}", "fallback_api=none", "budget_usd=20")
    if anew:
        assert studio.doit("clip:1", *ends) == 0
    died = studio.crash(k, *(ANEW if anew else ()), *ends).seen >= k
    studio.pass_time(1000)
    code = go_on(studio, anew, ends)
    while told := told_the_truth(studio):
        assert section != "kling", "a lost order ends by itself there"
        assert studio.doit("settle", *told) == 0
        code = go_on(studio, anew, ends)
    assert code == 0, studio.lines
    return died, studio


def go_on(studio: Studio, anew: bool, ends: tuple[str, ...]) -> int:
    """The same words again; without them once the -a is over."""
    waits = anew and (studio.rows("SELECT * FROM retakes") or len(studio.rows()) == 1)
    code = studio.doit(*(ANEW if waits else ()), *ends)
    return code if told_the_truth(studio) else studio.doit(*ends)


def told_the_truth(studio: Studio) -> tuple[str, ...]:
    """What the user tells of the first uncertain order, having looked at the provider."""
    rows = studio.rows()
    known = {row["job_id"] for row in rows}
    for row in rows:
        if row["state"] == "uncertain":
            lost = [job.id for job in studio.cloud._jobs.values() if job.id not in known]
            assert len(lost) <= 1
            return f"shot={row['shot_number']}", f"job={row['id']}", f"as={lost[0] if lost else 'not-charged'}"
    return ()


def frames(studio: Studio) -> None:
    """The picture that each order brought is the last frame of the take in place, which was there before the order."""
    placed = {row["shot_number"]: row for row in studio.rows("SELECT * FROM placed")}
    moves = studio.rows("SELECT * FROM moves ORDER BY id")
    first = {(move["purchase_id"], move["state"]): k for k, move in reversed(list(enumerate(moves)))}
    owner = {row["job_id"]: row for row in studio.rows()}
    for job in studio.cloud._jobs.values():
        row = owner[job.id]
        number = row["shot_number"]
        if number == 1:
            assert image_sent(job.order) is None
            continue
        source = placed[number - 1]
        assert image_sent(job.order) == sent_for(f"take:{source['sha256']}@last"), number
        assert first[source["purchase_id"], "accepted"] < first[row["id"], "reserved"], number
    for number in (1, 2, 3):
        assert studio.shown_clip(number) == f"shot-{number} a boat"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_kill_at_any_durable_point_buys_each_shot_of_a_chain_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    section, takes, anew = CASES[case]
    k, died = 0, True
    while died:
        k += 1 if thorough.ALL else 9
        died, studio = killed_at(tmp_path / str(k), section, takes, anew, k)
        bought = Counter(job.order.prompt for job in studio.cloud._jobs.values())
        assert bought == {"shot-1 a boat": takes + anew, "shot-2 a boat": 1, "shot-3 a boat": 1}, k
        assert set(studio.states()) <= {"accepted", "released", "not_sent"}, (k, studio.states())
        assert studio.booked() == (studio.charged(), 0, 0), k
        frames(studio)
        studio.check_money()
        studio.check_clips()
        studio.check_secrets()
    assert k > LEAST_KILLS

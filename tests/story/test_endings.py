"""The end tells everything: count, money, each missing shot with the way out; report and gallery are true."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from fake_clips import fake_clip
from studio import Crash, CrashAt, Studio, shots

from vgen.cli import notify, reporting
from vgen.store import failpoints
from vgen.views.gallery import stated_digest

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def end(studio: Studio, capfd: Capture) -> Callable[..., list[str]]:
    """Run a command; the lines of its end, from the count on."""

    def run(*args: str, code: int | None = None) -> list[str]:
        capfd.readouterr()
        result = studio.doit(*args)
        lines = capfd.readouterr().out.splitlines()
        assert code is None or result == code, lines
        starts = [at for at, line in enumerate(lines) if re.match(r"vgen: \d+ of \d+ (named )?clips", line)]
        return lines[starts[-1] :] if starts else []

    return run


def missing(lines: list[str]) -> dict[int, str]:
    """Shot → why it is missing, as the end says it."""
    found = (re.match(r"clip (\d+)  (?:missing|out of date|no new take): (.*)", line) for line in lines)
    return {int(match[1]): match[2] for match in found if match}


def command(text: str) -> list[str]:
    """The last command in a line, as words to type."""
    return shlex.split(re.findall(r"`doit ?([^`]*)`", text)[-1])


# ── the end of a run ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_shot_that_is_missing_is_named_at_the_end_though_the_gates_hold(studio: Studio, end: Callable) -> None:
    studio.write_shots(shots(5))
    studio.configure(run={"budget_usd": 9})
    studio.faults("create_moderation=~shot-2")
    lines = end(code=0)
    assert lines[0] == "vgen: 4 of 5 clips; spent $2.40 of $9.00"
    assert list(missing(lines)) == [2]
    assert "moderation" in missing(lines)[2]
    assert "change the shot, then `doit clip:2`" in missing(lines)[2]
    assert end(code=0) == lines, "the next run wants it too, and says the same"
    studio.change_shot(2, runway_prompt="a harmless boat")
    assert studio.doit(*command(missing(lines)[2])) == 0


def test_what_can_not_be_put_back_is_not_said_to_be_free(studio: Studio, end: Callable) -> None:
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 9})
    assert studio.doit() == 0
    studio.clip(2).unlink()
    for take in studio.outputs.glob("takes/*/*.mp4"):
        take.unlink()
    lines = end(code=1)
    assert "was deleted; put it back, or buy a new one with `doit -a clip:2`" in missing(lines)[2]
    assert "free" not in missing(lines)[2]
    assert studio.doit(*command(missing(lines)[2])) == 0


@pytest.mark.slow
def test_when_the_budget_ends_each_command_buys_its_shot(studio: Studio, end: Callable) -> None:
    studio.write_shots(shots(4))
    lines = end("partial=yes", "budget_usd=1.3", code=1)
    assert lines[0] == "vgen: 2 of 4 clips; spent $1.20 of $1.30"
    assert list(missing(lines)) == [3, 4]
    for text in missing(lines).values():
        assert "it costs $0.60 and $0.10 is left" in text
        assert studio.doit(*command(text)) == 0
    assert studio.bought() == 4


@pytest.mark.slow
def test_when_a_provider_is_closed(studio: Studio, end: Callable) -> None:
    studio.faults("no_credits=1.0")
    lines = end(code=1)
    assert lines[0] == "vgen: 0 of 3 clips; spent $0.00 of $2.00"
    assert list(missing(lines)) == [1, 2, 3]
    for text in missing(lines).values():
        assert "runway: out of credit" in text
        assert "pika: out of credit" in text
        assert "`doit doctor`" in text
    studio.calm()
    assert studio.doit(*command(missing(lines)[1])) == 0


@pytest.mark.slow
def test_when_an_order_is_uncertain(studio: Studio, end: Callable) -> None:
    studio.faults("create_lost=~shot-2")
    studio.configure(run={"budget_usd": 9})
    lines = end("fallback_api=none", code=1)
    assert lines[0] == "vgen: 2 of 3 clips; spent $1.20, uncertain $0.60 of $9.00"
    assert "runway may have charged $0.60" in missing(lines)[2]
    assert command(missing(lines)[2]) == ["recover", "fallback_api=none"]
    assert end("recover")[0] == lines[0], "it wanted something too"
    lines = end("settle", "shot=2", "as=charged")
    assert lines[0] == "vgen: 2 of 3 clips; spent $1.80 of $9.00"
    assert command(missing(lines)[2]) == ["-a", "clip:2"]
    studio.calm()
    assert studio.doit(*command(missing(lines)[2])) == 0


@pytest.mark.slow
def test_when_clips_are_rejected(studio: Studio, end: Callable) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.faults("clip_480p=~shot-2")
    lines = end(code=1)
    assert "rejected twice" in missing(lines)[2]
    assert command(missing(lines)[2]) == ["-a", "clip:2"]
    studio.calm()
    assert studio.doit("-a", "clip:2") == 0


@pytest.mark.slow
def test_when_a_job_is_left_running(studio: Studio, end: Callable) -> None:
    studio.faults("job_stuck=~shot-2")
    lines = end("clip:2", code=1)
    assert "still running at runway" in missing(lines)[2]
    assert command(missing(lines)[2]) == ["clip:2"]
    studio.heal_jobs()
    assert studio.doit("clip:2") == 0
    assert studio.bought() == 1


@pytest.mark.slow
def test_when_servers_fail_the_next_run_tries_again(studio: Studio, end: Callable) -> None:
    studio.faults("create_500=~shot-2")
    lines = end(code=1)
    assert command(missing(lines)[2]) == ["clip:2"]
    studio.calm()
    assert studio.doit("clip:2") == 0


@pytest.mark.slow
def test_when_free_work_was_done_and_the_rest_is_refused(studio: Studio, end: Callable) -> None:
    studio.faults("job_stuck=1.0")
    studio.doit("clip:1")
    studio.heal_jobs()
    studio.write_shots(shots(5))
    lines = end(code=3)
    assert lines[0] == "vgen: 1 of 5 clips; spent $0.60 of $2.00"
    assert list(missing(lines)) == [2, 3, 4, 5]
    assert command(missing(lines)[5]) == ["budget_usd=3.00", "clip:5"]
    assert studio.successes() == [True, False, False, False, False]


@pytest.mark.slow
def test_a_new_take_that_did_not_come_is_told_though_the_old_one_is_in_place(studio: Studio, end: Callable) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.doit()
    studio.worsen("create_moderation=~shot-2")
    lines = end("-a", "clip:2", "clip:3", code=1)
    assert lines[0] == "vgen: 2 of 2 named clips, 3 of 3 in all; spent $2.40 of $9.00"
    assert list(missing(lines)) == [2]
    assert "moderation" in missing(lines)[2]
    assert command(missing(lines)[2]) == ["-a", "clip:2"]


@pytest.mark.slow
def test_named_clips_have_their_own_end_and_the_others_one_line(studio: Studio, end: Callable) -> None:
    studio.write_shots(shots(12))
    studio.faults("create_moderation=~shot-5")
    lines = end("clip:2", "clip:5", code=1)
    assert lines[0] == "vgen: 1 of 2 named clips, 1 of 12 in all; spent $0.60 of $2.00"
    assert list(missing(lines)) == [5]
    assert lines[-1].startswith("vgen: 10 other shots have no up-to-date clip (1, 3-4, 6-12): `doit` builds")


@pytest.mark.slow
def test_a_clip_of_another_prompt_is_out_of_date_not_missing(studio: Studio, end: Callable) -> None:
    studio.doit("clip:1")
    studio.change_shot(1, runway_prompt="another boat")
    studio.faults("create_moderation=1.0")
    assert any(line.startswith("clip 001  out of date: runway refused the order") for line in end("clip:1", code=1))


def test_commands_carry_what_was_typed(studio: Studio, end: Callable) -> None:
    studio.faults("create_500=~shot-2")
    lines = end("clip:2", "fallback_api=none", "max_retries=1", code=1)
    assert set(command(missing(lines)[2])) == {"clip:2", "fallback_api=none", "max_retries=1"}


@pytest.mark.slow
def test_the_end_comes_as_events_too(studio: Studio, capfd: Capture) -> None:
    studio.faults("create_moderation=~shot-2")
    capfd.readouterr()
    studio.doit("-r", "jsonl")
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (one,) = [event for event in events if event["event"] == "missing"]
    assert (one["shot"], one["command"]) == (2, "doit clip:2")


@pytest.mark.slow
def test_a_run_of_named_clips_notifies_of_its_end(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(notify, "send", lambda about, **_: told.append(about))
    studio.faults("create_moderation=~shot-2")
    studio.doit("clip:1", "clip:2")
    (about,) = told
    assert (about["event"], about["successful_clips"], about["failed"]) == ("end", 1, [2, 3])
    studio.doit("pick", "shot=1", "take=1")
    assert len(told) == 1, "a choice is no run"


@pytest.mark.slow
def test_nothing_to_do_stays_one_line(studio: Studio, capfd: Capture) -> None:
    studio.doit()
    before = studio.disk()
    for args in ((), ("clip:2",), ("clip:1", "clip:3"), ("report",)):
        capfd.readouterr()
        assert studio.doit(*args) == 0
        assert len(capfd.readouterr().out.splitlines()) == 1, args
        assert studio.disk() == before


# ── report and gallery after every command ────────────────────────────────────────────────────────────────


def told(studio: Studio) -> tuple[object, object, str | None]:
    """clips.json, the report without what the last run did, and what the gallery was made of."""
    report = studio.report()
    del report["run"]
    return studio.clips(), report, stated_digest((studio.outputs / "gallery.html").read_text("utf-8"))


def change_and_keep(studio: Studio) -> tuple[str, ...]:
    studio.change_shot(2, runway_prompt="something else")
    return "keep", "shot=2"


def change_and_buy(studio: Studio) -> tuple[str, ...]:
    studio.change_shot(2, runway_prompt="something else")
    return ("clip:2",)


def lose_and_settle(studio: Studio) -> tuple[str, ...]:
    studio.change_shot(2, runway_prompt="shot-2 else")
    studio.worsen("create_lost=~shot-2")
    studio.doit("fallback_api=none")
    return "settle", "shot=2", "as=charged"


def lose_and_recover(studio: Studio) -> tuple[str, ...]:
    studio.change_shot(2, runway_prompt="shot-2 else")
    studio.worsen("create_lost=~shot-2")
    studio.doit("primary_api=pika", "fallback_api=none")
    studio.calm()
    studio.pass_time(600)
    return "recover", "primary_api=pika", "fallback_api=none"


def depart_and_collect(studio: Studio) -> tuple[str, ...]:
    studio.write_shots(shots(2))
    return ("collect",)


def edit_and_conform(studio: Studio) -> tuple[str, ...]:
    studio.clip(1).write_bytes(fake_clip(width=720, height=1280, duration_s=5))
    return ("conform",)


def kill_and_look(studio: Studio) -> tuple[str, ...]:
    studio.change_shot(2, runway_prompt="something else")
    studio.crash(12, "clip:2")
    assert "submitting" in studio.states()
    return ("settle", "shot=3", "as=charged")


def remove(studio: Studio) -> tuple[str, ...]:
    studio.clip(3).unlink()
    return ("clip:3",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prepared",
    [
        lambda _: ("-a", "clip:2"),
        lambda _: ("pick", "shot=3", "take=1"),
        lambda _: ("clean", "clip:2"),
        change_and_keep, change_and_buy, lose_and_settle, lose_and_recover, depart_and_collect, edit_and_conform,
        kill_and_look, remove,
    ],
)  # fmt: skip
def test_after_every_command_report_and_gallery_are_true(
    studio: Studio, prepared: Callable[[Studio], tuple[str, ...]]
) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.doit()
    studio.doit("-a", "clip:3")
    args = prepared(studio)
    studio.doit(*args)
    found = told(studio)
    variables = [word for word in args if "_api=" in word]
    studio.doit("-s", "report", *variables)
    studio.doit("-s", "gallery", *variables)
    assert told(studio) == found


@pytest.mark.slow
def test_the_first_named_clip_makes_report_and_gallery(studio: Studio) -> None:
    studio.doit("clip:2")
    assert studio.successes() == [False, True, False]
    assert (studio.outputs / "gallery.html").exists()


@pytest.mark.slow
def test_clean_of_everything_leaves_no_report(studio: Studio) -> None:
    studio.doit()
    assert studio.doit("clean") == 0
    assert not (studio.outputs / "clips.json").exists()
    assert not (studio.outputs / "gallery.html").exists()


# ── the cap that a report tells ───────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("words", [("pick", "shot=1", "take=1"), ("keep", "shot=1"), ("recover",)], ids=lambda w: w[0])
def test_what_buys_nothing_tells_of_the_last_run_s_cap(studio: Studio, words: tuple[str, ...]) -> None:
    studio.write_shots(shots(2))
    studio.doit("budget_usd=9")
    studio.doit("-a", "clip:1", "budget_usd=7")
    if words[0] == "keep":
        studio.change_shot(1, runway_prompt="another boat")
    assert studio.doit(*words) == 0
    told = studio.report()["budget"]
    assert (told["cap_usd"], told["remaining_usd"]) == (7, 7 - told["spent_usd"])
    assert [row["cap"] for row in studio.rows("SELECT cap FROM runs")][1:] in ([7_000_000], [7_000_000, 7_000_000])
    assert studio.doit(*words, "budget_usd=5") == 0
    assert studio.report()["budget"]["cap_usd"] == (5 if words[0] != "recover" else 7), "recover changed nothing"


def test_what_is_settled_is_told_under_the_last_run_s_cap_and_its_advice_too(studio: Studio, end: Callable) -> None:
    studio.write_shots(shots(5))
    studio.faults("create_lost=~shot-2")
    studio.doit("partial=yes", "budget_usd=2.5", "fallback_api=none")
    lines = end("settle", "shot=2", "as=charged")
    assert lines[0] == "vgen: 3 of 5 clips; spent $2.40 of $2.50"
    assert studio.report()["budget"]["cap_usd"] == 2.5
    assert "budget_usd=2.50" in command(missing(lines)[2])
    assert "`doit budget_usd=2.50` builds what is missing" in lines[-1]


@pytest.mark.slow
def test_a_build_is_told_under_its_own_cap_and_play_money_under_none(studio: Studio, new_studio: Any) -> None:
    studio.doit("budget_usd=9")
    studio.doit("report")
    assert studio.report()["budget"]["cap_usd"] == 2
    play = new_studio(live=False)
    play.doit()
    play.doit("-a", "clip:1")
    play.doit("pick", "shot=1", "take=1")
    assert play.report()["budget"]["cap_usd"] is None


@pytest.mark.slow
def test_an_order_of_unknown_fate_that_no_shot_wants_any_more_is_told_until_it_is_ended(
    studio: Studio, end: Callable
) -> None:
    studio.write_shots(shots(2))
    studio.faults("create_lost=~shot-2")
    assert missing(end("fallback_api=none", code=1)).keys() == {2}
    studio.change_shot(2, runway_prompt="another boat")
    lines = end("fallback_api=none", code=0)
    assert lines[1].startswith("vgen: runway may have charged $0.60 for an order of shot 2 that no clip waits for")
    assert studio.doit(*command(lines[1])) == 0
    assert studio.booked() == (1.8, 0, 0)
    studio.change_shot(1, runway_prompt="a third boat")
    assert not any("no clip waits for" in line for line in end("budget_usd=9", code=0))


# ── killed before the report ──────────────────────────────────────────────────────────────────────────────


def killed_before_its_report(studio: Studio) -> None:
    """Every clip is in place and booked; report and gallery are of the run before."""
    studio.write_shots(shots(1))
    studio.doit()
    studio.write_shots(shots(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "write_report", dying)
        patch.setattr(reporting, "reported", dying)
        with pytest.raises(Crash):
            studio.doit()
    assert len(studio.clips()) == 1
    assert studio.clip(2).exists()


def dying(*_: object, **__: object) -> None:
    raise Crash("killed")


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("clip:2",), ("cut",), ("recover",)], ids=lambda w: " ".join(w) or "doit")
def test_the_next_command_mends_what_a_killed_run_left_old(
    studio: Studio, end: Callable, words: tuple[str, ...]
) -> None:
    killed_before_its_report(studio)
    bought = studio.bought()
    lines = end(*words)
    assert lines[0].endswith(
        "2 of 2 clips; spent $1.20 of $2.00" if words != ("clip:2",) else "2 of 2 in all; spent $1.20 of $2.00"
    )
    assert studio.successes() == [True, True]
    assert studio.report()["budget"]["spent_usd"] == 1.2
    digest = stated_digest((studio.outputs / "gallery.html").read_text("utf-8"))
    assert studio.doit("gallery") == 0
    assert stated_digest((studio.outputs / "gallery.html").read_text("utf-8")) == digest
    assert studio.bought() == bought
    assert end("clip:2") == [], "told once"


def test_report_and_gallery_are_not_looked_at_again_while_the_ledger_is_as_they_tell(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.doit()
    monkeypatch.setattr(reporting, "reported", dying)
    assert studio.doit("clip:1") == 0


@pytest.mark.slow
def test_a_production_of_before_stays_quiet(studio: Studio, end: Callable) -> None:
    studio.doit()
    (studio.outputs / ".vgen" / "told").unlink()
    before = (studio.outputs / "production_report.json").read_bytes()
    assert end("clip:1") == []
    assert (studio.outputs / "production_report.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("at", ["ledger.move.submitting after", "ledger.move.rendering after", "ledger.reserve after"])
def test_a_plan_after_a_kill_says_what_the_next_run_does(
    new_studio: Callable[..., Studio], capfd: Capture, at: str
) -> None:
    other, studio = new_studio(), new_studio()
    hook = CrashAt(names=[])
    for one in (other, studio):
        one.write_shots(shots(1))
    with failpoints.hooked(hook):
        other.doit()
    assert hook.names is not None
    studio.crash(hook.names.index(at) + 1)
    before, ledger = studio.bought(), (studio.outputs / "ledger.db").read_bytes()
    capfd.readouterr()
    assert studio.doit("plan") == 0
    assert "another run" not in capfd.readouterr().out, "nobody works here"
    assert (studio.outputs / "ledger.db").read_bytes() == ledger
    planned = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    studio.doit("max_retries=1")
    assert (planned["total_usd"] > 0) == (studio.bought() > before)
    left = planned["budget"]["left_usd"]
    told = studio.report()["budget"]
    assert left == told["remaining_usd"] + (told["spent_usd"] if studio.bought() > before else 0)

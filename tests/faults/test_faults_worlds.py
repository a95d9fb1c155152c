"""Rows 106 to 109: rehearsal is not reality; what the simulator delivers is simulated, and mixed with nothing else."""

from collections.abc import Callable

import pytest
from faults.scripted import ONLY_RUNWAY, Forward, ScriptedStudio
from studio import KEYS, shots

from vgen.simulator.web import Request

pytestmark = pytest.mark.slow

HERE = "http://127.0.0.1:8080"
THERE = "http://127.0.0.1:9090"


def at_the_simulator(studio: ScriptedStudio, *sections: str) -> None:
    studio.configure(**{name: {"base_url": HERE} for name in sections or ("runway", "pika")})
    studio.answers[HERE] = True


def at_its_own_address(studio: ScriptedStudio) -> None:
    studio.configure(runway={"base_url": "https://api.dev.runwayml.com"}, pika={"base_url": "https://queue.fal.run"})


def worlds(studio: ScriptedStudio) -> set[int]:
    return {row["simulated"] for row in studio.rows()}


def test_fault_106_what_the_simulators_server_delivers_is_simulated_whatever_the_mode_says(
    studio: ScriptedStudio,
) -> None:
    at_the_simulator(studio)
    assert studio.doit("mode=live") == 0
    assert studio.report()["simulated"] is True
    assert all(clip["simulated"] for clip in studio.report()["clips"])
    assert worlds(studio) == {1}
    assert [path.name for path in studio.takes()] == ["simulated_001.mp4"] * 3


def test_fault_106_a_rehearsal_goes_by_the_budget_as_reality_does(studio: ScriptedStudio) -> None:
    at_the_simulator(studio)
    assert studio.doit("mode=live", "budget_usd=1") == 3
    assert studio.bought() == 0


def test_fault_106_after_the_rehearsal_the_real_address_is_not_told_that_all_is_done(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    at_the_simulator(studio)
    studio.lines_of_credit = 2
    assert studio.doit("mode=live") == 0
    before = studio.report()
    at_its_own_address(studio)
    capfd.readouterr()
    assert studio.doit("mode=live") == 3
    said = capfd.readouterr().err
    assert "clips of vgen's simulator at http://127.0.0.1:8080" in said
    assert "outputs=DIR" in said
    assert (studio.bought(), studio.report()) == (3, before)
    assert studio.doit("mode=live", "outputs=film") == 0, "as the message says"
    assert studio.bought() == 6


def test_fault_106_a_server_that_is_down_is_remembered_for_what_it_was(studio: ScriptedStudio) -> None:
    at_the_simulator(studio)
    assert studio.doit("mode=live") == 0
    studio.answers[HERE] = None
    assert studio.doit("mode=live") == 0, "nothing to do"
    assert studio.doit("-s", "report", "mode=live") == 0
    assert studio.report()["simulated"] is True


def test_fault_106_real_clips_take_the_place_of_the_animatics_of_mode_simulate(studio: ScriptedStudio) -> None:
    """A newcomer's way: first without a key, then with one, in the same directory."""
    assert studio.doit("mode=simulate") == 0
    assert studio.doit("mode=live") == 0
    assert studio.report()["simulated"] is False
    assert worlds(studio) == {0, 1}


@pytest.fixture
def film(studio: ScriptedStudio) -> ScriptedStudio:
    """A finished film, paid; the terminal has no key any more."""
    return finished(studio)


def finished(studio: ScriptedStudio) -> ScriptedStudio:
    assert studio.doit() == 0
    studio.environ.clear()
    return studio


def untouched(studio: ScriptedStudio, act: Callable[[], object]) -> None:
    before = {name: state for name, state in studio.disk().items() if "/clips/" in name or name.endswith(".json")}
    bought = studio.bought()
    act()
    after = {name: state for name, state in studio.disk().items() if "/clips/" in name or name.endswith(".json")}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert (changed, studio.bought()) == (set(), bought), "the film was replaced"


def test_fault_107_a_terminal_without_the_key_leaves_a_finished_film_as_it_is(film: ScriptedStudio) -> None:
    def act() -> None:
        assert film.doit() == 0
        assert film.doit("report") == 0

    untouched(film, act)
    assert film.report()["simulated"] is False


@pytest.mark.parametrize("args", [(), ("clip:2",), ("-a", "clip:3"), ("partial=yes",)], ids=" ".join)
def test_fault_107_what_needs_a_provider_is_refused_and_names_the_key(
    film: ScriptedStudio, capfd: pytest.CaptureFixture[str], args: tuple[str, ...]
) -> None:
    film.change_shot(2, runway_prompt="shot-2 a paper ship")

    def act() -> None:
        capfd.readouterr()
        assert film.doit(*args) == 3
        said = capfd.readouterr().err
        assert "RUNWAY_API_KEY" in said
        assert "nothing is simulated there" in said

    untouched(film, act)
    film.environ |= KEYS
    assert film.doit("budget_usd=9") == 0
    assert film.bought() == 4


def test_fault_107_a_clip_that_was_deleted_is_put_back_without_a_key(film: ScriptedStudio) -> None:
    film.clip(2).unlink()
    assert film.doit() == 0
    assert film.shown_clip(2) == "shot-2 a paper boat"
    assert film.bought() == 3


def test_fault_107_a_job_that_is_still_there_is_not_forgotten_without_a_key(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.faults(render_s=1000)
    assert studio.doit("clip_timeout_s=30") == 1
    studio.environ.clear()
    capfd.readouterr()
    assert studio.doit() == 3
    assert "RUNWAY_API_KEY" in capfd.readouterr().err
    assert set(studio.states()) == {"rendering"}
    studio.environ |= KEYS
    studio.pass_time(1000)
    assert studio.doit() == 0
    assert studio.bought() == 3


def test_fault_107_mode_simulate_is_refused_where_clips_were_paid(
    film: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        capfd.readouterr()
        assert film.doit("mode=simulate") == 3
        said = capfd.readouterr().err
        assert "bought for real money" in said
        assert "`doit outputs=rehearsal" in said
        assert film.doit("-s", "report", "mode=simulate") == 3

    untouched(film, act)
    film.lines_of_credit = 2
    assert film.doit("mode=simulate", "outputs=rehearsal") == 0


def test_fault_108_a_rehearsal_never_falls_back_to_real_money(studio: ScriptedStudio) -> None:
    """The primary is the simulator, the fallback is real and has its key."""
    at_the_simulator(studio, "runway")
    studio.faults("runway.bad_key=1.0")
    assert studio.doit("mode=live") == 1
    assert "queue.fal.run" not in studio.hosts("create")
    assert studio.bought() == 0
    assert worlds(studio) == {1}


def test_fault_108_a_real_run_never_falls_back_to_the_simulator(studio: ScriptedStudio) -> None:
    at_the_simulator(studio, "pika")
    studio.faults("runway.bad_key=1.0")
    assert studio.doit("mode=live") == 1
    assert "127.0.0.1" not in studio.hosts("create")
    assert worlds(studio) == {0}


def test_fault_108_a_closed_stranger_is_told_by_the_plan(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    at_the_simulator(studio, "runway")
    capfd.readouterr()
    assert studio.doit("plan", "mode=live") == 0
    said = capfd.readouterr().out
    assert "pika is closed: runway is vgen's simulator, pika is not" in said
    assert "of play money" in said


@pytest.mark.parametrize("later", [True, False], ids=["the simulator comes", "a real provider comes"])
def test_fault_109_who_answers_at_an_address_is_asked_again_before_the_first_order(
    studio: ScriptedStudio, later: bool
) -> None:
    """Between the plan and the first order somebody else takes the port."""
    asked: list[str] = []

    def changing(url: str) -> bool:
        asked.append(url)
        return later if len(asked) > 1 else not later

    studio.configure(runway={"base_url": HERE})
    studio.answers = type("Changing", (dict,), {"get": staticmethod(changing)})()
    assert studio.doit("mode=live", *ONLY_RUNWAY) == 1
    assert (studio.creates(), studio.rows()) == (0, [])
    assert "run again" in (studio.errors()[0] or "")


def test_fault_109_an_address_of_this_machine_that_is_no_simulator_is_real(studio: ScriptedStudio) -> None:
    """A proxy of one's own, in front of the real provider."""
    studio.configure(runway={"base_url": THERE})
    studio.answers[THERE] = False
    assert studio.doit("mode=live", *ONLY_RUNWAY) == 0
    assert worlds(studio) == {0}


def test_fault_109_only_addresses_of_this_machine_are_asked_and_without_a_key(studio: ScriptedStudio) -> None:
    asked: list[str] = []
    studio.answers = type("Noting", (dict,), {"get": staticmethod(lambda url: asked.append(url))})()
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_RUNWAY) == 0
    assert asked == []


def test_fault_109_the_simulator_names_itself_in_every_answer_and_a_studio_is_told_so(studio: ScriptedStudio) -> None:
    heads: list[tuple[tuple[str, str], ...]] = []

    async def note(_: Request, forward: Forward) -> None:
        heads.append((await forward()).headers)

    for kind in ("poll", "media"):
        studio.on(kind, note)  # type: ignore[arg-type]
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_RUNWAY) == 0
    assert heads
    assert all(("x-vgen-simulator", "1") in head for head in heads)

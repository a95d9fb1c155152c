"""Choices from the review's page go through the commands' own code, and what changes elsewhere is seen."""

import subprocess
import sys
from pathlib import Path

import pytest
from studio import Studio, shots

from vgen.cli.review_film import ReviewFilm
from vgen.cli.session import Session
from vgen.errors import InputError, LockHeld
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs

pytest.importorskip("starlette", reason="pip install -e '.[test]' brings it")

from vgen.review.choices import Choice


def review(studio: Studio) -> ReviewFilm:
    session = Session(studio.root, studio.environ, studio.services())
    with session.before_load(["review"]):
        return ReviewFilm(session)


def shown(film: ReviewFilm, number: int = 2) -> dict[str, object]:
    return next(shot for shot in film.shots()["shots"] if shot["shot"] == number)


def pick(take: object, shot: int = 2) -> Choice:
    return Choice(command="pick", variables={"shot": str(shot), "take": str(take)})


def test_a_pick_on_the_page_is_doit_pick(two: Studio) -> None:
    film, money = review(two), (two.booked(), two.bought())
    before = film.state()
    assert shown(film)["take"] == "2"
    film.choose(pick(1))
    assert film.state() != before
    assert shown(film)["take"] == "1"
    assert two.clip(2).read_bytes() in [take.read_bytes() for take in two.takes("take_001.mp4")]
    assert two.report()["clips"][1]["take"] == 1, "the report on disk is true again"
    assert "take 1" in (two.outputs / "gallery.html").read_text("utf-8")
    assert two.said("take 1 at runway, paid $0.60, is now in use")
    assert (two.booked(), two.bought()) == money
    by_page = two.rows("SELECT recipe, purchase_id, newest FROM chosen")
    assert two.doit() == 0
    assert two.doit("pick", "shot=2", "take=1") == 0
    assert two.rows("SELECT recipe, purchase_id, newest FROM chosen") == by_page


def test_keep_on_the_page_is_doit_keep(two: Studio) -> None:
    two.change_shot(2, runway_prompt="something else")
    film = review(two)
    assert shown(film)["status"] == "stale"
    film.choose(Choice(command="keep", variables={"shot": "2"}))
    assert shown(film)["status"] == "good"
    assert two.report()["clips"][1]["kept"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (pick(9), "shot 2 has no such take (it has 1, 2)"),
        (pick("x"), "name the take by its number"),
        (pick(1, shot=99), "there is no such shot; the list has 1-2"),
        (Choice(command="keep", variables={"shot": "99"}), "there is no such shot"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(two: Studio, choice: Choice, says: str) -> None:
    film, before = review(two), two.disk()
    with pytest.raises(InputError, match=says.replace("(", r"\(").replace(")", r"\)")):
        film.choose(choice)
    assert two.disk() == before


def test_while_a_build_holds_the_outputs_a_choice_says_who_and_later_succeeds(two: Studio) -> None:
    two.environ["VGEN_WAIT"] = "yes"  # is for builds: the page tries again by itself
    film = review(two)
    with run_lock(Outputs(two.outputs), wait=False):
        with pytest.raises(LockHeld, match=r"another vgen run .*works on"):
            film.choose(pick(1))
        assert shown(film)["take"] == "2"
    film.choose(pick(1))
    assert shown(film)["take"] == "1"


def test_before_the_first_build_all_shots_are_missing(studio: Studio) -> None:
    film, before = review(studio), studio.disk()
    assert [shot["status"] for shot in film.shots()["shots"]] == ["missing"] * 3
    assert "no clip" in film.page(None).html
    assert (film.builder(), studio.disk()) == (None, before)


def test_what_a_run_elsewhere_does_is_seen(two: Studio) -> None:
    film = review(two)
    states = [film.state()]
    two.write_shots(shots(3))
    states.append(film.state())
    assert shown(film, 3)["status"] == "missing", "the shot list is read again"
    assert two.doit() == 0
    states.append(film.state())
    assert shown(film, 3)["status"] == "good"
    assert len(set(states)) == 3
    assert film.state() == states[-1], "nothing happens, nothing changes"


def test_a_shot_list_that_cannot_be_read_is_told_until_it_can(two: Studio) -> None:
    film = review(two)
    good = two.read_shots()
    two.write_shots([{"shot_number": 1}])
    with pytest.raises(InputError, match="shot 1"):
        film.shots()
    two.write_shots(good)
    assert [shot["shot"] for shot in film.shots()["shots"]] == [1, 2]


def test_the_page_is_the_gallery_with_more(two: Studio) -> None:
    film = review(two)
    page = film.page(None)
    static = (two.outputs / "gallery.html").read_text("utf-8")
    assert page.html.count('id="player"') == 1
    assert 'data-choose="pick"' in page.html
    assert "connect-src 'self'" in page.policy
    for part in ('id="player"', "data-choose", "/api/", "EventSource", "data-digest"):
        assert part not in static, "the gallery stays a file that works alone"
    assert "connect-src &#39;none&#39;" in static
    only = film.page(frozenset({2})).html
    assert ('id="shot-1"' in only, 'id="shot-2"' in only) == (False, True)


def test_looking_writes_nothing(two: Studio) -> None:
    before = two.disk()
    film = review(two)
    film.shots()
    film.page(None)
    assert two.disk() == before


def test_without_the_extra_one_line_says_what_to_install(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vgen.cli.commands.review.find_spec", lambda name: None)
    assert studio.doit("review") == 3
    said = capfd.readouterr().err
    assert "doit review needs the package starlette; `pip install 'vgen[review]'` brings it" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("port", ["-1", "65536", "x", "", "1.5"])
def test_a_port_that_is_none_is_refused(studio: Studio, port: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("review", f"port={port}") == 3
    assert "give a number from 0 (any free port) to 65535" in capfd.readouterr().err


def test_a_port_that_is_taken_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    from vgen.review import server

    with server.listen(0) as taken:
        port = server.port_of(taken)
        assert studio.doit("review", f"port={port}") == 3
    assert f"port={port}: " in capfd.readouterr().err
    assert not Path(studio.outputs / "ledger.db").exists()


def test_lock_and_note_on_the_page_are_the_commands(two: Studio) -> None:
    film = review(two)
    film.choose(Choice(command="lock", variables={"shot": "2"}))
    film.choose(Choice(command="note", variables={"shot": "2", "text": "slower = better"}))
    assert (shown(film)["locked"], shown(film)["note"]) == (True, "slower = better")
    assert [two.clips()[1][key] for key in ("locked", "note")] == [True, "slower = better"]
    film.choose(Choice(command="unlock", variables={"shot": "2"}))
    film.choose(Choice(command="note", variables={"shot": "2", "text": ""}))
    assert (shown(film)["locked"], shown(film)["note"]) == (False, "")


def test_no_other_command_loads_the_server() -> None:
    looks = "import sys; from vgen.cli import registry; registry.commands(); print('starlette' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"

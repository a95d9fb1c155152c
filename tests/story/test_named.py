"""A run of clips that were named by their numbers makes no tasks of the others, unless somebody else may need them."""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from doit import doit_cmd
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from studio import Studio, shots

from vgen.cli.commands import clip
from vgen.cli.doit.run_command import _has_others
from vgen.cli.session import Session

CHAIN = {3: {"image": "clip:2"}, 4: {"image": "clip:3"}}


@pytest.fixture
def film(studio: Studio) -> Studio:
    studio.configure(run={"budget_usd": 40})
    studio.write_shots([{**shot, **CHAIN.get(shot["shot_number"], {})} for shot in shots(5)])
    return studio


def session_of(studio: Studio) -> Session:
    doit_cmd.reset_vars()  # of a run before this one, in the same process
    return Session(studio.root, studio.environ, studio.services())


NAMED = [
    (("clip:5",), ["5"]),
    (("clip:1", "clip:5", "budget_usd=3"), ["1", "5"]),
    (("clip:4",), ["2", "3", "4"]),
    (("clip:5", "clip:9"), ["1", "2", "3", "4", "5"]),
    (("clip:05",), ["1", "2", "3", "4", "5"]),
    (("clip:*",), ["1", "2", "3", "4", "5"]),
    (("clip:5", "report"), ["1", "2", "3", "4", "5"]),
    ((), ["1", "2", "3", "4", "5"]),
]


@pytest.mark.parametrize(("words", "made"), NAMED)
def test_tasks_are_made_of_the_named_clips_and_those_that_they_need(
    film: Studio, words: Sequence[str], made: Sequence[str]
) -> None:
    session = session_of(film)
    session.only = words
    group, *tasks = clip._members(session, clip.COMMAND)
    assert group["name"] is None
    assert sorted(task["name"] for task in tasks) == made  # what others wait for comes first


def test_the_named_clip_and_its_sources_are_bought_and_no_others(film: Studio) -> None:
    assert film.doit("clip:4") == 0
    assert [film.clip(number).exists() for number in range(1, 6)] == [False, True, True, True, False]
    assert film.doit("clip:9") == 3
    assert film.doit() == 0
    assert film.creates() == 5


def test_a_plan_that_says_the_same_leaves_the_directory_and_doits_memory_as_they_are(film: Studio) -> None:
    assert film.doit() == 0
    assert film.doit("plan") == 0
    places = (film.outputs, film.root / ".doit.db")
    before = [place.stat().st_mtime_ns for place in places]
    os.utime(film.outputs / "plan.json", ns=(0, 0))
    assert film.doit("plan") == 0
    assert [place.stat().st_mtime_ns for place in places] == before
    assert (film.outputs / "plan.json").stat().st_mtime_ns > 0, "it is of now"
    film.change_shot(1, runway_prompt="shot-1 another boat")
    was = (film.outputs / "plan.json").read_bytes()
    assert film.doit("plan") == 0
    assert (film.outputs / "plan.json").read_bytes() != was


class _WithMore(ModuleTaskLoader):  # type: ignore[misc]
    """A dodo.py with a task of its user's."""

    def __init__(self, studio: Studio, more: dict[str, Any]) -> None:
        super().__init__({})
        self.studio, self.more = studio, more

    def setup(self, _: object) -> None:
        session = session_of(self.studio)
        self.namespace = {"DOIT_CONFIG": session.config(), **session.tasks(), **self.more}


def own() -> dict[str, Any]:
    return {"actions": [], "task_dep": ["clip:1"]}


class Maker:
    """Has tasks in doit's other way."""

    create_doit_tasks = staticmethod(own)


@pytest.mark.parametrize("more", [{"task_own": own}, {"anything": Maker()}, {"task_clip": own}])
def test_a_task_of_the_users_may_need_any_clip(film: Studio, more: dict[str, Any]) -> None:
    session = session_of(film)
    assert not _has_others({"DOIT_CONFIG": session.config(), **session.tasks()})
    assert _has_others({**session.tasks(), **more})


def test_a_task_of_the_users_that_needs_a_clip_does_not_disturb_another(film: Studio) -> None:
    assert DoitMain(_WithMore(film, {"task_own": own})).run(["clip:5"]) == 0
    assert [film.clip(number).exists() for number in (1, 5)] == [False, True]

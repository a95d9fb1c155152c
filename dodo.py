"""vgen's tasks by name, for doit. `doit list` shows them, `doit help run` the options; README.md has the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vgen.cli.session import Tasks

_tasks = Tasks(Path(__file__).resolve().parent)

DOIT_CONFIG = _tasks.config()


def task_clip() -> Iterator[dict[str, Any]]:
    """one clip per shot: bought if it is stale or missing, else left alone"""
    yield from _tasks.clips()


def task_collect() -> dict[str, Any]:
    """bring home jobs that no shot wants any more; remove clips whose shot has left the list"""
    return _tasks.collect()


def task_report() -> dict[str, Any]:
    """clips.json and production_report.json; fails if a quality gate fails"""
    return _tasks.report()


def task_gallery() -> dict[str, Any]:
    """gallery.html: every shot with its clip, takes, money and reasons"""
    return _tasks.gallery()


def task_conform() -> dict[str, Any]:
    """uniform clips in outputs/conformed/, from the clips that are there; buys nothing"""
    return _tasks.conform()


def task_cut() -> dict[str, Any]:
    """the conformed clips joined into outputs/cut.mp4; buys nothing"""
    return _tasks.cut()


def task_plan() -> dict[str, Any]:
    """what a run would do, why, and for how much; spends nothing"""
    return _tasks.plan()


def task_doctor() -> dict[str, Any]:
    """is everything there that a run needs, and what to do if not"""
    return _tasks.doctor()


def task_recover() -> dict[str, Any]:
    """look for lost jobs at the providers and adopt them; buys nothing"""
    return _tasks.recover()


def task_settle() -> dict[str, Any]:
    """write down what you found out about an uncertain purchase: shot=2 as=charged (not-charged, or a job id)"""
    return _tasks.settle()


def task_takes() -> dict[str, Any]:
    """all takes of all shots, with their files"""
    return _tasks.takes()


def task_pick() -> dict[str, Any]:
    """put an earlier take of a shot in its place, free: shot=7 take=2"""
    return _tasks.pick()


def task_keep() -> dict[str, Any]:
    """accept the present clip of a shot for its changed prompt, free: shot=7"""
    return _tasks.keep()


def task_audit() -> dict[str, Any]:
    """recompute every figure from raw rows and files; with keys, compare with the providers' own"""
    return _tasks.audit()

"""Killed at every durable point, then run again: nothing is bought twice, lost or misbooked."""

from collections import Counter
from collections.abc import Callable

import pytest
from killed import kill_in_a_commit
from studio import CrashAt, DiskErrorAt, Studio, shots

from vgen.store import failpoints

pytestmark = pytest.mark.slow

PARTS = 20
"""Every story takes each 20th point, so that none takes long."""
QUICK_PARTS = range(0, PARTS, 3)
"""These are taken with every change."""
COUNTS: dict[str, int] = {}
"""Scene → how many durable points a whole run has."""
NewStudio = Callable[..., Studio]

SCENES: dict[str, tuple[str, ...]] = {
    "calm": (),
    "a job fails": ("job_failed=first:1",),
    "a clip is bad": ("clip_480p=first:1",),
    "a refusal leads to the fallback": ("runway.create_moderation=~shot-1",),
}


def project(new_studio: NewStudio, scene: str) -> Studio:
    studio = new_studio(seed=7)
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 20}, runway={"poll_interval_s": 12}, pika={"poll_interval_s": 12})
    studio.faults(*SCENES[scene], render_s=10)
    return studio


def points(new_studio: NewStudio, scene: str, part: int) -> range:
    """The part-th share of all durable points of a whole run."""
    if scene not in COUNTS:
        COUNTS[scene] = project(new_studio, scene).crash(float("inf")).seen
    assert COUNTS[scene] > 40
    return range(1 + part, COUNTS[scene] + 1, PARTS)


def billed(studio: Studio) -> Counter[str]:
    """Recipe → purchases that were charged or may be."""
    rows = studio.rows()
    return Counter(row["recipe"] for row in rows if row["charged"] or row["state"] in ("uncertain", "rendering"))


def assert_recovered(studio: Studio, scene: str) -> None:
    """After a kill and a calm run."""
    studio.pass_time(500)
    studio.check_money()
    held = {row["shot_number"] for row in studio.rows() if row["state"] == "uncertain"}
    assert len(held) <= 2
    for entry in studio.clips():
        number = entry["shot_number"]
        assert entry["success"] != (number in held), entry
        if entry["success"]:
            assert f"shot-{number} " in studio.shown_clip(number)
    allowed = 2 if scene == "a clip is bad" else 1
    assert all(count <= allowed for count in billed(studio).values())
    accepted = Counter(job["prompt"] for job in studio.jobs() if job["state"] not in ("FAILED", "CANCELLED"))
    assert all(count <= allowed for count in accepted.values())
    assert not [row for row in studio.rows() if row["state"] in ("reserved", "submitting", "not_sent")]


@pytest.mark.parametrize(
    ("scene", "part"),
    [
        *(("calm", part) for part in QUICK_PARTS),
        *(pytest.param("calm", part, marks=pytest.mark.slow) for part in range(PARTS) if part not in QUICK_PARTS),
        *(  # what is after one act is before the next
            pytest.param("a job fails", part, marks=pytest.mark.slow) for part in range(0, PARTS, 2)
        ),
    ],
)
def test_a_kill_anywhere_loses_nothing_and_buys_nothing_twice(new_studio: NewStudio, scene: str, part: int) -> None:
    for k in points(new_studio, scene, part):
        studio = project(new_studio, scene)
        studio.crash(k)
        studio.calm()
        studio.doit()
        assert_recovered(studio, scene)
        if k % 4 == 0 and all(studio.successes()):
            before = studio.disk()
            studio.doit()
            assert studio.disk() == before


@pytest.mark.parametrize("part", [3, 14])
@pytest.mark.parametrize("scene", ["a clip is bad", "a refusal leads to the fallback"])
def test_a_kill_in_a_bad_hour_loses_nothing_and_buys_nothing_twice(
    new_studio: NewStudio, scene: str, part: int
) -> None:
    for k in points(new_studio, scene, part):
        studio = project(new_studio, scene)
        studio.crash(k)
        studio.calm()
        studio.doit()
        assert_recovered(studio, scene)


@pytest.mark.parametrize("first", [9, 25, 33, 49])
def test_a_kill_while_recovering_from_a_kill_changes_nothing(new_studio: NewStudio, first: int) -> None:
    for second in (2, 14, 27):
        studio = project(new_studio, "calm")
        studio.crash(first)
        studio.crash(second)
        studio.doit()
        assert_recovered(studio, "calm")


@pytest.mark.parametrize("hours", [0.001, 1, 30])
def test_time_that_passes_between_a_kill_and_the_next_run_changes_nothing(new_studio: NewStudio, hours: float) -> None:
    for k in (12, 20, 28, 36):
        studio = project(new_studio, "calm")
        studio.crash(k)
        studio.pass_time(hours * 3600)
        studio.doit()
        assert_recovered(studio, "calm")


@pytest.mark.parametrize("part", [*range(3), *(pytest.param(part, marks=pytest.mark.slow) for part in range(3, 8))])
@pytest.mark.parametrize("for_ever", [False, True])
def test_a_disk_error_anywhere_loses_nothing_and_shows_no_traceback(
    new_studio: NewStudio, capfd: pytest.CaptureFixture[str], part: int, for_ever: bool
) -> None:
    for k in range(1 + part, 50, 24 if for_ever else 16):
        studio = project(new_studio, "calm")
        with failpoints.hooked(DiskErrorAt(k, for_ever)):
            assert studio.doit() in (0, 1, 3)
        studio.doit()
        assert_recovered(studio, "calm")
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_killed_order_is_uncertain_and_told_as_such(new_studio: NewStudio) -> None:
    hook = CrashAt(names=[])
    studio = project(new_studio, "calm")
    with failpoints.hooked(hook):
        studio.doit("max_concurrent=1")
    k = hook.names.index("orders.write before") + 1
    studio = project(new_studio, "calm")
    studio.crash(k, "max_concurrent=1")
    assert studio.bought() == 1
    assert studio.doit() == 1
    assert studio.bought() == 2
    assert studio.booked() == (0.6, 0, 0.6)
    assert "ended before" in studio.errors()[0]


def test_a_kill_between_an_answer_and_its_commit_loses_nothing(new_studio: NewStudio) -> None:
    hook = CrashAt(names=[])
    studio = project(new_studio, "calm")
    with failpoints.hooked(hook):
        studio.doit("max_concurrent=1")
    k = hook.names.index("ledger.move.rendering before") + 1
    studio = project(new_studio, "calm")
    studio.crash(k, "max_concurrent=1")
    assert studio.doit() == 0
    assert (studio.bought(), studio.booked()) == (2, (1.2, 0, 0))


def test_a_kill_leaves_no_part_behind(new_studio: NewStudio) -> None:
    hook = CrashAt(names=[])
    studio = project(new_studio, "calm")
    with failpoints.hooked(hook):
        studio.doit()
    k = hook.names.index("part.unlink before") + 1
    studio = project(new_studio, "calm")
    studio.crash(k)
    studio.doit()
    assert not list((studio.outputs / ".vgen" / "parts").iterdir())


def test_the_same_seed_gives_the_same_run(new_studio: NewStudio) -> None:
    stories = []
    for _ in range(2):
        studio = project(new_studio, "a job fails")
        studio.doit()
        stories.append(studio.lines)
    assert stories[0] == stories[1]


def test_every_point_has_a_before_and_an_after(new_studio: NewStudio) -> None:
    hook = CrashAt(names=[])
    studio = project(new_studio, "calm")
    with failpoints.hooked(hook):
        studio.doit()
    seen = Counter(name.rpartition(" ")[2] for name in hook.names)
    assert seen["before"] == seen["after"]


@pytest.mark.parametrize("command", ["plan", "takes", "audit"])
def test_who_looks_after_a_kill_in_a_commit_is_told_what_was_committed(studio: Studio, command: str) -> None:
    assert studio.doit() == 0
    kill_in_a_commit(studio.outputs / "ledger.db")
    before = {name: state for name, state in studio.disk().items() if "ledger.db" in name}
    assert studio.doit(command) == 0
    assert {name: state for name, state in studio.disk().items() if "ledger.db" in name} == before
    assert studio.doit() == 0
    assert studio.bought() == 3
    assert not (studio.outputs / "ledger.db-journal").exists()

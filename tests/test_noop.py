"""A run with nothing to do is stamped, the stamp is believed as long as nothing differs, and it costs no import."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from studio import KEYS, Studio, shots

from vgen.cli import noop

ROOT = Path(__file__).resolve().parent.parent
READ = ["config/visual_prompts.json", "boat.png"]
FILES = (*READ, noop.CONFIG, "dodo.py", ".doit.db", "outputs/ledger.db", "outputs/clips.json",
         "outputs/production_report.json", "outputs/gallery.html", "outputs/clips/clip_001.mp4",
         "outputs/clips/clip_002.mp4")  # fmt: skip
LATER_NS = 60 * 10**9
Change = Callable[[Path], object]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as a finished production leaves it, with its stamp."""
    for name in (
        *FILES,
        "outputs/takes/abc/take_001.mp4",
        "outputs/.vgen/run.lock",
        "code/a.py",
        "code/providers/b.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"as it was")
    monkeypatch.setattr(noop, "CODE", str(tmp_path / "code"))
    monkeypatch.setattr(noop, "_answers", {})
    monkeypatch.setattr(sys, "argv", ["doit"])
    monkeypatch.setenv("FAL_KEY", KEYS["FAL_KEY"])
    monkeypatch.chdir(tmp_path)
    write_stamp(tmp_path)
    wait_for_a_tick(tmp_path / "outputs" / ".vgen")
    return tmp_path


def wait_for_a_tick(folder: Path) -> None:
    """Until the file system's clock goes on (older Linux: every 4 ms): a change is told from what was by its time."""
    probe = folder / "probe"
    probe.touch()
    was = probe.stat()
    while probe.stat().st_ctime_ns == was.st_ctime_ns:
        probe.touch()


def write_stamp(
    root: Path,
    *,
    began_ns: int | None = None,
    left: dict[str, tuple[int, int]] | None = None,
    there: list[str] | None = None,
) -> bool:
    began_ns = time.time_ns() + LATER_NS if began_ns is None else began_ns
    given = there or ["dodo.py", noop.CONFIG]
    text = noop.stamp(str(root), str(root / "outputs"), READ, left=left or clips(root), began_ns=began_ns, there=given)
    (root / "outputs" / noop.STAMP).write_text(text or "", encoding="utf-8")
    return text is not None


def clips(root: Path) -> dict[str, tuple[int, int]]:
    """The clips' files as they are."""
    stats = {path.name: path.stat() for path in (root / "outputs" / "clips").iterdir()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def believed(root: Path) -> int | None:
    return noop.up_to_date(str(root), str(root / "outputs"))


def rewritten(name: str) -> Change:
    """Other bytes of the same length, and the old time."""

    def change(root: Path) -> None:
        was = (root / name).stat()
        (root / name).write_bytes(b"is not so")
        os.utime(root / name, ns=(was.st_atime_ns, was.st_mtime_ns))

    return change


def replaced(name: str) -> Change:
    """Another file of the same length and time under the name."""

    def change(root: Path) -> None:
        was = (root / name).stat()
        other = root / "outputs" / ".vgen" / "other"
        other.write_bytes(b"is not so")
        os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
        other.replace(root / name)

    return change


def gone(name: str) -> Change:
    return lambda root: (root / name).unlink()


def new(name: str) -> Change:
    return lambda root: (root / name).write_bytes(b"new")


def cut_off(name: str) -> Change:
    return lambda root: os.truncate(root / name, 4)


def test_a_stamp_is_believed_while_nothing_differs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert believed(place) == 2
    assert noop.nothing_to_do()
    assert capsys.readouterr().out == "vgen: nothing to do, 2 clips are up to date\n"


def test_it_holds_no_key(place: Path) -> None:
    assert KEYS["FAL_KEY"] not in (place / "outputs" / noop.STAMP).read_text("utf-8")


@pytest.mark.parametrize("how", [rewritten, replaced, gone, cut_off])
@pytest.mark.parametrize("name", [*FILES, "code/a.py", "code/providers/b.py"])
def test_a_file_that_changed_is_seen(place: Path, how: Callable[[str], Change], name: str) -> None:
    how(name)(place)
    assert believed(place) is None


@pytest.mark.parametrize(
    "name",
    [".env", "doit.cfg", "pyproject.toml", "outputs/ledger.db-journal", "outputs/.vgen/holder.json", "outputs/alien",
     "outputs/clips/clip_003.mp4", "outputs/takes/link", "code/new.py", "new.txt"],
)  # fmt: skip
def test_a_file_that_appeared_is_seen(place: Path, name: str) -> None:
    new(name)(place)
    assert believed(place) is None


@pytest.mark.parametrize(
    "name", ["FAL_KEY", "RUNWAY_API_KEY", "RUNWAYML_API_SECRET", "ACME_API_KEY", "VGEN_BUDGET_USD"]
)
def test_another_environment_is_seen(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "other")
    assert believed(place) is None


def test_a_key_that_is_gone_is_seen(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY")
    assert believed(place) is None


def test_other_outputs_have_a_stamp_of_their_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VGEN_OUTPUTS", "elsewhere")
    assert not noop.nothing_to_do()


@pytest.mark.parametrize("argv", [["doit", "clip:1"], ["doit", "budget_usd=1"], ["doit", "-a"], ["doit", "list"]])
def test_arguments_go_the_long_way(place: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert not noop.nothing_to_do()


@pytest.mark.slow
def test_a_stamp_that_was_cut_off_or_altered_is_not_believed(place: Path) -> None:
    path = place / "outputs" / noop.STAMP
    text = path.read_text("utf-8")
    for wrong in [
        *(text[:n] for n in range(len(text))),
        text.replace(f"{noop.VERSION}\x002\x00", f"{noop.VERSION}\x003\x00"),
        "\x00",
        text + "\x00",
    ]:
        path.write_text(wrong, encoding="utf-8")
        assert believed(place) is None, wrong


def test_bytes_that_are_no_text_are_not_believed(place: Path) -> None:
    (place / "outputs" / noop.STAMP).write_bytes(b"\xff\xfe\x00")
    assert believed(place) is None


def test_a_directory_without_stamp_goes_the_long_way(tmp_path: Path) -> None:
    assert believed(tmp_path) is None


GIVEN = [*READ, noop.CONFIG, "dodo.py", "code/a.py"]


@pytest.mark.parametrize("name", GIVEN)
def test_what_a_run_was_given_and_changed_while_it_ran_or_just_before_is_not_stamped(place: Path, name: str) -> None:
    began_ns = time.time_ns()
    (place / name).write_bytes(b"while it ran")
    assert not write_stamp(place, began_ns=began_ns)
    assert not write_stamp(place, began_ns=(place / name).stat().st_ctime_ns + noop.TICK_NS - 1)


@pytest.mark.parametrize("name", sorted({*FILES} - {*GIVEN}))
def test_what_a_run_makes_may_be_new(place: Path, name: str) -> None:
    began_ns = time.time_ns() + noop.TICK_NS
    (place / name).write_bytes(b"made")
    assert write_stamp(place, began_ns=began_ns)
    assert believed(place) == 2


@pytest.mark.parametrize("how", [new(".env"), new("doit.cfg"), gone("dodo.py"), gone(noop.CONFIG), gone(READ[0])])
def test_a_file_that_came_or_went_while_it_ran_is_seen(place: Path, how: Change) -> None:
    how(place)
    assert not write_stamp(place)


def test_a_film_without_a_config_is_stamped_until_it_has_one(place: Path) -> None:
    (place / noop.CONFIG).unlink()
    assert write_stamp(place, there=["dodo.py"])
    assert believed(place) == 2
    new(noop.CONFIG)(place)
    assert believed(place) is None
    assert not write_stamp(place, there=["dodo.py"]), "it came while the run was at work"


@pytest.mark.parametrize("how", [gone, cut_off])
def test_a_clip_that_is_not_as_the_run_left_it_is_not_stamped(place: Path, how: Callable[[str], Change]) -> None:
    left = clips(place)
    how("outputs/clips/clip_002.mp4")(place)
    assert not write_stamp(place, left=left)


def test_a_name_that_would_break_the_stamp_is_not_stamped(place: Path) -> None:
    began_ns, there = time.time_ns() + LATER_NS, ["dodo.py", noop.CONFIG]
    assert noop.stamp(str(place), str(place / "outputs"), [], left={}, began_ns=began_ns, there=there)
    with pytest.raises(ValueError, match="null"):
        noop.stamp(str(place), str(place / "outputs"), ["a\0b"], left={}, began_ns=began_ns, there=there)


def test_when_nobody_listens_the_long_way_is_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as deaf:  # noqa: PTH123 - opened for reading: a write fails
        monkeypatch.setattr(sys, "stdout", deaf)
        assert not noop.nothing_to_do()


# ── whole runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

RUN = """
import sys
from vgen import __main__
from vgen.cli import noop
noop.TICK_NS = 0
code = __main__.main()
heavy = {"doit", "trio", "pydantic", "httpx", "json", "argparse", "sqlite3", "pathlib"} & sys.modules.keys()
print("long way" if "doit" in heavy else "short way")
sys.exit(code)
"""


class Finished:
    """A production that a studio has made; processes run in it as a user's would, with keys that open nothing."""

    def __init__(self, root: Path) -> None:
        self.studio = Studio(root)
        nowhere = {"base_url": "http://127.0.0.1:9"}
        self.studio.configure(runway=nowhere, pika=nowhere)
        self.studio.write_shots(shots(2))
        (root / "dodo.py").write_bytes((ROOT / "dodo.py").read_bytes())

    def vgen(self, *words: str, code: str = RUN) -> str:
        """What a process in it says."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.studio.root,
            env=kept | KEYS | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert not done.stderr, done.stderr
        return done.stdout


NOTHING = "vgen: nothing to do, 2 clips are up to date\n"


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    made = Finished(tmp_path / "production")
    assert made.studio.doit() == 0
    return made


@pytest.mark.slow
def test_the_second_run_with_nothing_to_do_takes_the_short_way_and_says_the_same(finished: Finished) -> None:
    assert [finished.vgen() for _ in range(2)] == [NOTHING + "long way\n", NOTHING + "short way\n"]
    finished.studio.change_shot(2, runway_prompt="shot-2 another boat")
    assert "buy" in finished.vgen("plan")
    assert noop.up_to_date(str(finished.studio.root), str(finished.studio.outputs)) is None


@pytest.mark.slow
def test_a_run_that_put_clips_in_their_places_takes_the_short_way_next_time(finished: Finished) -> None:
    finished.studio.clip(2).unlink()
    assert finished.vgen().endswith("long way\n")
    assert finished.studio.clip(2).exists()
    assert finished.vgen() == NOTHING + "short way\n"
    finished.studio.clip(2).unlink()
    assert "ready" in finished.vgen()


@pytest.mark.slow
def test_only_a_bare_run_that_had_nothing_to_do_is_stamped(finished: Finished) -> None:
    stamp = finished.studio.outputs / noop.STAMP
    for words in (["clip:1"], ["plan"], ["run"], ["ignore", "clip:1"], []):  # the last one is told of the ignored clip
        finished.vgen(*words)
        assert not stamp.exists(), words


@pytest.mark.slow
def test_an_uncertain_purchase_is_told_by_every_run(tmp_path: Path) -> None:
    made = Finished(tmp_path / "production")
    made.studio.faults("create_lost=1")
    made.studio.doit()
    assert "uncertain" in made.studio.states()
    for _ in range(2):
        assert made.vgen().endswith("long way\n")
    assert not (made.studio.outputs / noop.STAMP).exists()

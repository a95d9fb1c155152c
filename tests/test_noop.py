"""A run with nothing to do is stamped for what was typed, believed as long as nothing differs, and costs no import."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from studio import KEYS, Studio, shots

from vgen.cli import noop, stamps, typed
from vgen.cli.stamps import Place
from vgen.inputs import own_models

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
    read: Sequence[str] = READ,
    words: Sequence[str] = (),
    links: str = noop.NONE,
) -> bool:
    """As `finished` does after a run of these words."""
    typed_ = typed.understood(list(words))
    assert typed_ is not None
    place = Place(
        root=str(root),
        outputs=str(root / "outputs"),
        read=read,
        began_ns=time.time_ns() + LATER_NS if began_ns is None else began_ns,
        there=there or ["dodo.py", noop.CONFIG],
    )
    facts = stamps.facts(place, left=left or clips(root), changed_nothing=not typed_.is_whole)
    if facts is None:
        return False
    told = (facts, "1-2" if typed_.is_whole else ",".join(map(str, typed_.clips)), links)
    free = typed_.without_budget() if typed_.is_whole else None
    named = noop.NONE if free is None else noop.spelled("named", *told, *free)
    stamps.add(place, noop.STAMP, (*told, noop.spelled("whole", *told, *typed_.words()), named))
    return True


def clips(root: Path) -> dict[str, tuple[int, int]]:
    """The clips' files as they are."""
    stats = {path.name: path.stat() for path in (root / "outputs" / "clips").iterdir()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def believed(root: Path, *words: str) -> str | None:
    """What is answered to these words, without looking properly."""
    understood = typed.understood(list(words))
    return None if understood is None else noop.answer(str(root), str(root / "outputs"), understood)


NOTHING = "vgen: nothing to do, 2 clips are up to date\n"
ONE = "vgen: nothing to do, 1 clip is up to date\n"


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
    assert believed(place) == NOTHING
    assert noop.nothing_to_do()
    assert capsys.readouterr().out == NOTHING


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


@pytest.mark.slow
def test_a_stamp_that_was_cut_off_or_altered_is_not_believed(place: Path) -> None:
    path = place / "outputs" / noop.STAMP
    text = path.read_text("utf-8")
    for wrong in [
        *(text[:n] for n in range(len(text))),
        text.replace("\x001-2\x00", "\x001-3\x00"),
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
    assert believed(place) == NOTHING


@pytest.mark.parametrize("how", [new(".env"), new("doit.cfg"), gone("dodo.py"), gone(noop.CONFIG), gone(READ[0])])
def test_a_file_that_came_or_went_while_it_ran_is_seen(place: Path, how: Change) -> None:
    how(place)
    assert not write_stamp(place)


def test_the_files_of_models_of_ones_own_are_among_what_a_run_is_given() -> None:
    assert {table.own_file for _, table in own_models.tables()} <= {*noop.GIVEN}


def test_a_film_without_a_config_is_stamped_until_it_has_one(place: Path) -> None:
    (place / noop.CONFIG).unlink()
    assert write_stamp(place, there=["dodo.py"])
    assert believed(place) == NOTHING
    new(noop.CONFIG)(place)
    assert believed(place) is None
    assert not write_stamp(place, there=["dodo.py"]), "it came while the run was at work"


@pytest.mark.parametrize("how", [gone, cut_off])
def test_a_clip_that_is_not_as_the_run_left_it_is_not_stamped(place: Path, how: Callable[[str], Change]) -> None:
    left = clips(place)
    how("outputs/clips/clip_002.mp4")(place)
    assert not write_stamp(place, left=left)


@pytest.mark.parametrize("name", ["a\0b", ""])
def test_a_name_that_would_break_the_stamp_is_not_stamped(place: Path, name: str) -> None:
    assert write_stamp(place, read=[])
    try:
        assert not write_stamp(place, read=[name])
    except ValueError as exc:
        assert "null" in str(exc)  # noqa: PT017 - what the system makes of it depends on the Python


def test_when_nobody_listens_the_long_way_is_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as deaf:  # noqa: PTH123 - opened for reading: a write fails
        monkeypatch.setattr(sys, "stdout", deaf)
        assert not noop.nothing_to_do()


# ── what was typed ────────────────────────────────────────────────────────────────────────────────────────────────────

STRANGE = [
    ["-a"], ["-n", "2"], ["-v", "2"], ["--db-file", "x"], ["-f", "other.py"], ["list"], ["run"], ["report"], ["clip"],
    ["clip:*"], ["clip:01"], ["clip:0"], ["clip:"], ["clip:\u0661"], ["clip:12345678"], ["clip:1", "clip:1"],
    ["clip:1", "plan"], ["plan", "plan"], ["outputs/clips/clip_001.mp4"], [""], ["plan=outputs/plan.json"],
    ["budget_usd=5", "budget_usd=5"], ["=5"], ["a.b=5"], ["Budget_usd=5"], ["x=\0"],
]  # fmt: skip


@pytest.mark.parametrize("words", STRANGE)
def test_words_that_may_mean_more_go_the_long_way(words: list[str]) -> None:
    assert typed.understood(words) is None


def test_named_clips_of_a_finished_production_are_vouched_for(place: Path) -> None:
    assert believed(place, "clip:2") == ONE
    assert believed(place, "clip:2", "clip:1") == NOTHING
    assert believed(place, "clip:3") is None, "there is no such shot: the long way says so"
    assert believed(place, "clip:1", "clip:3") is None


@pytest.mark.parametrize("value", ["5", "0", "2.50", "1000000", "007"])
def test_a_budget_does_not_matter_to_a_clip_that_is_there(place: Path, value: str) -> None:
    assert believed(place, "clip:2", f"budget_usd={value}") == ONE
    assert believed(place, f"budget_usd={value}") is None, "the report says the budget"


@pytest.mark.parametrize(
    "value",
    ["", "x", "-1", "2,50", "1e3", "inf", "nan", ".", ".5", "5.", "\u0665", "99999999999", "1_0", " 5", "2.505"],
)
def test_a_budget_that_may_be_refused_goes_the_long_way(place: Path, value: str) -> None:
    assert believed(place, "clip:2", f"budget_usd={value}") is None


@pytest.mark.parametrize(
    "word",
    ["primary_api=pika", "tier=draft", "audio=yes", "takes_wanted=2", "partial=yes", "on_uncertain=rebuy", "foo=1",
     "visual_prompts=config/other.json", "api_config=x.json", "outputs=other", "mode=simulate", "max_concurrent=7"],
)  # fmt: skip
def test_any_other_variable_needs_a_stamp_of_its_own(place: Path, word: str) -> None:
    for words in ((), ("clip:1",), ("plan",)):
        assert believed(place, *words, word) is None
    assert write_stamp(place, words=[word, "budget_usd=5"])
    assert believed(place, "budget_usd=5", word) == NOTHING
    assert believed(place, "clip:1", word) == ONE
    assert believed(place, word) is None
    assert believed(place) == NOTHING, "what was stamped before holds too"


def test_another_value_of_a_variable_is_seen(place: Path) -> None:
    assert write_stamp(place, words=["proxy=http://user:hunter2@127.0.0.1:8080"])
    assert believed(place, "proxy=http://user:hunter2@127.0.0.1:8080") == NOTHING
    assert believed(place, "proxy=http://user:hunter3@127.0.0.1:8080") is None
    assert "hunter2" not in (place / "outputs" / noop.STAMP).read_text("utf-8")


def test_clips_that_were_named_while_others_were_stale_vouch_for_no_others(place: Path) -> None:
    (place / "outputs" / noop.STAMP).unlink()
    assert write_stamp(place, words=["clip:1", "budget_usd=5"])
    assert believed(place, "budget_usd=5", "clip:1") == ONE
    for words in ((), ("clip:1",), ("clip:2",), ("clip:1", "clip:2"), ("budget_usd=5",), ("clip:1", "budget_usd=6")):
        assert believed(place, *words) is None, words


def test_a_run_of_named_clips_is_not_stamped_if_anything_changed_while_it_looked(place: Path) -> None:
    (place / "outputs" / "ledger.db").write_bytes(b"another")
    began_ns = (place / "outputs" / "ledger.db").stat().st_ctime_ns + noop.TICK_NS
    assert not write_stamp(place, words=["clip:1"], began_ns=began_ns - 1)
    assert write_stamp(place, began_ns=began_ns + LATER_NS), "a run under the lock made that itself"


def test_a_clip_counts_with_those_whose_frames_it_needs(place: Path) -> None:
    (place / "outputs" / noop.STAMP).unlink()
    assert write_stamp(place, links="2<1")
    assert believed(place, "clip:1") == ONE
    assert believed(place, "clip:2") == NOTHING


def test_stamps_are_bounded_and_go_with_the_first_change(place: Path) -> None:
    most = stamps.MOST[noop.STAMP]
    for number in range(most + 3):
        assert write_stamp(place, words=[f"max_retries={number}"])
    assert len(noop.entries(str(place / "outputs"), noop.STAMP)) == most
    assert believed(place, f"max_retries={most + 2}") == NOTHING
    assert believed(place, "max_retries=0") is None, "the oldest went"
    new("new.txt")(place)
    assert believed(place, f"max_retries={most + 2}") is None
    assert write_stamp(place)
    assert len(noop.entries(str(place / "outputs"), noop.STAMP)) == 1


# ── plans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEXT = "shot   1  keep  up to date\nnothing to buy\n"


@pytest.fixture
def planned(place: Path) -> Path:
    """The same with a plan of it."""
    path = place / "outputs" / noop.PLAN_JSON
    path.write_bytes(b"{}")
    os.utime(path, ns=(0, 0))
    folder = Place(
        root=str(place),
        outputs=str(place / "outputs"),
        read=READ,
        began_ns=time.time_ns() + LATER_NS,
        there=["dodo.py", noop.CONFIG],
    )
    facts = stamps.facts(folder, left={}, changed_nothing=True)
    assert facts is not None
    sha256 = hashlib.sha256(b"{}").hexdigest()
    told = noop.spelled("plan", facts, sha256, TEXT, typed.program(), "plan")
    stamps.add(folder, noop.PLANNED, (facts, told, sha256, TEXT, noop.NONE))
    wait_for_a_tick(place / "outputs" / ".vgen")
    return place


def test_a_plan_is_told_again_and_its_file_is_of_now(
    planned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["doit", "plan"])
    assert noop.nothing_to_do()
    assert capsys.readouterr().out == TEXT
    assert (planned / "outputs" / noop.PLAN_JSON).stat().st_mtime_ns > 0
    assert noop.nothing_to_do(), "that changed nothing"


def test_a_plan_is_told_to_the_program_that_was_told_it_before(planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert believed(planned, "plan", "budget_usd=5") is None
    monkeypatch.setattr(sys, "argv", ["vgen", "plan"])
    assert believed(planned, "plan") is None


@pytest.mark.parametrize("how", [rewritten, gone, cut_off])
@pytest.mark.parametrize("name", [*FILES, "outputs/plan.json", "code/a.py"])
def test_a_plan_is_made_anew_if_anything_changed(planned: Path, how: Callable[[str], Change], name: str) -> None:
    assert believed(planned, "plan") == TEXT
    how(name)(planned)
    assert believed(planned, "plan") is None


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
        nowhere = {"base_url": "https://vgen.invalid"}
        self.studio.configure(runway=nowhere, pika=nowhere)
        self.studio.write_shots(shots(2))
        (root / "dodo.py").write_bytes((ROOT / "dodo.py").read_bytes())

    def vgen(self, *words: str, code: str = RUN) -> str:
        """What a process in it says."""
        done = self.run(*words, code=code)
        assert not done.stderr, done.stderr
        return done.stdout

    def run(self, *words: str, code: str = RUN) -> subprocess.CompletedProcess[str]:
        """A process in it."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.studio.root,
            env=kept | KEYS | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    for name in [name for name in os.environ if noop._decides(name)]:
        monkeypatch.delenv(name)
    for name, text in KEYS.items():  # as `vgen` below has them: what it stamped can be asked for here
        monkeypatch.setenv(name, text)
    made = Finished(tmp_path / "production")
    assert made.studio.doit() == 0
    return made


@pytest.mark.slow
def test_the_second_run_with_nothing_to_do_takes_the_short_way_and_says_the_same(finished: Finished) -> None:
    assert [finished.vgen() for _ in range(2)] == [NOTHING + "long way\n", NOTHING + "short way\n"]
    finished.studio.change_shot(2, runway_prompt="shot-2 another boat")
    assert "buy" in finished.vgen("plan")
    assert believed(finished.studio.root) is None


@pytest.mark.slow
def test_a_run_that_put_clips_in_their_places_takes_the_short_way_next_time(finished: Finished) -> None:
    finished.studio.clip(2).unlink()
    assert finished.vgen().endswith("long way\n")
    assert finished.studio.clip(2).exists()
    assert finished.vgen() == NOTHING + "short way\n"
    finished.studio.clip(2).unlink()
    assert "ready" in finished.vgen()


@pytest.mark.slow
def test_only_what_is_understood_and_had_nothing_to_do_is_stamped(finished: Finished) -> None:
    stamp = finished.studio.outputs / noop.STAMP
    for words in (["run"], ["-n", "2"], ["clip:*"], ["ignore", "clip:1"], []):  # the last is told of the ignored clip
        finished.vgen(*words)
        assert not stamp.exists(), words


@pytest.mark.slow
def test_what_was_typed_is_answered_in_the_same_words_without_looking(finished: Finished) -> None:
    finished.vgen()
    for words in (["budget_usd=5"], ["plan"], ["plan", "max_retries=1"], ["max_concurrent=2", "budget_usd=5"], []):
        long = [finished.vgen(*words) for _ in range(2)][1]
        assert finished.vgen(*words) == long.replace("long way", "short way"), words
    for words in (["clip:2"], ["clip:1", "clip:2"], ["clip:2", "budget_usd=3"]):
        short = finished.vgen(*words)
        assert short.endswith("short way\n"), words
        assert finished.vgen("-v", "2", *words) == short.replace("short way", "long way"), words


REFUSED = [["budget_usd=five"], ["nonsense=1"], ["clip:99"], ["clip:02"], ["clip:2", "budget_usd=five"],
           ["plan", "wait=yes"], ["shot=1"]]  # fmt: skip


@pytest.mark.slow
def test_what_is_refused_is_refused_whatever_is_stamped(finished: Finished) -> None:
    finished.vgen()
    for words in REFUSED:
        said = finished.run(*words)
        assert (said.returncode, said.stdout) == (3, "long way\n"), words
        assert said.stderr.startswith("ERROR: "), words


@pytest.mark.slow
def test_a_named_clip_is_vouched_for_though_another_is_stale(finished: Finished) -> None:
    finished.studio.change_shot(2, runway_prompt="shot-2 another boat")
    ways = [finished.vgen("clip:1") for _ in range(2)]
    assert ways == [ONE + "long way\n", ONE + "short way\n"]
    assert "buy" in finished.vgen("plan")
    assert "buy" in finished.vgen("plan"), "of what is to be bought, nothing is remembered"
    assert not (finished.studio.outputs / noop.PLANNED).exists()
    finished.studio.change_shot(1, runway_prompt="shot-1 another boat")
    assert believed(finished.studio.root, "clip:1") is None


@pytest.mark.slow
def test_after_a_change_all_is_looked_at_properly(finished: Finished) -> None:
    every = ((), ("clip:2",), ("plan",))
    finished.vgen()
    changes: list[Callable[[], object]] = [
        lambda: finished.studio.clip(2).touch(),
        lambda: finished.vgen("keep", "shot=1"),
        lambda: finished.studio.configure(run={"max_retries": 1}),
    ]
    for change in changes:
        for words in ((), ("plan",), ("plan",), ()):  # a plan that says something new makes plan.json anew
            finished.vgen(*words)
        assert [believed(finished.studio.root, *words) for words in every[:2]] == [NOTHING, ONE]
        assert (finished.studio.outputs / noop.PLANNED).exists()
        change()
        assert [believed(finished.studio.root, *words) for words in every] == [None] * 3


@pytest.mark.slow
def test_an_uncertain_purchase_is_told_by_every_run(tmp_path: Path) -> None:
    made = Finished(tmp_path / "production")
    made.studio.faults("create_lost=1")
    made.studio.doit()
    assert "uncertain" in made.studio.states()
    for _ in range(2):
        assert made.vgen().endswith("long way\n")
    assert not (made.studio.outputs / noop.STAMP).exists()

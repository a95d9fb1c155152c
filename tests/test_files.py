"""Files are whole or not there; a take is never replaced; one run at a time."""

import contextlib
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vgen.errors import LockHeld, Refusal
from vgen.store import atomic, failpoints, order_slips, takes
from vgen.store.lock import run_lock, sign_lock
from vgen.store.order_slips import OrderSlips
from vgen.store.outputs import MIN_FREE_BYTES, Outputs, Stat, clip_name
from vgen.store.takes import discard, place_clip, publish_take, remove_clip

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems")
BYTES = b"video" * 1000
OTHER = b"other" * 999


class Killed(BaseException):
    pass


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    made = Outputs(tmp_path / "outputs")
    made.prepare()
    return made


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def part(outputs: Outputs, data: bytes = BYTES) -> Path:
    path = outputs.part(1)
    discard(path)
    path.write_bytes(data)
    return path


def take(outputs: Outputs, n: int = 1, data: bytes = BYTES) -> Path:
    """A published take."""
    final = outputs.take("a" * 64, n, simulated=False, good=True)
    publish_take(part(outputs, data), final, digest(data))
    return final


def points(act: Callable[[], Any]) -> list[str]:
    """The durable points that an act goes through."""
    seen: list[str] = []
    with failpoints.hooked(lambda name, when: seen.append(name) if when == "before" else None):
        act()
    return seen


def killer(place: int, when: str) -> failpoints.Hook:
    """Dies at the place-th point."""
    counts = {"before": 0, "after": 0}

    def hook(_name: str, at: str) -> None:
        counts[at] += 1
        if at == when and counts[at] == place + 1:
            raise Killed

    return hook


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "clip_001.mp4"), (999, "clip_999.mp4"), (1000, "clip_1000.mp4"), (9_999_999, "clip_9999999.mp4")],
)
def test_clips_are_named_with_three_digits_or_more(number: int, expected: str) -> None:
    assert expected == clip_name(number)


def test_names_are_plain_short_and_different_on_any_file_system() -> None:
    outputs = Outputs(Path("o"))
    names = [
        outputs.take(recipe * 64, number, simulated=simulated, good=good)
        for recipe in "ab" for number in (1, 2) for simulated in (True, False) for good in (True, False)
    ]  # fmt: skip
    assert len({str(name).casefold() for name in names}) == 16
    assert all(set(part) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names for part in name.parts)
    assert all(len(part) <= 100 for name in names for part in name.parts)


def test_preparing_makes_the_places_and_leaves_nothing_else(outputs: Outputs) -> None:
    found = {str(path.relative_to(outputs.root)) for path in outputs.root.rglob("*")}
    assert {"clips", "takes", ".vgen", ".vgen/parts", ".gitignore"} == found


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("mine")
    with pytest.raises(Refusal, match="outputs=DIR"):
        Outputs(tmp_path / "outputs").prepare()


def test_a_full_disk_is_refused_before_anything_is_bought(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": MIN_FREE_BYTES - 1}))
    with pytest.raises(Refusal, match="63 MiB free"):
        outputs.prepare()


@posix
@pytest.mark.parametrize(
    "name",
    ["clips", "takes", "ledger.db", "clips.json", "production_report.json", "plan.json", "vgen.log", ".vgen/parts",
     "takes/" + "a" * 16, "clips/clip_001.mp4"],
)  # fmt: skip
def test_a_link_that_leads_out_is_refused(outputs: Outputs, tmp_path: Path, name: str) -> None:
    place = outputs.root / name
    if place.is_dir():
        place.rmdir()
    (tmp_path / "elsewhere").mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal, match="leads out of"):
        outputs.prepare()


@posix
def test_nothing_is_made_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "outputs/.vgen").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal):
        Outputs(tmp_path / "outputs").prepare()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
def test_links_that_stay_inside_and_outputs_as_a_link_are_fine(tmp_path: Path) -> None:
    (tmp_path / "big_disk").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "big_disk")
    outputs = Outputs(tmp_path / "outputs")
    outputs.prepare()
    (outputs.clips / "clip_001.mp4").symlink_to(outputs.takes)
    outputs.prepare()


def test_clip_stats_tell_of_clips_only(outputs: Outputs) -> None:
    for name in ("clip_001.mp4", ".clip_002.mp4.part", ".hidden.mp4", "notes.txt"):
        (outputs.clips / name).write_bytes(b"123")
    stat_ = (outputs.clips / "clip_001.mp4").stat()
    assert {"clip_001.mp4": Stat(size_bytes=3, mtime_ns=stat_.st_mtime_ns)} == outputs.clip_stats()
    assert Outputs(outputs.root / "absent").clip_stats() == {}


# ── takes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_take_is_published_read_only_under_its_name(outputs: Outputs) -> None:
    final = take(outputs)
    assert (final.read_bytes(), stat.S_IMODE(final.stat().st_mode)) == (BYTES, 0o444)


def test_a_take_never_replaces_other_bytes(outputs: Outputs) -> None:
    final = take(outputs, data=OTHER)
    with pytest.raises(Refusal, match="another file is in the way"):
        publish_take(part(outputs), final, digest(BYTES))
    assert (final.read_bytes(), outputs.part(1).read_bytes()) == (OTHER, BYTES)


def test_the_same_bytes_already_there_are_fine(outputs: Outputs) -> None:
    assert take(outputs).read_bytes() == BYTES
    assert take(outputs).read_bytes() == BYTES


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_a_take_is_whole_or_absent_and_can_be_published_again(outputs: Outputs, when: str) -> None:
    final = outputs.take("a" * 64, 1, simulated=False, good=True)
    for place in range(len(points(lambda: take(outputs, 9)))):
        with failpoints.hooked(killer(place, when)), pytest.raises(Killed):
            take(outputs)
        assert not final.exists() or final.read_bytes() == BYTES
    assert take(outputs).read_bytes() == BYTES


def no_links(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(errno.EPERM, "no hard links here")


def test_without_hard_links_a_take_is_copied(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", no_links)
    assert take(outputs).read_bytes() == BYTES
    with pytest.raises(Refusal):
        take(outputs, data=OTHER)


def test_without_hard_links_a_take_is_whole_or_absent_too(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: Any, target: Any, _length: int) -> None:
        target.write(source.read(100))
        raise Killed

    monkeypatch.setattr("os.link", no_links)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", half)
        with pytest.raises(Killed):
            take(outputs)
    assert take(outputs).read_bytes() == BYTES


def test_discarding_what_is_gone_is_fine(outputs: Outputs) -> None:
    path = part(outputs)
    discard(path)
    discard(path)
    assert not path.exists()


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(3 * atomic.CHUNK_BYTES + 1))
    assert digest(bytes(3 * atomic.CHUNK_BYTES + 1)) == atomic.sha256(tmp_path / "big")


# ── clips ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clip_is_a_copy_of_its_take_and_never_a_hard_link(outputs: Outputs) -> None:
    source, clip = take(outputs), outputs.clip(1)
    placed = place_clip(source, clip)
    assert (clip.read_bytes(), clip.stat().st_nlink) == (BYTES, 1)
    assert not source.samefile(clip)
    assert Stat(size_bytes=len(BYTES), mtime_ns=clip.stat().st_mtime_ns) == placed
    with clip.open("r+b") as file:
        file.write(b"edited")
    assert source.read_bytes() == BYTES


@posix
def test_a_clip_can_be_edited_although_its_take_cannot(outputs: Outputs) -> None:
    place_clip(take(outputs), outputs.clip(1))
    assert stat.S_IMODE(outputs.clip(1).stat().st_mode) == 0o644


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("old", [None, OTHER], ids=["new", "replaced"])
def test_killed_anywhere_a_clip_is_the_old_or_the_new_one(outputs: Outputs, when: str, old: bytes | None) -> None:
    source, clip = take(outputs), outputs.clip(1)
    for place in range(len(points(lambda: place_clip(source, outputs.clip(2))))):
        clip.unlink(missing_ok=True)
        if old:
            clip.write_bytes(old)
        with failpoints.hooked(killer(place, when)), pytest.raises(Killed):
            place_clip(source, clip)
        assert (clip.read_bytes() if clip.exists() else None) in (old, BYTES)
        assert {"clip_001.mp4", "clip_002.mp4"} >= outputs.clip_stats().keys()
    place_clip(source, clip)
    assert clip.read_bytes() == BYTES


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_clip_whose_copy_breaks_is_not_there(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def breaks(_source: Any, target: Any, _length: int) -> None:
        target.write(b"half")
        raise error

    monkeypatch.setattr(takes, "_reflink", lambda *_: False)
    monkeypatch.setattr("shutil.copyfileobj", breaks)
    with pytest.raises(type(error)):
        place_clip(take(outputs), outputs.clip(1))
    assert not outputs.clip(1).exists()


@posix
def test_a_clip_that_is_a_link_is_replaced_and_not_written_through(outputs: Outputs, tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(OTHER)
    outputs.clip(1).symlink_to(tmp_path / "mine.mp4")
    place_clip(take(outputs), outputs.clip(1))
    assert (
        (tmp_path / "mine.mp4").read_bytes(), outputs.clip(1).read_bytes(), outputs.clip(1).is_symlink()
    ) == (OTHER, BYTES, False)  # fmt: skip


def test_a_clip_is_removed_and_its_take_stays(outputs: Outputs) -> None:
    source = take(outputs)
    place_clip(source, outputs.clip(1))
    remove_clip(outputs.clip(1))
    remove_clip(outputs.clip(1))
    assert (outputs.clip(1).exists(), source.exists()) == (False, True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_a_report_is_the_old_or_the_new_one(tmp_path: Path, when: str) -> None:
    path = tmp_path / "report.json"
    for place in range(len(points(lambda: atomic.write_whole(tmp_path / "x.json", b"{}")))):
        path.write_bytes(b"old")
        with failpoints.hooked(killer(place, when)), pytest.raises(Killed):
            atomic.write_whole(path, b"new")
        assert path.read_bytes() in (b"old", b"new")
    atomic.write_whole(path, b"new")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"report.json": b"new", "x.json": b"{}"}


# ── the run lock ──────────────────────────────────────────────────────────────────────────────────────────────────────

HOLDER = """
import sys, pathlib
from vgen.store.lock import run_lock, sign_lock
from vgen.store.outputs import Outputs
outputs = Outputs(pathlib.Path(sys.argv[1]))
with run_lock(outputs, wait=False):
    sign_lock(outputs, "r1")
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_elsewhere(outputs: Outputs) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process holds the lock until the block ends."""
    command = [sys.executable, "-c", HOLDER, str(outputs.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == b"held\n"
            yield other
        finally:
            other.kill()


def locked(outputs: Outputs, *, wait: bool = False) -> bool:
    with run_lock(outputs, wait=wait):
        return True


def test_a_second_run_is_refused_and_told_who_holds_the_lock(outputs: Outputs) -> None:
    with held_elsewhere(outputs) as other:
        with pytest.raises(LockHeld, match=rf"process {other.pid}\).*wait=yes"):
            locked(outputs)
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert locked(outputs)  # kill -9 frees it


def test_who_waits_gets_the_lock_when_it_is_free(outputs: Outputs) -> None:
    with held_elsewhere(outputs) as other:
        threading.Timer(0.1, other.kill).start()
        assert locked(outputs, wait=True)
        assert other.wait() != 0


@pytest.mark.slow
def test_who_waits_for_the_lock_is_told_so_and_for_whom(outputs: Outputs) -> None:
    told: list[str] = []
    with held_elsewhere(outputs) as other:

        def tell(text: str) -> None:
            told.append(text)
            other.kill()

        with run_lock(outputs, wait=True, tell=tell):
            assert told == [f"another vgen run (process {other.pid}) works on {outputs.root}; waiting for it"]


def test_the_lock_is_free_after_the_run_and_after_an_error(outputs: Outputs) -> None:
    for _ in range(2):
        with contextlib.suppress(ValueError), run_lock(outputs, wait=False):
            sign_lock(outputs, "r1")
            raise ValueError
    assert not (outputs.private / "holder.json").exists()


def test_the_same_process_cannot_hold_it_twice(outputs: Outputs) -> None:
    with run_lock(outputs, wait=False), pytest.raises(LockHeld):
        locked(outputs)


def test_a_lock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("mine")
    with pytest.raises(Refusal, match="outputs=DIR"):
        locked(Outputs(tmp_path / "outputs"))


@pytest.mark.skipif(os.name != "posix", reason="no umask")
@pytest.mark.parametrize(
    ("mask", "clip", "take"), [(0o022, 0o644, 0o444), (0o002, 0o664, 0o444), (0o077, 0o600, 0o400)]
)
def test_files_obey_the_umask(tmp_path: Path, mask: int, clip: int, take: int) -> None:
    before = os.umask(mask)
    try:
        outputs = Outputs(tmp_path / "outputs")
        outputs.prepare()
        part = outputs.part(1)
        part.write_bytes(BYTES)
        final = outputs.take("a" * 64, 1, simulated=False, good=True)
        publish_take(part, final, hashlib.sha256(BYTES).hexdigest())
        place_clip(final, outputs.clip(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(final.stat().st_mode) == take
    assert stat.S_IMODE(outputs.clip(1).stat().st_mode) == clip


def test_an_answer_whose_slip_could_not_be_written_is_kept_at_the_next_try_or_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slips = OrderSlips(tmp_path / "orders")
    slip = slips.hold()
    broken = [True, True, False]

    def pwrite(*args: Any) -> int:
        if broken.pop(0):
            raise OSError(errno.EIO, "Input/output error")
        return os_pwrite(*args)

    os_pwrite = os.pwrite
    monkeypatch.setattr("vgen.store.order_slips.os.pwrite", pwrite)
    slip.write({"facts": {"job_id": "one"}})
    assert not slip.sync(), "it failed again: nobody may say that it is kept"
    assert slip.sync()
    assert [one["facts"] for one in order_slips.read(slips.path)] == [{"job_id": "one"}]
    slips.close()

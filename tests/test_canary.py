"""The scan for keys finds each spelling, and fails the test that wrote it."""

import base64
import json
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import canary
import pytest

pytest_plugins = ["pytester"]

KEY = f"key_{canary.CANARY}0123456789abcdef"

WRITTEN = {
    "plain": KEY.encode(),
    "in the middle": b"\xff" * 100_000 + KEY.encode() + b"\0" * 100_000,
    "hex": KEY.encode().hex().encode(),
    "HEX": KEY.encode().hex().upper().encode(),
    "url": quote(KEY).encode(),
    "url, every byte": "".join(f"%{byte:02X}" for byte in KEY.encode()).encode(),
    "url, every byte, small": "".join(f"%{byte:02x}" for byte in KEY.encode()).encode(),
    "json": json.dumps({"error": f'"{KEY}"\n'}).encode(),
    "json, every character": "".join(f"\\u{ord(char):04x}" for char in KEY).encode(),
    "repr": repr([KEY]).encode(),
    "utf-16": KEY.encode("utf-16"),
    "basic auth": base64.b64encode(f"user:{KEY}".encode()),
} | {
    f"{encode.__name__}, {before} bytes before": encode(b"\xfb" * before + KEY.encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode)
    for before in range(4)
}


@pytest.mark.parametrize("name", WRITTEN)
def test_each_spelling_is_found(name: str) -> None:
    assert canary.found_in(WRITTEN[name])


def test_other_bytes_are_no_canary() -> None:
    assert not canary.found_in(b"vgen canary, VGEN-CANARY, a canary of vgen" + bytes(range(256)) * 100)


def test_files_are_found_wherever_they_lie_but_for_what_tests_write(tmp_path: Path) -> None:
    (tmp_path / "outputs" / ".vgen").mkdir(parents=True)
    (tmp_path / "outputs" / ".vgen" / "a.part").write_bytes(WRITTEN["hex"])
    (tmp_path / ".env").write_bytes(WRITTEN["plain"])
    (tmp_path / "api_config.json").write_bytes(WRITTEN["json"])
    (tmp_path / "good").write_bytes(b"nothing")
    os.mkfifo(tmp_path / "pipe")  # nobody would ever write to it
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("CREATE TABLE facts (value)")
        db.execute("INSERT INTO facts VALUES (?)", [f"refused: {KEY}"])
    db.close()
    assert {path.name for path in canary.leaks(tmp_path)} == {"a.part", "ledger.db"}
    (tmp_path / "outputs" / ".vgen" / "a.part").unlink()
    (tmp_path / "ledger.db").unlink()


LEAKING = """
import logging, pathlib, sys, tempfile
import pytest

texts = pytest.mark.parametrize("text", ["no key", sys.argv[-1]], ids=["good", "bad"])

@texts
def test_file(text, tmp_path):
    (tmp_path / "a").write_text(text)

@texts
def test_temporary_directory(text):
    with tempfile.TemporaryDirectory() as name:
        pathlib.Path(name, "a").write_text(text)

@texts
def test_stdout(text):
    print(text)

@texts
def test_stderr(text):
    print(text, file=sys.stderr)

@texts
def test_log(text):
    logging.getLogger().warning(text)
"""


@pytest.mark.slow
def test_a_test_that_leaves_a_key_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makeini("[pytest]\nmarkers = live: buys")
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text("utf-8"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    leaking = pytester.makepyfile(LEAKING.replace("sys.argv[-1]", repr(KEY)))
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", "-rfE")
    capsys.readouterr()  # or else this test fails as those in it do
    leaking.unlink()
    told = {line.split("::")[1].split()[0] for line in ran.outlines if line.startswith(("FAILED ", "ERROR "))}
    assert told == {f"test_{place}[bad]" for place in ("file", "temporary_directory", "stdout", "stderr", "log")}

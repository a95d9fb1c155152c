"""A forked process is what a started one is: arguments, environment, folder, streams, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked import can_fork, server
from workshop import RUN_S, clean_environment

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are forked on Linux only")
WORD = """
import atexit, os, signal, sys
atexit.register(print, "at the end")
print(__name__, sys.argv, sys.path[:2], os.getcwd(), sys.stdin.read(), sys.stdout.encoding, sys.stdout.errors)
print(sorted(os.environ.items()), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGPIPE), file=sys.stderr)
"""
ENDS = {
    "by itself": "",
    "with a code": "sys.exit(3)",
    "with a word": "sys.exit('no such shot')",
    "by Ctrl-C": "os.kill(os.getpid(), signal.SIGINT)",
    "by SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
}


@linux
@pytest.mark.slow
@pytest.mark.parametrize("module", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_a_fork_and_a_start_are_the_same(end: str, module: bool, tmp_path: Path) -> None:
    (tmp_path / "word.py").write_text(f"{WORD}\nsys.stdout.flush()\n{ENDS[end]}\n")
    words = [*(["-m", "word"] if module else [str(tmp_path / "word.py")]), "clip:7", "a b"]
    environ = clean_environment(VGEN_ONE="1")
    said = []
    codes = []
    for way in ("forked", "started"):
        out, err = tmp_path / f"{way}.out", tmp_path / f"{way}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            if way == "forked":
                plain = frozenset(clean_environment().items())
                codes.append(
                    server(plain).start(words, environ=environ, cwd=tmp_path, out=stdout, err=stderr).wait(RUN_S)
                )
            else:
                run = subprocess.run(
                    [sys.executable, *words],
                    cwd=tmp_path,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    check=False,
                )
                codes.append(run.returncode)
        first, *more = err.read_text().splitlines()
        said.append((out.read_text(), first, more[-1:]))
    assert codes[0] == codes[1]
    assert said[0] == said[1]


@pytest.mark.parametrize("name", ["PYTHONPATH", "LC_ALL", "TZ"])
def test_what_python_reads_at_its_start_is_not_given_to_a_fork(name: str) -> None:
    plain = clean_environment()
    assert not can_fork(plain | {name: "elsewhere"}, plain)


@linux
def test_a_signal_to_a_fork_that_has_ended_hits_nobody(tmp_path: Path) -> None:
    (tmp_path / "word.py").write_text("")
    with (tmp_path / "out").open("wb") as out:
        plain = frozenset(clean_environment().items())
        ended = server(plain).start(["-m", "word"], environ=dict(plain), cwd=tmp_path, out=out, err=out)
    assert ended.wait(RUN_S) == 0
    ended.send_signal(signal.SIGKILL)
    assert ended.poll() == 0

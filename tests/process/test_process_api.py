"""`vgen.api` and signals: a Ctrl-C at the caller's terminal, which all there get, and a build that is ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from workshop import RUN_S, Project, Server, shots

pytestmark = pytest.mark.slow

CALLER = """
import sys
from vgen import api, errors

try:
    api.build(".", on_event=lambda event: print(event["event"], flush=True))
except errors.Refusal:
    sys.exit("nothing was begun")
except errors.VgenError as exc:
    sys.exit(f"ended: {exc.code}")
"""


def begin(project: Project, serve: Callable[..., Server]) -> "subprocess.Popen[str]":
    """A caller, leader of a process group, whose build has two jobs at a provider."""
    server = serve("--queue-s", "0", "--render-s", "0.8")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(2))
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER], cwd=project.root, env=project.environ, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
    )  # fmt: skip
    assert caller.stdout is not None
    seen: list[str] = []
    while seen.count("accepted") < 2:
        seen.append(caller.stdout.readline().strip())
        assert seen[-1], seen
    return caller


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="a job in the background does not hear Ctrl-C"
)
def test_ctrl_c_at_the_callers_terminal_ends_the_build_in_peace(project: Project, serve: Callable[..., Server]) -> None:
    caller = begin(project, serve)
    os.killpg(caller.pid, signal.SIGINT)
    said, _ = caller.communicate(timeout=RUN_S)
    assert "KeyboardInterrupt" in said
    report = project.report()
    assert (report["run"]["interrupted"], report["budget"]["reserved_usd"]) == (True, 0.48)


def test_a_build_that_was_ended_is_no_refusal(project: Project, serve: Callable[..., Server]) -> None:
    caller = begin(project, serve)
    [build] = subprocess.check_output(["pgrep", "-P", str(caller.pid)], text=True).split()
    os.kill(int(build), signal.SIGTERM)
    said, _ = caller.communicate(timeout=RUN_S)
    assert said.rstrip().endswith("ended: failed")
    assert project.report()["budget"]["reserved_usd"] == 0.48

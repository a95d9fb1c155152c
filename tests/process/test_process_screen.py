"""What a person sees: a live table on a terminal, plain lines and JSON lines elsewhere; all agree with the report."""

import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from fcntl import ioctl

import pytest
from workshop import RUN_S, Project, Server, shots, wait_until

pytestmark = pytest.mark.slow

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


Steps = Sequence[tuple[str, Callable[[], None]]]


def on_a_terminal(
    project: Project, *args: str, columns: int = 80, steps: Steps = (), **environ: str
) -> tuple[int, str]:
    """`doit ARGS` on a terminal of its own: exit code, and all that was written to it, escapes included.

    `steps`: patterns, and what is to be done when each has been seen, one after the other.
    """
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "doit", *args],
        cwd=project.root,
        env=project.environ | {"TERM": "xterm-256color"} | environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    coming = list(steps)
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None  # before the look: what it says last is there then
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                said += os.read(master, 65536)
            except OSError:  # nobody has the other end any more
                break
        elif ended:
            break
        while coming and re.search(coming[0][0], ESCAPE.sub("", said.decode("utf-8", "replace"))):
            coming.pop(0)[1]()
    os.close(master)
    if process.poll() is None and time.monotonic() >= deadline:
        process.kill()
    return process.wait(RUN_S), said.decode("utf-8", "replace")


def test_the_live_table_says_what_is_true_of_each_shot(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0.6", "--render-s", "1.2")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(3))
    in_flight = r"0 of 3 clips, 3 in flight; spent \$0.00, reserved \$0.72 of \$2.00"
    steps = [
        ("queued at runway", lambda: None),
        (in_flight, lambda: server.passes(1.2)),
        (r"clip 00\d +\d+ s +rendering 50% at runway", server.release),
    ]
    code, said = on_a_terminal(project, steps=steps)
    assert code == 0, said
    plain = ESCAPE.sub("", said)
    for pattern, _ in steps:
        assert re.search(pattern, plain), plain
    assert "vgen: 3 of 3 clips; spent $0.72 of $2.00\r\n" in plain
    assert "\x1b[?25" not in said, "the cursor is never hidden: a run may be killed"


def test_a_narrow_terminal_without_colours(project: Project, serve: Callable[..., Server]) -> None:
    project.buys_at(serve("--queue-s", "0.2", "--render-s", "0.6"))
    project.write_shots(shots(3))
    code, said = on_a_terminal(project, columns=20, NO_COLOR="1")
    assert code == 0, said
    assert not re.search(r"\x1b\[(3|4|9)\d", said), "no colour"
    assert "Traceback" not in said


def test_a_dumb_terminal_gets_plain_lines(project: Project) -> None:
    project.write_shots(shots(1))
    code, said = on_a_terminal(project, TERM="dumb")
    assert code == 0
    assert "\x1b" not in said
    assert "clip 001  ready:" in said


def test_nothing_to_do_is_one_line_on_a_terminal_too(project: Project) -> None:
    project.write_shots(shots(1))
    assert project.doit()[0] == 0
    code, said = on_a_terminal(project)
    assert (code, ESCAPE.sub("", said).strip()) == (0, "vgen: nothing to do, 1 clip is up to date")


def test_json_lines_plain_lines_and_the_report_agree(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.2", "--fault", "job_failed=first:1~shot-2")
    project.buys_at(server)
    project.write_shots(shots(3))
    code, said = project.doit("-r", "jsonl")
    assert code == 0, said
    events = [json.loads(line) for line in said.splitlines()]
    assert all({"shot", "event", "text"} <= event.keys() for event in events)
    ready = {event["shot"] for event in events if event["event"] == "ready"}
    report = project.report()
    assert ready == {clip["shot_number"] for clip in report["clips"] if clip["success"]}
    charged = sum(event["charged"] for event in events if event["event"] == "ready")
    assert charged == round(report["total_cost_usd"] * 1e6)
    summary = [event["text"] for event in events if event["event"] == "summary"]
    spent = report["budget"]["spent_usd"]
    assert summary == [f"3 of 3 clips; spent ${spent:.2f} of $2.00"]
    log = [json.loads(line) for line in (project.outputs / "vgen.log").read_text("utf-8").splitlines()]
    log = [{key: value for key, value in line.items() if key != "order"} for line in log]  # for a lost ledger only
    assert [event for event in events if event in log] == log, "the log tells the same"
    assert all({"at", "run"} <= event.keys() for event in events)


def test_a_heartbeat_comes_when_nothing_else_is_said(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "1")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    started = project.start("-r", "jsonl")
    beats = re.compile(r'.*"heartbeat".*rendering \d+% at runway.*\n')
    wait_until(lambda: beats.search(started.said()) is not None, what="a heartbeat")
    server.release()
    beat = json.loads(beats.findall(started.said())[0])
    assert (beat["done"], beat["total"], beat["in_flight"], beat["reserved_usd"]) == (0, 1, [1], 0.24)
    assert "clip 001 rendering 0% at runway" in beat["text"]
    assert started.ends() == 0


def test_a_cut_counts_its_clips_on_a_pipe_and_on_a_terminal(project: Project) -> None:
    project.write_shots(shots(3))
    assert project.doit()[0] == 0
    code, said = project.doit("cut")
    assert code == 0, said
    assert re.findall(r"^\[\d/3\] clip 00\d  conformed$", said, re.MULTILINE) == said.splitlines()[:3]
    shutil.rmtree(project.outputs / "conformed")
    code, said = on_a_terminal(project, "cut")
    assert code == 0, said
    assert re.search(r"conforming: \d of 3 clips", ESCAPE.sub("", said))


def test_doctor_fails_where_a_line_says_fix(project: Project) -> None:
    code, said = project.doit("doctor")
    assert (code, "FIX" in said) == (0, False), said
    code, said = project.doit("doctor", VGEN_FFMPEG="/no/such/ffmpeg")
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith("FIX   ")], said


def test_ctrl_c_in_a_cut_says_that_what_is_done_is_kept(project: Project) -> None:
    project.write_shots(shots(3))
    assert project.doit()[0] == 0
    started = project.start("conform")
    started.says("conformed")
    started.process.send_signal(signal.SIGINT)
    assert started.ends() == 130
    assert started.lines()[-1] == "vgen: interrupted. What is done is kept; run the command again to continue"
    assert project.doit("conform")[0] == 0


def test_who_waits_for_another_run_says_so(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "1")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    first = project.start()
    first.says("accepted")
    second = project.start("wait=yes")
    second.says("waiting for it")
    assert f"(process {first.pid})" in second.said()
    server.release()
    assert (first.ends(), second.ends()) == (0, 0)


def test_reporters_of_doit_still_work(project: Project) -> None:
    project.write_shots(shots(1))
    code, said = project.doit("-r", "zero")
    assert (code, said) == (0, "")
    code, said = project.doit("-r", "console")
    assert code == 0
    assert "-- clip:1" in said
    code, said = project.doit("-r", "json")
    assert code == 0
    assert {task["name"] for task in json.loads(said)["tasks"]} >= {"clip:1", "report"}
    assert "clips.json" in project.doit("list", "--all")[1]


@pytest.fixture
def inbox(project: Project) -> Callable[[], list[dict[str, object]]]:
    """A notify command that files each message; what came so far."""
    box = project.root.parent / "inbox"
    box.mkdir()
    project.configure(run={"notify_command": f"cat > {box}/$$.part && mv {box}/$$.part {box}/$$.json"})

    def read() -> list[dict[str, object]]:
        return [json.loads(path.read_text("utf-8")) for path in box.glob("*.json")]

    return read


def test_a_command_is_told_of_the_end_and_of_a_failed_gate(
    project: Project, serve: Callable[..., Server], inbox: Callable[[], list[dict[str, object]]]
) -> None:
    project.buys_at(serve("--queue-s", "0", "--render-s", "0", "--fault", "create_lost=~shot-2"))
    project.write_shots(shots(2))
    assert project.doit()[0] == 1
    wait_until(lambda: len(inbox()) == 2, what="two messages")
    assert {message["event"] for message in inbox()} == {"uncertain", "gate"}
    gate = next(message for message in inbox() if message["event"] == "gate")
    assert (gate["successful_clips"], gate["failed"], gate["uncertain_usd"]) == (1, [2], 0.24)


def test_the_cap_is_told_and_a_broken_command_fails_nothing(
    project: Project, inbox: Callable[[], list[dict[str, object]]]
) -> None:
    project.write_shots(shots(2))
    assert project.doit("budget_usd=0.1")[0] == 3
    wait_until(lambda: len(inbox()) == 1, what="a message")
    assert inbox()[0]["event"] == "cap"
    assert project.doit("budget_usd=9", "notify_command=exit 7", "notify_url=http://127.0.0.1:1/")[0] == 0
    log = project.outputs / ".vgen" / "notify.log"
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 2, what="two lines in the log")
    assert "ended with 7" in log.read_text()

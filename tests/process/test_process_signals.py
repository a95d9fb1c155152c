"""Ctrl-C and SIGTERM: nothing new is bought, what is in flight is told and collected by the next run."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
import thorough
from workshop import LIVE, RUN_S, Project, Server, shots, wait_until

pytestmark = pytest.mark.slow

ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
CTRL_C_FIRST = [ENDS[0], pytest.param(*ENDS[1], marks=pytest.mark.slow)]
HANG_UP = pytest.param(
    signal.SIGHUP, 129, marks=pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="nohup")
)
SIGTERM_FIRST = [ENDS[1], pytest.param(*ENDS[0], marks=pytest.mark.slow)]


@pytest.mark.parametrize(("signum", "code"), [*CTRL_C_FIRST, HANG_UP])
def test_a_signal_while_jobs_render(
    project: Project, serve: Callable[..., Server], signum: signal.Signals, code: int
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.8")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(4))
    started = project.start("max_concurrent=2")
    started.says("rendering at", times=2)
    started.process.send_signal(signum)
    assert started.ends() == code, started.said()
    assert "Traceback" not in started.said()
    assert server.accepted().total() == 2, "nothing new may be bought after a signal"
    last = started.lines()[-1]
    assert "2 jobs" in last
    assert "$0.48" in last
    assert "run `doit max_concurrent=2` to download" in last
    told = started.lines()[-6:-1]
    assert told[0] == "vgen: 0 of 4 clips; spent $0.00, reserved $0.48 of $2.00"
    assert [line.split("; ")[-1] for line in told[1:]] == [
        "`doit clip:1 max_concurrent=2` goes on with it, free", "`doit clip:2 max_concurrent=2` goes on with it, free",
        "`doit clip:3 max_concurrent=2` buys it", "`doit clip:4 max_concurrent=2` buys it",
    ]  # fmt: skip
    assert "0 of 4 clips" in (project.outputs / "gallery.html").read_text("utf-8")
    report = project.report()
    assert report["run"]["interrupted"] is True
    assert report["budget"]["reserved_usd"] == 0.48
    assert [clip["success"] for clip in report["clips"]] == [False] * 4
    project.assert_report_is_true()

    server.release()
    code, said = project.doit()
    assert code == 0, said
    assert server.accepted().total() == 4
    assert server.charged_usd() == 0.96 == project.booked()["spent"]
    assert said.count("collecting the running job") == 2
    project.assert_report_is_true()


def test_an_interrupted_run_of_named_clips_advises_no_other_clip(
    project: Project, serve: Callable[..., Server]
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.8")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(4))
    started = project.start("clip:2", "clip:4")
    started.says("rendering at", times=2)
    started.process.send_signal(signal.SIGINT)
    assert started.ends() == 130, started.said()
    *_, count, two, four, others, last = started.lines()
    assert count == "vgen: 0 of 2 named clips, 0 of 4 in all; spent $0.00, reserved $0.48 of $2.00"
    assert two.startswith("clip 002  missing: bought at runway")
    assert four.startswith("clip 004  missing: bought at runway")
    assert others.startswith("vgen: 2 other shots")
    assert "run `doit clip:2 clip:4` to download" in last, "`doit` would buy shots 1 and 3"
    server.release()
    assert project.doit("clip:2", "clip:4")[0] == 0
    assert server.accepted().total() == 2


@pytest.mark.slow
def test_a_signal_in_the_middle_of_everything(project: Project, serve: Callable[..., Server]) -> None:
    """Some clips ready, some rendering, some not begun; a moment later all are there, each bought once."""
    server = serve("--queue-s", "0", "--render-s", "0.4")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(5))
    started = project.start("max_concurrent=2")
    started.says("accepted as", times=2)
    server.passes(1)
    started.says("ready:")
    started.process.send_signal(signal.SIGTERM)
    assert started.ends() == 143, started.said()
    server.release()
    project.assert_report_is_true()
    project.assert_clips_are_takes()
    project.assert_money_is_true(server)
    live = [row for row in project.rows() if row["state"] in LIVE]
    if live:
        assert f"{len(live)} job" in started.lines()[-1]
    code, said = project.doit()
    assert code == 0, said
    assert set(server.accepted().values()) == {1}
    assert server.charged_usd() == 1.2 == project.booked()["spent"]


@pytest.mark.parametrize(("signum", "code"), thorough.some(SIGTERM_FIRST, 2))
def test_a_signal_while_a_create_is_unanswered(
    project: Project, serve: Callable[..., Server], signum: signal.Signals, code: int
) -> None:
    """The create is waited for as long as its time-out allows; then the money is told as uncertain."""
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "create_hang=first:1~shot-2")
    project.buys_at(server, timeout_seconds=10)
    project.write_shots(shots(2))
    assert project.doit("clip:1")[0] == 0, "the first order of a kind goes alone"
    started = project.start()
    started.says("ordering")
    started.process.send_signal(signum)
    assert started.ends() == code, started.said()
    assert project.states()["uncertain"] == 1
    assert "$0.24" in started.lines()[-1]
    assert "nothing is in flight" not in started.said()
    report = project.report()
    assert report["budget"]["uncertain_usd"] == 0.24
    project.assert_money_is_true(server)
    project.assert_report_is_true()
    assert "may have charged" in report["clips"][1]["error"]

    project.doit()
    assert server.accepted().total() == 2
    project.assert_money_is_true(server)


@pytest.mark.parametrize(("signum", "code"), thorough.some(SIGTERM_FIRST, 2))
def test_a_second_signal_is_out_at_once(
    project: Project, serve: Callable[..., Server], signum: signal.Signals, code: int
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "create_hang=first:1~shot-2")
    project.buys_at(server, timeout_seconds=10 * RUN_S)
    project.write_shots(shots(2))
    assert project.doit("clip:1")[0] == 0, "the first order of a kind goes alone"
    started = project.start()
    wait_until(lambda: server.accepted().total() == 2, what="both orders at the provider")
    started.process.send_signal(signum)
    time.sleep(0.3)
    assert started.process.poll() is None, "the create is unanswered: the first signal waits for it"
    while started.process.poll() is None:  # the first may still be on its way when the second comes
        started.process.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(0.5)
    assert started.ends() == code, started.said()
    assert "Traceback" not in started.said()
    project.assert_money_is_true(server)

    code, said = project.doit()
    assert code == 1, said
    assert project.states() == {"accepted": 1, "uncertain": 1}
    assert server.accepted().total() == 2
    project.assert_money_is_true(server)


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), ENDS)
def test_a_signal_at_any_moment(
    project: Project, serve: Callable[..., Server], signum: signal.Signals, code: int
) -> None:
    """From the first import to the last line. Before vgen's own handler stands, the system's word counts."""
    server = serve("--queue-s", "0.05", "--render-s", "0.2")
    project.buys_at(server)
    report = project.outputs / "production_report.json"
    for turn in thorough.some(range(12), 3):
        report.unlink(missing_ok=True)  # an earlier run's
        project.write_shots(shots(3, first=1 + 10 * turn))
        started = project.start("budget_usd=20")
        time.sleep(0.08 * (turn + 1))
        started.process.send_signal(signum)
        ended = started.ends()
        begun = "Fatal Python error: init_" not in started.said()  # or else Python itself had not
        assert ended in (0, code, -signum) or not begun, (turn, started.said())
        outside = "interrupted; what was begun" in started.said()  # Ctrl-C before or after the work itself
        if report.exists() and ended == code and not outside:
            assert project.report()["run"]["interrupted"] is True
        project.assert_money_is_true(server)
    code, said = project.doit("budget_usd=20")
    assert code == 0, said
    project.assert_money_is_true(server)
    assert set(server.accepted().values()) == {1}


@pytest.mark.parametrize(("signum", "code"), CTRL_C_FIRST)
def test_a_signal_while_free_work_goes_before_a_refusal(
    project: Project, serve: Callable[..., Server], signum: signal.Signals, code: int
) -> None:
    """The plan does not fit; the running job is collected first; a signal in that time ends in a report too."""
    server = serve("--queue-s", "0", "--render-s", "3")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    first = project.start()
    first.says("rendering at")
    first.kill()
    project.write_shots(shots(2))
    started = project.start("budget_usd=0.30")
    started.says("rendering at")
    started.process.send_signal(signum)
    assert started.ends() == code, started.said()
    assert "Traceback" not in started.said()
    assert project.report()["run"]["interrupted"] is True
    assert "1 job" in started.lines()[-1]
    project.assert_money_is_true(server)

"""The budget holds against real processes: before the fact, shot by shot, and with three runs at once."""

from collections.abc import Callable

import pytest
from workshop import Project, Server, shots, wait_until


@pytest.mark.slow
def test_a_plan_that_does_not_fit_buys_nothing(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(20, duration=5))
    code, said = project.doit("mode=live")
    assert code == 3
    assert "$12.00" in said
    assert "$2.00" in said
    assert "partial=yes" in said
    assert "budget_usd=" in said
    assert "Traceback" not in said
    charges = server.charges()
    assert charges["creates"] == 0
    assert charges["requests"] == {}
    assert project.rows() == []


@pytest.mark.slow
def test_partial_buys_what_fits_and_never_more(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(20, duration=5))
    code, said = project.doit("mode=live", "partial=yes")
    assert code == 1, said
    assert "Traceback" not in said
    assert server.charged_usd() == 1.8 == project.booked()["spent"]
    assert [clip["shot_number"] for clip in project.clips() if clip["success"]] == [1, 2, 3]
    project.assert_report_is_true()

    code, said = project.doit("mode=live", "partial=yes")
    assert code == 1, said
    assert server.charged_usd() == 1.8
    assert server.charges()["creates"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("wait", [False, True])
def test_three_runs_at_once(project: Project, serve: Callable[..., Server], *, wait: bool) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(12, duration=9))
    words = ["mode=live", "partial=yes", *(["wait=yes"] if wait else [])]
    if not wait:
        server.hold()
    runs = [project.start(*words) for _ in range(3)]
    if not wait:
        wait_until(lambda: sum(run.process.poll() is not None for run in runs) >= 2, what="two runs that were refused")
        server.release()
    codes = [run.ends() for run in runs]
    said = "\n".join(run.said() for run in runs)
    assert "Traceback" not in said
    assert server.charged_usd() == 1.08, said
    project.assert_money_is_true(server)
    project.assert_report_is_true()
    if wait:
        assert codes == [1, 1, 1], said
        return
    assert sorted(codes) == [1, 3, 3], said
    [holder] = [run for run, code in zip(runs, codes, strict=True) if code == 1]
    for run, code in zip(runs, codes, strict=True):
        if code == 3:
            assert "another vgen run" in run.said()
            assert "wait=yes" in run.said()
            assert str(holder.pid) in run.said(), "told also before the holder has begun to work"
            assert len(run.lines()) <= 2, run.said()


@pytest.mark.slow
def test_the_second_run_is_told_who_holds_the_outputs(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "1")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    first = project.start()
    first.says("rendering at")
    code, said = project.doit()
    assert code == 3
    assert str(first.pid) in said
    server.release()
    assert first.ends() == 0
    assert server.charges()["creates"] == 1

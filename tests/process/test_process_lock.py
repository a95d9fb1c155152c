"""The run lock: gone with its holder, and not in the way of those who only look."""

from collections.abc import Callable

import pytest
from workshop import Project, Server, everything, shots


@pytest.mark.slow
def test_the_lock_ends_with_its_holder(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.5")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    holder = project.start()
    holder.says("rendering at")
    assert project.doit()[0] == 3
    holder.kill()
    server.release()
    code, said = project.doit()
    assert code == 0, said
    assert server.charges()["creates"] == 1


@pytest.mark.slow
def test_looking_needs_no_lock(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "3")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(2))
    holder = project.start()
    holder.says("rendering at", times=2)
    before = server.charges()["creates"]
    code, said = project.doit("plan")
    assert code == 0, said
    assert "Traceback" not in said
    assert "collect" in said or "bought" in said
    for words in (["list", "--all", "--status"], ["info", "clip:1"], ["doctor"]):
        code, said = project.doit(*words)
        assert "Traceback" not in said, said
        assert code in (0, 1), (words, said)
    assert holder.process.poll() is None
    server.release()
    assert holder.ends() == 0, holder.said()
    assert server.charges()["creates"] == before == 2
    project.assert_report_is_true()
    code, said = project.doit()
    assert code == 0
    assert "nothing to do" in said


@pytest.mark.slow
def test_a_locked_out_run_changes_nothing(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "2")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    holder = project.start()
    holder.says("rendering at")
    before = everything(project.root)
    assert project.doit()[0] == 3
    after = everything(project.root)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= {
        "outputs/vgen.log",
        "outputs/ledger.db",  # the holder's own, at any moment
        "outputs/ledger.db-journal",
    }
    server.release()
    assert holder.ends() == 0


@pytest.mark.slow
def test_jobs_of_an_earlier_list_come_home_before_anything_is_bought(
    project: Project, serve: Callable[..., Server]
) -> None:
    """Free work first: what runs already is collected, whatever shots there are now."""
    server = serve("--queue-s", "0", "--render-s", "0.4")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(2))
    started = project.start()
    started.says("rendering at", times=2)
    started.kill()
    server.release()
    project.write_shots(shots(2, first=11))
    code, said = project.doit()
    assert code == 0, said
    assert server.charged_usd() == 0.96 == project.booked()["spent"]
    assert project.states() == {"accepted": 4}
    assert [path.name for path in project.published()] == ["clip_011.mp4", "clip_012.mp4"]
    assert said.index("collecting") < said.index("ordering"), said


@pytest.mark.slow
def test_a_lock_file_that_is_deleted_while_it_is_held(project: Project, serve: Callable[..., Server]) -> None:
    """Somebody tidies up: whatever the second run does, nothing is bought twice and nothing breaks."""
    server = serve("--queue-s", "0", "--render-s", "1.5")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(2))
    holder = project.start()
    holder.says("rendering at", times=2)
    (project.outputs / ".vgen" / "run.lock").unlink()
    second = project.start()
    server.release()
    code = second.ends()
    assert "Traceback" not in second.said()
    assert code in (0, 1, 3), second.said()
    assert holder.ends() in (0, 1), holder.said()
    assert "Traceback" not in holder.said(), holder.said()
    assert project.doit()[0] == 0
    assert server.charges()["creates"] == 2
    assert server.charged_usd() == 0.48 == project.booked()["spent"]
    project.assert_clips_are_takes()


@pytest.mark.slow
def test_two_names_of_one_outputs_directory(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "1")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(1))
    holder = project.start()
    holder.says("rendering at")
    (project.root / "other").symlink_to(project.outputs)
    code, said = project.doit("outputs=other")
    assert code == 3, said
    server.release()
    assert holder.ends() == 0
    assert server.charges()["creates"] == 1

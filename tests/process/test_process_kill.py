"""kill -9 at any moment: nothing is bought twice, nothing is lost, and the books agree with the provider's."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from workshop import Project, Server, shots

SHOTS = 6


def kill_now_and_then(project: Project, rng: random.Random, kills: int, check: Callable[[], None]) -> int:
    """Start runs and kill each after a while. When all is done, a prompt changes. Returns how many were killed."""
    texts = shots(SHOTS)
    project.write_shots(texts)
    killed = 0
    for turn in range(3 * kills):
        started = project.start("max_concurrent=2", "budget_usd=9")
        deadline = time.monotonic() + rng.uniform(0.3, 1.3)
        while started.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        if started.process.poll() is None:
            started.kill()
            killed += 1
        else:
            assert started.process.returncode in (0, 1), started.said()
            shot = rng.randrange(SHOTS)
            texts[shot]["runway_prompt"] = f"shot-{shot + 1} changed in turn {turn}"
            project.write_shots(texts)
        check()
        if killed == kills:
            break
    return killed


def assert_each_once(project: Project, accepted: Counter[str]) -> None:
    """One job a recipe, or less and told as uncertain."""
    for row in project.rows():
        prompt = dict(json.loads(row["manifest"]))["prompt"]
        assert accepted[prompt] <= 1, f"bought {accepted[prompt]} times: {prompt}"
        if row["state"] in ("accepted", "rendering", "rendered", "fetched"):
            assert accepted[prompt] == 1, f"never bought: {prompt}"
    told = {dict(json.loads(row["manifest"]))["prompt"] for row in project.rows()}
    assert set(accepted) <= told, "the provider has a job that the ledger does not know"


def campaign(project: Project, server: Server, *, kills: int, seed: int) -> None:
    def check() -> None:
        assert_each_once(project, server.accepted())
        project.assert_clips_are_takes()

    killed = kill_now_and_then(project, random.Random(seed), kills, check)
    assert killed == kills
    code, said = project.doit("max_concurrent=2", "budget_usd=9")
    assert "Traceback" not in said
    check()
    project.assert_money_is_true(server)
    project.assert_report_is_true()
    assert not {"reserved", "submitting", "not_sent", "rendering", "rendered", "fetched"} & set(project.states())
    good = sum(clip["success"] for clip in project.clips())
    uncertain = project.states()["uncertain"]
    assert good >= SHOTS - uncertain
    assert code == (0 if good >= 0.8 * SHOTS else 1), said
    for clip in project.clips():
        if not clip["success"]:
            assert "perhaps bought" in clip["error"]


def test_three_kills(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0.1", "--render-s", "0.3")
    project.buys_at(server)
    campaign(project, server, kills=3, seed=3)


@pytest.mark.slow
def test_twenty_kills(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0.1", "--render-s", "0.3")
    project.buys_at(server)
    campaign(project, server, kills=20, seed=20)


@pytest.mark.slow
def test_kills_in_simulate_mode_buy_nothing_twice(project: Project) -> None:
    """The provider lives in the run's own process; its journal is the truth."""
    journal = project.outputs / ".vgen" / "simulator.jsonl"

    def accepted() -> Counter[str]:
        if not journal.exists():
            return Counter()
        whole = journal.read_bytes().rpartition(b"\n")[0]
        events = [json.loads(line) for line in whole.splitlines()]
        return Counter(event["job"]["order"]["prompt"] for event in events if event["event"] == "create")

    def check() -> None:
        assert_each_once(project, accepted())
        project.assert_clips_are_takes()

    assert kill_now_and_then(project, random.Random(5), 5, check) == 5
    code, said = project.doit("max_concurrent=2", "budget_usd=9")
    assert "Traceback" not in said
    check()
    project.assert_report_is_true()
    assert code == 0, said
    assert all(clip["simulated"] for clip in project.report()["clips"])


def test_a_kill_while_a_create_is_unanswered_is_told_and_never_bought_again(
    project: Project, serve: Callable[..., Server]
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "create_hang=first:1~shot-2")
    project.buys_at(server)
    project.write_shots(shots(3))
    started = project.start()
    started.says("ready:", times=2)
    started.kill()
    assert server.accepted().total() == 3

    code, said = project.doit()
    assert code == 1, said  # 2 of 3 are below the gate
    assert server.accepted().total() == 3
    assert project.states() == {"accepted": 2, "uncertain": 1}
    held = project.clips()[1]
    assert held["success"] is False
    assert "perhaps bought" in held["error"]
    assert "$0.24" in held["error"]
    project.assert_money_is_true(server)
    project.assert_report_is_true()


@pytest.mark.slow
def test_a_killed_new_take_is_collected_by_the_next_run(project: Project, serve: Callable[..., Server]) -> None:
    """`doit -a clip:1` bought it and was killed: a plain run brings it home, and its money is spent, not reserved."""
    server = serve("--queue-s", "0", "--render-s", "0.4")
    project.buys_at(server)
    project.write_shots(shots(1))
    assert project.doit()[0] == 0
    started = project.start("-a", "clip:1")
    started.says("rendering at")
    started.kill()
    assert server.charges()["creates"] == 2
    code, said = project.doit()
    assert code == 0, said
    assert project.states() == {"accepted": 2}, said
    assert server.charged_usd() == 0.48 == project.booked()["spent"]
    assert project.booked()["reserved"] == 0
    project.assert_report_is_true()


@pytest.mark.slow
def test_a_killed_new_take_is_not_bought_again_by_another_force(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.4")
    project.buys_at(server)
    project.write_shots(shots(1))
    assert project.doit()[0] == 0
    started = project.start("-a", "clip:1")
    started.says("rendering at")
    started.kill()
    code, said = project.doit("-a", "clip:1")
    assert code == 0, said
    assert server.charges()["creates"] == 2, "while a job is live, -a collects it"
    assert project.states() == {"accepted": 2}
    assert project.doit()[0] == 0
    assert project.report()["clips"][0]["take"] == 2

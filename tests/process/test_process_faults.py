"""A bad day with real bytes: damaged, cut, expired, refused; every clip arrives, and every cent is booked."""

from collections.abc import Callable, Iterator

import pytest
from workshop import Project, Server, kept_port, shots

FAULTS = (
    "media_damaged=first:1~shot-1",
    "media_cut=first:1~shot-2",
    "url_expired=first:1~shot-3",
    "create_500=first:1~shot-4",
    "create_429=first:1~shot-5",
    "media_cut_nolen=first:1~shot-6",
    "media_html=first:1~shot-1",
    "poll_500=first:1~shot-2",
    "poll_garbage=first:1~shot-3",
    "poll_reset=first:1~shot-4",
    "media_500=first:1~shot-5",
    "poll_502=first:1~shot-6",
)


@pytest.mark.slow
def test_a_bad_day(project: Project, serve: Callable[..., Server]) -> None:
    options = [word for fault in FAULTS for word in ("--fault", fault)]
    server = serve("--queue-s", "0", "--render-s", "0.1", *options)
    project.buys_at(server)
    project.write_shots(shots(6))
    code, said = project.doit("backoff_base_s=0.05", "max_concurrent=6")
    assert code == 0, said
    assert [clip["success"] for clip in project.clips()] == [True] * 6
    charges = server.charges()
    assert len(charges["faults"]) == len(FAULTS), "a fault did not come"
    assert charges["requests"].get("media_authorized", 0) == 0, "a key went to the media host"
    assert set(server.accepted().values()) == {1}
    assert charges["total_usd"] == 1.44 == project.booked()["spent"]
    assert project.booked()["reserved"] == project.booked()["uncertain"] == 0
    project.assert_report_is_true()
    project.assert_clips_are_takes()


@pytest.mark.slow
def test_clips_that_came_whole_but_are_bad(project: Project, serve: Callable[..., Server]) -> None:
    """480 pixels, half a second, wrong way up: paid for, kept as rejected, and bought once more each."""
    options = ["clip_480p=first:1~shot-1", "clip_short=first:1~shot-2", "clip_landscape=first:1~shot-3"]
    server = serve("--queue-s", "0", "--render-s", "0.1", *[w for text in options for w in ("--fault", text)])
    project.buys_at(server)
    project.write_shots(shots(3))
    code, said = project.doit("backoff_base_s=0.05")
    assert code == 0, said
    assert server.charged_usd() == 1.44 == project.booked()["spent"]
    assert project.states() == {"accepted": 3, "rejected": 3}
    rejected = sorted((project.outputs / "takes").rglob("*_rejected.mp4"))
    assert len(rejected) == 3
    assert all(clip["take"] == 2 for clip in project.report()["clips"])
    project.assert_report_is_true()


@pytest.mark.slow
def test_the_providers_own_file_is_damaged(project: Project, serve: Callable[..., Server]) -> None:
    """The same bad bytes twice: it came whole, it is bad, and it goes on as a rejected take."""
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "clip_damaged=first:1")
    project.buys_at(server)
    project.write_shots(shots(1))
    code, said = project.doit("backoff_base_s=0.05")
    assert code == 0, said
    assert server.charges()["creates"] == 2
    assert project.states() == {"accepted": 1, "rejected": 1}
    project.assert_money_is_true(server)


@pytest.mark.slow
def test_the_server_is_gone(project: Project, serve: Callable[..., Server]) -> None:
    """No connection: provably not sent, nothing is uncertain, and it is said in words."""
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(2))
    server.stop()
    code, said = project.doit("backoff_base_s=0.02", "max_retries=2")
    assert code == 1
    assert "Traceback" not in said
    assert project.booked() == {"spent": 0, "reserved": 0, "uncertain": 0}
    for clip in project.clips():
        assert clip["success"] is False
        assert clip["cost_usd"] == 0
        assert "connection" in clip["error"]


@pytest.fixture
def port() -> Iterator[str]:
    with kept_port() as number:
        yield number


@pytest.mark.slow
def test_the_server_dies_and_comes_back(project: Project, serve: Callable[..., Server], port: str) -> None:
    """Jobs outlive their server (its journal): the next run collects them, and nothing is bought twice."""
    journal = project.journal / "cloud.jsonl"
    options = ("--queue-s", "0", "--render-s", "0.8", "--journal", str(journal), "--port", port)
    server = serve(*options)
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(3))
    started = project.start("clip_timeout_s=3")
    started.says("accepted as", times=3)
    server.process.kill()
    server.process.wait()
    assert started.ends() == 1
    assert "Traceback" not in started.said()
    assert project.states() == {"rendering": 3}
    again = serve(*options)
    code, said = project.doit()
    assert code == 0, said
    assert again.charges()["creates"] == 3
    assert again.charged_usd() == 0.72 == project.booked()["spent"]

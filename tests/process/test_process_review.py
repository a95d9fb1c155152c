"""`doit review` as a process: it serves, buys nothing, shows no key, and Ctrl-C ends it whatever its clients do."""

import re
import signal
import socket
import urllib.request

import canary
import pytest
from workshop import KEYS, Project, shots

pytest.importorskip("starlette", reason="pip install -e '.[test]' brings it")
pytestmark = pytest.mark.slow


def connect(port: int, token: str, path: str) -> socket.socket:
    """A request of which the answer is not read."""
    stream = socket.create_connection(("127.0.0.1", port))
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Vgen-Token: {token}\r\n\r\n"
    stream.sendall(head.encode())
    assert stream.recv(12) == b"HTTP/1.1 200"
    return stream


def test_ctrl_c_ends_a_review_though_a_page_listens_and_a_video_is_paused(project: Project) -> None:
    project.write_shots(shots(3))
    clip = project.outputs / "clips" / "clip_001.mp4"
    clip.parent.mkdir(parents=True)
    with clip.open("wb") as large:
        large.truncate(20 << 20)
    started = project.start("review", **KEYS)
    started.says("Ctrl-C ends it")
    address, port, token = re.search(r"(http://127\.0\.0\.1:(\d+)/\?token=([\w-]+))", started.said()).groups()
    page = urllib.request.urlopen(address).read()
    film = urllib.request.Request(f"http://127.0.0.1:{port}/api/film", headers={"X-Vgen-Token": token})
    for said in (page, urllib.request.urlopen(film).read()):
        assert b"shot-2 a paper boat" in said
        assert not canary.found_in(said)
    with connect(int(port), token, "/api/events"), connect(int(port), token, "/clips/clip_001.mp4"):
        started.process.send_signal(signal.SIGINT)
        assert started.ends() == 130
    assert len(started.lines()) == 2, "no traceback, nothing but the address and how to end it"
    clip.unlink()
    assert not (project.outputs / "ledger.db").exists()
    assert not project.leaks()

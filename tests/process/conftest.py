"""Real processes, real sockets, real MP4s. Each test's projects are searched for keys when it ends."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workshop import Project, Server

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts simulated providers with the options given; all are stopped in the end."""
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(tmp_path, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project as shipped. After the test no key may be in any file of it, nor in what was printed."""
    made = Project(tmp_path / "project")
    yield made
    made.close()
    assert not list(made.leaks())

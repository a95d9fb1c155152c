"""Real processes, real sockets, real MP4s."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workshop import Project, Server

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts simulated providers with the options given; all are stopped in the end."""
    servers: list[Server] = []

    def start(*options: str, named: bool = False) -> Server:
        servers.append(Server(tmp_path, *options, named=named))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project as shipped."""
    made = Project(tmp_path / "project")
    yield made
    made.close()

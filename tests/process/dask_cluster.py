"""A real Dask cluster for tests: a scheduler and workers as processes on loopback, with or without TLS."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import trustme
from workshop import clean_environment, wait_until

WORKER = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "20")


class Certificates:
    """A CA of our own, and files for Dask and for vgen."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        ca, self.ca, self.cert, self.key = trustme.CA(), home / "ca.pem", home / "cert.pem", home / "key.pem"
        made = ca.issue_cert("127.0.0.1", "localhost")
        ca.cert_pem.write_to_path(str(self.ca))
        made.private_key_pem.write_to_path(str(self.key))
        self.cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    def of_dask(self) -> list[str]:
        return ["--tls-ca-file", str(self.ca), "--tls-cert", str(self.cert), "--tls-key", str(self.key)]

    def of_vgen(self) -> list[str]:
        return [f"cluster_ca={self.ca}", f"cluster_cert={self.cert}", f"cluster_key={self.key}"]


class DaskCluster:
    """`dask scheduler` and `dask worker`, as an operator starts them."""

    def __init__(self, home: Path, port: str, *, workers: int = 2, tls: Certificates | None = None) -> None:
        home.mkdir()
        self._home, self._tls, self._count = home, tls.of_dask() if tls else [], 0
        self.url = f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}"
        self._port, self._registered = port, 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._scheduler()
        self.workers = [self.worker() for _ in range(workers)]
        self.has_workers(workers)

    def _scheduler(self) -> subprocess.Popen[bytes]:
        return self._started("scheduler", ["--host", self.url, "--port", self._port, "--no-dashboard"])

    def mended(self) -> "DaskCluster":
        """With a scheduler and two workers again, whatever became of them."""
        if self.scheduler.poll() is not None:
            for worker in self.workers:
                worker.kill()
                worker.wait(20)
            self.scheduler = self._scheduler()
        for one in self.workers:
            if one.poll() is None:
                one.send_signal(signal.SIGCONT)
        alive = [one for one in self.workers if one.poll() is None and one.returncode is None]
        new = [self.worker() for _ in range(2 - len(alive))]
        self.workers = [*alive, *new]
        self.has_workers(len(new))
        return self

    def restart_scheduler(self) -> None:
        """As a supervisor would; its workers have left with the first one."""
        self.scheduler.kill()
        self.scheduler.wait(20)
        self.scheduler = self._scheduler()

    def _started(
        self, name: str, args: Sequence[str], *, through: Sequence[str] = (), **environ: str
    ) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{name.partition('-')[0]}"
        with (self._home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*through, sys.executable, "-m", module, *args, *self._tls],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") | environ,
                cwd=self._home,
            )
        self._processes.append(process)
        return process

    def worker(self, *args: str, through: Sequence[str] = (), **environ: str) -> subprocess.Popen[bytes]:
        """`through`: a command that becomes the worker."""
        self._count += 1
        own = ["--local-directory", str(self._home / f"scratch-{self._count}")]
        return self._started(f"worker-{self._count}", [self.url, *WORKER, *own, *args], through=through, **environ)

    def has_workers(self, count: int) -> None:
        """Wait until so many more than before have come."""
        self._registered += count
        wait_until(lambda: self.said().count("Register worker") >= self._registered, what="workers at the scheduler")

    def said(self) -> str:
        """All logs."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self._home.glob("*.log")))

    def stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(20)


@contextlib.contextmanager
def recorded(port: int) -> Iterator[tuple[int, bytearray]]:
    """A relay in front of a port of loopback: its own port, and all bytes that go through it in both directions."""
    heard, doors = bytearray(), [socket.create_server(("127.0.0.1", 0))]

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                heard.extend(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = doors[0].accept()
                other = socket.create_connection(("127.0.0.1", port))
                doors.extend((one, other))
                for pair in ((one, other), (other, one)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield doors[0].getsockname()[1], heard
    finally:
        for door in doors:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()


def programs_of(worker: int) -> list[int]:
    """ffmpeg and ffprobe processes that a worker has started and that run."""
    found = []
    for child in children(worker):
        with contextlib.suppress(OSError):
            name = (Path("/proc") / str(child) / "comm").read_text("utf-8", "replace")
            if name.startswith(("ffmpeg", "ffprobe")) and is_alive(child):
                found.append(child)
    return found


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    return False


def children(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in thread.read_text("ascii").split()]
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

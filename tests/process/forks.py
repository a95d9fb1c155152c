"""`python forks.py FD`: a process that has done vgen's imports, and forks for whoever holds the other end of a socket.

Each fork is a process of its own, with the arguments, the environment, the folder and the streams that it is given: it
can be killed, and it ends as Python ends. What the interpreter reads at its own start (PYTHONPATH, the locale) can't be
given to it.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vgen.views import gallery

IMPORTED = (
    "doit.doit_cmd",
    "httpx",
    "jinja2",
    "vgen.cli.doit.run_command",
    "vgen.film",
    "vgen.media.here",
    "vgen.production.connections",
    "vgen.production.make",
    "vgen.simulator.animatic",
    "vgen.simulator.network",
    "vgen.simulator.server",
    "vgen.views.gallery_page",
)
LONGEST = 1 << 17


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each order. Returns in the forks alone, with the order; the server ends with the other side."""
    own = threading.active_count()
    assert own == 1, "a thread would be missing in each fork"
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                status = os.waitpid(key.data, 0)[1]
                selector.unregister(key.fileobj)
                os.close(key.fd)
                _tell(control, {"ended": key.data, "code": os.waitstatus_to_exitcode(status)})
                continue
            message, streams, _, _ = socket.recv_fds(control, LONGEST, 3)
            if not message:
                sys.exit()
            if not (pid := os.fork()):
                for held in list(selector.get_map().values()):
                    os.close(held.fd)
                selector.close()
                control.detach()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                    os.close(stream)
                order: dict[str, Any] = json.loads(message)
                return order
            for stream in streams:
                os.close(stream)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
            _tell(control, {"started": pid})


def _tell(control: socket.socket, what: Mapping[str, Any]) -> None:
    control.send(json.dumps(what).encode())


def run(order: Mapping[str, Any]) -> None:
    """What Python does with `-m MODULE ARGS` and `FILE ARGS`. sys.stdout and its like have the new files already."""
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["cwd"])
    first, *words = order["words"]
    if first == "-m":
        sys.argv[:] = words
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [first, *words]
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    del sys.path[0]
    for name in IMPORTED:
        importlib.import_module(name)
    gallery._environment().get_template(gallery.PARTS[0])  # compiled once, not in each fork
    gc.collect()
    gc.freeze()
    run(serve(socket.socket(fileno=int(sys.argv[1]))))

"""`dies.py WHEN ACT NTH ARGS…`: `python -m doit ARGS…`, killed by SIGKILL WHEN (before, after) the NTH durable ACT…."""

import os
import runpy
import signal
import sys


def main(when: str, act: str, nth: int) -> None:
    """Run doit in this process. `act` is how the name of a durable point begins."""
    from vgen.store import failpoints

    seen = 0

    def die(name: str, at: str) -> None:
        nonlocal seen
        if at == when and name.startswith(act):
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    with failpoints.hooked(die):
        runpy.run_module("doit", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    del sys.path[0]  # this directory
    _, when_, act_, nth_, *args = sys.argv
    sys.argv[:] = ["doit", *args]
    main(when_, act_, int(nth_))

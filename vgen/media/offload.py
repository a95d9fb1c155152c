"""Work on big files in a worker thread."""

from collections.abc import Callable
from typing import Any

import trio

BIG_BYTES = 4 << 20
"""From here on, reading a file takes so long that others would notice."""


async def off_loop(size_bytes: int, act: Callable[..., Any], *args: Any) -> Any:
    """Work on a big file's bytes beside the event loop; a small one's is done at once. Not cancelled in between."""
    if size_bytes < BIG_BYTES:
        return act(*args)
    return await trio.to_thread.run_sync(act, *args)

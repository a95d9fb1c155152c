"""Opens a cluster for a command: a pool of workers, and hands over it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import trio

from vgen.cluster.cluster import Cluster
from vgen.cluster.link import Link, child
from vgen.cluster.pool import Address, Pool
from vgen.errors import ToolMissing, VgenError
from vgen.extras import how_to_install
from vgen.inputs.settings import Settings
from vgen.media.hands import Hands
from vgen.media.tools import find_tools


class There:
    """`Elsewhere`: the workers of a cluster."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def ready(self) -> None:
        """Raises Refusal."""
        await self.pool.ready()

    def over(self, here: Hands, *, brings: bool) -> Hands:
        return Cluster(self.pool, here, brings=brings)


@asynccontextmanager
async def opened(
    settings: Settings,
    private: Path,
    run_id: str,
    tell: Callable[[str], None],
    link: Callable[[], AbstractAsyncContextManager[Link]] = child,
    ask: tuple[str, ...] = (),
) -> AsyncIterator[There]:
    """The cluster that the settings name. Starts nothing before it is asked whether it is ready. Raises ToolMissing."""
    if link is child and find_spec("distributed") is None:
        raise ToolMissing(f"cluster={settings.run.cluster} needs Dask: {how_to_install('cluster')}")
    try:
        ffmpeg = find_tools(settings.ffmpeg, settings.ffprobe).ffmpeg
    except ToolMissing:
        ffmpeg = ""
    refused: VgenError | None = None
    async with trio.open_nursery() as nursery:
        pool = Pool(
            Address(url=settings.run.cluster, tls=_tls(settings)),
            private,
            run_id,
            ffmpeg=ffmpeg,
            keys=settings.secrets(),
            tell=tell,
            timeout_s=settings.run.cluster_timeout_s,
            ask=ask,
            opened=link,
            nursery=nursery,
        )
        try:
            yield There(pool)
        except VgenError as exc:  # as it is, and not in a group
            refused = exc
        finally:
            pool.close()
        nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused


def _tls(settings: Settings) -> dict[str, str] | None:
    run = settings.run
    if not run.cluster_ca:
        return None
    names = {"ca": run.cluster_ca, "cert": run.cluster_cert, "key": run.cluster_key}
    return {name: str((settings.root / path).resolve()) for name, path in names.items()}

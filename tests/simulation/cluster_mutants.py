"""Bugs that only a cluster's workers meet. As in `mutants`, with a cluster drawn."""

import secrets
from pathlib import Path
from typing import Any

from simulation.mutants import Patches, instead, mutant
from vgen.cluster import bench, cluster, facts, plain, pool
from vgen.errors import ClipFailed
from vgen.media.hands import Bring


@mutant("two runs of one job write one part", "M9", 40, "cluster")
def one_part() -> Patches:
    class Fixed:
        @staticmethod
        def token_hex(size: int) -> str:
            return "0" * 2 * size

    yield instead(bench, "secrets", Fixed)
    assert secrets.token_hex(1)


@mutant("a job that is lost fails its shot", "M16", 20, "cluster")
def lost_is_failed() -> Patches:
    there = cluster.Cluster._there

    async def strict(self: Any, job: Any) -> Any:
        found = await there(self, job)
        if found is None and isinstance(job, Bring):
            raise ClipFailed("its worker was lost")
        return found

    yield instead(cluster.Cluster, "_there", strict)


@mutant("a worker's word is enough for a clip's bytes", "M7 M9", 60, "cluster")
def believed() -> Patches:
    async def blindly(self: Any, found: Any, worker: str) -> bool:
        return True

    yield instead(cluster.Cluster, "_has", blindly)
    yield instead(facts, "_own", lambda name, folder, stem: Path(folder) / name)


@mutant("a worker's bad news counts", "M9", 60, "cluster")
def bad_news() -> Patches:
    yield instead(cluster.Cluster, "_believable", lambda self, job, found: found)


@mutant("a job has a key in it", "M15", 10, "cluster")
def key_in_a_job() -> Patches:
    written = plain.written

    def telling(job: Any, folder: Path, stem: int) -> str:
        return written(job, folder, stem).replace('"stem"', '"key": "key_vgencanary0123456789abcdef", "stem"')

    yield instead(plain, "written", telling)
    yield instead(pool, "exactly", lambda text, secrets, min_length: text)

"""Bugs that only shots meet that are made from each other's frames. As in `mutants`, in schedules with chains."""

from typing import TYPE_CHECKING

from simulation.mutants import Patches, instead, mutant
from vgen.production import chain, retaking
from vgen.production.run import Run

if TYPE_CHECKING:
    from vgen.plan.request import ShotRequest


@mutant("the frame is taken of the source's first take, not of the one that the recipe names", "M24", 20, "chains")
def frame_of_the_wrong_take() -> Patches:
    frame = chain._frame

    async def of_the_first(run: Run, name: str, source: chain.Frame, sha256: str) -> bytes:
        takes = [run.ledger.take_of(row.id) for row in run.rows(run.chain.requests[source.shot])]
        good = [take.sha256 for take in takes if take is not None and take.good]
        return await frame(run, name, source, good[0] if good else sha256)

    yield instead(chain, "_frame", of_the_first)


@mutant("a shot whose source has no good take is bought with a frame of another clip", "M24", 20, "chains")
def bought_before_its_source() -> Patches:
    def at_once(run: Run, request: "ShotRequest") -> "ShotRequest":
        if not request.shot.sources:
            return request
        takes = run.chain.takes
        other = next(iter(takes.values()), "0" * 64)
        now = request.after({number: takes.get(number, other) for number in request.shot.sources})
        run.chain.requests[now.number] = now
        retaking.follow(run, now)
        return now

    yield instead(chain, "known", at_once)

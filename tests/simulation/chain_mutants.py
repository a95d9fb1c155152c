"""Bugs that only shots meet that are made from each other's frames. As in `mutants`, with chains or films drawn."""

from typing import TYPE_CHECKING, Any

from simulation.mutants import Patches, instead, mutant
from vgen.plan import decision, takes_wanted
from vgen.production import chain, retaking
from vgen.production.run import Run
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State

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


@mutant("a final is made from a frame of the draft in place", "M23", 40, "film")
def final_from_a_draft() -> Patches:
    known = chain.known

    def of_what_is_there(run: Run, request: "ShotRequest") -> "ShotRequest":
        for number in request.shot.sources - run.chain.takes.keys():
            placed = run.ledger.placed(clip_name(number))
            if placed is not None and not request.tier:
                run.chain.takes[number] = placed.sha256
        return known(run, request)

    yield instead(chain, "known", of_what_is_there)


@mutant("a draft is bought beside a further take of its final that is on its way", "M23", 40, "film no_decoder")
def draft_beside_coming_final() -> Patches:
    at_final = decision._final

    def of_its_first(request: "ShotRequest", final: "ShotRequest", rows: Any, *others: Any) -> Any:
        seen = [row for row in rows if row.state not in COLLECTABLE or not final.has_take(row) or final.matches(row)]
        return at_final(request, final, seen, *others)

    yield instead(decision, "_final", of_its_first)
    yield instead(takes_wanted, "_FINAL", frozenset({State.ACCEPTED}))

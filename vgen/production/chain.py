"""Shots that are made from frames of other shots' clips: of which takes, and the pictures themselves."""

from typing import TYPE_CHECKING

from vgen import chains
from vgen.errors import ClipFailed, MediaError, NoSuchMoment, NotJudged, ToolMissing
from vgen.inputs.pictures import Frame, take_in
from vgen.plan.request import ShotRequest
from vgen.production import masters, retaking
from vgen.production.intent import Intent

if TYPE_CHECKING:
    from vgen.production.run import Run


class Chain:
    """What is known of shots that are made from each other. `requests`: all shots, with the takes that there are now.

    `takes`: shot → the sha256 of the take that serves it.
    """

    def __init__(self, intent: Intent | None = None) -> None:
        intent = intent or Intent()
        self.requests = {request.number: request for request in intent.requests}
        self.takes = dict(intent.takes)
        self._ranks = chains.ranks(self.requests, {n: one.shot.sources for n, one in self.requests.items()})

    def rank(self, number: int) -> int:
        """A shot's place in line for slots; what most others wait for goes first."""
        return self._ranks.get(number, number)


def known(run: "Run", request: ShotRequest) -> ShotRequest:
    """The shot as it is to be bought now: with the takes whose frames it is made from.

    Raises ClipFailed while one of those shots has none in place.
    """
    if not request.shot.sources:
        return request
    takes = run.chain.takes
    now = request.after({number: takes[number] for number in request.shot.sources & takes.keys()})
    now = now.with_all_takes()
    if now.waits_for:
        clips = " and ".join(f"clip {number}" for number in now.waits_for)
        are = "is" if len(now.waits_for) == 1 else "are"
        raise ClipFailed(f"not bought: {'; '.join(now.comes_from())}, and {clips} {are} not in place")
    run.chain.requests[now.number] = now
    retaking.follow(run, now)
    return now


async def frames(run: "Run", request: ShotRequest, provider: str) -> dict[str, bytes]:
    """Name of a picture (pictures.Pictures.named) → its bytes, of each that is a frame of another shot's take.

    Raises ClipFailed if there is no such frame.
    """
    found: dict[str, bytes] = {}
    identities = dict(request.recipes[provider].pictures.named())
    for name, source in request.shot.pictures.named():
        if isinstance(source, Frame):
            try:
                found[name] = await _frame(run, name, source, take_in(identities[name]))
            except NoSuchMoment as exc:
                text = f"not bought: {name} comes from clip {source.shot}, and there is {exc}"
                raise ClipFailed(f"{text}; change the shot, then `doit clip:{request.number}`") from exc
    return found


async def _frame(run: "Run", name: str, source: Frame, sha256: str) -> bytes:
    take = run.ledger.take_with(sha256)
    what = f"{name} comes from clip {source.shot}"
    if take is None:
        raise ClipFailed(f"not bought: {what}, whose take nobody knows; run again")
    try:
        clip = await masters.whole(run, take, source.shot)
    except ClipFailed as exc:
        raise ClipFailed(f"not bought: {what}, and {exc}") from exc
    try:
        path = await run.services.frame(run.settings, clip, source.at, run.outputs.frames, sha256)
        return path.read_bytes()
    except NoSuchMoment:
        raise
    except (MediaError, NotJudged, ToolMissing, OSError) as exc:
        raise ClipFailed(f"not bought: {what}, and no frame could be taken of {take.path} ({exc})") from exc

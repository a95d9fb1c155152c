"""From a finished job to a take: download, judge, publish, book."""

import contextlib
import dataclasses
from pathlib import Path

from vgen import recipe, retry
from vgen.errors import ClipFailed
from vgen.media import claims
from vgen.media.hands import Bring, Brought, Look, Outcome
from vgen.media.judge import Judgement, Verdict
from vgen.money import show
from vgen.plan.decision import NOT_KEPT, how_to_end
from vgen.production import job_end
from vgen.production.address import Ended, Gone, fresh_url
from vgen.production.client import how_long
from vgen.production.events import Phase
from vgen.production.retrieve import retrieve, wanted
from vgen.production.run import Run
from vgen.store import atomic, receipts
from vgen.store.purchase import State
from vgen.store.records import Purchase, Take
from vgen.store.takes import discard, publish_take


async def collect_output(run: Run, row: Purchase, number: int) -> None:
    """Take a purchase that is rendered or fetched to its end: accepted, rejected or lost.

    Raises ClipFailed if that is not possible now; the next run goes on from the same place.
    """
    part = run.outputs.part(row.id)
    last, before, doubt = "", None, "did not last on this disk"
    for _ in range(retry.DAMAGED_TRIES + 1):
        run.events.doing(number, f"downloading from {row.provider}", Phase.ARRIVING)
        got = await _fetched(run, run.ledger.get(row.id), part, number)
        row = run.ledger.get(row.id)
        if row.state is State.RENDERED:
            continue
        if got is None:
            return
        judgement = got.judgement
        if run.elsewhere is not None and got.sha256 == last:
            judgement = before  # what was found wrong here does not become good by a worker's word
        if judgement is None:
            run.events.doing(number, "checking")
            judgement, by = await _judge(run, row, part)
            got = dataclasses.replace(got, judgement=judgement, by=by)
        if judgement.verdict is Verdict.NOT_JUDGED or (judgement.lacking and _came_whole(judgement, got, last)):
            raise ClipFailed(
                f"could not be checked ({judgement.reason}); it is paid and kept, run again, or {how_to_end(row)}"
            )
        doubt = _doubt(run, row, judgement, got, last)
        if doubt and await _is_fetched_anew(run, row, part, number, doubt):
            last, before = got.sha256, judgement
            continue
        if doubt and judgement.verdict is not Verdict.GOOD and not last:
            _lose(run, row, part, number, f"what came {doubt}, and {row.provider} no longer has it")
            return
        _publish(run, row, part, judgement, got, number)
        return
    raise ClipFailed(
        f"nothing that can be believed came from {row.provider}: it {doubt}; it is paid, "
        f"run again{how_long(run, row)}, or {how_to_end(row)}"
    )


async def _fetched(run: Run, row: Purchase, part: Path, number: int) -> Brought | None:
    """All bytes, downloaded or left by an earlier run; None if the purchase is rendered still, or over."""
    if row.state is State.FETCHED:
        if part.exists() and (await run.hands.do(Look(path=part))).sha256 == row.sha256:
            return Brought(outcome=Outcome.DONE, sha256=row.sha256 or "", size_bytes=row.size_bytes or 0, told=True)
        run.ledger.move(row.id, State.RENDERED)  # the bytes did not survive; the provider has them
        return None
    try:
        got = await retrieve(run, row, part, number)
    except Ended as exc:
        job_end.book(run, row, number, exc.status, row.rendered_at or run.now())
    except Gone as exc:
        run.ledger.move(row.id, State.LOST, error=str(exc), error_code=NOT_KEPT if exc.for_good else None)
        run.say(number, f"paid {show(row.charged)}, but {exc}", event="lost", job=row.job_id)
    else:
        run.ledger.move(row.id, State.FETCHED, sha256=got.sha256, size_bytes=got.size_bytes)
        return got
    return None


def _doubt(run: Run, row: Purchase, judgement: Judgement, got: Brought, last: str) -> str:
    """Why the bytes may not be what was bought, and must be fetched again; "" if they are believed.

    The same bytes twice: that is what the provider has. Of damaged bytes that is believed only if they came in one
    piece, with a length and a container.
    """
    twice = got.sha256 == last
    match judgement.verdict:
        case Verdict.DAMAGED:
            return "" if _came_whole(judgement, got, last) else f"came damaged ({judgement.reason})"
        case Verdict.BAD:
            return "" if twice else f"is not what was bought ({judgement.reason})"
        case _:
            twin = run.ledger.same_bytes(got.sha256, row.recipe)
            return "" if twice or twin is None else f"is the same video as shot {twin.shot_number}"


def _came_whole(judgement: Judgement, got: Brought, last: str) -> bool:
    believable = judgement.verdict is not Verdict.DAMAGED or (got.told and got.one_piece and judgement.container)
    return got.sha256 == last and believable


def _lose(run: Run, row: Purchase, part: Path, number: int, why: str) -> None:
    """Bytes that came once, are not what was bought, and can't be asked for again: they prove nothing of the job."""
    run.ledger.move(row.id, State.RENDERED)
    run.ledger.move(row.id, State.LOST, error=why)
    run.say(number, f"paid {show(row.charged)}, but {why}", event="lost", job=row.job_id)
    discard(part)


async def _is_fetched_anew(run: Run, row: Purchase, part: Path, number: int, doubt: str) -> bool:
    """Ask where the file is now, and make room for it; a job that is not known any more may have it where it was.

    False if there are no other bytes to be had. Raises ClipFailed.
    """
    try:
        await fresh_url(run, row)
    except (Gone, Ended):
        return await _comes_otherwise(run, row, part, number, doubt)
    run.say(number, f"{doubt}; downloading again", event="damaged", job=row.job_id)
    run.ledger.move(row.id, State.RENDERED)
    discard(part)
    return True


async def _comes_otherwise(run: Run, row: Purchase, part: Path, number: int, doubt: str) -> bool:
    """Once more from the address that has worked, beside what came from there: that stays, unless other bytes come.

    Raises ClipFailed if the address may still have them.
    """
    beside = part.with_name(f"{row.id}-again{part.suffix}")
    where, first = row.urls.get("output", ""), run.ledger.get(row.id).sha256
    run.say(number, f"{doubt}; downloading again", event="damaged", job=row.job_id)
    try:
        got = await run.hands.do(
            Bring(purchase_id=row.id, base_url=row.base_url, part=beside, wanted=wanted(run, row), url=where)
        )
        if got.outcome not in (Outcome.DONE, Outcome.EXPIRED):
            raise ClipFailed(f"{doubt}, and {got.reason}; it is paid and kept, run again, or {how_to_end(row)}")
        if got.outcome is Outcome.EXPIRED or got.sha256 == first:
            return False
        run.ledger.move(row.id, State.RENDERED)
        beside.replace(part)
        run.ledger.move(row.id, State.FETCHED, sha256=got.sha256, size_bytes=got.size_bytes)
        return True
    finally:
        discard(beside)


# ── check and publish ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _judge(run: Run, row: Purchase, part: Path) -> tuple[Judgement, str]:
    """A verdict about the bytes that are here, and the host of the worker that gave it ("": this one)."""
    job = Bring(purchase_id=row.id, base_url=row.base_url, part=part, wanted=wanted(run, row), kept=True)
    looked = await run.hands.do(job)
    assert looked.judgement is not None, "BUG: a check without a judgement"
    return looked.judgement, looked.by


def _publish(run: Run, row: Purchase, part: Path, judgement: Judgement, got: Brought, number: int) -> None:
    """Among the takes, and booked: accepted, or rejected and kept."""
    good = judgement.verdict is Verdict.GOOD
    take, path = _place_for(run, row, judgement, got.sha256)
    if (twin := run.ledger.same_bytes(got.sha256, row.recipe)) is not None:
        text = f"{row.provider} delivers the same video as shot {twin.shot_number}; look at both"
        run.say(number, text, event="same_bytes", job=row.job_id)
        remarks = (*judgement.remarks, f"the same video as shot {twin.shot_number}")
        judgement = dataclasses.replace(judgement, remarks=remarks)
    publish_take(part, path, got.sha256)
    booked = _as_take(row, judgement, got, take, path.relative_to(run.outputs.root), _claims(path))
    code = None if good else judgement.code
    with contextlib.suppress(OSError):  # before the commit: a take that the ledger knows has its receipt
        receipts.write(row, booked, path, ledger=run.ledger.identity, error_code=code)
    run.ledger.book_take(
        booked,
        State.ACCEPTED if good else State.REJECTED,
        error=None if good else judgement.reason,
        error_code=code,
    )
    discard(part)
    _keep_poster(run, judgement, got.sha256)
    if not good:
        text = f"rejected: {judgement.reason} (paid {show(row.charged)}, kept as {path.name})"
        run.say(number, text, event="rejected", take=take, job=row.job_id)
    elif judgement.remarks:
        run.say(number, f"look at it: {'; '.join(judgement.remarks)}", event="remark", take=take, job=row.job_id)


def _place_for(run: Run, row: Purchase, judgement: Judgement, sha256: str) -> tuple[int, Path]:
    """The next take's number and file; one that a run left when it was killed before its commit is passed over."""
    good, suffix = judgement.verdict is Verdict.GOOD, judgement.suffix
    take = run.ledger.next_take(recipe.family(row.manifest), simulated=row.simulated)
    while True:
        path = run.outputs.take(row.recipe, take, simulated=row.simulated, good=good, suffix=suffix)
        if not path.exists() or atomic.sha256(path) == sha256:
            return take, path
        take += 1


def _claims(path: Path) -> str | None:
    """What the take says of its making: read once, here, so that nobody need open it again. A few kB of a film."""
    try:
        return claims.scan(path).to_json()
    except OSError:
        return None


def _keep_poster(run: Run, judgement: Judgement, sha256: str) -> None:
    """For the gallery, which draws what it does not find."""
    if judgement.poster is None:
        return
    with contextlib.suppress(OSError):
        run.outputs.posters.mkdir(exist_ok=True)
        part = run.outputs.posters / f".{sha256}.part"
        part.write_bytes(judgement.poster)
        part.replace(run.outputs.posters / f"{sha256}.jpg")


def _as_take(row: Purchase, judgement: Judgement, got: Brought, take: int, path: Path, claimed: str | None) -> Take:
    good, facts = judgement.verdict is Verdict.GOOD, judgement.facts
    generation_s = (row.rendered_at or 0) - (row.submitted_at or 0)
    return Take(
        purchase_id=row.id,
        recipe=row.recipe,
        simulated=row.simulated,
        take=take,
        path=path.as_posix(),
        good=good,
        reason=None if good else judgement.reason,
        sha256=got.sha256,
        size_bytes=got.size_bytes,
        width=facts.width if facts else None,
        height=facts.height if facts else None,
        duration_s=facts.duration_s if facts else None,
        fps=facts.fps if facts else None,
        codec=facts.codec if facts else None,
        has_audio=facts.has_audio if facts else None,
        generation_s=round(max(0.0, generation_s), 3),
        remarks=judgement.remarks,
        claims=claimed,
        checked_at_host=(got.by or None) if got.judgement is not None else None,
    )

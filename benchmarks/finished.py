"""A production of N shots whose clips are all done, made in seconds. `python -m benchmarks.finished DIRECTORY N`.

Rows go through the ledger's own door, files through `files`; only the wait for a disk and for a provider is left out.
"""

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from doit.dependency import Dependency, JsonDB
from doit.task import Task

from benchmarks.workload import ENVIRON, make_project
from vgen.cli import reporting
from vgen.cli.services import real_services
from vgen.cli.session import Session
from vgen.plan.decision import Action
from vgen.plan.request import ShotRequest
from vgen.store import failpoints
from vgen.store.ledger import Ledger
from vgen.store.purchase import State
from vgen.store.records import NewPurchase, Placed, Take
from vgen.store.takes import place_clip

STARTED_AT = 1_795_000_000.0
TAKE_BYTES = 200
"""vgen never opens a file whose size and time are as it left them, so a take may be small."""


def make_finished(root: Path, n: int) -> None:
    """A project whose n clips are bought, in place and reported; `doit` finds nothing to do there."""
    make_project(root, n)
    session = Session(root, ENVIRON, dataclasses.replace(real_services(), tell=lambda *_: None))
    project = session.workspace
    assert not project.problems, project.problems
    with failpoints.hooked(fsync=lambda _: None):
        project.outputs.prepare()
        with contextlib.closing(Ledger(project.outputs.ledger, now=lambda: STARTED_AT)) as ledger, _in_one(ledger):
            ledger.start_run(session.run.id, simulated=False, cap=project.ready.cap)
            for request in project.requests:
                _buy(session, ledger, request)
        session.look_again()
        reporting.write_report(session)
    assert all(step.action is Action.KEEP for step in session.plan.steps), "BUG: not all clips are done"
    _remember_tasks(root, n)


@contextlib.contextmanager
def _in_one(ledger: Ledger) -> Iterator[None]:
    """All moves in one transaction, and the cap checked by nobody: the rest of the schema does its work."""
    db = ledger._db
    db.execute("BEGIN IMMEDIATE")
    guard = db.execute("SELECT sql FROM sqlite_master WHERE name = 'cap_guard'").fetchone()
    if guard:
        db.execute("DROP TRIGGER cap_guard")
    ledger._tx = lambda _: contextlib.nullcontext()  # type: ignore[method-assign,assignment]
    yield
    if guard:
        db.execute(guard[0])
    db.execute("COMMIT")


def _buy(session: Session, ledger: Ledger, request: ShotRequest) -> None:
    """The rows and files that one purchase leaves behind."""
    project = session.workspace
    offer = request.offers[0]
    order, made = offer.order, request.recipes[offer.provider]
    assert order is not None
    provider = project.ready.providers[offer.provider]
    digest = made.digest
    job = f"00000000-0000-4000-8000-{request.number:012d}"
    row = ledger.reserve(
        NewPurchase(
            run_id=session.run.id,
            shot_number=request.number,
            recipe=digest,
            manifest=made.manifest,
            simulated=False,
            provider=provider.name,
            account=provider.account,
            base_url=provider.terms.base_url,
            model=order.model,
            path=order.path,
            request=order.text,
            correlation_seed=str(request.number),
            bought_s=str(order.bought_s),
            price=order.price,
        )
    )
    data = hashlib.sha256(job.encode()).digest().ljust(TAKE_BYTES, b"\0")
    sha256 = hashlib.sha256(data).hexdigest()
    url = f"https://dnznrvs05pmza.cloudfront.net/{job}.mp4?_jwt={digest}"
    ledger.move(row, State.SUBMITTING, submitted_at=STARTED_AT)
    ledger.move(row, State.RENDERING, job_id=job, urls={})
    ledger.move(
        row,
        State.RENDERED,
        charged=order.price,
        charged_by="provider",
        urls={"output": url},
        rendered_at=STARTED_AT + 60,
    )
    ledger.move(row, State.FETCHED, sha256=sha256, size_bytes=len(data))
    outputs = project.outputs
    path = outputs.take(digest, 1, simulated=False, good=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o444)
    ledger.book_take(
        Take(
            purchase_id=row,
            recipe=digest,
            simulated=False,
            take=1,
            path=path.relative_to(outputs.root).as_posix(),
            good=True,
            reason=None,
            sha256=sha256,
            size_bytes=len(data),
            width=720,
            height=1280,
            duration_s=5.0,
            fps=24.0,
            codec="h264",
            has_audio=False,
            generation_s=60.0,
        ),
        State.ACCEPTED,
        error=None,
    )
    stat = place_clip(path, outputs.clip(request.number))
    ledger.place(
        Placed(
            name=outputs.clip(request.number).name,
            shot_number=request.number,
            purchase_id=row,
            sha256=sha256,
            size_bytes=stat.size_bytes,
            mtime_ns=stat.mtime_ns,
        )
    )


def _remember_tasks(root: Path, n: int) -> None:
    """doit's own database as a run that made all clips leaves it."""
    memory = Dependency(JsonDB, str(root / ".doit.db"))
    for name in [*(f"clip:{k}" for k in range(1, n + 1)), "clip", "report"]:
        memory.save_success(Task(name, None))
    memory.close()


if __name__ == "__main__":
    make_finished(Path(sys.argv[1]).resolve(), int(sys.argv[2]))

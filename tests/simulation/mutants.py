"""Bugs put into vgen on purpose, one at a time. A harness that does not catch each within its number is broken."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trio

from simulation.odd import OFF
from simulation.promises import LENIENT
from vgen.errors import NoAnswer, Refusal
from vgen.inputs import images
from vgen.media.judge import Judgement, Verdict
from vgen.plan import alike, decision
from vgen.production import (
    address,
    client,
    deliver,
    download,
    finding,
    job_end,
    job_lists,
    make,
    over,
    poll,
    reconcile,
    retrieve,
    submit,
    workspace,
    world,
)
from vgen.production.clocks import ProviderClocks
from vgen.production.http import HttpClient
from vgen.production.quotes import Quotes
from vgen.production.run import Run
from vgen.providers import fal, runway
from vgen.providers.base import Inconclusive, Queued, RefusalReason, Refused, Unclear
from vgen.store import atomic, database, failpoints
from vgen.store.ledger import Ledger
from vgen.store.purchase import State
from vgen.store.records import Budget, NewPurchase
from vgen.store.takes import name_clip

Patches = Iterator[AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: what it does, how to put it in, which invariants may catch it, within how many schedules from seed 0."""

    what: str
    patches: Callable[[], Patches]
    by: frozenset[str]
    within: int
    draws: frozenset[str] = frozenset()
    """The odd days that find it; only schedules that draw one are counted."""

    def caught(self, violation: str) -> bool:
        """Whether this is the violation that the bug must lead to, and no other."""
        return violation.partition(":")[0] in self.by


MUTANTS: dict[str, Mutant] = {}
UNDRAWN: dict[str, Callable[[], Patches]] = {}
"""Bugs that no schedule meets before what they need is drawn; tests/faults/test_mutants.py catches each by a story."""


@contextlib.contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """vgen with that bug, or as it is."""
    with contextlib.ExitStack() as stack:
        found = MUTANTS[name].patches if name in MUTANTS else UNDRAWN[name] if name else None
        for change in found() if found else ():
            stack.enter_context(change)
        yield


def mutant(
    what: str, by: str, within: int, draws: str = ""
) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    """Put a bug into the table, unless what finds it is still switched off."""

    def enter(patches: Callable[[], Patches]) -> Callable[[], Patches]:
        found = Mutant(what, patches, frozenset(by.split()), within, frozenset(draws.split()))
        if not (found.draws & OFF.keys() or (found.draws and found.by & LENIENT.keys())):
            MUTANTS[patches.__name__] = found
        return patches

    return enter


def _undrawn(patches: Callable[[], Patches]) -> Callable[[], Patches]:
    UNDRAWN[patches.__name__] = patches
    return patches


def instead(home: Any, name: str, new: Any) -> AbstractContextManager[Any]:
    assert hasattr(home, name), f"{home} has no {name} any more: change the mutant"
    return patch.object(home, name, new)


# ── creates ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@mutant("a create whose answer was lost is sent again", "M1 M2 M4 M5", 10)
def resend_lost() -> Patches:
    send = HttpClient.send

    async def eager(self: HttpClient, call: Any, *, timeout_s: float) -> Any:
        for _ in range(2 if call.step == "create" else 0):
            with contextlib.suppress(NoAnswer):
                return await send(self, call, timeout_s=timeout_s)
        return await send(self, call, timeout_s=timeout_s)

    yield instead(HttpClient, "send", eager)


@mutant("a gateway's 5xx page counts as the provider's own refusal", "M1 M2 M4 M5", 60)
def gateway_is_refusal() -> Patches:
    for protocol in (runway, fal):

        def hasty(reply: Any, terms: Any, answer: Any = protocol.answer) -> Any:
            meant = answer(reply, terms)
            if isinstance(meant, Unclear) and reply.status >= 500:
                return Refused(reason=RefusalReason.SERVER_ERROR, message=meant.message)
            return meant

        yield instead(protocol, "answer", hasty)


@mutant("the job's id is written down only after the first wait for a poll", "M5", 60)
def late_id() -> Patches:
    accepted, wait_for = submit._accepted, poll.wait_for
    kept: dict[int, Callable[[], Any]] = {}

    async def later(sent: Any, *args: Any) -> bool:
        kept[sent.row.id] = lambda: accepted(sent, *args)
        return True

    async def wait_first(run: Run, purchase_id: int, number: int) -> None:
        if purchase_id in kept:
            write_down = kept.pop(purchase_id)
            await trio.sleep(5)
            await write_down()
        await wait_for(run, purchase_id, number)

    yield instead(submit, "_accepted", later)
    yield instead(poll, "wait_for", wait_first)


@mutant("uncertain money is released", "M1 M2 M4 M5", 10)
def release_uncertain() -> Patches:
    async def hopeful(self: submit.Sent, reason: str) -> None:
        await self.book(State.NOT_SENT, State.RELEASED, what="not sent", error=reason)

    yield instead(submit.Sent, "uncertain", hopeful)


@mutant("after a crash what was being sent is bought again", "M1 M2 M4 M5", 60)
def buy_again_after_crash() -> Patches:
    def forget(self: Ledger) -> None:
        for row in self.left_over():
            if row.state is State.SUBMITTING:
                self.move(row.id, State.NOT_SENT)
            self.move(row.id, State.RELEASED)

    yield instead(Ledger, "settle_left_over", forget)


@mutant("a lost order that the provider's list does not show at once is released", "M1 M2 M4 M5", 60)
def absent_at_once() -> Patches:
    def trusting(run: Run, row: Any, find: Any, listed: Any, *, may_release: bool) -> Any:
        run.ledger.move(row.id, State.NOT_SENT, error="not listed")
        run.ledger.move(row.id, State.RELEASED)
        return finding.Finding(verdict=finding.Verdict.ABSENT, text="never arrived")

    yield instead(job_lists, "_not_listed", trusting)


@mutant(
    "an order whose answer was lost is sent again, and a refusal of the second try counts for both", "M1 M2 M4 M5", 10
)
def refusal_after_ambiguity() -> Patches:
    send = HttpClient.send

    async def insisting(self: HttpClient, call: Any, *, timeout_s: float) -> Any:
        try:
            return await send(self, call, timeout_s=timeout_s)
        except NoAnswer:
            if call.step != "create":
                raise
            refused = dataclasses.replace(call, url=call.url + "-of-yesterday")  # no such model any more
            return await send(self, refused, timeout_s=timeout_s)

    yield instead(HttpClient, "send", insisting)


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@mutant("a job that can't be polled in time counts as failed, unbilled", "M1 M2 M4 M10 M13", 10)
def buy_again_when_polls_fail() -> Patches:
    def give_up(self: Any) -> None:
        error = "no word for too long"
        self._run.ledger.move(self._row.id, State.FAILED, charged=0, charged_by="assumed", error=error)

    yield instead(poll._Poller, "_detach", give_up)


@mutant("a job that the provider answers 404 for was not charged", "M1 M2 M4 M10 M13", 40)
def missing_is_free() -> Patches:
    def free(self: Any) -> bool:
        error = "the provider does not know it"
        self._run.ledger.move(self._row.id, State.FAILED, charged=0, charged_by="assumed", error=error)
        return True

    yield instead(poll._Poller, "_forgotten", free)


@mutant("jobs are collected at today's primary API, not where they were bought", "M2 M10 M13 M16", 40)
def collect_elsewhere() -> Patches:
    ask = client.ask

    async def confused(run: Run, row: Any) -> Any:
        primary = run.settings.offers[0]
        if primary.name == row.provider:
            return await ask(run, row)
        job = primary.codec.job_from_id(row.job_id, primary.terms.model, primary.terms.base_url)
        moved = dataclasses.replace(row, provider=primary.name, urls=job.urls, base_url=primary.terms.base_url)
        return await ask(run, moved)

    yield instead(client, "ask", confused)
    yield instead(address, "ask", confused)


@mutant("a job whose last word was `queued` counts as queued, however old that word is", "M10 M13", 100)
def stale_queue() -> Patches:
    ask = client.ask
    queued: set[str | None] = set()

    async def remembering(run: Run, row: Any) -> Any:
        status = await ask(run, row)
        if isinstance(status, Inconclusive) and row.job_id in queued:
            return Queued()
        (queued.add if isinstance(status, Queued) else queued.discard)(row.job_id)
        return status

    yield instead(client, "ask", remembering)


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def altered(*statements: str) -> AbstractContextManager[Any]:
    """The ledger's own rules changed, in every ledger that is made."""
    weakened = database.schema() + "".join(f"{statement};\n" for statement in statements)
    return instead(database, "schema", lambda: weakened)


@mutant("the cap is checked outside the transaction, with the figure of the run's start", "M1", 40)
def stale_budget() -> Patches:
    reserve = Ledger.reserve

    def checked_before(self: Ledger, order: NewPurchase, **how: Any) -> int:
        rows = self.snapshot(simulated=order.simulated, cap=None).purchases.values()
        before = sum(row.charged or row.price for row in rows if row.run_id != order.run_id)
        cap = self.cap_of(order.run_id)
        if cap is not None and before + order.price > cap:
            raise Refusal("over budget")
        return reserve(self, order, **how)

    yield altered("DROP TRIGGER IF EXISTS cap_guard")
    yield instead(Ledger, "reserve", checked_before)


@mutant("uncertain money does not count against the cap", "M1", 150, "quote")
def uncertain_is_spendable() -> Patches:
    yield altered(
        "DROP TRIGGER IF EXISTS cap_guard",
        "CREATE TRIGGER cap_guard BEFORE INSERT ON purchases WHEN NEW.price + coalesce((SELECT spent + reserved "
        "FROM budget WHERE simulated = NEW.simulated), 0) > (SELECT cap FROM runs WHERE id = NEW.run_id) "
        "BEGIN SELECT RAISE(ABORT, 'over budget'); END",
    )
    # The plan asks first, by the same sum: it would hide that the ledger lets everything through.
    yield instead(Budget, "exposure", property(lambda self: self.spent + self.reserved))


@mutant("-a and paid retries write down nothing of what they supersede", "M4", 10)
def supersede_silently() -> Patches:
    reserve = Ledger.reserve

    def silently(self: Ledger, order: NewPurchase, **_: Any) -> int:
        return reserve(self, order)

    yield altered("DROP INDEX IF EXISTS one_purchase")
    yield instead(Ledger, "reserve", silently)


@mutant("what a failed job cost is taken to be nothing", "M2 M8", 10)
def failed_is_free() -> Patches:
    as_told = job_end.cost

    def generous(charged: int | None, row: Any) -> tuple[int, str]:
        return (0, "assumed") if charged is None else (min(charged, row.price), as_told(charged, row)[1])

    yield instead(job_end, "cost", generous)


@mutant("a failure that was read off a question that failed is believed at once", "M1 M2 M10 M13 M16", 10)
def believe_a_failed_question() -> Patches:
    yield instead(over, "confirmed", lambda absence: True)


@mutant("two rejections end the attempts at a provider, whatever their reasons", "M14", 60, "bad_twice")
def any_two_rejections() -> Patches:
    def twice(here: Any, request: str) -> Any:
        return next(iter([row for row in here if row.state is State.REJECTED and row.request == request][1:]), None)

    yield instead(alike, "rejected_twice", twice)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@mutant("a download without a length is believed as it came", "M9", 20)
def trust_any_length() -> Patches:
    judge, run = deliver._judge, download.Loader.run
    untold: set[str] = set()

    async def noting(self: Any) -> Any:
        got = await run(self)
        (untold.discard if got.told else untold.add)(str(self._part))
        return got

    async def lenient(run: Run, row: Any, part: Any) -> Any:
        if str(part) in untold:
            return Judgement(verdict=Verdict.GOOD), ""
        return await judge(run, row, part)

    yield instead(download.Loader, "run", noting)
    yield instead(deliver, "_judge", lenient)


@mutant("a clip is published before it is judged", "M9", 10)
def publish_unjudged() -> Patches:
    judge = deliver._judge

    async def blind(run: Run, row: Any, part: Any) -> Any:
        found, by = await judge(run, row, part)
        return dataclasses.replace(found, verdict=Verdict.GOOD), by

    yield instead(deliver, "_judge", blind)


@mutant("a take is published before its bytes are synced", "M9", 150)
def publish_before_fsync() -> Patches:
    fsync = failpoints.fsync

    def careless(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().parent.name != "parts":
            fsync(fd)

    yield instead(failpoints, "fsync", careless)


@mutant("the directory of a take is not synced before the take is booked", "M9", 150)
def book_before_name() -> Patches:
    sync = atomic.sync_directory

    def careless(path: Path) -> None:
        if path.parent.name != "takes":
            sync(path)

    yield instead(atomic, "sync_directory", careless)


@mutant("`outputs` is made without syncing the directory that it stands in", "M2 M5", 250)
def outputs_without_name() -> Patches:
    yield instead(atomic, "make_directory", lambda path: path.mkdir(parents=True, exist_ok=True))


@mutant("a clip is written under its name piece by piece", "M9", 300)
def place_in_pieces() -> Patches:
    place = name_clip

    def piecemeal(take: Any, clip: Any, *may_replace: Any) -> Any:
        data = take.read_bytes()
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(data[: len(data) // 2])
        return place(take, clip, *may_replace)

    yield instead(make, "name_clip", piecemeal)


@mutant("a job of an earlier run that is not found is simply forgotten", "M3 M10 M14 M16", 80)
def forget_orphans() -> Patches:
    async def nothing(*_: Any) -> None:
        return

    yield instead(make, "collect_all", nothing)


# ── odd days: prices, changes, worlds ─────────────────────────────────────────────────────────────────────────────────


@_undrawn
def forget_told_prices() -> Patches:
    """The next run reserves the table's price again, whatever a provider has told."""
    yield instead(workspace, "told_prices", lambda *_, **__: {})


@_undrawn
def unknown_kinds_at_once() -> Patches:
    """All orders of a kind go at once, although nobody knows yet what the first is quoted."""
    yield instead(Quotes, "_is_known", lambda *_: True)


@_undrawn
def keep_what_is_too_dear() -> Patches:
    """A job whose quote passes the cap is waited for, although it could be cancelled free."""

    async def content(*_: Any) -> bool:
        return False

    yield instead(poll, "too_dear", content)


@_undrawn
def send_what_lies_there() -> Patches:
    """The picture that is sent is not held against the recipe."""

    checked = images.checked

    def blind(root: Path, source: Any, _: Any) -> bytes:
        return checked(root, source, images.look(root, source).identity)

    yield instead(images, "checked", blind)


@_undrawn
def overwrite_edits() -> Patches:
    """A clip is replaced by what the plan saw, not by what is there."""
    yield instead(make, "is_as_seen", lambda *_: True)


@_undrawn
def believe_anothers_file() -> Patches:
    """Another shot's file is taken as it comes."""
    yield instead(Ledger, "same_bytes", lambda *_: None)


@_undrawn
def simulator_passes_for_real() -> Patches:
    """`mode=live` is believed, whoever answers at the address."""
    yield instead(world, "settled", lambda settings, *_: settings)


@_undrawn
def simulate_over_the_film() -> Patches:
    """Without a key a run simulates, whatever was paid for in these outputs."""
    yield instead(world, "has_live_purchases", lambda _: False)
    yield instead(world, "other", lambda *_: "")


@_undrawn
def mix_the_worlds() -> Patches:
    """Real money is spent into the outputs of a rehearsal."""
    yield instead(world, "other", lambda *_: "")


@_undrawn
def believe_the_port() -> Patches:
    """Who answers at an address of this machine is not asked again before the first order."""
    yield instead(world, "has_changed", lambda *_: "")


# ── odd days: ends ────────────────────────────────────────────────────────────────────────────────────────────────────


@_undrawn
def absent_at_first_sight() -> Patches:
    """One `not found` is enough for a job to be lost."""
    yield instead(over.Absence, "lasting", property(lambda self: self.begun))


@_undrawn
def absences_add_up() -> Patches:
    """What was not found before something else was heard still counts."""
    yield instead(over.Absence, "broken", lambda self: None)


@_undrawn
def lost_for_good() -> Patches:
    """A lost job is never asked about again."""

    async def never(*_: Any, **__: Any) -> bool:
        return False

    yield instead(reconcile, "ask_again", never)


@_undrawn
def bad_at_first_sight() -> Patches:
    """A whole file that is not what was bought is believed at once."""
    doubt = deliver._doubt

    def trusting(run: Run, row: Any, judgement: Any, *rest: Any) -> str:
        return "" if judgement.verdict is Verdict.BAD else doubt(run, row, judgement, *rest)

    yield instead(deliver, "_doubt", trusting)


@_undrawn
def any_account_forgets() -> Patches:
    """An account that did not buy a job may say that it is gone."""
    ask, provider_of = client.ask, Run.provider_of

    async def indifferent(run: Run, row: Any) -> Any:
        provider = provider_of(run, row)
        return await ask(run, dataclasses.replace(row, account=provider.account) if provider else row)

    yield instead(client, "ask", indifferent)
    yield instead(address, "ask", indifferent)


@_undrawn
def our_clock_tells() -> Patches:
    """Ages are told by this machine's clock."""
    yield instead(ProviderClocks, "now", lambda self, provider: self._now())


@_undrawn
def no_earlier_order_needed() -> Patches:
    """A list that shows no earlier order proves that one never arrived."""
    jobs_around = Ledger.jobs_around

    def either(self: Ledger, purchase_id: int) -> tuple[set[str], set[str]]:
        before, after = jobs_around(self, purchase_id)
        return before | after, before | after

    yield instead(Ledger, "jobs_around", either)


@_undrawn
def settle_uncertain_only() -> Patches:
    """Only uncertain purchases can be settled."""
    yield instead(Ledger, "unfinished", Ledger.uncertain)


@_undrawn
def no_way_out() -> Patches:
    """Messages name no command that ends a purchase."""
    for home in (decision, poll, retrieve, deliver):
        yield instead(home, "how_to_end", lambda row: "wait")

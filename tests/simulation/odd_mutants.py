"""Bugs that only odd days find. As in `mutants`: put in at ports and public functions, one at a time."""

import dataclasses
from typing import Any

from simulation.mutants import Patches, instead, mutant
from vgen.errors import AlreadyBought, LedgerError
from vgen.inputs import sections, settings
from vgen.inputs.shots import Shot
from vgen.media.judge import Verdict
from vgen.plan import decision
from vgen.plan import request as requesting
from vgen.production import deliver, make, reconcile, workspace
from vgen.production.clocks import ProviderClocks
from vgen.production.run import Run
from vgen.providers import fal, runway
from vgen.providers.base import Accepted, Failed, Missing
from vgen.store import freshness, order_slips
from vgen.store.ledger import Ledger
from vgen.store.mark import Mark
from vgen.store.purchase import State
from vgen.store.records import Facts, Purchase


@mutant("a 404 about a job is the provider's word that it failed, and cost nothing", "M1 M2 M8 M10 M16", 10, "gateway")
def absence_is_failure() -> Patches:
    for protocol in (runway, fal):

        def hasty(*args: Any, status: Any = protocol.status) -> Any:
            meant = status(*args)
            if isinstance(meant, Missing):
                return Failed(message="not found", code="", again=True, charged=0)
            return meant

        yield instead(protocol, "status", hasty)


@mutant("what was called lost stays lost", "M7 M14 M16", 40, "gateway")
def lost_for_ever() -> Patches:
    ask_again = reconcile.ask_again

    async def for_ever(run: Run, row: Purchase, number: int, **how: Any) -> bool:
        return row.state is not State.LOST and await ask_again(run, row, number, **how)

    yield instead(reconcile, "ask_again", for_ever)


@mutant("whichever key asks, it is the account that bought the job", "M14 M16", 30, "other_key")
def one_account() -> Patches:
    for home in (sections, settings):
        yield instead(home, "fingerprint", lambda key: "one")


@mutant("an id that can't be written down at once is not written down", "M2 M4 M5", 10, "reader")
def one_chance_to_write() -> Patches:
    move = Ledger.move

    def hasty(self: Ledger, purchase_id: int, to: State, **facts: Any) -> None:
        try:
            move(self, purchase_id, to, **facts)
        except LedgerError as exc:
            if to is State.RENDERING:
                raise AlreadyBought("not now") from exc
            raise

    yield instead(Ledger, "move", hasty)


@mutant("what a create quotes is not read", "M1 M2 M18", 10, "quote")
def deaf_to_quotes() -> Patches:
    answer = runway.answer

    def deaf(reply: Any, terms: Any) -> Any:
        meant = answer(reply, terms)
        return dataclasses.replace(meant, quoted=None) if isinstance(meant, Accepted) else meant

    yield instead(runway, "answer", deaf)


@mutant("a ledger that is older than its mark and its takes is accepted", "M17", 10, "old_ledger")
def accept_an_older_ledger() -> Patches:
    yield instead(freshness, "refuse_unfit", lambda *_, **__: None)


@mutant("the high-water mark is not synced before an order is sent", "M17", 150, "no_ledger")
def mark_without_sync() -> Patches:
    yield instead(Mark, "sync", lambda self: None)


@mutant("answers that a killed run kept beside the ledger are not read", "M5", 10, "reader full_disk")
def blind_to_slips() -> Patches:
    yield instead(order_slips, "read", lambda path: [])


@mutant("when an order was sent is told by this machine's clock", "M1 M2 M5", 10, "behind")
def our_clock() -> Patches:
    dated = ProviderClocks.dated

    def by_ours(self: ProviderClocks, provider: str) -> Facts:
        facts = dated(self, provider)
        return {**facts, "sent_before": self._now()} if facts else facts

    yield instead(ProviderClocks, "dated", by_ours)


@mutant("an interrupted -a is forgotten: the same words buy all of it again", "M21", 20, "again")
def forget_retakes() -> Patches:
    yield instead(Ledger, "ask_retakes", lambda *_, **__: None)


@mutant("-a replaces a clip that somebody edited without keeping the edit", "M20", 10, "again")
def replace_edits() -> Patches:
    yield instead(make, "set_aside", lambda *_: None)


@mutant("one take too many", "M22", 20, "takes")
def one_take_too_many() -> Patches:
    of_shot = workspace._request

    def generous(shot: Shot, *args: Any) -> Any:
        return of_shot(dataclasses.replace(shot, takes=shot.takes + 1) if shot.takes else shot, *args)

    yield instead(workspace, "_request", generous)


@mutant("a draft that counts as final", "M23", 10, "drafts")
def draft_is_final() -> Patches:
    of = requesting.of
    yield instead(requesting, "of", lambda *args, **how: of(*args, **{**how, "tier": None}))


@mutant("a final is no reason not to buy a draft", "M23", 20, "drafts")
def draft_beside_final() -> Patches:
    yield instead(decision, "_final", lambda *_: None)


@mutant("the switch that turns sound off is left out of the order", "M1 M2 M8", 10, "sound")
def omit_the_sound_switch() -> Patches:
    order = fal.order

    def by_default(recipe: Any, terms: Any) -> Any:
        made = order(recipe, terms)
        return dataclasses.replace(made, body={k: v for k, v in made.body.items() if k != "generate_audio"})

    yield instead(fal, "order", by_default)


@mutant("what the tools here can't decode is rejected, and bought again", "M9", 10, "no_decoder")
def reject_on_lack_of_a_decoder() -> Patches:
    judge = deliver._judge

    async def severe(run: Run, row: Purchase, part: Any) -> Any:
        found, by = await judge(run, row, part)
        unable = found.lacking or found.verdict is Verdict.NOT_JUDGED
        return (dataclasses.replace(found, verdict=Verdict.BAD, lacking=False) if unable else found), by

    yield instead(deliver, "_judge", severe)

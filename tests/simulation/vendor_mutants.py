"""Bugs that only the vendors besides Runway and fal meet. As in `mutants`, in schedules that buy there."""

import dataclasses
from typing import Any

from simulation.mutants import Patches, instead, mutant
from vgen.production import poll
from vgen.production.http import HttpClient
from vgen.providers import kling, pika
from vgen.providers.base import Queued, RefusalReason, Refused, Running


@mutant("an order is sent again under another tag than the first time", "M1 M2 M4 M5", 60, "protocols")
def repeat_under_a_fresh_key() -> Patches:
    for protocol in (kling, pika):
        seen: list[str] = []

        def fresh(
            order: Any, terms: Any, key: str, image: Any, tag: str, create: Any = protocol.create, seen: Any = seen
        ) -> Any:
            seen.append(tag)
            again = seen.count(tag)
            return create(order, terms, key, image, tag if again == 1 else f"{tag}-{again}")

        yield instead(protocol, "create", fresh)


@mutant("Kling's refusal of a repeat is taken for a refusal of the order", "M1 M2 M4 M5", 60, "protocols")
def duplicate_is_refusal() -> Patches:
    answer = kling.answer

    def hasty(reply: Any, terms: Any) -> Any:
        meant = answer(reply, terms)
        is_duplicate = isinstance(meant, Refused) and meant.reason is RefusalReason.DUPLICATE
        return dataclasses.replace(meant, reason=RefusalReason.INPUT) if is_duplicate else meant

    yield instead(kling, "answer", hasty)


@mutant("a job whose time is up is deleted, though it runs", "M10", 100, "protocols")
def delete_what_runs() -> Patches:
    ask = poll.client.ask

    async def as_queued(run: Any, row: Any) -> Any:
        status = await ask(run, row)
        return Queued() if isinstance(status, Running) else status

    yield instead(poll.client, "ask", as_queued)


@mutant("a request goes out with the key of the vendor that was asked last", "M15", 10, "protocols")
def key_of_another() -> Patches:
    send = HttpClient.send
    last: list[str] = []

    async def mixed(self: HttpClient, call: Any, *, timeout_s: float) -> Any:
        if call.auth:
            last.append(call.auth)
            call = dataclasses.replace(call, auth=last[-2:][0])
        return await send(self, call, timeout_s=timeout_s)

    yield instead(HttpClient, "send", mixed)

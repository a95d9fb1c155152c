"""`doit doctor`: looks at everything that a run needs and says what to do. Spends nothing, shows no key."""

import shutil
import time
from collections.abc import Iterator
from http import HTTPStatus

import trio

from vgen.errors import Refusal, VgenError
from vgen.inputs.keys import KEY_NAMES
from vgen.inputs.settings import Provider, Settings
from vgen.media.tools import find_tools, verify
from vgen.money import show
from vgen.production.http import HttpClient
from vgen.production.workspace import Project
from vgen.providers import codec
from vgen.providers.base import Reply

REACH_S = 15.0
LOW_DISK_BYTES = 2 << 30


def examine(project: Project) -> Iterator[str]:
    """One line per finding: `ok`, `note` or `FIX`, each with what to do."""
    yield from _tools(project.settings)
    if project.problems:
        for problem in project.problems:
            yield f"FIX   {problem}"
        return
    settings = project.ready
    yield f"ok    config and prompts: {len(project.requests)} shots, {', '.join(settings.providers)} configured"
    for warning in settings.warnings:
        yield f"note  {warning}"
    yield from _keys(settings)
    yield from _disk(project)
    yield from _ledger(project)


def _tools(settings: Settings | None) -> Iterator[str]:
    try:
        tools = find_tools(settings.ffmpeg if settings else None, settings.ffprobe if settings else None)
        versions = trio.run(verify, tools)
        yield f"ok    ffmpeg {versions[0]} and ffprobe {versions[1]} ({tools.source})"
    except VgenError as exc:
        yield f"FIX   {exc}"


def _keys(settings: Settings) -> Iterator[str]:
    for provider in settings.providers.values():
        names = " or ".join(KEY_NAMES.get(provider.name, (f"{provider.name.upper()}_API_KEY",)))
        if settings.simulated:
            yield f"note  {provider.name}: not used, this project simulates; set {names} (environment or .env) to buy"
        elif provider.closed:
            yield f"note  {provider.closed}"
        else:
            terms = provider.terms
            yield f"ok    {terms.provider}: key set, account {provider.account}, {terms.model} at {terms.base_url}"
            yield _reached(provider)


def _reached(provider: Provider) -> str:
    """Ask the provider something that costs nothing, where there is such a thing."""
    name, protocol = provider.name, codec(provider.name)
    if not hasattr(protocol, "account"):
        return f"note  {name}: has no free call, so it was not asked"
    call = protocol.account(provider.terms.base_url, provider.key or "")

    async def ask() -> Reply:
        async with HttpClient(now=time.time) as http:
            return await http.send(call, timeout_s=REACH_S)

    try:
        reply = trio.run(ask)
    except VgenError as exc:
        return f"FIX   {name}: {exc}; check base_url and the network"
    if reply.status != HTTPStatus.OK:
        return f"FIX   {name}: answered HTTP {reply.status}; check the key"
    balance = reply.object().get("creditBalance")
    return f"ok    {name}: reached" + (f", {balance} credits left" if isinstance(balance, int) else "")


def _disk(project: Project) -> Iterator[str]:
    place = project.outputs.root if project.outputs.root.exists() else project.root
    free = shutil.disk_usage(place).free
    word = "ok   " if free > LOW_DISK_BYTES else "FIX  "
    yield f"{word} {free >> 20:,} MiB free at {project.ready.run.outputs}"
    try:
        project.outputs.refuse_symlinks()
    except Refusal as exc:
        yield f"FIX   {exc}"


def _ledger(project: Project) -> Iterator[str]:
    try:
        budget = project.plan().budget
    except VgenError as exc:
        yield f"FIX   {exc}"
        return
    cap = "no cap binds play money" if budget.cap is None else f"of {show(budget.cap)}"
    held = f"reserved {show(budget.reserved)}, uncertain {show(budget.uncertain)}"
    yield f"ok    ledger: spent {show(budget.spent)}, {held}, {cap}"

"""`doit doctor`: looks at everything that a run needs and says what to do. Spends nothing, shows no key."""

import shutil
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vgen.cli.command import Action, Command
from vgen.cli.commands import credentials
from vgen.cli.live import working
from vgen.errors import ClipFailed, Refusal, VgenError
from vgen.inputs.settings import Provider, Settings
from vgen.money import show
from vgen.store.freshness import refuse_unfit
from vgen.views import terminal
from vgen.views.progress import Work

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.production.services import Services
    from vgen.production.workspace import Workspace

REACH_S = 15.0
LOW_DISK_BYTES = 2 << 30


async def examine(session: "Session", work: Work) -> AsyncIterator[str]:
    """One line per finding: `ok`, `note` or `FIX`, each with what to do."""
    workspace = session.workspace
    work.begin("checking ffmpeg and ffprobe")
    yield await _tools(workspace.settings)
    if workspace.problems:
        for problem in workspace.problems:
            yield f"FIX   {problem}"
        return
    settings = workspace.ready
    yield f"ok    config and prompts: {len(workspace.requests)} shots, {', '.join(settings.providers)} configured"
    for text in _tables(settings):
        yield text
    closed = {provider.closed for provider in settings.providers.values()}  # told below
    for warning in (text for text in workspace.warnings if text not in closed):
        yield f"note  {warning}"
    for text in _proxy(settings):
        yield text
    async for text in _keys(settings, session.services, work):
        yield text
    if settings.run.cluster:
        from vgen.cluster.examine import examined

        work.begin("asking the cluster")
        async for text in examined(settings, workspace.outputs.root, workspace.outputs.private):
            yield text
    for text in _disk(workspace):
        yield text
    for text in _signing(session):
        yield text
    work.begin("checking the ledger")
    yield _ledger(session)


async def _tools(settings: Settings | None) -> str:
    from vgen.media.tools import find_tools, verify

    try:
        tools = find_tools(settings.ffmpeg if settings else None, settings.ffprobe if settings else None)
        versions = await verify(tools)
    except VgenError as exc:
        return f"FIX   {exc}"
    return f"ok    ffmpeg {versions[0]} and ffprobe {versions[1]} ({tools.source})"


def _tables(settings: Settings) -> Iterator[str]:
    """How old the tables of models are that the configured providers go by."""
    used = {provider.protocol: provider for provider in settings.providers.values()}
    for protocol, provider in used.items():
        if (table := provider.codec.VENDOR.models) is not None:
            own = len(provider.terms.own_models)
            beside = f", and {own} of {table.own_file}" if own else ""
            yield f"ok    models of {protocol}: {table.as_of()}{beside}"


async def _keys(settings: Settings, services: "Services", work: Work) -> AsyncIterator[str]:
    for provider in settings.providers.values():
        names = " or ".join(provider.key_names)
        if settings.in_process:
            yield f"note  {provider.name}: not used, this project simulates; set {names} (environment or .env) to buy"
        elif provider.closed:
            yield f"{'FIX  ' if settings.keyless and settings.run.mode == 'live' else 'note '} {provider.closed}"
        else:
            terms = provider.terms
            yield f"ok    {terms.provider}: key set, account {provider.account}, {terms.model} at {terms.base_url}"
            work.begin(f"asking {provider.name}")
            yield await _reached(provider, services, settings.run.proxy)


def _proxy(settings: Settings) -> Iterator[str]:
    """With a proxy nobody here sees where a media host's name leads."""
    if not (address := settings.run.proxy):
        return
    where = urlsplit(address).netloc.rpartition("@")[2]
    if settings.in_process:
        yield f"note  the proxy at {where} was not tried: this project simulates, and asks no provider"
    else:
        yield f"note  all requests go through the proxy at {where}; it resolves names, so vgen checks only their form"


async def _reached(provider: Provider, services: "Services", proxy: str) -> str:
    """Ask the provider something that costs nothing, where there is such a thing."""
    from vgen.production.http import HttpClient

    name, account = provider.name, provider.codec.ACCOUNT
    if account is None:
        return f"note  {name}: has no free call, so it was not asked"
    call = account.ask(provider.terms.base_url, provider.key or "")
    try:
        async with HttpClient(now=services.now, tls=services.tls, proxy=proxy) as http:
            reply = await http.send(call, timeout_s=REACH_S)
    except VgenError as exc:
        return f"FIX   {name}: {exc}; check {'the proxy, ' if proxy else ''}base_url and the network"
    if reply.status != HTTPStatus.OK:
        return f"FIX   {name}: answered HTTP {reply.status}; check the key"
    left = account.credits_left(reply)
    return f"ok    {name}: reached" + ("" if left is None else f", {left} credits left")


def _disk(workspace: "Workspace") -> Iterator[str]:
    place = workspace.outputs.root if workspace.outputs.root.exists() else workspace.root
    free = shutil.disk_usage(place).free
    word = "ok   " if free > LOW_DISK_BYTES else "FIX  "
    yield f"{word} {free >> 20:,} MiB free at {workspace.ready.run.outputs}"
    try:
        workspace.outputs.refuse_symlinks()
    except Refusal as exc:
        yield f"FIX   {exc}"


def _signing(session: "Session") -> Iterator[str]:
    """Nothing, if there is no certificate."""
    try:
        signer = credentials.ready(session).identity
    except VgenError as exc:
        yield f"FIX   {exc}"
        return
    if why := credentials.lacking(session):
        yield f"note  conformed clips and the cut are {why}"
    elif signer is not None:
        yield f"ok    conformed clips and the cut are signed: {signer.subject}, until {signer.ends_at:%Y-%m-%d}"


def _ledger(session: "Session") -> str:
    try:
        refuse_unfit(session.workspace.outputs, thorough=True)
        budget = session.plan.budget
    except VgenError as exc:
        return f"FIX   {exc}"
    cap = "no cap binds play money" if budget.cap is None else f"of {show(budget.cap)}"
    held = f"reserved {show(budget.reserved)}, uncertain {show(budget.uncertain)}"
    return f"ok    ledger: spent {show(budget.spent)}, {held}, {cap}"


def _begin(session: "Session") -> Action:
    async def show() -> None:
        """Raises ClipFailed if a line says FIX."""
        faults = 0
        async with working("checking") as work:
            async for text in examine(session, work):
                terminal.out(text)
                faults += text.startswith("FIX")
        if faults:
            raise ClipFailed(f"{faults} to fix")

    return show


COMMAND = Command(
    name="doctor",
    doc="is everything there that a run needs, and what to do if not",
    usage=(("doit doctor", "is everything there that a run needs? Exit 1 if not"),),
    begin=_begin,
    needs_lock=False,
    bears_unfit_ledger=True,
    bears_problems=True,
)

"""`doit learn`: ask the vendor once, without a key, what a model takes, and keep the answer in the project."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed, InputError, WireError
from vgen.inputs import own_models
from vgen.inputs.keys import is_loopback
from vgen.inputs.settings import Settings
from vgen.providers.base import CannotMake
from vgen.providers.codec import ModelTable
from vgen.store.atomic import make_directory, write_whole
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session

EXAMPLE = "doit learn model=fal-ai/veo3.1"
ASK_S = 30.0


def _check(variables: Mapping[str, str]) -> list[str]:
    model = variables.get("model", "").strip("/")
    good = model and model.isprintable() and not any(c.isspace() or c in "?#%\\" for c in model)
    return [] if good else [f"model={model}: say which, as in `{EXAMPLE}`; `doit models` lists those that are known"]


def _begin(session: "Session") -> Action:
    """Raises InputError if the project's file can't be read, or has a row that somebody wrote by hand."""
    workspace, model = session.workspace, session.variables["model"].strip("/")
    settings = workspace.settings
    if settings is None:
        raise InputError(workspace.problems)
    protocol, table = next(own_models.tables())
    own = own_models.load(workspace.root, table)
    if model in own and "learned" not in own[model]:
        raise InputError([f"{table.own_file}: has a row for {model} that was written by hand; take it out to learn it"])
    base_url = _where(settings, protocol, table)

    async def learn() -> None:
        """Raises ClipFailed if there is no usable answer; then the file stays as it is."""
        from vgen.production.http import HttpClient

        services, proxy = session.services, settings.run.proxy
        try:
            async with HttpClient(now=services.now, tls=services.tls, proxy=proxy) as http:
                reply = await http.send(table.ask(model, base_url), timeout_s=ASK_S)
            row = table.row(reply, model)
        except (WireError, CannotMake) as exc:
            terminal.line(None, f"not learned: {exc}")
            raise ClipFailed("nothing was written") from exc
        before = own.get(model) or _shipped(table, model)
        kept = {"price": before["price"]} if "price" in before else {}
        today = datetime.fromtimestamp(services.now(), UTC).date().isoformat()
        document = own_models.document(workspace.root, table)
        path = workspace.root / table.own_file
        try:
            make_directory(path.parent)
            write_whole(path, own_models.with_row(document, model, {**row, **kept, "learned": today}))
        except OSError as exc:
            raise ClipFailed(f"{table.own_file} can't be written: {exc.strerror}") from exc
        learned = own_models.load(workspace.root, table)
        text = next(text for name, text in table.listed(learned) if name == model)
        terminal.line(None, f"learned {model}: {text}; written into {table.own_file}")

    return learn


def _shipped(table: ModelTable, model: str) -> Mapping[str, Any]:
    return table.shipped().get(model, {})


def _where(settings: Settings, protocol: str, table: ModelTable) -> str:
    """The vendor; or the rehearsal's server on this machine, if a section of the protocol leads there."""
    places = [provider.configured_url for provider in settings.providers.values() if provider.protocol == protocol]
    return next((place for place in places if is_loopback(place)), table.learn_from)


COMMAND = Command(
    name="learn",
    doc="ask fal what a model takes that vgen does not know: model=ID; keyless, free",
    usage=((EXAMPLE, "ask fal what a model takes, free; kept in config/fal_endpoints.json"),),
    variables=("model",),
    example=EXAMPLE,
    check=_check,
    begin=_begin,
    needs_lock=False,
    bears_problems=True,
    bears_unfit_ledger=True,
)

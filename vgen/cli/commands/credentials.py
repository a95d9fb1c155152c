"""`doit credentials`: makes a certificate to sign with if there is none, and shows what the files here claim."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed, InputError
from vgen.inputs.settings import Settings
from vgen.money import usd
from vgen.plan.decision import File
from vgen.store.outputs import clip_name
from vgen.views import terminal
from vgen.views.claims import in_words

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.media.credentials import Identity, Place
    from vgen.media.provenance import Provenance
    from vgen.store.records import Purchase

SIGNER = "vgen, self-signed"
MOST_NAME = 64
"""Characters: X.509 has room for no longer name (RFC 5280, ub-common-name)."""


# ── for conform and cut ───────────────────────────────────────────────────────────────────────────────────────────────


def asked(session: "Session") -> "Provenance":
    """What conformed clips and the cut shall say, as far as it decides whether they are up to date."""
    from vgen.media.provenance import NOTHING, Provenance

    settings = session.workspace.ready
    if settings.simulated:
        return NOTHING
    place, certificate = _place(settings), ""
    if settings.run.sign and place is not None and _can_sign():
        try:
            certificate = place.digest()
        except OSError:
            certificate = "unreadable"
    return Provenance(ai_mark=settings.run.ai_mark, certificate=certificate)


def ready(session: "Session") -> "Provenance":
    """The same, ready to sign. Raises InputError if the certificate or its key is no good."""
    from dataclasses import replace

    from vgen.media.credentials import load

    wanted, place = asked(session), _place(session.workspace.ready)
    if not wanted.certificate or place is None:
        return wanted
    identity = load(place, session.services.now())
    return replace(wanted, certificate=identity.digest, identity=identity)


def lacking(session: "Session") -> str:
    """Why nothing is signed though there is a certificate: what is missing, in one line; "" if nothing is."""
    from vgen.extras import how_to_install
    from vgen.media.credentials import EXTRA

    settings = session.workspace.ready
    if settings.simulated or not settings.run.sign or _place(settings) is None or _can_sign():
        return ""
    return f"not signed, c2pa-python is missing: install the extra: {how_to_install(EXTRA)}; sign=no ends this line"


def made_by(row: "Purchase | None", file: File) -> str:
    """The digital source type of a clip in place: "" if it was simulated. One edited by hand is a mix."""
    from vgen.media.ai_mark import COMPOSITE, TRAINED

    if row is None or row.simulated:
        return ""
    return COMPOSITE if file is File.EDITED else TRAINED


def details(wanted: str, row: "Purchase | None", number: int) -> Mapping[str, Any]:
    """What a signature shall tell of a shot: only what is `wanted`, names with commas between."""
    if row is None or not wanted:
        return {}
    manifest = dict(row.manifest)
    known = {
        "prompt": manifest.get("prompt"),
        "seed": manifest.get("seed"),
        "price": usd(row.charged),
        "provider": row.provider,
        "model": row.model,
    }
    return {"shot_number": number} | {name: known[name] for name in wanted.split(",") if known.get(name) is not None}


def _can_sign() -> bool:
    from vgen.media.credentials import is_installed

    return is_installed()


def _place(settings: Settings) -> "Place | None":
    """The user's own certificate by configuration, else the one that `doit credentials` made."""
    from vgen.media.credentials import Place, made_in

    run = settings.run
    if run.sign_certificate:
        return Place(certificate=settings.root / run.sign_certificate, key=settings.root / run.sign_key)
    return made_in(settings.config_home)


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(variables: Mapping[str, str]) -> list[str]:
    name = variables.get("signer", SIGNER)
    good = name.isprintable() and name.strip() == name and 0 < len(name) <= MOST_NAME
    return [] if good else [f"signer={name}: give a name of at most {MOST_NAME} characters, on one line"]


def _begin(session: "Session") -> Action:
    """Raises InputError if there is a certificate that is no good."""
    settings = session.workspace.ready
    place, installed = _place(settings), _can_sign()
    if place is not None and "signer" in session.variables:
        raise InputError(
            [f"signer: there is a certificate, {place.certificate}; move it and its key away to make another"]
        )
    identity = _load(place, session) if place is not None and installed else None

    async def show() -> None:
        """Raises ClipFailed if no certificate can be made."""
        _show_certificate(session, place, identity, installed=installed)
        for text in _claims(session, checked=installed):
            terminal.out(text)
        if place is None and not installed:
            raise ClipFailed("no certificate was made")

    return show


def _load(place: "Place", session: "Session") -> "Identity":
    from vgen.media.credentials import load

    return load(place, session.services.now())


def _show_certificate(
    session: "Session", place: "Place | None", identity: "Identity | None", *, installed: bool
) -> None:
    from vgen.extras import how_to_install
    from vgen.media import credentials

    settings = session.workspace.ready
    if not installed:
        terminal.line(
            None, f"can't sign, c2pa-python is missing: install the extra: {how_to_install(credentials.EXTRA)}"
        )
        return
    if identity is None:
        if settings.config_home is None:
            raise ClipFailed(
                "no folder for a certificate: set HOME, or give your own with sign_certificate and sign_key"
            )
        now = session.services.now()
        place = credentials.make(settings.config_home, session.variables.get("signer", SIGNER), now)
        identity = credentials.load(place, now)
        terminal.line(None, f"made a certificate, {place.certificate}, and its key beside it, which only you can read")
    assert place is not None
    terminal.out(f"certificate {place.certificate}: {identity.subject}, ends {identity.ends_at:%Y-%m-%d}")
    when = "sign" if settings.run.sign else "would sign, but sign=no says not to"
    terminal.out(f"conform and cut {when}; readers say that it is valid, and that they don't know who signed")


def _claims(session: "Session", *, checked: bool) -> Iterator[str]:
    """A line for each clip in place, each conformed one, and the cut."""
    from vgen.media.claims import scan

    outputs = session.workspace.outputs
    names = [clip_name(step.number) for step in session.plan.steps]
    for path in (*(folder / name for name in names for folder in (outputs.clips, outputs.conformed)), outputs.cut):
        if path.is_file():
            yield f"{session.workspace.relative(path)}: {_said(path, scan(path).to_json(), checked=checked)}"


def _said(path: Path, claims: str | None, *, checked: bool) -> str:
    words = in_words(claims)
    said = f"claims {words}" if words else "claims nothing"
    if not checked or "C2PA" not in words:
        return said
    from vgen.media.signing import read

    found = read(path)
    return f"{said}; checked: {', '.join(filter(None, (found.state, *found.faults)))}" if found.state else said


COMMAND = Command(
    name="credentials",
    doc="a certificate to sign with, and what the files here claim about how they were made",
    usage=(("doit credentials", "make a certificate, so that conform and cut sign (C2PA)"),),
    variables=("signer",),
    check=_check,
    begin=_begin,
    needs_lock=False,
)

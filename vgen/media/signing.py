"""C2PA manifests: signs a film, and reads what a film's manifests say. Blocking; opens no connection.

The traps are those of c2pa-python 0.38.1, each seen in a run. Its `sign_file` empties its target before it looks
whether it can sign: here a new file is written, read back, and only then takes the other's place. It fetches a manifest
from an address inside a file unless that is switched off, and a setting whose name is wrong is passed over in silence:
a test holds that no request is made. The state of a film says nothing of its ingredients: each is looked at.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgen import __version__
from vgen.errors import NotSigned
from vgen.media.ai_mark import VOCABULARY
from vgen.media.credentials import Identity
from vgen.media.tools import one_line

VERSION = 1
"""Raise it when the same film would get another manifest: what was signed is then made again, free."""
MOST_BYTES = 1 << 30
"""Of a film that is signed: c2pa takes twice as much memory."""
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},
}
_FORMAT = "video/mp4"
_ELSEWHERE = "manifest.inaccessible"
_UNTRUSTED = "signingCredential.untrusted"
"""That nobody known has vouched for the signer: so it is with one's own certificate, and with many others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """A film that another one was made from. `label` names it among the ingredients, `title` is what readers see."""

    label: str
    title: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a film's manifests say. `state`: `Valid`, `Trusted`, `Invalid`, or why they can't be read; "" without any.

    `faults`: what does not hold, in the film or in what it was made from; a signer whom nobody vouches for is none.
    """

    state: str = ""
    faults: tuple[str, ...] = ()


Actions = Callable[[Sequence[Ingredient]], list[dict[str, Any]]]
"""The actions of a manifest, for the ingredients that could be read."""


def opened(source_type: str) -> Actions:
    """Of a film that ffmpeg made from one other: opened, and transcoded. Without the other: created."""

    def actions(of: Sequence[Ingredient]) -> list[dict[str, Any]]:
        first: dict[str, Any] = {"digitalSourceType": VOCABULARY + source_type}
        if of:
            first |= {"action": "c2pa.opened", "parameters": {"ingredientIds": [one.label for one in of]}}
        else:
            first |= {"action": "c2pa.created"}
        return [first, {"action": "c2pa.transcoded", "softwareAgent": {"name": "ffmpeg"}}]

    return actions


def placed(source_type: str) -> Actions:
    """Of a film that was joined from others: created, and each placed."""

    def actions(of: Sequence[Ingredient]) -> list[dict[str, Any]]:
        created = {"action": "c2pa.created", "digitalSourceType": VOCABULARY + source_type}
        return [created, *({"action": "c2pa.placed", "parameters": {"ingredientIds": [one.label]}} for one in of)]

    return actions


def sign(
    identity: Identity,
    film: Path,
    title: str,
    actions: Actions,
    ingredients: Sequence[Ingredient],
    *,
    relationship: str,
    details: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Put a signed copy in a film's place, whole or not at all; what is remarkable about the ingredients.

    `details`: what a user wants everybody to read. Raises NotSigned, OSError.
    """
    signed = film.with_name(f"{film.name.removesuffix('.part')}.signed.part")
    try:
        remarks = _write_signed(identity, film, signed, title, actions, list(ingredients), relationship, details or {})
        found = read(signed)
        if found.state not in ("Valid", "Trusted"):
            raise NotSigned(f"its signature does not hold: {found.state} {', '.join(found.faults)}".rstrip())
        signed.replace(film)
    finally:
        signed.unlink(missing_ok=True)
    return (*remarks, *found.faults)


def _write_signed(
    identity: Identity,
    film: Path,
    signed: Path,
    title: str,
    actions: Actions,
    ingredients: list[Ingredient],
    relationship: str,
    details: Mapping[str, Any],
) -> list[str]:
    """Write the copy. An ingredient that can't be read is left out, and told."""
    import c2pa

    remarks: list[str] = []
    while True:
        assertions: list[dict[str, Any]] = [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions(ingredients)}}
        ]
        if details:
            assertions.append({"label": "org.vgen.shot", "created": True, "data": dict(details)})
        manifest = {
            "claim_generator_info": [{"name": "vgen", "version": __version__}],
            "title": title,
            "format": _FORMAT,
            "assertions": assertions,
        }
        try:
            with _offline() as context, c2pa.Builder(manifest, context) as builder:
                broken = _add(builder, ingredients, relationship)
                if broken is None:
                    info = c2pa.C2paSignerInfo(identity.algorithm.encode(), identity.certificates, identity.key, None)
                    signed.unlink(missing_ok=True)
                    with c2pa.Signer.from_info(info) as signer, film.open("rb") as source, signed.open("x+b") as target:
                        builder.sign(signer, _FORMAT, source, target)
                    return remarks
        except c2pa.C2paError as exc:
            raise NotSigned(f"could not be signed: {one_line(str(exc))}") from exc
        remarks.append(f"{broken.title}: can't be read as an ingredient, so the credentials do not name it")
        ingredients = [one for one in ingredients if one is not broken]


def _add(builder: Any, ingredients: Sequence[Ingredient], relationship: str) -> Ingredient | None:
    """Add all of them; the first one that can't be."""
    import c2pa

    for one in ingredients:
        told = {"title": one.title, "relationship": relationship, "label": one.label}
        try:
            with one.path.open("rb") as file:
                builder.add_ingredient(told, _FORMAT, file)
        except c2pa.C2paError:
            return one
    return None


def _offline() -> Any:
    import c2pa

    return c2pa.Context(c2pa.Settings.from_dict(OFFLINE))


def read(path: Path) -> Found:
    """What the manifests in a film say. Raises OSError."""
    import c2pa

    try:
        with _offline() as context, path.open("rb") as file:
            reader = c2pa.Reader.try_create(_FORMAT, file, context=context)
            if reader is None:
                return Found()
            with reader:
                state, told = str(reader.get_validation_state()), json.loads(reader.json())
    except c2pa.C2paError as exc:
        elsewhere = str(exc).startswith("Remote:")
        why = "elsewhere, not fetched" if elsewhere else f"can't be read ({one_line(str(exc))})"
        return Found(state=why)
    active = told.get("validation_results", {}).get("activeManifest", {})
    faults = [*_codes(active), *_faults_below(told, told.get("active_manifest"), set())]
    return Found(state=state, faults=tuple(dict.fromkeys(faults)))


def _faults_below(told: Mapping[str, Any], label: str | None, seen: set[str]) -> Iterator[str]:
    """Of all ingredients of a manifest, and of those that they were made from."""
    if label is None or label in seen:
        return
    seen.add(label)
    for one in told.get("manifests", {}).get(label, {}).get("ingredients", ()):
        results = one.get("validation_results", {})
        deltas = (delta.get("validationDeltas", {}) for delta in results.get("ingredientDeltas", ()))
        found = [code for part in (results.get("activeManifest", {}), *deltas) for code in _codes(part)]
        title = one_line(str(one.get("title", "an ingredient")))
        if found == [_ELSEWHERE]:
            yield f"{title}: its credentials are elsewhere, not fetched"
        elif found:
            yield f"{title}: its credentials do not hold ({', '.join(found)})"
        yield from _faults_below(told, one.get("active_manifest"), seen)


def _codes(results: Mapping[str, Any]) -> list[str]:
    found = (str(one.get("code")) for one in results.get("failure") or ())
    return [code for code in found if code != _UNTRUSTED]

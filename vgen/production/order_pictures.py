"""The pictures of an order as they are sent: in the request, or uploaded before it.

What is sent is what the recipe hashed: the bytes are held against it when they are read, and again when they go.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from vgen.errors import ClipFailed, InputError
from vgen.inputs import images
from vgen.inputs.pictures import File, Source, Url
from vgen.inputs.settings import Provider
from vgen.media.offload import off_loop
from vgen.pictures import FRAMES, Accepts, Pictures
from vgen.plan.request import ShotRequest
from vgen.production import chain, uploads
from vgen.production.run import Run
from vgen.production.uploads import Big
from vgen.providers.base import Order
from vgen.recipe import Recipe


async def prepared(run: Run, request: ShotRequest, order: Order, provider: Provider) -> Pictures[str | Big]:
    """The pictures that the recipe names, read and made what the provider takes; each as its request will hold it,
    or as it must be uploaded. Raises ClipFailed before anything is sent.
    """
    if not order.pictures:
        return Pictures()
    frames = await chain.frames(run, request, provider.name)
    try:
        return await off_loop(_bytes(run, request), _prepared, run, request, provider, frames)  # type: ignore[no-any-return]
    except InputError as exc:
        raise _changed(exc) from exc


def has_uploads(ready: Pictures[str | Big]) -> bool:
    return any(isinstance(one, Big) for _, one in ready.pairs)


async def sent(run: Run, request: ShotRequest, ready: Pictures[str | Big], provider: Provider) -> Pictures[str]:
    """What the request holds for each picture. Raises UploadFailed; ClipFailed if one changed meanwhile."""
    found: dict[str, str] = {}
    for name, one in ready.named():
        try:
            found[name] = one if isinstance(one, str) else await uploads.uri(run, request.number, provider, one)
        except InputError as exc:
            raise _changed(exc) from exc
    return ready.map(lambda name, _: found[name])


async def as_sent(run: Run, request: ShotRequest, order: Order, provider: Provider, purchase_id: int) -> Pictures[str]:
    """The pictures of an order that is sent again, byte for byte. Raises ClipFailed if that can't be."""
    if (first := run.uploads.sent.get(purchase_id)) is not None:
        return first
    ready = await prepared(run, request, order, provider)
    if has_uploads(ready):
        raise ClipFailed("its picture was uploaded by an earlier run, and would have another address now")
    return await sent(run, request, ready, provider)


def _changed(exc: InputError) -> ClipFailed:
    return ClipFailed(f"not bought: its picture changed after the plan; run again ({exc})")


def _bytes(run: Run, request: ShotRequest) -> int:
    """Of all pictures in files: whether others would notice the work."""
    paths = (run.settings.root / one.path for _, one in request.shot.pictures.pairs if isinstance(one, File))
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for path in paths)
    return 0


def _prepared(run: Run, request: ShotRequest, provider: Provider, frames: Mapping[str, bytes]) -> Pictures[str | Big]:
    recipe, vendor = request.recipes[provider.name], provider.codec.VENDOR
    wanted = dict(recipe.pictures.named())
    most = min(vendor.accepts.most_bytes, vendor.accepts.most_together // len(wanted))
    accepts = replace(vendor.accepts, most_bytes=vendor.uploads.most_bytes if vendor.uploads else most)

    def ready(name: str, source: Source) -> str | Big:
        if isinstance(source, Url):
            return source.url

        def read() -> tuple[str, bytes]:
            try:
                content = frames[name] if name in frames else images.checked(run.settings.root, source, wanted[name])
                return _as_taken(recipe, name, source, content, accepts)
            except InputError as exc:
                raise InputError([f"{name}: {exc}"]) from exc

        kind, content = read()
        if len(content) <= most:
            return images.data_uri(kind, content)
        sha256 = hashlib.sha256(content).hexdigest()

        def again() -> bytes:
            _, same = read()
            if hashlib.sha256(same).hexdigest() != sha256:
                raise InputError([f"{name} is another picture now"])
            return same

        return Big(kind=kind, sha256=sha256, size_bytes=len(content), read=again)

    return request.shot.pictures.map(ready)


def _as_taken(recipe: Recipe, name: str, source: Source, content: bytes, accepts: Accepts) -> tuple[str, bytes]:
    fit = recipe.image_fit if name in FRAMES else None
    return images.prepared(content, source, accepts, shape=recipe.aspect_ratio, fit=fit)

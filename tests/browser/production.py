"""A production to show: twelve shots with real clips, among them a failed, a held, a stale and a missing one."""

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio
from PIL import Image, ImageDraw

from vgen.inputs import images
from vgen.inputs.pictures import Frame
from vgen.media import frames
from vgen.media.posters import poster
from vgen.media.tools import find_tools
from vgen.money import micros
from vgen.simulator.animatic import Animatic, render
from vgen.store.records import Budget
from vgen.views import gallery
from vgen.views.gallery import Film, Page, ShotStatus, ShotView, TakeView
from vgen.views.gallery_pictures import PictureView, name_of
from vgen.views.report import Gate

BOAT = {
    1: "A paper boat drifts down a rainy gutter at dawn, macro lens, soft reflections, slow push in",
    2: "The paper boat passes under a bicycle wheel, water drops in slow motion, blue hour light",
    3: "A child's hands lift the paper boat out of the water, close-up, warm backlight, shallow focus",
    4: "Wide shot of an empty market street after the rain, neon signs in the puddles, the boat tiny in the frame",
    5: "The boat tips over the edge of a storm drain, camera follows it down into the dark, handheld",
    6: "Underground river, shafts of light from gratings above, the boat turns slowly in an eddy",
    7: "The boat comes out at the harbour, dusk, ships' lights out of focus behind it",
    8: "A heron looks down at the boat, extreme close-up of its eye, the boat reflected in it",
    9: "The boat among the moored ships, low angle, rigging against a grey sky, gentle swell",
    10: "A wave lifts the boat over the harbour wall, slow motion, spray in the backlight",
    11: "Open sea at sunrise, the boat small on a long golden swell, drone rising",
    12: "The paper, unfolded, lies on a beach; a child's drawing on it comes into focus",
}
OLD_2 = "The paper boat passes under a bicycle wheel, water drops in slow motion, golden hour light"
KEPT_S = 2.0
CHAIN = {3: 1, 8: 7, 9: 8}
"""Shot → the shot with whose last frame it begins."""


@dataclass(frozen=True, slots=True)
class Production:
    """A page, its poster frames, and the directory that holds its clips."""

    page: Page
    posters: dict[str, bytes]
    outputs: Path
    thumbnails: dict[str, bytes] = field(default_factory=dict)

    def write(self) -> Path:
        """The gallery among its clips."""
        path = self.outputs / "gallery.html"
        path.write_text(gallery.render(self.page, self.posters, self.thumbnails), "utf-8", newline="\n")
        return path


async def make(outputs: Path, *, shots: int = 12, size: tuple[int, int] = (720, 1280)) -> Production:
    """Draw the clips into `outputs` and describe them. More than twelve shots share the twelve clips."""
    tools = find_tools(None, None)
    for name in ("clips", "takes"):
        (outputs / name).mkdir(parents=True, exist_ok=True)
    films: dict[str, Film] = {}
    posters: dict[str, bytes] = {}
    thumbnails = {name_of("sha256:boat"): images.small(_boat(), Frame(0))}

    async def draw(path: str, number: int, prompt: str, first: bytes | None = None) -> None:
        provider = "pika" if number % 4 == 3 else "runway"
        spec = Animatic(
            label=f"Shot {number}",
            prompt=prompt,
            provider=provider,
            width=size[0],
            height=size[1],
            duration_s=KEPT_S,
            audio=number == 1,
            pictures=(("references", _boat()), *((("image", first),) if first else ())),
        )
        await render(tools, spec, outputs / path)
        sha256 = hashlib.sha256((outputs / path).read_bytes()).hexdigest()
        films[path] = Film(
            path=path,
            sha256=sha256,
            width=size[0],
            height=size[1],
            duration_s=3.0 + number % 3,
            fps=24.0,
            has_audio=number == 1,
        )
        posters[sha256] = await poster(tools, outputs / path) or b""

    wanted = {f"clips/clip_{number:03}.mp4": (number, prompt) for number, prompt in BOAT.items()}
    wanted["clips/clip_002.mp4"] = (2, OLD_2)
    wanted |= {f"takes/shot-4-take-{take}.mp4": (4, f"Take {take}. {BOAT[4]}") for take in (1, 2)}
    limit = trio.CapacityLimiter(2)

    async def draw_in_turn(path: str, number: int, prompt: str) -> None:
        async with limit:
            await draw(path, number, prompt)

    async with trio.open_nursery() as nursery:
        for path, (number, prompt) in wanted.items():
            if number not in CHAIN:
                nursery.start_soon(draw_in_turn, path, number, prompt)
    for number, source in CHAIN.items():
        frame = await frames.picture(tools, outputs / f"clips/clip_{source:03}.mp4", "last")
        thumbnails[name_of(f"take:{source}@last")] = images.small(frame, Frame(source))
        await draw(f"clips/clip_{number:03}.mp4", number, BOAT[number], frame)
    views = [_shot(number, films) for number in range(1, shots + 1)]
    return Production(page=_page(views), posters=posters, outputs=outputs, thumbnails=thumbnails)


def _boat() -> bytes:
    """A reference picture."""
    out = io.BytesIO()
    with Image.new("RGB", (640, 480), "#31506b") as drawn:
        draw = ImageDraw.Draw(drawn)
        draw.polygon([(320, 70), (440, 290), (200, 290)], fill="#d8d4c8")
        draw.polygon([(80, 250), (320, 300), (560, 250), (470, 400), (170, 400)], fill="#f4f1e8")
        drawn.save(out, "PNG")
    return out.getvalue()


def _pictures(number: int) -> list[PictureView]:
    found = []
    if (source := CHAIN.get(number)) is not None:
        words, key = f"last frame of shot {source}", f"take:{source}@last"
        found.append(PictureView(role="image", words=words, key=key, shot=source))
    if number == 11:
        waits = PictureView(role="image", words="last frame of shot 10", shot=10, waits=True)
        url = "https://pictures.example/storm/sunrise.jpg"
        found += [waits, PictureView(role="end_image", words=url, url=url)]
    return [*found, PictureView(role="references", words="boat.png", key="sha256:boat")]


def _page(views: list[ShotView]) -> Page:
    good = sum(view.status is ShotStatus.GOOD for view in views) / len(views)
    return Page(
        title="The Paper Boat",
        simulated=True,
        shots=views,
        gates=[
            Gate(name="success_rate", passed=good >= 0.8, value=good, threshold=0.8),
            Gate(name="resolution", passed=True, value=720, threshold=720),
            Gate(name="budget", passed=True, value=4.32, threshold=6.0),
        ],
        budget=Budget(cap=micros(6), spent=micros("3.96"), reserved=micros("0.36"), uncertain=micros("0.36")),
    )


def _shot(number: int, films: dict[str, Film]) -> ShotView:
    like = (number - 1) % 12 + 1
    provider, model = ("pika", "v2.2/text-to-video") if like % 4 == 3 else ("runway", "gen4.5")
    film = films[f"clips/clip_{like:03}.mp4"]
    good = ShotView(
        number=number,
        pictures=_pictures(like),
        leads_to=[after for after, source in {**CHAIN, 11: 10}.items() if source == like],
        prompt=BOAT[like],
        status=ShotStatus.GOOD,
        film=film,
        take=1,
        provider=provider,
        model=model,
        price=micros("0.36") + micros("0.04") * (like % 3),
        generation_s=31.0 + like * 17 % 40,
        verdict="good",
        shot_s=4.0,
    )
    match like:
        case 4:
            return replace(good, take=2, takes=_takes(films))
        case 5:
            return _without(
                good,
                ShotStatus.FAILED,
                "runway refused the order: the prompt was flagged by moderation (SAFETY.INPUT.TEXT); change the prompt",
                price=0,
            )
        case 2:
            return replace(
                good,
                status=ShotStatus.STALE,
                made_from=OLD_2,
                commands=(f"doit clip:{number}", f"doit keep shot={number}"),
            )
        case 6:
            return _without(
                good,
                ShotStatus.HELD,
                f"runway may have charged $0.36: its answer never came; look there, "
                f"or type `doit settle shot={number} as=charged`",
                commands=("doit recover", f"doit settle shot={number} as=charged"),
            )
        case 10:
            return _without(good, ShotStatus.RUNNING, "still running at runway (17f20503); run again to collect it")
        case _:
            return good


def _takes(films: dict[str, Film]) -> list[TakeView]:
    common = {"provider": "runway", "model": "gen4.5", "price": micros("0.40"), "created_at": 1_790_000_000.0}
    return [
        TakeView(
            number=1,
            film=films["takes/shot-4-take-1.mp4"],
            good=False,
            prompt=BOAT[4],
            reason="wanted 4 s (at least 3.5 s), got 3.01 s",
            generation_s=44.0,
            **common,
        ),
        TakeView(
            number=2,
            film=films["clips/clip_004.mp4"],
            good=True,
            prompt=BOAT[4],
            generation_s=39.0,
            current=True,
            **common,
        ),
        TakeView(
            number=3,
            film=films["takes/shot-4-take-2.mp4"],
            good=True,
            prompt=BOAT[4].replace("after the rain", "in the rain"),
            generation_s=52.0,
            draft=True,
            command="doit pick shot=4 take=3",
            **common,
        ),
    ]


def _without(
    view: ShotView, status: ShotStatus, reason: str, *, price: int | None = None, commands: tuple[str, ...] = ()
) -> ShotView:
    return replace(
        view,
        status=status,
        reason=reason,
        film=None,
        take=None,
        price=view.price if price is None else price,
        generation_s=None,
        verdict="",
        commands=commands,
    )

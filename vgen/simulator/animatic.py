"""Draws the simulator's clips: real H.264 that says what it stands for. Knows nothing of protocols or faults.

Pillow draws two still layers, a soft background larger than the frame and a caption; one ffmpeg call pans the
one under the other. Each layer becomes YUV once, not once a frame: half the time. The same `Animatic` gives
the same bytes, on one machine with one ffmpeg.

A clip that is made from pictures shows them: it begins with its first picture and ends with its last one, so that
chained clips run into each other, and all are in a row below its label.
"""

import colorsys
import hashlib
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg
import trio
from PIL import Image, ImageChops, ImageDraw, ImageFont

from vgen.errors import MediaError
from vgen.media import lettering
from vgen.media.probe import decode_limit_s
from vgen.media.tools import Tools, first_line, one_line, run_tool
from vgen.simulator import given
from vgen.simulator.given import Pictures

UNIT_SIDE = 720  # px: sizes below are for this shorter side, and grow with it
PAN_SHARE = 0.12  # the background is larger than the frame by this much
GRAIN = 3  # levels up and down; lifts a clip of 1 s over media.MIN_BYTES, whatever its colours
CRF, FLAT_CRF = 22, 38
TONE_HZ = 220
TURN = 0.382  # of the circle of hues between two versions: the golden angle, so that any few are far apart

HELD_S = 1.0
"""A clip's first or last picture is seen this long, half of it while it fades; at most a third of its frames."""
_HD = (1280, 577)
"""Players take pictures of this width or height for BT.709, smaller ones for BT.601 (mpv's rule; media/frames.py)."""

_MARGIN, _LABEL, _PROVIDER, _PROMPT, _WATERMARK, _BAR, _SMALL = 44, 84, 30, 32, 104, 10, 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Animatic:
    """One clip to draw. `flat` leaves detail out, so that the file is too small to pass for a clip.

    `version`: the how-manieth clip of its prompt; from the second on it says so, and each has other colours.
    """

    label: str
    prompt: str
    provider: str
    width: int
    height: int
    duration_s: float
    fps: int = 24
    audio: bool = False
    flat: bool = False
    version: int = 1
    pictures: Pictures = field(default=(), repr=False)
    """What it is made from: role and bytes. A flat one shows none."""

    @property
    def frames(self) -> int:
        return max(1, round(self.duration_s * self.fps))

    @property
    def held(self) -> int:
        """Frames for which its first or its last picture is seen; none in a clip of one or two."""
        return min(round(HELD_S * self.fps), self.frames // 3)


async def render(tools: Tools, spec: Animatic, target: Path) -> None:
    """Draw `spec` and put the MP4 at `target`, whole or not at all. Raises MediaError."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".animatic-") as name:
        scratch = Path(name)
        made = scratch / "clip.mp4"
        try:
            size = await trio.to_thread.run_sync(_draw_layers, spec, scratch)
            argv = ffmpeg.compile(_graph(spec, scratch, size, made), cmd=[tools.ffmpeg, "-nostdin", "-v", "error"])
            ran = await run_tool(argv, limit_s=decode_limit_s(spec.duration_s))
            if ran.returncode != 0:
                raise MediaError(f"animatic {one_line(spec.label, 40)}: {first_line(ran.stderr)}")
            made.replace(target)
        except OSError as exc:
            raise MediaError(f"animatic {one_line(spec.label, 40)}: {exc.strerror or exc}") from exc


# The film


def _graph(spec: Animatic, scratch: Path, size: tuple[int, int], made: Path) -> Any:
    """Every source ends by itself: an endless one beside sound can hang ffmpeg 8.1 in spite of `-frames`."""
    back = _still(scratch / "back", "rgb24", size, spec.fps).filter("format", "yuv420p")
    back = back.filter("loop", loop=spec.frames - 1, size=1)
    caption = _still(scratch / "caption", "rgba", (spec.width, spec.height), spec.fps).filter("format", "yuva420p")
    bar_px = max(2, _unit(spec) * _BAR // UNIT_SIDE)
    bar = f"color=c=white@0.85:s={spec.width}x{bar_px}:r={spec.fps}:d={1 / spec.fps}"
    way = f"n/{max(1, spec.frames - 1)}"
    film = back.filter("crop", w=spec.width, h=spec.height, x=f"(iw-ow)*{way}", y=f"(ih-oh)*{way}")
    film = film.overlay(caption)  # one frame, repeated by overlay, as is the bar
    film = _between_pictures(film, spec, scratch)
    film = film.overlay(ffmpeg.input(bar, format="lavfi"), x=f"W*(n+1)/{spec.frames}-W", y="H-h")
    streams = [film]
    if spec.audio:
        tone = f"sine=frequency={TONE_HZ}:sample_rate=44100:duration={spec.frames / spec.fps}"
        streams.append(ffmpeg.input(tone, format="lavfi").audio.filter("volume", 0.2))
    return ffmpeg.output(*streams, str(made), **_encoding(spec))


def _between_pictures(film: Any, spec: Animatic, scratch: Path) -> Any:
    """The film as it comes out of its first picture, and goes into its last one."""
    size, held, fading = (spec.width, spec.height), spec.held, spec.held // 2
    for role in (given.FIRST, given.LAST):
        if not held or not (scratch / role).exists():
            continue
        matrix = "bt709" if spec.width >= _HD[0] or spec.height >= _HD[1] else "bt601"
        picture = _still(scratch / role, "rgb24", size, spec.fps).filter("scale", out_color_matrix=matrix)
        picture = picture.filter("format", "yuva420p").filter("loop", loop=held - 1, size=1)
        if role == given.FIRST:
            faded = picture.filter("fade", type="out", start_frame=held - fading, nb_frames=fading + 1, alpha=1)
        else:
            faded = picture.filter("fade", type="in", start_frame=0, nb_frames=fading + 1, alpha=1)
            faded = faded.filter("setpts", f"PTS+{spec.frames - held}/{spec.fps}/TB")
        film = film.overlay(faded, eof_action="pass")
    return film


def _still(path: Path, pix_fmt: str, size: tuple[int, int], fps: int) -> Any:
    """A raw picture as a film of one frame."""
    across, down = size
    return ffmpeg.input(str(path), format="rawvideo", pix_fmt=pix_fmt, s=f"{across}x{down}", framerate=fps)


def _encoding(spec: Animatic) -> dict[str, Any]:
    options: dict[str, Any] = {
        "format": "mp4",
        "c:v": "libx264",
        "preset": "ultrafast",
        "crf": FLAT_CRF if spec.flat else CRF,
        "pix_fmt": "yuv420p",
        "threads": 1,
        "frames:v": spec.frames,
        "movflags": "+faststart",
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        "metadata": "comment=SIMULATED by vgen",
    }
    if spec.audio:
        options |= {"c:a": "aac", "b:a": "64k", "flags:a": "+bitexact"}
    return options


# The layers


def _draw_layers(spec: Animatic, scratch: Path) -> tuple[int, int]:
    """Write the raw pictures `back` and `caption`, and those that it begins and ends with; the size of `back`."""
    for role in () if spec.flat else (given.FIRST, given.LAST):
        if (picture := given.filling(spec.pictures, role, (spec.width, spec.height))) is not None:
            (scratch / role).write_bytes(_stamped(picture, spec).tobytes())
    back = _background(spec)
    (scratch / "back").write_bytes(back.tobytes())
    (scratch / "caption").write_bytes(_caption(spec).tobytes())
    return back.size


def _unit(spec: Animatic) -> int:
    return min(spec.width, spec.height)


def _background(spec: Animatic) -> Image.Image:
    """Soft colours that belong to the prompt and the version, with fine grain."""
    what = spec.prompt if spec.version == 1 else f"{spec.prompt}\0{spec.version}"
    rng = random.Random(hashlib.sha256(what.encode("utf-8", "surrogatepass")).digest())  # noqa: S311 - looks
    margin = 0.0 if spec.flat else PAN_SHARE
    size = (_even(spec.width * (1 + margin)), _even(spec.height * (1 + margin)))
    cells = (1, 1) if spec.flat else (3, 4)
    hue = (_first_hue(spec.prompt) + (spec.version - 1) * TURN) % 1.0
    rng.random()
    colours = Image.new("RGB", cells)
    colours.putdata([_colour(rng, hue) for _ in range(cells[0] * cells[1])])
    soft = colours.resize(size, Image.Resampling.BICUBIC)
    return soft if spec.flat else _grained(soft, rng)


def _first_hue(prompt: str) -> float:
    return random.Random(hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()).random()  # noqa: S311 - looks


def _even(length: float) -> int:
    return round(length / 2) * 2


def _colour(rng: random.Random, hue: float) -> tuple[int, int, int]:
    near = (hue + rng.uniform(-0.13, 0.13)) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(near, rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.85))
    return round(red * 255), round(green * 255), round(blue * 255)


def _grained(picture: Image.Image, rng: random.Random) -> Image.Image:
    noise = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    grain = noise.point([128 + round((level - 127.5) / 127.5 * GRAIN) for level in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), offset=-128)


def _caption(spec: Animatic) -> Image.Image:
    """Label and provider above, the prompt below, SIMULATED across; transparent elsewhere."""
    scale = _unit(spec) / UNIT_SIDE
    margin = round(_MARGIN * scale)
    across = spec.width - 2 * margin
    layer = Image.new("RGBA", (spec.width, spec.height))
    _stamp(layer, scale)
    draw = ImageDraw.Draw(layer)
    label = lettering.face(_LABEL * scale)
    lettering.write(draw, (margin, margin), [lettering.cut(lettering.legible(spec.label), label, across)], label)
    small = lettering.face(_PROVIDER * scale)
    below = margin + lettering.line_px(label)
    source = spec.provider if spec.version == 1 else f"{spec.provider} · version {spec.version}"
    lettering.write(draw, (margin, below), [lettering.cut(lettering.legible(source), small, across)], small)
    _row(layer, spec, (margin, below + lettering.line_px(small) + margin // 3))
    font = lettering.face(_PROMPT * scale)
    room = 3 if spec.flat else max(1, (spec.height * 2 // 5) // lettering.line_px(font))
    lines = lettering.wrap(lettering.legible(spec.prompt), font, across - margin, room)
    if lines:
        _panel(draw, spec, lines, font, margin)
    return layer


def _row(layer: Image.Image, spec: Animatic, at: tuple[int, int]) -> None:
    """What the clip is made from, small, side by side."""
    left, top = at
    for picture in given.small(() if spec.flat else spec.pictures, round(_SMALL * _unit(spec) / UNIT_SIDE)):
        layer.paste(picture, (left, top))
        left += picture.width + at[0] // 4


def _panel(
    draw: ImageDraw.ImageDraw, spec: Animatic, lines: list[str], font: ImageFont.FreeTypeFont, margin: int
) -> None:
    inner = margin // 2
    top = spec.height - margin - 2 * inner - len(lines) * lettering.line_px(font)
    box = (margin, top, spec.width - margin, spec.height - margin)
    draw.rounded_rectangle(box, radius=inner, fill=(0, 0, 0, 120))
    lettering.write(draw, (margin + inner, top + inner), lines, font)


def _stamped(picture: Image.Image, spec: Animatic) -> Image.Image:
    layer = Image.new("RGBA", picture.size)
    _stamp(layer, _unit(spec) / UNIT_SIDE)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _stamp(layer: Image.Image, scale: float) -> None:
    """SIMULATED, rising across the middle."""
    font = lettering.face(_WATERMARK * scale)
    left, top, right, bottom = font.getbbox("SIMULATED")
    word = Image.new("RGBA", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(word).text((-left, -top), "SIMULATED", font=font, fill=(255, 255, 255, 84))
    word = word.rotate(18, expand=True, resample=Image.Resampling.BICUBIC)
    layer.paste(word, ((layer.width - word.width) // 2, round(layer.height * 0.42) - word.height // 2))

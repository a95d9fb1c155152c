"""Pictures of shots: each kind that people have becomes what a provider takes, or is refused with what to do."""

import base64
import hashlib
import io
import os
import random
import zlib
from pathlib import Path
from typing import Any

import pictured
import pytest
from PIL import Image, ImageCms, ImageDraw

from vgen.errors import InputError
from vgen.inputs import images
from vgen.inputs.pictures import Data, File, Frame, Url, parse
from vgen.pictures import Accepts

TAKES = Accepts()
URL = "https://example.org/boat.png"


def problem(root: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        images.look(root, parse(text))
    [line] = caught.value.problems
    return line


def prepared(content: bytes, accepts: Accepts = TAKES, **how: Any) -> tuple[str, Image.Image, bytes]:
    """The media type, the picture and the bytes that are sent."""
    kind, sent = images.prepared(content, File("boat.png"), accepts, **how)
    assert (kind, sent) == images.prepared(content, File("boat.png"), accepts, **how), "not the same twice"
    picture = Image.open(io.BytesIO(sent))
    assert picture.get_format_mimetype() == kind
    return kind, picture, sent


def near(picture: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = picture.convert("RGB").getpixel(at)
    return all(abs(one - other) < 12 for one, other in zip(found, colour, strict=True))  # type: ignore[arg-type]


# ── what a picture is ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_url_stands_for_itself(tmp_path: Path) -> None:
    assert images.look(tmp_path, Url(URL)) == images.Seen(identity=URL)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_known_by_its_content_and_sent_as_it_is(tmp_path: Path, kind: str) -> None:
    content = pictured.png(kind=kind)
    (tmp_path / "boat.bin").write_bytes(content)
    seen = images.look(tmp_path, File("boat.bin"))
    assert seen == images.Seen(identity="sha256:" + hashlib.sha256(content).hexdigest(), size=(720, 1280))
    said = images.data_uri(
        *images.prepared(images.checked(tmp_path, File("boat.bin"), seen.identity), File("b"), TAKES)
    )
    assert said == f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"


def test_a_data_uri_is_the_file_that_it_holds(tmp_path: Path) -> None:
    content = pictured.png()
    (tmp_path / "boat.png").write_bytes(content)
    text = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert images.look(tmp_path, Data(text)) == images.look(tmp_path, File("boat.png"))
    assert images.checked(tmp_path, Data(text), images.look(tmp_path, Data(text)).identity) == content


@pytest.mark.parametrize("text", ["data:", "data:image/png;base64,", "data:image/png,AA", "DATA:image/png;base64,%%%"])
def test_a_data_uri_that_holds_no_picture_is_refused_without_its_bytes(tmp_path: Path, text: str) -> None:
    line = problem(tmp_path, text + "A" * 4 * 10**5)
    assert len(line) < 250


def test_another_name_is_the_same_picture_and_other_bytes_are_another(tmp_path: Path) -> None:
    for name, colour in (("a.png", "navy"), ("b.png", "navy"), ("c.png", "teal")):
        (tmp_path / name).write_bytes(pictured.png(colour=colour))
    a, b, c = (images.look(tmp_path, File(name)).identity for name in ("a.png", "b.png", "c.png"))
    assert (a == b, a == c) == (True, False)
    with pytest.raises(InputError, match="another picture now"):
        images.checked(tmp_path, File("c.png"), a)


def test_a_frame_of_another_clip_is_named_by_its_shot_until_its_take_is_known(tmp_path: Path) -> None:
    assert images.look(tmp_path, parse("clip:03@2.50")).identity == "clip:3@2.5"
    assert Frame(3, "first").of("ab12") == "take:ab12@first"
    assert parse("./clip:3") == File("./clip:3")
    assert isinstance(parse("clip:3"), Frame)


# ── what is no picture ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<svg/>", b"GIF89a" + bytes(20), b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20), b"RIFF",
     b"\x89PNG\r\n\x1a\n" + bytes(24), b"\xff\xd8\xff\xe0" + bytes(24), b"\x00\x00\x00\x18ftypheic" + bytes(40)],
    ids=["empty", "text", "svg", "gif", "wav", "stub", "png", "jpeg", "heic"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert "save it" in problem(tmp_path, "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_cut_off_is_refused_when_it_is_read_to_its_end(tmp_path: Path, kind: str) -> None:
    noise = Image.frombytes("RGB", (200, 200), bytes(range(256)) * 468 + bytes(192))
    out = io.BytesIO()
    noise.save(out, kind)
    (tmp_path / "x").write_bytes(out.getvalue())
    images.refuse_broken(tmp_path, File("x"))
    (tmp_path / "x").write_bytes(out.getvalue()[: out.tell() // 2])
    with pytest.raises(InputError, match="'x' is "):
        images.refuse_broken(tmp_path, File("x"))


def test_what_holds_several_pictures_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (32, 32), n * 90) for n in range(3)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert "holds 3 pictures; save the one that is meant" in problem(tmp_path, "x.gif")


@pytest.mark.slow
def test_a_file_too_big_to_be_meant_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    assert "100,000,001 bytes; at most 100,000,000" in problem(tmp_path, "big.png")


def test_a_head_that_claims_more_pixels_than_any_camera_makes_is_refused(tmp_path: Path) -> None:
    bomb = bytearray(pictured.png((8, 8)))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    (tmp_path / "x.png").write_bytes(bytes(bomb))
    assert "save a smaller one" in problem(tmp_path, "x.png")


@pytest.mark.parametrize("image", ["absent.png", ".", "x" * 300, "~/boat.png"])
def test_what_is_no_file_is_refused(tmp_path: Path, image: str) -> None:
    assert image[:20] in problem(tmp_path, image)


@pytest.mark.parametrize("image", ["x" * 10**6, "../" * 10**5, "a\nb" * 10**5], ids=len)
def test_a_text_of_any_length_is_told_briefly(tmp_path: Path, image: str) -> None:
    line = problem(tmp_path, image)
    assert (len(line) < 200, "\n" in line) == (True, False)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in problem(tmp_path, "pipe")


def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert "is not a regular file" in problem(tmp_path, "zero")


@pytest.mark.parametrize("image", ["../boat.png", "{}/boat.png", "in/../../boat.png"])
def test_a_picture_outside_the_project_is_refused(tmp_path: Path, image: str) -> None:
    """The shot list may be a language model's work: it must not choose what leaves this machine."""
    (tmp_path / "boat.png").write_bytes(pictured.png())
    root = tmp_path / "project"
    (root / "in").mkdir(parents=True)
    assert "lies outside the project" in problem(root, image.format(tmp_path))


def test_a_picture_inside_the_project_may_be_named_in_any_way(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "boat.png").write_bytes(pictured.png())
    names = ["in/boat.png", "./in/boat.png", "in/../in/boat.png", str(tmp_path / "in" / "boat.png")]
    assert len({images.look(tmp_path, File(name)).identity for name in names}) == 1


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_photograph_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(lying).rectangle((0, 0, 199, 199), fill="red")  # the left half: on top once it is upright
    out = io.BytesIO()
    lying.save(out, "JPEG", exif=exif, quality=95)
    kind, picture, _ = prepared(out.getvalue())
    assert (kind, picture.size) == ("image/jpeg", (200, 400))
    assert near(picture, (100, 50), (255, 0, 0))
    assert near(picture, (100, 350), (255, 255, 255))
    assert picture.getexif().get(0x0112) is None


def test_cmyk_becomes_rgb() -> None:
    kind, picture, _ = prepared(pictured.png(kind="JPEG", mode="CMYK", colour=(0, 255, 255, 0), quality=95))
    assert (kind, picture.mode) == ("image/jpeg", "RGB")
    assert near(picture, (10, 10), (255, 0, 0))


def test_what_is_transparent_becomes_white_and_what_is_not_is_sent_as_it_is() -> None:
    _, picture, _ = prepared(pictured.png(mode="RGBA", colour=(0, 0, 0, 0)))
    assert (picture.mode, near(picture, (10, 10), (255, 255, 255))) == ("RGB", True)
    opaque = pictured.png(mode="RGBA", colour=(0, 0, 128, 255))
    assert prepared(opaque)[2] == opaque


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mode"), [("TIFF", "RGB"), ("BMP", "RGB"), ("GIF", "P"), ("PNG", "1"), ("WEBP", "RGB")]
)
def test_what_a_provider_does_not_take_is_converted(kind: str, mode: str) -> None:
    accepts = Accepts(kinds=("image/jpeg", "image/png"))
    assert prepared(pictured.png(kind=kind, mode=mode, colour=1), accepts)[0] == "image/jpeg"


def test_sixteen_bits_of_grey_keep_their_light() -> None:
    _, picture, _ = prepared(pictured.png(mode="I;16", colour=0x8080))
    assert near(picture, (10, 10), (128, 128, 128))


@pytest.mark.slow
def test_a_huge_picture_is_scaled_to_the_limit_and_a_heavy_one_is_made_lighter() -> None:
    _, picture, _ = prepared(pictured.png((3000, 1500)), Accepts(most_side=1000))
    assert picture.size == (1000, 500)
    noise = Image.frombytes("RGB", (400, 400), os.urandom(480_000))
    out = io.BytesIO()
    noise.save(out, "PNG")
    _, picture, sent = prepared(out.getvalue(), Accepts(most_bytes=40_000))
    assert len(sent) <= 40_000
    assert picture.width == picture.height


def test_the_biggest_picture_fits_runways_bound_for_data_uris() -> None:
    assert len(f"data:image/jpeg;base64,{base64.b64encode(bytes(TAKES.most_bytes)).decode()}") <= 5_242_880


@pytest.mark.slow
def test_a_colour_profile_goes_with_the_picture() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, picture, _ = prepared(pictured.png((3000, 1500), icc_profile=profile), Accepts(most_side=1000))
    assert picture.info["icc_profile"] == profile


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "shape", "fit", "becomes"),
    [
        ((1600, 900), "9:16", "crop", (506, 900)), ((1600, 900), "9:16", "pad", (1600, 2844)),
        ((900, 1600), "16:9", "crop", (900, 506)), ((900, 1600), "16:9", "pad", (2844, 1600)),
        ((1600, 900), "1:1", "crop", (900, 900)), ((1366, 768), "16:9", "crop", (1366, 768)),
    ],
)  # fmt: skip
def test_a_picture_is_made_to_fit_the_shots_shape(
    size: tuple[int, int], shape: str, fit: str, becomes: tuple[int, int]
) -> None:
    whole = Image.new("RGB", size, "white")
    middle = (size[0] // 2, size[1] // 2)
    ImageDraw.Draw(whole).rectangle((middle[0] - 50, middle[1] - 50, middle[0] + 50, middle[1] + 50), fill="red")
    out = io.BytesIO()
    whole.save(out, "PNG")
    _, picture, _ = prepared(out.getvalue(), shape=shape, fit=fit)
    assert picture.size == becomes
    assert near(picture, (becomes[0] // 2, becomes[1] // 2), (255, 0, 0))
    added = fit == "pad" and size != becomes
    assert near(picture, (2, 2), (0, 0, 0) if added else (255, 255, 255))


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ((720, 1280), ""), ((200, 400), "at least 300 pixels a side, this one has 200x400"),
        ((300, 900), "one side at most 2.5 times the other, this one has 300x900"),
        ((10_000, 4_000), ""), ((6_000, 2_400), ""),
    ],
)  # fmt: skip
def test_limits_of_size_are_told(size: tuple[int, int], problem: str) -> None:
    assert Accepts(least_side=300, most_side=6000, most_ratio=2.5).problem(size) == problem


# ── thumbnails ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_thumbnail_is_a_small_jpeg_of_any_picture_turned_and_without_its_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(100_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    for content, shape in (
        (pictured.png((4000, 3000), "red", "JPEG", exif=exif), (120, 160)),
        (pictured.png((400, 300), "red", "PNG", icc_profile=profile), (160, 120)),
        (pictured.png((40, 30), (255, 0, 0, 255), "PNG", mode="RGBA"), (40, 30)),
        (pictured.png((400, 300), (0, 255, 255, 0), "JPEG", mode="CMYK"), (160, 120)),
        (pictured.png((1600, 100), "red", "TIFF"), (160, 10)),
    ):
        made = images.small(content, File("boat.png"))
        shown = Image.open(io.BytesIO(made))
        assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", shape)
        assert len(made) <= images.THUMBNAIL_BYTES
        assert near(shown, (5, 5), (255, 0, 0))


def test_a_thumbnail_of_noise_is_small_too() -> None:
    noise = Image.frombytes("RGB", (500, 500), random.Random(1).randbytes(750_000))
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(images.small(out.getvalue(), File("noise.png"))) <= images.THUMBNAIL_BYTES


def test_there_is_no_thumbnail_of_another_picture_than_the_recipe_names(tmp_path: Path) -> None:
    (tmp_path / "boat.png").write_bytes(pictured.png())
    with pytest.raises(InputError, match="another picture now"):
        images.thumbnail(tmp_path, File("boat.png"), "sha256:" + "0" * 64)

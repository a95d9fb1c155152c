"""Pictures of image-to-video shots: what is sent is a picture, small enough, and known by its content."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from vgen.errors import InputError
from vgen.inputs import images

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 24
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 24
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 24
URL = "https://example.org/boat.png"


def problem(root: Path, image: str) -> str:
    with pytest.raises(InputError) as caught:
        images.identity(root, image)
    [line] = caught.value.problems
    return line


def test_no_image_is_no_image(tmp_path: Path) -> None:
    assert (images.identity(tmp_path, None), images.data_uri(tmp_path, None, None)) == (None, None)


def test_a_url_stands_for_itself(tmp_path: Path) -> None:
    assert (images.identity(tmp_path, URL), images.data_uri(tmp_path, URL, URL)) == (URL, URL)


@pytest.mark.parametrize("url", ["http://example.org/a.png", "file:///etc/passwd", "ftp://x/a.png", "HTTP://x/a.png"])
def test_only_https_urls_are_taken(tmp_path: Path, url: str) -> None:
    assert "neither a file nor an https URL" in problem(tmp_path, url)


@pytest.mark.parametrize(
    ("content", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")], ids=["png", "jpeg", "webp"]
)
def test_a_picture_is_known_by_its_content_and_sent_as_what_it_is(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "boat.bin").write_bytes(content)
    assert "sha256:" + hashlib.sha256(content).hexdigest() == images.identity(tmp_path, "boat.bin")
    assert f"data:{kind};base64,{base64.b64encode(content).decode()}" == images.data_uri(
        tmp_path, "boat.bin", images.identity(tmp_path, "boat.bin")
    )


def test_another_name_is_the_same_picture_and_other_bytes_are_another(tmp_path: Path) -> None:
    for name, content in (("a.png", PNG), ("b.png", PNG), ("c.png", PNG + b"\x01")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (images.identity(tmp_path, name) for name in ("a.png", "b.png", "c.png"))
    assert (a == b, a == c) == (True, False)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<svg/>", b"GIF89a" + bytes(20), b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20), b"RIFF"],
    ids=["empty", "text", "svg", "gif", "wav", "stub"],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert "is no JPEG, PNG or WebP picture" in problem(tmp_path, "x.png")


def test_a_picture_that_fits_no_request_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    assert "3,900,001 bytes; at most 3,900,000" in problem(tmp_path, "big.png")


def test_the_biggest_picture_fits_runways_bound_for_data_uris(tmp_path: Path) -> None:
    assert len(f"data:image/jpeg;base64,{base64.b64encode(bytes(images.MAX_BYTES)).decode()}") <= 5_242_880


@pytest.mark.parametrize("image", ["absent.png", "", ".", "x" * 300, "~/boat.png"])
def test_what_is_no_file_is_refused(tmp_path: Path, image: str) -> None:
    assert problem(tmp_path, image).startswith("image: ")


@pytest.mark.parametrize("image", ["x" * 10**6, "../" * 10**5, "ftp://" + "x" * 10**6, "a\nb" * 10**5], ids=len)
def test_a_text_of_any_length_is_told_briefly(tmp_path: Path, image: str) -> None:
    line = problem(tmp_path, image)
    assert (len(line) < 200, "\n" in line) == (True, False)


@pytest.mark.parametrize("scheme", ["data:image/png;base64,", "DATA:"])
def test_a_data_uri_is_refused_with_what_to_do_and_without_its_bytes(tmp_path: Path, scheme: str) -> None:
    line = problem(tmp_path, scheme + "A" * 2_600_000)
    assert "save the picture in the project and give its path" in line
    assert ("data: URI" in line, len(line) < 120) == (True, True)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in problem(tmp_path, "pipe")


def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert "is not a regular file" in problem(tmp_path, "zero")


@pytest.mark.parametrize("image", ["../boat.png", "{}/boat.png", "in/../../boat.png"])
def test_a_picture_outside_the_project_is_refused(tmp_path: Path, image: str) -> None:
    """The shot list may be a language model's work: it must not choose what leaves this machine."""
    (tmp_path / "boat.png").write_bytes(PNG)
    root = tmp_path / "project"
    (root / "in").mkdir(parents=True)
    assert "lies outside the project" in problem(root, image.format(tmp_path))


def test_a_picture_inside_the_project_may_be_named_in_any_way(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "boat.png").write_bytes(PNG)
    names = ["in/boat.png", "./in/boat.png", "in/../in/boat.png", str(tmp_path / "in" / "boat.png")]
    assert len({images.identity(tmp_path, name) for name in names}) == 1

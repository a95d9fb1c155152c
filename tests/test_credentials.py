"""What films claim, the AI mark, certificates and signatures, on films of a few boxes: no ffmpeg, no process."""

import http.server
import stat
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from vgen.cli.commands import credentials as command
from vgen.errors import InputError, MediaError, NotSigned, Refusal
from vgen.media import ai_mark, credentials, signing
from vgen.media.ai_mark import COMPOSITE, TRAINED
from vgen.media.claims import C2PA, XMP, Claims, scan
from vgen.media.credentials import Identity, Place
from vgen.media.provenance import NOTHING, Provenance
from vgen.media.signing import Ingredient
from vgen.plan.decision import File
from vgen.store.records import Purchase
from vgen.views.claims import in_words

NOW = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
URI = b"http://cv.iptc.org/newscodes/digitalsourcetype/"
signs = pytest.mark.skipif(not credentials.is_installed(), reason="c2pa-python has no wheel for this platform")


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


PLAIN = (
    box(b"ftyp", b"isom\0\0\2\0isommp41") + box(b"moov", box(b"mvhd", bytes(100))) + box(b"mdat", bytes(range(256)) * 8)
)
XMP_BOX = box(b"uuid", XMP + b'<x Iptc4xmpExt:DigitalSourceType="' + URI + b'trainedAlgorithmicMedia"/>')
ELSEWHERE = (
    XMP + b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/"'
    b' dcterms:provenance="http://127.0.0.1:%d/manifest.c2pa"/></rdf:RDF></x:xmpmeta>'
)


def cbor(term: bytes, after: bytes = b"factual") -> bytes:
    """A text of CBOR, and the next item: a text of six letters begins with an `f`."""
    return b"\x71digitalSourceType\x78" + bytes([len(URI + term)]) + URI + term + after


def manifest_box(content: bytes, purpose: bytes = b"manifest") -> bytes:
    return box(b"uuid", C2PA + bytes(4) + purpose + bytes(9) + content)


def film(tmp_path: Path, data: bytes = PLAIN, name: str = "film.mp4") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


# What a file claims


@pytest.mark.parametrize(
    ("data", "claims"),
    [
        (PLAIN, Claims()),
        (PLAIN + XMP_BOX, Claims(source_types=(TRAINED,))),
        (XMP_BOX + PLAIN, Claims(source_types=(TRAINED,))),
        (PLAIN + manifest_box(cbor(TRAINED.encode())), Claims(c2pa_bytes=118, source_types=(TRAINED,))),
        (PLAIN + manifest_box(b"x", b"merkle"), Claims()),
        (PLAIN + box(b"uuid", ELSEWHERE % 9), Claims(c2pa_elsewhere=True)),
        (PLAIN + box(b"moov", box(b"udta", box(b"XMP_", XMP_BOX[24:]))), Claims(source_types=(TRAINED,))),
        (PLAIN + box(b"uuid", XMP + b"<a:DigitalSourceType>digitalCapture</a:DigitalSourceType>"),
         Claims(source_types=("digitalCapture",))),
        (PLAIN + (1).to_bytes(4, "big") + b"uuid" + (len(XMP_BOX) + 8).to_bytes(8, "big") + XMP_BOX[8:],
         Claims(source_types=(TRAINED,))),
        (PLAIN + bytes(4) + XMP_BOX[4:], Claims(source_types=(TRAINED,))),
        (PLAIN + XMP_BOX[:-1], Claims()),
        (PLAIN + box(b"mdat", XMP_BOX), Claims()),
        (b"<html>" + XMP_BOX, Claims()),
        (b"", Claims()),
    ],
    ids=["nothing", "XMP", "XMP first", "C2PA", "Merkle", "elsewhere", "QuickTime", "no address", "64 bits",
         "to the end", "cut off", "in the pictures", "a page", "empty"],
)  # fmt: skip
def test_what_a_file_says_of_its_making_is_found(tmp_path: Path, data: bytes, claims: Claims) -> None:
    assert scan(film(tmp_path, data)) == claims


@settings(max_examples=25)
@given(
    before=st.binary(max_size=40), size=st.integers(0, (1 << 32) - 1) | st.integers(0, 99), after=st.binary(max_size=60)
)
def test_no_file_is_too_odd_to_be_looked_at(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, size: int, after: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.mp4"
    path.write_bytes(PLAIN + before + size.to_bytes(4, "big") + b"uuid" + XMP + after)
    scan(path)


def test_claims_are_told_as_claims() -> None:
    found = Claims(c2pa_bytes=3312, source_types=(TRAINED,), c2pa_elsewhere=True)
    told = "trainedAlgorithmicMedia; C2PA manifest of 3,312 bytes; C2PA manifest elsewhere (not fetched)"
    assert in_words(found.to_json()) == told
    assert in_words(Claims().to_json()) == ""


# The mark


@pytest.mark.parametrize(
    ("parts", "whole"),
    [([], ""), ([""], ""), ([TRAINED] * 2, TRAINED), ([TRAINED, ""], COMPOSITE), ([TRAINED, COMPOSITE], COMPOSITE)],
)
def test_a_cut_that_mixes_says_so_and_one_without_ai_says_nothing(parts: list[str], whole: str) -> None:
    assert ai_mark.of_all(parts) == whole


def test_the_mark_is_appended_and_is_always_the_same(tmp_path: Path) -> None:
    one, other = film(tmp_path), film(tmp_path, name="other.mp4")
    for path in (one, other):
        ai_mark.append(path, TRAINED)
    assert one.read_bytes() == other.read_bytes() == PLAIN + ai_mark.box(TRAINED)
    assert scan(one) == Claims(source_types=(TRAINED,))
    with pytest.raises(MediaError):
        ai_mark.append(film(tmp_path, PLAIN + b"0123456789"), TRAINED)


def test_what_no_model_made_is_not_touched_whatever_is_asked_for(tmp_path: Path, identity: Identity) -> None:
    path = film(tmp_path)
    wanted = Provenance(ai_mark=True, certificate=identity.digest, identity=identity)
    assert trio.run(wanted.of_clip, path, path, 1, "clip_001.mp4", "") == ()
    assert trio.run(wanted.of_cut, path, "cut.mp4", {1: path}, "") == ()
    assert path.read_bytes() == PLAIN
    assert wanted.inputs("") == NOTHING.inputs(TRAINED) == ""
    asked = [
        wanted,
        replace(wanted, ai_mark=False),
        replace(wanted, certificate="other"),
        replace(wanted, certificate=""),
    ]
    assert len({one.inputs(TRAINED, {"prompt": "a"}) for one in asked} | {wanted.inputs(TRAINED)}) == 5


# Certificates


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    if not credentials.is_installed():
        pytest.skip("c2pa-python has no wheel for this platform")
    return credentials.make(tmp_path_factory.mktemp("settings"), "Studio Süd", NOW)


@pytest.fixture(scope="module")
def identity(place: Place) -> Identity:
    return credentials.load(place, NOW)


def test_a_certificate_holds_for_thirty_years_and_only_its_owner_reads_the_key(
    place: Place, identity: Identity
) -> None:
    assert (identity.subject, identity.ends_at.year) == ("O=Studio Süd,CN=Studio Süd", 2056)
    assert stat.S_IMODE(place.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.key.parent.stat().st_mode) == 0o700
    secret = place.key.read_text().splitlines()[1]
    assert secret not in repr(identity)
    assert secret not in repr(place)
    assert place.digest() == identity.digest


def test_a_certificate_is_never_replaced(place: Place) -> None:
    home, before = place.key.parents[2], place.key.read_bytes()
    assert credentials.made_in(home) == place
    with pytest.raises(Refusal, match="no certificate was made"):
        credentials.make(home, "other", NOW)
    assert place.key.read_bytes() == before
    assert [path.name for path in place.key.parent.parent.iterdir()] == ["credentials"]


@signs
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda place, tmp: replace(place, key=tmp / "none.pem"), "none.pem: the private key can't be read"),
        (lambda place, tmp: replace(place, certificate=place.key), "not a certificate in PEM"),
        (lambda place, tmp: replace(place, key=place.certificate), "not a private key in PEM"),
        (lambda place, tmp: replace(place, key=credentials.make(tmp, "b", NOW).key), "is not the key of "),
    ],
    ids=["no file", "no certificate", "no key", "another key"],
)
def test_what_can_not_sign_is_told_in_a_line_without_the_key(place: Place, tmp_path: Path, bad, words: str) -> None:
    with pytest.raises(InputError, match=words) as found:
        credentials.load(bad(place, tmp_path), NOW)
    assert len(found.value.problems) == 1
    assert "PRIVATE" not in str(found.value)


def test_a_certificate_that_ended_is_refused(place: Place) -> None:
    with pytest.raises(InputError, match="holds from 2026-11-27 to 2056-11-28, and not today"):
        credentials.load(place, NOW + 31 * 366 * 86_400)


# Signatures


def sign(identity: Identity, path: Path, *ingredients: Path) -> tuple[str, ...]:
    of = [Ingredient(label=f"shot{n}", title=f"shot {n}", path=one) for n, one in enumerate(ingredients, 1)]
    return signing.sign(identity, path, "cut.mp4", signing.placed(TRAINED), of, relationship="componentOf")


def test_what_is_wrong_with_an_ingredient_is_told_though_the_film_is_valid(tmp_path: Path, identity: Identity) -> None:
    """Also of an ingredient's ingredient: the film's own state tells neither."""
    take, clip, cut = (film(tmp_path, name=name) for name in ("take.mp4", "clip.mp4", "cut.mp4"))
    assert sign(identity, take) == ()
    data = bytearray(take.read_bytes())
    data[-5] ^= 1
    take.write_bytes(data)
    assert sign(identity, clip, take) == ("shot 1: its credentials do not hold (assertion.bmffHash.mismatch)",)
    assert sign(identity, cut, film(tmp_path), clip) == (
        "shot 1: its credentials do not hold (assertion.bmffHash.mismatch)",
    )
    assert signing.read(cut).state == "Valid"
    assert signing.read(take).state == "Invalid"
    assert signing.read(film(tmp_path)).state == ""


def test_an_ingredient_that_can_not_be_read_is_left_out_and_told(tmp_path: Path, identity: Identity) -> None:
    take, cut = film(tmp_path, PLAIN + b"0123456789", "take.mp4"), film(tmp_path)
    (said,) = sign(identity, cut, take, film(tmp_path, name="other.mp4"))
    assert said == "shot 1: can't be read as an ingredient, so the credentials do not name it"
    assert signing.read(cut) == signing.Found(state="Valid")


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine, and the requests that came there."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port, seen
        server.shutdown()
        thread.join()


def test_an_address_in_a_file_is_never_opened(
    tmp_path: Path, identity: Identity, listener: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = listener
    take, cut = film(tmp_path, PLAIN + box(b"uuid", ELSEWHERE % port), "take.mp4"), film(tmp_path)
    assert scan(take).c2pa_elsewhere
    assert signing.read(take).state == "elsewhere, not fetched"
    assert sign(identity, cut, take) == ("shot 1: its credentials are elsewhere, not fetched",)
    assert signing.read(cut).state == "Valid"
    assert seen == []
    monkeypatch.setattr(signing, "OFFLINE", {"verify": {"remote_manifest_fetched": False}})
    signing.read(take)
    assert seen == ["/manifest.c2pa"], "a setting with a wrong name is passed over: this test would see it"


def test_a_film_that_can_not_be_signed_stays_as_it_was(tmp_path: Path, identity: Identity) -> None:
    path = film(tmp_path)
    with pytest.raises(NotSigned, match="could not be signed: "):
        sign(replace(identity, key=b"rubbish"), path)
    assert path.read_bytes() == PLAIN
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_that_would_take_too_much_memory_is_marked_and_told(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "MOST_BYTES", 1000)
    path = film(tmp_path)
    wanted = Provenance(ai_mark=True, certificate=identity.digest, identity=identity)
    (said,) = trio.run(partial(wanted.of_cut, path, "cut.mp4", {}, TRAINED))
    assert said.startswith("not signed: ")
    assert scan(path) == Claims(source_types=(TRAINED,))


# Which clips are a model's


def bought(*, simulated: bool) -> Purchase:
    values = dict.fromkeys((field.name for field in fields(Purchase)), None) | {
        "simulated": simulated, "manifest": (("prompt", "a boat"), ("seed", "7")), "charged": 250_000,
        "provider": "runway", "model": "gen4.5",
    }  # fmt: skip
    return Purchase(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "file", "made_by"),
    [
        (bought(simulated=False), File.INTACT, TRAINED),
        (bought(simulated=False), File.EDITED, COMPOSITE),
        (bought(simulated=True), File.INTACT, ""),
        (bought(simulated=True), File.EDITED, ""),
        (None, File.INTACT, ""),
    ],
    ids=["bought", "edited", "simulated", "simulated and edited", "of the other world"],
)
def test_only_what_was_bought_is_said_to_be_made_by_a_model(row: Purchase | None, file: File, made_by: str) -> None:
    assert command.made_by(row, file) == made_by


def test_a_signature_tells_only_what_is_asked_for() -> None:
    row = bought(simulated=False)
    assert command.details("", row, 3) == {}
    assert command.details("seed,price", row, 3) == {"shot_number": 3, "seed": "7", "price": 0.25}
    assert command.details("prompt", None, 3) == {}

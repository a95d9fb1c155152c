"""A third protocol needs a codec, a simulated vendor and two lines; and no vendor's key ever reaches another vendor."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_protocol
from studio import KEYS, Studio

from vgen.errors import InputError
from vgen.inputs.config import load
from vgen.inputs.keys import key_names, without_keys
from vgen.inputs.settings import Settings
from vgen.providers import CODECS

OWN, SHARED = "own-vgencanary-0123456789abcdef", "shared-vgencanary-0123456789abcdef"
ONLY = ("fallback_api=none",)
TOY = {"model": "toy-1"}
NAMES = (*CODECS, "toy")
PAIRS = list(itertools.permutations(NAMES, 2))
PIKAS_OWN = "pika"
"""The one protocol that is called like another one's section, and whose key that section may use."""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_protocol.ToyCloud, "keys", set())
    toy_protocol.register(monkeypatch, toy_protocol)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.chdir(tmp_path)
    made = Studio(tmp_path)
    made.environ |= {"TOY_SHARED_KEY": SHARED}
    yield made
    made.pass_time(1000)
    made.check_money()
    made.check_secrets()
    made.check_clips()


# ── a whole production ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("toy", TOY),
        ("mine", TOY | {"protocol": "toy"}),
        ("mine", TOY | {"protocol": "toy", "base_url": "http://127.0.0.1:8080"}),
    ],
)
def test_a_production_is_bought_by_a_protocol_that_vgen_does_not_know(
    studio: Studio, name: str, section: dict[str, str]
) -> None:
    studio.configure(**{name: section})
    assert studio.doit(f"primary_api={name}", *ONLY) == 0
    assert studio.successes() == [True] * 3
    assert {entry["api_used"] for entry in studio.clips()} == {name}
    assert [job["provider"] for job in studio.jobs()] == ["toy"] * 3
    assert studio.booked() == (studio.charged(), 0, 0) == (0.15, 0, 0)
    assert toy_protocol.ToyCloud.keys == {SHARED}
    assert studio.doit(f"primary_api={name}", *ONLY) == 0
    assert studio.bought() == 3


def test_it_is_simulated_without_a_key(studio: Studio) -> None:
    studio.environ.clear()
    studio.configure(mine=TOY | {"protocol": "toy"})
    assert studio.doit("primary_api=mine", *ONLY) == 0
    assert (studio.report()["simulated"], studio.successes()) == (True, [True] * 3)
    assert {row["base_url"] for row in studio.rows()} == {"http://toy.simulated"}


def test_the_others_take_over_from_it_each_with_its_own_key(studio: Studio) -> None:
    studio.configure(toy=TOY)
    studio.faults("toy.bad_key=~shot-2")
    assert studio.doit("primary_api=runway", "fallback_api=toy") == 0
    studio.calm()
    assert studio.doit("-a", "clip:1", "primary_api=toy", "fallback_api=pika") == 0
    assert {job["provider"] for job in studio.jobs()} == {"runway", "toy"}
    assert toy_protocol.ToyCloud.keys == {SHARED}


def test_an_order_whose_answer_was_lost_is_settled_in_the_words_of_its_protocol(studio: Studio) -> None:
    studio.write_shots(studio.read_shots()[:1])
    studio.configure(mine=TOY | {"protocol": "toy", "base_url": "http://127.0.0.1:8080"})
    studio.faults("toy.create_lost=first:1")
    assert studio.doit("primary_api=mine", *ONLY) == 1
    assert studio.doit("recover", "primary_api=mine", *ONLY) == 0
    assert studio.states() == ["uncertain"]
    job = studio.jobs()[0]["id"]
    assert studio.doit("settle", "shot=1", f"as={job}", "primary_api=mine", *ONLY) == 0
    assert studio.doit("primary_api=mine", *ONLY) == 0
    assert (studio.states(), studio.bought()) == (["accepted"], 1)


def test_what_runs_at_a_vendor_is_collected_though_its_section_is_gone_or_another_vendors_by_now(
    studio: Studio,
) -> None:
    for after in ({}, {"mine": {"model": "fal-ai/wan", "cost_per_second_usd": 1}}):
        studio.write_shots([{"shot_number": 1, "duration": 5, "prompt": f"a boat {len(after)}"}])
        path = studio.root / "config" / "api_config.json"
        before = path.read_text("utf-8")
        studio.configure(mine=TOY | {"protocol": "toy"})
        assert studio.doit("primary_api=mine", *ONLY, "clip_timeout_s=5") == 1
        path.write_text(json.dumps(json.loads(before) | after), encoding="utf-8")
        assert studio.doit() == 0
        assert {row["state"] for row in studio.rows()} == {"accepted"}
        path.write_text(before, encoding="utf-8")
    assert studio.bought() == 2
    assert toy_protocol.ToyCloud.keys == {SHARED}


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def settings(root: Path, env: dict[str, str], sections: dict[str, object], **cli: str) -> Settings:
    (root / "config").mkdir(exist_ok=True)
    (root / "config" / "api_config.json").write_text(json.dumps(sections), encoding="utf-8")
    return load(root, {"fallback_api": "none", **cli}, env)


def keys_of(protocol: str) -> dict[str, str]:
    """Every key that belongs to a vendor, and to the sections that are called like it."""
    vendor = CODECS[protocol].VENDOR
    names = {*vendor.keys, *(f"{name.upper()}_API_KEY" for name in (protocol, vendor.section) if name)}
    others = {key for name, codec in CODECS.items() if name != protocol for key in codec.VENDOR.keys}
    return {name: f"{name}-vgencanary-0123" for name in names - others}


def section_of(protocol: str, **more: str) -> dict[str, object]:
    return {"x": {"protocol": protocol, "model": model_of(protocol), "cost_per_second_usd": 1, **more}}


def model_of(protocol: str) -> str:
    return CODECS[protocol].VENDOR.example or "toy-1"


def test_with_fals_key_alone_a_third_protocol_finds_none(tmp_path: Path) -> None:
    env = {"FAL_KEY": KEYS["FAL_KEY"]}
    assert settings(tmp_path, env, {"toy": TOY}, primary_api="toy").simulated
    live = settings(tmp_path, env, {"toy": TOY}, primary_api="toy", fallback_api="pika", mode="live")
    assert (live.primary.key, live.providers["pika"].key) == (None, env["FAL_KEY"])
    assert live.warnings == ("toy is closed: no key; set TOY_API_KEY or TOY_SHARED_KEY",)


def assert_closed(found: Settings, names: str) -> None:
    """Without a key, and so with nothing to buy from; it asks for these."""
    assert (found.keyless, found.primary.key) == (True, None)
    assert str(found.primary.closed).startswith(f"{found.primary.name} is closed: no key; set {names}")


@pytest.mark.parametrize("place", ["", "http://127.0.0.1:8080", "https://proxy.example.org"])
@pytest.mark.parametrize(("owner", "other"), PAIRS)
def test_no_vendors_key_reaches_another_vendors_section(tmp_path: Path, owner: str, other: str, place: str) -> None:
    sections = section_of(other, **({"base_url": place} if place else {}))
    assert_closed(settings(tmp_path, keys_of(owner), sections, primary_api="x", mode="live"), "X_API_KEY")


@pytest.mark.parametrize(("owner", "other"), [pair for pair in PAIRS if pair != (PIKAS_OWN, "fal")])
def test_nor_a_section_called_like_its_owner(tmp_path: Path, owner: str, other: str) -> None:
    name = CODECS[owner].VENDOR.section or owner
    keys = {key: value for key, value in keys_of(owner).items() if key in CODECS[owner].VENDOR.keys}
    sections = {name: {"protocol": other, "model": model_of(other), "cost_per_second_usd": 1}}
    assert_closed(settings(tmp_path, keys, sections, primary_api=name, mode="live"), "")


PIKA, SHARED_FAL = "pika-vgencanary-0123456789abcdef", "fal-vgencanary-0123456789abcdef"


@pytest.mark.parametrize(
    ("section", "env", "key"),
    [
        ({}, {"PIKA_API_KEY": PIKA, "FAL_KEY": SHARED_FAL}, SHARED_FAL),
        ({}, {"PIKA_API_KEY": PIKA}, PIKA),
        ({"protocol": "fal"}, {"PIKA_API_KEY": PIKA, "FAL_KEY": SHARED_FAL}, SHARED_FAL),
        ({"protocol": "pika"}, {"PIKA_API_KEY": PIKA, "FAL_KEY": SHARED_FAL}, PIKA),
        ({"protocol": "pika"}, {"FAL_KEY": SHARED_FAL}, None),
    ],
    ids=str,
)
def test_the_section_pika_has_fals_key_or_pikas_as_it_speaks(
    tmp_path: Path, section: dict[str, str], env: dict[str, str], key: str | None
) -> None:
    chosen = {"pika": {"model": model_of("pika"), **section}} if "pika" in section.values() else {"pika": section}
    found = settings(tmp_path, {"RUNWAY_API_KEY": OWN, **env}, chosen, primary_api="pika", fallback_api="runway")
    assert (found.primary.protocol, found.primary.key) == (section.get("protocol", "fal"), key)


def test_a_first_party_purchase_of_the_section_pika_is_told_from_one_at_fal(tmp_path: Path) -> None:
    sections = {"pika": {"protocol": "pika", "model": model_of("pika")}}
    found = settings(tmp_path, {}, sections, primary_api="pika")
    bought_at = found.primary.terms.base_url
    assert found.protocol_of("pika", bought_at) == "pika"
    assert settings(tmp_path, {}, {}).protocol_of("pika", bought_at) == "pika"
    assert found.protocol_of("pika", "http://pika.simulated") == "fal"


@pytest.mark.parametrize(("owner", "other"), PAIRS)
def test_a_section_at_another_vendors_host_is_refused(tmp_path: Path, owner: str, other: str) -> None:
    sections = section_of(owner, base_url=f"https://{CODECS[other].VENDOR.hosts[0]}")
    with pytest.raises(InputError, match=f"speaks {other}, not {owner}"):
        settings(tmp_path, keys_of(owner) | {"X_API_KEY": OWN}, sections, primary_api="x")


@pytest.mark.parametrize("name", [name for name in NAMES if CODECS.get(name, toy_protocol).VENDOR.example])
def test_a_model_that_is_called_as_another_vendors_names_the_protocol_to_add(tmp_path: Path, name: str) -> None:
    model = "fal-ai/kling-video/v3/pro/text-to-video"
    with pytest.raises(InputError) as caught:
        settings(tmp_path, {}, {"x": {"protocol": name, "model": model}}, primary_api="x")
    [line] = caught.value.problems
    assert line == (
        f"config/api_config.json: x.model: {model}: protocol {name} has models like {model_of(name)}; "
        'for this one add "protocol": "fal"'
    )
    for other in NAMES:
        if name != other and CODECS.get(other, toy_protocol).VENDOR.example:
            sections = {"x": {"protocol": name, "model": model_of(other)}}
            with pytest.raises(InputError, match=f'add "protocol": "{other}"'):
                settings(tmp_path, {}, sections, primary_api="x")
            break


@pytest.mark.parametrize("protocol", NAMES)
def test_a_base_url_may_end_with_the_version_of_the_api(tmp_path: Path, protocol: str) -> None:
    vendor = CODECS[protocol].VENDOR
    written = section_of(protocol, base_url=f"{vendor.base_url}{vendor.version}/")
    assert settings(tmp_path, keys_of(protocol), written, primary_api="x").primary.terms.base_url == vendor.base_url


@pytest.mark.parametrize("protocol", NAMES)
def test_a_shared_key_goes_home_or_to_loopback_and_nowhere_else(tmp_path: Path, protocol: str) -> None:
    vendor = CODECS[protocol].VENDOR
    env = {vendor.keys[-1]: SHARED}
    for place in (vendor.base_url, "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:8080"):
        found = settings(tmp_path, env, section_of(protocol, base_url=place), primary_api="x")
        assert found.primary.key == SHARED
    host = vendor.hosts[0]
    for place in (
        f"https://{host}.evil.example",
        f"https://x{host}",
        "https://127.0.0.1.evil.example",
        "https://10.0.0.1",
    ):
        sections = section_of(protocol, base_url=place)
        assert_closed(settings(tmp_path, env, sections, primary_api="x", mode="live"), "X_API_KEY")
        found = settings(tmp_path, env | {"X_API_KEY": OWN}, sections, primary_api="x")
        assert found.primary.key == OWN


@pytest.mark.parametrize(("owner", "other"), PAIRS)
def test_no_key_may_be_sent_to_another_vendors_host_and_no_shared_one_without_tls(owner: str, other: str) -> None:
    host = CODECS[owner].VENDOR.hosts[0]
    assert key_names("x", other, f"https://{host}") == ()
    assert key_names("x", owner, f"http://{host}") == ("X_API_KEY",)
    assert key_names("x", owner, f"https://{host}") == ("X_API_KEY", *CODECS[owner].VENDOR.keys)


def test_the_line_says_why_a_key_that_is_set_was_not_used(tmp_path: Path) -> None:
    env = {"TOY_SHARED_KEY": SHARED, "FAL_KEY": KEYS["FAL_KEY"]}
    sections = {"toy": TOY | {"base_url": "https://proxy.example.org"}}
    found = settings(tmp_path, env, sections, primary_api="toy", fallback_api="pika")
    why = "vgen never sends TOY_SHARED_KEY to proxy.example.org"
    assert found.warnings == (f"toy is closed: no key; set TOY_API_KEY ({why})",)


@pytest.mark.parametrize(("owner", "other"), PAIRS)
def test_a_purchase_of_before_is_asked_about_with_a_key_of_where_it_was_made(
    tmp_path: Path, owner: str, other: str
) -> None:
    env = keys_of(owner) | keys_of(other) | {"X_API_KEY": OWN}
    found = settings(tmp_path, env, section_of(other), primary_api="x")
    here = found.seller("x", CODECS[owner].VENDOR.base_url, "m")
    assert (here.protocol, here.key in keys_of(owner).values()) == (owner, True)
    moved = settings(tmp_path, keys_of(owner), section_of(owner), primary_api="x")
    assert moved.seller("x", "https://proxy.example.org", "m").key is None
    assert moved.seller("gone", CODECS[other].VENDOR.base_url, "m").key is None


def test_programs_that_vgen_starts_see_no_key_of_any_protocol(tmp_path: Path) -> None:
    every = {key: "x" for name in NAMES for key in keys_of(name)}
    assert without_keys(every | {"PATH": "/bin"}) == {"PATH": "/bin"}


# ── the section's key `protocol` ──────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_protocol_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        settings(tmp_path, {}, {"x": {"protocol": "runwy", "model": "toy-1"}}, primary_api="x")
    [line] = caught.value.problems
    assert line == (
        "config/api_config.json: x.protocol: runwy: no such protocol (did you mean runway?); there are "
        "runway, fal, kling, pika, ark, minimax, toy"
    )


@pytest.mark.parametrize(
    ("name", "section", "protocol"),
    [
        ("runway", {}, "runway"),
        ("pika", {}, "fal"),
        ("toy", TOY, "toy"),
        ("wan", {"model": "fal-ai/wan"}, "fal"),
        ("kling", {"model": "kling-3.0"}, "kling"),
        ("kling", {"model": "fal-ai/kling", "protocol": "fal"}, "fal"),
        ("ark", {"model": "dreamina-seedance-2-5-260628"}, "ark"),
        ("minimax", {"model": "MiniMax-H3"}, "minimax"),
        ("pika", {"model": "kling/kling-3.0/text-to-video", "protocol": "pika"}, "pika"),
        ("kling", {"model": "toy-1", "protocol": "toy"}, "toy"),
        ("pika", {"model": "gen4.5", "protocol": "runway"}, "runway"),
    ],
)
def test_a_section_speaks_what_it_says_or_what_its_name_says_or_fal(
    tmp_path: Path, name: str, section: dict[str, str], protocol: str
) -> None:
    assert settings(tmp_path, {}, {name: section}, primary_api=name).primary.protocol == protocol

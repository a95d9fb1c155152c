"""Any model of fal: planned at its price without a network, refused with a reason, listed, and learnt on request."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
import trio.testing
from studio import Studio

FAMILIES = {
    # eight model families: model, the section's other keys, dollars for shots of 4 s and 7 s in 9:16
    "pika": ("fal-ai/pika/v2.2/text-to-video", {}, 0.20 + 0.40),
    "kling": ("fal-ai/kling-video/v3/pro/text-to-video", {"protocol": "fal"}, 0.448 + 0.784),
    "veo": ("fal-ai/veo3.1", {}, 0.80 + 1.60),
    "seedance": ("bytedance/seedance-2.0/fast/text-to-video", {}, 0.9676 + 1.6933),
    "wan": ("fal-ai/wan/v2.7/text-to-video", {"resolution": "1080p"}, 0.60 + 1.05),
    "luma": ("fal-ai/luma-dream-machine/ray-2-flash", {}, 0.40 + 0.80),
    "pixverse": ("fal-ai/pixverse/c1/text-to-video", {}, 0.20 + 0.35),
    "hailuo": ("fal-ai/minimax/hailuo-2.3/standard/text-to-video", {"ratios": ["9:16"]}, 0.28 + 0.56),
    "horse": ("alibaba/happy-horse/text-to-video", {}, 0.56 + 0.98),
}


@pytest.fixture
def film(studio: Studio) -> Studio:
    studio.write_shots([{"shot_number": n, "duration": s, "prompt": f"shot-{n}"} for n, s in ((1, 4), (2, 7))])
    studio.configure(**{name: {"model": model, **more} for name, (model, more, _) in FAMILIES.items()})
    return studio


def planned(studio: Studio, *args: str) -> dict[str, Any]:
    assert studio.doit("plan", "fallback_api=none", *args) == 0
    found: dict[str, Any] = json.loads((studio.outputs / "plan.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_plan_has_each_familys_right_price_and_asks_nobody(film: Studio, name: str) -> None:
    assert planned(film, f"primary_api={name}")["total_usd"] == pytest.approx(FAMILIES[name][2])
    assert film.creates() == 0


def test_a_clips_price_by_its_length_comes_from_the_config_too(film: Studio) -> None:
    film.configure(fast={"model": "fal-ai/veo3.1/fast", "cost_per_second_usd": {"6": 0.1, "8": 0.2}})
    assert planned(film, "primary_api=fast")["total_usd"] == pytest.approx(0.4 + 1.6)
    film.configure(fast={"cost_per_second_usd": None, "cost_per_clip_usd": {"4": 0.3, "8": 0.5}})
    assert planned(film, "primary_api=fast")["total_usd"] == pytest.approx(0.8)
    film.configure(fast={"cost_per_clip_usd": 0.7})
    assert planned(film, "primary_api=fast")["total_usd"] == pytest.approx(1.4)


def test_a_configured_price_below_the_list_price_is_told_and_not_used(
    film: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    film.configure(hailuo={"cost_per_clip_usd": {"6": 0.2, "10": 0.6}})
    assert planned(film, "primary_api=hailuo")["total_usd"] == pytest.approx(0.28 + 0.6)
    assert "hailuo: its price in the config, $0.20, is below the list price" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"cost_per_clip_usd": {"6": 0.1}}, "no price known for fal-ai/veo3.1/fast"),
        ({"cost_per_clip_usd": {}}, "cost_per_clip_usd: {}: its lengths must be seconds above 0"),
        ({"cost_per_clip_usd": {"six": 1}}, "give dollars, or dollars by length in seconds"),
        ({"cost_per_clip_usd": {"6": -1}}, "give dollars, or dollars by length in seconds"),
        ({"cost_per_clip_usd": {"6": True}}, "give dollars, or dollars by length in seconds"),
        ({"cost_per_clip_usd": {"-6": 1}}, "its lengths must be seconds above 0"),
        ({"cost_per_clip_usd": 1, "cost_per_second_usd": 1}, "give one of the two"),
        ({"ratios": ["4:3"]}, "ratios"),
        ({"ratios": "16:9"}, "ratios"),
        ({}, "no price known for fal-ai/veo3.1/fast; look at https://fal.ai/models/fal-ai/veo3.1/fast/llms.txt and"),
    ],
    ids=str,
)
def test_a_price_that_can_not_be_meant_is_refused_in_one_line(
    film: Studio, capsys: pytest.CaptureFixture[str], section: dict[str, Any], problem: str
) -> None:
    film.configure(fast={"model": "fal-ai/veo3.1/fast", **section})
    assert film.doit("primary_api=fast", "fallback_api=none") == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert problem in lines[0]
    assert film.creates() == 0


@pytest.mark.slow
def test_a_row_with_the_least_that_can_be_said_is_planned_and_rehearsed(film: Studio) -> None:
    row = {"kind": "text", "prompt": {}, "duration": {"values": ["4", "8"]}, "aspect_ratio": {"values": ["9:16"]},
           "sound": {"field": "noise"}, "price": {"per_clip_usd": {"4": 0.2, "8": 0.4}}}  # fmt: skip
    (film.root / "config" / "fal_endpoints.json").write_text(json.dumps({"endpoints": {"me/new": row}}), "utf-8")
    film.configure(mine={"model": "me/new"})
    assert planned(film, "primary_api=mine")["total_usd"] == pytest.approx(0.6)
    film.environ = {}
    film.new_cloud(extra_rows={"me/new": row})
    assert film.doit("primary_api=mine", "fallback_api=none") == 0
    assert film.charged() == pytest.approx(0.6)


def test_what_a_model_does_not_take_is_told_once(film: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    film.write_shots(
        [{"shot_number": n, "duration": 5, "prompt": f"shot-{n}", "seed": n, "negative_prompt": "fog"} for n in (1, 2)]
    )
    assert film.doit("plan", "primary_api=kling", "fallback_api=none") == 0
    text = "kling: fal-ai/kling-video/v3/pro/text-to-video takes no seed; left out of shots 1-2"
    assert capsys.readouterr().out.count(text) == 1
    assert film.doit("plan", "primary_api=veo", "fallback_api=none") == 0
    assert "left out" not in capsys.readouterr().out


def test_an_endpoint_that_is_not_listed_is_refused_before_it_costs(
    film: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    film.configure(new={"model": "fal-ai/veo4", "cost_per_second_usd": 0.1})
    assert film.doit("primary_api=new", "fallback_api=none") == 3
    assert "`doit learn model=fal-ai/veo4" in capsys.readouterr().err
    assert film.creates() == 0


def test_a_fallback_that_makes_nothing_is_told_before_the_run(film: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    film.configure(new={"model": "fal-ai/veo4"})
    assert film.doit("plan", "primary_api=pika", "fallback_api=new") == 0
    assert "new makes none of the shots: vgen doesn't know what fal-ai/veo4 takes" in capsys.readouterr().out


@pytest.mark.slow
def test_models_are_listed_with_what_they_take_and_cost(film: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    assert film.doit("models", "find=Kling-Video/v3/pro/text") == 0
    (line, count) = capsys.readouterr().out.strip().splitlines()
    for word in ("3 to 15 s", "16:9, 9:16, 1:1", "sound", "no seed", "$0.112 a second", "fal's page, 2026-"):
        assert word in line
    assert count.startswith("1 listed, of 253 endpoints of fal as of 2026-08-02 (fal-js 381105e)")
    assert film.doit("models", "find=nothing-like-it") == 0
    assert "doit learn model=ID" in capsys.readouterr().out
    assert film.doit("plan", "find=kling") == 3


@pytest.mark.slow
def test_doctor_tells_how_old_the_table_is(film: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    film.environ = {}
    film.doit("doctor")
    assert "models of fal: 253 endpoints of fal as of 2026-08-02 (fal-js 381105e)" in capsys.readouterr().out


# ── learning ──────────────────────────────────────────────────────────────────────────────────────────────────────────

MODEL = "fal-ai/new-model/text-to-video"


def document(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    """An OpenAPI document as fal publishes it, with these fields of the input."""
    properties = {"prompt": {"type": "string", "description": "What to show, max 900 characters"}, **fields}
    schemas = {
        "NewInput": {"type": "object", "required": ["prompt"], "properties": properties},
        "NewOutput": {"type": "object", "properties": {"video": {"$ref": "#/components/schemas/File"}}},
        "File": {"type": "object", "properties": {"url": {"type": "string"}}},
        "QueueStatus": {"type": "object"},
    }

    def content(name: str) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    return {
        "openapi": "3.0.4",
        "components": {"schemas": schemas},
        "paths": {
            f"/{model}": {"post": {"requestBody": content("NewInput"), "responses": {"200": content("QueueStatus")}}},
            f"/{model}/requests/{{request_id}}": {"get": {"responses": {"200": content("NewOutput")}}},
            f"/{model}/requests/{{request_id}}/status": {"get": {"responses": {"200": content("QueueStatus")}}},
        },
    }


FIELDS = {
    "duration": {"anyOf": [{"type": "integer", "minimum": 3, "maximum": 12}, {"type": "null"}], "default": 5},
    "aspect_ratio": {"type": "string", "enum": ["16:9", "9:16"], "default": "16:9"},
    "resolution": {"type": "string", "enum": ["480p", "720p"], "default": "480p"},
    "generate_audio": {"type": "boolean", "default": False},
    "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
}


class _Openapi(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, bytes]] = (200, b"")
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        if "openapi" in self.path:
            self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def fal(film: Studio) -> Iterator[type[_Openapi]]:
    """A server on this machine that answers as fal.ai does, in the config of the film."""
    _Openapi.asked, _Openapi.answer = [], (200, json.dumps(document(**FIELDS)).encode())
    with HTTPServer(("127.0.0.1", 0), _Openapi) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        film.configure(new={"model": MODEL, "base_url": url, "cost_per_second_usd": 0.1})
        film.clock = trio.testing.MockClock(rate=1.0)  # a real socket knows no other time
        yield _Openapi
        server.shutdown()
        thread.join()


def own_rows(studio: Studio) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads((studio.root / "config" / "fal_endpoints.json").read_text("utf-8"))["endpoints"]
    return rows


@pytest.mark.slow
def test_a_model_is_learnt_with_one_keyless_question_and_can_be_planned_then(
    film: Studio, fal: type[_Openapi], capsys: pytest.CaptureFixture[str]
) -> None:
    assert film.doit("learn", f"model={MODEL}") == 0
    assert fal.asked == [(f"/api/openapi/queue/openapi.json?endpoint_id={MODEL}", None)]
    assert f"learned {MODEL}: from text; 3 to 12 s; 16:9, 9:16; 480p, 720p; sound" in capsys.readouterr().out
    row = own_rows(film)[MODEL]
    assert row == {
        "kind": "text", "required": ["prompt"], "prompt": {"max_characters": 900},
        "duration": {"type": "integer", "min": 3, "max": 12, "default": 5},
        "aspect_ratio": {"values": ["16:9", "9:16"], "default": "16:9"},
        "resolution": {"values": ["480p", "720p"], "default": "480p"},
        "seed": True, "negative_prompt": False, "sound": {"field": "generate_audio", "default": False},
        "learned": row["learned"],
    }  # fmt: skip
    assert planned(film, "primary_api=new")["total_usd"] == pytest.approx(1.1)
    assert len(fal.asked) == 1, "a plan asks nobody"
    assert film.doit("models", "find=new-model") == 0
    assert f"learned {row['learned']}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_rehearsal_without_a_key_learns_from_its_own_server_too(film: Studio, fal: type[_Openapi]) -> None:
    film.environ.clear()
    assert film.doit("learn", f"model={MODEL}") == 0
    assert len(fal.asked) == 1


@pytest.mark.slow
def test_learning_again_keeps_the_price_and_other_rows(film: Studio, fal: type[_Openapi]) -> None:
    other = {"kind": "text", "prompt": {}}
    first = {"kind": "text", "learned": "2026-01-01", "price": {"per_clip_usd": 0.3}}
    path = film.root / "config" / "fal_endpoints.json"
    path.write_text(json.dumps({"endpoints": {"me/other": other, MODEL: first}}), "utf-8")
    assert film.doit("learn", f"model={MODEL}") == 0
    rows = own_rows(film)
    assert rows["me/other"] == other
    assert (rows[MODEL]["price"], rows[MODEL]["duration"]["max"]) == ({"per_clip_usd": 0.3}, 12)


@pytest.mark.slow
def test_a_row_that_was_written_by_hand_is_not_overwritten(
    film: Studio, fal: type[_Openapi], capsys: pytest.CaptureFixture[str]
) -> None:
    path = film.root / "config" / "fal_endpoints.json"
    path.write_text(json.dumps({"endpoints": {MODEL: {"kind": "text", "prompt": {}}}}), "utf-8")
    before = path.read_bytes()
    assert film.doit("learn", f"model={MODEL}") == 3
    assert "was written by hand; take it out to learn it" in capsys.readouterr().err
    assert (path.read_bytes(), fal.asked) == (before, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((404, b'{"detail": "nothing here"}'), f"fal has no endpoint {MODEL}"),
        ((200, b"<html>maintenance</html>"), "can't be read (HTTP 200"),
        ((503, b""), "can't be read (HTTP 503"),
        ((302, b""), "can't be read (HTTP 302"),
        ((200, json.dumps(document("fal-ai/another")).encode()), "does not describe"),
        ((200, json.dumps(document(MODEL)).replace('"video"', '"images"').encode()), "makes no video"),
    ],
    ids=str,
)
def test_an_answer_that_gives_no_row_writes_nothing(
    film: Studio,
    fal: type[_Openapi],
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, bytes],
    problem: str,
) -> None:
    fal.answer = answer
    assert film.doit("learn", f"model={MODEL}") == 1
    assert problem in capsys.readouterr().out
    assert not (film.root / "config" / "fal_endpoints.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "not an object"),
        ("{", "not JSON"),
        ('{"endpoints": {"x": {"kind": "text"}}, "more": 1}', "more: unknown; there are about and endpoints"),
        ('{"endpoints": {"x": {"kind": "text"}, "x": {"kind": "text"}}}', "x: given twice"),
        ('{"endpoints": {"x": []}}', "x: not an object"),
        ('{"endpoints": {"x y": {"kind": "text"}}}', "x y: not the id of an endpoint"),
        ('{"endpoints": {"x": {}}}', "x: kind: missing"),
        ('{"endpoints": {"x": {"kind": "film"}}}', "x: kind: 'film' is not one of text, image"),
        ('{"endpoints": {"x": {"kind": "image"}}}', "x: images: missing"),
        ('{"endpoints": {"x": {"kind": "text", "durations": {}}}}', "x: durations: unknown; did you mean duration?"),
        ('{"endpoints": {"x": {"kind": "text", "duration": [5]}}}', "x: duration: not an object"),
        ('{"endpoints": {"x": {"kind": "text", "duration": {"min": 3}}}}', "x: duration: give the values"),
        ('{"endpoints": {"x": {"kind": "text", "duration": {"values": []}}}}', "x: duration.values: [] is not a list"),
        ('{"endpoints": {"x": {"kind": "text", "seed": "yes"}}}', "x: seed: 'yes' is not true or false"),
        ('{"endpoints": {"x": {"kind": "text", "price": {"per_clip_usd": -1}}}}', "x: price.per_clip_usd: -1 is not"),
        ('{"endpoints": {"x": {"kind": "text", "price": {"date": "2026"}}}}', "x: price: give per_second_usd or per_"),
    ],
    ids=str,
)
def test_a_file_that_can_not_be_meant_is_refused_in_one_line(
    film: Studio, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    (film.root / "config" / "fal_endpoints.json").write_text(text, "utf-8")
    for command in (["plan"], ["models"], ["learn", "model=x"]):
        assert film.doit(*command) == 3, command
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert len(lines) == 1, lines
        assert "config/fal_endpoints.json" in lines[0]
        assert problem in lines[0]

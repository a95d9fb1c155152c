"""scripts/fal_endpoints.py: from the types of fal's client to the shipped table, and where the script must stop."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import fal_endpoints
from vgen import providers
from vgen.providers import fal_learn, fal_rows, fal_table
from vgen.providers.base import CannotMake, Reply

HEAD = """\
export type File = {
  url: string;
};
export type PikaIn = {
  /**
   * The duration of the generated video in seconds; say `};` if you like Default value: `"5"`
   */
  duration?: 5 | 10;
  /**
   * The resolution; 720p costs less Default value: `"720p"`
   */
  resolution?: "720p" | "1080p";
  /**
   * What to show; at most 900 characters.
   */
  prompt: string;
  seed?: number;
};
export type PictureIn = {
  image_url: string | Blob | File;
  end_image_url?: string | Blob | File;
  prompt?: string;
  /**
   * Number of frames. Must be between 17 to 161 (inclusive). Default value: `81`
   */
  num_frames?: number;
  /**
   * Frames per second. Default value: `16`
   */
  frames_per_second?: number;
  aspect_ratio?:
    | "16:9"
    | "9:16"
    | "auto";
  /**
   * Sound. Default value: `true`
   */
  generate_audio?: boolean;
};
export type AvatarIn = {
  audio_url: string;
  image_url: string;
  prompt: string;
};
export type Alias = PikaIn;
export type Out = {
  /**
   * The video.
   */
  video: File;
};
export type Images = {
  images: Array<File>;
};
"""
ENTRIES = {
    "fal-ai/pika/v2.2/text-to-video": ("Alias", "Out"),
    "fal-ai/pika/v2.2/image-to-video": ("PictureIn", "Out"),
    "fal-ai/avatar": ("AvatarIn", "Out"),
    "fal-ai/painter": ("PikaIn", "Images"),
}
PRICE = {"endpoints": ["fal-ai/pika/v2.2/text-to-video"], "per_clip_usd": 0.2, "sure": "page"}


def source(head: str = HEAD, more: int = 200) -> str:
    """A list of types; `more` endpoints beside those above."""
    entries = {**ENTRIES, **{f"fal-ai/more-{n}": ("PikaIn", "Out") for n in range(more)}}
    lines = [
        f'  "{name}": {{\n    input: {taken};\n    output: {made};\n  }};' for name, (taken, made) in entries.items()
    ]
    return head + "export type EndpointTypeMap = {\n" + "\n".join(lines) + "\n};\n"


def table(*args: Any, **changes: Any) -> dict[str, Any]:
    return fal_endpoints.table(source(*args, **changes), {"prices": [PRICE]})


def test_a_row_has_what_the_types_and_their_comments_say() -> None:
    rows = table()
    assert rows["fal-ai/pika/v2.2/text-to-video"] == {
        "kind": "text", "required": ["prompt"], "prompt": {"max_characters": 900},
        "duration": {"values": [5, 10], "default": 5}, "resolution": {"values": ["720p", "1080p"], "default": "720p"},
        "seed": True, "negative_prompt": False, "image_endpoint": "fal-ai/pika/v2.2/image-to-video",
        "price": {"per_clip_usd": 0.2, "sure": "page"},
    }  # fmt: skip
    assert rows["fal-ai/pika/v2.2/image-to-video"] == {
        "kind": "image", "required": ["image_url"], "prompt": {},
        "num_frames": {"type": "number", "min": 17, "max": 161, "default": 81, "fps": 16},
        "aspect_ratio": {"values": ["16:9", "9:16", "auto"]}, "seed": False, "negative_prompt": False,
        "sound": {"field": "generate_audio", "default": True},
        "images": {"first": "image_url", "last": "end_image_url"},
    }  # fmt: skip
    assert {"fal-ai/avatar", "fal-ai/painter"}.isdisjoint(rows)


@pytest.mark.parametrize(
    ("head", "more", "problem"),
    [
        (HEAD.replace("5 | 10", '"5" | "10"'), 200, "no duration is an enumeration of integers"),
        (HEAD.replace("5 | 10", "5 | 8"), 200, "no longer takes the integers 5 and 10"),
        (HEAD, 10, "only 12 endpoints"),
        (HEAD.replace("PictureIn = {", "PictureIn = {\n  mask_url: string;"), 200, None),
    ],
    ids=str,
)
def test_a_list_that_lost_its_integers_or_its_size_stops_the_script(head: str, more: int, problem: str | None) -> None:
    if problem is None:
        assert "fal-ai/pika/v2.2/image-to-video" not in table(head, more)
        return
    with pytest.raises(fal_endpoints.Unusable, match=problem):
        table(head, more)


def test_a_price_of_an_endpoint_that_is_gone_stops_the_script() -> None:
    with pytest.raises(fal_endpoints.Unusable, match="fal-ai/gone has a price"):
        fal_endpoints.table(source(), {"prices": [{**PRICE, "endpoints": ["fal-ai/gone"]}]})


def test_the_shipped_table_is_what_the_script_writes_and_has_the_prices_of_their_file() -> None:
    path = Path(providers.__file__).parent / "fal_endpoints.json"
    document = json.loads(path.read_text("utf-8"))
    assert fal_endpoints.document(document["about"], document["endpoints"]) == path.read_text("utf-8")
    prices = json.loads(fal_endpoints.PRICES.read_text("utf-8"))["prices"]
    wanted = {
        name: {key: value for key, value in price.items() if key != "endpoints"}
        for price in prices
        for name in price["endpoints"]
    }
    assert {name: row["price"] for name, row in document["endpoints"].items() if "price" in row} == wanted
    assert len(document["about"]["commit"]) == 40
    assert document["about"]["date"] >= "2026-08-02"


def test_the_shipped_table_is_one_that_a_project_may_have_of_its_own() -> None:
    rows, problems = fal_rows.read({"endpoints": dict(fal_table.shipped())})
    assert problems == []
    assert rows.keys() == fal_table.shipped().keys()


# ── learning: the same row comes from fal's OpenAPI document ──────────────────────────────────────────────────────────


def openapi(model: str, row: dict[str, Any]) -> Reply:
    """The document that fal would publish of an endpoint, as far as the row goes."""
    fields: dict[str, Any] = {name: {"type": "string"} for name in row["required"]}
    if "prompt" in row:
        limit = {"maxLength": row["prompt"]["max_characters"]} if "max_characters" in row["prompt"] else {}
        said = f"Limited to {row['prompt']['max_bytes']} UTF-8 encoded bytes." if "max_bytes" in row["prompt"] else ""
        fields["prompt"] = {"type": "string", "description": said, **limit}
    for key in ("duration", "num_frames", "aspect_ratio", "resolution", "size"):
        spec = row.get(key, {})
        schema: dict[str, Any] = {"enum": spec["values"]} if "values" in spec else {"type": spec.get("type")}
        schema |= {wide: spec[short] for short, wide in (("min", "minimum"), ("max", "maximum")) if short in spec}
        schema |= {"default": str(spec["default"])} if "default" in spec else {}  # as fal writes it now and then
        if spec:
            fields[spec.get("field", key)] = {
                "anyOf": [{"$ref": "#/components/schemas/It"}, {"type": "null"}],
                **schema,
            }
    if "fps" in row.get("num_frames", {}):
        fields["fps"] = {"type": "integer", "default": row["num_frames"]["fps"]}
    fields |= {name: {"anyOf": [{"type": "integer"}]} for name in ("seed", "negative_prompt") if row[name]}
    if "sound" in row:
        fields[row["sound"]["field"]] = {"type": "boolean", "default": row["sound"]["default"]}
    images = row.get("images", {})
    fields |= {name: {"type": "string"} for name in (images.get("first"), images.get("last")) if name}
    fields |= {name: {"type": "array"} for name in images.get("references", ())}
    taken = {"allOf": [{"$ref": "#/components/schemas/Taken"}]}
    schemas = {
        "It": {},
        "Taken": {"type": "object", "required": row["required"], "properties": fields},
        "Made": {"properties": {"video": {}}},
    }

    def body(schema: dict[str, Any]) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schema}}}

    paths = {
        f"/{model}": {"post": {"requestBody": body(taken)}},
        f"/{model}/requests/{{request_id}}": {
            "get": {"responses": {"200": body({"$ref": "#/components/schemas/Made"})}}
        },
    }
    data = json.dumps({"paths": paths, "components": {"schemas": schemas}}).encode()
    return Reply(status=200, headers={}, body=data, at=0.0)


def test_every_endpoint_that_is_learnt_has_the_row_of_the_shipped_table() -> None:
    for model, shipped in fal_table.shipped().items():
        row = json.loads(json.dumps(shipped, default=float))
        learnt = fal_learn.row(openapi(model, row), model)
        row.pop("price", None)
        for each in (row, learnt):
            each["required"] = sorted(each["required"])
            for key in ("duration", "num_frames", "resolution"):
                if "default" in each.get(key, {}):
                    each[key]["default"] = str(each[key]["default"])
        assert learnt == row, model
        assert fal_rows.read({"endpoints": {model: learnt}})[1] == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"paths": 3}', b'{"paths": {"/x": {"post": 3}}}', b'{"paths": {"/x": 7}}']
)
def test_whatever_is_answered_gives_a_row_or_a_reason(body: bytes) -> None:
    with pytest.raises(CannotMake):
        fal_learn.row(Reply(status=200, headers={}, body=body, at=0.0), "x")


def test_a_model_that_needs_more_than_a_prompt_and_a_picture_is_not_learnt() -> None:
    row = {"kind": "text", "required": ["prompt", "voice"], "prompt": {}, "seed": True, "negative_prompt": False}
    with pytest.raises(CannotMake, match="needs more than a prompt and a picture: voice"):
        fal_learn.row(openapi("x", row), "x")

"""What fal's runner says of bad input: each endpoint's row of the table, as FastAPI words it. Knows no jobs, no HTTP.

Fields that an endpoint does not have are ignored, as fal does (seen on 2026-09-16: "fal does not reject unknown
fields"). `detail[].type` and the messages are pydantic's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vgen.simulator.fal_table import ANY, SIDE_MOST, Row, number, takes_pixels

Problem = dict[str, Any]

PICTURES = ("http://", "https://", "data:")


def problems(row: Row, body: Any) -> list[Problem]:
    """All that the runner finds wrong with `body`, as the `detail` of its 422."""
    if not isinstance(body, dict):
        return [_problem("dict_type", (), "Input should be a valid dictionary", body)]
    found = [_problem("missing", (name,), "Field required", body) for name in row["required"] if name not in body]
    for name, value in body.items():
        if value is not None or name in row["required"]:
            found += _field(row, name, value)
    if not found and "prompt" not in row["required"] and row["kind"] == "text" and not said(body):
        message = "Value error, Either prompt or multi_prompt must be provided"
        found.append(_problem("value_error", (), message, body))
    return found


def said(body: Mapping[str, Any]) -> bool:
    """Whether a body says in words what is to be seen."""
    return bool(body.get("prompt") or body.get("multi_prompt"))


def _field(row: Row, name: str, value: Any) -> Iterator[Problem]:
    """Problems of one field; none of a field that the endpoint does not have."""
    images = row.get("images", {})
    if name == "prompt" and "prompt" in row:
        yield from _prompt(row["prompt"], value)
    elif name == "negative_prompt" and row.get("negative_prompt", row is ANY):
        yield from _text(name, value)
    elif name == "seed" and row.get("seed", row is ANY):
        yield from _whole(name, value)
    elif name in ("duration", "num_frames", "aspect_ratio", "resolution") and name in row:
        yield from _spec(name, row[name], value)
    elif name == row.get("size", {}).get("field"):
        yield from (
            _sides(name, value) if isinstance(value, dict) and takes_pixels(row) else _spec(name, row["size"], value)
        )
    elif name == row.get("sound", {}).get("field"):
        yield from _switch(name, value)
    elif name in (images.get("first"), images.get("last")):
        yield from _picture((name,), value)
    elif name in images.get("references", ()) and name != "elements":
        yield from _pictures(name, value)


def _problem(kind: str, where: tuple[str | int, ...], message: str, value: Any, **ctx: Any) -> Problem:
    told = {"loc": ["body", *where], "msg": message, "type": kind, "input": value}
    return {**told, "ctx": ctx} if ctx else told


def _prompt(rule: Mapping[str, Any], value: Any) -> Iterator[Problem]:
    yield from _text("prompt", value)
    if not isinstance(value, str):
        return
    if not value:
        message = "String should have at least 1 character"
        yield _problem("string_too_short", ("prompt",), message, value, min_length=1)
    characters, octets = rule.get("max_characters"), rule.get("max_bytes")
    if characters and len(value) > characters:
        message = f"String should have at most {characters} characters"
        yield _problem("string_too_long", ("prompt",), message, value, max_length=characters)
    if octets and len(value.encode("utf-8", "surrogatepass")) > octets:
        yield _problem("value_error", ("prompt",), f"Value error, at most {octets} UTF-8 encoded bytes", value)


def _text(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _problem("string_type", (name,), "Input should be a valid string", value)


def _whole(name: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, str):
        if not value.strip().removeprefix("-").isdecimal():
            message = "Input should be a valid integer, unable to parse string as an integer"
            yield _problem("int_parsing", (name,), message, value)
    elif isinstance(value, float):
        if not value.is_integer():
            message = "Input should be a valid integer, got a number with a fractional part"
            yield _problem("int_from_float", (name,), message, value)
    elif not isinstance(value, int) or isinstance(value, bool):
        yield _problem("int_type", (name,), "Input should be a valid integer", value)


def _spec(name: str, rule: Mapping[str, Any], value: Any) -> Iterator[Problem]:
    """A field with values to choose from, or a number in its range."""
    values = rule.get("values")
    if values is None and rule.get("type") == "string" and name != "aspect_ratio":
        values = (
            [rule["default"]] if "default" in rule else None
        )  # fal's client writes an enumeration of one as a plain string
    if values is not None:
        if not any(value == option and type(value) is type(option) for option in values):
            shown = [f"'{option}'" if isinstance(option, str) else str(option) for option in values]
            expected = " or ".join((", ".join(shown[:-1]), shown[-1])) if len(shown) > 1 else shown[0]
            yield _problem("literal_error", (name,), f"Input should be {expected}", value, expected=expected)
    elif rule.get("type") == "string":
        yield from _text(name, value)
    else:
        yield from _number(name, rule, value)


def _sides(name: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    """ImageSize: sides that are left out have a default, other keys are ignored."""
    for side in ("width", "height"):
        if side not in value:
            continue
        found = [{**one, "loc": ["body", name, side]} for one in _whole(side, value[side])]
        length = number(value[side])
        if not found and length is not None and length <= 0:
            found = [_problem("greater_than", (name, side), "Input should be greater than 0", value[side], gt=0)]
        elif not found and length is not None and length > SIDE_MOST:
            message = f"Input should be less than or equal to {SIDE_MOST}"
            found = [_problem("less_than_equal", (name, side), message, value[side], le=SIDE_MOST)]
        yield from found


def _number(name: str, rule: Mapping[str, Any], value: Any) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        yield _problem("float_type", (name,), "Input should be a valid number", value)
        return
    found = None if isinstance(value, str) and value.endswith("s") else number(value)
    if found is None:
        message = "Input should be a valid number, unable to parse string as a number"
        yield _problem("float_parsing", (name,), message, value)
        return
    least, most = rule.get("min"), rule.get("max")
    if least is not None and found < least:
        message = f"Input should be greater than or equal to {least}"
        yield _problem("greater_than_equal", (name,), message, value, ge=least)
    if most is not None and found > most:
        yield _problem("less_than_equal", (name,), f"Input should be less than or equal to {most}", value, le=most)


def _switch(name: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, bool) or value in (0, 1):
        return
    if not isinstance(value, str):
        yield _problem("bool_type", (name,), "Input should be a valid boolean", value)
    elif value.lower() not in ("true", "false", "0", "1", "on", "off", "yes", "no", "t", "f", "y", "n"):
        message = "Input should be a valid boolean, unable to interpret input"
        yield _problem("bool_parsing", (name,), message, value)


def _pictures(name: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, str):  # subject_reference_image_url takes one
        yield from _picture((name,), value)
    elif not isinstance(value, list):
        yield _problem("list_type", (name,), "Input should be a valid list", value)
    else:
        for index, one in enumerate(value):
            yield from () if isinstance(one, dict) else _picture((name, index), one)


def _picture(where: tuple[str | int, ...], value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _problem("string_type", where, "Input should be a valid string", value)
    elif not value.startswith(PICTURES):
        message = "Failed to download the file. Please check if the URL is accessible and try again."
        yield _problem("file_download_error", where, message, value)

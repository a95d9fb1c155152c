"""Reading JSON that people edit: exact values, and the line at which each of them stands."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.errors import InputError
from vgen.inputs import json_source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def problem(data: bytes) -> str:
    """The one problem of a file named `f`."""
    with pytest.raises(InputError) as caught:
        json_source.parse(data, "f")
    [line] = caught.value.problems
    return line


def test_numbers_are_exact() -> None:
    assert [Decimal("0.1"), 3, Decimal("4.50")] == json_source.parse(b"[0.1, 3, 4.50]", "f")


def test_a_byte_order_mark_is_no_matter() -> None:
    assert json_source.parse(b'\xef\xbb\xbf{"a": 1}', "f") == {"a": 1}


def test_doubled_keys_are_named() -> None:
    value = json_source.parse(b'{"b": 1, "a": 1, "c": 1, "a": 2, "b": 3}', "f")
    assert isinstance(value, json_source.Duplicate)
    assert (value.keys_twice, dict(value)) == (("a", "b"), {"b": 3, "a": 2, "c": 1})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "f:1: not JSON"),
        (b"[1,\n2,\n]", "f:2: not JSON: a trailing comma; remove the comma before the ]"),
        (b'{"a": [1, 2,]}', "f:1: not JSON: a trailing comma"),
        (b'[\n{"a": 1,\r\n\r\n}\r\n]', "f:2: not JSON: a trailing comma; remove the comma before the }"),
        (b"[,]", "f:1: not JSON: a trailing comma"),
        (b'["a,]",\n', "f:2: not JSON: Expecting value"),
        (b'[{"a": "x,\n}"}]', "f:1: not JSON: Invalid control character"),
        (b"```json\n[1]\n```\n", "f:1: not JSON: a ``` fence around it; remove the lines that begin with ```"),
        (b"Here it is:\n\n  ```\n[1,]\n  ```", "f:3: not JSON: a ``` fence"),
        (b"[1]\n```", "f:2: not JSON: a ``` fence"),
        (b'{"a": 1}\n\n{"b": 2}', "f:3: not JSON"),
        (b"[1,\n'a']", "f:2: not JSON"),
        (b'["a\x00b"]', "f:1: not JSON"),
        (b"[\n1\x00]", "f:2: not JSON"),
        (b'["a",\n "\xff"]', "f:2: not UTF-8"),
        (b"\xff\xfe[\x001\x00]\x00", "f:1: not UTF-8"),  # Notepad's "Unicode"
        (b"[1,\n" + b"9" * 5000 + b"]", "f:2: a number with too many digits"),
        (b'["' + b"9" * 5000 + b'",\n1, -' + b"9" * 5000 + b"]", "f:2: a number with too many digits"),
        (b"[0.5,\n\n1e99999999999999999999]", "f:3: a number with too many digits"),
        (b"[\n" * 100_000, "f:101: nested too deep"),
        (b'{"a":\n' * 100_000, "f:101: nested too deep"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_cannot_be_read_is_told_with_its_line(data: bytes, expected: str) -> None:
    assert problem(data).startswith(expected)


def test_backticks_within_a_text_are_no_fence() -> None:
    assert json_source.parse(b'["```json"]', "f") == ["```json"]


def test_a_file_far_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_source, "MAX_BYTES", 10)
    assert problem(b"[1, 2, 3, 4]").startswith("f: 12 bytes")


def test_every_value_has_its_line() -> None:
    data = rb"""{
  "a": [
    1, "{[,:]} \" \\", "line\nbreak",
    {"x\"}": 2,
     "\u0079": "}"}
  ],

  "b": true
}"""
    expected = {
        (): 1,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 1): 3,
        ("a", 2): 3,
        ("a", 3): 4,
        ("a", 3, 'x"}'): 4,
        ("a", 3, "y"): 5,
        ("b",): 8,
    }
    assert expected == json_source.lines(data)


def test_windows_line_ends_count_once() -> None:
    assert json_source.lines(b"[\r\n1,\r\n2]")[1,] == 3


def test_of_a_doubled_key_the_line_is_that_of_the_value_used() -> None:
    assert json_source.lines(b'{"a": 1,\n"a": 2}')["a",] == 2


def paths(value: Any, at: json_source.Path = ()) -> set[json_source.Path]:
    """Every path into a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {at}.union(*(paths(child, (*at, key)) for key, child in children))


@pytest.mark.slow
@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_all_paths_are_found_and_no_others(value: Any, indent: int | None, ascii_only: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert paths(value) == json_source.lines(data).keys()


@pytest.mark.slow
@given(JSON)
def test_in_an_indented_file_no_line_lies(value: Any) -> None:
    """With one value a line, what stands at a value's line is its key and the beginning of its text."""
    text = json.dumps(value, indent=1)
    rows = text.split("\n")
    for path, line in json_source.lines(text.encode()).items():
        inner = value
        for key in path:
            inner = inner[key]
        name = f"{json.dumps(path[-1])}: " if path and isinstance(path[-1], str) else ""
        assert rows[line - 1].lstrip().startswith(name + json.dumps(inner, indent=1).split("\n")[0])


@given(st.binary(max_size=80) | st.text(alphabet='[]{}",:\\01e.- \n', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found: tuple[str, ...] = ()
    try:
        json_source.parse(data, "f")
    except InputError as exc:
        found = exc.problems or ("nothing is said",)
    assert all(line.startswith("f:") for line in found)
    json_source.lines(data)

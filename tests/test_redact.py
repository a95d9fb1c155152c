"""No key survives in a text, however it is spelled there."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.redact import MASK, redact

CANARY = "vgencanary0123456789abcdef0123456789abcdef"
KEYS = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


def basic(name: str) -> str:
    return base64.b64encode(f"{name}:{CANARY}".encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"Authorization: Bearer {CANARY}",
        f"https://x.test/v?key={CANARY}&b=1",
        f"{CANARY}{CANARY}",
        base64.b64encode(CANARY.encode()).decode(),
        basic("u"),
        basic("us"),
        basic("use"),
        f"Basic {basic('user')} and so on",
    ],
)
def test_the_key_does_not_survive(text: str) -> None:
    found = redact(text, [CANARY])
    assert (
        MASK in found,
        "canary" in found,
        any("canary" in decoded(word) for word in found.split()),
    ) == (True, False, False)


def decoded(word: str) -> str:
    """What base64 in a word says, wherever in it the groups of four begin."""
    plain = "".join(c for c in word if c.isalnum() or c in "+/")
    rests = (plain[start:] for start in range(4))
    return " ".join(base64.b64decode(rest[: len(rest) // 4 * 4]).decode("latin-1") for rest in rests if len(rest) >= 4)


@pytest.mark.slow
@given(KEYS, st.text(max_size=20), st.text(max_size=20))
def test_no_spelling_of_any_key_survives(key: str, before: str, after: str) -> None:
    spellings = {
        key,
        quote(key),
        quote(key, safe=""),
        quote(key, safe="").lower() if "%" in quote(key, safe="") and key.islower() else key,
        quote_plus(key),
        repr(key)[1:-1],
        base64.b64encode(key.encode()).decode(),
        base64.urlsafe_b64encode(key.encode()).decode(),
    }
    for spelling in spellings:
        rest = redact(before + spelling + after, [key])
        assert spelling not in rest.replace(MASK, "\0") or spelling in before + after


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
@given(key=KEYS)
def test_a_key_inside_longer_base64_does_not_survive(user: str, key: str) -> None:
    whole = base64.b64encode(f"{user}:{key}:end".encode()).decode()
    assert key not in decoded(redact(whole, [key]).replace(MASK, ""))


def test_of_two_keys_that_begin_alike_none_leaves_a_rest() -> None:
    keys = [CANARY, CANARY + "-second"]
    assert f"{MASK} {MASK}" == redact(f"{keys[0]} {keys[1]}", keys)


@pytest.mark.parametrize("text", ["Bearer abcdefghijklmnop1234", "Key id:0123456789abcdef", "key_0123456789abcdef01"])
def test_what_looks_like_a_key_goes_even_if_nobody_knows_it(text: str) -> None:
    assert redact(text, []) == MASK


@pytest.mark.parametrize("text", ["", "shot 7: runway said no", "a keyframe of a monkey", "key: none"])
def test_other_text_stays(text: str) -> None:
    assert text == redact(text, [CANARY])


def test_an_empty_key_hides_nothing() -> None:
    assert redact("abc", ["", "a"]) == "abc"

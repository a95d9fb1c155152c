"""Settings: one precedence, everything checked at once, and no key in sight."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vgen.errors import InputError
from vgen.inputs import config as config_file
from vgen.inputs.settings import SIMULATED_POLL_S, Provider, Settings
from vgen.inputs.variables import VARIABLES, ProviderConfig
from vgen.providers import fal, runway

KEY = "key_vgencanary0123456789abcdef0123456789abcdef"
RUNWAY_KEY = {"RUNWAY_API_KEY": KEY}
FAL_KEY = {"FAL_KEY": "vgencanary:0123456789abcdef"}
BOTH = RUNWAY_KEY | FAL_KEY

PARENT: dict[str, Any] = {
    "version": "1.0.0",
    "video_generation": {
        "primary": "runway",
        "runway": {
            "name": "Runway Gen-3",
            "enabled": True,
            "priority": 1,
            "endpoint": "https://api.runwayml.com/v1",
            "api_key_env": "RUNWAY_API_KEY",
            "timeout_seconds": 300,
            "rate_limits": {"requests_per_minute": 10, "concurrent_requests": 5},
            "retry": {"max_attempts": 4, "backoff_multiplier": 2},
            "cost_per_second_usd": 0.05,
            "settings": {"duration_range": [2, 10], "aspect_ratios": ["9:16"], "default_duration": 4},
        },
        "pika": {
            "name": "Pika Labs",
            "enabled": True,
            "priority": 2,
            "endpoint": "https://api.pika.art/v1",
            "rate_limits": {"requests_per_minute": 20, "concurrent_requests": 3},
            "retry": {"max_attempts": 3},
            "cost_per_second_usd": 0.03,
            "settings": {"duration_range": [3, 5]},
        },
    },
    "text_to_speech": {
        "endpoint": "https://api.elevenlabs.io/v1",
        "model": "eleven_multilingual_v2",
        "api_key": "${ELEVENLABS_API_KEY}",
        "max_tokens": 500,
    },
    "storage": {"endpoint": "http://minio.local:9000", "secret": "not ours to judge"},
    "llm": {"provider": "openai", "model": "gpt-4", "base_url": "http://10.0.0.5/v1", "api_key": "sk-1"},
    "ffmpeg": {"path": "ffmpeg", "preset": "medium"},
    "validation": {"min_resolution": 720},
}


def load(
    root: Path,
    config: Any = None,
    *,
    cli: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    dotenv: str | bytes | None = None,
) -> Settings:
    (root / "config").mkdir(exist_ok=True)
    data = config if isinstance(config, bytes) else json.dumps({} if config is None else config).encode()
    (root / "config/api_config.json").write_bytes(data)
    if dotenv is not None:
        (root / ".env").write_bytes(dotenv.encode() if isinstance(dotenv, str) else dotenv)
    return config_file.load(root, cli or {}, env or {})


def problems(root: Path, config: Any = None, **kwargs: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(root, config, **kwargs)
    return list(caught.value.problems)


def one_problem(root: Path, config: Any = None, **kwargs: Any) -> str:
    [line] = problems(root, config, **kwargs)
    return line


def provider(root: Path, section: Any, **kwargs: Any) -> Provider:
    """Runway as configured with a section."""
    return load(root, {"runway": section}, **({"env": BOTH} | kwargs)).providers["runway"]


# ── run variables ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_defaults_are_the_contracts(tmp_path: Path) -> None:
    run = load(tmp_path).run
    expected = {
        "visual_prompts": "config/visual_prompts.json", "api_config": "config/api_config.json", "outputs": "outputs",
        "primary_api": "runway", "fallback_api": "pika", "max_concurrent": 5, "max_retries": 3, "clip_timeout_s": 300,
        "budget_usd": Decimal("2.00"), "partial": False, "on_uncertain": "hold", "min_success_rate": 0.8,
        "min_clip_bytes": 100_000, "takes_wanted": 1, "tier": "final", "audio": False,
        "aspect_ratio": "9:16", "mode": "auto", "clip_paths": "relative", "backoff_base_s": 1, "backoff_max_s": 60,
        "wait": False, "proxy": "", "ai_mark": True, "sign": True, "sign_certificate": "", "sign_key": "",
        "sign_details": "", "notify_command": "", "notify_url": "",
        "cluster": "", "cluster_ca": "", "cluster_cert": "", "cluster_key": "", "cluster_timeout_s": 600,
    }  # fmt: skip
    assert expected == run.model_dump()


SOURCES = ("default", "file", ".env", "environment", "command line")


@pytest.mark.parametrize("highest", range(len(SOURCES)), ids=SOURCES)
def test_command_line_before_environment_before_dotenv_before_file_before_default(tmp_path: Path, highest: int) -> None:
    found = load(
        tmp_path,
        {"run": {"max_concurrent": 11}} if highest >= 1 else {},
        dotenv="VGEN_MAX_CONCURRENT=12\n" if highest >= 2 else None,
        env={"VGEN_MAX_CONCURRENT": "13"} if highest >= 3 else {},
        cli={"max_concurrent": "14"} if highest >= 4 else {},
    )
    assert (5, 11, 12, 13, 14)[highest] == found.run.max_concurrent


def test_another_config_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"run": {"max_retries": 7}}')
    assert load(tmp_path, cli={"api_config": "mine.json"}).run.max_retries == 7


@pytest.mark.parametrize(
    ("cli", "env", "run", "expected"),
    [
        ({"max_concurent": "3"}, {}, {}, "max_concurent: unknown variable (did you mean max_concurrent?)"),
        ({}, {"VGEN_BUDGET": "3"}, {}, "VGEN_BUDGET: unknown variable (did you mean budget_usd?)"),
        ({}, {}, {"fallback": "none"}, "api_config.json: run.fallback: unknown variable (did you mean fallback_api?)"),
        ({"zzz": "1"}, {}, {}, "zzz: unknown variable; "),
        ({}, {}, {"a\nb": 1}, "run.'a\\nb': unknown variable"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(
    tmp_path: Path, cli: dict[str, str], env: dict[str, str], run: dict[str, Any], expected: str
) -> None:
    assert expected in one_problem(tmp_path, {"run": run}, cli=cli, env=env)


def test_other_variables_of_the_environment_are_nobodys_business(tmp_path: Path) -> None:
    load(tmp_path, env={"PATH": "/bin", "VGEN_FFMPEG": "/opt/ffmpeg", "VGEN_TEST_LIVE": "1", "MAX_CONCURRENT": "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_concurrent", "0"), ("max_concurrent", "-1"), ("max_concurrent", "2.5"), ("max_concurrent", "many"),
        ("max_concurrent", ""), ("max_concurrent", "1e9"), ("max_retries", "0"), ("max_retries", "nan"),
        ("clip_timeout_s", "0"), ("clip_timeout_s", "-1"), ("clip_timeout_s", "nan"), ("clip_timeout_s", "inf"),
        ("clip_timeout_s", "1e999"), ("budget_usd", "-0.01"), ("budget_usd", "nan"), ("budget_usd", "Infinity"),
        ("budget_usd", "$2"), ("budget_usd", "1e30"), ("partial", "maybe"), ("on_uncertain", "buy"),
        ("min_success_rate", "1.01"), ("min_success_rate", "-0.1"), ("min_success_rate", "80%"),
        ("min_success_rate", "nan"), ("aspect_ratio", "4:3"), ("mode", "dry"), ("clip_paths", "abs"),
        ("backoff_base_s", "-1"), ("backoff_max_s", "inf"), ("outputs", ""), ("outputs", "a\x00b"),
        ("visual_prompts", "a\nb"), ("wait", "perhaps"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_wherever_it_comes_from(tmp_path: Path, name: str, value: str) -> None:
    assert one_problem(tmp_path, cli={name: value}).startswith(f"{name}=")
    assert one_problem(tmp_path, env={f"VGEN_{name.upper()}": value}).startswith(f"VGEN_{name.upper()}=")
    assert one_problem(tmp_path, {"run": {name: value}}).startswith(f"config/api_config.json: run.{name}=")


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_concurrent", True), ("budget_usd", True), ("min_success_rate", True), ("max_retries", None), ("outputs", 3),
     ("mode", []), ("budget_usd", {}), ("clip_timeout_s", "\ud800"), ("outputs", "\ud800")],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    line = one_problem(tmp_path, {"run": {name: value}})
    assert (f"run.{name}=" in line, line.isprintable()) == (True, True)


def test_all_problems_of_the_variables_come_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, cli={"max_retries": "0", "mode": "x", "zzz": "1"})
    assert sorted(line.split(":")[0] for line in found) == ["max_retries=0", "mode=x", "zzz"]


@pytest.mark.parametrize(("said", "expected"), [("yes", True), ("no", False), ("true", True), ("0", False)])
def test_yes_and_no_are_understood(tmp_path: Path, said: str, expected: bool) -> None:
    assert expected is load(tmp_path, cli={"partial": said}).run.partial


def test_variables_of_one_command_are_not_run_variables(tmp_path: Path) -> None:
    assert "VGEN_SHOT: unknown" in one_problem(tmp_path, env={"VGEN_SHOT": "2"})


# ── .env and keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"RUNWAY_API_KEY": KEY}, "runway"),
        ({"RUNWAYML_API_SECRET": KEY}, "runway"),
        ({"RUNWAY_API_KEY": KEY, "RUNWAYML_API_SECRET": "other"}, "runway"),
        ({"RUNWAY_API_KEY": "", "RUNWAYML_API_SECRET": KEY}, "runway"),
        ({"RUNWAY_API_KEY": f"  {KEY}\n"}, "runway"),
        ({"PIKA_API_KEY": KEY}, "pika"),
        ({"FAL_KEY": KEY}, "pika"),
    ],
)
def test_keys_come_from_the_environment(tmp_path: Path, env: dict[str, str], name: str) -> None:
    assert load(tmp_path, env=env).providers[name].key == KEY


def test_keys_come_from_dotenv_even_with_a_byte_order_mark(tmp_path: Path) -> None:
    found = load(tmp_path, dotenv=b"\xef\xbb\xbfRUNWAY_API_KEY=" + KEY.encode())
    assert (found.primary.key, found.simulated) == (KEY, False)


def test_a_dotenv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    assert one_problem(tmp_path, dotenv=b"RUNWAY_API_KEY=\xff\xfe").startswith(".env: ")


def test_dotenv_does_not_expand_variables(tmp_path: Path) -> None:
    found = load(tmp_path, dotenv="RUNWAY_API_KEY='a${HOME}b'", env={"HOME": "/home/me"})
    assert found.primary.key == "a${HOME}b"


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\x00b", "a\nb"])
def test_a_key_with_strange_characters_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    line = one_problem(tmp_path, env={"RUNWAY_API_KEY": key})
    assert (line.startswith("RUNWAY_API_KEY: "), key in line) == (True, False)


@pytest.mark.parametrize("field", ["api_key", "apiKey", "key", "API_SECRET", "token", "access_token", "password"])
def test_a_key_in_the_file_is_refused_without_showing_it(tmp_path: Path, field: str) -> None:
    line = one_problem(tmp_path, {"runway": {field: KEY}})
    assert (f"runway.{field}" in line, "RUNWAY_API_KEY" in line, KEY in line) == (True, True, False)


@pytest.mark.parametrize("field", ["runway_api_key", "RUNWAYML_API_SECRET"])
def test_a_key_beside_the_sections_is_refused_too(tmp_path: Path, field: str) -> None:
    line = one_problem(tmp_path, {field: KEY})
    assert (field in line, KEY in line) == (True, False)


@pytest.mark.parametrize(
    "field",
    [{"api_key": ""}, {"api_key": None}, {"api_key": "${RUNWAY_API_KEY}"}, {"api_key_env": "X"}, {"max_tokens": 3}],
)
def test_what_only_looks_like_a_key_is_left_alone(tmp_path: Path, field: dict[str, Any]) -> None:
    load(tmp_path, {"runway": field})


def test_the_password_of_a_wrong_proxy_is_not_shown(tmp_path: Path) -> None:
    told = one_problem(tmp_path, env={"VGEN_PROXY": "http://me:hunter2@proxy:99999"})
    assert "VGEN_PROXY=http://me:PASSWORD@proxy:99999" in told
    assert "hunter2" not in told


def test_keys_show_nowhere(tmp_path: Path) -> None:
    found = load(tmp_path, env=BOTH)
    shown = repr(found) + str(found) + repr(found.primary) + found.primary.account + "".join(found.warnings)
    assert "vgencanary" not in shown
    assert {KEY, FAL_KEY["FAL_KEY"]} == set(found.secrets())


def test_accounts_are_told_apart_without_the_key(tmp_path: Path) -> None:
    accounts = {load(tmp_path, env={"RUNWAY_API_KEY": KEY + end}).primary.account for end in ("", "1", "")}
    assert (len(accounts), any("vgen" in account for account in accounts)) == (2, False)


# ── the config file ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_config_may_be_missing(tmp_path: Path) -> None:
    without = config_file.load(tmp_path, {}, {})
    assert without == load(tmp_path, {})


def test_a_config_that_was_named_and_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine\.json: can't be read.*api_config=FILE"):
        config_file.load(tmp_path, {"api_config": "mine.json"}, {})


def test_a_config_that_is_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "api_config.json").symlink_to("gone.json")
    with pytest.raises(InputError, match=r"api_config\.json: can't be read"):
        config_file.load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[]", "not an object"),
        (b"7", "not an object"),
        (b'{"runway": }', "config/api_config.json:1: not JSON"),
        (b"\xff", "config/api_config.json:1: not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"runway": 3}', "runway: not an object"),
        (b'{"run": []}', "run: not an object"),
        (b'{"runway": {}, "runway": {}}', "runway: given twice"),
        (b'{"runway": {"model": "a", "model": "b"}}', "runway: model: given twice"),
        (b'{"run": {"budget_usd": 1, "budget_usd": 100}}', "run: budget_usd: given twice"),
        (b'{"video_generation": {"pika": {}, "pika": {}}}', "video_generation: pika: given twice"),
    ],
)
def test_a_broken_config_is_told(tmp_path: Path, data: bytes, expected: str) -> None:
    assert expected in one_problem(tmp_path, data)


def test_a_config_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, b'\xef\xbb\xbf{"run": {"max_retries": 9}}').run.max_retries == 9


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"base_url": ""}, "base_url"),
        ({"base_url": 3}, "base_url"),
        ({"base_url": "api.dev.runwayml.com"}, "base_url"),
        ({"base_url": "ftp://api.dev.runwayml.com"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"base_url": "https://x:99999"}, "base_url"),
        ({"base_url": "https://x:port"}, "base_url"),
        ({"base_url": "https://x?a=1"}, "base_url"),
        ({"base_url": "https://x#a"}, "base_url"),
        ({"base_url": "https://user:vgencanary@x"}, "base_url"),
        ({"base_url": "https://x\ny"}, "base_url"),
        ({"base_url": "http://api.dev.runwayml.com"}, "base_url"),
        ({"base_url": "http://localhost.evil.com"}, "base_url"),
        ({"base_url": "http://127.0.0.1.evil.com"}, "base_url"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": True}, "timeout_seconds"),
        ({"timeout_seconds": "soon"}, "timeout_seconds"),
        ({"poll_interval_s": -1}, "poll_interval_s"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"rate_limits": {"concurrent_requests": 0}}, "max_concurrent"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"rate_limits": {"requests_per_minute": "fast"}}, "requests_per_minute"),
        ({"max_retries": 0}, "max_retries"),
        ({"retry": {"max_attempts": -1}}, "max_retries"),
        ({"cost_per_second_usd": -0.1}, "cost_per_second_usd"),
        ({"cost_per_second_usd": "free"}, "cost_per_second_usd"),
        ({"cost_per_second_usd": True}, "cost_per_second_usd"),
        ({"resolution": 720}, "resolution"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"durations": 5}, "durations"),
        ({"durations": []}, "durations"),
        ({"durations": [0]}, "durations"),
        ({"durations": [True]}, "durations"),
        ({"durations": ["5"]}, "durations"),
        ({"durations": [5, None]}, "durations"),
        ({"durations": [10**9]}, "durations"),
        ({"durations": "all"}, "durations"),
        ({"durations": {"min": 5}}, "durations"),
        ({"durations": {"min": 5, "max": 4}}, "durations"),
        ({"durations": {"min": 0.5, "max": 4}}, "durations"),
        ({"durations": {"min": 1, "max": 10**9}}, "durations"),
        ({"max_concurent": 3}, "max_concurent"),
        ({"cost_per_second": 3}, "cost_per_second"),
    ],
    ids=str,
)
def test_a_bad_field_is_told_with_file_provider_and_field(tmp_path: Path, section: dict[str, Any], field: str) -> None:
    line = one_problem(tmp_path, {"runway": section})
    assert line.startswith(f"config/api_config.json: runway.{field}: ")
    assert (line.isprintable(), "vgencanary" in line) == (True, False)


def test_numbers_beyond_all_measure_are_told(tmp_path: Path) -> None:
    for field, number in (("durations", "[1e999]"), ("durations", "[NaN]"), ("timeout_seconds", "1e999"),
                          ("cost_per_second_usd", "Infinity"), ("cost_per_second_usd", "NaN")):  # fmt: skip
        assert f"runway.{field}" in one_problem(tmp_path, f'{{"runway": {{"{field}": {number}}}}}'.encode())


def test_problems_of_both_providers_come_at_once(tmp_path: Path) -> None:
    config = {"runway": {"max_retries": 0, "model": 3, "durations": 5}, "pika": {"base_url": "x"}}
    found = problems(tmp_path, config)
    assert {"runway.max_retries", "runway.model", "pika.base_url"} <= {line.split(": ")[1] for line in found}


@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [
        ({}, "max_concurrent", 5),
        ({"max_concurrent": 2}, "max_concurrent", 2),
        ({"rate_limits": {"concurrent_requests": 3}}, "max_concurrent", 3),
        ({"max_concurrent": 2, "rate_limits": {"concurrent_requests": 3}}, "max_concurrent", 2),
        ({}, "requests_per_minute", None),
        ({"requests_per_minute": 7.5}, "requests_per_minute", 7.5),
        ({"rate_limits": {"requests_per_minute": 8}}, "requests_per_minute", 8),
        ({}, "max_retries", 3),
        ({"max_retries": 2}, "max_retries", 2),
        ({"retry": {"max_attempts": 6}}, "max_retries", 6),
        ({}, "timeout_s", None),
        ({"timeout_seconds": 90}, "timeout_s", 90),
        ({}, "poll_interval_s", 5.0),
        ({}, "poll_exactly", False),
        ({"poll_interval_s": 2}, "poll_interval_s", 2),
        ({"poll_interval_s": 2}, "poll_exactly", True),
    ],
    ids=str,
)
def test_fields_and_their_aliases_are_read(tmp_path: Path, section: dict[str, Any], name: str, expected: Any) -> None:
    assert expected == getattr(provider(tmp_path, section), name)


def test_a_providers_limits_default_to_the_runs(tmp_path: Path) -> None:
    found = provider(tmp_path, {}, cli={"max_concurrent": "9", "max_retries": "8"})
    assert (found.max_concurrent, found.max_retries) == (9, 8)


def test_retries_from_the_command_line_go_before_the_files(tmp_path: Path) -> None:
    assert provider(tmp_path, {"max_retries": 6}, cli={"max_retries": "1"}).max_retries == 1
    assert provider(tmp_path, {"max_retries": 6}, env=BOTH | {"VGEN_MAX_RETRIES": "1"}).max_retries == 1


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        (None, None),
        ("any", ()),
        ([10, 5], (5, 10)),
        ([2.5], (Decimal("2.5"),)),
        ({"min": 3, "max": 6}, (3, 4, 5, 6)),
        ({"min": 4, "max": 4}, (4,)),
    ],
)
def test_durations_on_offer_can_be_told(tmp_path: Path, durations: Any, expected: Any) -> None:
    assert expected == provider(tmp_path, {"durations": durations}).terms.durations


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (None, runway.BASE_URL),
        ("https://proxy.example.org", "https://proxy.example.org"),
        ("https://proxy.example.org/", "https://proxy.example.org"),
        ("https://proxy.example.org/v1", "https://proxy.example.org"),
        ("https://proxy.example.org/v1/", "https://proxy.example.org"),
        ("https://proxy.example.org//v1//", "https://proxy.example.org"),
        (" https://proxy.example.org/runway/v1 ", "https://proxy.example.org/runway"),
        ("https://proxy.example.org/v10", "https://proxy.example.org/v10"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/v1", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://api.runwayml.com/v1", runway.BASE_URL),
        ("https://API.RUNWAYML.COM", runway.BASE_URL),
        ("https://api.pika.art/v1", runway.BASE_URL),
    ],
)
def test_the_base_url_is_an_origin_and_a_trailing_v1_is_tolerated(
    tmp_path: Path, given_: str | None, expected: str
) -> None:
    assert expected == provider(tmp_path, {"base_url": given_}).terms.base_url
    assert expected == provider(tmp_path, {"endpoint": given_}).terms.base_url


def test_an_invented_host_is_replaced_with_a_warning(tmp_path: Path) -> None:
    found = load(tmp_path, {"runway": {"base_url": "https://api.runwayml.com/v1"}}, env=BOTH)
    assert any("api.runwayml.com serves no API" in line for line in found.warnings)


def test_a_lower_configured_price_is_met_with_a_warning(tmp_path: Path) -> None:
    found = load(tmp_path, {"runway": {"cost_per_second_usd": 0.05}}, env=BOTH)
    [line] = found.warnings
    assert ("$0.05" in line, "$0.12" in line, "the list price is reserved" in line) == (True, True, True)


def test_a_lower_price_is_noticed_for_models_priced_by_resolution_too(tmp_path: Path) -> None:
    for model in ("seedance2_5", "hailuo3", "grok_imagine_1_5", "seedance2"):
        assert load(tmp_path, {"runway": {"model": model, "cost_per_second_usd": 0.01}}, env=BOTH).warnings


@pytest.mark.parametrize(
    "section",
    [{"cost_per_second_usd": 0.12}, {"cost_per_second_usd": 0.2}, {"model": "new", "cost_per_second_usd": 0.01}],
)
def test_no_warning_where_no_price_is_too_low(tmp_path: Path, section: dict[str, Any]) -> None:
    assert load(tmp_path, {"runway": section}, env=BOTH).warnings == ()


def test_a_configured_price_is_exact(tmp_path: Path) -> None:
    assert provider(tmp_path, {"model": "new", "cost_per_second_usd": "0.0333333333"}).terms.price == 33_334


# ── the parent project's own file ─────────────────────────────────────────────────────────────────────────────────────


def test_the_parent_projects_file_works_unchanged(tmp_path: Path) -> None:
    found = load(tmp_path, PARENT, env=BOTH)
    runway_, pika = found.providers["runway"], found.providers["pika"]
    assert {"runway", "pika"} == found.providers.keys()
    assert (
        runway_.terms.base_url, runway_.terms.model, runway_.max_concurrent, runway_.requests_per_minute,
        runway_.max_retries, runway_.timeout_s, runway_.terms.price,
    ) == (runway.BASE_URL, "gen4.5", 5, 10, 4, 300, 50_000)  # fmt: skip
    assert (
        pika.terms.base_url, pika.terms.model, pika.max_concurrent, pika.requests_per_minute, pika.max_retries
    ) == (fal.BASE_URL, fal.MODEL, 3, 20, 3)  # fmt: skip
    assert len(found.warnings) == 4  # two invented hosts, two prices that are too low


def test_a_provider_of_the_parent_can_be_switched_off(tmp_path: Path) -> None:
    config = json.loads(json.dumps(PARENT))
    config["video_generation"]["pika"]["enabled"] = False
    found = load(tmp_path, config, env=BOTH)
    assert ([one.name for one in found.offers], found.fallback is None) == (["runway"], False)


def test_other_tools_sections_are_nobodys_business_without_a_wrapper_too(tmp_path: Path) -> None:
    config = PARENT["video_generation"] | {key: PARENT[key] for key in PARENT if key != "video_generation"}
    found = load(tmp_path, config, env=BOTH)
    assert (found.primary.name, found.fallback.name if found.fallback else None) == ("runway", "pika")


# ── which providers, which mode ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cli", "expected"),
    [
        ({}, ["runway", "pika"]),
        ({"primary_api": "pika"}, ["pika"]),
        ({"primary_api": "pika", "fallback_api": "runway"}, ["pika", "runway"]),
        ({"fallback_api": "none"}, ["runway"]),
        ({"fallback_api": "runway"}, ["runway"]),
    ],
)
def test_primary_and_fallback_are_chosen(tmp_path: Path, cli: dict[str, str], expected: list[str]) -> None:
    assert expected == [one.name for one in load(tmp_path, env=BOTH, cli=cli).offers]


@pytest.mark.parametrize("variable", ["primary_api", "fallback_api"])
def test_an_unknown_provider_is_refused_with_the_nearest_name(tmp_path: Path, variable: str) -> None:
    line = one_problem(tmp_path, cli={variable: "runwy"})
    assert (line.startswith(f"{variable}=runwy: no such provider"), "did you mean runway?" in line) == (True, True)


WAN = {"wan": {"model": "fal-ai/wan/v2.2-a14b/text-to-video", "durations": [5, 10]}}


def test_a_further_provider_speaks_the_fal_queue(tmp_path: Path) -> None:
    found = load(tmp_path, WAN, env=FAL_KEY, cli={"primary_api": "wan", "fallback_api": "none"})
    assert ("wan", fal.BASE_URL, FAL_KEY["FAL_KEY"], None) == (
        found.primary.name, found.primary.terms.base_url, found.primary.key, found.primary.closed
    )  # fmt: skip


def test_a_further_provider_may_have_a_key_of_its_own(tmp_path: Path) -> None:
    found = load(tmp_path, WAN, env=FAL_KEY | {"WAN_API_KEY": "own"}, cli={"fallback_api": "wan"})
    assert found.providers["wan"].key == "own"


def test_a_further_provider_needs_a_model(tmp_path: Path) -> None:
    line = one_problem(tmp_path, {"wan": {"base_url": fal.BASE_URL}}, cli={"primary_api": "wan"})
    assert "wan.model: missing" in line


def test_a_further_provider_without_a_key_says_which_to_set(tmp_path: Path) -> None:
    found = load(tmp_path, WAN, cli={"primary_api": "wan", "fallback_api": "none", "mode": "live"})
    assert found.keyless
    line = str(found.primary.closed)
    assert "set WAN_API_KEY or FAL_KEY" in line


def test_a_further_provider_is_simulated_too(tmp_path: Path) -> None:
    found = load(tmp_path, WAN, cli={"primary_api": "wan"})
    assert found.primary.terms.base_url == "http://fal.simulated"


@pytest.mark.parametrize(
    ("mode", "env", "simulated"),
    [
        ("auto", {}, True),
        ("auto", RUNWAY_KEY, False),
        ("auto", FAL_KEY, False),
        ("auto", BOTH, False),
        ("simulate", BOTH, True),
        ("live", BOTH, False),
    ],
)
def test_auto_is_live_if_there_is_a_key(tmp_path: Path, mode: str, env: dict[str, str], simulated: bool) -> None:
    assert simulated is load(tmp_path, env=env, cli={"mode": mode}).simulated


def test_a_key_of_a_provider_that_is_not_chosen_does_not_make_it_live(tmp_path: Path) -> None:
    assert load(tmp_path, env=FAL_KEY, cli={"fallback_api": "none"}).simulated


def test_a_key_of_a_provider_that_is_switched_off_does_not_make_it_live(tmp_path: Path) -> None:
    assert load(tmp_path, {"pika": {"enabled": False}}, env=FAL_KEY).simulated


@pytest.mark.parametrize("mode", ["live", "auto"])
def test_with_one_key_the_other_provider_is_closed_with_one_line(tmp_path: Path, mode: str) -> None:
    found = load(tmp_path, env=FAL_KEY, cli={"mode": mode})
    assert [one.name for one in found.offers] == ["pika"]
    assert found.warnings == ("runway is closed: no key; set RUNWAY_API_KEY or RUNWAYML_API_SECRET",)


def test_live_without_any_key_all_are_closed_and_a_plan_goes_by_their_prices(tmp_path: Path) -> None:
    found = load(tmp_path, env={}, cli={"mode": "live"})
    assert (found.keyless, [one.name for one in found.offers]) == (True, ["runway", "pika"])
    assert [one.key for one in found.providers.values()] == [None] * len(found.providers)
    assert found.warnings == (
        "runway is closed: no key; set RUNWAY_API_KEY or RUNWAYML_API_SECRET",
        "pika is closed: no key; set FAL_KEY or PIKA_API_KEY",
    )


def test_all_switched_off_is_refused(tmp_path: Path) -> None:
    off = {"runway": {"enabled": False}, "pika": {"enabled": False}}
    assert "switched off" in one_problem(tmp_path, off)
    assert "no provider can be used" in one_problem(tmp_path, off, env=BOTH, cli={"mode": "live"})


def test_simulated_providers_know_no_real_key_and_no_real_host(tmp_path: Path) -> None:
    found = load(tmp_path, env=BOTH, cli={"mode": "simulate"})
    assert {"http://runway.simulated", "http://fal.simulated"} == {p.terms.base_url for p in found.providers.values()}
    assert "vgencanary" not in " ".join(found.secrets())
    assert {"simulated"} == {p.account for p in found.providers.values()}


@pytest.mark.parametrize(
    ("env", "cli", "run", "expected"),
    [
        ({}, {}, {}, None),
        (BOTH, {}, {}, 2_000_000),
        (BOTH, {"budget_usd": "3.5"}, {}, 3_500_000),
        ({}, {"budget_usd": "3.5"}, {}, 3_500_000),
        ({}, {}, {"budget_usd": 0.1}, 100_000),
        ({"VGEN_BUDGET_USD": "2.00"}, {}, {}, 2_000_000),
        (BOTH, {"budget_usd": "0"}, {}, 0),
        (BOTH, {"budget_usd": "1e-999999"}, {}, 1),
    ],
)
def test_play_money_is_bound_by_an_explicit_budget_only(
    tmp_path: Path, env: dict[str, str], cli: dict[str, str], run: dict[str, Any], expected: int | None
) -> None:
    assert expected == load(tmp_path, {"run": run}, env=env, cli=cli).cap


def test_a_configured_poll_interval_holds_in_the_simulator_too(tmp_path: Path) -> None:
    assert provider(tmp_path, {"poll_interval_s": 2}, env={}).poll_interval_s == 2
    assert provider(tmp_path, {}, env={}).poll_interval_s == SIMULATED_POLL_S


# ── anything ──────────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["any", "https://x", "http://[", "none", "pika", "kling", "720p"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
FIELDS = [*ProviderConfig.model_fields, "endpoint", "rate_limits", "retry", "api_key"]
SECTION = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), VALUES, max_size=4) | VALUES
RUN = st.dictionaries(st.sampled_from(VARIABLES) | st.text(max_size=3), VALUES, max_size=3) | VALUES
FLAT = st.fixed_dictionaries({}, optional={"runway": SECTION, "pika": SECTION, "kling": SECTION, "run": RUN})
CONFIGS = VALUES | FLAT | st.fixed_dictionaries({"video_generation": FLAT | VALUES}, optional={"llm": SECTION})


@hypothesis_settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(config=CONFIGS, env=st.sampled_from([{}, BOTH]))
def test_any_config_is_settings_or_problems(tmp_path: Path, config: Any, env: dict[str, str]) -> None:
    told: tuple[str, ...]
    try:
        found = load(tmp_path, config, env=env)
    except InputError as exc:
        told = exc.problems
    else:
        told = (*(one.name for one in found.offers), *found.warnings)
    assert told
    assert all(line.isprintable() for line in told)


def test_of_two_keys_for_the_fal_queue_fals_own_is_used(tmp_path: Path) -> None:
    """PIKA_API_KEY may be the key of Pika's own API, which is another protocol."""
    both = {"PIKA_API_KEY": "pika_key_0123456789", "FAL_KEY": "fal:0123456789"}
    assert load(tmp_path, {}, env=both).providers["pika"].key == "fal:0123456789"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("tcp://10.0.0.7:8786", "give tls://"),
        ("tcp://dask.example:8786", "give tls://"),
        ("tcp://127.0.0.1.example:8786", "give tls://"),
        ("tcp://localhost", "give tls://"),
        ("tls://dask.example:0", "give tls://"),
        ("http://127.0.0.1:8786", "give tls://"),
        ("127.0.0.1:8786", "give tls://"),
    ],
)
def test_a_cluster_that_others_could_reach_needs_tls(tmp_path: Path, value: str, why: str) -> None:
    assert why in one_problem(tmp_path, cli={"cluster": value})


@pytest.mark.parametrize(
    "value", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", "tls://a.example:1"]
)
def test_a_cluster_is_named_by_its_scheduler(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, cli={"cluster": value}).run.cluster == value


def test_the_files_for_tls_are_given_together_and_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert "cluster_cert: is missing" in one_problem(tmp_path, cli={"cluster_ca": "ca.pem"})
    named = {"cluster_ca": "ca.pem", "cluster_cert": "ca.pem", "cluster_key": "other.pem"}
    assert "other.pem: no such file" in one_problem(tmp_path, cli=named)

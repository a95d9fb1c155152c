"""A whole production through a proxy that writes down each request; no other way leads to the provider."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from a_proxy import proxying
from workshop import Project, Server, shots

ELSEWHERE = "127.77.0.1"
"""An address of this machine's on which nobody listens: only the proxy knows where it leads."""


@pytest.mark.slow
def test_a_production_goes_through_the_proxy_and_no_request_past_it(
    project: Project, serve: Callable[..., Server]
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.2")
    project.buys_at(server)
    port = urlsplit(server.url).port
    hidden = f"http://{ELSEWHERE}:{port}"
    project.configure(runway={"base_url": hidden}, pika={"base_url": hidden})
    project.write_shots(shots(3))
    with proxying({ELSEWHERE: ("127.0.0.1", port or 0)}) as proxy:
        project.environ["VGEN_PROXY"] = proxy.url.replace("http://", "http://studio:vgencanary-pass@")
        code, said = project.doit("budget_usd=9")
        assert code == 0, said
        report = json.loads((project.root / "outputs" / "production_report.json").read_text("utf-8"))
        assert report["successful_clips"] == 3
        assert round(server.charged_usd(), 6) == report["budget"]["spent_usd"]
        asked = [line.split(" ")[0] for line in proxy.asked]
        media = [line for line in proxy.asked if line.startswith("GET") and "/v1/tasks" not in line]
        assert (asked.count("POST"), len(media)) == (3, 3)
        code, told = project.doit("doctor", "budget_usd=9")
        assert code == 0, told
        assert f"all requests go through the proxy at {urlsplit(proxy.url).netloc}" in told
        assert "vgencanary" not in said + told
    project.write_shots(shots(4))
    code, said = project.doit("budget_usd=9", "backoff_base_s=0.01")  # the proxy is gone: nothing is sent, nothing held
    assert code == 1, said
    report = json.loads((project.root / "outputs" / "production_report.json").read_text("utf-8"))
    assert (report["budget"]["uncertain_usd"], report["budget"]["reserved_usd"]) == (0, 0)
    assert round(server.charged_usd(), 6) == report["budget"]["spent_usd"]


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_not_taken(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.2")
    project.buys_at(server)
    project.write_shots(shots(1))
    with proxying({}) as proxy:
        named = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy.url)
        code, said = project.doit("budget_usd=9", **named)
        assert (code, proxy.asked) == (0, []), said

"""The simulator as a real server: the providers' own clients buy from it over loopback sockets."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pictured
import pytest
import runwayml
import trio
from fal_client import client as fal_internals
from runwayml.lib import polling

from vgen.errors import ToolMissing
from vgen.media.judge import Verdict, Wanted, judge
from vgen.media.probe import probe
from vgen.media.tools import find_tools
from vgen.simulator.jobs import Clip
from vgen.simulator.renderers import SMALL_BYTES, animatic_renderer, damaged

Start = Callable[..., str]
BOAT = {"model": "gen4.5", "promptText": "a paper boat", "ratio": "1280:720", "duration": 5}
HEADERS = {"authorization": "Bearer key_test", "x-runway-version": "2024-11-06"}
LIMIT_S = 60
"""Nothing here takes longer, on the busiest machine."""
QUICK = ("--port", "0", "--fast", "--queue-s", "0.02", "--render-s", "0.05")


def launch(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """A server process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vgen.simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("vgen simulator: http://127.0.0.1:"), process.communicate()
    return process, line.split()[2]


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=LIMIT_S)
    return process.returncode, errors


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*arguments: str) -> str:
            process, url = launch(*QUICK, *arguments)
            stack.callback(stop, process)
            return url

        yield begin


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """One server without faults for all who need no more."""
    process, url = launch(*QUICK)
    yield url
    code, errors = stop(process)
    assert (code, errors) == (0, "")


def charges(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/_simulator/charges", timeout=LIMIT_S).json()
    return found


def runway(url: str, **options: Any) -> runwayml.RunwayML:
    return runwayml.RunwayML(base_url=url, api_key="key_test", **options)


# --- the official clients


@pytest.mark.slow
def test_runways_own_client_buys_a_clip(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_TIME", 0.05)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)
    before = charges(plain)["total_usd"]
    with runway(plain) as client:
        created = client.text_to_video.create(model="gen4.5", prompt_text="a paper boat", ratio="1280:720", duration=5)
        task = created.wait_for_task_output(timeout=LIMIT_S)
        assert task.status == "SUCCEEDED"
        assert task.cost.credits == 60
        assert task.created_at.year > 2020
        media_bytes = httpx.get(task.output[0], timeout=LIMIT_S).content
        assert len(media_bytes) == 150_000
        assert client.organization.retrieve().credit_balance < 1_000_000
        client.tasks.delete(created.id)
        with pytest.raises(runwayml.NotFoundError):
            client.tasks.retrieve(created.id)
    assert charges(plain)["total_usd"] == pytest.approx(before + 0.6)


@pytest.mark.slow
def test_runways_own_client_understands_refusals(start: Start) -> None:
    url = start("--fault", "no_credits=~poor", "--fault", "create_429=~hurry", "--fault", "job_failed=~fail")
    with runway(url, max_retries=0) as client:
        create = client.image_to_video.create
        image = "https://example.org/boat.png"
        with pytest.raises(runwayml.BadRequestError) as caught:
            create(model="gen4_turbo", prompt_image="boat.png", ratio="1280:720", duration=5)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["issues"][0]["path"] == ["promptImage"]
        with pytest.raises(runwayml.BadRequestError, match="not have enough credits"):
            create(model="gen4_turbo", prompt_image=image, ratio="1280:720", prompt_text="poor")
        with pytest.raises(runwayml.RateLimitError):
            create(model="gen4_turbo", prompt_image=image, ratio="1280:720", prompt_text="hurry")
        made = create(model="gen4_turbo", prompt_image=image, ratio="960:960", prompt_text="fail")
        with trio_deadline():
            while (task := client.tasks.retrieve(made.id)).status not in ("FAILED", "SUCCEEDED"):
                pass
        assert task.status == "FAILED"
        assert task.failure_code == "INTERNAL.BAD_OUTPUT.CODE01"
        assert task.cost.credits == 0
    with (
        runwayml.RunwayML(base_url=url, api_key="sk-1", max_retries=0) as client,
        pytest.raises(runwayml.AuthenticationError),
    ):
        client.organization.retrieve()


class trio_deadline(ExitStack):
    """Asking without a pause is fine on loopback; for ever is not."""

    def __enter__(self) -> "trio_deadline":
        def late(number: int, frame: object) -> None:
            raise TimeoutError

        before = signal.signal(signal.SIGALRM, late)
        signal.alarm(LIMIT_S)
        self.callback(signal.signal, signal.SIGALRM, before)
        self.callback(signal.alarm, 0)
        return self


@pytest.fixture
def pika(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], fal_client.SyncClient]]:
    with ExitStack() as stack:

        def make(url: str) -> fal_client.SyncClient:
            monkeypatch.setattr(fal_internals, "QUEUE_URL_FORMAT", f"{url}/")
            client = fal_client.SyncClient(key="key:secret")
            stack.callback(client._client.close)
            return client

        yield make


T2V = "fal-ai/pika/v2.2/text-to-video"


@pytest.mark.slow
def test_fals_own_client_buys_a_clip(plain: str, pika: Callable[[str], fal_client.SyncClient]) -> None:
    client = pika(plain)
    handle = client.submit(T2V, arguments={"prompt": "a paper boat", "duration": 5})
    seen = {type(event).__name__ for event in handle.iter_events(with_logs=True, interval=0.01)}
    assert "Completed" in seen
    video = handle.get(interval=0.01)["video"]
    assert video["content_type"] == "video/mp4"
    assert len(httpx.get(video["url"], timeout=LIMIT_S).content) == 150_000
    again = client.get_handle(T2V, handle.request_id)
    assert again.status_url == handle.status_url, "the client builds the same URLs as the server"
    assert client.result(T2V, handle.request_id)["video"]["file_size"] == 150_000


@pytest.mark.slow
def test_fals_own_client_understands_failures(start: Start, pika: Callable[[str], fal_client.SyncClient]) -> None:
    client = pika(start("--fault", "job_failed=~fail", "--fault", "job_moderated=~rude"))
    for prompt, status in (("fail", 500), ("rude", 422), ("boat", 422)):
        arguments: dict[str, Any] = {"prompt": prompt} | ({"duration": 6} if prompt == "boat" else {})
        handle = client.submit(T2V, arguments=arguments)
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            handle.get(interval=0.01)
        assert caught.value.status_code == status
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.submit("fal-ai/pika/v0/nothing", arguments={"prompt": "x"})
    assert caught.value.status_code == 404


PICTURE = pictured.png()
I2V = "fal-ai/pika/v2.2/image-to-video"


@pytest.mark.slow
def test_runways_own_client_uploads_a_picture_and_orders_with_it(plain: str) -> None:
    before = charges(plain)["requests"]
    with runway(plain, max_retries=0) as client:
        uploaded = client.uploads.create_ephemeral(file=("boat.png", PICTURE, "image/png"))
        assert uploaded.uri.startswith("runway://")
        order = {"model": "gen4_turbo", "prompt_text": "a boat", "ratio": "720:1280", "duration": 5}
        assert client.image_to_video.create(prompt_image=uploaded.uri, **order).id
        with pytest.raises(runwayml.BadRequestError, match="does not exist or has expired"):
            client.image_to_video.create(prompt_image=uploaded.uri + "x", **order)
        with pytest.raises(runwayml.APIStatusError, match="Upload failed with status 400"):
            client.uploads.create_ephemeral(file=("boat.png", PICTURE[:500], "image/png"))
    after = charges(plain)["requests"]
    assert after.get("storage_authorized", 0) == before.get("storage_authorized", 0)
    assert after["store"] == before.get("store", 0) + 2


@pytest.mark.slow
def test_fals_own_client_uploads_but_its_fallback_shows_the_key_to_the_storage(
    plain: str, pika: Callable[[str], fal_client.SyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal_client 1.0.3 PUTs with the client that has the key among its headers: a storage host refuses that."""
    monkeypatch.setattr(fal_internals, "REST_URL", plain)
    client = pika(plain)
    with httpx.Client(timeout=LIMIT_S) as keyless:
        url = fal_internals._upload_via_storage(
            keyless, client._auth, data=PICTURE, content_type="image/png", file_name="boat.png"
        )
    assert httpx.get(url, timeout=LIMIT_S).content == PICTURE
    handle = client.submit(I2V, arguments={"prompt": "a boat", "image_url": url})
    assert handle.get(interval=0.01)["video"]
    lost = client.submit(I2V, arguments={"prompt": "a boat", "image_url": url + "x"})
    with pytest.raises(fal_client.FalClientHTTPError, match="Failed to download the file"):
        lost.get(interval=0.01)
    before = charges(plain)["requests"].get("storage_authorized", 0)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.upload(PICTURE, "image/png", "boat.png", repository="fal")
    assert caught.value.status_code == 400
    assert charges(plain)["requests"]["storage_authorized"] == before + 1


# --- the process


@pytest.mark.slow
def test_faults_on_real_sockets(start: Start) -> None:
    names = ("create_reset", "create_lost", "create_cut", "create_garbage")
    url = start(*(word for name in names for word in ("--fault", f"{name}=~{name}")))

    def create(name: str) -> httpx.Response:
        body = {**BOAT, "promptText": name}
        return httpx.post(f"{url}/v1/text_to_video", headers=HEADERS, json=body, timeout=LIMIT_S)

    with pytest.raises(httpx.ReadError):
        create("create_reset")
    for name in ("create_lost", "create_cut"):
        with pytest.raises(httpx.RemoteProtocolError):
            create(name)
    assert create("create_garbage").headers["content-type"] == "text/html"
    assert [job["prompt"] for job in charges(url)["jobs"]] == ["create_lost", "create_cut", "create_garbage"]


@pytest.mark.slow
def test_a_server_that_was_killed_knows_its_jobs_again(tmp_path: Path) -> None:
    arguments = (*QUICK, "--journal", str(tmp_path / "cloud.jsonl"))
    process, url = launch(*arguments)
    ids = [
        httpx.post(f"{url}/v1/text_to_video", headers=HEADERS, json=BOAT, timeout=LIMIT_S).json()["id"]
        for _ in range(3)
    ]
    stop(process, signal.SIGKILL)
    process, url = launch(*arguments)
    try:
        for one in ids:
            assert httpx.get(f"{url}/v1/tasks/{one}", headers=HEADERS, timeout=LIMIT_S).json()["id"] == one
        new = httpx.post(f"{url}/v1/text_to_video", headers=HEADERS, json=BOAT, timeout=LIMIT_S).json()["id"]
        assert new not in ids
        assert charges(url)["creates"] == 4
    finally:
        stop(process)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(number: int) -> None:
    process, url = launch(*QUICK)
    with httpx.Client(timeout=LIMIT_S) as client:
        assert client.get(f"{url}/_simulator/health").status_code == 200
        assert stop(process, number) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "create_5=1"), "did you mean create_5"),
        (("--fault", "create_500"), "name=value"),
        (("--fault", "connect_refused=1"), "in-process"),
        (("--host", "0.0.0.0"), "--allow-remote"),
        (("--port", "70000"), "65535"),
        (("--render-s", "-1"), "seconds"),
        (("--credits-usd", "much"), "dollars"),
        (("--surprise",), "--surprise"),
    ],
)
def test_bad_arguments_end_with_3_and_one_line(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from vgen.simulator.__main__ import main

    try:
        code: Any = main(arguments)
    except SystemExit as exc:
        code = exc.code
    printed = capsys.readouterr()
    assert code == 3
    assert printed.out == ""
    assert printed.err.startswith("vgen simulator: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


@pytest.mark.slow
def test_a_taken_port_is_told(plain: str) -> None:
    port = plain.rpartition(":")[2]
    ran = subprocess.run(
        [sys.executable, "-m", "vgen.simulator", "--fast", "--port", port],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert ran.returncode == 3
    assert ran.stderr.count("\n") == 1
    assert "in use" in ran.stderr


@pytest.mark.slow
def test_all_faults_are_listed() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "vgen.simulator", "--list-faults"], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert ran.returncode == 0
    assert "create_lost" in ran.stdout
    assert "clip_landscape" in ran.stdout


# --- real video


@pytest.mark.slow
def test_rendered_clips_are_as_good_or_bad_as_they_should_be(tmp_path: Path) -> None:
    try:
        tools = find_tools(os.environ.get("VGEN_FFMPEG"), os.environ.get("VGEN_FFPROBE"))
    except ToolMissing:
        pytest.skip("no ffmpeg")
    clip = Clip(job_id="x", label="7", prompt="a boat", provider="pika", width=1280, height=720, duration_s=2)

    async def story() -> None:
        render = animatic_renderer(tools)
        wanted = Wanted(duration_s=2, aspect_ratio="16:9")
        good = await render(clip)
        assert len(good) > SMALL_BYTES
        for name, data, verdict in (
            ("good", good, Verdict.GOOD),
            ("damaged", damaged(good), Verdict.DAMAGED),
            ("cut", good[: len(good) // 2], Verdict.DAMAGED),
        ):
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(data)
            judged = await judge(tools, path, wanted)
            assert judged.verdict is verdict, (name, judged)
        small = await render(Clip(**{**clip.facts(), "small": True}))
        assert 1_000 < len(small) <= SMALL_BYTES
        path = tmp_path / "small.mp4"
        path.write_bytes(small)
        facts = await probe(tools, path)
        assert (facts.width, facts.height) == (1280, 720)
        assert facts.duration_s >= 1

    trio.run(story)

"""The original specification's runner, written straight from its text (HOP 40, steps 1 to 6), as a peer.

Its `RunwayClient`, `PikaClient`, `download_video` and `ffprobe` are named there and not written; here they are the
least that its text asks for. One clip's answer is as in its text: any exception starts a new generation.
Not in its text, but what anybody would add who runs it twice: clips that are there are left alone.
`python specification_script.py URL SHOTS.json FOLDER AT_ONCE POLL_S SCALE` prints the report's figures as JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

MAX_RETRIES = 3
TIMEOUT_S = 300
SIZES = {"9:16": "720:1280"}


class RunwayClient:
    """Runway's create and status."""

    name = "runway"

    def __init__(self, http: httpx.AsyncClient, base_url: str, poll_s: float) -> None:
        self._http, self._base_url, self._poll_s = http, base_url, poll_s
        self._headers = {"authorization": "Bearer key_test", "x-runway-version": "2024-11-06"}

    async def generate(self, prompt: str, duration: float, aspect_ratio: str) -> dict[str, Any]:
        body = {"model": "gen4.5", "promptText": prompt, "ratio": SIZES[aspect_ratio], "duration": int(duration)}
        answer = await self._http.post(f"{self._base_url}/v1/text_to_video", headers=self._headers, json=body)
        answer.raise_for_status()
        return {"job_id": answer.json()["id"], "generation_time": 0.0}

    async def wait_for_completion(self, job_id: str, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            answer = await self._http.get(f"{self._base_url}/v1/tasks/{job_id}", headers=self._headers)
            answer.raise_for_status()
            task = answer.json()
            if task["status"] == "SUCCEEDED":
                return str(task["output"][0])
            if task["status"] in ("FAILED", "CANCELLED"):
                raise RuntimeError(task.get("failure", task["status"]))
            await asyncio.sleep(self._poll_s)
        raise TimeoutError(job_id)

    def get_cost(self, duration: float) -> float:
        return 0.05 * duration


class PikaClient:
    """Pika through fal's queue."""

    name = "pika"

    def __init__(self, http: httpx.AsyncClient, base_url: str, poll_s: float) -> None:
        self._http, self._base_url, self._poll_s = http, base_url, poll_s
        self._headers = {"authorization": "Key key:test"}

    async def generate(self, prompt: str, duration: float, aspect_ratio: str) -> dict[str, Any]:
        body = {"prompt": prompt, "duration": int(duration), "aspect_ratio": aspect_ratio}
        url = f"{self._base_url}/fal-ai/pika/v2.2/text-to-video"
        answer = await self._http.post(url, headers=self._headers, json=body)
        answer.raise_for_status()
        return {"job_id": answer.json(), "generation_time": 0.0}

    async def wait_for_completion(self, job_id: dict[str, str], timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            answer = await self._http.get(job_id["status_url"], headers=self._headers)
            answer.raise_for_status()
            if answer.json()["status"] == "COMPLETED":
                answer = await self._http.get(job_id["response_url"], headers=self._headers)
                answer.raise_for_status()
                return str(answer.json()["video"]["url"])
            await asyncio.sleep(self._poll_s)
        raise TimeoutError(str(job_id))

    def get_cost(self, duration: float) -> float:
        return 0.03 * duration


async def download_video(http: httpx.AsyncClient, url: str, path: Path) -> None:
    """The URL's bytes."""
    answer = await http.get(url)
    answer.raise_for_status()
    path.write_bytes(answer.content)


def ffprobe(path: Path) -> dict[str, Any]:
    """What ffprobe would say of the simulator's placeholder: its first line tells."""
    said = json.loads(path.read_bytes().partition(b"\n")[0].removeprefix(b"VGENFAKE "))
    return {"streams": [said], "format": {"duration": said["duration_s"]}}


def validate_clip(clip_path: Path) -> bool:
    """Step 4."""
    if not clip_path.exists():
        return False
    if clip_path.stat().st_size < 100_000:
        return False
    probe = ffprobe(clip_path)
    width = probe["streams"][0]["width"]
    height = probe["streams"][0]["height"]
    if min(width, height) < 720:
        return False
    return float(probe["format"]["duration"]) >= 1.0


def there(prompt_data: dict[str, Any], folder: Path) -> bool:
    """Whether an earlier run made this clip."""
    clip_path = folder / f"clip_{prompt_data['shot_number']:03d}.mp4"
    return clip_path.exists() and clip_path.stat().st_size > 0


class Runner:
    """Steps 2 and 3, with what they take from around them."""

    def __init__(self, http: httpx.AsyncClient, output_dir: Path, at_once: int) -> None:
        self.http, self.output_dir, self.at_once = http, output_dir, at_once

    async def generate_clip(self, prompt_data: dict[str, Any], api_client: Any, semaphore: asyncio.Semaphore) -> Any:
        """Step 2."""
        error = ""
        async with semaphore:
            for attempt in range(MAX_RETRIES):
                try:
                    result = await api_client.generate(
                        prompt=prompt_data["runway_prompt"], duration=prompt_data["duration"], aspect_ratio="9:16"
                    )
                    video_url = await api_client.wait_for_completion(job_id=result["job_id"], timeout=TIMEOUT_S)
                    clip_path = self.output_dir / f"clip_{prompt_data['shot_number']:03d}.mp4"
                    await download_video(self.http, video_url, clip_path)
                    if not validate_clip(clip_path):
                        raise ValueError("Clip validation failed")  # noqa: TRY301 - its text's
                    cost = api_client.get_cost(prompt_data["duration"])
                    return {"shot_number": prompt_data["shot_number"], "success": True, "cost_usd": cost}
                except Exception as e:  # noqa: BLE001 - its text's
                    error = str(e)
                    await asyncio.sleep(2**attempt * BACKOFF_SCALE)
        return {"shot_number": prompt_data["shot_number"], "success": False, "cost_usd": 0, "error": error}

    async def generate_all_clips(self, visual_prompts: list[dict[str, Any]], primary: Any, fallback: Any) -> list[Any]:
        """Step 3."""
        semaphore = asyncio.Semaphore(self.at_once)
        results = await asyncio.gather(*[self.generate_clip(vp, primary, semaphore) for vp in visual_prompts])
        failed = [i for i, r in enumerate(results) if not r["success"]]
        again = [self.generate_clip(visual_prompts[i], fallback, semaphore) for i in failed]
        for i, result in zip(failed, await asyncio.gather(*again), strict=True):
            results[i] = result
        return list(results)


BACKOFF_SCALE = 1.0


async def main(url: str, prompts: Path, folder: Path, at_once: int, poll_s: float) -> None:
    """Step 6: run it and tell the figures that the report would hold."""
    visual_prompts = [vp for vp in json.loads(prompts.read_text("utf-8")) if not there(vp, folder)]
    async with httpx.AsyncClient(timeout=30) as http:
        runner = Runner(http, folder, at_once)
        clients = RunwayClient(http, url, poll_s), PikaClient(http, url, poll_s)
        results = await runner.generate_all_clips(visual_prompts, *clients)
    good = [r for r in results if r["success"]]
    print(json.dumps({"clips": len(good), "told_usd": round(sum(r["cost_usd"] for r in good), 2)}))


if __name__ == "__main__":
    BACKOFF_SCALE = float(sys.argv[6])
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))

"""A plain script on Runway's official package, as its README does it, as a peer. Clips that are there are left alone.

`python runwayml_script.py URL SHOTS.json FOLDER AT_ONCE POLL_S SCALE` prints how many clips it got, as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
from runwayml import AsyncRunwayML, _base_client
from runwayml.lib import polling


async def clip(client: AsyncRunwayML, http: httpx.AsyncClient, shot: dict[str, Any], folder: Path) -> bool:
    """Create, wait, download; the package repeats requests as it sees fit."""
    path = folder / f"clip_{shot['shot_number']:03d}.mp4"
    if path.exists() and path.stat().st_size:
        return True
    created = await client.text_to_video.create(
        model="gen4.5", prompt_text=shot["runway_prompt"], ratio="720:1280", duration=int(shot["duration"])
    )
    task = await created.wait_for_task_output()
    answer = await http.get(task.output[0])
    answer.raise_for_status()
    path.write_bytes(answer.content)
    return True


async def main(url: str, prompts: Path, folder: Path, at_once: int) -> None:
    """All shots, so many at a time; one that fails is told and left."""
    slots = asyncio.Semaphore(at_once)

    async def one(shot: dict[str, Any]) -> bool:
        async with slots:
            try:
                return await clip(client, http, shot, folder)
            except Exception as exc:  # noqa: BLE001 - one clip must not end the others
                print(f"shot {shot['shot_number']}: {exc!r}", file=sys.stderr)
                return False

    async with AsyncRunwayML(base_url=url, api_key="key_test") as client, httpx.AsyncClient(timeout=30) as http:
        done = await asyncio.gather(*[one(shot) for shot in json.loads(prompts.read_text("utf-8"))])
    print(json.dumps({"clips": sum(done)}))


if __name__ == "__main__":
    polling.POLL_TIME, polling.POLL_JITTER = float(sys.argv[5]), 0.0
    _base_client.INITIAL_RETRY_DELAY *= float(sys.argv[6])
    _base_client.MAX_RETRY_DELAY *= float(sys.argv[6])
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))

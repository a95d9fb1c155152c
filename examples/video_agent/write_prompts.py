"""A stand-in for stage 3: storyboard.txt, with seconds and a prompt on each line, → visual_prompts.json."""

import json
import sys
from pathlib import Path


def prompts(text: str) -> list[dict[str, object]]:
    """One shot a line."""
    shots = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [
        {"shot_number": number, "duration": float(seconds), "runway_prompt": prompt}
        for number, (seconds, prompt) in enumerate(shots, start=1)
    ]


if __name__ == "__main__":
    storyboard, made = map(Path, sys.argv[1:])
    made.write_text(json.dumps(prompts(storyboard.read_text("utf-8")), indent=2) + "\n", "utf-8")

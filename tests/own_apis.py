"""A project that may buy at Kling, Pika's own API, ModelArk and MiniMax, simulated."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from studio import Studio

SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "kling": {"model": "kling-3.0"},
    "pika": {"model": "kling/kling-3.0/text-to-video", "protocol": "pika", "base_url": "https://api.dev.pika.art"},
    "ark": {"model": "dreamina-seedance-2-5-260628"},
    "minimax": {"model": "MiniMax-H3"},
}


def production(root: Path, monkeypatch: pytest.MonkeyPatch, shots: Sequence[Mapping[str, Any]]) -> Studio:
    """These shots, with a key for each of the four and none for fal."""
    monkeypatch.chdir(root)
    made = Studio(root)
    made.environ |= {f"{name.upper()}_API_KEY": f"{name}-vgencanary-0123456789abcdef" for name in SECTIONS}
    made.environ.pop("FAL_KEY", None)
    made.configure(**SECTIONS)
    made.write_shots(shots)
    return made

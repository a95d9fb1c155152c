"""Recorded replies of vendors (tests/data/wire), as a codec gets them."""

import json
from pathlib import Path
from typing import Any

from vgen.providers.base import Reply

FOLDER = Path(__file__).parent / "data" / "wire"


def names(vendor: str) -> set[str]:
    """All that is recorded of a vendor."""
    return {path.stem for path in (FOLDER / vendor).glob("*.json")}


def recorded(vendor: str, name: str) -> dict[str, Any]:
    """One exchange: `request` and `response`."""
    found: dict[str, Any] = json.loads((FOLDER / vendor / f"{name}.json").read_text("utf-8"))
    return found


def reply(vendor: str, name: str, at: float = 1_795_825_000.0) -> Reply:
    """Its answer."""
    response = recorded(vendor, name)["response"]
    body = response["text"] if "text" in response else json.dumps(response.get("body"))
    return Reply(status=response["status"], headers=response.get("headers", {}), body=body.encode(), at=at)

"""What tells of purchases outside the ledger: a receipt beside each take, and the orders in vgen.log. Knows no SQL.

Enough to make the rows again, should the ledger be lost or older than they are.
"""

import contextlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vgen.store import atomic
from vgen.store.outputs import Outputs
from vgen.store.records import Purchase, Take

VERSION = 2
"""1 had no purchase, no price and nothing about the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One purchase as a receipt or the log tells it. `columns`: of its row; `take`: of its take's row, if it has one.

    `ledger`: the name of the ledger that it was in ("" in receipts of version 1); `sent`: whether a job may exist.
    """

    ledger: str
    purchase_id: int
    columns: dict[str, Any]
    take: dict[str, Any] | None = None
    sent: bool = True

    @property
    def job(self) -> str | None:
        return self.columns.get("job_id")


def write(row: Purchase, take: Take, path: Path, *, ledger: str, error_code: str | None) -> None:
    """Put a receipt beside a take. Raises OSError."""
    told = {
        "version": VERSION,
        "recipe": row.recipe,
        "manifest": [list(pair) for pair in row.manifest],
        "provider": row.provider,
        "model": row.model,
        "job_id": row.job_id,
        "request": json.loads(row.request),
        "charged_usd": row.charged / 1_000_000,
        "simulated": row.simulated,
        "ledger": ledger,
        "purchase": order_of(row) | {
            "id": row.id, "charged": row.charged, "charged_by": row.charged_by, "rendered_at": row.rendered_at,
            "error_code": error_code,
        },
        "take": asdict(take),
    }  # fmt: skip
    atomic.write_whole(path.with_suffix(".json"), json.dumps(told, ensure_ascii=False, indent=1).encode())


def order_of(row: Purchase) -> dict[str, Any]:
    """What of a purchase is known once it was ordered, beside what a receipt has anyway. Money in micro-dollars."""
    names = ("run_id", "shot_number", "account", "base_url", "path", "correlation_seed", "bought_s", "price",
             "created_at", "submitted_at")  # fmt: skip
    return {name: getattr(row, name) for name in names}


def logged_order(row: Purchase, ledger: str) -> dict[str, Any]:
    """The same for vgen.log, where nothing else tells the rest."""
    names = ("recipe", "manifest", "simulated", "provider", "model", "request")
    return order_of(row) | {name: getattr(row, name) for name in names} | {"id": row.id, "ledger": ledger}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def folders(outputs: Outputs) -> set[str]:
    """The names of all folders among the takes: the first letters of recipes."""
    with contextlib.suppress(OSError):
        return {path.name for path in outputs.takes.iterdir() if path.is_dir() and path != outputs.edited}
    return set()


def read_all(outputs: Outputs, names: Collection[str] | None = None) -> Iterator[Told]:
    """All receipts, or those in some folders, in no order. What is no receipt is passed over."""
    for name in sorted(folders(outputs) if names is None else names):
        for path in sorted((outputs.takes / name).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
                yield _receipt(json.loads(path.read_bytes()), path, outputs)


def _receipt(told: dict[str, Any], path: Path, outputs: Outputs) -> Told:
    columns = {name: told[name] for name in ("recipe", "provider", "model", "job_id", "simulated")}
    columns |= {"manifest": json.dumps(told["manifest"]), "request": json.dumps(told["request"])}
    if told.get("version", 1) < VERSION:
        return _first_version(told, columns, path, outputs)
    bought = dict(told["purchase"])
    number = int(bought.pop("id"))
    return Told(ledger=str(told["ledger"]), purchase_id=number, columns=columns | bought, take=dict(told["take"]))


def _first_version(told: dict[str, Any], columns: dict[str, Any], path: Path, outputs: Outputs) -> Told:
    """What it does not say is read from the file and its name; whose account it was, nobody knows any more."""
    file = next(found for found in path.parent.glob(f"{path.stem}.*") if found != path)
    charged = round(told["charged_usd"] * 1_000_000)
    duration = dict(told["manifest"])["duration"]
    columns |= {
        "run_id": "receipts", "shot_number": 0, "account": "", "base_url": "", "path": "", "correlation_seed": "",
        "bought_s": str(duration), "price": charged, "charged": charged, "charged_by": "assumed",
        "created_at": file.stat().st_mtime, "submitted_at": None, "rendered_at": None,
    }  # fmt: skip
    take = {
        "recipe": told["recipe"], "simulated": told["simulated"], "take": int(path.stem.split("_")[1]),
        "path": file.relative_to(outputs.root).as_posix(), "good": not path.stem.endswith("_rejected"),
        "reason": None, "sha256": atomic.sha256(file), "size_bytes": file.stat().st_size,
    }  # fmt: skip
    return Told(ledger="", purchase_id=0, columns=columns, take=take)


def orders(log: Path) -> list[Told]:
    """All orders that the log tells of, with the jobs that they became; those that were refused or never sent."""
    found: dict[tuple[str, int], Told] = {}
    with contextlib.suppress(OSError), log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"order"' not in line:
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                _add(found, json.loads(line))
    return list(found.values())


def _add(found: dict[tuple[str, int], Told], record: dict[str, Any]) -> None:
    order = dict(record["order"])
    key = (str(order.pop("ledger")), int(order.pop("id")))
    if record["event"] == "submit":
        order["manifest"] = json.dumps(order["manifest"])
        found[key] = Told(ledger=key[0], purchase_id=key[1], columns=order)
    elif key in found:
        sent = record["event"] not in ("refused", "not_sent")
        found[key] = Told(ledger=key[0], purchase_id=key[1], columns=found[key].columns | order, sent=sent)

"""M22 and M23: as many takes as are wanted and no more; a draft never counts as a final, nor takes its place."""

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from simulation import chains
from simulation.promises import require
from simulation.vendors import DRAFT_MODELS

if TYPE_CHECKING:
    from simulation.invariants import Books
    from simulation.stage import Stage

Row = dict[str, Any]
ON_THE_WAY = {"submitting", "rendering", "rendered", "fetched"}
HERE = {"accepted", "rendering", "rendered", "fetched"}


def family(row: Row) -> str:
    """The recipe of a purchase, whichever of the takes wanted it is."""
    return json.dumps([pair for pair in json.loads(row["manifest"]) if pair[0] != "take"])


def _texts(stage: "Stage", number: int) -> frozenset[str]:
    """All texts that a shot has today, for whichever API."""
    shot = next((one for one in stage.read_shots() if one["shot_number"] == number), {})
    return frozenset(str(text) for key, text in shot.items() if key.endswith("prompt") and key != "negative_prompt")


def _whatever_text(row: Row, texts: frozenset[str]) -> str:
    """As `family`, but with any of these texts."""
    made = [pair for pair in json.loads(row["manifest"]) if pair[0] != "take"]
    return json.dumps(
        [("prompt", "any") if name == "prompt" and text in texts else (name, text) for name, text in made]
    )


def at_every_moment(stage: "Stage", now: "Books") -> None:
    """After a run or a crash: no take was ordered beside as many as are wanted, here or on their way."""
    if stage.world.ledgers_lost or stage.world.forgotten_orders:
        return  # rows that were made again tell of no order
    wanted = stage.world.takes_wanted
    rows = {row["id"]: row for row in now.rows}
    states: dict[str, dict[int, str]] = defaultdict(dict)
    counted = {"accepted", *ON_THE_WAY} | ({"uncertain"} if stage.world.holds else set())
    for move in now.moves:
        row = rows[move["purchase_id"]]
        mine = states[family(row)]
        if row["id"] not in mine and "take" in dict(json.loads(row["manifest"])):
            here = [other for other, state in mine.items() if state in counted]
            require(len(here) < wanted, "M22", "ordered beside", here, "where", wanted, "are wanted:", row["id"])
        mine[row["id"]] = move["state"] if not move["superseded"] or move["state"] == "accepted" else "superseded"


def told_truth(stage: "Stage", now: "Books", args: tuple[str, ...]) -> None:
    """After a whole run: M23, by the models that clips were made with."""
    drafts = "tier=draft" in args
    rows = {(row["job_id"], row["provider"]): row for row in now.rows}
    for entry in stage.report()["clips"]:
        if not entry["success"] or entry["kept"]:
            continue
        row = rows[entry["job_id"], entry["api_used"]]
        is_draft = row["model"] in DRAFT_MODELS
        require(drafts or not is_draft, "M23", "a draft counts as final:", entry)
        require(is_draft == (entry.get("tier") == "draft"), "M23", "told as", entry.get("tier"), entry)


def bought(stage: "Stage", now: "Books", before: int, args: tuple[str, ...]) -> None:
    """M23: a run for drafts buys nothing else, and none where the final was here when it began."""
    new = [row for row in now.rows if row["id"] > before]
    if "tier=draft" not in args:
        require(not any(row["model"] in DRAFT_MODELS for row in new), "M23", "drafts were bought in a run for finals")
        return
    require(all(row["model"] in DRAFT_MODELS for row in new), "M23", "finals were bought in a run for drafts", new)
    finals = [row for row in now.rows if row["id"] <= before and row["model"] not in DRAFT_MODELS]
    begun = {row["id"]: _begun(now, row) for row in new}
    shots = {shot["shot_number"]: shot for shot in stage.read_shots()}
    for row in new:
        shot = shots[row["shot_number"]]
        for final in finals:
            text = str(shot.get(f"{final['provider']}_prompt", shot.get("prompt", shot.get("runway_prompt"))))
            if text != dict(json.loads(final["manifest"]))["prompt"]:
                continue  # another shot's, of this text: here the shot has another
            there = [_state(now, final, when) in HERE for when in (min(begun.values()), begun[row["id"]])]
            beside = all(there) and _text(final) == _text(row)
            require(not beside, "M23", "a draft was bought where the final is, or is on its way:", row, final)


def made_from(stage: "Stage", now: "Books", before: int, args: tuple[str, ...]) -> None:
    """M23, of what a run bought: no final is made from a frame of a draft, unless the user has chosen that draft."""
    if "tier=draft" in args:
        return
    chosen = chains.look(stage)[1]
    drafts = {row["id"] for row in now.rows if row["model"] in DRAFT_MODELS} - chosen
    frames = {take["sha256"] for take in now.takes if take["purchase_id"] in drafts}
    for row in now.rows:
        source = str(dict(json.loads(row["manifest"])).get("image")).removeprefix("take:").partition("@")[0]
        require(row["id"] <= before or source not in frames, "M23", "a final is made from a draft:", row)


def _begun(now: "Books", row: Row) -> int:
    """After how many moves of all a purchase was begun."""
    return next(k for k, move in enumerate(now.moves) if move["purchase_id"] == row["id"])


def _state(now: "Books", row: Row, when: int) -> str:
    """A purchase's state after so many moves of all."""
    return next((move["state"] for move in now.moves[:when][::-1] if move["purchase_id"] == row["id"]), "")


def _text(row: Row) -> str:
    """What of a recipe is the same for draft and final."""
    return json.dumps([pair for pair in json.loads(row["manifest"]) if pair[0] not in ("tier", "take")])


def lacking(stage: "Stage", now: "Books", *, edited: bool = False) -> dict[int, list[Row]]:
    """Shots in whose place a clip is, with fewer good takes than are wanted → what was ordered for them.

    `edited`: also those whose clip somebody edited, for which further takes may be bought or not.
    """
    found = {}
    for entry in stage.report()["clips"]:
        if not entry["success"] or entry["kept"] or (entry.get("edited") and not edited) or entry.get("locked"):
            continue
        texts = _texts(stage, entry["shot_number"])  # of a shot with a text for each API, takes of all of them count
        kin = {_whatever_text(row, texts) for row in now.rows if row["recipe"] == entry["prompt_hash"]}
        mine = [
            row for row in now.rows if row["shot_number"] == entry["shot_number"] or _whatever_text(row, texts) in kin
        ]
        good = sum(row["state"] == "accepted" and _whatever_text(row, texts) in kin for row in mine)
        if good < stage.world.takes_wanted:
            found[entry["shot_number"]] = mine
    return found


def at_the_end(stage: "Stage", now: "Books", *, ample: bool) -> None:
    """M22, with money enough and in calm weather: the takes wanted are here, or something among them says why not."""
    if not ample or stage.world.ledgers_lost or stage.world.factor > 1 or stage.injected["price_overrun"]:
        return
    for number, mine in lacking(stage, now).items():
        ended = [row for row in mine if row["state"] not in ("accepted", "released")]
        require(ended, "M22", "fewer takes in calm weather than", stage.world.takes_wanted, "of shot", number, mine)

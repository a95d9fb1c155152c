"""Seeds that once broke a promise, each with what it found. They are played with every change."""

from collections.abc import Mapping

REGRESSIONS: Mapping[int, str] = {
    6: "two shots of one recipe waited for each other's money for ever",
    23: "a finished job was cancelled and deleted: its last readable word was `queued`",
    105: "the name of `outputs` was not synced: a power loss took the ledger of a job that was bought",
    183: "killed while cancelling: booked as lost",
    203: "pieces of a download that was damaged twice were taken for the provider's own file",
    211: "two kills in a row, jobs of both",
    255: "killed after the order, before the answer",
    861: "two shots with one text at one provider and two at the other: the recipe was taken",
    1166: "the ledger could not be written when the left-over jobs were collected: a traceback",
    2061: "a rebuilt ledger's lower mark was not synced: after a power loss the ledger looked old, for ever",
    10724: "killed between a take's link and its commit, other bytes the next time: its own file was in the way",
    11532: "a shot gave up waiting for money that another one, being collected, gave back",
    52547: "killed after a clip got its name, and somebody damaged it: called an edit, the shot held for ever",
}

ODD_REGRESSIONS: Mapping[tuple[str, int], tuple[str, str]] = {
    ("", 5): ("M16", "a poll answered 404 once: a paid job called lost, for ever"),
    ("", 180): ("M16", "asked for a fresh address, answered 404 once: lost"),
    ("gateway", 117): ("M16", "a gateway's JSON 404 to every poll: lost"),
    ("gateway", 166): ("M16", "the same at Runway"),
    ("other_key", 482): ("M16", "a run with another account's key wrote off a clip that was rendered"),
    ("rotated_key", 236): ("M16", "lost, and another key of the same account did not find it again"),
    ("moved", 195): ("M16", "base_url moved: the job was asked for at its old host for ever"),
    ("moved", 242): ("M16", "base_url moved: no fresh address for a clip that was rendered"),
    ("clock", 596): ("M2", "our clock was wrong: `recover` released an order that had arrived"),
    ("old_ledger", 53): ("M17", "a ledger of yesterday was put back: bought beside it"),
    ("old_ledger", 291): ("M17", "a ledger of yesterday was put back: nothing to do, exit 0"),
    ("no_ledger", 12): ("M17", "the ledger was deleted: it started anew in silence"),
    ("no_ledger", 85): ("M17", "the ledger was deleted: `recover` did not read the receipts"),
    ("no_ledger", 876): ("M17", "the mark was not synced: after a power loss a ledger that was deleted was not missed"),
    ("reader", 6): ("M5", "somebody read the ledger when an id was to be committed: the id was lost"),
    ("reader", 128): ("M5", "the same at fal"),
    ("full_disk", 164): ("M5", "the disk was full when an id was to be committed: the id was lost"),
    ("quote", 26): ("M18", "the quote was ten times the list price, and the next reservation the list price again"),
    ("quote", 624): ("M1", "two first orders of a kind, both quoted at ten times the list price"),
    ("quote,picture", 266): ("M18", "what was told of a shot without a picture did not bind one with a picture"),
    ("picture", 30): ("M19", "the picture of a shot that waited had changed: another one was sent than was hashed"),
    ("hand_edit", 41): ("M20", "a clip was edited while its next take was made: overwritten"),
    ("hand_edit", 251): ("M16", "killed before the fetch, and the clip edited: the paid job was never collected"),
    ("hand_edit", 300): ("M16", "the same after a power loss"),
    ("preview", 138): ("M9", "a preview file came once, the second look at it failed: rejected, and bought again"),
    ("preview", 7): ("M9", "a preview file came once: rejected, and bought again"),
    ("preview", 321): ("M9", "damaged twice after a preview file: the oracle had not counted the damage"),
    ("other_clip", 35): ("M9", "another shot's clip came once: accepted"),
    ("other_clip", 22): ("M9", "another shot's clip came once, of another length: rejected"),
    ("protocols", 1413): ("M14", "ModelArk keeps a video for a day: every run found it again, and gave it up again"),
    ("protocols", 75): ("M14", "the same before two days were over: every run left it, and none ended it"),
    ("behind", 1050056): ("M16", "an uncertain order at one provider held back a paid job at the other: not collected"),
    ("cluster", 1040138): ("M9", "a bad clip came twice, and another worker called it good: accepted"),
    ("protocols", 3267): ("M16", "attempts used up: no later run asked about the order that was still uncertain"),
}
"""The same for odd days: the kinds that are drawn, with commas between ("" for none), and the seed → what it violated,
and how.
"""

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
    10724: "killed between a take's link and its commit, other bytes the next time: its own file was in the way",
    11532: "a shot gave up waiting for money that another one, being collected, gave back",
    52547: "killed after a clip got its name, and somebody damaged it: called an edit, the shot held for ever",
}

"""The rows of the fault matrix: 84, and from 85 on the odd days. Those without a test, each with the reason."""

ROWS = range(1, 116)

NOT_TESTED: dict[int, str] = {
    52: "no provider here replays an order by its key, so there is no window that could run out",
}

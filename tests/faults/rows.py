"""The rows of the fault matrix: 90, and from 100 on the odd days. Those without a test, each with the reason."""

ROWS = (*range(1, 91), *range(100, 110))

NOT_TESTED: dict[int, str] = {
    52: "no provider here replays an order by its key, so there is no window that could run out",
}

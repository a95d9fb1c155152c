"""The fault matrix has 84 rows, and those of odd days. Those without a test stand here, each with the reason."""

ROWS = (*range(1, 85), *range(91, 100))

NOT_TESTED: dict[int, str] = {
    52: "no provider here replays an order by its key, so there is no window that could run out",
}

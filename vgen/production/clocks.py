"""What the providers' own clocks say, by the `Date` of their answers. This machine's is no evidence about money."""

from collections.abc import Callable

import trio

from vgen.store.records import Facts, Purchase


class ProviderClocks:
    """The clocks of one run, each as last heard, carried on by trio's. `now`: the machine's own."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began: dict[str, float] = {}  # provider → its time when trio's clock began

    def heard(self, provider: str, date: float) -> None:
        """A provider's own `Date` of right now."""
        self._began[provider] = date - trio.current_time()

    def now(self, provider: str) -> float | None:
        """The time by the provider's clock; None before it was heard in this run."""
        began = self._began.get(provider)
        return None if began is None else began + trio.current_time()

    def age_s(self, row: Purchase) -> float | None:
        """How long ago an order was sent, by its provider's clock; None if that is not known."""
        now = self.now(row.provider)
        return None if now is None or row.sent_before is None else now - row.sent_before

    def dated(self, provider: str) -> Facts:
        """What is to be remembered of the provider's clock beside an order that has been sent."""
        now = self.now(provider)
        return {} if now is None else {"sent_before": now, "clock_ahead_s": round(self._now() - now, 3)}

"""Seeds that once broke a promise, each with what it found. They are played with every change."""

REGRESSIONS: tuple[int, ...] = ()

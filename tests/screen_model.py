"""A terminal as far as vgen's live table uses one: lines that wrap, and wrap anew when it becomes narrower or wider."""

import re

_PIECE = re.compile(r"\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Terminal:
    """What is on the screen, scrolled-out lines included. The cursor is always behind the last character."""

    encoding = "utf-8"

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self._at_start = False
        self._up = 0

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, text: str) -> int:
        for piece in _PIECE.finditer(text):
            number, letter = piece[1], piece[2]
            if letter == "A":
                assert self._at_start, "only from the start of a row is it sure where the cursor goes"
                self._up = int(number or 1)
            elif letter == "J":
                assert self._at_start
                self._erase(self._up)
            elif letter == "m":
                continue
            elif piece[0] == "\r":
                self._at_start, self._up = True, 0
            else:
                assert letter is None, f"unknown: {piece[0]!r}"
                assert not self._at_start or not self.lines[-1], "what was there is erased first"
                self._at_start = False
                if piece[0] == "\n":
                    self.lines.append("")
                else:
                    self.lines[-1] += piece[0]
        return len(text)

    def shown(self) -> list[str]:
        """The rows as a person sees them."""
        return [row for line in self.lines for row in self._wrapped(line)]

    def _wrapped(self, line: str) -> list[str]:
        return [line[at : at + self.columns] for at in range(0, len(line), self.columns)] or [""]

    def _erase(self, up: int) -> None:
        for _ in range(up):
            last = self._wrapped(self.lines.pop())
            if len(last) > 1:
                self.lines.append("".join(last[:-1]))
            assert self.lines, "erased more than there was"
        start = (len(self._wrapped(self.lines[-1])) - 1) * self.columns
        self.lines[-1] = self.lines[-1][:start]
        self._at_start, self._up = not start, 0

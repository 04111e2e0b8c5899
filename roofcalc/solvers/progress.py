"""A bar on standard error, where that is a terminal, of what takes more than a second."""

import sys
import time

QUIET_S = 1.0  # what takes less shows no bar
REDRAW_S = 0.1
BAR = 30  # characters

_may_draw = False


def allow(may: bool = True) -> None:
    """Lets bars be drawn from now on, or no longer: a command line does, a library never; and only on a terminal."""
    global _may_draw
    _may_draw = may and sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """How far `total` equal pieces of work are."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.width = total, 0, 0
        self.begun = self.drawn = time.monotonic() if _may_draw else 0.0

    def one_more(self) -> None:
        """Another piece is done."""
        self.done += 1
        if not _may_draw:
            return
        now = time.monotonic()
        if now - self.begun > QUIET_S and now - self.drawn > REDRAW_S:
            filled = BAR * self.done // self.total
            left = (now - self.begun) / self.done * (self.total - self.done)
            self.drawn = now
            self._draw(f"[{'#' * filled}{'.' * (BAR - filled)}] {100 * self.done // self.total:3d} %, {left:.0f} s left")

    def clear(self) -> None:
        """Takes the bar away, if there is one."""
        if self.width:
            self._draw("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _draw(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self.width))
        sys.stderr.flush()
        self.width = len(text)

"""Progress bar on stderr for work that takes more than a second, drawn by Rich. Only a command line shows it, and only on a terminal."""

import sys
import time
from typing import Any

DELAY_S = 1.0  # shorter work shows no bar
REFRESH_S = 0.1

_enabled = False


def enable(on: bool = True) -> None:
    """Lets bars be drawn from now on, or no longer. A library never calls it; without a terminal on stderr it has no effect."""
    global _enabled
    _enabled = on and sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """Progress of `total` equal pieces of work."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._started = self._refreshed = time.monotonic() if _enabled else 0.0
        self._bar: Any = None

    def advance(self) -> None:
        """Another piece is done."""
        self.done += 1
        if not _enabled:
            return
        now = time.monotonic()
        if now - self._started >= DELAY_S and now - self._refreshed >= REFRESH_S:
            self._refreshed = now
            if self._bar is None:
                self._bar = _new_bar(self.total, self._started)
            self._bar.update(self._bar.task_ids[0], completed=self.done, refresh=True)

    def clear(self) -> None:
        """Removes the bar, if there is one."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _new_bar(total: int, started: float) -> Any:
    """A bar that disappears when it is stopped. It draws nothing by itself: no thread, and stdout stays as it is."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        get_time=time.monotonic,
    )
    bar.start()
    bar.add_task("", total=total)
    bar.tasks[0].start_time = started
    return bar

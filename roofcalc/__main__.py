"""Starts the command line; an interrupt while it is still importing also ends in one line."""

import gc
import os
import signal
import sys
import warnings
from typing import Any

ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2")  # as far as the system has them


def main() -> None:
    """Runs the command line; never returns."""
    gc.disable()  # start-up allocates long-lived objects: about 70 useless collections; the command switches it on again
    _open_closed_descriptors()
    for number in (getattr(signal, name) for name in ENDING if hasattr(signal, name)):
        if signal.getsignal(number) == signal.SIG_DFL:  # not where it is ignored, as under nohup
            signal.signal(number, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if not sys.warnoptions:  # `python -W default -m roofcalc` shows them
        warnings.simplefilter("ignore")  # of libraries; what a person must know is a note
    try:
        from roofcalc.cli.app import app
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    app()


def _end(number: int, _: Any) -> None:
    """Ends by an exception, so that finally-blocks remove temporary files; a second signal must not interrupt them."""
    for other in (getattr(signal, name) for name in (*ENDING, "SIGINT") if hasattr(signal, name)):
        signal.signal(other, lambda *_: None)  # SIG_IGN would complain of one that has already come
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _open_closed_descriptors() -> None:
    """Puts /dev/null in place of closed standard streams: a file opened later must not take their descriptors."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


if __name__ == "__main__":
    main()

"""User-facing errors: one exception type, one message line per problem."""


class RoofcalcError(Exception):
    """A wrong name, number, file or combination; the command line prints it and exits with code 2.

    Attributes
    ----------
    lines : tuple of str
        One sentence per problem: what is wrong, where, and what would work.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal would not show: control characters, zero-width and direction marks."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def nearest(word: str, known: "list[str] | tuple[str, ...]", count: int = 3) -> list[str]:
    """The known names closest to `word` in spelling, best first; where there are none, those that contain it."""
    import difflib

    close = difflib.get_close_matches(word, known, n=count, cutoff=0.6)
    if not close and len(word) > 1:
        close = [name for name in known if word in name][:count]
    return close


def did_you_mean(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """`; did you mean a or b?`, or an empty text where no known name is close."""
    close = nearest(word, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""

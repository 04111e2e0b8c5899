"""What a shell offers on the Tab key: names of models and hardware, behind commas and counts."""

import re

from roofcalc.catalog import lookup


def models(incomplete: str) -> list[str]:
    """Catalog names that continue the last name of a comma list."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in sorted(lookup.entries("models")) if name.startswith(lookup.normal(last))]


def hardware(incomplete: str) -> list[str]:
    """The same, behind a count such as `8x`."""
    before, comma, last = incomplete.rpartition(",")
    match = re.fullmatch(r"(\d+[x×])?(.*)", last, re.IGNORECASE)
    count, name_ = (match.group(1) or "", match.group(2)) if match else ("", last)
    return [f"{before}{comma}{count}{name}" for name in sorted(lookup.entries("hardware")) if name.startswith(lookup.normal(name_))]

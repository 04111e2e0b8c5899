"""Cloud instances of hardware/instances.csv: so many devices of a kind, read as a system of the catalog."""

from __future__ import annotations

from roofcalc.catalog import boxes, lookup
from roofcalc.catalog.listing import normal

FILE = "instances.csv"
_CLOUDS = ("ml.", "aws-", "gcp-", "azure-", "oci-")


def instance(name: str) -> lookup.Entry | None:
    """A row of the table as the entry of a system."""
    row = next((row for row in boxes.table(FILE) if normal(row["instance"]) == normal(name)), None)
    if row is None:
        return None
    values = {
        "name": normal(row["instance"]),
        "device": row["device"],
        "count": int(row["count"]),
        "vendor": row["provider"],
        "sources": [row["source"]],
        **({"scale_out_gb_s": float(row["scale_out_gb_s"])} if row["scale_out_gb_s"] else {}),
    }
    return lookup.Entry(values, {})


def find(name: str) -> lookup.EntryFile | None:
    """The system or the row of the table that a name with another prefix stands for: `ml.p4d.24xlarge`, `NC24ads_A100_v4`."""
    wanted = normal(name)
    for prefix in _CLOUDS:
        wanted = wanted.removeprefix(prefix)
    for form in (wanted, wanted.removeprefix("standard-"), f"standard-{wanted}", wanted.replace("asr-a100-v4", "asr-v4")):
        if (entry_file := lookup.exact("hardware", form)) is not None:
            return entry_file._replace(note=None)
        if instance(form) is not None:
            return lookup.EntryFile(form, lookup.built_in("hardware") / FILE)
    return None

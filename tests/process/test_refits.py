"""Fits to the measured runs, repeated."""

from pathlib import Path

from tests.shell import rows

HERE = Path(__file__).parent.parent / "measurements"


def test_the_layers_overhead_of_all_points_is_what_others_found() -> None:
    # arXiv 2507.14397v2 finds 95–138 µs per layer on 8 H100, fits of another tool's silicon data 80–115.
    row = rows(f"fit {HERE / 'measured.csv'}")[0]
    assert 80 < float(row["layer_us"]) < 138
    assert 0.7 < float(row["mbu"]) < 0.95

"""Samples of things measured in turn, and the lines of the table that they become."""
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass
class Figure:
    """One line of the table. The other benchmark program prints the same keys, one JSON object a line."""
    row: int
    what: str
    measured: float | None
    unit: str
    ratio: float | None = None
    goal: str | None = None
    against: str | None = None
    met: bool | None = None
    note: str = ""

    @staticmethod
    def parse(line: str) -> "Figure":
        known = {name: value for name, value in json.loads(line).items() if name in Figure.__dataclass_fields__}
        return Figure(**known)

    def json(self) -> dict:
        rounded = {name: round(value, 4) for name, value in asdict(self).items() if isinstance(value, float)}
        return {**asdict(self), **rounded}


class Samples:
    """What one way of doing something took, run by run."""

    def __init__(self, values: Sequence[float] = ()):
        self.values: list[float] = list(values)

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def percentile(self, percent: float) -> float:
        """The smallest value that so many percent do not exceed."""
        ordered = sorted(self.values)
        return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]

    @property
    def spread(self) -> str:
        """Least and greatest, for the note: a median says nothing about a busy machine."""
        return f"{seconds(min(self.values))}–{seconds(max(self.values))}, n={len(self.values)}"


def seconds(value: float) -> str:
    """A time, with as many digits as it deserves."""
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def in_turn(runs: int, ways: dict[str, Callable[[], float]]) -> dict[str, Samples]:
    """Runs all ways one after the other, `runs` times over: what disturbs the machine disturbs all of them."""
    samples = {name: Samples() for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            samples[name].add(way())
    return samples


def times_as_long(row: int, what: str, ours: Samples, theirs: Samples, against: str, limit: float) -> Figure:
    """A goal of the kind "at most so many times as long as"."""
    ratio = ours.median / theirs.median
    return Figure(
        row, what, ours.median, "s", ratio, f"≤ {limit:g} ×", f"{against}: {seconds(theirs.median)}", ratio <= limit,
        f"{ours.spread}; against {theirs.spread}")


def times_faster(row: int, what: str, ours: Samples, theirs: Samples, against: str, least: float) -> Figure:
    """A goal of the kind "at least so many times faster than"."""
    ratio = theirs.median / ours.median
    return Figure(
        row, what, ours.median, "s", ratio, f"≥ {least:g} × faster", f"{against}: {seconds(theirs.median)}",
        ratio >= least, f"{ours.spread}; against {theirs.spread}")

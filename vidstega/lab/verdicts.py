"""The analysis report: a pure function of the results in a folder.

`write_report` reads ``stress_test_results.json`` (see `vidstega.lab.matrix`), and ``users.json`` if it is
there (see `vidstega.lab.users.Users`), and writes ``analysis_report.md`` and ``figures/*.png``. Every number
and every verdict is computed from these files and from the study's published figures,
``experiments/claims.toml``. What was not measured reads ``(missing)``, what failed is **bold**.
"""

from __future__ import annotations

import base64
import json
import math
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import StatisticsError, correlation, linear_regression, median
from typing import Any

from vidstega.lab.arms import ARMS, LIMITS, PARALLEL
from vidstega.lab.config import RESOLUTIONS, parse_payload, parse_resolution
from vidstega.lab.matrix import STAGES, load_results
from vidstega.lab.users import Cost, Users, need

REPORT = "analysis_report.md"
USERS = "users.json"
FIGURES = "figures"
MISSING = "(missing)"

FLAT = 0.10
"""Memory counts as flat if its fitted rise over the measured lengths is at most this share of its mean."""
DISK_GB = 100
"""Free disk that the longest video is stated for."""
LINK_MB_S = 125
"""Network assumed before a service: 1 Gbit/s, each way."""
USABLE = 0.8
"""Share of this machine's memory that the longest video may take."""
WORTH_A_WORKER = 0.6
"""Least efficiency of parallel work that is recommended."""
SEEN = 0.05
"""An estimate of alpha that is so much above that of the cover counts as detected."""

_EXPERIMENTS = Path(__file__).parents[2] / "experiments"
_MAIN = ("current", "whole", "splice")
_PIXELS = {name: width * height for name, (width, height) in RESOLUTIONS.items()}

Row = Mapping[str, Any]


def write_report(directory: str | os.PathLike[str]) -> Path:
    """Write the report on the results in a folder beside them, and return its path.

    Raises
    ------
    InputError
        If the folder holds no results.
    """
    from vidstega.lab import plots

    folder = Path(directory)
    results, users = load(folder), load_users(folder)
    plots.write_figures(results, folder / FIGURES)
    plots.write_users(users, folder / FIGURES)
    path = folder / REPORT
    path.write_text(render(results, load_claims(), users), encoding="utf-8", newline="\n")
    return path


def load(directory: str | os.PathLike[str]) -> Results:
    """The results in a folder, ready for questions."""
    return Results(load_results(directory))


def load_claims() -> dict[str, Any]:
    """What the study published."""
    return tomllib.loads((_EXPERIMENTS / "claims.toml").read_text(encoding="utf-8"))


def load_users(directory: str | os.PathLike[str]) -> Users:
    """What was measured of concurrent users; empty if nothing was."""
    path = Path(directory) / USERS
    return Users(json.loads(path.read_text(encoding="utf-8")) if path.exists() else None)


# -- questions to the results ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some repeats."""

    mid: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """None if there are no values."""
        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known), len(known)) if known else None


@dataclass(frozen=True)
class Place:
    """A cell of the matrix: one cover and one payload."""

    id: str
    resolution: str
    frames: int
    payload: str
    pixels: int

    @property
    def order(self) -> tuple[float, str, int, float]:
        """Smaller covers and payloads first."""
        size = parse_payload(self.payload)
        return self.pixels, self.resolution, self.frames, math.inf if size is None else size


@dataclass(frozen=True)
class Line:
    """A straight line through memory against length."""

    slope: float
    """MiB a frame."""
    base: float
    lengths: tuple[int, ...]
    mean: float
    r2: float | None

    @property
    def flat(self) -> bool:
        """See `FLAT`."""
        return self.slope * (self.lengths[-1] - self.lengths[0]) <= FLAT * self.mean


class Results:
    """Rows by cell and arm. Only runs that were read back and found equal are asked for figures."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self._good: dict[tuple[str, str], list[Row]] = {}
        for row in sorted(data["rows"], key=lambda row: (row["cell"], row["arm"], row["repeat"])):
            if row["success"]:
                self._good.setdefault((row["cell"], row["arm"]), []).append(row)
        self.failed = [row for row in data["rows"] if not row["success"]]
        self.skipped = {(one["cell"], one["arm"]): one for one in data["skipped"]}
        self._planned = {(cell["id"], arm) for cell in data["config"]["cells"] for arm in cell["arms"]}
        self.places = tuple(sorted(self._all_places(), key=lambda place: (place.order, place.id)))
        asked = {arm for _, arm in self._planned} | {row["arm"] for row in data["rows"]}
        self.arms = tuple(arm for arm in ARMS if arm in asked)
        self.carriers = tuple(arm for arm in self.arms if arm not in LIMITS)

    def _all_places(self) -> Iterator[Place]:
        known = {one["cell"]: one for one in (*self.data["skipped"], *self.data["rows"])}
        for id in dict.fromkeys([*(cell["id"] for cell in self.data["config"]["cells"]), *known]):
            name, _, payload = id.rpartition("/")
            resolution, frames = name, 0
            if id in known:
                one = known[id]
                frames, pixels = one["frame_count"], one["width"] * one["height"]
                resolution = name if one["resolution"] == "own" else one["resolution"]
            elif self.data["config"]["covers"]:
                pixels = 0
            else:
                resolution, _, count = name.rpartition("/")
                frames, pixels = int(count), math.prod(parse_resolution(resolution))
            yield Place(id, resolution, frames, payload, pixels)

    @property
    def own(self) -> bool:
        """Whether these are the user's own videos instead of synthetic ones."""
        return bool(self.data["config"]["covers"])

    def place(self, id: str) -> Place | None:
        """The cell of that name, if it was planned or measured."""
        return next((place for place in self.places if place.id == id), None)

    @property
    def centre(self) -> Place:
        """The middle of a star; otherwise the cell with the most good runs."""
        middle = self.data["config"]["centre"]
        if middle and not self.own:
            found = self.place("{resolution}/{frames}/{payload}".format(**middle))
            if found is not None:
                return found
        return max(self.places, key=lambda one: sum(len(self.rows(one, arm)) for arm in self.arms))

    def by_resolution(self) -> list[Place]:
        """Cells like the centre but for the resolution."""
        middle = self.centre
        return [
            one
            for one in self.places
            if one.payload == middle.payload and (self.own or one.frames == middle.frames)
        ]

    def by_length(self, place: Place) -> list[Place]:
        """Cells like `place` but for the number of frames."""
        return [
            one for one in self.places if (one.resolution, one.payload) == (place.resolution, place.payload)
        ]

    def by_payload(self) -> list[Place]:
        """Cells like the centre but for the payload."""
        middle = self.centre
        return [
            one for one in self.places if (one.resolution, one.frames) == (middle.resolution, middle.frames)
        ]

    def rows(self, place: Place | None, arm: str) -> Sequence[Row]:
        """Good runs, by repeat."""
        return () if place is None else self._good.get((place.id, arm), ())

    def status(self, place: Place | None, arm: str) -> str:
        """One of "good", "failed", "left out", "missing" and "not planned"."""
        if self.rows(place, arm):
            return "good"
        key = (place.id if place else "", arm)
        if any((row["cell"], row["arm"]) == key for row in self.failed):
            return "failed"
        if key in self.skipped:
            return "left out"
        return "missing" if key in self._planned else "not planned"

    def value(self, place: Place | None, arm: str, name: str) -> Spread | None:
        """A figure over the repeats."""
        return Spread.of(field(row, name) for row in self.rows(place, arm))

    def factor(self, place: Place | None, arm: str, against: str, name: str) -> Spread | None:
        """How many times less than `against` the arm takes, repeat by repeat."""
        other = {row["repeat"]: field(row, name) for row in self.rows(place, against)}
        pairs = [(other.get(row["repeat"]), field(row, name)) for row in self.rows(place, arm)]
        return Spread.of(more / less for more, less in pairs if more is not None and less)

    def lengths(self, place: Place, arm: str) -> list[tuple[int, float]]:
        """Frames and peak MiB of all repeats of all cells like `place` but for the number of frames."""
        cells = self.by_length(place)
        return [(one.frames, row["memory_peak_mb"]) for one in cells for row in self.rows(one, arm)]

    def line(self, place: Place, arm: str) -> Line | None:
        """Memory against length through all repeats of all lengths; None with fewer than two lengths."""
        points = [
            (one.frames, row["memory_peak_mb"])
            for one in self.by_length(place)
            for row in self.rows(one, arm)
        ]
        lengths = sorted({frames for frames, _ in points})
        if len(lengths) < 2:
            return None
        x, y = zip(*points, strict=True)
        slope, base = linear_regression(x, y)
        try:
            r2: float | None = correlation(x, y) ** 2
        except StatisticsError:  # all alike
            r2 = None
        return Line(slope, base, tuple(lengths), sum(y) / len(y), r2)

    def slope(self, place: Place, arm: str) -> Line | None:
        """The line at this resolution, or that of the centre scaled by the number of pixels."""
        found = self.line(place, arm) or self.line(self.centre, arm)
        if found is None or self.line(place, arm) is not None:
            return found
        scale = place.pixels / self.centre.pixels
        return Line(found.slope * scale, found.base * scale, found.lengths, found.mean * scale, found.r2)

    def cover(self, place: Place) -> Mapping[str, Any]:
        """What is known of a cell's cover."""
        for arm in self.arms:
            for row in self.rows(place, arm):
                found: Mapping[str, Any] = self.data["covers"][row["video_info"]["cover"]]
                return found
        return {}


def field(row: Row, name: str) -> float | None:
    """A figure of a row: a field, a stage as "stages.mux", or "io_time"."""
    if name == "io_time":
        return float(row["read_time"] + row["write_time"])
    if name.startswith("stages."):
        return float(row["stages"][name[7:]])
    value: float | None = row[name]
    return None if value is None else float(value)


def frame(results: Results, names: Sequence[str]) -> Any:
    """Medians over the repeats as a pandas table: a row for each cell and arm, a column for each field."""
    import pandas

    pairs = [(place, arm) for place in results.places for arm in results.arms if results.rows(place, arm)]
    index = pandas.MultiIndex.from_tuples([(place.id, arm) for place, arm in pairs], names=["cell", "arm"])
    found = {name: [results.value(place, arm, name) for place, arm in pairs] for name in names}
    columns = {
        name.removeprefix("stages."): [one.mid if one else math.nan for one in column]
        for name, column in found.items()
    }
    return pandas.DataFrame(columns, index=index)


def with_figures(report: Path) -> str:
    """A report's Markdown with its figures inside, as data URIs, for a notebook."""
    text = report.read_text(encoding="utf-8")
    for path in sorted((report.parent / FIGURES).glob("*.png")):
        data = base64.b64encode(path.read_bytes()).decode()
        text = text.replace(f"({FIGURES}/{path.name})", f"(data:image/png;base64,{data})")
    return text


# -- grades and models ----------------------------------------------------------------------------------


def memory_grade(mb: float, claims: Mapping[str, Any]) -> str:
    """The study's word for so much memory, by the thresholds it published."""
    limits = claims["thresholds"]["memory"]
    if mb < limits["safe_below_mb"]:
        return "safe"
    if mb < limits["monitor_below_mb"]:
        return "monitor"
    return "high risk" if mb < limits["high_risk_below_mb"] else "critical"


def time_grade(seconds: float, claims: Mapping[str, Any]) -> str:
    """The study's word for such a time, by the thresholds it published."""
    limits = claims["thresholds"]["time"]
    for name in ("excellent", "good", "acceptable"):
        if seconds < limits[f"{name}_below_s"]:
            return name
    return "slow"


def longest_by_memory(results: Results, place: Place, arm: str, budget_mib: float) -> float | None:
    """Seconds of video that fit into memory; infinite if memory is flat, None if unknown."""
    peak, line = results.value(place, arm, "memory_peak_mb"), results.slope(place, arm)
    if peak is None or line is None:
        return None
    if line.flat:
        return math.inf if peak.mid <= budget_mib else 0.0
    frames = place.frames + (budget_mib - peak.mid) / line.slope
    return max(0.0, frames / _fps(results, place))


def longest_by_disk(results: Results, place: Place, arm: str, budget_bytes: float) -> float | None:
    """Seconds of video whose output fits on the disk; None if unknown.

    What codes every frame grows by its own bytes a frame, a splice by those of the cover and a constant.
    """
    rows = results.rows(place, arm)
    if not rows:
        return None
    row = rows[0]
    constant = 0 if row["frames_coded"] >= row["frame_count"] else row["growth_bytes"]
    rate = (row["bytes_out"] - constant) / row["frame_count"]
    frames = (budget_bytes - constant) / rate
    return max(0.0, float(frames) / _fps(results, place))


def _fps(results: Results, place: Place) -> float:
    return float(results.cover(place).get("fps") or 30)


@dataclass(frozen=True)
class Goal:
    """A figure to reach; `reached` is None if it was not measured."""

    name: str
    cell: str
    found: str
    reached: bool | None

    @property
    def verdict(self) -> str:
        """The word in the report."""
        return {True: "reached", False: "**not reached**", None: MISSING}[self.reached]


def goals(results: Results) -> list[Goal]:
    """The headline figures that this project set itself, all at 1440p."""
    short, long = results.place("1440p/100/1KB"), results.place("1440p/300/1KB")
    middle = next(
        (one for one in map(results.place, ("1440p/100/100KB", "1440p/100/1KB"))
         if results.rows(one, "whole") and results.rows(one, "current")), None,
    )  # fmt: skip
    found = [
        _at_least(
            results,
            "`splice` of 1 KB at least 10x faster than `current`, 100 frames",
            short,
            "total_time",
            10,
        ),
        _at_least(
            results, "`splice` of 1 KB at least 30x faster than `current`, 300 frames", long, "total_time", 30
        ),
    ]
    for place, frames in ((short, 100), (long, 300)):
        found += [
            _gop_and_copies(results, place, "total_time", f"{frames} frames, with its verification"),
            _gop_and_copies(results, place, "work_s", f"{frames} frames, verification apart"),
        ]
    found += [
        _at_least(
            results, "`splice` at most 1/8 of the memory of `current`, 100 frames", short, "memory_peak_mb", 8
        ),
        _at_least(
            results,
            "`splice` at most 1/20 of the memory of `current`, 300 frames",
            long,
            "memory_peak_mb",
            20,
        ),
        _at_least(
            results, "`whole` at most 1/6 of the memory of `current`", middle, "memory_peak_mb", 6, "whole"
        ),
    ]
    ratio = results.value(middle, "whole", "work_vs_floor")
    found.append(
        Goal("`whole` at most 1.10 of the time of `floor`, verification apart", _name(middle),
             _times(ratio), None if ratio is None else ratio.mid <= 1.10)
    )  # fmt: skip
    for arm in ("whole", "splice"):
        line = results.line(middle, arm) if middle else None
        told = (
            MISSING if line is None else f"{_slope(line)} over {line.lengths[0]} to {line.lengths[-1]} frames"
        )
        found.append(
            Goal(
                f"memory of `{arm}` flat against length",
                _name(middle),
                told,
                None if line is None else line.flat,
            )
        )
    return found


def _at_least(
    results: Results, name: str, place: Place | None, quantity: str, least: float, arm: str = "splice"
) -> Goal:
    ratio = results.factor(place, arm, "current", quantity)
    return Goal(name, _name(place), _times(ratio), None if ratio is None else ratio.mid >= least)


def _gop_and_copies(results: Results, place: Place | None, quantity: str, name: str) -> Goal:
    """Whether a splice takes no longer than decoding one GOP and copying the file twice."""
    name = f"`splice` of 1 KB no slower than one GOP's decode plus two copies, {name}"
    took = results.value(place, "splice", quantity)
    decode, copy = results.value(place, "floor", "stages.decode"), results.value(place, "copy", "total_time")
    if place is None or took is None or decode is None or copy is None:
        return Goal(name, _name(place), MISSING, None)
    bound = decode.mid / place.frames * results.cover(place)["gop_frames"] + 2 * copy.mid
    return Goal(name, place.id, f"{_s(took)} s against {bound:.2f} s", took.mid <= bound)


# -- text -----------------------------------------------------------------------------------------------


def _plain(value: float) -> str:
    if not math.isfinite(value):
        return MISSING
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _s(value: Spread | float | None, unit: str = "") -> str:
    """A figure with about three digits."""
    mid = value.mid if isinstance(value, Spread) else value
    return MISSING if mid is None else _plain(mid) + unit


def _times(value: Spread | None) -> str:
    """A ratio with its spread over the repeats."""
    if value is None:
        return MISSING
    if value.n == 1:
        return f"{_plain(value.mid)}x (n=1)"
    return f"{_plain(value.mid)}x ({_plain(value.low)} to {_plain(value.high)}, n={value.n})"


def _share(value: float | None, digits: int = 4) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def _size(count: float | None) -> str:
    if count is None:
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= scale:
            return f"{_plain(count / scale)} {unit}"
    return f"{count:.0f} B"


def _span(seconds: float | None) -> str:
    """A length of time in a unit that suits it."""
    if seconds is None:
        return MISSING
    if math.isinf(seconds):
        return "no limit"
    for unit, scale in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 3 * scale:
            return f"{_plain(seconds / scale)} {unit}"
    return f"{_plain(seconds)} s"


def _slope(line: Line) -> str:
    per_hundred = round(100 * line.slope, 1)
    return f"{per_hundred + 0.0:+,.1f} MiB per 100 frames"


def _name(place: Place | None) -> str:
    return place.id if place else MISSING


def _mark(results: Results, place: Place | None, arm: str, text: Callable[[], str]) -> str:
    """The text of a good cell; otherwise what became of it."""
    status = results.status(place, arm)
    if status == "good":
        return text()
    return {"failed": "**failed**", "left out": "left out"}.get(status, MISSING)


def _range(pair: tuple[float | None, float | None], unit: str) -> str:
    low, high = pair
    told = "" if low is None else f"{low:g}"
    return f"{told} to {high:g} {unit}" if high is not None and high != low else f"{told} {unit}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is set left, figures right."""
    lines = [head, [":--", *("--:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |" for line in lines)


def _figure(name: str, alt: str, drawn: bool) -> str:
    return f"![{alt}]({FIGURES}/{name}.png)" if drawn else f"Figure “{alt}”: {MISSING}"


# -- the report -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """Everything that a section may ask."""

    results: Results
    claims: Mapping[str, Any]
    users: Users

    @property
    def carriers(self) -> tuple[str, ...]:
        return self.results.carriers

    def figure(self, name: str) -> str:
        from vidstega.lab import plots

        one = plots.FIGURES[name]
        return _figure(name, one.alt, one.has_data(self.results))


def render(results: Results, claims: Mapping[str, Any], users: Users | None = None) -> str:
    """The report as Markdown."""
    told = _Told(results, claims, users or Users())
    parts = [part for section in _SECTIONS for part in section(told)]
    return "\n\n".join(parts) + "\n"


def _head(told: _Told) -> list[str]:
    data = told.results.data
    done = "complete" if data["complete"] else "**not complete**"
    return [
        f"# Stress test of vidstega: {data['name']}",
        f"Generated from `stress_test_results.json` ({data['created']} to {data['updated']}, {done}) by "
        "`vidstega report`; do not edit. Times are wall seconds, memory is the peak sum of "
        f"{data['memory']['metric'].upper()} over the process tree in MiB. Figures are medians over the "
        "repeats; a ratio is taken repeat by repeat and stands with its least and most. "
        f"`{MISSING}` was not measured, **bold** failed or was not reached.",
    ]


def _summary(told: _Told) -> list[str]:
    results, claims = told.results, told.claims
    data, middle = results.data, results.centre
    good = len(data["rows"]) - len(results.failed)
    failed = f"**{len(results.failed)} failed**" if results.failed else "0 failed"
    lines = [
        f"- {good} of {data['planned']} planned runs were written, read back by a fresh process and found "
        f"equal; {failed}; {len(results.skipped)} combinations of cell and arm were left out."
    ]
    lines += [_summary_of(told, arm) for arm in told.carriers]
    for arm in told.carriers:
        if (line := results.line(middle, arm)) is not None:
            word = "flat" if line.flat else "growing"
            lines.append(
                f"- Memory of `{arm}` against length at {middle.resolution}: {_slope(line)} ({word})."
            )
    if (memory := results.value(middle, "current", "memory_peak_mb")) is not None:
        grade = memory_grade(memory.mid, claims)
        lines.append(f"- By the study's thresholds the memory of `current` at {middle.id} is “{grade}”.")
    judged = goals(results)
    counts = [sum(goal.reached is one for goal in judged) for one in (True, False, None)]
    lines.append(
        f"- Of the {len(judged)} headline goals {counts[0]} are reached, {counts[1]} are not, "
        f"{counts[2]} were not measured."
    )
    lines.append(f"- {_recommended(told)}")
    return ["## Summary", "\n".join(lines)]


def _summary_of(told: _Told, arm: str) -> str:
    results, middle = told.results, told.results.centre
    rows = results.rows(middle, arm)
    if not rows:
        return f"- `{arm}` at {middle.id}: {_mark(results, middle, arm, str)}."
    time, memory, out = (
        results.value(middle, arm, name) for name in ("total_time", "memory_peak_mb", "growth_bytes")
    )
    assert out is not None
    line = f"- `{arm}` at {middle.id}: {_s(time)} s, {_s(memory)} MiB, {_size(out.mid)} more than the cover"
    faster, lighter = (
        results.factor(middle, arm, "current", name) for name in ("total_time", "memory_peak_mb")
    )
    if arm == "current" or faster is None:
        return line + "."
    return f"{line}; against `current` {_times(faster)} as fast, memory less by {_times(lighter)}."


def _goals(told: _Told) -> list[str]:
    rows = [(goal.name, goal.cell, goal.found, goal.verdict) for goal in goals(told.results)]
    note = (
        "Speed is by `total_time`, which holds the verification of vidstega's arms but none of `current`'s; "
        "memory is the whole peak, imports included. A GOP's decode is the decode stage of `floor` per frame "
        "times the frames of a GOP. Flat means: the fitted rise over the measured lengths is at most "
        f"{FLAT:.0%} of the mean."
    )
    return ["## Headline goals", table(["goal", "cell", "measured", "verdict"], rows), note]


def _machine(told: _Told) -> list[str]:
    data = told.results.data
    machine, config, memory = data["machine"], data["config"], data["memory"]
    rows = [
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['ram_mib']:,} MiB RAM"),
        ("system", machine["os"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(data["versions"].items()))),
        ("commit", f"{data['commit'] or MISSING}; measured code {data['code']}"),
        ("matrix", f"{data['name']}, digest {data['config_digest']}, seed {config['seed']}"),
        ("repeats", f"{config['repeats']}, at the centre {max(config['repeats'], config['centre_repeats'])}"),
        ("workers", f"{config['n_workers']} in parallel arms, batches of {config['batch']} frames"),
        ("memory", f"{memory['metric']}, {memory['unit']}, {memory['tool']}, "
                   f"{_memory_samples(told.results)} samples a run"),
        ("control codec", _control_codec(data["control_codec"])),
        ("load", _load(data["rows"])),
    ]  # fmt: skip
    covers = [
        (
            f"`{id}`", f"{one['width']}x{one['height']}", str(one["frames"]), _s(one["fps"]), one["codec"],
            _size(one["bytes"]), _s(one["bitrate_bps"] and one["bitrate_bps"] / 1e6), str(one["gop_frames"]),
            "yes" if one["splice"] else f"no: {one['reason']}",
        )
        for id, one in sorted(
            data["covers"].items(), key=lambda one: (one[1]["width"], one[1]["frames"], one[0]))
    ]  # fmt: skip
    head = ["cover", "size", "frames", "frames/s", "codec", "bytes", "Mbit/s", "frames a GOP", "splice"]
    return [
        "## Machine, versions, configuration",
        "\n".join(["| | |", "| :-- | :-- |", *(f"| {name} | {text} |" for name, text in rows)]),
        _covers_note(data),
        table(head, covers),
    ]


def _covers_note(data: Mapping[str, Any]) -> str:
    made = {
        json.dumps(one["synthetic"], sort_keys=True) for one in data["covers"].values() if one["synthetic"]
    }
    notes = []
    for text in sorted(made):
        one = json.loads(text)
        notes.append(
            "Synthetic covers: textured objects that move over a panning multi-octave background, grain, a "
            f"scene cut{', a tone as sound' if one['sound'] else ''}; H.264 {one['preset']}, crf "
            f"{one['crf']:g}, "
            f"{one['bframes']} B-frames, a key frame every {one['gop_s']:g} s, {one['fps']} frames/s, "
            f"seed {one['seed']}."
        )
    if any(one["synthetic"] is None for one in data["covers"].values()):
        notes.append("Covers without a recipe are the user's own.")
    return " ".join(notes) or f"Covers: {MISSING}."


def _memory_samples(results: Results) -> str:
    counts = [row["memory_samples"] for row in results.data["rows"] if row["success"]]
    return f"{min(counts):,} to {max(counts):,}" if counts else MISSING


def _load(rows: Sequence[Row]) -> str:
    load = Spread.of(row["load_1min"] for row in rows)
    if load is None:
        return MISSING
    return (
        f"one-minute load average when runs began: {load.low:.1f} to {load.high:.1f}, median {load.mid:.1f}"
    )


def _control_codec(codec: Mapping[str, Any] | None) -> str:
    if codec is None:
        return MISSING
    tried = sorted({trial["fourcc"].strip() for trial in codec["trials"]})
    exact = sorted({trial["fourcc"].strip() for trial in codec["trials"] if trial["exact"]})
    return (
        f"{codec['fourcc']} in {codec['suffix']}, the fastest that reads back exactly "
        f"(tried {', '.join(tried)}; exact: {', '.join(exact)})"
    )


def _support(told: _Told) -> list[str]:
    results, claims = told.results, told.claims
    ram = USABLE * results.data["machine"]["ram_mib"]
    limit = claims["thresholds"]["memory"]["high_risk_below_mb"]
    cells = results.centre.payload + ("" if results.own else f", {results.centre.frames} frames")
    parts = [
        "## Resolution support matrix",
        f"Cells of {cells}, by the thresholds the study published: {_thresholds(claims)}. The longest video "
        f"is by memory what stays below “critical” ({limit:,} MB) and what fits into {USABLE:.0%} of this "
        f"machine's memory ({ram:,.0f} MiB), and by disk what output fits into {DISK_GB} GB. “No limit”: "
        "memory does not grow with length. Where one length alone was measured, its slope is that at "
        f"{results.centre.resolution}, scaled by pixels.",
    ]
    head = ["resolution", "memory", "time", "peak MiB", "seconds", "concurrent users",
            f"longest by memory, {limit:,} MB", "longest by memory, this machine",
            f"longest by disk, {DISK_GB} GB"]  # fmt: skip
    for arm in (arm for arm in _MAIN if arm in results.arms):
        rows = [_support_row(told, place, arm, limit, ram) for place in results.by_resolution()]
        parts += [f"### `{arm}`", table(head, rows)]
    parts += [told.figure("heat_map"), "### As the study published it", _published_matrix(claims)]
    return parts


def _thresholds(claims: Mapping[str, Any]) -> str:
    memory, time = claims["thresholds"]["memory"], claims["thresholds"]["time"]
    return (
        f"memory below {memory['safe_below_mb']:,} MB safe, below {memory['monitor_below_mb']:,} monitor, "
        "below "
        f"{memory['high_risk_below_mb']:,} high risk, above critical; time below {time['excellent_below_s']} "
        "s "
        f"excellent, below {time['good_below_s']} good, below {time['acceptable_below_s']} acceptable, above "
        "slow"
    )


def _support_row(told: _Told, place: Place, arm: str, limit: float, ram: float) -> list[str]:
    results = told.results
    memory, time = (results.value(place, arm, name) for name in ("memory_peak_mb", "total_time"))
    counted = _users_of(told, arm, place.resolution)
    if memory is None or time is None:
        status = _mark(results, place, arm, str)
        if (skip := results.skipped.get((place.id, arm))) is not None:
            status = f"left out: {skip['reason']}"
        return [place.resolution, status, *[MISSING] * 3, counted, *[MISSING] * 3]
    return [
        place.resolution,
        memory_grade(memory.mid, told.claims),
        time_grade(time.mid, told.claims),
        _s(memory),
        _s(time),
        counted,
        _span(longest_by_memory(results, place, arm, limit)),
        _span(longest_by_memory(results, place, arm, ram)),
        _span(longest_by_disk(results, place, arm, DISK_GB * 1e9)),
    ]


def _published_matrix(claims: Mapping[str, Any]) -> str:
    rows, notes = [], []
    for one in claims["current"]:
        graded, said = memory_grade(one["memory_mb"], claims), one.get("status", MISSING)
        if said not in (MISSING, graded):
            notes.append(
                f"Its matrix calls {one['resolution']} “{said}”, where its own thresholds say “{graded}” "
                f"for {one['memory_mb']:,} MB."
            )
        rows.append((one["resolution"], said, graded, time_grade(one["time_s"], claims),
            f"{one['memory_mb']:,}",
                     f"{one['time_s']:g}", one["users"], _span(one.get("longest_video_s"))))  # fmt: skip
    head = ["resolution", "status it gives", "memory by its thresholds", "time by its thresholds", "MB",
        "seconds",
            "users", "longest video"]  # fmt: skip
    return "\n\n".join([table(head, rows), *notes])


def _claimed(told: _Told) -> list[str]:
    results, claims = told.results, told.claims
    rows = []
    for claim in claims["current"]:
        place = _claimed_place(results, claim)
        published = [f"{claim['memory_mb']:,}", MISSING, f"{claim['time_s']:g}", claim["users"]]
        rows.append([claim["resolution"], "published", *published, "", ""])
        rows += [_claimed_row(told, claim, place, arm) for arm in told.carriers]
    head = ["resolution", "arm", "peak MiB", "of it for frames", "seconds", "users",
        "memory claimed / measured",
            "time claimed / measured"]  # fmt: skip
    cells = sorted({place.id for claim in claims["current"] if (place := _claimed_place(results, claim))})
    return [
        "## Claimed against measured",
        f"Published: {claims['source']}. Its figures are for {claims['current'][0]['frames']} frames on the "
        "present "
        f"system; beside them every arm as measured at {', '.join(cells) or MISSING}. It counted frames, so "
        "the column "
        "“of it for frames” (peak less imports) is the nearer one; the ratio is of the whole peak.",
        table(head, rows),
        "### Its targets",
        _targets(told),
        "### Its fixes",
        _claimed_fixes(told),
    ]


def _claimed_place(results: Results, claim: Mapping[str, Any]) -> Place | None:
    """The cell of this resolution and length: with the centre's payload, or else with another."""
    found = [
        one
        for one in results.places
        if (one.resolution, one.frames) == (claim["resolution"], claim["frames"])
    ]
    return min(found, key=lambda one: (one.payload != results.centre.payload, one.order), default=None)


def _claimed_row(told: _Told, claim: Mapping[str, Any], place: Place | None, arm: str) -> list[str]:
    results = told.results
    peak, frames, time = (
        results.value(place, arm, name) for name in ("memory_peak_mb", "memory_increase_mb", "total_time")
    )
    first = _mark(results, place, arm, lambda: _s(peak))
    return [
        claim["resolution"], f"`{arm}`", first, _s(frames), _s(time),
        _users_of(told, arm, claim["resolution"]),
        MISSING if peak is None else f"{_plain(claim['memory_mb'] / peak.mid)}x",
        MISSING if time is None else f"{_plain(claim['time_s'] / time.mid)}x",
    ]  # fmt: skip


def _targets(told: _Told) -> str:
    rows = []
    for target in told.claims["targets"]:
        place = _claimed_place(
            told.results, {"resolution": target["resolution"], "frames": _claimed_frames(told)}
        )
        for arm in told.carriers:
            rows += [
                (f"{target['name']}: {goal.name}", f"`{arm}`", goal.cell, goal.found, goal.verdict)
                for goal in _target_goals(told, target, place, arm)
            ]
    return table(["target", "arm", "published", "measured", "verdict"], rows)


def _claimed_frames(told: _Told) -> int:
    return int(told.claims["current"][0]["frames"])


def _target_goals(told: _Told, target: Mapping[str, Any], place: Place | None, arm: str) -> Iterator[Goal]:
    """One target against one arm; `Goal.cell` holds what was published."""
    results = told.results
    if "memory_mb" in target:
        peak = results.value(place, arm, "memory_peak_mb")
        reached = None if peak is None else peak.mid <= target["memory_mb"]
        yield Goal("memory", f"{target['memory_mb']:,} MB", _s(peak, " MiB"), reached)
    if "time_to_s" in target:
        time = results.value(place, arm, "total_time")
        told_s = _range((target["time_from_s"], target["time_to_s"]), "s")
        yield Goal("time", told_s, _s(time, " s"), None if time is None else time.mid <= target["time_to_s"])
    if "longest_video_s" in target:
        limit = told.claims["thresholds"]["memory"]["high_risk_below_mb"]
        longest = longest_by_memory(results, place, arm, limit) if place else None
        least = target["longest_video_s"]
        yield Goal(
            "longest video", _span(least), _span(longest), None if longest is None else longest >= least
        )
    if "users_from" in target:
        users = told.users.get((arm, target["resolution"]))
        told_users = _range((target["users_from"], target.get("users_to")), "users")
        reached = None if users is None else users >= target["users_from"]
        yield Goal("users", told_users, _users_of(told, arm, target["resolution"]), reached)


def _claimed_fixes(told: _Told) -> str:
    results, rows = told.results, []
    names = {"memory": "memory_peak_mb", "time": "total_time", "io_time": "io_time"}
    for fix in told.claims["fixes"]:
        ratio = results.factor(results.centre, fix["arm"], fix["against"], names[fix["quantity"]])
        claimed = _claimed_factor(fix)
        low = None if claimed is None else claimed[0]
        verdict = (
            MISSING if ratio is None or low is None else "as claimed" if ratio.mid >= low else "**less**"
        )
        told_factor = MISSING if claimed is None else "x to ".join(map(_plain, dict.fromkeys(claimed))) + "x"
        rows.append((fix["name"], f"`{fix['arm']}` against `{fix['against']}`", fix["quantity"], told_factor,
                     _times(ratio), _workers(results, fix), verdict))  # fmt: skip
    head = [
        "fix",
        "arms",
        "quantity",
        "claimed factor",
        f"measured at {results.centre.id}",
        "workers",
        "verdict",
    ]
    return table(head, rows)


def _claimed_factor(fix: Mapping[str, Any]) -> tuple[float, float] | None:
    """Least and most that a fix was said to bring."""
    if "reduction" in fix:
        return (round(1 / (1 - fix["reduction"]), 6),) * 2
    if "before_s" in fix:
        return (fix["before_s"] / fix["after_s"],) * 2
    if "before_from_s" in fix:
        return fix["before_from_s"] / fix["after_to_s"], fix["before_to_s"] / fix["after_from_s"]
    return None


def _workers(results: Results, fix: Mapping[str, Any]) -> str:
    measured = results.value(results.centre, fix["arm"], "workers")
    if "workers" not in fix:
        return _s(measured) if measured is None else f"{measured.mid:.0f}"
    return f"{fix['workers']} claimed, {MISSING if measured is None else f'{measured.mid:.0f}'} measured"


_FIXES = (
    ("streaming in batches", "current+streaming", "current"),
    ("parallel, process pool as proposed", "current+parallel", "current"),
    ("parallel, vidstega's segments", "whole+parallel", "whole"),
    ("FFmpeg I/O, every frame", "whole", "current"),
    ("only the frames needed", "splice", "whole"),
    ("all together", "splice", "current"),
)
_QUANTITIES = (
    ("time", "total_time"),
    ("time without verification", "work_s"),
    ("read + write time", "io_time"),
    ("peak memory", "memory_peak_mb"),
    ("memory for frames", "memory_increase_mb"),
    ("output bytes", "bytes_out"),
)


def _fixes(told: _Told) -> list[str]:
    results = told.results
    rows, ranges = [], []
    for name, arm, against in _FIXES:
        ratios = [results.factor(results.centre, arm, against, quantity) for _, quantity in _QUANTITIES]
        rows.append([name, f"`{arm}` / `{against}`", *map(_times, ratios)])
        ranges.append([name, *(_over_cells(results, arm, against, quantity) for _, quantity in _QUANTITIES)])
    head = ["fix", "arm / against", *(name for name, _ in _QUANTITIES)]
    return [
        "## What each fix brings",
        f"How many times less than the arm it is set against, at {results.centre.id}, with the spread over "
        "the "
        "repeats; below 1x it takes more.",
        table(head, rows),
        "The same over all cells where both arms succeeded: least to most of the cells' medians.",
        table(["fix", *(name for name, _ in _QUANTITIES)], ranges),
        _fix_verdicts(results),
    ]


def _over_cells(results: Results, arm: str, against: str, quantity: str) -> str:
    found = [results.factor(place, arm, against, quantity) for place in results.places]
    spread = Spread.of(one.mid for one in found if one)
    return MISSING if spread is None else f"{_plain(spread.low)}x to {_plain(spread.high)}x, {spread.n} cells"


def _fix_verdicts(results: Results) -> str:
    single = [one for one in _FIXES if one[0] != "all together"]
    lines = []
    for name, quantity in (("time", "total_time"), ("memory", "memory_peak_mb")):
        known = [(ratio.mid, fix) for fix, arm, against in single
                 if (ratio := results.factor(results.centre, arm, against, quantity))]  # fmt: skip
        if not known:
            lines.append(f"- Most {name}: {MISSING}.")
            continue
        best, fix = max(known)
        lines.append(f"- Most {name} is saved by “{fix}”, {_plain(best)}x.")
        worse = [f"“{fix}” ({_plain(ratio)}x)" for ratio, fix in known if ratio < 0.995]
        lines += [f"- More {name} than without: {', '.join(worse)}."] if worse else []
    return "\n".join(lines)


def _memory(told: _Told) -> list[str]:
    results, rows = told.results, []
    for first in {(one.resolution, one.payload): one for one in reversed(results.places)}.values():
        for arm in results.arms:
            if (line := results.line(first, arm)) is not None:
                fit = MISSING if line.r2 is None else f"{line.r2:.3f}"
                rows.append((first.order, [
                    first.resolution, first.payload, f"`{arm}`", ", ".join(map(str, line.lengths)),
                    *(_s(results.value(one, arm, "memory_peak_mb")) for one in _ends(results, first, line,
                    arm)),
                    _slope(line), fit, "flat" if line.flat else "grows",
                ]))  # fmt: skip
    rows.sort(key=lambda pair: pair[0])
    head = [
        "resolution",
        "payload",
        "arm",
        "frames",
        "MiB at the shortest",
        "MiB at the longest",
        "slope",
        "R²",
        "",
    ]
    raw = 3 * results.centre.pixels * 100 / (1 << 20)
    return [
        "## Memory against length",
        table(head, [row for _, row in rows]) if rows else MISSING,
        f"For comparison: 100 raw BGR frames at {results.centre.resolution} are {raw:,.1f} MiB.",
        told.figure("memory_length"),
        told.figure("memory_timelines"),
    ]


def _ends(results: Results, first: Place, line: Line, arm: str) -> list[Place | None]:
    there = {one.frames: one for one in results.by_length(first) if results.rows(one, arm)}
    return [there.get(line.lengths[0]), there.get(line.lengths[-1])]


def _times_section(told: _Told) -> list[str]:
    results = told.results
    rows = []
    for place in results.by_resolution():
        rows += [_stage_row(results, place, arm) for arm in ("current", "whole", "splice", "floor")
                 if arm in results.arms]  # fmt: skip
    centre = [_stage_row(results, results.centre, arm) for arm in results.arms]
    head = ["cell", "arm", "total", *STAGES]
    return [
        "## Time against resolution, by stage",
        "Wall seconds. Stages of parallel arms are scaled to the wall time; “digest” and “verify” are "
        "verification.",
        table(head, rows),
        told.figure("time_resolution"),
        f"All arms at {results.centre.id}:",
        table(head, centre),
        told.figure("stages"),
        *_distance(results),
    ]


def _stage_row(results: Results, place: Place, arm: str) -> list[str]:
    total = results.value(place, arm, "total_time")
    stages = [results.value(place, arm, f"stages.{stage}") for stage in STAGES]
    shown = ["" if one and not one.mid else "0.00" if one and one.mid < 0.005 else _s(one) for one in stages]
    return [place.id, f"`{arm}`", _mark(results, place, arm, lambda: _s(total)), *shown]


def _distance(results: Results) -> list[str]:
    rows = []
    for place in results.by_resolution():
        for arm in (arm for arm in results.arms if arm not in LIMITS):
            ratios = [results.value(place, arm, name) for name in ("work_vs_floor", "vs_floor", "vs_copy")]
            rows.append([place.id, f"`{arm}`", *map(_times, ratios)])
    head = ["cell", "arm", "of `floor`, verification apart", "of `floor`", "of `copy`"]
    return ["Distance to the physical limits, as a multiple of their time:", table(head, rows)]


def _scaling(told: _Told) -> list[str]:
    results, rows = told.results, []
    for arm, alone in PARALLEL.items():
        for place in results.places:
            speedup = results.value(place, arm, "speedup")
            if speedup is not None:
                workers = results.value(place, arm, "workers")
                work = results.factor(place, arm, alone, "work_s")
                rows.append([place.id, f"`{arm}`", MISSING if workers is None else f"{workers.mid:.0f}",
                             _times(speedup), _times(work), _s(results.value(place, arm, "efficiency")),
                             _s(results.value(place, arm, "memory_peak_mb"))])  # fmt: skip
    head = ["cell", "arm", "workers", "speed-up", "verification apart", "efficiency", "peak MiB"]
    return [
        "## Scaling with workers",
        f"Against the same arm with one worker, on {results.data['machine']['cores']} cores.",
        table(head, rows) if rows else MISSING,
        told.figure("speedup"),
    ]


def _quality(told: _Told) -> list[str]:
    results, rows = told.results, []
    wanted = dict.fromkeys([*results.by_payload(), *results.by_resolution()])
    for place in wanted:
        for arm in (arm for arm in _MAIN if arm in results.arms):
            rows.append(_quality_row(results, place, arm))
    head = ["cell", "arm", "capacity", "message", "frames used", "alpha", "change rate", "PSNR dB", "SSIM",
            "output", "growth"]  # fmt: skip
    return [
        "## Quality and capacity",
        "Of carrying frames against the cover's: luma for vidstega's arms, BGR for `current`. Every other "
        "frame "
        "of a splice is the cover's own packet. Alpha is in bits per sample.",
        table(head, rows),
        *_detectability(told, list(wanted)),
    ]


def _quality_row(results: Results, place: Place, arm: str) -> list[str]:
    def get(name: str) -> float | None:
        spread = results.value(place, arm, name)
        return spread.mid if spread else None

    used, growth = get("frames_used"), get("growth_ratio")
    capacity = _mark(results, place, arm, lambda: _size(get("capacity_bytes")))
    return [
        place.id, f"`{arm}`", capacity, _size(get("message_size")),
        MISSING if used is None else f"{used:.0f}",
        _share(get("alpha")), _share(get("change_rate")), _s(get("psnr_db")), _share(get("ssim"), 6),
        _size(get("bytes_out")), MISSING if growth is None else f"{_plain(growth)}x",
    ]  # fmt: skip


def _detectability(told: _Told, places: Sequence[Place]) -> list[str]:
    results, rows = told.results, []
    seen: dict[str, list[bool]] = {}
    for place in places:
        for arm in (arm for arm in _MAIN if arm in results.arms):
            alpha, found, clean, growth = (
                results.value(place, arm, name)
                for name in ("alpha", "ws_alpha", "ws_alpha_cover", "growth_ratio")
            )
            if alpha is None or found is None or clean is None:
                continue
            detected = found.mid - clean.mid > SEEN
            seen.setdefault(arm, []).append(detected)
            rows.append([place.id, f"`{arm}`", _share(alpha.mid), _share(found.mid), _share(clean.mid),
                         "detected" if detected else "not detected", f"{_s(growth)}x"])  # fmt: skip
    head = [
        "cell",
        "arm",
        "alpha",
        "estimated alpha",
        "estimate on the cover",
        "by the estimate",
        "file growth",
    ]
    lines = [
        f"- `{arm}`: the estimate gives the message away in {sum(found)} of {len(found)} cells."
        for arm, found in seen.items()
    ]
    return [
        "## Detectability",
        "Weighted stego analysis of carrying frames. “Detected”: the estimate is more than "
        f"{SEEN} above that of the same frames of the cover. It looks at samples alone; a stream analyser "
        "also sees "
        "raw pictures in a splice, a lossless codec, and the growth of the file.",
        table(head, rows) if rows else MISSING,
        *(["\n".join(lines)] if lines else []),
    ]


def _failures(told: _Told) -> list[str]:
    results = told.results
    failed = sorted(results.failed, key=lambda row: (row["cell"], row["arm"], row["repeat"]))
    parts = ["## Failures and what was left out"]
    if failed:
        rows = [
            [row["cell"], f"`{row['arm']}`", str(row["repeat"]), f"**{_one_line(row['error'])}**"]
            for row in failed
        ]
        parts.append(table(["cell", "arm", "repeat", "error"], rows))
    else:
        parts.append(f"0 of {len(results.data['rows'])} runs failed.")
    skipped = sorted(results.skipped.values(), key=lambda one: (one["cell"], one["arm"]))
    if skipped:
        rows = [
            [one["cell"], f"`{one['arm']}`", one["why"], _s(one["predicted_mib"]), _s(one["available_mib"]),
             _one_line(one["reason"])]
            for one in skipped
        ]  # fmt: skip
        parts.append(table(["left out", "arm", "for", "predicted MiB", "available MiB", "reason"], rows))
    missing = [
        f"{place.id} `{arm}`" for place in results.places for arm in results.arms
        if results.status(place, arm) == "missing"
    ]  # fmt: skip
    parts.append(f"Planned and not measured: {', '.join(missing) or 'none'}.")
    return parts


def _one_line(text: str | None) -> str:
    return " ".join((text or "no message").split())


# -- users ----------------------------------------------------------------------------------------------


def _users_of(told: _Told, arm: str, resolution: str) -> str:
    count = told.users.get((arm, resolution))
    if count is None:
        return MISSING
    return f"at least {count}" if told.users.bounded((arm, resolution)) else str(count)


def _concurrent(told: _Told) -> list[str]:
    data = told.users.data
    if not data.get("levels"):
        return ["## Concurrent users", f"{MISSING}: no level was measured, or there is no `{USERS}` here."]
    head = ["resolution", "arm", "users", "not carried", "p50 s", "p95 s", "p99 s", "results a minute",
            "peak MiB", "core-seconds a job", "read back"]  # fmt: skip
    rows = [_users_row(told, one["arm"], one["resolution"]) for one in data["carried"]]
    return [
        "## Concurrent users",
        _how_users_came(data),
        f"{_made_on(told)} Figures are those of the largest level that was carried; “not carried” is the "
        "smallest that was not.",
        table(head, rows),
        _figure("users", "Time to result against simultaneous users", True),
        "### Past capacity",
        _crowded(told),
        *_capacity_model(told),
    ]


def _how_users_came(data: Mapping[str, Any]) -> str:
    bounds, budget = data["bounds"], _gib(data["budget_bytes"])
    return (
        f"From `{USERS}`: real clients against a real server on loopback. So many users at once upload "
        f"a video of {data['frames']} frames with a key and a message of {_size(data['payload_bytes'])} of "
        "their own, wait, and download. They are carried while every one gets a result, and 95 % of them "
        f"within {data['limit_s']:g} s of beginning to upload. The server, {data['workers']} jobs at a time, "
        f"has {budget} GiB for everything; rate limits are off. All it gave was read back by a fresh reader. "
        "`current` knows no server: each user is a process, and once all of them together pass "
        f"{budget} GiB, those that still run have failed. Bounds: {bounds['users']} users, "
        f"{bounds['seconds']:g} s for each resolution and arm; a user gives up after {bounds['level_s']:g} s."
    )


def _gib(size: float) -> str:
    return f"{size / (1 << 30):g}"


def _made_on(told: _Told) -> str:
    here, there = told.results.data["machine"], told.users.data["stamp"]
    same = "this machine" if there["machine"] == here else f"**another machine** ({there['machine']['cpu']})"
    return f"Measured on {same}, {there['machine']['cores']} cores, commit {there['commit'] or MISSING}."


def _users_row(told: _Told, arm: str, resolution: str) -> list[str]:
    users = told.users
    top, count = users.top(arm, resolution), users.get((arm, resolution))
    over = next((one for one in users.levels(arm, resolution) if one["users"] > (count or 0)), None)
    first = [resolution, f"`{arm}`", _users_of(told, arm, resolution), _why(over)]
    if top is None:
        return first + [MISSING] * 7
    done = top["outcomes"]["done"]
    checked = f"{top['read_back']} of {done}" if arm == "splice" else "not here"
    return [
        *first, *(_s(top[name]) for name in ("p50_s", "p95_s", "p99_s", "per_minute")),
        _s(top["peak_bytes"] / (1 << 20)), _s(top["core_s"] / done), checked,
    ]  # fmt: skip


def _why(level: Row | None) -> str:
    """What became of the first level that was too much."""
    if level is None:
        return "nothing tried"
    if set(level["outcomes"]) == {"done"}:
        return f"{level['users']}: p95 {_s(level['p95_s'])} s"
    told = ", ".join(f"{count} {name}" for name, count in sorted(level["outcomes"].items()))
    return f"{level['users']}: {told}" + "".join(f" ({text})" for text in level["errors"][:1])


def _crowded(told: _Told) -> str:
    one, budget = told.users.data.get("crowd"), told.users.data["budget_bytes"]
    if not one:
        return f"A crowd with all limits in force: {MISSING}."
    ended = ", ".join(f"{count} {name}" for name, count in sorted(one["outcomes"].items()))
    lost = one["users"] - sum(one["outcomes"].get(name, 0) for name in ("done", "refused"))
    whole = one["read_back"] == one["outcomes"].get("done", 0)
    good = not lost and whole and one["peak_bytes"] <= budget
    verdict = "All ended with a result or an honest refusal, within the budget."
    if not good:
        verdict = "**Not all ended with a result or an honest refusal within the budget.**"
    return (
        f"{one['users']} users at once, {one['resolution']}, rate limits in force, {one['queue']} places to "
        f"wait, {one['tries']} tries for each: {ended}; {lost} lost. {one['refusals']} answers were 429 or "
        f"503. {one['read_back']} results read back, p95 {_s(one['p95_s'])} s, peak "
        f"{_s(one['peak_bytes'] / (1 << 20))} of {budget / (1 << 20):,.0f} MiB. {verdict}"
    )


def _capacity_model(told: _Told) -> list[str]:
    """What the users of phase 3 need, and whether the same arithmetic foretells what was measured."""
    users, phase = told.users, told.claims["targets"][-1]
    resolutions = [one["resolution"] for one in users.data["carried"] if one["arm"] == "splice"]
    costs = {name: cost for name in resolutions if (cost := users.cost(name)) is not None}
    counts = phase["users_from"], phase["users_to"]
    rows = [_need_row(told, name, cost, count) for name, cost in costs.items() for count in counts]
    if phase["resolution"] not in costs:
        rows.append([phase["resolution"], *[MISSING] * 8])
    head = ["resolution", "users", "workers", "memory MiB", "upload MB/s", "download MB/s", "storage MB/s",
            "next bottleneck", "of its limit"]  # fmt: skip
    check = ["resolution", "from users", "core-seconds a job", "of its client", "cores busy",
             "results a minute foretold", "measured", "measured / foretold", "users foretold",
             "carried"]  # fmt: skip
    return [
        "### Capacity model",
        f"What it takes that so many users who come at once all have their result within "
        f"{users.data['limit_s']:g} s, from what a job took at the largest level carried. Assumptions:",
        _ASSUMPTIONS
        + f"\n- Storage gives {_s(users.data['storage_mb_s'])} MB/s, what this machine writes and "
        f"syncs, and a network link {LINK_MB_S} MB/s each way (1 Gbit/s, assumed). The next bottleneck is "
        "what comes nearest to its limit, or furthest past it.",
        table(head, rows),
        "Checked: what a job took at fewer users (at most three quarters) foretells the results a minute of "
        "the largest level carried, and the users carried, on the same cores with the clients on them.",
        table(check, [_check_row(told, name) for name in resolutions]),
    ]


_ASSUMPTIONS = """\
- A worker is a core like those here, a job runs on one, and cores are as busy as they were here.
- A worker needs the memory that the server sets aside for a job.
- Uploads and downloads are spread over the whole time; users' own links are fast enough.
- Every upload, every read and write of a job and every download goes to shared storage, nothing is cached.
- With few jobs a worker, one job more or less shows; that is left out."""


def _need_row(told: _Told, resolution: str, cost: Cost, count: int) -> list[str]:
    data = told.users.data
    one = need(count, cost, data["limit_s"])
    shares = {
        "upload": one.upload_mb_s / LINK_MB_S, "download": one.download_mb_s / LINK_MB_S,
        "storage": one.storage_mb_s / data["storage_mb_s"],
    }  # fmt: skip
    worst = max(shares, key=lambda name: shares[name])
    return [
        resolution, str(count), str(one.workers), f"{one.memory_bytes / (1 << 20):,.0f}", _s(one.upload_mb_s),
        _s(one.download_mb_s), _s(one.storage_mb_s), worst, f"{shares[worst]:.0%}",
    ]  # fmt: skip


def _check_row(told: _Told, resolution: str) -> list[str]:
    users, top = told.users, told.users.top("splice", resolution)
    cost = None if top is None else users.cost(resolution, below=0.75 * top["users"])
    if top is None or cost is None:
        return [resolution, *[MISSING] * 9]
    foretold = cost.per_minute(users.data["stamp"]["machine"]["cores"])
    return [
        resolution, str(cost.users), _s(cost.core_s), _s(cost.client_core_s), f"{cost.busy:.0%}",
        _s(foretold), _s(top["per_minute"]), f"{top['per_minute'] / foretold:.2f}",
        f"{foretold * users.data['limit_s'] / 60:.0f}", _users_of(told, "splice", resolution),
    ]  # fmt: skip


# -- recommendations ------------------------------------------------------------------------------------


def _reference(told: _Told) -> Place | None:
    """Where options are compared: the largest claimed resolution, or the middle of the user's videos."""
    results = told.results
    return results.centre if results.own else _claimed_place(results, told.claims["current"][-1])


def _best(told: _Told, place: Place | None) -> str | None:
    """The arm, other than `current`, that has a result known to be good first."""
    known = [
        (spread.mid, arm) for arm in told.carriers
        if arm != "current" and (spread := told.results.value(place, arm, "checked_s"))
    ]  # fmt: skip
    return min(known)[1] if known else None


def _enough(told: _Told, place: Place | None, arm: str) -> tuple[bool | None, str]:
    """Whether an arm meets the rule for going on with it, and the figures of that."""
    results = told.results
    memory, time = (results.value(place, arm, name) for name in ("memory_peak_mb", "total_time"))
    if place is None or memory is None or time is None:
        return None, MISSING
    need = told.claims["targets"][0]
    limit = told.claims["thresholds"]["memory"]["high_risk_below_mb"]
    longest, users = longest_by_memory(results, place, arm, limit), told.users.get((arm, place.resolution))
    grades = memory_grade(memory.mid, told.claims), time_grade(time.mid, told.claims)
    checks = [grades[0] == "safe", grades[1] in ("excellent", "good")]
    checks += [] if users is None else [users >= need["users_from"]]
    figures = (
        f"memory {_s(memory)} MiB {grades[0]}, time {_s(time)} s {grades[1]}, longest video "
        f"{_span(longest)}, "
        f"users {_users_of(told, arm, place.resolution)}"
    )
    if longest is None:
        return (None if all(checks) else False), figures
    return all(checks) and longest >= need["longest_video_s"], figures


def _full_scale(told: _Told, place: Place | None, arm: str | None) -> tuple[bool | None, str]:
    users = None if place is None or arm is None else told.users.get((arm, place.resolution))
    wanted = told.claims["targets"][-1]["users_from"]
    if users is None:
        return None, f"concurrent users of one machine {MISSING}"
    count = _users_of(told, arm or "", place.resolution if place else "")
    return users < wanted, f"one machine carries {count} users, {wanted} are asked for"


def _recommended(told: _Told) -> str:
    place = _reference(told)
    best = _best(told, place)
    options = {one["name"]: one for one in told.claims["options"]}
    nothing, _ = _enough(told, place, "current")
    quick = None if best is None else _enough(told, place, best)[0]
    more, figures = _full_scale(told, place, best)
    if nothing:
        name, why = "do nothing", f"`current` is within the rule at {_name(place)}"
    elif quick:
        name, why = "quick wins", f"`{best}` is within the rule at {_name(place)} and `current` is not"
        if nothing is None:
            why = f"`{best}` is within the rule at {_name(place)}; `current` {MISSING}"
    elif quick is None:
        return f"Recommended by the rules below: {MISSING}."
    else:
        name, why = (
            "full scale",
            f"no arm on one machine is within the rule at {_name(place)} (`{best}` is not)",
        )
    cost = options[name]
    money = f"${cost['cost_from_usd']:,}"
    if cost["cost_to_usd"] != cost["cost_from_usd"]:
        money += f" to ${cost['cost_to_usd']:,}"
    text = f"Recommended by the rules below: **{name}** (the study puts it at {money}), since {why}."
    if name != "full scale" and more is not None:
        need = "is needed" if more else "is not needed"
        text += f" For the study's phase 3, full scale {need}: {figures}."
    return text


def _recommendations(told: _Told) -> list[str]:
    results, place = told.results, _reference(told)
    best, need = _best(told, place), told.claims["targets"][0]
    phase = told.claims["targets"][-1]
    words = {True: "holds", False: "does not hold", None: MISSING}
    nothing, quick = _enough(told, place, "current"), _enough(told, place, best or "")
    full = _full_scale(told, place, best)
    rows = [
        ("do nothing", "`current` is enough", nothing[1], words[nothing[0]]),
        ("quick wins", f"{f'`{best}`' if best else MISSING} is enough", quick[1], words[quick[0]]),
        ("full scale", "one machine is not enough for phase 3", full[1], words[full[0]]),
    ]
    rule = (
        f"Rules, at {_name(place)}: an arm is enough if by the study's thresholds its memory is safe and its "
        "time good or excellent, and if its longest video (below critical memory) is at least the "
        f"{need['longest_video_s']} s and, where they were counted, its concurrent users at least the "
        f"{need['users_from']} of the study's targets. Quick wins are judged by the arm whose result is "
        "first known to be good. Full scale is for the "
        f"{phase['users_from']} users of phase 3."
    )
    return [
        "## Recommendations",
        rule,
        table(["option", "question", "figures", "answer"], rows),
        _recommended(told),
        "\n".join(_advice(results)),
    ]


def _advice(results: Results) -> Iterator[str]:
    for place in results.by_payload():
        known = sorted((spread.mid, arm) for arm in results.carriers
                       if (spread := results.value(place, arm, "checked_s")))  # fmt: skip
        if known:
            yield f"- {place.id}: `{known[0][1]}` has a checked result first, after {_plain(known[0][0])} s."
    for arm in PARALLEL:
        efficiency, workers = (results.value(results.centre, arm, name) for name in ("efficiency", "workers"))
        if efficiency is None or workers is None:
            yield f"- Workers of `{arm}`: {MISSING}."
        else:
            word = "worth it" if efficiency.mid >= WORTH_A_WORKER else "not worth it"
            yield (
                f"- {workers.mid:.0f} workers of `{arm}`: {word} (efficiency {_s(efficiency)}, worth it from "
                f"{WORTH_A_WORKER} on)."
            )


def _all_cells(told: _Told) -> list[str]:
    results, rows = told.results, []
    for place in results.places:
        for arm in results.arms:
            if results.status(place, arm) != "not planned":
                rows.append(_cell_row(results, place, arm))
    head = ["cell", "arm", "n", "seconds", "read back s", "CPU s", "of floor", "of copy", "peak MiB",
        "for frames MiB",
            "frames/s", "Mpx/s", "output", "growth", "mode"]  # fmt: skip
    return ["## All cells", table(head, rows)]


def _cell_row(results: Results, place: Place, arm: str) -> list[str]:
    rows = results.rows(place, arm)
    failed = sum((row["cell"], row["arm"]) == (place.id, arm) for row in results.failed)
    names = ("readback_s", "cpu_s", "vs_floor", "vs_copy", "memory_peak_mb", "memory_increase_mb",
        "frames_per_s",
             "mpx_per_s")  # fmt: skip
    out, growth = (results.value(place, arm, name) for name in ("bytes_out", "growth_ratio"))
    return [
        place.id, f"`{arm}`", f"{len(rows)}, **{failed} failed**" if failed and rows else str(len(rows)),
        _mark(results, place, arm, lambda: _s(results.value(place, arm, "total_time"))),
        *(_s(results.value(place, arm, name)) for name in names),
        _size(out.mid if out else None), _s(growth, "x"), rows[0]["mode"] if rows else MISSING,
    ]  # fmt: skip


_SECTIONS: tuple[Callable[[_Told], list[str]], ...] = (
    _head,
    _summary,
    _goals,
    _support,
    _claimed,
    _fixes,
    _memory,
    _times_section,
    _scaling,
    _quality,
    _concurrent,
    _failures,
    _recommendations,
    _machine,
    _all_cells,
)

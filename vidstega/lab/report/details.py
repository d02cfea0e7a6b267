"""What details.md says: every cell, generated from the columns of the results; a section is one entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidstega.lab.arms import LIMITS
from vidstega.lab.results import Results, Spread, ratios, unit
from vidstega.lab.schema import STAGES, Planned
from vidstega.lab.text import Table, bytes_, plain, share, span, times, with_unit
from vidstega.lab.users import Cost, Level, UsersFile, need
from vidstega.lab.verdicts import Case, judge, per_hundred

DISK_GB = 100
"""Free disk that the longest video is stated for."""
USABLE = 0.8
"""Share of this machine's memory that the longest video may take."""
FIXES = (
    ("streaming in batches", "current+streaming", "current"),
    ("parallel, process pool as proposed", "current+parallel", "current"),
    ("parallel, vidstega's segments", "whole+parallel", "whole"),
    ("FFmpeg I/O, every frame", "whole", "current"),
    ("only the frames needed", "splice", "whole"),
    ("all together", "splice", "current"),
)
_FIXED = ("total_time", "work_s", "io_time", "memory_peak_mb", "memory_increase_mb", "bytes_out")


@dataclass(frozen=True)
class Columns:
    """A section that shows some columns of the results, a row a cell and arm."""

    title: str
    note: str
    columns: Sequence[str]
    axes: Sequence[str] = ()
    figures: Sequence[tuple[str, str]] = ()

    def table(self, results: Results) -> Table:
        """Medians over the repeats; cells and arms without any of these figures are left out."""
        cells = [cell for axis in self.axes for cell in results.along(axis)] if self.axes else results.cells
        rows = []
        for cell in dict.fromkeys(cells):
            for arm in cell.arms:
                values = [_shown(results, cell, arm, column) for column in self.columns]
                if any(values):
                    rows.append([cell.id, f"`{arm}`", _count(results, cell, arm), *values])
        return Table(["cell", "arm", "n", *map(heading, self.columns)], rows)


SECTIONS = (
    Columns(
        "All cells",
        "Medians over the repeats that succeeded; `n` is how many did.",
        [
            "total_time",
            "readback_s",
            "checked_s",
            "cpu_s",
            "memory_peak_mb",
            "memory_increase_mb",
            "frames_per_s",
            "mpx_per_s",
            "bytes_out",
            "growth_ratio",
        ],
        figures=[("heat_map", "Time and peak memory by resolution and arm")],
    ),
    Columns(
        "Stages",
        "Wall time. Stages of parallel arms are scaled to the wall time; digest and verify are verification.",
        ["total_time", *(f"{stage}_s" for stage in STAGES)],
        ("resolution",),
        [("time_resolution", "Time against resolution by stage")],
    ),
    Columns(
        "Distance to the physical limits",
        "As a multiple of the time of decoding and coding every frame, and of copying the file.",
        ["vs_floor", "work_vs_floor", "vs_copy"],
        ("resolution", "payload"),
    ),
    Columns(
        "Scaling with workers",
        "Against the same arm with one worker.",
        ["speedup", "efficiency"],
        figures=[("speedup", "Speed-up with workers")],
    ),
    Columns(
        "Quality and capacity",
        "Of frames that carry, against the cover's: luma, or BGR for `current`. Alpha is in bits a sample.",
        [
            "capacity_bytes",
            "message_size",
            "frames_used",
            "alpha",
            "change_rate",
            "psnr_db",
            "ssim",
        ],
        ("payload", "resolution"),
    ),
)


def heading(column: str) -> str:
    """A column's name with its unit."""
    return f"{column} ({unit(column)})" if unit(column) not in ("", "times") else column


def _shown(results: Results, cell: Planned, arm: str, column: str) -> str:
    value = results.value(cell.id, arm, column)
    if value is None or (column.endswith("_s") and column[:-2] in STAGES and value == 0):
        return ""
    if arm in LIMITS and column in ("message_size", "frames_used"):
        return ""
    return share(value) if unit(column) in ("", "bits/sample") else with_unit(value, unit(column))


def _count(results: Results, cell: Planned, arm: str) -> str:
    good = len(results.good(cell.id, arm))
    failed = sum((row.cell, row.arm) == (cell.id, arm) for row in results.failed)
    return f"{good}, **{failed} failed**" if failed else str(good)


def context(case: Case) -> dict[str, Any]:
    """Everything that the template asks for."""
    results = case.results
    sections = [(section, section.table(results)) for section in SECTIONS]
    return {
        "sections": [pair for pair in sections if pair[1]],
        "goals": _goals(case),
        "fixes": _fixes(results, results.centre),
        "fixes_everywhere": _fixes(results, None),
        "memory": _memory(results),
        "raw_mib": 3 * results.centre.pixels * 100 / (1 << 20),
        "longest": _longest(case),
        "failed": _failed(results),
        "left_out": _left_out(results),
        "unmeasured": _unmeasured(results),
        "covers": _covers(results),
        "load": Spread.of(results.frame.load_1min),
        "users": _users(case.users) if case.users and not results.own else None,
        "disk_gb": DISK_GB,
        "usable": USABLE,
    }


def _goals(case: Case) -> Table:
    pairs = [(goal, judge(case, goal)) for goal in case.claims.goals]
    rows = [(goal.name, goal.cell, one.measured, one.marked) for goal, one in pairs if one]
    return Table(["goal", "cell", "measured", "verdict"], rows)


def _fixes(results: Results, cell: Planned | None) -> Table:
    """At one cell with the spread over its repeats, or over all cells: least to most of their medians."""
    rows = []
    for name, arm, against in FIXES:
        found = [_ratio(results, cell, arm, against, column) for column in _FIXED]
        if any(found):
            rows.append([name, f"`{arm}` / `{against}`", *found])
    return Table(["fix", "arm / against", *_FIXED], rows)


def _ratio(results: Results, cell: Planned | None, arm: str, against: str, column: str) -> str:
    if cell is not None:
        return times(results.ratio(cell.id, arm, against, column))
    by_cell = ratios(results.frame, arm, against, column).groupby("cell").median()
    spread = Spread.of(by_cell)
    return f"{plain(spread.low)}x to {plain(spread.high)}x, {spread.n} cells" if spread else ""


def _memory(results: Results) -> Table:
    rows = []
    for (resolution, payload, arm), line in results.slopes.iterrows():
        lengths = f"{line.shortest:.0f} to {line.longest:.0f}"
        word = "flat" if line.flat else "grows"
        rows.append([resolution, payload, f"`{arm}`", lengths, per_hundred(line.slope), plain(line.r2), word])
    return Table(["resolution", "payload", "arm", "frames", "slope", "R²", ""], rows)


def _longest(case: Case) -> Table:
    limit = case.claims.thresholds.critical_mb
    ram = USABLE * case.results.experiment.machine.ram_mib
    rows = []
    for cell in case.results.along("resolution"):
        for arm in (arm for arm in ("current", *case.claims.default) if arm in cell.arms):
            found = [
                case.longest_s(cell, arm, limit),
                case.longest_s(cell, arm, ram),
                _by_disk(case, cell, arm),
            ]
            if any(value is not None for value in found):
                rows.append([cell.id, f"`{arm}`", *("" if one is None else span(one) for one in found)])
    head = ["cell", "arm", f"below {limit:,.0f} MiB", f"in {ram:,.0f} MiB", f"on {DISK_GB} GB of disk"]
    return Table(head, rows)


def _by_disk(case: Case, cell: Planned, arm: str) -> float | None:
    """What codes every frame grows by its own bytes a frame, anything else by the cover's and a constant."""
    rows = case.results.good(cell.id, arm)
    if not rows or not rows[0].bytes_out:
        return None
    row, out = rows[0], rows[0].bytes_out
    constant = 0 if (row.frames_coded or 0) >= row.frame_count else out - row.bytes_in
    frames = (DISK_GB * 1e9 - constant) / ((out - constant) / row.frame_count)
    return float(frames / case.results.experiment.covers[cell.cover].fps)


def _failed(results: Results) -> Table:
    failed = sorted(results.failed, key=lambda row: (row.cell, row.arm, row.repeat))
    rows = [[row.cell, f"`{row.arm}`", str(row.repeat), f"**{row.error or 'no message'}**"] for row in failed]
    return Table(["cell", "arm", "repeat", "error"], rows)


def _left_out(results: Results) -> Table:
    skipped = sorted(results.skipped, key=lambda one: (one.cell, one.arm))
    rows = [
        [one.cell, f"`{one.arm}`", one.why, plain(one.predicted_mib), plain(one.available_mib), one.reason]
        for one in skipped
    ]
    return Table(["cell", "arm", "for", "predicted MiB", "available MiB", "reason"], rows)


def _unmeasured(results: Results) -> str:
    """Planned, and neither measured nor left out."""
    known = {(row.cell, row.arm) for row in results.experiment.rows}
    known |= {(one.cell, one.arm) for one in results.skipped}
    missing = [f"{c.id} `{arm}`" for c in results.cells for arm in c.arms if (c.id, arm) not in known]
    return ", ".join(missing)


def _covers(results: Results) -> Table:
    covers = sorted(results.experiment.covers.values(), key=lambda one: (one.width, one.frames, one.id))
    head = ["cover", "size", "frames", "frames/s", "codec", "bytes", "Mbit/s", "frames a GOP", "splice"]
    rows = [
        [
            f"`{one.id}`",
            f"{one.width}x{one.height}",
            str(one.frames),
            plain(one.fps),
            one.codec,
            bytes_(one.bytes),
            plain(8e-6 * one.bytes / one.duration_s) if one.duration_s else "",
            str(one.gop_frames),
            "yes" if one.splice else f"no: {one.reason}",
        ]
        for one in covers
    ]
    return Table(head, rows)


# -- users ----------------------------------------------------------------------------------------------


def _users(data: UsersFile) -> dict[str, Any]:
    """All that was measured of users at once, and the model on paper."""
    costs = {one.resolution: data.cost(one.resolution) for one in data.carried if one.arm == "splice"}
    needs = [_need(data, name, cost, n) for name, cost in costs.items() if cost for n in (50, 100)]
    head = "resolution,users,workers,memory MiB,upload MB/s,download MB/s,storage MB/s,nearest limit,of it"
    return {
        "levels": _levels(data),
        "needs": Table(head.split(","), needs),
        "checked": _checked(data, list(costs)),
        "data": data,
    }


def _levels(data: UsersFile) -> Table:
    rows = []
    for one in data.carried:
        top, levels = data.top(one.arm, one.resolution), data.of(one.arm, one.resolution)
        over = next((level for level in levels if level.users > one.users), None)
        rows.append([one.resolution, f"`{one.arm}`", one.text, _why(over), *_level(top, one.arm)])
    head = (
        "resolution,arm,users,not carried,p50 s,p95 s,p99 s,results a minute,peak MiB,core-s a job,read back"
    )
    return Table(head.split(","), rows)


def _level(top: Level | None, arm: str) -> list[str]:
    if top is None:
        return [""] * 7
    done = top.outcomes["done"]
    figures = (top.p50_s, top.p95_s, top.p99_s, top.per_minute, top.peak_bytes / 2**20, top.core_s / done)
    return [*map(plain, figures), f"{top.read_back} of {done}" if arm == "splice" else "not here"]


def _why(level: Level | None) -> str:
    """What became of the first level that was too much."""
    if level is None:
        return "nothing tried"
    if set(level.outcomes) == {"done"}:
        return f"{level.users}: p95 {plain(level.p95_s)} s"
    told = ", ".join(f"{count} {name}" for name, count in sorted(level.outcomes.items()))
    return f"{level.users}: {told}" + "".join(f" ({text})" for text in level.errors[:1])


def _need(data: UsersFile, resolution: str, cost: Cost, count: int) -> list[str]:
    from vidstega.lab.claims import load_claims

    one, link = need(count, cost, data.limit_s), load_claims().rules.link_mb_s
    shares = {
        "upload": one.upload_mb_s / link,
        "download": one.download_mb_s / link,
        "storage": one.storage_mb_s / data.storage_mb_s,
    }
    worst = max(shares, key=lambda name: shares[name])
    rates = map(plain, (one.upload_mb_s, one.download_mb_s, one.storage_mb_s))
    memory = f"{one.memory_bytes / 2**20:,.0f}"
    return [resolution, str(count), str(one.workers), memory, *rates, worst, f"{shares[worst]:.0%}"]


def _checked(data: UsersFile, resolutions: Sequence[str]) -> Table:
    """What a job took at fewer users foretells the largest level."""
    rows = []
    for name in resolutions:
        top = data.top("splice", name)
        cost = top and data.cost(name, below=0.75 * top.users)
        if top and cost:
            told = cost.per_minute(data.stamp.machine.cores)
            figures = map(plain, (cost.core_s, cost.client_core_s))
            ratio, foretold = f"{top.per_minute / told:.2f}", f"{told * data.limit_s / 60:.0f}"
            most = data.most("splice", name)
            ends = [plain(told), plain(top.per_minute), ratio, foretold, most.text if most else ""]
            rows.append([name, str(cost.users), *figures, f"{cost.busy:.0%}", *ends])
    head = (
        "resolution,from users,core-seconds a job,of its client,cores busy,a minute foretold,measured,"
        "measured / foretold,users foretold,carried"
    )
    return Table(head.split(","), rows)

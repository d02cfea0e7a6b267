"""The tables of details.md: every cell, made from the columns of the results. A section is one entry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from vidstega.lab.arms import LIMITS
from vidstega.lab.results import Measure, Results, medians, ratios
from vidstega.lab.schema import STAGES, Planned
from vidstega.lab.text import markdown, plain, span, times
from vidstega.lab.users import UsersFile, need
from vidstega.lab.verdicts import OLD, Case, judge_all

DISK_GB = 100
"""Free disk that the longest video is stated for."""
USABLE = 0.8
"""Share of this machine's memory that the longest video may take."""
FIXES = {
    "streaming in batches": ("current+streaming", "current"),
    "parallel, process pool as proposed": ("current+parallel", "current"),
    "parallel, vidstega's segments": ("whole+parallel", "whole"),
    "FFmpeg I/O, every frame": ("whole", "current"),
    "only the frames needed": ("splice", "whole"),
    "all together": ("splice", "current"),
}
_COVER = {"id", "width", "height", "frames", "fps", "codec", "bytes", "gop_frames", "splice", "reason"}
_FIXED = ("total_time", "work_s", "io_time", "memory_peak_mb", "memory_increase_mb", "bytes_out")


class Section(NamedTuple):
    """Medians of some columns, a row a cell and arm, of the cells along some axes or of all."""

    title: str
    note: str
    columns: str
    axes: str = ""
    figure: str = ""

    def table(self, results: Results) -> str:
        """As Markdown; cells and arms without any of these figures are left out."""
        cells = [cell for axis in self.axes.split() for cell in results.along(axis)] or results.cells
        wanted = list(dict.fromkeys(cell.id for cell in cells))
        frame = results.frame[results.frame.cell.isin(wanted)].copy()
        frame.loc[frame.arm.isin(LIMITS), ["message_size", "frames_used"]] = None
        found = medians(frame, self.columns.split()).dropna(how="all")
        found = found.where((found != 0) | ~found.columns.isin([f"{stage}_s" for stage in STAGES]))
        found.insert(0, "n", [_count(results, *key) for key in found.index])
        order = {"key": lambda ids: ids.map(wanted.index), "kind": "stable"}
        return markdown(found.reset_index().sort_values("cell", **order))


SECTIONS = (
    Section(
        "All cells",
        "Medians over the repeats that succeeded; `n` is how many did.",
        "total_time readback_s checked_s cpu_s memory_peak_mb memory_increase_mb frames_per_s mpx_per_s "
        "bytes_out growth_ratio",
        figure="heat_map",
    ),
    Section(
        "Stages",
        "Wall time. Stages of parallel arms are scaled to the wall time; digest and verify are verification.",
        " ".join(["total_time", *(f"{stage}_s" for stage in STAGES)]),
        "resolution",
        "time_resolution",
    ),
    Section(
        "Distance to the physical limits",
        "As a multiple of the time of decoding and coding every frame, and of copying the file.",
        "vs_floor work_vs_floor vs_copy",
        "resolution payload",
    ),
    Section(
        "Scaling with workers",
        "Against the same arm with one worker.",
        "speedup efficiency",
        figure="speedup",
    ),
    Section(
        "Quality and capacity",
        "Of frames that carry, against the cover's: luma, or BGR for `current`. Alpha is in bits a sample.",
        "capacity_bytes message_size frames_used alpha change_rate psnr_db ssim",
        "payload resolution",
    ),
)


def _count(results: Results, cell: str, arm: str) -> str:
    failed = sum((row.cell, row.arm) == (cell, arm) for row in results.failed)
    good = len(results.good(cell, arm))
    return f"{good}, **{failed} failed**" if failed else str(good)


def context(case: Case) -> dict[str, Any]:
    """What the template asks for besides the case itself."""
    results = case.results
    sections = [(section, section.table(results)) for section in SECTIONS]
    planned = [(cell, arm) for cell in results.cells for arm in cell.arms]
    known = {(row.cell, row.arm) for row in results.experiment.rows}
    known |= {(one.cell, one.arm) for one in results.skipped}
    failed = results.frame[~results.frame.success].sort_values(["cell", "arm", "repeat"])
    skipped = sorted(results.skipped, key=lambda one: (one.cell, one.arm))
    covers = sorted(results.experiment.covers.values(), key=lambda one: (one.width, one.frames, one.id))
    return {
        "sections": [pair for pair in sections if pair[1]],
        "goals": judge_all(case, case.claims.goals),
        "fixes": _fixes(results, results.centre),
        "fixes_everywhere": _fixes(results, None),
        "longest": markdown(list(_longest(case))),
        "failed": markdown(
            failed[["cell", "arm", "repeat"]].assign(error=[f"**{text}**" for text in failed.error])
        ),
        "left_out": markdown([one.model_dump() for one in skipped]),
        "unmeasured": [f"{cell.id} `{arm}`" for cell, arm in planned if (cell.id, arm) not in known],
        "covers": markdown([one.model_dump(include=_COVER) for one in covers]),
        "load": Measure.of(results.frame.load_1min),
        "users": _users(case.users) if case.users and not results.own else None,
        "usable": USABLE,
    }


def _fixes(results: Results, cell: Planned | None) -> str:
    """At one cell with the spread over its repeats, or over all cells: least to most of their medians."""
    rows = []
    for fix, (arm, against) in FIXES.items():
        found = {f"`{name}`": _ratio(results, cell, arm, against, name) for name in _FIXED}
        if any(found.values()):
            rows.append({"fix": fix, "arm / against": f"`{arm}` / `{against}`", **found})
    return markdown(rows)


def _ratio(results: Results, cell: Planned | None, arm: str, against: str, column: str) -> str:
    if cell is not None:
        return times(results.ratio(cell.id, arm, against, column))
    spread = Measure.of(ratios(results.frame, arm, against, column).groupby("cell").median())
    return f"{plain(spread.low)}x to {plain(spread.high)}x, {spread.n} cells" if spread else ""


def _longest(case: Case) -> Iterable[dict[str, str]]:
    ram = USABLE * case.results.experiment.machine.ram_mib
    for cell in case.results.along("resolution"):
        for arm in (arm for arm in (OLD, *case.claims.default) if arm in cell.arms):
            limits = {f"below {mib:,.0f} MiB": mib for mib in (case.claims.critical_mb, ram)}
            found = {name: case.longest_s(cell, arm, mib) for name, mib in limits.items()}
            found[f"on {DISK_GB} GB of disk"] = _by_disk(case, cell, arm)
            if any(value is not None for value in found.values()):
                told = {name: "" if value is None else span(value) for name, value in found.items()}
                yield {"cell": cell.id, "arm": arm, **told}


def _by_disk(case: Case, cell: Planned, arm: str) -> float | None:
    """What codes every frame grows by its own bytes a frame, anything else by the cover's and a constant."""
    for row in case.results.good(cell.id, arm)[:1]:
        if row.bytes_out:
            coded = (row.frames_coded or 0) >= row.frame_count
            constant = 0 if coded else row.bytes_out - row.bytes_in
            frames = (DISK_GB * 1e9 - constant) / ((row.bytes_out - constant) / row.frame_count)
            return float(frames / case.results.experiment.covers[cell.cover].fps)
    return None


# -- users ----------------------------------------------------------------------------------------------


def _users(data: UsersFile) -> dict[str, Any]:
    """What jobs took, by resolution: at the largest level carried, and whether fewer users foretell it."""
    places = [one.resolution for one in data.carried if one.arm == "splice"]
    costs = {place: cost for place in places if (cost := data.cost(place))}
    fewer = {place: data.cost(place, below=0.75 * costs[place].users) for place in costs}
    return {
        "places": places,
        "costs": costs,
        "fewer": {place: cost for place, cost in fewer.items() if cost},
        "need": need,
        "why": _why,
    }


def _why(data: UsersFile, arm: str, resolution: str, carried: int) -> str:
    """What became of the first level that was too much."""
    level = next((one for one in data.of(arm, resolution) if one.users > carried), None)
    if level is None:
        return "nothing tried"
    if set(level.outcomes) == {"done"}:
        return f"{level.users}: p95 {plain(level.p95_s)} s"
    told = ", ".join(f"{count} {name}" for name, count in sorted(level.outcomes.items()))
    return f"{level.users}: {told}" + "".join(f" ({text})" for text in level.errors[:1])

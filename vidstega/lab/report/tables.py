"""The tables of the report and its details, left out where nothing was measured.

A section of the details with medians of columns is one entry of `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from vidstega.lab.arms import ARMS, LIMITS
from vidstega.lab.results import Measure, Results, medians, ratios
from vidstega.lab.schema import STAGES, Planned
from vidstega.lab.text import amount, frames, markdown, plain, span, times
from vidstega.lab.users import UsersFile, need
from vidstega.lab.verdicts import OLD, Case, choices, judge_all, recommended

MOST_LINES = 8
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


def summary(case: Case) -> dict[str, Any]:
    """What the template of the report asks for besides the case itself."""
    results, users = case.results, None if case.results.own else case.users
    failed = sorted(results.failed, key=lambda row: (row.cell, row.arm, row.repeat))
    lines = [f"{row.cell} `{row.arm}`: {' '.join((row.error or 'no message').split())}" for row in failed]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more, see details.md"]
    rules = case.claims.rules
    cost = users.cost(rules.full_scale_resolution) if users else None
    payloads = [cell for cell in results.along("payload") if cell.payload != "capacity"][:3]
    return {
        "support": markdown(list(_support(case))),
        "scaled": any(
            s.frames != cell.frames for cell in results.along("resolution") if (s := case.study(cell))
        ),
        "claims": judge_all(case, case.claims.claims),
        "payloads": payloads,
        "costed": _costed(case, payloads),
        "places": dict.fromkeys(one.resolution for one in users.carried) if users else (),
        "needs": [need(n, cost, users.limit_s) for n in rules.full_scale_users] if users and cost else [],
        "choices": choices(case),
        "recommended": recommended(case),
        "first": _first(case),
        "failures": lines,
        "left_out": _left_out(case)[:MOST_LINES],
        "more": ", ".join(_more(case)),
    }


def _support(case: Case) -> Iterable[dict[str, str]]:
    """A row a resolution: status, memory, time, users, growth, each claimed / old / **ours**."""
    cells, what = case.results.along("resolution"), amount(case.results.centre.payload)
    if len({cell.frames for cell in cells}) == 1:
        what = f"{frames(cells[0].frames)}, {what}"
    groups = {cell.resolution: [one for one in cells if one.resolution == cell.resolution] for cell in cells}
    for resolution, group in groups.items():
        ids, lengths = {cell.id for cell in group}, sorted(cell.frames for cell in group)
        failed = any(row.cell in ids and row.arm == case.arm for row in case.results.failed)
        ours, study = _median(case, group, case.arm, "memory_peak_mb"), case.study(group[0])
        if ours is None and not failed and _median(case, group, OLD, "memory_peak_mb") is None:
            continue
        status = case.claims.grade(ours) if ours is not None else "failed" if failed else ""
        told = partial(_told, case, group, scale=median(lengths) / study.frames if study else 1)
        old_users, users = (case.text(group[0], arm, "users") for arm in (OLD, case.arm))
        claimed = [study.users if study else "", old_users]
        yield {
            what: resolution,
            "videos": f"{len(group)} of {frames(lengths[0], lengths[-1])}" if case.results.own else "",
            "status": " → ".join(
                [*([study.status] if study else ()), *([f"**{status}**"] if status else ())]
            ),
            "memory, MiB": told("memory_peak_mb", study.memory_mb if study else None),
            "time, s": told("total_time", study.time_s if study else None),
            "users at once": _slashed(claimed, users) if old_users or users else "",
            "file grows": told("growth_ratio", unit="x"),
        }


def _median(case: Case, cells: Sequence[Planned], arm: str | None, column: str) -> float | None:
    known = [value for cell in cells if (value := case.value(cell, arm, column)) is not None]
    return median(known) if known else None


def _told(
    case: Case, cells: Any, column: str, claimed: float | None = None, *, unit: str = "", scale: float
) -> str:
    old, ours = (_median(case, cells, arm, column) for arm in (OLD, case.arm))
    others = [claimed and claimed * scale] if case.studied and not unit else []
    others += [old] if case.old else []
    first, last = [plain(value) + unit * (value is not None) for value in others], plain(ours)
    return _slashed(first, last and last + unit)


def _slashed(others: Sequence[str], ours: str) -> str:
    return " / ".join([*(text or "-" for text in others), f"**{ours}**" if ours else "-"])


def _costed(case: Case, cells: Sequence[Planned]) -> dict[str, str | None]:
    """Each of vidstega's ways that was measured at one of these cells, with its mode."""
    pairs = [(arm, row) for arm in case.results.arms for c in cells for row in case.results.good(c.id, arm)]
    return {arm: row.mode for arm, row in pairs if ARMS[arm].kind == "vidstega" and not ARMS[arm].alone}


def _first(case: Case) -> str:
    """The arm that is first to have a result that is known to be good, if there are several."""
    centre = case.results.centre
    arms = [arm for arm in case.results.arms if ARMS[arm].kind != "limit"]
    known = [(value, arm) for arm in arms if (value := case.value(centre, arm, "checked_s")) is not None]
    return min(known)[1] if len(known) > 1 else ""


def _left_out(case: Case) -> list[str]:
    """Arms by the reason for which they were left out."""
    reasons: dict[str, list[str]] = {}
    for one in sorted(case.results.skipped, key=lambda one: (one.cell, one.arm)):
        reasons.setdefault(one.reason, []).append(f"{one.cell} `{one.arm}`")
    rest = {reason: f" and {len(places) - 3} more" * (len(places) > 3) for reason, places in reasons.items()}
    return [f"{', '.join(places[:3])}{rest[reason]}: {reason}" for reason, places in reasons.items()]


def _more(case: Case) -> Iterable[str]:
    """What these results cannot say."""
    cells = case.results.cells
    if not case.old:
        yield "the study's present way beside it (the arms `current*`)"
    if case.results.slopes.empty:
        yield "memory against length"
    if len({cell.resolution for cell in cells}) < 3:
        yield "other resolutions"
    if len({cell.payload for cell in cells}) < 2:
        yield "other messages"
    if case.users is None and not case.results.own:
        yield "how many users at once (`experiments/users.py`)"


# -- details ---------------------------------------------------------------------------------------------


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


def details(case: Case) -> dict[str, Any]:
    """What the template of the details asks for besides the case itself."""
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
            most = (DISK_GB * 1e9 - constant) / ((row.bytes_out - constant) / row.frame_count)
            return float(most / case.results.experiment.covers[cell.cover].fps)
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

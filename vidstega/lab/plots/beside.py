"""What is measured beside the matrix: many users at once, what the server takes meanwhile, channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from vidstega.lab.arms import ARMS
from vidstega.lab.plots.style import BLUE, GREEN, GREY, ORANGE, VERMILION
from vidstega.lab.survival import SurvivalFile
from vidstega.lab.users import UsersFile, Visit, Watch

_NAMES = {"splice": "vidstega", "current": "present way"}
_SHADES = ("#9AD9C6", "#56B4E9", "#0072B2", "#000000")


def users_carried(users: UsersFile, ax: Axes) -> Axes:
    """The most simultaneous users that were carried, by resolution and arm."""
    rows = [one.model_dump() | {"text": one.text} for one in users.carried]
    table = DataFrame(rows, columns=["arm", "resolution", "users", "text"])
    places, arms = (list(dict.fromkeys(table[name])) for name in ("resolution", "arm"))
    wide = table.pivot(index="resolution", columns="arm").loc[places]
    colors = [ARMS[arm].look["color"] for arm in arms]
    wide.users[arms].rename(columns=_NAMES).plot.bar(ax=ax, rot=0, width=0.75, color=colors)
    for bars, arm in zip(ax.containers, arms, strict=True):
        assert isinstance(bars, BarContainer)
        ax.bar_label(bars, wide.text[arm].fillna(""), padding=2)
    ax.margins(y=0.1)
    ax.set(xlabel="", ylabel="users at once (number)", title=f"Carried within {users.limit_s:g} s")
    ax.legend(loc="upper right")
    return ax


def users_p95(users: UsersFile, ax: Axes) -> Axes:
    """The 95th percentile of the time to a result against simultaneous users, a line a resolution."""
    places = dict.fromkeys(one.resolution for one in users.carried if one.arm == "splice")
    for shade, place in zip(_SHADES, places, strict=False):
        rows = [(one.users, one.p95_s) for one in users.of("splice", place) if one.p95_s is not None]
        if rows:
            ax.plot(*zip(*rows, strict=True), color=shade, marker="o", markersize=5, label=place)
    ax.axhline(users.limit_s, color=VERMILION, linewidth=1, linestyle="--")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="users at once (number)", ylabel="95 % have a result within (s)")
    ax.set_title("Time to a result, vidstega")
    ax.legend(loc="center left")
    return ax


def visits(seen: Sequence[Visit], ax: Axes) -> Axes:
    """Seconds from upload to result of each user, in the order of who was done first."""
    colors = {"done": GREEN, "refused": ORANGE}
    rows = sorted(seen, key=lambda one: one.seconds)
    for y, one in enumerate(rows):
        ax.barh(y, one.seconds, 0.7, color=colors.get(one.outcome, VERMILION))
        told = f"{one.outcome}, refused {one.refusals}x before" if one.refusals else one.outcome
        ax.annotate(told, (one.seconds, y), (4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_xlim(0, 1.6 * max((one.seconds for one in rows), default=1))
    ax.set_yticks(range(len(rows)), [f"user {one.user + 1}" for one in rows], fontsize=9)
    ax.set(xlabel="from upload to result (s)", title="Time to result")
    return ax


def memory_budget(memory: Watch, budget_bytes: int, ax: Axes) -> Axes:
    """Memory of a process tree over time, below its budget."""
    budget = budget_bytes / (1 << 20)
    ax.plot(memory.seconds, [value / (1 << 20) for value in memory.values], color=BLUE)
    ax.axhline(budget, color=VERMILION, linestyle="--")
    ax.annotate("budget", (0, budget), (2, -3), textcoords="offset points", va="top")
    ax.set_ylim(0, 1.1 * budget)
    ax.set(xlabel="time (s)", ylabel="server and jobs, PSS (MiB)", title="Memory")
    return ax


def workers(watch: Watch, ax: Axes, spans: Mapping[str, tuple[float, float]]) -> Axes:
    """Workers over time, with the spans in which there was something to do."""
    ax.step(watch.seconds, watch.values, where="post", color=BLUE)
    for name, (start, end) in spans.items():
        ax.axvspan(start, end, color=GREY, alpha=0.25, label=name)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(-0.1, max(watch.values, default=1) + 0.6)
    ax.set(xlabel="time (s)", ylabel="workers (number)", title="Workers of the cluster")
    ax.legend(loc="upper right")
    return ax


def survived(data: SurvivalFile, ax: Axes) -> Axes:
    """A row a way and size of message, a column a channel: how many of the keys gave the message back."""
    frame = data.frame.assign(label=lambda row: row.way + ", " + row.payload_bytes.astype(str) + " B")
    rows, columns = (list(dict.fromkeys(frame[name])) for name in ("label", "channel"))
    share = (frame.exact / frame.tried.clip(lower=1)).to_numpy(float).reshape(len(rows), len(columns))
    ax.imshow(share, cmap="RdYlBu", vmin=-0.3, vmax=1.3, aspect="auto")
    for place, (exact, tried) in enumerate(zip(frame.exact, frame.tried, strict=True)):
        y, x = divmod(place, len(columns))
        told = "refused" if not tried else f"{exact}/{tried}" if tried > 1 else ("lost", "exact")[exact]
        ax.text(x, y, told, ha="center", va="center", fontsize=9)
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(f"Messages that came back, {data.cover}")
    ax.grid(visible=False)
    return ax

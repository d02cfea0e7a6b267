"""What survives what, as a picture."""

from __future__ import annotations

from matplotlib.axes import Axes

from vidstega.lab.survival import SurvivalFile


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

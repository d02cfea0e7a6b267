"""The report: a pure function of the results in a folder.

`write_report` reads ``stress_test_results.json``, and ``users.json`` if it is there, and writes
``analysis_report.md`` (a screen and a half), ``details.md`` (everything) and ``figures/*.png``. Every number
and every verdict is computed from these files and from ``data/claims.toml``; the text is in ``templates``.
What was not measured does not appear.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vidstega.lab.report import details, summary
from vidstega.lab.results import Results, load
from vidstega.lab.text import amount, bytes_, plain, span
from vidstega.lab.users import UsersFile, load_users
from vidstega.lab.verdicts import make_case

REPORT = "analysis_report.md"
DETAILS = "details.md"
FIGURES = "figures"
_TEMPLATES = Path(__file__).with_name("templates")


def write_report(folder: str | os.PathLike[str]) -> Path:
    """Write the report on the results in a folder beside them, and return its path.

    Raises
    ------
    InputError
        If the folder holds no results, or torn ones; nothing is written then.
    """
    from vidstega.lab import plots

    where = Path(folder)
    results, users = load(where), load_users(where)
    figures = plots.write_figures(results, users, where / FIGURES)
    texts = render(results, users, [path.stem for path in figures])
    for name, text in zip((REPORT, DETAILS), texts, strict=True):
        (where / name).write_text(text, encoding="utf-8", newline="\n")
    return where / REPORT


def render(
    results: Results, users: UsersFile | None = None, figures: list[str] | None = None
) -> tuple[str, str]:
    """The report and its details as Markdown, with the figures of these names."""
    case = make_case(results, users)
    shared: dict[str, Any] = {"figures": figures or [], "case": case, "experiment": results.experiment}
    return (
        _fill("analysis_report.md.j2", {**shared, **summary.context(case)}),
        _fill("details.md.j2", {**shared, **details.context(case)}),
    )


def _fill(name: str, context: dict[str, Any]) -> str:
    maker = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    maker.filters.update(plain=plain, span=span, amount=amount, bytes=bytes_)
    return _tidy(maker.get_template(name).render(context))


def _tidy(text: str) -> str:
    """No trailing blanks, never two empty lines in a row."""
    lines: list[str] = []
    for line in map(str.rstrip, text.splitlines()):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


def as_markdown(report: str | os.PathLike[str]) -> str:
    """A report's Markdown with its figures inside, as data URIs, for a notebook."""
    path = Path(report)
    text = path.read_text(encoding="utf-8")
    for figure in sorted((path.parent / FIGURES).glob("*.png")):
        data = base64.b64encode(figure.read_bytes()).decode()
        text = text.replace(f"({FIGURES}/{figure.name})", f"(data:image/png;base64,{data})")
    return text

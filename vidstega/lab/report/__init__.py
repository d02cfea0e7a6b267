"""The report: a pure function of the results in a folder.

`write_report` reads ``stress_test_results.json``, and ``users.json``, ``survival.json`` and
``detection.json`` if they are there, and writes ``analysis_report.md`` (a screen and a half), ``details.md``
(everything) and ``figures/*.png``. Every number and every verdict is computed from these files and from
``data/claims.toml``; the text is in ``templates``. What was not measured does not appear.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vidstega.lab.detect.rows import DetectionFile, load_detection
from vidstega.lab.report import tables
from vidstega.lab.results import Results, load
from vidstega.lab.survival import SurvivalFile, load_survival
from vidstega.lab.text import amount, bytes_, frames, per_hundred, plain
from vidstega.lab.users import UsersFile, load_users
from vidstega.lab.verdicts import OLD, Case

REPORT = "analysis_report.md"
FIGURES = "figures"
_PAGES = {REPORT: tables.summary, "details.md": tables.details}


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
    survival, detection = load_survival(where), load_detection(where)
    figures = plots.write_figures(results, users, where / FIGURES, detection)
    pages = render(results, users, [path.stem for path in figures], survival, detection)
    for name, text in zip(_PAGES, pages, strict=True):
        (where / name).write_text(text, encoding="utf-8", newline="\n")
    return where / REPORT


def render(
    results: Results,
    users: UsersFile | None = None,
    figures: list[str] | None = None,
    survival: SurvivalFile | None = None,
    detection: DetectionFile | None = None,
) -> tuple[str, ...]:
    """The report and its details as Markdown, with the figures of these names."""
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    maker = Environment(loader=templates, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    maker.filters.update(plain=plain, amount=amount, bytes=bytes_, frames=frames, per_hundred=per_hundred)
    case = Case(results, users)
    maker.globals.update(case=case, e=results.experiment, data=users, figures=figures or [], OLD=OLD)
    maker.globals.update(survival=None if results.own else survival)
    maker.globals.update(detection=None if results.own else detection)
    pages = [maker.get_template(f"{name}.j2").render(context(case)) for name, context in _PAGES.items()]
    return tuple(re.sub(r"\s*\n(\s*\n)+", "\n\n", page).strip() + "\n" for page in pages)


def as_markdown(report: str | os.PathLike[str]) -> str:
    """A report's Markdown with its figures inside, as data URIs, for a notebook."""
    path = Path(report)
    text = path.read_text(encoding="utf-8")
    for figure in sorted((path.parent / FIGURES).glob("*.png")):
        data = base64.b64encode(figure.read_bytes()).decode()
        text = text.replace(f"({FIGURES}/{figure.name})", f"(data:image/png;base64,{data})")
    return text

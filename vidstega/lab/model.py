"""Typed records: what a file may say, in which unit, and one line about what is wrong with it."""

from __future__ import annotations

import difflib
import reprlib
import typing
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vidstega.errors import InputError, VidstegaError


class Model(BaseModel):
    """A record of which every field is known; NaN and infinities are no numbers here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


M = TypeVar("M", bound=Model)


def field(meaning: str, unit: str = "", **options: Any) -> Any:
    """A field of a record with its meaning and its unit."""
    return Field(description=meaning, json_schema_extra={"unit": unit}, **options)


def figure(meaning: str, unit: str = "") -> Any:
    """A field that is null where it does not apply or was not reached."""
    return field(meaning, unit, default=None)


def unit_of(model: type[Model], name: str) -> str:
    """The unit of a field, such as "s" or "MiB"."""
    extra = model.model_fields[name].json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def parse(model: type[M], text: str | bytes, where: str, error: type[VidstegaError] = InputError) -> M:
    """The record that JSON text holds.

    Raises
    ------
    VidstegaError
        Of the kind `error`, in one line: where, the key, what was given, what would do.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as found:
        raise error(f"{where}{_one_line(model, found)}") from None


def load_beside(model: type[M], path: Path, script: str) -> M | None:
    """The record in a file beside the results, which `script` measures; None if it was not measured.

    Raises InputError in one line if it is torn.
    """
    if not path.exists():
        return None
    try:
        return parse(model, path.read_bytes(), str(path))
    except InputError as error:
        raise InputError(f"{error}; measure again with {script}, or remove it") from None


def _one_line(model: type[Model], found: ValidationError) -> str:
    order = lambda one: (one["loc"] != ("schema",), one["type"] != "extra_forbidden")  # noqa: E731
    first = min(found.errors(include_url=False), key=order)
    path = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return f" is not JSON: {message.removeprefix('Invalid JSON: ')}"
    if first["type"] == "missing":
        return f": {_named(path[:-1])}lacks {path[-1]!r}"
    if first["type"] == "extra_forbidden":
        return f": {_named(path[:-1])}unknown key {path[-1]!r}; {_instead(model, path)}"
    given = reprlib.repr(first["input"])
    return f": {'.'.join(path) or 'it'} = {given}; {message[:1].lower()}{message[1:]}"


def _named(path: list[str]) -> str:
    return f"[{'.'.join(path)}] " if path else ""


def _instead(model: type[Model], path: list[str]) -> str:
    for part in path[:-1]:
        if part in model.model_fields:
            model = next(_models_in(model.model_fields[part].annotation), model)
    close = difflib.get_close_matches(path[-1], model.model_fields, 1)
    return f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(model.model_fields)}"


def _models_in(annotation: Any) -> typing.Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def docs(model: type[Model]) -> str:
    """A Markdown table of all fields: name, unit, meaning."""
    fields = model.model_fields.items()
    rows = [
        f"| `{info.alias or name}` | {unit_of(model, name)} | {info.description} |" for name, info in fields
    ]
    return "\n".join(["| field | unit | meaning |", "| :-- | :-- | :-- |", *rows])

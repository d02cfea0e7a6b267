"""Records say what is wrong with a file in one line: the key, what was given, what would do."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic")

from vidstega.errors import InputError, ParameterError
from vidstega.lab.model import Model, docs, field, figure, parse, unit_of


class Inner(Model):
    count: int = field("how many", "pieces", ge=1)


class Outer(Model):
    """A record."""

    name: str = field("of the thing")
    inner: tuple[Inner, ...] = field("parts", default=())
    weight: float | None = figure("how heavy", "kg")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": "a", "colour": 1}', "x: unknown key 'colour'; it knows name, inner, weight"),
        ('{"name": "a", "weigth": 1}', "x: unknown key 'weigth'; did you mean 'weight'?"),
        ("{}", "x: lacks 'name'"),
        ('{"name": "a", "inner": [{"count": 1}, {}]}', "x: [inner.1] lacks 'count'"),
        (
            '{"name": "a", "inner": [{"count": 0}]}',
            "x: inner.0.count = 0; input should be greater than or equal to 1",
        ),
        (
            '{"name": "a", "inner": [{"count": true}]}',
            "x: inner.0.count = True; input should be a valid integer",
        ),
        ('{"name": "a", "inner": [{"coumt": 1}]}', "did you mean 'count'?"),
        ('{"name": "a", "weight": NaN}', "x: weight = nan; input should be a finite number"),
        ('{"name": "a', "x is not JSON: "),
        ("[]", "x: it = []; input should be an object"),
    ],
)
def test_what_is_wrong_is_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Outer, text, "x")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_kind_of_error_is_the_callers() -> None:
    with pytest.raises(ParameterError):
        parse(Outer, "{}", "x", ParameterError)


def test_long_values_are_cut() -> None:
    with pytest.raises(InputError) as caught:
        parse(Outer, '{"name": [' + "1," * 500 + "1]}", "x")
    assert len(str(caught.value)) < 160


def test_a_good_record_is_frozen() -> None:
    one = parse(Outer, '{"name": "a", "inner": [{"count": 2}], "weight": 3}', "x")
    assert (one.inner[0].count, one.weight) == (2, 3.0)
    with pytest.raises(ValueError, match="frozen"):
        one.name = "b"  # type: ignore[misc]


def test_the_table_of_fields() -> None:
    assert unit_of(Outer, "weight") == "kg"
    assert docs(Outer).splitlines()[2:] == [
        "| `name` |  | of the thing |",
        "| `inner` |  | parts |",
        "| `weight` | kg | how heavy |",
    ]

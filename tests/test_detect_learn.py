"""The linear detector: it finds what is there on groups it did not see, nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from vidstega.lab.detect.learn import errors, folds, scores


def made(shift: float, groups: int = 12, each: int = 10, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Features with a level of each group's own, and a shift of stegos in three of thirty."""
    random = np.random.default_rng(seed)
    of = np.tile(np.repeat(np.arange(groups), each), 2)
    stego = np.arange(len(of)) >= groups * each
    x = random.normal(5, 0.5, (groups, 30))[of] + random.normal(0, 0.5, (len(of), 30))
    x[stego, :3] += shift
    return np.square(np.maximum(x, 0)), stego, of


def test_a_shift_is_found_and_none_is_not() -> None:
    x, stego, groups = made(3.0)
    told = errors(scores(x, stego, groups, (3, 27)), stego, groups)
    assert told.p_e < 0.05 and told.auc > 0.98 and told.low <= told.p_e <= told.high
    assert told.roc[0] <= told.roc[-1] == 1 and len(told.roc) == 33
    x, stego, groups = made(0.0)
    told = errors(scores(x, stego, groups, (3, 27)), stego, groups)
    assert 0.38 < told.p_e < 0.62 and told.high > 0.5 and told.best <= told.p_e


def test_what_marks_groups_alone_is_worth_nothing() -> None:
    groups, found = np.repeat(np.arange(30), 4), []
    for seed in range(8):
        random = np.random.default_rng(seed)
        stego = np.repeat(random.permutation(30) < 15, 4)  # whole groups: their level would tell all
        x = random.random((30, 12))[groups] + 0.01 * random.random((120, 12))
        found.append(errors(scores(x, stego, groups, (12,)), stego, groups).p_e)
    assert np.mean(found) > 0.42


def test_groups_are_never_on_both_sides() -> None:
    groups = np.repeat(np.arange(11), 3)
    tried = []
    for train, test in folds(groups, 7, seed=1):
        assert not set(groups[train]) & set(groups[test])
        tried += test.tolist()
    assert sorted(tried) == list(range(33))


def test_errors_are_those_of_the_definition() -> None:
    found = np.array([-1.0, 1, -1, -1, 1, 1, -1, 1])  # one false alarm and one miss of four each
    stego = np.arange(8) >= 4
    told = errors(found, stego, np.tile([0, 1, 2, 3], 2))
    assert told.p_e == pytest.approx(0.25) and told.best == pytest.approx(0.25)
    assert told.auc == pytest.approx(0.75)

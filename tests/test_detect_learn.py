"""The linear detector: it finds what is there on groups it did not see, nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from vidstega.lab.detect.learn import Ridge, counted, difference, errors, folds, scores, scores_at


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


def test_a_detector_trained_at_one_rate_is_tried_at_all() -> None:
    x, stego, groups = made(3.0)
    covers, of = x[~stego], groups[~stego]
    stegos = {3: x[stego], 0: made(0.0, seed=1)[0][stego]}
    found = scores_at(covers, stegos, of, (3, 27), folds(of, 7, 0))
    assert list(found) == [(3, 3), (3, 0), (0, 3), (0, 0)]
    assert np.allclose(found[3, 3], scores(x, stego, groups, (3, 27)))
    assert (found[3, 3][:120] == found[3, 0][:120]).all(), "covers do not depend on what is tried"
    assert errors(found[3, 0], stego, groups).p_e > 0.4 > 0.05 > errors(found[3, 3], stego, groups).p_e


def test_differences_are_paired() -> None:
    random, groups = np.random.default_rng(0), np.tile(np.repeat(np.arange(20), 6), 2)
    stego, hard = np.arange(240) >= 120, np.repeat(random.random(20) < 0.5, 6)
    right = np.where(np.tile(hard, 2), random.random(240) < 0.5, True)
    worse = right & ~(np.arange(240) % 6 == 0)  # one more of each six goes wrong in every group
    one, other = (counted(np.where(ok == stego, 1.0, -1.0), stego, groups) for ok in (worse, right))
    more, low, high = difference(one, other)
    alone = errors(np.where(right == stego, 1.0, -1.0), stego, groups)
    assert 0 < low <= more <= high <= 1 / 6 + 1e-9 and high - low < (alone.high - alone.low) / 2
    assert difference(one, one) == (0, 0, 0)


def test_the_strength_is_what_leaving_groups_out_says() -> None:
    x, stego, groups = made(1.5, each=4)
    noise = np.random.default_rng(2).random((len(x), 150))  # wide: more features than samples
    for some, families in ((x, (3, 27)), (np.concatenate([x, noise], axis=1), (30, 150))):
        told = Ridge.trained(some, stego, groups, families)
        say = np.repeat(np.sqrt(1 / np.array(families)), families)
        scaled = np.clip((np.sqrt(some) - told.mean) / told.spread, -8, 8) * say
        target, wrong = np.where(stego, 1.0, -1.0), {}
        for strength in 10.0 ** np.arange(-2, 5):
            inner = lambda a, s=strength: a.T @ a + s * np.eye(a.shape[1])  # noqa: E731
            wrong[strength] = 0
            for group in np.unique(groups):
                out = groups == group
                weights = np.linalg.solve(inner(scaled[~out]), scaled[~out].T @ target[~out])
                wrong[strength] += ((scaled[out] @ weights > 0) != stego[out]).sum()
        best = max(strength for strength in wrong if wrong[strength] == min(wrong.values()))
        weights = np.linalg.solve(inner(scaled, best), scaled.T @ target)
        assert np.allclose(told.scores(some), scaled @ weights)

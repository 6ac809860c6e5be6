"""Calibration mends what is wrong with probabilities, and looks at nothing later."""

from __future__ import annotations

import numpy as np

from models.calibrate import calibrate_forward, combine_rows, fit_calibration
from models.reliability import calibration_error, chance_calibration_error, log_loss
from models.splits import Fold
from online.domain.signal import Calibration


def draw(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return honest probabilities and what came of them."""
    random = np.random.default_rng(seed)
    honest = random.dirichlet([4.0, 2.0, 4.0], n_rows)
    drawn = random.random(n_rows)[:, None] > np.cumsum(honest, axis=1)
    return honest.astype(np.float32), drawn.sum(axis=1).astype(np.int64)


def test_overconfident_probabilities_are_mended() -> None:
    honest, classes = draw(6000, 1)
    loud = honest.astype(np.float64) ** 3
    loud = (loud / loud.sum(axis=1, keepdims=True)).astype(np.float32)
    fitted = fit_calibration(loud[:3000], classes[:3000])
    mended = combine_rows([loud[3000:]], (fitted,), (1.0,))
    raw = loud[3000:].astype(np.float64)
    assert calibration_error(mended, classes[3000:]) < calibration_error(raw, classes[3000:]) / 2
    assert log_loss(mended, classes[3000:]) < log_loss(raw, classes[3000:])
    assert max(fitted.weights) < 0.6


def test_honest_probabilities_are_hardly_changed() -> None:
    honest, classes = draw(6000, 2)
    fitted = fit_calibration(honest, classes)
    mended = combine_rows([honest], (fitted,), (1.0,))
    assert np.abs(mended - honest).max() < 0.1


def test_a_drift_of_the_rows_gives_no_direction_an_edge() -> None:
    honest, classes = draw(4000, 8)
    risen = np.where(classes == 0, np.where(np.arange(4000) % 3 == 0, 2, 0), classes)
    fitted = fit_calibration(honest, risen)
    short, _, long = fitted.apply((0.4, 0.2, 0.4))
    assert (risen == 2).mean() > (risen == 0).mean() + 0.1
    assert short == long
    assert fitted.weights[0] == fitted.weights[2]
    assert fitted.biases[0] == fitted.biases[2]


def test_a_few_rows_change_little() -> None:
    honest, classes = draw(3, 3)
    fitted = fit_calibration(honest, classes)
    assert np.abs(np.array(fitted.weights) - 1.0).max() < 0.2


def test_a_folds_calibration_sees_earlier_folds_alone() -> None:
    honest, classes = draw(900, 4)
    decided = np.arange(900, dtype=np.int64)
    folds = [
        Fold(number, np.arange(0), np.arange(300 * number, 300 * number + 300))
        for number in range(3)
    ]
    known = calibrate_forward(honest, classes, folds, decided, decided + 5)
    assert known[0] == Calibration()
    changed, other = honest.copy(), classes.copy()
    changed[295:], other[295:] = changed[295:][::-1], other[295:][::-1]
    again = calibrate_forward(changed, other, folds, decided, decided + 5)
    assert again[1] == known[1]
    assert again[2] != known[2]


def test_rows_are_combined_as_the_scorer_does() -> None:
    honest, _ = draw(50, 5)
    calibration = Calibration((0.9, 1.1, 1.0), (0.1, 0.0, -0.1))
    rows = combine_rows([honest], (calibration,), (1.0,))
    for row, raw in zip(rows, honest, strict=True):
        short, neither, long = (float(p) for p in raw)
        assert tuple(row) == calibration.apply((short, neither, long))


def test_what_honest_probabilities_show_is_chance() -> None:
    honest, classes = draw(2000, 6)
    wide = honest.astype(np.float64)
    chance = chance_calibration_error(wide, 7)
    assert abs(calibration_error(wide, classes) - chance) < 0.4 * chance
    assert calibration_error(wide[:, [2, 1, 0]], classes) > 3.0 * chance

"""The file of instruments: every entry sound, every fault named."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.domain.errors import InvalidSettings, NotFound
from online.instruments import find_instrument, load_instruments

pytestmark = pytest.mark.lean


def test_every_known_instrument_is_tradable() -> None:
    for symbol, instrument in load_instruments().items():
        assert instrument.symbol == symbol
        assert instrument.floor_volume(instrument.volume_min) == instrument.volume_min
        assert instrument.point * instrument.scale == pytest.approx(1.0)


def test_an_unknown_symbol_is_told_what_exists() -> None:
    with pytest.raises(NotFound, match="EURUSD") as caught:
        find_instrument("NOSUCH")
    assert caught.value.code == "UNKNOWN_SYMBOL"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("= no", "not TOML"),
        ('[EURUSD]\nbase_currency = "EUR"', "EURUSD"),
        ('[EURUSD]\nbase_currency = 1\nprofit_currency = "USD"', "EURUSD"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=named):
        load_instruments(path)


def test_a_misspelt_key_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "instruments.toml"
    path.write_text("[EURUSD]\nswap_longpoints = -3.8\n")
    with pytest.raises(InvalidSettings, match="unknown key swap_longpoints: expected one of"):
        load_instruments(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_instruments(tmp_path / "absent.toml")

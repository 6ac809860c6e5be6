"""Limits of one symbol: its own where it has one, told, checked and journaled as the others."""

from __future__ import annotations

import math

import msgspec
import pytest

from online.domain.circumstances import judge_quote
from online.domain.errors import InvalidSettings
from online.domain.limits import Limits
from online.domain.market import Quote
from online.domain.record import LimitsRecord, decode_record, encode_record
from online.domain.risk import judge_order
from online.domain.sizing import size_entry
from online.domain.symbol_limits import SymbolLimits
from online.instruments import load_instruments
from online.settings import load_settings
from tests.fakes import (
    BAR_NS,
    EURUSD,
    INSTRUMENTS,
    make_account,
    make_facts,
    make_intent,
    make_limits,
    make_quote,
)

pytestmark = pytest.mark.lean
KNOWN = load_instruments()
GOLD = KNOWN["XAUUSD"]
MODES = ("replay", "paper", "live")
NAMES = SymbolLimits.__struct_fields__


def own(symbol: str = "EURUSD", **stated: float) -> Limits:
    """Return limits of which one symbol has some of its own."""
    return make_limits(symbols={symbol: SymbolLimits(**stated)})  # type: ignore[arg-type]


def vetoes_of(limits: Limits) -> dict[str, str]:
    """Return what refuses a sound order of EURUSD, with each detail."""
    judged = judge_order(make_intent(), make_facts(), INSTRUMENTS, limits)
    return {veto.reason.value: veto.detail for veto in judged}


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ({"max_volume_lots": 0.01}, "VOLUME_ABOVE_LIMIT"),
        ({"max_notional": 1.0}, "NOTIONAL_ABOVE_LIMIT"),
        ({"max_symbol_notional": 1.0}, "SYMBOL_EXPOSURE_ABOVE_LIMIT"),
        ({"max_spread_points": 1.0}, "SPREAD_TOO_WIDE"),
        ({"max_spread_ratio": 0.1}, "SPREAD_TOO_WIDE"),
    ],
)
def test_a_limit_of_its_own_refuses_where_the_common_one_would_not(
    stated: dict[str, float], code: str
) -> None:
    assert vetoes_of(make_limits()) == {}
    assert set(vetoes_of(own("EURUSD", **stated))) == {code}
    assert vetoes_of(own("USDJPY", **stated)) == {}


def test_a_stale_quote_is_judged_by_the_symbols_own_age() -> None:
    late_ns = BAR_NS + 2_000_000_000
    strict = own(max_quote_age_milliseconds=1_000)
    assert judge_quote(make_quote(), EURUSD, make_limits(), late_ns) == ()
    assert "1000 ms" in judge_quote(make_quote(), EURUSD, strict, late_ns)[0].detail


def test_a_collar_of_its_own_lets_through_what_the_common_one_refuses() -> None:
    away = make_intent(quoted=1.1003)
    facts = make_facts(quote=make_quote(1.1000, 1.1001))
    common = judge_order(away, facts, INSTRUMENTS, make_limits(price_collar_points=10.0))
    assert [veto.reason.value for veto in common] == ["PRICE_COLLAR"]
    assert judge_order(away, facts, INSTRUMENTS, own(price_collar_points=25.0)) == ()


def test_an_order_is_sized_within_the_symbols_own_volume() -> None:
    account = make_account()
    common = size_entry(account, 1.1, 1.0995, EURUSD, make_limits(), {})
    narrow = size_entry(account, 1.1, 1.0995, EURUSD, own(max_volume_lots=0.25), {})
    assert common is not None
    assert narrow is not None
    assert (common.volume_lots, narrow.volume_lots) == (1.0, 0.25)


def test_a_symbol_that_states_one_limit_keeps_the_others_in_common() -> None:
    bounds = own(max_volume_lots=0.2).of("EURUSD")
    assert bounds.max_volume_lots == 0.2
    assert bounds.max_spread_points == make_limits().max_spread_points
    changed = msgspec.structs.replace(own(max_volume_lots=0.2), max_spread_points=7.0)
    assert changed.of("EURUSD").max_spread_points == 7.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 1e18])
def test_a_symbols_limit_that_limits_nothing_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidSettings, match=name):
        SymbolLimits(**{name: value})  # type: ignore[arg-type]


def load(**variables: str) -> Limits:
    """Return the limits of mode paper with some variables of `limits.symbols`."""
    told = {f"SEXTANT_LIMITS__{name.upper()}": value for name, value in variables.items()}
    return load_settings("paper", environment=told).limits


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("symbols__xauusd__max_spread_point", "700", "max_spread_point"),
        ("symbols__xauusd__max_spread_points", "-1", "max_spread_points"),
        ("symbols__xauusd__max_spread_points", "many", "max_spread_points"),
        ("symbols__xauusx__max_spread_points", "700", "xauusx"),
        ("symbols__xauusd", "700", "symbols"),
        ("allowed_symbols", '["EURUSX"]', "EURUSX"),
    ],
)
def test_a_wrong_limit_of_a_symbol_is_refused_and_named(
    variable: str, value: str, named: str
) -> None:
    with pytest.raises(InvalidSettings, match=named):
        load(**{variable: value})


def test_a_variable_changes_one_limit_of_a_symbol_and_leaves_the_file_its_others() -> None:
    bounds = load(symbols__xauusd__max_spread_points="777").of("XAUUSD")
    assert bounds.max_spread_points == 777.0
    assert bounds.price_collar_points == load().of("XAUUSD").price_collar_points


def test_a_spread_limit_that_would_refuse_every_usual_spread_does_not_start() -> None:
    limits = make_limits(allowed_symbols=("EURUSD", "XAUUSD"))
    with pytest.raises(InvalidSettings, match=r"XAUUSD usually has a spread of 300 points"):
        limits.check_symbols(KNOWN)
    gold = SymbolLimits(max_spread_points=600.0)
    msgspec.structs.replace(limits, symbols={"XAUUSD": gold}).check_symbols(KNOWN)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("symbol", sorted(KNOWN))
def test_the_limits_of_every_mode_let_every_symbol_be_traded_at_its_usual_spread(
    mode: str, symbol: str
) -> None:
    limits, instrument = load_settings(mode, environment={}).limits, KNOWN[symbol]
    limits = msgspec.structs.replace(limits, allowed_symbols=(symbol,))
    limits.check_symbols(KNOWN)
    price = 10.0 ** (4 - instrument.digits) * 25.0
    usual = instrument.typical_spread_points * instrument.point
    quote = Quote(symbol, price, price + usual, BAR_NS)
    assert judge_quote(quote, instrument, limits, BAR_NS) == ()
    bounds = limits.of(symbol)
    assert instrument.floor_volume(bounds.max_volume_lots) > 0.0
    assert bounds.price_collar_points >= instrument.typical_spread_points / 2.0


def test_a_change_of_a_symbols_limit_is_told_by_its_path_and_comes_back_from_the_journal() -> None:
    before = make_limits()
    after = msgspec.structs.replace(own("XAUUSD", max_spread_points=600.0), max_volume_lots=0.5)
    record = LimitsRecord(1, after, "file", before)
    assert record.changes == {
        "max_volume_lots": (1.0, 0.5),
        "symbols.XAUUSD.max_spread_points": (None, 600.0),
    }
    assert decode_record(encode_record(record)) == record
    assert LimitsRecord(2, before, "file", after).changes == {
        "max_volume_lots": (0.5, 1.0),
        "symbols.XAUUSD.max_spread_points": (600.0, None),
    }


def test_limits_of_a_version_that_knew_no_symbols_of_their_own_are_read_as_none() -> None:
    told = msgspec.to_builtins(make_limits())
    del told["symbols"]
    record = decode_record(msgspec.json.encode({"type": "limits", "at_ns": 1, "limits": told}))
    assert isinstance(record, LimitsRecord)
    assert record.limits == make_limits()


def test_gold_at_its_usual_spread_passes_by_its_own_limit_alone() -> None:
    quote = Quote("XAUUSD", 1300.0, 1300.3, BAR_NS)
    assert judge_quote(quote, GOLD, make_limits(), BAR_NS)[0].reason.value == "SPREAD_TOO_WIDE"
    assert judge_quote(quote, GOLD, own("XAUUSD", max_spread_points=600.0), BAR_NS) == ()

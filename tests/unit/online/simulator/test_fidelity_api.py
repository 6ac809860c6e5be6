"""Fidelity of the API: cases 1 to 13."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from online.domain.daylight import DaylightSaving
from online.simulator import constants, info_tuples, mt5, trade_tuples
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rates import RATES_DTYPE, TICKS_DTYPE
from online.simulator.rules import AccountRules
from online.simulator.server_time import ServerTime
from tests.conftest import REPOSITORY
from tests.unit.online.simulator.world import BUY, MONDAY, World

HOUR = 3_600
NEW_YORK_CLOSE = ServerTime(2, DaylightSaving.AMERICA)
ATHENS = ServerTime(2, DaylightSaving.EUROPE)
TUPLES = (
    *("TradePosition", "TradeOrder", "TradeDeal", "OrderSendResult", "TradeRequest"),
    *("OrderCheckResult", "Tick", "TerminalInfo", "SymbolInfo", "AccountInfo", "BookInfo"),
)


@pytest.fixture(scope="module")
def inventory() -> dict[str, Any]:
    path = REPOSITORY.parent / "shared" / "reference" / "mt5_api.json"
    if not path.is_file():
        pytest.skip("the package's inventory is absent: expected ../shared/reference/mt5_api.json")
    return dict(json.loads(path.read_text()))


@pytest.fixture
def world() -> World:
    return World()


def test_functions_and_constants_are_those_of_the_package(inventory: dict[str, Any]) -> None:
    """Fidelity case 1."""
    for function in inventory["functions"]:
        assert callable(getattr(mt5, function["name"]))
    stated = {c["name"]: c["value"] for group in inventory["constants"].values() for c in group}
    assert len(stated) == inventory["counts"]["constants"]
    assert {name: getattr(mt5, name) for name in stated} == stated


@pytest.mark.parametrize("name", TUPLES)
def test_tuples_have_the_fields_of_the_package(name: str, inventory: dict[str, Any]) -> None:
    """Fidelity case 1."""
    kind = getattr(mt5, name)
    stated = inventory["named_tuples"][name]["fields"]
    types = {"int": 0, "float": 0.0, "str": "", "bool": False}
    assert list(kind._fields) == [field["name"] for field in stated]
    for field in stated:
        default = kind._field_defaults[field["name"]]
        expected = types.get(field["type"].split("(")[0], trade_tuples.TradeRequest())
        assert type(default) is type(expected), field
    assert list(kind()._asdict()) == list(kind._fields)


@pytest.mark.parametrize("module", [info_tuples, trade_tuples])
def test_no_tuple_is_missing_from_the_check(module: ModuleType) -> None:
    made = {name for name, kind in vars(module).items() if hasattr(kind, "_fields")}
    assert made <= set(TUPLES)


def test_arrays_are_packed_as_in_the_package(inventory: dict[str, Any]) -> None:
    """Fidelity case 2."""
    for dtype, name in ((RATES_DTYPE, "rates"), (TICKS_DTYPE, "ticks")):
        stated = inventory["numpy_dtypes"][name]
        assert dtype.itemsize == stated["itemsize"] == 60
        for field, kind, offset in stated["fields"]:
            assert dtype.fields is not None
            assert dtype.fields[field] == (np.dtype(kind), offset)


def test_arrays_are_told_oldest_first(world: World) -> None:
    """Fidelity case 2."""
    world.quote(1.2, 1.2001, 120)
    world.quote(1.3, 1.3001, 180)
    rates = world.mt5.copy_rates_from_pos("EURUSD", constants.TIMEFRAME_M1, 0, 10)
    ticks = world.mt5.copy_ticks_from("EURUSD", MONDAY, 10, constants.COPY_TICKS_ALL)
    assert rates is not None
    assert ticks is not None
    assert rates["close"].tolist() == [1.1, 1.2, 1.3]
    assert ticks["bid"].tolist() == [1.1, 1.2, 1.3]
    assert rates.dtype == RATES_DTYPE
    assert ticks.dtype == TICKS_DTYPE


def test_positions_are_not_asked_for_by_place(world: World) -> None:
    """Fidelity case 3."""
    assert world.mt5.positions_get("EURUSD") is None
    assert world.error == constants.RES_E_INVALID_PARAMS
    assert world.mt5.positions_get(symbol="EURUSD") == ()
    assert world.mt5.orders_get("EURUSD") is None
    assert world.error == constants.RES_E_INVALID_PARAMS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("volume", 1),
        ("price", 1),
        ("sl", np.float32(1.0)),
        ("magic", np.int64(5)),
        ("magic", -1),
        ("deviation", 1.0),
        ("type", True),
        ("comment", b"bytes"),
    ],
)
def test_value_of_another_type_is_not_sent(world: World, field: str, value: object) -> None:
    """Fidelity case 4: an int volume, and its kin."""
    assert world.send(**{field: value}) is None
    assert world.mt5.last_error() == (constants.RES_E_INVALID_PARAMS, f'Invalid "{field}" argument')
    assert world.positions() == ()


def test_numpy_double_is_a_float_and_passes(world: World) -> None:
    assert world.done(volume=np.float64(0.1)).volume == 0.1


def test_comment_of_29_characters_passes_and_of_30_does_not(world: World) -> None:
    """Fidelity case 5."""
    world.done(comment="x" * 29)
    assert world.positions()[0].comment == "x" * 29
    assert world.send(comment="x" * 30) is None
    assert world.error == constants.RES_E_INVALID_PARAMS


def test_unknown_key_is_ignored(world: World) -> None:
    """Fidelity case 6."""
    world.done(colour="red", stop_loss=1.0)
    assert world.positions()[0].sl == 0.0


def test_last_error_is_reset_by_each_call(world: World) -> None:
    """Fidelity case 7."""
    assert world.mt5.symbol_info("NOTHING") is None
    assert world.error == constants.RES_E_NOT_FOUND
    assert world.error == constants.RES_E_NOT_FOUND
    assert world.mt5.symbol_info("EURUSD") is not None
    assert world.mt5.last_error() == (constants.RES_S_OK, "Success")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("positions_get", ()),
        ("account_info", ()),
        ("version", ()),
        ("symbol_info_tick", ("EURUSD",)),
        ("copy_rates_from_pos", ("EURUSD", 1, 0, 1)),
        ("order_send", ({"action": 1, "symbol": "EURUSD", "volume": 0.1},)),
        ("history_deals_get", (0, 1)),
    ],
)
def test_call_before_initialize_has_no_connection(name: str, arguments: tuple[object, ...]) -> None:
    """Fidelity case 8."""
    package = SimulatedMetaTrader5(World().client)
    assert getattr(package, name)(*arguments) is None
    assert package.last_error()[0] == constants.RES_E_INTERNAL_FAIL_CONNECT
    assert package.initialize()
    assert getattr(package, name)(*arguments) is not None


def test_shutdown_ends_the_connection(world: World) -> None:
    """Fidelity case 8."""
    world.mt5.shutdown()
    assert world.mt5.positions_total() is None
    assert world.error == constants.RES_E_INTERNAL_FAIL_CONNECT


def test_terminal_that_is_not_there_and_wrong_password_refuse_to_initialize(world: World) -> None:
    nobody = SimulatedMetaTrader5()
    assert not nobody.initialize()
    assert nobody.last_error()[0] == constants.RES_E_INTERNAL_FAIL_INIT
    world.client.password = "right"  # noqa: S105  # of a simulated account
    assert not world.mt5.initialize(login=world.client.login, password="wrong")  # noqa: S106
    assert world.error == constants.RES_E_AUTH_FAILED
    assert world.mt5.initialize(login=world.client.login, password="right")  # noqa: S106


def test_module_is_one_package_for_the_process(world: World) -> None:
    mt5.attach(world.client)
    try:
        assert mt5.initialize()
        assert mt5.symbol_info_tick("EURUSD") == world.mt5.symbol_info_tick("EURUSD")
    finally:
        mt5.shutdown()
        mt5.attach(None)


def test_nothing_is_an_empty_tuple_and_an_error_is_none(world: World) -> None:
    """Fidelity case 9."""
    assert world.mt5.positions_get() == ()
    assert world.mt5.positions_get(ticket=5) == ()
    assert world.mt5.orders_get() == ()
    assert world.mt5.history_orders_get(0, MONDAY) == ()
    assert world.mt5.history_deals_get(position=5) == ()
    assert world.error == constants.RES_S_OK
    assert world.mt5.positions_get(colour="red") is None
    assert world.mt5.history_deals_get() is None
    assert world.error == constants.RES_E_INVALID_PARAMS


def test_groups_filter_symbols(world: World) -> None:
    symbols = world.mt5.symbols_get("*USD*, !*JPY")
    assert symbols is not None
    assert [symbol.name for symbol in symbols] == ["EURUSD", "GBPUSD"]
    world.done()
    assert len(world.mt5.positions_get(group="EUR*") or ()) == 1
    assert world.mt5.positions_get(group="GBP*") == ()


def test_server_offset_is_on_ticks_bars_positions_and_deals() -> None:
    """Fidelity case 10."""
    world = World(account=AccountRules(zone=NEW_YORK_CLOSE))
    sent = world.done()
    shown = MONDAY + 2 * HOUR
    tick = world.mt5.symbol_info_tick("EURUSD")
    rates = world.mt5.copy_rates_from_pos("EURUSD", constants.TIMEFRAME_H1, 0, 1)
    deals = world.mt5.history_deals_get(ticket=sent.order)
    assert tick is not None
    assert rates is not None
    assert deals is not None
    assert (tick.time, tick.time_msc) == (shown, shown * 1_000)
    assert rates["time"][0] == shown
    assert deals[0].time == world.positions()[0].time == shown
    assert world.mt5.history_deals_get(shown, shown) == deals
    assert world.mt5.history_deals_get(MONDAY, MONDAY) == ()


@pytest.mark.parametrize(
    ("zone", "before_utc", "change"),
    [
        (NEW_YORK_CLOSE, datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC), HOUR),
        (NEW_YORK_CLOSE, datetime(2026, 11, 1, 5, 59, 59, tzinfo=UTC), -HOUR),
        (ATHENS, datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), HOUR),
        (
            ServerTime(2, DaylightSaving.EUROPE),
            datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),
            -HOUR,
        ),
        (ServerTime(2), datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC), 0),
    ],
)
def test_server_offset_changes_on_the_day_of_the_rule(
    zone: ServerTime, before_utc: datetime, change: int
) -> None:
    """Fidelity case 11."""
    start = int(before_utc.timestamp()) - MONDAY
    recorded = [(start, 1.1, 1.1), (start + 1, 1.1, 1.1)]
    world = World(account=AccountRules(zone=zone), tape={"EURUSD": recorded})
    assert world.client.tape is not None
    world.client.tape.play(2)
    ticks = world.mt5.copy_ticks_range("EURUSD", 0, 2_000_000_000, constants.COPY_TICKS_ALL)
    assert ticks is not None
    assert np.diff(ticks["time"]).tolist() == [1 + change]
    assert zone.to_server_ns(zone.to_utc_ns(10**18)) == 10**18


def test_bar_at_place_0_is_still_forming(world: World) -> None:
    """Fidelity case 12."""
    world.quote(1.15, 1.1502, 30)
    world.quote(1.12, 1.1202, 61)
    world.quote(1.13, 1.1303, 62)
    minute = constants.TIMEFRAME_M1
    forming = world.mt5.copy_rates_from_pos("EURUSD", minute, 0, 1)
    closed = world.mt5.copy_rates_from_pos("EURUSD", minute, 1, 1)
    assert forming is not None
    assert closed is not None
    assert closed[0].tolist() == (MONDAY, 1.1, 1.15, 1.1, 1.15, 2, 20, 0)
    assert forming[0].tolist() == (MONDAY + 60, 1.12, 1.13, 1.12, 1.13, 2, 20, 0)
    world.quote(1.14, 1.1402, 63)
    again = world.mt5.copy_rates_from_pos("EURUSD", minute, 1, 1)
    assert again is not None
    assert again.tolist() == closed.tolist()


@pytest.mark.parametrize("timeframe", ["W1", "MN1", "D1", "H4", "M5"])
def test_bars_open_on_the_grid_of_their_timeframe(world: World, timeframe: str) -> None:
    world.quote(1.1, 1.1002, 40 * 86_400)
    bars = world.mt5.copy_rates_range(
        "EURUSD", getattr(constants, f"TIMEFRAME_{timeframe}"), 0, 2_000_000_000
    )
    assert bars is not None
    first, last = (datetime.fromtimestamp(int(t), tz=UTC) for t in bars["time"][[0, -1]])
    expected = {
        "W1": (datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC)),
        "MN1": (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        "D1": (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 12, 26, tzinfo=UTC)),
        "H4": (datetime(2026, 11, 16, 8, tzinfo=UTC), datetime(2026, 12, 26, 8, tzinfo=UTC)),
        "M5": (datetime(2026, 11, 16, 10, tzinfo=UTC), datetime(2026, 12, 26, 10, tzinfo=UTC)),
    }
    assert (first, last) == expected[timeframe]


def test_date_of_ticks_loses_its_part_of_a_second(world: World) -> None:
    """Fidelity case 13."""
    world.quote(1.2, 1.2002, 5.2)
    world.quote(1.3, 1.3002, 5.7)
    late = datetime.fromtimestamp(MONDAY + 5.5, tz=UTC)
    ticks = world.mt5.copy_ticks_from("EURUSD", late, 10, constants.COPY_TICKS_ALL)
    assert ticks is not None
    assert ticks["bid"].tolist() == [1.2, 1.3]
    assert ticks["time_msc"].tolist() == [(MONDAY + 5) * 1_000 + 200, (MONDAY + 5) * 1_000 + 700]


def test_order_fields_are_taken_by_keyword_too(world: World) -> None:
    sent = world.mt5.order_send(
        action=constants.TRADE_ACTION_DEAL,
        symbol="EURUSD",
        volume=0.1,
        type=BUY,
        type_filling=constants.ORDER_FILLING_IOC,
    )
    assert sent is not None
    assert sent.retcode == constants.TRADE_RETCODE_DONE
    assert world.mt5.order_send([("action", 1)]) is None  # type: ignore[arg-type]  # wrong on purpose
    assert world.error == constants.RES_E_INVALID_PARAMS

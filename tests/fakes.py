"""Fakes behind Sextant's own ports, and small valid facts to start from."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from typing import Any

import msgspec

from online.domain.account import Account, Position
from online.domain.barriers import BarrierRule
from online.domain.decision import HOLD, Decision
from online.domain.errors import JournalUnavailable, Unavailable
from online.domain.limits import Limits
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from online.domain.market import Instrument, PriceSide, Quote, Timeframe
from online.domain.news import Impact
from online.domain.order import Intent, Purpose
from online.domain.record import DecisionRecord, Record, Request
from online.domain.risk_facts import RiskFacts, RiskState
from online.domain.signal import Calibration, MemberOutput, Probabilities
from online.domain.trading_state import TradingState
from online.domain.transform import Held, combine_digests
from online.domain.vector import VectorContract, VectorReading, ViewContract
from online.domain.window import WindowContract

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
BAR_NS = 1_507_000_000_000_000_000 // HOUR_NS * HOUR_NS
"""Close of a bar in October 2017, nanoseconds UTC."""

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, typical_spread_points=10.0)
USDJPY = Instrument("USDJPY", "USD", "JPY", 3, 100_000.0, typical_spread_points=10.0)
CADCHF = Instrument("CADCHF", "CAD", "CHF", 5, 100_000.0, typical_spread_points=20.0)
INSTRUMENTS = {"EURUSD": EURUSD, "USDJPY": USDJPY, "CADCHF": CADCHF}
LONG: Probabilities = (0.1, 0.2, 0.7)
SHORT: Probabilities = (0.7, 0.2, 0.1)
FLAT: Probabilities = (0.3, 0.4, 0.3)


def make_limits(**changes: Any) -> Limits:  # noqa: ANN401 - any field of the limits
    """Return limits that let a small EURUSD order through, with some of them changed."""
    limits = Limits(
        allowed_symbols=("EURUSD",),
        allowed_models=("*",),
        risk_per_trade_fraction=0.01,
        max_volume_lots=1.0,
        max_notional=150_000.0,
        max_symbol_notional=150_000.0,
        max_currency_notional=150_000.0,
        max_gross_notional=150_000.0,
        min_margin_level_percent=100.0,
        max_spread_points=30.0,
        max_spread_ratio=10.0,
        price_collar_points=10.0,
        price_collar_units=1_000.0,
        max_quote_age_milliseconds=60_000,
        max_rate_age_milliseconds=60_000,
        max_clock_skew_milliseconds=86_400_000,
        max_signal_age_seconds=604_800,
        max_daily_loss_fraction=0.05,
        max_drawdown_fraction=0.2,
        max_consecutive_losses=100,
        max_orders_per_window=100,
        order_window_seconds=3600,
        max_closes_per_window=100,
        max_repeats_per_window=100,
        repeat_window_seconds=3600,
        duplicate_window_seconds=1,
        no_entry_before_weekend_hours=0.0,
        flatten_before_weekend_hours=0.0,
        news_impact=Impact.HIGH,
    )
    return msgspec.structs.replace(limits, **changes)


TRANSFORM = "made for tests"
"""The digest of every feature of the tests."""


def make_contract() -> VectorContract:
    """Return a vector of two views and four features, ``atr_14`` the last of the first view."""
    return VectorContract(
        (
            ViewContract("h1_momentum", 1, ("rsi_14", "return_1", "atr_14"), 7_200),
            ViewContract("h1_clock", 1, ("hour_sin",), 7_200),
        )
    )


def make_manifest(members: tuple[Member, ...] = (), **changes: Any) -> Manifest:  # noqa: ANN401
    """Return a manifest of EURUSD on hours, with some fields changed."""
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        symbol="EURUSD",
        timeframe=Timeframe.H1,
        target="barrier",
        vector=make_contract(),
        transform_fingerprint="",
        barriers=BarrierRule(1.0, 2.0, 6, Timeframe.H1),
        price_side=PriceSide.ASK,
        assumed_spread_points=10.0,
        members=(Member("only", "fake", "only.onnx", "0" * 64, 1.0, Calibration()),),
        min_edge=0.1,
        training=Training(0, BAR_NS - HOUR_NS, 1000, "0" * 64, "0.1.0", 1, 1),
    )
    made = msgspec.structs.replace(manifest, members=members or manifest.members, **changes)
    fingerprint = combine_digests(dict.fromkeys(made.vector.all_names, TRANSFORM))
    told = {"transform_fingerprint": fingerprint, **changes}
    return msgspec.structs.replace(made, transform_fingerprint=told["transform_fingerprint"])


def make_reading(
    values: tuple[float | None, ...] = (55.0, 0.0005, 0.00125, 0.5),
    stamps_ns: tuple[int | None, ...] = (BAR_NS, BAR_NS),
) -> VectorReading:
    """Return a reading that suits `make_contract`."""
    return VectorReading(values, stamps_ns)


WINDOW = WindowContract("h1_window_short_3", 1, "packed", 3, ("rsi_14", "hour_sin"), 7_200)
"""Three vectors of two features."""


def make_windowed_contract() -> VectorContract:
    """Return `make_contract` with a window."""
    return msgspec.structs.replace(make_contract(), window=WINDOW)


def make_windowed_reading(bar_ns: int = BAR_NS) -> VectorReading:
    """Return a reading that suits `make_windowed_contract`."""
    packed = struct.pack("<6f", 40.0, -0.25, 50.0, 0.25, 55.0, 0.5)
    return msgspec.structs.replace(
        make_reading(stamps_ns=(bar_ns, bar_ns)), window=packed, window_stamp_ns=bar_ns
    )


def make_quote(bid: float = 1.10000, ask: float = 1.10010, at_ns: int = BAR_NS) -> Quote:
    """Return a quote of EURUSD, ten points wide."""
    return Quote("EURUSD", bid, ask, at_ns)


def make_account(equity: float = 10_000.0, currency: str = "USD") -> Account:
    """Return a flat account."""
    return Account(currency, equity, equity, 0.0, 100.0)


def make_position(**changes: Any) -> Position:  # noqa: ANN401 - any field of a position
    """Return a small long position in EURUSD."""
    position = Position(
        ticket=9,
        magic=0,
        symbol="EURUSD",
        side=EURUSD_LONG.side,
        volume_lots=0.1,
        opened_price=1.1,
        opened_at_ns=BAR_NS,
        stop=1.09,
        target=1.12,
    )
    return msgspec.structs.replace(position, **changes)


def make_state(**changes: Any) -> RiskState:  # noqa: ANN401 - any field of the state
    """Return the state of a calm account, with some fields changed."""
    state = RiskState(
        trading=TradingState.ACTIVE,
        halted="",
        loss_latched=False,
        day_start_equity=10_000.0,
        peak_equity=10_000.0,
        losses_in_a_row=0,
        entries_in_window=0,
        closes_in_window=0,
        buys_in_window=0,
        sells_in_window=0,
        recent=(),
        under_way=(),
        unresolved=(),
        foreign_tickets=(),
        reference_price=1.1,
    )
    return msgspec.structs.replace(state, **changes)


def make_decision(number: int, at_ns: int = BAR_NS, **changes: Any) -> DecisionRecord:  # noqa: ANN401 - any field of the record
    """Return the record of a decision that held and knew nothing, with some fields changed."""
    record = DecisionRecord(
        decision_id=f"decision-{number}",
        number=number,
        at_ns=at_ns,
        request=Request("EURUSD", Timeframe.H1, at_ns, send=True),
        model_sha256="f" * 64,
        features=None,
        view_stamps_ns=None,
        quote=None,
        account=None,
        positions=None,
        state=make_state(),
        signal=None,
        decision=Decision(HOLD),
        vetoes=(),
        intent=None,
    )
    return msgspec.structs.replace(record, **changes)


def make_facts(**changes: Any) -> RiskFacts:  # noqa: ANN401 - any field of the facts
    """Return facts on which `make_intent` passes `make_limits`, with some fields changed."""
    facts = RiskFacts(
        now_ns=BAR_NS,
        told_at_ns=BAR_NS,
        signal_at_ns=BAR_NS,
        model_name="EURUSD.H1.barrier",
        model_sha256="a" * 64,
        unit=0.00125,
        quote=make_quote(),
        account=make_account(),
        positions=(),
        orders=(),
        rates=(),
        news=(),
        state=make_state(),
    )
    return msgspec.structs.replace(facts, **changes)


def make_intent(**changes: Any) -> Intent:  # noqa: ANN401 - any field of an intent
    """Return a small entry in EURUSD that suits `make_quote`."""
    return msgspec.structs.replace(EURUSD_LONG, **changes)


EURUSD_LONG = msgspec.convert(
    {
        "intent_id": "EURUSD-H1-20171003T0300Z-entry",
        "magic": 1 << 47 | 1,
        "comment": "sx-1",
        "purpose": Purpose.ENTRY,
        "symbol": "EURUSD",
        "side": "buy",
        "volume_lots": 0.1,
        "stop": 1.0988,
        "target": 1.1025,
        "position": 0,
        "expires_at_ns": BAR_NS + 6 * HOUR_NS,
        "quoted": 1.1001,
    },
    Intent,
)


@dataclass(slots=True)
class FakeClock:
    """A clock that is set."""

    time_ns: int = BAR_NS

    def now_ns(self) -> int:
        return self.time_ns


@dataclass(slots=True)
class FakeFeatures:
    """Feature reader that answers what it is given, or not at all."""

    reading: VectorReading = field(default_factory=make_reading)
    down: bool = False

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        await self.ping()
        return self.reading

    async def read_told(self, symbol: str, contract: VectorContract) -> tuple[VectorReading, Held]:
        return await self.read(symbol, contract), await self.read_transforms(symbol, contract)

    async def read_transforms(
        self,
        symbol: str,  # noqa: ARG002 - the store's
        contract: VectorContract,
    ) -> Held:
        await self.ping()
        return {view.name: dict.fromkeys(view.features, TRANSFORM) for view in contract.views}

    async def ping(self) -> None:
        if self.down:
            raise Unavailable("the store is down")


@dataclass(slots=True)
class FakeModel:
    """Model that answers what it is given."""

    probabilities: Probabilities = LONG
    manifest: Manifest = field(default_factory=make_manifest)
    sha256: str = "a" * 64
    alias: str = "paper"
    scored: list[tuple[float, ...]] = field(default_factory=list)
    windows: list[bytes | None] = field(default_factory=list)

    def score(
        self, values: tuple[float, ...], window: bytes | None = None
    ) -> tuple[MemberOutput, ...]:
        self.scored.append(values)
        self.windows.append(window)
        return (MemberOutput("only", self.probabilities),)


@dataclass(slots=True)
class FakeJournal:
    """Journal that keeps records, or cannot: after `room` records it is full.

    Where there is a `gate`, an append waits until it is opened.
    """

    records: list[Record] = field(default_factory=list)
    room: int = 1_000_000
    gate: asyncio.Event | None = None

    async def append(self, *records: Record, durable: bool = True) -> None:  # noqa: ARG002 - the port's
        if self.gate is not None:
            await self.gate.wait()
        if len(self.records) + len(records) > self.room:
            raise JournalUnavailable("the disk is full")
        self.records += records

"""`sextant explain`: why a decision was taken, in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from online.domain.former import FormerLimitsRecord
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import OrderStatus
from online.domain.reasons import MEANING, Veto
from online.domain.record import DecisionRecord
from pipelines.commands.explain_calls import tell_calls
from pipelines.commands.explain_operation import tell_afterwards
from pipelines.commands.story import Story

ABSENT = "-"


def tell(story: Story) -> Iterator[RenderableType]:
    """Yield the story's paragraphs and tables in the order in which things happened."""
    yield _headline(story)
    yield _model(story)
    yield from _features(story)
    yield _market(story.decision)
    yield from _signal(story)
    yield from _reasons(story.decision)
    yield from _limits(story)
    yield from _order(story)


def _headline(story: Story) -> Text:
    decision, request = story.decision, story.decision.request
    asked = "to trade" if request.send else "to decide only"
    return Text.assemble(
        (f"{decision.decision_id}: {decision.decision.action.upper()}\n", "bold"),
        f"Decision {decision.number} of this journal, taken at {_when(decision.at_ns)}: asked "
        f"{asked} {request.symbol} on the {request.timeframe} bar that closed at "
        f"{_when(request.bar_closed_at_ns)}.",
    )


def _model(story: Story) -> Text:
    model, manifest = story.model, story.manifest
    if model is None:
        return Text(f"Model: bundle {story.decision.model_sha256}, whose record is absent here.")
    if manifest is None:
        return Text(
            f"Model: {model.name} version {model.version} by alias {model.alias}, bundle "
            f"{model.sha256}, whose manifest is of an earlier version."
        )
    training, bits = manifest.training, "bit for bit" if model.bit_equal else "within tolerance"
    return Text(
        f"Model: {model.name} version {model.version} by alias {model.alias}, bundle "
        f"{model.sha256}; its golden vectors were reproduced {bits} on {model.runtime}. Trained "
        f"on {training.n_bars} bars from {_when(training.started_at_ns)} to "
        f"{_when(training.ended_at_ns)}, data {training.data_digest[:12]}, code "
        f"{training.code_version}, {training.n_trials} trial(s)."
    )


def _features(story: Story) -> Iterator[RenderableType]:
    decision, manifest = story.decision, story.manifest
    if decision.features is None or decision.view_stamps_ns is None:
        yield Text("Features: the online store did not answer.")
        return
    table = _table("Features, as the online store held them", "view", "bar", "age", "feature")
    table.add_column("value", justify="right", overflow="fold")
    if manifest is None:
        for number, value in enumerate(decision.features):
            table.add_row(ABSENT, ABSENT, ABSENT, f"feature {number}", _number(value))
        yield table
        return
    values = iter(decision.features)
    for view, stamp_ns in zip(manifest.vector.views, decision.view_stamps_ns, strict=True):
        for name in view.features:
            age = ABSENT if stamp_ns is None else _seconds(decision.at_ns - stamp_ns)
            bar = ABSENT if stamp_ns is None else _when(stamp_ns)
            table.add_row(
                f"{view.name} v{view.version}", bar, age, name, _number(next(values, None))
            )
    yield table
    yield from _window(story)


def _window(story: Story) -> Iterator[RenderableType]:
    decision, manifest = story.decision, story.manifest
    asked = None if manifest is None else manifest.vector.window
    if decision.window is None:
        if asked is not None:
            yield Text(f"Window {asked.view}: none was held.")
        return
    size = f"{len(decision.window)} bytes"
    if asked is not None:
        size += f"; {asked.length} vectors of {len(asked.features)} features were asked for"
    stamp_ns = decision.window_stamp_ns
    bar = ABSENT if stamp_ns is None else _when(stamp_ns)
    digest = sha256(decision.window).hexdigest()[:12]
    name = "" if asked is None else f" {asked.view} v{asked.version}"
    yield Text(f"Window{name}: bar {bar}, {size}; SHA-256 {digest}.")


def _market(decision: DecisionRecord) -> Text:
    quote, account, positions = decision.quote, decision.account, decision.positions
    told = (
        "no quote was told"
        if quote is None
        else f"bid {quote.bid}, ask {quote.ask}, {_seconds(decision.at_ns - quote.at_ns)} old"
    )
    money = (
        "the broker told no account"
        if account is None
        else f"balance {account.balance:.2f}, equity {account.equity:.2f} {account.currency}"
    )
    held = (
        "positions unknown"
        if positions is None
        else "; ".join(f"{p.side} {p.volume_lots} {p.symbol} ({p.ticket})" for p in positions)
        or "no open position"
    )
    return Text(f"Market: {told}. Account: {money}; {held}.{_besides(decision)}")


def _besides(decision: DecisionRecord) -> str:
    """Return what else was told: the broker's clock, conversion rates, news in force."""
    words = ""
    if decision.told_at_ns is not None:
        words += f" The broker's clock was {_seconds(decision.told_at_ns - decision.at_ns)} away."
    if decision.rates:
        rates = ", ".join(f"{rate.symbol} {rate.bid}/{rate.ask}" for rate in decision.rates)
        words += f" Conversion rates: {rates}."
    if decision.news:
        events = "; ".join(f"{event.subject}: {event.name}" for event in decision.news)
        words += f" News in force: {events}."
    return words


def _signal(story: Story) -> Iterator[RenderableType]:
    signal = story.decision.signal
    if signal is None:
        yield Text("Signal: none; nothing was scored.")
        return
    table = _table("Signal: probabilities", "of")
    for column in ("short", "neither", "long"):
        table.add_column(column, justify="right", overflow="fold")
    for member in signal.members:
        table.add_row(f"{member.name}, raw", *(f"{p:.6f}" for p in member.raw))
    table.add_row("calibrated, combined", *(f"{p:.6f}" for p in signal.probabilities))
    yield table
    least = "" if story.manifest is None else f"; traded from {story.manifest.min_edge:.6f} on"
    yield Text(f"Edge {signal.edge:+.6f}, confidence {signal.confidence:.6f}{least}.")
    if signal.missing:
        yield Text(f"Members that gave no output: {', '.join(signal.missing)}.")
    if signal.checks is not None:
        measured = msgspec.structs.asdict(signal.checks)
        said = (f"{name} {value}" for name, value in measured.items() if value is not None)
        yield Text(f"Validators measured: {', '.join(said)}.")


def _reasons(decision: DecisionRecord) -> Iterator[RenderableType]:
    refusals: Iterable[Veto] = (*decision.decision.reasons, *decision.vetoes)
    rows = [(veto.reason, MEANING[veto.reason], veto.detail) for veto in refusals]
    if not rows:
        yield Text("No rule refused.")
        return
    table = _table("Why nothing was entered", "code", "meaning", "measured")
    for reason, meaning, detail in rows:
        table.add_row(str(reason), meaning, detail)
    yield table


def _limits(story: Story) -> Iterator[RenderableType]:
    if story.limits is None:
        yield Text("Limits: their record is absent from this journal.")
        return
    since = f"since {_when(story.limits.at_ns)}" if story.limits.at_ns else "from the start"
    by = f" by {story.limits.by}" if story.limits.by else ""
    title = f"Limits in force {since}{by}, and the book against them"
    table = _table(title, "limit", "value")
    record, decision = story.limits, story.decision
    stated = record.limits
    limits = stated if isinstance(stated, dict) else stated.by_name()
    for name, value in (*limits.items(), *msgspec.structs.asdict(decision.state).items()):
        text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        if name in decision.untold_state:
            text = "not recorded by the version of then"
        table.add_row(name.replace("_", " "), text or "none")
    yield table
    if isinstance(record, FormerLimitsRecord):
        yield Text(f"Limits that did not exist then: {', '.join(record.untold) or 'none'}.")


def _sizing(decision: DecisionRecord) -> Iterator[RenderableType]:
    """Yield why an entry has its volume; nothing where none was sized."""
    sizing, account = decision.sizing, decision.account
    if sizing is None:
        return
    currency = "" if account is None else f" {account.currency}"
    costs = ", ".join(
        f"{name} {'not known, none counted' if cost is None else f'{cost:.2f}'}"
        for name, cost in (
            ("slippage of both fills", sizing.slippage_per_lot),
            ("commission of both sides", sizing.commission_per_lot),
        )
    )
    most = f"limited to {sizing.most_lots:g}, " if sizing.most_lots < sizing.afforded_lots else ""
    yield Text(
        f"Volume: {sizing.budget:.2f}{currency} may be lost at the stop, where a lot loses "
        f"{sizing.loss_per_lot:.2f} (price {sizing.price_per_lot:.2f}, {costs}): "
        f"{sizing.afforded_lots:.4g} lots, {most}{sizing.volume_lots:g} in steps of "
        f"{sizing.step_lots:g} from {sizing.least_lots:g}."
    )


def _order(story: Story) -> Iterator[RenderableType]:
    yield from _sizing(story.decision)
    intent = story.decision.intent
    if intent is None:
        yield Text("Order: none.")
        return
    exits = f", stop {intent.stop}, target {intent.target}" if intent.stop else ""
    until = f", times out at {_when(intent.expires_at_ns)}" if intent.expires_at_ns else ""
    yield Text(
        f"Order {intent.intent_id} (magic {intent.magic}): {intent.purpose}, {intent.side} "
        f"{intent.volume_lots} lots {intent.symbol}, quoted {intent.quoted}{exits}{until}."
    )
    if not story.results:
        asked = story.decision.request.send
        yield Text("Reply: none is recorded." if asked else "It was not sent: decide only.")
    for result in story.results:
        yield from tell_calls(result.calls)
        reply = result.reply
        fill = f", {reply.volume_lots} lots at {reply.price}" if reply.price else ""
        unknown = reply.status is OrderStatus.UNKNOWN
        yield Text(
            f"Reply at {_when(result.at_ns)}: {reply.status}, return code {reply.retcode}{fill}, "
            f"order {reply.order}, deal {reply.deal}, position {reply.position}"
            + (f" ({reply.comment})." if reply.comment else ".")
            + (" It may live at the broker until evidence says otherwise." if unknown else "")
        )
    if story.deals:
        table = _table("Deals", "ticket", "when", "what", "why")
        for column in ("lots", "price", "profit", "commission", "swap"):
            table.add_column(column, justify="right", overflow="fold")
        for record in story.deals:
            deal = record.deal
            table.add_row(
                *(str(deal.ticket), _when(deal.at_ns)),
                *(f"{deal.side} {'in' if deal.entry else 'out'}", deal.reason),
                *(str(deal.volume_lots), str(deal.price)),
                *(f"{deal.profit:.2f}", f"{deal.commission:.2f}", f"{deal.swap:.2f}"),
            )
        yield table
    if story.untold:
        tickets = ", ".join(map(str, story.untold))
        yield Text(
            f"Deal {tickets}: closed by a program, and no reply in this journal names its order. "
            "If the gateway did it (dead-man switch, flatten), `sextant gateway orders` tells why."
        )
    if story.afterwards:
        yield Text("Afterwards:")
    for each in story.afterwards:
        yield tell_afterwards(each)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")  # a digest that is cut proves nothing
    return table


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.9g}"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / NANOSECONDS_PER_SECOND:.3f} s"


def _when(stamp_ns: int) -> str:
    moment = datetime.fromtimestamp(stamp_ns / NANOSECONDS_PER_SECOND, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

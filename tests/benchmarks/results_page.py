"""The page of `tests.benchmarks.results`: tables in Markdown, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.evaluate import COVERAGES
from models.families.build import FAMILIES
from models.families.sequence import SequenceConfig

Row = dict[str, Any]
_WISHED = 0.6
WINDOWED = tuple(k for k, config in FAMILIES.items() if isinstance(config, SequenceConfig))
_HEAD = """# What the families achieved out of sample

Written by `sextant bench results` from real bars (HistData, bid, made of minutes), not by hand.
Nothing was tuned: default settings, default features, one trial a family. R is the distance of the
stop; net means after spread, commission, swap and slippage, which are told for each symbol below.
"""


def render(
    main: Sequence[Row],
    lengths: Sequence[Row],
    others: Sequence[Row],
    targets: Sequence[Row],
) -> str:
    """Return the page.

    Parameters
    ----------
    main, lengths, others, targets
        Rows of EURUSD by the hour, on other timeframes, of other symbols, and on other targets.
    """
    known, long, near, aimed = (
        [row for row in rows if "failed" not in row] for rows in (main, lengths, others, targets)
    )
    parts = [_HEAD, _verdict(known), _costs([*known, *near]), _walked(known)]
    parts += [_traded(known), _shares(_best(known)), _months(_best(known)), _lengths(long)]
    parts += [_accuracy(known), _targets(aimed), _within(near)]
    failed = [row for row in (*main, *lengths, *others, *targets) if "failed" in row]
    if failed:
        parts.append(
            "## Not measured\n\n" + "\n".join(f"- {r['name']}: {r['failed']}" for r in failed)
        )
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _verdict(rows: Sequence[Row]) -> str:
    earned = [row["name"] for row in rows if row["units"] > 0.0]
    held = [row["name"] for row in rows if row["holdout"]["pnl"] > 0.0]
    told = sum(row["log_loss_gain"][0] > 0.0 for row in rows)
    walked = f"earned after costs: {', '.join(earned)}" if earned else "none earned after costs"
    traded = f"{', '.join(held)} earned" if held else "none earned"
    end = "" if earned or held else " It does not pay the costs."
    return (
        f"**In short.** Of {len(rows)} families on EURUSD, walked forward 2014-2017, {walked}; in "
        f"2018, traded once, {traded}. {told} of them know more of the outcome than its base rate "
        f"does (90 % interval of the gain in log loss above zero).{end}"
    )


def _costs(rows: Sequence[Row]) -> str:
    head = ("symbol", "spread", "commission, USD a lot and side", "swap", "slippage")
    seen = {row.get("symbol", "EURUSD"): row for row in rows}
    body = [
        (symbol, row["spread"], f"{row['commission']:g}", row["swap"], row["slippage"])
        for symbol, row in seen.items()
    ]
    return (
        "## What trading cost\n\nQuoted spreads are those of OANDA, 1-15 May 2014, which took no "
        "commission; the account's is charged on top all the same. The swaps are those of one day "
        "in 2020: what interest was in these years moved them. Slippage is assumed: half the usual "
        "spread, always against the trade.\n\n" + _table(head, body)
    )


def _walked(rows: Sequence[Row]) -> str:
    head = (
        *("family", "trades", "net R", "of it commission", "swap", "slippage", "Sharpe"),
        *("hit rate", "at coverage", "gain in log loss", "deflated Sharpe", "coins beaten"),
        *("net R, threshold chosen before", "processor s"),
    )
    body: list[tuple[str, ...]] = [
        (
            *(row["name"], f"{row['trades']:,}", f"{row['units']:+.1f}"),
            *(f"{-row['commission_units']:.1f}", f"{row['swap_units']:.1f}"),
            f"{-row['slippage_units']:.1f}",
            *(f"{row['sharpe']:.2f}", f"{row['hit_rate']:.1%}", f"{row['coverage']:.0%}"),
            f"{row['log_loss_gain'][0]:+.4f} to {row['log_loss_gain'][1]:+.4f}",
            *(f"{row['deflated_sharpe']:.2f}", f"{row['coins_beaten']:.0%}"),
            f"{row['forward_units']:+.1f} ({row['forward_trades']:,})",
            str(row["processor_seconds"]),
        )
        for row in rows
    ]
    for row in rows[:1]:
        blank = ("",) * (len(head) - 3)
        body.append(("rules", f"{row['rules_trades']:,}", f"{row['rules_units']:+.1f}", *blank))
        body.append(("buy and hold", "1", f"{row['hold_units']:+.1f}", *blank))
    means = ", ".join(f"{row['name']} {row['coin_units']:+.1f}" for row in rows)
    absent = [kind for kind in WINDOWED if kind not in {row["name"] for row in rows}]
    left_out = (
        f"\nThe families that read windows ({', '.join(absent)}) were not walked for this page: "
        "`--full` adds them.\n"
    )
    return (
        "## EURUSD H1, 2014-2017, five purged folds\n\n"
        + _table(head, body)
        + (left_out if absent else "")
        + "\nThe least edge to trade is chosen on all folds, which flatters; the last but one "
        "column has thresholds that earlier folds alone would have chosen, the first fold left "
        "out (trades).\n" + f"\nCoins with the same entries, mean net R: {means}.\n"
    )


def _traded(rows: Sequence[Row]) -> str:
    head = ("run", "trades", "net USD", "won", "deepest fall", "Sharpe")
    body = [_run(row["name"], row["holdout"]) for row in rows]
    for row in rows[:1]:
        body.append(_run("rules", row["holdout_rules"]))
        body.append(_run("buy and hold, unlevered", row["holdout_hold"]))
        body.append(_run(f"coin beside {row['name']}, the middle of five", row["holdout_coin"]))
    return (
        "## EURUSD H1, 2018, traded once by the trading code\n\n10,000 USD, risk rules and limits "
        "of the replay mode, which halt an account that has lost half. Models fitted before 2018; "
        "nothing was chosen by what is shown here.\n\n" + _table(head, body)
    )


def _best(rows: Sequence[Row]) -> Row:
    """Return the family that knew most before 2018: the greatest gain in log loss."""
    return max(rows, key=lambda row: sum(row["log_loss_gain"]))


def _shares(row: Row) -> str:
    head = ("by", "of", "bars", "trades", "net R", "R a trade", "won", "hit rate", "rules' net R")
    body = [
        (
            *(str(share["by"]), str(share["of"]), f"{share['rows']:,}", f"{share['trades']:,}"),
            *(f"{share['net_units']:+.1f}", _told(share["net_units_per_trade"], "+.3f")),
            *(_told(share["win_rate"], ".1%"), _told(share["hit_rate"], ".1%")),
            f"{share['rules_net_units']:+.1f}",
        )
        for share in row["attribution"]
        if share["by"] != "month"
    ]
    held = row["holdout_attribution"]
    kinds = ("symbol", "session", "volatility at entry", "side", "exit")
    traded = [
        (
            kind,
            share["name"],
            f"{share['trades']:,}",
            f"{share['pnl_net']:+,.0f}",
            f"{share['win_rate']:.1%}",
        )
        for kind in kinds
        for share in held[kind]
    ]
    return (
        f"## Where the result of {row['name']} came from\n\nThe family that knew most before 2018, "
        "by its gain in log loss. EURUSD H1, 2014-2017, out of fold; a regime is a third of the "
        "bars by the distance of the stop.\n\n"
        + _table(head, body)
        + "\n2018, traded once by the trading code:\n\n"
        + _table(("by", "of", "trades", "net USD", "won"), traded)
    )


def _months(row: Row) -> str:
    months = [share for share in row["attribution"] if share["by"] == "month"]
    body = [
        (
            *(str(share["of"]), f"{share['trades']:,}", f"{share['net_units']:+.1f}"),
            *(_told(share["hit_rate"], ".1%"), f"{share['rules_net_units']:+.1f}"),
        )
        for share in months
    ]
    held = row["holdout_attribution"]["month"]
    traded = [
        (
            share["name"],
            f"{share['trades']:,}",
            f"{share['pnl_net']:+,.0f}",
            f"{share['win_rate']:.1%}",
        )
        for share in held
    ]
    ahead = sum(share["net_units"] > 0.0 for share in months)
    gained = sum(share["pnl_net"] > 0.0 for share in held)
    return (
        f"### By month\n\nOut of fold {ahead} of {len(months)} months were above zero, in 2018 "
        f"{gained} of {len(held)}.\n\n"
        + _table(("month", "trades", "net R", "hit rate", "rules' net R"), body)
        + "\n"
        + _table(("month", "trades", "net USD", "won"), traded)
    )


def _lengths(rows: Sequence[Row]) -> str:
    head = (
        *("timeframe", "family", "rows", "trades", "net R", "of it commission", "slippage"),
        *("hit rate", "at coverage", "gain in log loss", "rules' net R"),
    )
    body = [
        (
            *(row["timeframe"], row["name"], f"{row['rows']:,}", f"{row['trades']:,}"),
            *(f"{row['units']:+.1f}", f"{-row['commission_units']:.1f}"),
            *(f"{-row['slippage_units']:.1f}", f"{row['hit_rate']:.1%}"),
            f"{row['coverage']:.0%}",
            f"{row['log_loss_gain'][0]:+.4f} to {row['log_loss_gain'][1]:+.4f}",
            f"{row['rules_units']:+.1f}",
        )
        for row in rows
    ]
    return (
        "## EURUSD on other timeframes, 2014-2017\n\nBars made of the same minutes, walked forward "
        "in five purged folds; barriers and time-out are counted in bars of that length. The "
        "minutes themselves, which `--full` adds, are those of 2017 alone. The shorter the bar, "
        "the greater the share of its range that trading costs.\n\n" + _table(head, body)
    )


def _told(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _run(name: str, row: Row) -> tuple[str, ...]:
    won = "" if row["won"] is None else f"{row['won']:.1%}"
    return (
        *(name, f"{row['trades']:,}", f"{row['pnl']:+,.0f}"),
        *(won, f"{row['fall']:.1%}", f"{row['sharpe']:.2f}"),
    )


def _accuracy(rows: Sequence[Row]) -> str:
    head = ("surest share of the bars", *(row["name"] for row in rows))
    body = [
        (f"{share:.0%}", *(_told(row["curve"][place], ".1%") for row in rows))
        for place, share in enumerate(COVERAGES)
    ]
    said = (
        "## Accuracy against coverage: the barriers\n\nShare of the bars whose said side reached "
        "its target before its stop and its time-out, EURUSD 2014-2017 out of fold, without the "
        "first fold, which nothing has calibrated. A bar on which neither side did counts as wrong."
    )
    return f"{said}\n\n{_table(head, body)}{_reached(rows)}"


def _reached(rows: Sequence[Row]) -> str:
    over = [
        f"{row['name']} on the surest {share:.0%}"
        for row in rows
        for share, hit in zip(COVERAGES, row["curve"], strict=True)
        if hit is not None and hit > _WISHED
    ]
    if over:
        return f"\nAbove 60 %: {'; '.join(over)}.\n"
    return "\nNo family comes above 60 % at any coverage on this target.\n"


def _targets(rows: Sequence[Row]) -> str:
    head = (
        *("target, family", "rows", "commonest answer", "by the hour alone", "all bars"),
        *(f"surest {share:.0%}" for share in COVERAGES[:6]),
    )
    body = [
        (
            *(row["name"], f"{row['rows']:,}", f"{row['base_rate']:.1%}", f"{row['by_hour']:.1%}"),
            f"{row['curve'][-1]:.1%}",
            *(f"{hit:.1%}" for hit in row["curve"][:6]),
        )
        for row in rows
    ]
    text = (
        "## Accuracy on other targets\n\nEURUSD 2014-2017, the same folds. *Direction*: which side "
        "has gained after ten bars, a protective stop between; a bar on which neither has counts "
        "as wrong. *Volatility*: whether the next ten bars move calmly, as usual or wildly. *By "
        "the hour alone* gives the commonest answer at that hour of the day in the training rows, "
        "neither side included."
    )
    over = [row["name"] for row in rows if max(row["curve"]) > _WISHED]
    told = f"Above 60 % somewhere: {'; '.join(over)}." if over else "Above 60 %: none."
    advice = (
        "Read it beside the column of the hour: what the models add to it is the gap between the "
        "two. A position is paid for its side alone; what is known of volatility may size and "
        "time it, and chooses no side."
    )
    return f"{text}\n\n{_table(head, body)}\n{told} {advice}\n"


def _within(rows: Sequence[Row]) -> str:
    kinds = list(dict.fromkeys(row["name"] for row in rows))
    symbols = list(dict.fromkeys(row["symbol"] for row in rows))
    cells = {(row["symbol"], row["name"]): row for row in rows}
    head = ("symbol", *kinds, "rules", "buy and hold")
    body = []
    for symbol in symbols:
        mine = [cells.get((symbol, kind)) for kind in kinds]
        told = [
            "" if row is None else f"{row['units']:+.1f} ({row['trades']}, {row['hit_rate']:.0%})"
            for row in mine
        ]
        first = next(row for row in mine if row is not None)
        body.append((symbol, *told, f"{first['rules_units']:+.1f}", f"{first['hold_units']:+.1f}"))
    return (
        "## Other symbols, H1, walked forward within 2018\n\nNet R (trades, hit rate), out of "
        "fold. A year is short: five test sets of some six weeks.\n\n" + _table(head, body)
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in body]
    return "\n".join(lines) + "\n"

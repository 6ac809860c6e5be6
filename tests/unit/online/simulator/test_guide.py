"""The simulator's guide: its examples run as they stand and do what is said beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from online.domain.market import Bar
from online.simulator import mt5
from online.simulator.client import ClientTerminal
from tests.conftest import REPOSITORY
from tests.fakes import BAR_NS

pytestmark = pytest.mark.lean
BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (REPOSITORY / "online" / "simulator" / "README.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def test_the_examples_of_the_guide_run_one_after_the_other() -> None:
    driven, as_package, faulty = BLOCKS
    names: dict[str, Any] = {"bar": Bar(BAR_NS, 1.1, 1.101, 1.099, 1.1005, 10.0)}
    exec(driven, names)  # noqa: S102 - our own guide
    assert names["terminal"].account().balance == 10_000.0
    exec(as_package, names)  # noqa: S102 - as above
    (held,) = names["terminal"].positions()
    assert (held.symbol, held.volume_lots) == ("EURUSD", 0.1)
    mt5.shutdown()
    exec(faulty, names)  # noqa: S102 - as above
    assert isinstance(names["client"], ClientTerminal)
    mt5.attach(names["client"])
    assert mt5.initialize()
    order = {
        "action": mt5.TRADE_ACTION_DEAL,
        "symbol": "EURUSD",
        "volume": 0.1,
        "type": mt5.ORDER_TYPE_BUY,
        "type_filling": mt5.ORDER_FILLING_IOC,
    }
    assert mt5.order_send(order) is None
    assert mt5.last_error()[0] == -10002
    assert mt5.initialize()
    (held,) = mt5.positions_get() or ()
    assert held.volume == 0.2, "filled once, into the one position of a netting account"
    mt5.shutdown()

"""Feast, started without what nobody asks of it: a third of the time and half of the memory.

Importing Feast compiles checks of its arguments' types into most of its methods, which takes
longer than all the rest, and imports torch for one conversion that is not used here. Neither is
done where `quicken` was called before; torch is imported when the conversion is asked for.

Run as ``python -P -m feature_repo.quick_feast``: Feast's own commands.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_CONVERSION = "feast.torch_wrapper"
"""Feast's module of one function, which imports torch as soon as it is imported."""


def quicken() -> None:
    """Have this process import Feast quickly; nothing is done where it has, or there is none."""
    if "feast" in sys.modules or find_spec("feast") is None:
        return
    typeguard: Any = importlib.import_module("typeguard")
    check = typeguard.typechecked

    def check_others(target: Any = None, **options: Any) -> Any:  # noqa: ANN401 - what a decorator takes
        is_feasts = target is not None and target.__module__.partition(".")[0] == "feast"
        return target if is_feasts else check(target, **options)

    typeguard.typechecked = check_others
    conversion = ModuleType(_CONVERSION)
    conversion.__dict__["get_torch"] = lambda: importlib.import_module("torch")
    sys.modules.setdefault(_CONVERSION, conversion)


if __name__ == "__main__":
    quicken()
    sys.exit(importlib.import_module("feast.cli.cli").cli(prog_name="sextant feast"))

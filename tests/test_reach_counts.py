"""What `benchmarks/reach.py` counts: all classes, and those that have something to train."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import reach

    yield reach
    for name in ("reach", "reach_worker", "environments", "packages"):
        sys.modules.pop(name, None)


def result(parameters: int | None, built: bool, forward: bool) -> dict:
    return {
        "file": "net.py",
        "class": "Net",
        "abstract": False,
        "built": built,
        "parameters": parameters,
        "forward": forward,
        "gradients": forward and bool(parameters),
        "seconds": 0.1,
        "recipe": None,
        "cause": None,
    }


def test_classes_without_parameters_do_not_count_in_the_last_row(reach: ModuleType) -> None:
    results = [
        result(2, True, True),
        result(0, True, True),
        result(3, True, False),
        result(None, False, False),
    ]
    evidence = {"results": results, "stand_ins": [], "unloaded": {}}
    counted = reach.summary(reach.with_parameters(evidence), "", {})
    assert (counted.classes, counted.built, counted.forward) == (3, 2, 1)
    assert reach.summary(evidence, "", {}).forward == 2


@pytest.mark.slow
def test_the_parameters_of_what_cannot_be_called_are_counted(reach: ModuleType, tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\n"
        "from torch import nn\n\n\n"
        "class Refuses(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(3, 4)\n\n"
        "    def forward(self, x):\n"
        "        x = self.fc(x)\n"
        "        return x / self.scales[x.shape[0]]\n",
        "utf-8",
    )
    found = reach.try_on(tmp_path, 1, ())["results"][0]
    assert (found["built"], found["forward"], found["parameters"]) == (True, False, 2)

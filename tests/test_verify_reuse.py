"""Sides, and jobs, share a process as long as nothing that could matter is left behind in it."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixer.contract import Verdict
from fixer.verify import VerifySettings
from tests.judge_support import Case, preserves, text
from tests.verify_support import CageVerifier, call_both

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are shared where they can be forked"
)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CageVerifier]:
    with CageVerifier(VerifySettings(timeout=10), tmp_path_factory.mktemp("root")) as verifier:
        yield verifier


def together(verifier: CageVerifier, folder: Path, body: str) -> dict[str, Any]:
    """Have `go` called on both sides, in one process if that is possible."""
    return call_both(verifier, folder, textwrap.dedent(body).strip(), "together")


HARMLESS = {
    "nothing": "return os.getpid()",
    "state of its module": "globals().setdefault('seen', []).append(1)\nreturn len(seen)",
    "its own import path": "sys.path.insert(0, os.getcwd())\nreturn sys.path.count(os.getcwd())",
    "random numbers": "import random\nreturn [random.random(), torch.rand(2).tolist()]",
    "a subclass": "class Own(torch.nn.Module): pass\n"
    "return [c.__name__ for c in torch.nn.Module.__subclasses__()].count('Own')",
    "a gradient": "w = torch.ones(2, requires_grad=True)\n(w * w).sum().backward()\nreturn w.grad.tolist()",
    "a module of Python": "import colorsys\nreturn colorsys.__name__",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_leaves_nothing_shares_a_process(verifier: CageVerifier, tmp_path: Path, what: str) -> None:
    sides = together(verifier, tmp_path, HARMLESS[what])
    assert sides["before"]["value"]["result"] == sides["after"]["value"]["result"]
    assert sides["after"]["again"]


LEFT = {
    "the default dtype": "torch.set_default_dtype(torch.float64)",
    "the default device": "torch.set_default_device('meta')",
    "gradients": "torch.set_grad_enabled(False)",
    "deterministic algorithms": "torch.use_deterministic_algorithms(False)",
    "threads of torch": "torch.set_num_threads(2)",
    "a global hook": "torch.nn.modules.module.register_module_forward_hook(lambda *_: None)",
    "a hook of optimizers": "import torch.optim.optimizer as o\n"
    "o.register_optimizer_step_post_hook(lambda *_: None)",
    "a function of torch": "torch.nn.functional.relu = lambda x: x",
    "a method of tensors": "torch.Tensor.clamp_ = lambda self, *_: self",
    "an initialisation": "torch.nn.init.zeros_ = lambda x: x",
    "a new name of torch": "torch.extra = 1",
    "the environment": "os.environ['MODE'] = 'x'",
    "the working folder": "os.chdir('/')",
    "a thread": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "an open file": "globals()['kept'] = open('/dev/null')\nsys.kept = kept",
    "a warning filter": "import warnings\nwarnings.simplefilter('error')",
    "an alarm": "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)",
    "a library": "import rich\nrich.counted = True",
    "a module made by hand": "import types\nsys.modules['made'] = types.ModuleType('made')",
    "standard output": "import io\nsys.stdout = io.StringIO()",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_behind_costs_a_process(verifier: CageVerifier, tmp_path: Path, what: str) -> None:
    sides = together(verifier, tmp_path, LEFT[what] + "\nreturn os.getpid()")
    assert not sides["after"]["again"], what


def test_another_job_goes_on_in_the_process(verifier: CageVerifier, tmp_path: Path) -> None:
    body = """
        open("mark", "a").close()
        sys.path.insert(0, os.path.dirname(__file__))
        import beside
        return [os.getcwd(), os.environ["TMPDIR"], beside.value]
        """
    (tmp_path / "beside.py").write_text("value = 1\n")
    first = together(verifier, tmp_path, body)["after"]
    (tmp_path / "beside.py").write_text("value = 'another'\n")
    second = together(verifier, tmp_path, body)["before"]
    assert second["again"]
    assert first["value"]["result"][2] == 1
    assert second["value"]["result"][2] == "another"
    assert first["value"]["scratch"] != second["value"]["scratch"]
    folder = os.path.realpath(second["value"]["scratch"])
    assert second["value"]["result"][:2] == [folder, second["value"]["scratch"]]
    assert not Path(first["value"]["scratch"]).exists()


def test_a_process_that_dies_costs_the_next_job_nothing(verifier: CageVerifier, tmp_path: Path) -> None:
    assert together(verifier, tmp_path, "return 1")["after"]["again"]
    dead = together(verifier, tmp_path, f"os.kill(os.getpid(), {signal.SIGKILL:d})")
    assert [side["died"] for side in dead.values()] == ["killed by SIGKILL"] * 2
    assert dead["before"]["again"]
    assert not dead["after"]["again"]
    assert together(verifier, tmp_path, "return 1")["before"]["value"]["result"] == 1


def test_each_job_has_its_processor_time(verifier: CageVerifier, tmp_path: Path) -> None:
    limit = "import resource, time\nreturn resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time()"
    burn = "import time\nwhile time.process_time() < 3: pass\nreturn 1"
    first = together(verifier, tmp_path, limit)["before"]["value"]["result"]
    together(verifier, tmp_path, burn)
    later = together(verifier, tmp_path, limit)["before"]
    assert later["again"]
    assert later["value"]["result"] > first - 2


def test_sides_that_are_not_together_never_share(verifier: CageVerifier, tmp_path: Path) -> None:
    sides = call_both(verifier, tmp_path, "return os.getpid()")
    assert sides["before"]["value"]["result"] != sides["after"]["value"]["result"]
    assert not sides["after"]["again"]


# What a run leaves in a module of Python is not looked for; it shows, for the second run is another one.
ONCE = """
import logging

if hasattr(logging.root, "seen"):
    raise RuntimeError("imported twice in one process")
logging.root.seen = True


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x){change}
"""


@pytest.mark.parametrize("after", [" * 1.0", " * 2.0"])
def test_what_shows_only_in_the_second_run_is_told_from_a_process_each(tmp_path: Path, after: str) -> None:
    case = Case(tmp_path, net=(text(ONCE.format(change=" / 1.0")), text(ONCE.format(change=after))))
    for _ in range(2):  # the second time in a process that has been through the first
        found = case.verify(preserves(case.subject("net.py", "Net")))
        assert found.verdict is (Verdict.EQUIVALENT if after == " * 1.0" else Verdict.REFUTED), found

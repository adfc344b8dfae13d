"""Torch's compiler is imported once something asks for it, and is then what it would be anyway."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixer.verify import VerifySettings
from tests.verify_support import CageVerifier, call_both

HARMLESS = """
parameter = torch.nn.Parameter(torch.ones(2))
parameter.grad = torch.ones(2)
for optimizer in (torch.optim.SGD, torch.optim.Adam):
    optimizer([parameter], lr=0.1).step()
for module in list(sys.modules.values()):
    getattr(module, "__warningregistry__", None)
    hasattr(module, "__file__")
assert not compiler.is_imported()
"""
ASKING = {
    "a part of it": "import torch._dynamo.config as part\nassert part is torch._dynamo.config",
    "a part of a part": "from torch._dynamo.backends.registry import list_backends\n"
    "assert torch._dynamo.list_backends is list_backends",
    "a name of it": "from torch._dynamo import OptimizedModule\n"
    "assert torch._dynamo.eval_frame.OptimizedModule is OptimizedModule",
    "an attribute": "torch._dynamo.reset()",
    "a setting": "torch._dynamo.config.suppress_errors = True",
    "its decorator": "assert torch._dynamo.disable(lambda: 3)() == 3",
    "torch.compile": "double = torch.compile(lambda x: 2 * x, backend='eager')\n"
    "assert double(torch.ones(1)) == 2",
    "deterministic algorithms": "torch.use_deterministic_algorithms(True)",
}


def run(body: str) -> None:
    """Run a script in which the compiler has been postponed."""
    text = f"import sys, torch\nfrom fixer.verify.worker import compiler, intact\n{textwrap.dedent(body)}"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_optimizers_do_not_ask_for_it() -> None:
    run(f"compiler.postpone()\n{HARMLESS}")


@pytest.mark.parametrize("what", ASKING)
def test_whoever_asks_gets_it(what: str) -> None:
    run(f"""
compiler.postpone()
torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1).step()
stand_in = sys.modules["torch._dynamo"]
intact.known()
{ASKING[what]}
assert compiler.is_imported()
assert torch._dynamo is sys.modules["torch._dynamo"] is stand_in
assert type(stand_in) is type(sys)
intact.require()  # it wraps `torch.manual_seed`
for name, module in list(sys.modules.items()):
    if name.startswith("torch._dynamo."):
        assert module.__spec__.name == name, name
""")


def test_nothing_is_postponed_that_is_there() -> None:
    run("import torch._dynamo as real\ncompiler.postpone()\nassert torch._dynamo is real is not None")


def test_loading_twice_does_nothing() -> None:
    run(
        "compiler.postpone()\ncompiler.load()\nconfig = torch._dynamo.config\ncompiler.load()\n"
        "assert torch._dynamo.config is config"
    )


@pytest.fixture
def verifier(tmp_path: Path) -> Iterator[CageVerifier]:
    (tmp_path / "root").mkdir()
    with CageVerifier(VerifySettings(timeout=20), tmp_path / "root") as verifier:
        yield verifier


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from one that can keep it")
def test_once_asked_for_it_is_kept_for_all(verifier: CageVerifier, tmp_path: Path) -> None:
    here = "from _fixer_worker import compiler\nwas = compiler.is_imported()\n"
    ask = f"{here}import torch._dynamo.config\nreturn [was, compiler.is_imported()]"
    first = call_both(verifier, tmp_path, ask)
    second = call_both(verifier, tmp_path, f"{here}return was")
    assert first["before"]["value"]["result"] == [False, True]
    assert second["before"]["value"]["result"] is True

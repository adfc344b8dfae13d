from __future__ import annotations

from pathlib import Path

import pytest

from fixer.facts import Answer, File, Project
from fixer.facts.kinds import Symbol
from tests.rules import ROOT, Files, sources


def project(files: Files) -> Project:
    return Project(sources(files))


def file(tree: Project, name: str) -> File:
    found = tree.file(ROOT / name)
    assert found is not None
    return found


def resolved(files: Files, name: str, where: str = "main.py") -> Symbol | None:
    tree = project(files)
    return tree.resolve(file(tree, where), name)


# Names


@pytest.mark.parametrize(
    ("imports", "name", "outside"),
    [
        ("import torch", "torch.nn.Linear", "torch.nn.Linear"),
        ("import torch as t", "t.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn as nn", "nn.Linear", "torch.nn.Linear"),
        ("from torch import nn", "nn.modules.linear.Linear", "torch.nn.Linear"),
        ("from torch.nn import Linear as L", "L", "torch.nn.Linear"),
        ("from torch.nn.parameter import Parameter", "Parameter", "torch.nn.Parameter"),
        ("from torch.nn import *", "Linear", "torch.nn.Linear"),
        ("import numpy as np", "np.array", "numpy.array"),
    ],
)
def test_imports_from_outside(imports: str, name: str, outside: str) -> None:
    assert resolved({"main.py": imports}, name) == Symbol(outside)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "try:\n    from a import Net\nexcept ImportError:\n    from b import Net",
        "from a import Net\nNet = wrap(Net)",
        "Net = make()",
        "from .missing import Net",
    ],
)
def test_names_that_are_not_certain(code: str) -> None:
    assert resolved({"main.py": code}, "Net") is None


@pytest.mark.parametrize(
    ("importing", "name"),
    [
        ("from pkg.net import Net", "Net"),
        ("from pkg import net", "net.Net"),
        ("import pkg.net", "pkg.net.Net"),
        ("import pkg.net as n", "n.Net"),
        ("from pkg import Net", "Net"),
        ("from pkg import Public", "Public"),
        ("from pkg import *", "Net"),
        ("from pkg.other import Net as Mine", "Mine"),
    ],
)
def test_imports_across_files(importing: str, name: str) -> None:
    files = {
        "pkg/__init__.py": "from .net import Net\nfrom .net import Net as Public\n",
        "pkg/net.py": "class Net: ...\n",
        "pkg/other.py": "from .net import *\n",
        "main.py": importing,
    }
    assert resolved(files, name) == Symbol("Net", ROOT / "pkg" / "net.py")


def test_the_nearest_of_equal_names_is_meant() -> None:
    files = {
        "one/net.py": "class Net: ...\n",
        "one/main.py": "from net import Net\n",
        "two/net.py": "class Net: ...\n",
        "two/main.py": "from net import Net\n",
    }
    assert resolved(files, "Net", "two/main.py") == Symbol("Net", ROOT / "two" / "net.py")


def test_imports_in_a_circle_end() -> None:
    files = {"a.py": "from b import X\n", "b.py": "from a import X\n", "main.py": "from a import X\n"}
    assert resolved(files, "X") is None


def test_star_imports_in_a_web_end() -> None:
    names = [f"m{number}" for number in range(12)]
    files = {f"{name}.py": "".join(f"from {other} import *\n" for other in names) for name in names}
    assert resolved({**files, "main.py": "from m0 import *\n"}, "missing") is None


def test_nested_classes_and_methods() -> None:
    code = "class Outer:\n    class Inner:\n        def run(self): ...\n"
    assert resolved({"main.py": code}, "Outer.Inner") == Symbol("Outer.Inner", ROOT / "main.py")


# Classes


def is_module(files: Files, name: str = "Net") -> Answer:
    tree = project(files)
    return tree.is_module(tree.resolve(file(tree, "main.py"), name))


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("from torch import nn\nclass Net(nn.Module): ...", Answer.YES),
        ("from torch import nn\nclass Net(nn.Linear): ...", Answer.YES),
        ("from torch import nn\nclass Base(nn.Module): ...\nclass Net(Base): ...", Answer.YES),
        ("from torch import nn\nfrom x import Mixin\nclass Net(Mixin, nn.Module): ...", Answer.YES),
        ("import pytorch_lightning as pl\nclass Net(pl.LightningModule): ...", Answer.YES),
        ("class Net: ...", Answer.NO),
        ("class Net(object): ...", Answer.NO),
        ("import abc\nclass Net(abc.ABC): ...", Answer.NO),
        ("import torch\nclass Net(torch.autograd.Function): ...", Answer.NO),
        ("import torch\nclass Net(torch.nn.Parameter): ...", Answer.NO),
        ("from x import Base\nclass Net(Base): ...", Answer.UNKNOWN),
        ("class Net(make()): ...", Answer.UNKNOWN),
    ],
)
def test_modules(code: str, answer: Answer) -> None:
    assert is_module({"main.py": code}) is answer


def test_inheritance_across_files() -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/base.py": "from torch import nn\nclass Base(nn.Module):\n    def run(self): ...\n",
        "pkg/middle.py": "from . import base\nclass Middle(base.Base): ...\n",
        "main.py": "from pkg.middle import Middle as M\nclass Net(M): ...\n",
    }
    tree = project(files)
    net = tree.find_class(Symbol("Net", ROOT / "main.py"))
    base = tree.find_class(Symbol("Base", ROOT / "pkg" / "base.py"))
    assert net is not None
    assert base is not None
    assert [cls.node.name for cls in tree.lineage(net)] == ["Net", "Middle", "Base"]
    assert {cls.node.name for cls in tree.subclasses(base)} == {"Middle", "Net"}
    assert tree.derives(net.symbol, base.symbol)
    assert tree.derives(net.symbol, Symbol("torch.nn.Module"))
    assert not tree.derives(base.symbol, net.symbol)
    assert is_module(files) is Answer.YES
    found = tree.method(net, "run")
    assert found is not None
    assert found[0] is base


@pytest.mark.parametrize(
    ("bases", "known"),
    [("nn.Module", True), ("nn.Linear", True), ("Base", True), ("Mixin, nn.Module", False)],
)
def test_bases_in_sight(bases: str, known: bool) -> None:
    code = f"from torch import nn\nfrom x import Mixin\nclass Base(nn.Module): ...\nclass Net({bases}): ...\n"
    tree = project({"main.py": code})
    net = tree.find_class(Symbol("Net", ROOT / "main.py"))
    assert net is not None
    assert tree.has_known_bases(net) is known


def test_a_file_that_is_not_python_is_not_there() -> None:
    tree = project({"main.py": "def broken(:\n", "ok.py": "x = 1\n"})
    assert tree.file(ROOT / "main.py") is None
    assert tree.file(Path("/elsewhere.py")) is None
    assert [found.path.name for found in tree.mentioning(b"x")] == ["ok.py"]

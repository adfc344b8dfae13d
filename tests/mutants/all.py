"""Models of many kinds with a right fix each, and ways to get the fix wrong.

A model is written once, with marks where the fix works on it:

``#project``
    in `forward`: the author's statement in the original, nothing in the fixed form;
``#init``
    the end of ``__init__``: the calls of the fixed form;
``#method``
    at the level of methods: the projection of the fixed form, or the dead ``backward`` of the original.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixer.verify import Job
from tests.judge_support import Case, preserves, repairs

HEADER = """\
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


"""
INIT = """\
self.project_parameters()
self.register_load_state_dict_post_hook(self.project_parameters)
"""
METHOD = '''\
@torch.no_grad()
def project_parameters(self, *_) -> None:
    """Keep the constrained parameters in range; runs after every optimizer step."""
'''
BUILD = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
REGISTER = "optimizer.register_step_post_hook(model.project_parameters)\n"
DEAD = """\
def backward(self, grad):
    return grad * self.saved
"""


@dataclass(frozen=True)
class Projection:
    """A model that overwrites parameters in `forward` (PRM101)."""

    name: str
    model: str
    statement: str
    body: str
    cls: str = "Net"
    exact: bool = True
    symptom: str | None = None
    repaired: bool = False
    """Whether the original fails, so that the right fix repairs it."""
    build: str = BUILD
    register: str = REGISTER
    outer: str | None = None
    """The class of the model that the optimizer is built over, if it is not the constrained one."""
    wrong: tuple[tuple[str, str], ...] = field(default=())
    """Replacements in the fixed file, each of which makes the fix wrong."""

    @property
    def before(self) -> str:
        return HEADER + _filled(self.model, project=self.statement) + "\n\n" + self._wired("")

    @property
    def after(self) -> str:
        method = METHOD + textwrap.indent(self.body, "    ")
        return HEADER + _filled(self.model, init=INIT, method=method) + "\n\n" + self._wired(self.register)

    def _wired(self, registered: str) -> str:
        body = textwrap.indent(self.build + registered, "    ")
        return f"def fit():\n    model = {self.outer or self.cls}()\n{body}    return optimizer\n"


@dataclass(frozen=True)
class Deletion:
    """A model with a `backward` that nothing calls (PRM301)."""

    name: str
    model: str
    wrong: tuple[tuple[str, str], ...]
    cls: str = "Net"

    @property
    def before(self) -> str:
        return HEADER + _filled(self.model, project="self.saved = x", method=DEAD)

    @property
    def after(self) -> str:
        return HEADER + _filled(self.model)


@dataclass(frozen=True)
class Copying:
    """A tensor assigned to a parameter (PRM201); the statement is `target = value`."""

    name: str
    model: str
    target: str
    value: str
    wrong: tuple[str, ...]
    """Statements that take the place of the right copy."""
    cls: str = "Net"

    @property
    def statement(self) -> str:
        return f"{self.target} = {self.value}\n"

    @property
    def before(self) -> str:
        return HEADER + _filled(self.model, project=self.statement)

    @property
    def after(self) -> str:
        return HEADER + _filled(self.model, project=f"{self.target}.data.copy_({self.value})")

    def wrongly(self, statement: str) -> str:
        return HEADER + _filled(self.model, project=statement)


def _filled(model: str, **texts: str) -> str:
    """The model with its marks replaced, each at its own indentation."""
    lines = []
    for line in textwrap.dedent(model).strip().splitlines():
        mark = line.strip().removeprefix("#")
        if line.strip() in ("#project", "#init", "#method"):
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(textwrap.indent(texts.get(mark, "").rstrip(), indent))
        else:
            lines.append(line)
    return "\n".join(line for line in lines if line.strip()) + "\n"


def projection_job(folder: Path, mutant: Projection, after: str) -> Job:
    """The rewrite of a projection, with the construction of the optimizer wired."""
    case = Case(folder, net=(mutant.before, after))
    statement = case.indented("net.py", mutant.statement)
    model = case.path("net.py"), mutant.outer or mutant.cls
    wiring = case.wiring("net.py", f"    {mutant.build}", "model", model_class=model, function="fit")
    more: dict[str, Any] = {
        "projection": case.projection("net.py", mutant.cls, statement, exact=mutant.exact),
        "wiring": (wiring,),
    }
    subject = case.subject("net.py", mutant.cls)
    if mutant.symptom is None:
        return case.job(preserves(subject, **more))
    return case.job(repairs(mutant.symptom, case.region("net.py", statement), subject, **more))


def deletion_job(folder: Path, mutant: Deletion, after: str) -> Job:
    """The deletion of a dead method."""
    case = Case(folder, net=(mutant.before, after))
    return case.job(preserves(case.subject("net.py", mutant.cls)))


def copying_job(folder: Path, mutant: Copying, after: str) -> Job:
    """The copy in place of an assignment."""
    case = Case(folder, net=(mutant.before, after))
    region = case.region("net.py", case.indented("net.py", mutant.statement))
    subject = case.subject("net.py", mutant.cls)
    return case.job(repairs("TypeError", region, subject, parameter=mutant.target))


LIST = """\
for module in model.modules():
    if isinstance(module, Net):
        optimizer.register_step_post_hook(module.project_parameters)
"""
NO_INIT = ("        self.project_parameters()\n", "")
NO_LOAD = ("        self.register_load_state_dict_post_hook(self.project_parameters)\n", "")
NO_HOOK = ("    optimizer.register_step_post_hook(model.project_parameters)\n", "")

PROJECTIONS = (
    Projection(
        "convolutions with batch norm and dropout",
        """
        class Net(nn.Module):
            def __init__(self, channels: int = 3):
                super().__init__()
                self.conv = nn.Conv2d(channels, 4, 3, padding=1)
                self.norm = nn.BatchNorm2d(4)
                self.drop = nn.Dropout2d(0.2)
                self.head = nn.Linear(4, 2)
                #init

            def forward(self, image):
                #project
                h = self.drop(F.relu(self.norm(self.conv(image))))
                return self.head(h.mean((2, 3)))

            #method
        """,
        "self.conv.weight.data.clamp_(-0.1, 0.1)",
        "self.conv.weight.clamp_(-0.1, 0.1)",
        wrong=(
            NO_INIT,
            NO_LOAD,
            NO_HOOK,
            ("self.conv.weight.clamp_(-0.1, 0.1)", "self.conv.weight.clamp_(-0.1, 0.11)"),
            ("self.conv.weight.clamp_(-0.1, 0.1)", "self.conv.weight.clamp(-0.1, 0.1)"),
            ("self.conv.weight.clamp_(-0.1, 0.1)", "self.conv.weight[0].clamp_(-0.1, 0.1)"),
            (
                "self.conv.weight.clamp_(-0.1, 0.1)",
                "self.conv.weight.clamp_(-0.1, 0.1); self.norm.weight.clamp_(max=0.9)",
            ),
            ("register_step_post_hook", "register_step_pre_hook"),
            (
                "register_load_state_dict_post_hook(self.project",
                "register_load_state_dict_pre_hook(self.project",
            ),
        ),
    ),
    Projection(
        "attention with dropout",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 8, heads: int = 2):
                super().__init__()
                self.heads = heads
                self.qkv = nn.Linear(dim, 3 * dim)
                self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
                self.drop = nn.Dropout(0.1)
                self.out = nn.Linear(dim, dim)
                #init

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                #project
                b, n, c = x.shape
                q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
                weights = self.drop((q @ k.transpose(-2, -1) * self.temperature).softmax(-1))
                return self.out((weights @ v).transpose(1, 2).reshape(b, n, c))

            #method
        """,
        "self.temperature.data.clamp_(max=0.5)",
        "self.temperature.clamp_(max=0.5)",
        wrong=(
            ("self.temperature.clamp_(max=0.5)", "self.temperature.clamp_(min=0.5)"),
            ("* self.temperature)", "* self.temperature.clamp(max=0.4))"),
            ("* self.temperature)", "* self.temperature.detach())"),
            (
                "self.temperature.clamp_(max=0.5)",
                "self.temperature = nn.Parameter(self.temperature.clamp(max=0.5))",
            ),
            ("        b, n, c = x.shape\n", "        self.drop.eval()\n        b, n, c = x.shape\n"),
        ),
    ),
    Projection(
        "a recurrent network",
        """
        class Net(nn.Module):
            def __init__(self, width: int = 4):
                super().__init__()
                self.gru = nn.GRU(width, width, batch_first=True)
                #init

            def forward(self, x):
                #project
                output, last = self.gru(x)
                return output, last

            #method
        """,
        "with torch.no_grad():\n    self.gru.weight_hh_l0.clamp_(-0.3, 0.3)",
        "self.gru.weight_hh_l0.clamp_(-0.3, 0.3)",
        wrong=(
            ("weight_hh_l0.clamp_", "weight_ih_l0.clamp_"),
            ("return output, last", "return output, last.detach()"),
            ("return output, last", "return last, output"),
            ("@torch.no_grad()\n    def project", "def project"),
        ),
    ),
    Projection(
        "an embedding whose rows have a largest norm",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 7, dim: int = 4):
                super().__init__()
                self.embedding = nn.Embedding(words, dim)
                self.head = nn.Linear(dim, words)
                #init

            def forward(self, ids):
                #project
                return self.head(self.embedding(ids).mean(1))

            #method
        """,
        "self.embedding.weight.data.renorm_(2, 0, 1.0)",
        "self.embedding.weight.renorm_(2, 0, 1.0)",
        exact=False,
        wrong=(
            ("renorm_(2, 0, 1.0)", "renorm_(2, 1, 1.0)"),
            ("renorm_(2, 0, 1.0)", "renorm_(1, 0, 1.0)"),
            NO_LOAD,
        ),
    ),
    Projection(
        "tied weights",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 7, dim: int = 4):
                super().__init__()
                self.embedding = nn.Embedding(words, dim)
                self.decoder = nn.Linear(dim, words, bias=False)
                self.decoder.weight = self.embedding.weight
                #init

            def forward(self, ids):
                #project
                return self.decoder(torch.tanh(self.embedding(ids)))

            #method
        """,
        "self.decoder.weight.data.clamp_(-0.5, 0.5)",
        "self.decoder.weight.clamp_(-0.5, 0.5)",
        wrong=(
            ("        self.decoder.weight = self.embedding.weight\n", ""),
            (
                "self.decoder.weight.clamp_(-0.5, 0.5)",
                "self.decoder.weight = nn.Parameter(self.decoder.weight.clamp(-0.5, 0.5))",
            ),
            NO_HOOK,
        ),
    ),
    Projection(
        "siamese branches, called twice",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                #init

            def forward(self, x):
                #project
                return torch.tanh(self.lin(x))

            #method


        class Siamese(nn.Module):
            def __init__(self):
                super().__init__()
                self.branch = Net(4)

            def forward(self, left: torch.Tensor, right: torch.Tensor):
                return (self.branch(left) - self.branch(right)).pow(2).sum(-1)
        """,
        "self.lin.weight.data.clamp_(-0.2, 0.2)",
        "self.lin.weight.clamp_(-0.2, 0.2)",
        outer="Siamese",
        register=LIST,
        wrong=(
            ("isinstance(module, Net)", "type(module) is nn.Linear"),
            ("model.modules()", "model.children().__next__().children()"),
            ("- self.branch(right)", "- self.branch(right).detach()"),
            NO_INIT,
        ),
    ),
    Projection(
        "siamese branches under no_grad, which raise today",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                self.out = nn.Linear(dim, dim)
                #init

            def forward(self, x):
                #project
                return self.out(torch.tanh(self.lin(x)))

            #method


        class Siamese(nn.Module):
            def __init__(self):
                super().__init__()
                self.branch = Net(4)

            def forward(self, left: torch.Tensor, right: torch.Tensor):
                return (self.branch(left) - self.branch(right)).pow(2).sum(-1)
        """,
        "with torch.no_grad():\n    self.out.weight.clamp_(-0.2, 0.2)",
        "self.out.weight.clamp_(-0.2, 0.2)",
        outer="Siamese",
        register=LIST,
        repaired=True,
        wrong=(
            NO_INIT,
            NO_LOAD,
            ("clamp_(-0.2, 0.2)", "clamp_(-0.2, 0.3)"),
            ("self.branch(right)", "right"),
            ("        optimizer.register", "        0 and optimizer.register"),
        ),
    ),
    Projection(
        "a module that returns a dict",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.mean = nn.Linear(dim, 2)
                self.scale = nn.Parameter(torch.full((2,), 3.0))
                #init

            def forward(self, x):
                #project
                mean = self.mean(x)
                noise = torch.randn_like(mean)
                return {"mean": mean, "sample": mean + self.scale * noise, "parts": [x, (mean,)]}

            #method
        """,
        "self.scale.data = self.scale.data.clamp(min=0.01, max=2)",
        "self.scale.copy_(self.scale.clamp(min=0.01, max=2))",
        wrong=(
            ('"sample":', '"samples":'),
            ("self.scale * noise", "self.scale * noise.abs()"),
            ('"parts": [x, (mean,)]', '"parts": [x, (mean.detach(),)]'),
            ("self.scale.copy_(self.scale.clamp", "self.scale = nn.Parameter(self.scale.clamp"),
            ("min=0.01", "min=0.02"),
        ),
    ),
    Projection(
        "operations in place",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                self.shift = nn.Parameter(torch.zeros(dim))
                #init

            def forward(self, x):
                #project
                h = self.lin(x)
                h += self.shift
                h[:, 0].mul_(2)
                return F.relu_(h)

            #method
        """,
        "self.shift.data.clamp_(-0.1, 0.1)",
        "self.shift.clamp_(-0.1, 0.1)",
        wrong=(
            ("F.relu_(h)", "F.silu(h)"),
            ("h += self.shift", "h += self.shift.data"),
            ("h[:, 0].mul_(2)", "h[0].mul_(2)"),
        ),
    ),
    Projection(
        "a checkpointed block",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.one = nn.Linear(dim, dim)
                self.two = nn.Linear(dim, dim)
                #init

            def block(self, x):
                return torch.tanh(self.two(torch.relu(x)))

            def forward(self, x):
                #project
                return checkpoint(self.block, self.one(x), use_reentrant=False)

            #method
        """,
        "self.two.weight.data.clamp_(-0.2, 0.2)",
        "self.two.weight.clamp_(-0.2, 0.2)",
        wrong=(
            NO_HOOK,
            ("checkpoint(self.block, self.one(x)", "checkpoint(self.block, self.one(x).detach()"),
        ),
    ),
    Projection(
        "a mask of ones",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.weight = nn.Parameter(torch.randn(dim, dim))
                self.register_buffer("mask", torch.ones(dim, dim))
                #init

            def forward(self, x):
                #project
                return F.linear(x, self.weight)

            #method
        """,
        "self.weight.data *= self.mask",
        "self.weight.mul_(self.mask)",
        wrong=(
            NO_HOOK,
            NO_LOAD,
            ("self.weight.mul_(self.mask)", "self.weight.mul_(self.mask.t())"),
            ("self.weight.mul_(self.mask)", "self.weight.mul_(1)"),
        ),
    ),
    Projection(
        "bfloat16",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim, dtype=torch.bfloat16)
                #init

            def forward(self, x):
                #project
                return self.lin(x.bfloat16()).float()

            #method
        """,
        "self.lin.weight.data.clamp_(-0.25, 0.25)",
        "self.lin.weight.clamp_(-0.25, 0.25)",
        wrong=(("0.25)", "0.252)"), ("0.25)", "0.25); self.lin.float()")),
    ),
    Projection(
        "float16",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.gain = nn.Parameter(torch.ones(dim, dtype=torch.float16))
                #init

            def forward(self, x):
                #project
                return x.half() * self.gain

            #method
        """,
        "self.gain.data.clamp_(0, 0.5)",
        "self.gain.clamp_(0, 0.5)",
        wrong=(NO_HOOK, ("return x.half() * self.gain", "return x * self.gain")),
    ),
    Projection(
        "float64",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim).double()
                #init

            def forward(self, x):
                #project
                return self.lin(x.double())

            #method
        """,
        "self.lin.weight.data.clamp_(-0.25, 0.25)",
        "self.lin.weight.clamp_(-0.25, 0.25)",
        wrong=(("0.25)", "0.2500001)"), ("self.lin(x.double())", "self.lin(x.double()).float()")),
    ),
    Projection(
        "complex numbers",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.phase = nn.Parameter(torch.randn(dim, dtype=torch.complex64))
                #init

            def forward(self, x):
                #project
                return torch.view_as_real(x * self.phase)

            #method
        """,
        "self.phase.data /= self.phase.data.abs().clamp_min(1)",
        "self.phase.div_(self.phase.abs().clamp_min(1))",
        exact=False,
        wrong=(
            NO_HOOK,
            ("self.phase)", "self.phase.conj())"),
            ("self.phase.div_(self.phase.abs()", "self.phase.div_(self.phase.real.abs()"),
        ),
    ),
    Projection(
        "a parameter that two submodules share",
        """
        class Part(nn.Module):
            def __init__(self, weight):
                super().__init__()
                self.weight = weight

            def forward(self, x):
                return F.linear(x, self.weight)


        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                shared = nn.Parameter(torch.eye(dim))
                self.one, self.two = Part(shared), Part(shared)
                #init

            def forward(self, x):
                #project
                return self.two(torch.relu(self.one(x)))

            #method
        """,
        "self.two.weight.data.clamp_(min=0)",
        "self.two.weight.clamp_(min=0)",
        wrong=(
            ("Part(shared), Part(shared)", "Part(shared), Part(nn.Parameter(torch.eye(dim)))"),
            ("self.two.weight.clamp_(min=0)", "self.two.weight.abs_()"),
        ),
    ),
    Projection(
        "a parameter whose storage is transposed",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.weight = nn.Parameter(torch.randn(3, dim).t())
                #init

            def forward(self, x):
                #project
                return x @ self.weight

            #method
        """,
        "self.weight.data.clamp_(-1, 1)",
        "self.weight.clamp_(-1, 1)",
        wrong=(NO_INIT, ("self.weight.clamp_(-1, 1)", "self.weight.view_as(self.weight).clamp_(-1, 0.9)")),
    ),
    Projection(
        "an empty parameter beside a scalar",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Parameter(torch.empty(0, 3))
                self.scale = nn.Parameter(torch.tensor(4.0))
                #init

            def forward(self, x: torch.Tensor):
                #project
                return x * self.scale + self.unused.sum()

            #method
        """,
        "self.unused.data.clamp_(0, 1)\nself.scale.data.clamp_(0, 1)",
        "self.unused.clamp_(0, 1)\nself.scale.clamp_(0, 1)",
        wrong=(NO_HOOK, ("self.scale.clamp_(0, 1)", "self.unused.clamp_(0, 1)")),
    ),
    Projection(
        "a loop over the modules",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                norms = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)
                self.body = nn.Sequential(nn.Linear(dim, dim), norms[0], nn.ReLU(), norms[1])
                #init

            def forward(self, x):
                #project
                return self.body(x)

            #method
        """,
        "for m in self.modules():\n    if type(m) is nn.BatchNorm1d:\n        m.weight.data.clamp_(0, 0.9)",
        "for m in self.modules():\n    if type(m) is nn.BatchNorm1d:\n        m.weight.clamp_(0, 0.9)",
        wrong=(
            (
                "            if type(m) is nn.BatchNorm1d:\n                m.weight",
                "            if type(m) is nn.BatchNorm1d and m is self.body[1]:\n                m.weight",
            ),
            ("m.weight.clamp_", "m.bias.clamp_"),
            (
                "                m.weight.clamp_(0, 0.9)",
                "                m.weight.clamp_(0, 0.9)\n                break",
            ),
        ),
    ),
    Projection(
        "a norm that is divided out",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.v = nn.Parameter(torch.randn(dim))
                #init

            def forward(self, x):
                #project
                return torch.tanh(x @ self.v)

            #method
        """,
        "self.v.data = F.normalize(self.v.data, dim=0)",
        "self.v.copy_(F.normalize(self.v, dim=0))",
        exact=False,
        wrong=(
            ("F.normalize(self.v, dim=0)", "F.normalize(self.v, p=1, dim=0)"),
            ("F.normalize(self.v, dim=0)", "self.v / self.v.norm().clamp_min(1)"),
            ("return torch.tanh(x @ self.v)", "return torch.tanh(x @ F.normalize(self.v, dim=0))"),
        ),
    ),
    Projection(
        "a bound that is off unless it is asked for",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4, max_norm=None):
                super().__init__()
                self.max_norm = max_norm
                self.lin = nn.Linear(dim, dim)
                #init

            def forward(self, x):
                #project
                return self.lin(x)

            #method
        """,
        "if self.max_norm is not None:\n    self.lin.weight.data.clamp_(-self.max_norm, self.max_norm)",
        "if self.max_norm is not None:\n    self.lin.weight.clamp_(-self.max_norm, self.max_norm)",
        wrong=(
            NO_HOOK,
            ("clamp_(-self.max_norm, self.max_norm)", "clamp_(-self.max_norm, 2 * self.max_norm)"),
        ),
    ),
    Projection(
        "an optimizer that calls a closure",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                #init

            def forward(self, x):
                #project
                return torch.tanh(self.lin(x))

            #method
        """,
        "self.lin.weight.data.clamp_(-0.2, 0.2)",
        "self.lin.weight.clamp_(-0.2, 0.2)",
        build="optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=1)\n",
        wrong=(("max_iter=1)", "max_iter=1, lr=0.25)"), NO_HOOK),
    ),
    Projection(
        "an assignment that raises",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.scale = nn.Parameter(torch.full((dim,), 2.0))
                self.norm = nn.LayerNorm(dim)
                #init

            def forward(self, x):
                #project
                return self.norm(x) * self.scale

            #method
        """,
        "self.scale = torch.clamp(self.scale, 0, 1)",
        "self.scale.clamp_(0, 1)",
        symptom="TypeError",
        repaired=True,
        wrong=(
            NO_HOOK,
            ("self.scale.clamp_(0, 1)", "self.scale.clamp_(0, 1.5)"),
            ("self.scale.clamp_(0, 1)", "self.scale = self.scale.clamp(0, 1)"),
            ("* self.scale", "* torch.clamp(self.scale, 0, 1).detach()"),
        ),
    ),
    Projection(
        "a clamp after use, through data",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.gain = nn.Parameter(torch.full((dim,), 2.0))
                #init

            def forward(self, x):
                y = torch.sin(x * self.gain) * self.gain
                #project
                return y

            #method
        """,
        "self.gain.data.clamp_(0, 1)",
        "self.gain.clamp_(0, 1)",
        symptom="gradient",
        repaired=True,
        wrong=(
            NO_HOOK,
            NO_INIT,
            NO_LOAD,
            ("self.gain.clamp_(0, 1)", "self.gain.clamp_(0, 1.1)"),
            ("* self.gain\n", "* self.gain.detach()\n"),
            ("return y", "return 2 * y"),
        ),
    ),
    Projection(
        "a clamp after use, under no_grad",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.gain = nn.Parameter(torch.full((dim,), 2.0))
                #init

            def forward(self, x):
                y = torch.sin(x * self.gain) * self.gain
                #project
                return y

            #method
        """,
        "with torch.no_grad():\n    self.gain.clamp_(0, 1)",
        "self.gain.clamp_(0, 1)",
        symptom="gradient",
        repaired=True,
        wrong=(
            NO_HOOK,
            NO_INIT,
            ("self.gain.clamp_(0, 1)", "self.gain.clamp_(0.1, 1)"),
            ("* self.gain\n", "* self.gain.detach()\n"),
        ),
    ),
)

DELETIONS = (
    Deletion(
        "convolutions with batch norm",
        """
        class Net(nn.Module):
            def __init__(self, channels: int = 3):
                super().__init__()
                self.conv = nn.Conv2d(channels, 4, 3, padding=1)
                self.norm = nn.BatchNorm2d(4)

            def forward(self, x):
                #project
                return F.relu(self.norm(self.conv(x)))

            #method
        """,
        (
            ("padding=1", "padding=1, padding_mode='reflect'"),
            ("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, eps=1e-4)"),
            ("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, affine=False)"),
            ("nn.BatchNorm2d(4)", "nn.GroupNorm(4, 4)"),
            ("F.relu(", "F.leaky_relu("),
            ("self.norm(self.conv(x))", "self.norm(self.conv(x.detach()))"),
        ),
    ),
    Deletion(
        "attention with dropout",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 8):
                super().__init__()
                self.attention = nn.MultiheadAttention(dim, 2, dropout=0.2, batch_first=True)
                self.norm = nn.LayerNorm(dim)

            def forward(self, x: torch.Tensor):
                #project
                y, weights = self.attention(x, x, x)
                return {"y": self.norm(x + y), "weights": weights}

            #method
        """,
        (
            ("dropout=0.2", "dropout=0.1"),
            ("(x, x, x)", "(x, x.detach(), x)"),
            ("x + y", "y"),
            ('"weights": weights', '"weights": weights.detach()'),
        ),
    ),
    Deletion(
        "a layer that draws random numbers",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)

            def forward(self, x):
                #project
                noise = torch.randn_like(x) if self.training else 0
                return self.lin(x + noise)

            #method
        """,
        (
            ("torch.randn_like(x)", "torch.rand_like(x)"),
            ("if self.training else 0", "if not self.training else 0"),
            ("noise = torch", "torch.rand(1); noise = torch"),
        ),
    ),
    Deletion(
        "a hard step with a gradient of its own",
        """
        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.sign()

            @staticmethod
            def backward(ctx, grad):
                return grad * (ctx.saved_tensors[0].abs() <= 1)


        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)

            def forward(self, x):
                #project
                return Sign.apply(self.lin(x))

            #method
        """,
        (
            ("abs() <= 1", "abs() <= 2"),
            ("Sign.apply(self.lin(x))", "self.lin(x).sign()"),
            (
                "    def backward(ctx, grad):\n",
                "    def backwards(ctx, grad):\n",
            ),
        ),
    ),
    Deletion(
        "a state that one call leaves for the next",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.cell = nn.RNNCell(dim, dim)
                self.register_buffer("state", torch.zeros(1, dim))

            def forward(self, x):
                #project
                h = self.cell(x, self.state.clone().expand(len(x), -1))
                self.state.copy_(h.detach().mean(0, keepdim=True))
                return h

            #method
        """,
        (
            ("        self.state.copy_(h.detach().mean(0, keepdim=True))\n", ""),
            ("torch.zeros(1, dim))", "torch.zeros(1, dim), persistent=False)"),
            ("h.detach().mean(0, keepdim=True)", "h.detach()[:1]"),
        ),
    ),
    Deletion(
        "sparse gradients",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 7, dim: int = 4):
                super().__init__()
                self.bag = nn.EmbeddingBag(words, dim, mode="mean")
                self.head = nn.Linear(dim, 2)

            def forward(self, x: torch.LongTensor):
                #project
                return self.head(self.bag(x))

            #method
        """,
        (('mode="mean"', 'mode="sum"'), ('mode="mean"', 'mode="mean", padding_idx=0')),
    ),
)

COPIES = (
    Copying(
        "a convolution that starts as the identity",
        """
        class Net(nn.Module):
            def __init__(self, channels: int = 3):
                super().__init__()
                self.conv = nn.Conv2d(channels, channels, 1)
                #project

            def forward(self, x):
                return self.conv(x)
        """,
        "self.conv.weight",
        "torch.eye(channels)[:, :, None, None]",
        (
            "self.conv.weight.data.copy_(torch.eye(channels)[None, None].transpose(1, 2))",
            "self.conv.weight.data.copy_(torch.ones(1))",
            "self.conv.weight.data[:] = torch.eye(channels)[:, :, None, None] + 1e-6",
            "self.conv.weight = nn.Parameter(torch.eye(channels)[:, :, None, None])",
            "self.conv.weight.data = torch.eye(channels)[:, :, None, None]",
            "self.conv.weight.requires_grad_(False).copy_(torch.eye(channels)[:, :, None, None])",
            "self.conv.register_buffer('w', torch.eye(channels)[:, :, None, None])",
            "with torch.no_grad():\n    self.conv.weight.add_(torch.eye(channels)[:, :, None, None])",
        ),
    ),
    Copying(
        "an embedding from a table",
        """
        class Net(nn.Module):
            def __init__(self, words: int = 6, dim: int = 4):
                super().__init__()
                self.embedding = nn.Embedding(words, dim)
                self.head = nn.Linear(dim, words)
                table = torch.linspace(-1, 1, words * dim).view(words, dim)
                #project

            def forward(self, ids):
                return self.head(self.embedding(ids))
        """,
        "self.embedding.weight",
        "table",
        (
            "self.head.weight.data.copy_(table)",
            "self.embedding.weight.data.copy_(table[:1])",
            "self.embedding.weight.data.copy_(table.flip(0))",
            "self.embedding = nn.Embedding.from_pretrained(table)",
            "self.embedding.weight.data.copy_(table); self.head.weight.data.copy_(table)",
        ),
    ),
    Copying(
        "a running value inside forward",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                self.center = nn.Parameter(torch.zeros(dim), requires_grad=False)

            def forward(self, x):
                y = self.lin(x)
                #project
                return y - self.center
        """,
        "self.center",
        "0.9 * self.center + 0.1 * y.detach().mean(0)",
        (
            "self.center.data.copy_(0.9 * self.center + 0.1 * y.mean())",
            "self.center.data.copy_(0.8 * self.center + 0.2 * y.detach().mean(0))",
            "center = 0.9 * self.center + 0.1 * y.detach().mean(0)",
            "self.center.data.copy_(0.9 * self.center + 0.1 * y.detach().mean(0)); y = y.detach()",
        ),
    ),
    Copying(
        "a scalar in half precision",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
                #project

            def forward(self, x: torch.Tensor):
                return x * self.scale
        """,
        "self.scale",
        "torch.tensor(0.3, dtype=torch.float64)",
        (
            "self.scale.data.copy_(torch.tensor(0.3))",
            "self.scale.data = torch.tensor(0.3)",
            "self.scale.data.fill_(0.30000001)",
        ),
    ),
)

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
import dataclasses

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
INPUTS = "torch.randn(3, 4)"
"""What `forward` takes, for the oracle that shares nothing with verification."""
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
    wrapped: str = ""
    """Statements that make of `model` what the optimizer is built over."""
    inputs: str = INPUTS
    made: str | None = None
    """How the oracle makes the model, if not without arguments."""
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
        body = textwrap.indent(self.wrapped + self.build + registered, "    ")
        return f"def fit():\n    model = {self.top}()\n{body}    return model, optimizer\n"

    @property
    def top(self) -> str:
        """The class of the model that is trained."""
        return self.outer or self.cls


@dataclass(frozen=True)
class Deletion:
    """A model with a `backward` that nothing calls (PRM301)."""

    name: str
    model: str
    wrong: tuple[tuple[str, str], ...]
    cls: str = "Net"
    inputs: str = INPUTS

    @property
    def top(self) -> str:
        """The class of the model that is run."""
        return self.cls

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
    inputs: str = INPUTS

    @property
    def top(self) -> str:
        """The class of the model that is run."""
        return self.cls

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
    model = case.path("net.py"), mutant.top
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


def job_of(folder: Path, model: Projection | Deletion | Copying, after: str) -> Job:
    """The rewrite of any model."""
    if isinstance(model, Copying):
        return copying_job(folder, model, after)
    if isinstance(model, Deletion):
        return deletion_job(folder, model, after)
    return projection_job(folder, model, after)


def made(model: Projection | Deletion | Copying) -> str:
    """An expression for what makes a model when it is called."""
    return (model.made if isinstance(model, Projection) else None) or model.top


NO_INIT = ("        self.project_parameters()\n", "")
NO_LOAD = ("        self.register_load_state_dict_post_hook(self.project_parameters)\n", "")
NO_HOOK = ("    optimizer.register_step_post_hook(model.project_parameters)\n", "")
LIST = """\
for module in model.modules():
    if isinstance(module, Net):
        optimizer.register_step_post_hook(module.project_parameters)
"""

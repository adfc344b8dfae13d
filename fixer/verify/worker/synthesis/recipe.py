"""A recipe: how to build a module and call it, as data that replays in another process."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import probing, specs, weights

if TYPE_CHECKING:
    from .specs import Spec

_ON_CPU: set[str] = set()
"""Classes whose code names a CUDA device where only the CPU is wanted."""


_USUAL = ("forward", "__call__", "__init__")


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call: those given by position (with the parameter's name), and those given by name.

    The names of those that a parameter like ``*shape`` takes begin with a star.
    """

    args: list[tuple[str, Spec]] = field(default_factory=list)
    kwargs: dict[str, Spec] = field(default_factory=dict)

    def text(self, by_name: bool) -> str:
        """Write them as in a call (``width=8``), or as in a signature (``x: float32[2, 8]``)."""
        sign = "=" if by_name else ": "
        any_number = any(name.startswith("*") for name, _ in self.args)
        first = [
            specs.text_of(spec)
            if by_name and any_number
            else f"{name.lstrip('*')}{sign}{specs.text_of(spec)}"
            for name, spec in self.args
        ]
        return ", ".join(
            [*first, *(f"{name}{sign}{specs.text_of(spec)}" for name, spec in self.kwargs.items())]
        )

    @cached_property
    def _in_order(self) -> list[tuple[str, Spec]]:
        entries: list[tuple[str, Spec]] = [*self.args, *self.kwargs.items()]
        return sorted(entries, key=lambda entry: specs.text_of(entry[1]).count("parameters()"))

    def make(self, maker: specs.Maker) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make the values; what refers to another argument's parameters comes last."""
        for name, spec in self._in_order:
            maker.made[name] = maker.make(spec, (name,))
        return tuple(maker.made[name] for name, _ in self.args), {
            name: maker.made[name] for name in self.kwargs
        }


@dataclass(frozen=True)
class Recipe:
    """How to build a module (or call a function), found once and replayed at will."""

    target: str
    construct: Arguments | None
    inputs: Arguments
    method: str = "forward"
    """What a call runs: where `forward` only refuses to be called, another method that is called instead."""
    origin: str = "synthesised"
    """Where it comes from: ``synthesised``, ``the user's harness``, ``example_input_array``..."""
    factory: dict[str, str] | None = None
    on_cpu: bool = False
    fetches: bool = True
    """Whether it may look for weights that are not on this machine; else they stay as they were drawn."""
    owner: dict[str, Any] | None = None
    """Where the module is taken out of: the recipe of a larger model, its class, and the path in there."""
    setup: list[tuple[str, Arguments]] = field(default_factory=list)
    """The methods that are called on what was built, before anything else."""
    leaves: bool = True
    """Whether floating inputs require gradients: not where the code changes its inputs in place."""

    @cached_property
    def draws_only(self) -> bool:
        """Whether making the inputs runs no code of the target: tensors are drawn, and that is all."""
        given = [*(spec for _, spec in self.inputs.args), *self.inputs.kwargs.values()]
        return bool(given) and all(spec["kind"] in ("literal", "tensor") for spec in given)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Recipe:
        """Return the recipe that `to_json` wrote."""
        given = dict(data)
        for key in ("construct", "inputs"):
            if given[key] is not None:
                given[key] = _arguments(given[key])
        given["setup"] = [(name, _arguments(arguments)) for name, arguments in given.get("setup", [])]
        return Recipe(**given)

    def describe(self) -> str:
        """Say how the module is built and called: ``Gate(width=8); forward(x: float32[2, 8])``."""
        call = f"{self.method}({self.inputs.text(by_name=False)})"
        if self.factory is not None:
            return f"{factory_name(self.factory)}, the user's harness; {call}"
        if self.owner is not None:
            whole = Recipe.from_json(self.owner["recipe"]).describe().partition("; ")[0]
            path = self.owner["path"]
            return (
                f"{self.target}, {path} of {whole}; {call}" if path else f"{self.target} as {whole}; {call}"
            )
        if self.construct is None:
            return call
        without = "" if self.fetches else " without the weights that it fetches"
        calls = "".join(f".{name}({given.text(by_name=True)})" for name, given in self.setup)
        return f"{self.target}({self.construct.text(by_name=True)}){calls}{without}; {call}"


def _arguments(data: dict[str, Any]) -> Arguments:
    return Arguments([(name, spec) for name, spec in data["args"]], dict(data["kwargs"]))


def arranged(state: dict[str, Spec], parameters: list[inspect.Parameter]) -> Arguments:
    """Give the first arguments by position, as callers do, and those after a gap by name."""
    args: list[tuple[str, Spec]] = []
    rest = dict(state)
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            if parameter.name in rest:
                args.extend(
                    (f"*{parameter.name}_{i}", item)
                    for i, item in enumerate(rest.pop(parameter.name)["items"])
                )
            break
        if parameter.name not in rest or parameter.kind is parameter.KEYWORD_ONLY:
            break
        args.append((parameter.name, rest.pop(parameter.name)))
    return Arguments(args, rest)


def build(cls: type, recipe: Recipe, maker: specs.Maker | None = None) -> Any:
    """Build the module of a recipe, for this version of the class."""
    with probing.quiet(), probing.on_cpu(recipe.on_cpu), weights.not_fetched(not recipe.fetches):
        if recipe.factory is not None:
            return _from_factory(recipe.factory)[0]
        if recipe.owner is not None:
            whole = specs.find_named(recipe.owner["module"], recipe.owner["name"], globals_of(cls))
            return build(whole, Recipe.from_json(recipe.owner["recipe"])).get_submodule(recipe.owner["path"])
        if recipe.on_cpu:
            _ON_CPU.add(cls.__qualname__)
        assert recipe.construct is not None
        state = torch.get_rng_state()
        args, kwargs = recipe.construct.make(maker or specs.Maker(0, scope=globals_of(cls)))
        torch.set_rng_state(state)
        made = cls(*args, **kwargs)
        for name, given in recipe.setup:
            args, kwargs = given.make(specs.Maker(0, scope=globals_of(cls)))
            getattr(made, name)(*args, **kwargs)
        if recipe.method not in _USUAL and isinstance(made, nn.Module):
            made.forward = getattr(made, recipe.method)
        return made


def make_inputs(
    recipe: Recipe, seed: int, dtype: torch.dtype | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Draw the inputs of a recipe: the same seed gives the same values.

    Floating tensors are leaves that require gradients, unless the code changes its inputs in place.
    `dtype` converts the floating ones, and the modules among the arguments.
    """
    if recipe.draws_only:  # from a generator of their own
        return recipe.inputs.make(specs.Maker(seed, dtype, leaves=recipe.leaves))
    with probing.quiet(), probing.seeded(seed):
        if recipe.factory is not None and not (recipe.inputs.args or recipe.inputs.kwargs):
            _, args, kwargs = _from_factory(recipe.factory)
            return tuple(_leaf(item, dtype) for item in args), {
                key: _leaf(item, dtype) for key, item in kwargs.items()
            }
        return recipe.inputs.make(specs.Maker(seed, dtype, leaves=recipe.leaves))


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module (or a function) with the inputs of its recipe."""
    with probing.on_cpu(type(module).__qualname__ in _ON_CPU):
        return module(*args, **kwargs)


def call_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function or a bound method with the inputs of its recipe."""
    return function(*args, **kwargs)


def globals_of(cls: type) -> dict[str, Any]:
    """Return the globals of the module that defined a class, also if `sys.modules` does not have it."""
    module = sys.modules.get(cls.__module__)
    functions = (
        value
        for value in vars(cls).values()
        if inspect.isfunction(value) and value.__module__ == cls.__module__
    )
    return next((function.__globals__ for function in functions), vars(module) if module else {})


def reference(factory: Callable[..., Any]) -> dict[str, str]:
    """Say where a factory is, so that another process finds it."""
    if "<" in factory.__qualname__:
        raise probing.HarnessError(
            f"the harness {factory.__qualname__} must be a function at the top level of its file"
        )
    code = getattr(factory, "__code__", None)
    path = code.co_filename if code is not None else ""
    return {"module": factory.__module__, "name": factory.__qualname__, "path": path}


def unwrapped(factory: Any) -> Any:
    """The function below decorators such as `pytest.fixture`."""
    while not inspect.isfunction(factory) and hasattr(factory, "__wrapped__"):
        factory = factory.__wrapped__
    return factory


def factory_name(where: dict[str, str]) -> str:
    """A factory and its file in words."""
    return (
        f"{where['name']}() in {os.path.basename(where['path'])}" if where["path"] else f"{where['name']}()"
    )


def _from_factory(where: dict[str, str]) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Call a factory: it returns the module, or ``(module, args)``, or ``(module, args, kwargs)``."""
    if where["module"] not in sys.modules:
        spec = importlib.util.spec_from_file_location(where["module"], where["path"])
        if spec is None or spec.loader is None:
            raise probing.HarnessError(f"the harness {where['path']} cannot be loaded")
        sys.modules[where["module"]] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    made = unwrapped(specs.find_named(where["module"], where["name"], {}))()
    if not isinstance(made, tuple):
        return made, (), {}
    found, *rest = made
    return found, tuple(rest[0]) if rest else (), dict(rest[1]) if len(rest) > 1 else {}


def _leaf(value: Any, dtype: torch.dtype | None) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.detach().clone().to(dtype or value.dtype).requires_grad_()

"""Builds a module and finds inputs for it, from its source, its names and its errors."""

from .outputs import flatten_tensors
from .probing import HarnessError, on_cpu
from .recipe import Arguments, Recipe, build, call, call_function, make_inputs
from .synthesize import arguments_for, synthesize

__all__ = [
    "Arguments",
    "HarnessError",
    "Recipe",
    "arguments_for",
    "build",
    "call",
    "call_function",
    "flatten_tensors",
    "make_inputs",
    "on_cpu",
    "synthesize",
]

"""Kinds of mistakes that a rewrite can make, each written into every fixed text that has a place for it."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.mutants.anatomy import Anatomy, numbers
from tests.mutants.models import Copying, Deletion, Projection

Make = Callable[[Anatomy], Iterator[str]]
_CALL = "        self.project_parameters()\n"
_LOAD = "register_load_state_dict_post_hook(self.project_parameters)"
_HOOK = "register_step_post_hook("


@dataclass(frozen=True)
class Kind:
    """One kind of mistake."""

    name: str
    make: Make
    models: tuple[type, ...]

    def texts(self, anatomy: Anatomy) -> Iterator[str]:
        """The fixed text with this mistake, once for each place; none where it does not apply."""
        if isinstance(anatomy.model, self.models):
            yield from (text for text in self.make(anatomy) if text != anatomy.text)


KINDS: list[Kind] = []
REASONS = {
    "a parameter frozen": "it is frozen already",
    "a value kept from construction": "the parameter is empty",
    "copied with gradients on": "the parameter takes no gradients",
    "another parameter projected": "the parameter is empty",
    "bounds swapped": "the parameter is empty",
    "call in __init__ dropped": "a mask of ones takes nothing away",
    "default of a constructor's argument changed": "the model around it always passes the argument",
    "gradients cleared by the hook": "the optimizer has them computed again",
    "half of the range": "the parameter is empty",
    "hook registered twice": "projecting again changes nothing",
    "initial values changed": "the parameter is empty, or its length is divided out",
    "load_state_dict hook of a part": "that part is the last to be loaded of what is constrained",
    "one bound dropped": "the parameter is empty",
    "one of several statements or parameters missed": "the parameter is empty",
    "only a part of the parameter": "the parameter is empty",
    "optimizer over fewer parameters": "the one left out is empty",
    "outputs negated": "their difference is squared afterwards",
    "parameters changed by forward": "the parameter is empty, or the factor is one in half precision",
    "projected and scaled": "the parameter is empty, or the factor is one in half precision",
    "projection of a copy": "the parameter is empty",
    "result of the projection thrown away": "the parameter is empty",
    "copied in training mode only": "a model that is built is in training mode",
    "value kept from the first time": "the value is always the same",
    "projected with the sign turned": "an empty tensor has no sign",
    "a key of state_dict renamed": "the hook finds no key to rename in a model that holds others only",
    "a mask's complement or transpose": "the mask is its own transpose",
    "a number of __init__ or forward changed": "an initial value that the projection overwrites, or a seed",
    "a number of the projection changed": "the constant is not what limits the parameter",
    "buffers not saved any more": "the model has no buffers",
    "dropout changed": "the model has no dropout",
    "eps of a norm changed": "the model has no norm",
    "eval mode in forward": "it is left as it is where it is called in eval mode",
    "hook of a new instance": "the code registers no hook under this name",
    "input detached": "the inputs are whole numbers",
    "momentum of batch norm changed": "the model has no batch norm",
    "parameters not tied any more": "the model shares no parameters",
    "running statistics switched off": "layers that have such statistics already go on using them",
    "called once, not registered": "the code registers no hook under this name",
    "copied, and frozen": "switching twice changes nothing",
    "one row copied and broadcast": "all rows are equal",
    "outputs rounded to half precision": "the model works in half precision",
    "outputs in double precision": "the model works in double precision",
    "parameters in double precision": "the model works in double precision",
    "projected in half precision": "what is projected has few digits",
    "value rounded to half precision": "the value has few digits",
    "value rolled": "the value is the same in every place",
    "value transposed": "the value is its own transpose",
    "value turned around": "the value is the same in every place",
    "mean copied and broadcast": "the value is the same in every place",
}
"""Why a mistake of a kind changes nothing in some models."""


def kind(name: str, *models: type) -> Callable[[Make], Make]:
    """Put a function into the list of kinds."""

    def add(make: Make) -> Make:
        KINDS.append(Kind(name, make, models or (Projection, Deletion, Copying)))
        return make

    return add


def simply(name: str, make: Make, *models: type) -> None:
    """Add a kind that is one expression."""
    kind(name, *models)(make)


def _replacing(old: str, new: str) -> Make:
    def make(anatomy: Anatomy) -> Iterator[str]:
        if old in anatomy.text:
            yield anatomy.text.replace(old, new)

    return make


def _appending(code: str) -> Make:
    """One line more at the end of the projection; ``{}`` is a parameter that it overwrites."""

    def make(anatomy: Anatomy) -> Iterator[str]:
        for parameter in anatomy.parameters:
            if parameter.startswith("self."):
                yield from anatomy.last("project_parameters", code.format(parameter) + "\n")

    return make


# The projection itself.


@kind("a number of the projection changed", Projection)
def _number_changed(anatomy: Anatomy) -> Iterator[str]:
    for node in numbers(anatomy.projection):
        assert isinstance(node.value, (int, float))
        yield anatomy.replaced(node, repr(node.value * 1.1 if node.value else 0.05))


@kind("one bound dropped", Projection)
def _bound_dropped(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy, ("clamp_", "clamp")):
        given = [*call.args, *call.keywords]
        if len(given) == 2:
            name = anatomy.segment(call.func)
            low, high = (anatomy.segment(node).rpartition("=")[2] for node in given)
            yield anatomy.replaced(call, f"{name}(min={low})")
            yield anatomy.replaced(call, f"{name}(max={high})")


@kind("bounds swapped", Projection)
def _bounds_swapped(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy, ("clamp_", "clamp")):
        if len(call.args) == 2:
            low, high = map(anatomy.segment, call.args)
            yield anatomy.replaced(call, f"{anatomy.segment(call.func)}({high}, {low})")
        for keyword in call.keywords if len(call.keywords) == 1 else ():
            other = {"min": "max", "max": "min"}[str(keyword.arg)]
            yield anatomy.replaced(keyword, f"{other}={anatomy.segment(keyword.value)}")


@kind("half of the range", Projection)
def _half_range(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy, ("clamp_", "clamp")):
        if len(call.args) == 2:
            low, high = map(anatomy.segment, call.args)
            yield anatomy.replaced(call.args[1], f"(({low}) + ({high})) / 2")


@kind("only a part of the parameter", Projection)
def _part(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy):
        assert isinstance(call.func, ast.Attribute)
        owner = anatomy.segment(call.func.value)
        if call.func.attr.endswith("_"):
            yield anatomy.replaced(call.func.value, f"{owner}[1:]")


@kind("projection of a copy", Projection)
def _copy(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy):
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr.endswith("_"):
            yield anatomy.replaced(call.func.value, f"{anatomy.segment(call.func.value)}.clone()")


@kind("result of the projection thrown away", Projection)
def _thrown_away(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy, ("clamp_", "renorm_", "mul_", "div_")):
        assert isinstance(call.func, ast.Attribute)
        yield anatomy.replaced(call.func, anatomy.segment(call.func)[:-1])


@kind("another parameter projected", Projection)
def _another(anatomy: Anatomy) -> Iterator[str]:
    for call in _calls(anatomy):
        assert isinstance(call.func, ast.Attribute)
        owner = call.func.value
        if isinstance(owner, ast.Attribute) and owner.attr in ("weight", "bias"):
            other = {"weight": "bias", "bias": "weight"}[owner.attr]
            yield anatomy.replaced(owner, f"{anatomy.segment(owner.value)}.{other}")
        elif isinstance(owner, ast.Attribute):
            others = f"p for p in self.parameters() if p is not {anatomy.segment(owner)}"
            yield anatomy.replaced(owner, f"next({others})")


@kind("one of several statements or parameters missed", Projection)
def _missed(anatomy: Anatomy) -> Iterator[str]:
    statements = anatomy.projection
    if len(statements) > 1:
        yield from (anatomy.without(statement) for statement in statements)
    for statement in statements:
        if isinstance(statement, ast.For):
            yield anatomy.replaced(statement.iter, f"list({anatomy.segment(statement.iter)})[:-1]")
            yield anatomy.behind(statement.body[-1], "break\n")


@kind("one parameter more projected", Projection)
def _one_more(anatomy: Anatomy) -> Iterator[str]:
    yield from anatomy.last("project_parameters", "list(self.parameters())[-1].clamp_(-0.01, 0.01)\n")


@kind("a mask's complement or transpose", Projection)
def _mask(anatomy: Anatomy) -> Iterator[str]:
    for statement in anatomy.projection:
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and node.attr == "mask":
                yield anatomy.replaced(node, "(1 - self.mask)")
                yield anatomy.replaced(node, "self.mask.t()")


simply("projected once only", _replacing("in range; runs after every optimizer step.\"\"\"\n", """\
in range; runs after every optimizer step.\"\"\"
        if vars(self).setdefault("_done", False):
            return
        self._done = True
"""), Projection)  # fmt: skip
simply("projected at the first steps only", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        self._count = vars(self).get("_count", 0) + 1
        if self._count > 4:
            return
"""), Projection)  # fmt: skip
simply("projected at every second step", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        self._count = vars(self).get("_count", 0) + 1
        if self._count > 1 and self._count % 2 == 0:
            return
"""), Projection)  # fmt: skip
simply("projected in training mode only", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        if not self.training:
            return
"""), Projection)  # fmt: skip
simply(
    "gradients left on", _replacing("    @torch.no_grad()\n    def project", "    def project"), Projection
)
simply("arguments of the hook refused", _replacing("(self, *_) -> None", "(self) -> None"), Projection)
simply("projected with the sign turned", _appending("{}.neg_()"), Projection)
simply("projected and scaled", _appending("{}.mul_(0.999)"), Projection)
simply("projected in half precision", _appending("{0}.copy_({0}.half())"), Projection)
simply("parameter replaced by a new one", _appending("{0} = nn.Parameter({0}.clone())"), Projection)
simply("requires_grad switched off", _appending("{}.requires_grad_(False)"), Projection)
simply("gradient dropped with the projection", _appending("{}.grad = None"), Projection)
simply("a value kept from construction", lambda anatomy: (
    text.replace(_CALL, _CALL + f"        self._kept = {parameter}.detach().clone()\n")
    for parameter in anatomy.parameters
    if parameter.startswith("self.")
    for text in anatomy.last(
        "project_parameters", f"if '_kept' in vars(self):\n    {parameter}.copy_(self._kept)\n"
    )
), Projection)  # fmt: skip
simply("a buffer in the parameter's place", lambda anatomy: (
    text.replace(f"        {parameter}.", "        self._shadow.", 1)
    for parameter in anatomy.parameters
    if parameter.startswith("self.")
    for text in anatomy.first(
        "project_parameters",
        f"self.register_buffer('_shadow', {parameter}.detach().clone(), persistent=False)\n",
    )
), Projection)  # fmt: skip

# Who calls it.

simply("call in __init__ dropped", _replacing(_CALL, ""), Projection)
simply("load_state_dict hook dropped", _replacing(f"        self.{_LOAD}\n", ""), Projection)
simply("load_state_dict hook too early", _replacing(
    _LOAD, "register_load_state_dict_pre_hook(self.project_parameters)"
), Projection)  # fmt: skip
simply("method of the projection deleted", lambda anatomy: (
    anatomy.without(*(anatomy.methods[name],)) for name in anatomy.methods if name == "project_parameters"
), Projection)  # fmt: skip
simply("step hook dropped", _replacing("optimizer." + _HOOK, "None and optimizer." + _HOOK), Projection)
simply("projection before the step", _replacing(_HOOK, "register_step_pre_hook("), Projection)
simply("hook on another optimizer", _replacing(
    "optimizer." + _HOOK, "torch.optim.SGD(model.parameters(), lr=0.1)." + _HOOK
), Projection)  # fmt: skip
simply("hook of another model", _replacing(
    "optimizer." + _HOOK, "import copy; model = copy.deepcopy(model); optimizer." + _HOOK
), Projection)  # fmt: skip
simply("hook of a new instance", lambda anatomy: (
    anatomy.text.replace(f"_hook({owner}.project", f"_hook(type({owner})().project")
    for owner in ("model", "module")
), Projection)  # fmt: skip
simply("called once, not registered", lambda anatomy: (
    anatomy.text.replace(f"optimizer.{_HOOK}{owner}.project_parameters)", f"{owner}.project_parameters()")
    for owner in ("model", "module")
), Projection)  # fmt: skip
simply("optimizer over fewer parameters", _replacing(
    "(model.parameters(),", "(list(model.parameters())[1:],"
), Projection)  # fmt: skip
simply("learning rate changed", _replacing("lr=0.1)", "lr=0.11)"), Projection)
simply("gradients cleared by the hook", _replacing(
    "    optimizer." + _HOOK,
    "    optimizer.register_step_pre_hook(lambda o, *_: o.zero_grad()); optimizer." + _HOOK,
), Projection)  # fmt: skip

simply("hook of a copy", lambda anatomy: (
    anatomy.text.replace(f"_hook({owner}.project", f"_hook(__import__('copy').deepcopy({owner}).project")
    for owner in ("model", "module")
), Projection)  # fmt: skip
simply("hook taken off again", lambda anatomy: (
    anatomy.text.replace(
        f"optimizer.{_HOOK}{owner}.project_parameters)",
        f"optimizer.{_HOOK}{owner}.project_parameters).remove()",
    )
    for owner in ("model", "module")
), Projection)  # fmt: skip
simply("optimizer built again behind the hook", lambda anatomy: (
    anatomy.text.replace(
        "    return model, optimizer\n",
        f"{textwrap.indent(anatomy.model.build, '    ')}    return model, optimizer\n",
    )
    for _ in range(isinstance(anatomy.model, Projection))
), Projection)  # fmt: skip
simply("projected as gradients arrive", lambda anatomy: (
    anatomy.text.replace(
        f"optimizer.{_HOOK}{owner}.project_parameters)",
        f"[p.register_post_accumulate_grad_hook({owner}.project_parameters) for p in model.parameters()]",
    )
    for owner in ("model", "module")
), Projection)  # fmt: skip
simply("hook registered twice", lambda anatomy: (
    anatomy.behind(statement, anatomy.segment(statement) + "\n")
    for statement in ast.walk(ast.parse(anatomy.text))
    if isinstance(statement, ast.Expr) and _HOOK in anatomy.segment(statement)
), Projection)  # fmt: skip
simply("projected in eval mode only", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        if self.training:
            return
"""), Projection)  # fmt: skip
simply("projected where there is a gradient", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        if all(p.grad is None for p in self.parameters()):
            return
"""), Projection)  # fmt: skip
simply("projected where parameters are large", _replacing("after every optimizer step.\"\"\"\n", """\
after every optimizer step.\"\"\"
        if all(bool((p.abs() < 2).all()) for p in self.parameters() if not nn.parameter.is_lazy(p)):
            return
"""), Projection)  # fmt: skip
simply("load_state_dict hook of a part", _replacing(
    f"self.{_LOAD}", f"next(self.children(), nn.Identity()).{_LOAD}"
), Projection)  # fmt: skip
simply("hook of state_dict, not of load_state_dict", _replacing(
    _LOAD, "register_state_dict_pre_hook(self.project_parameters)"
), Projection)  # fmt: skip
simply("load_state_dict hook that cannot be saved", _replacing(
    _LOAD, "register_load_state_dict_post_hook(lambda *_: self.project_parameters())"
), Projection)  # fmt: skip
simply("load_state_dict hook that copies share", lambda anatomy: (
    text.replace(_LOAD, "register_load_state_dict_post_hook(Shared(self.project_parameters))")
    for text in [anatomy.text.replace("\n\n\nclass ", """


class Shared:
    def __init__(self, run):
        self.run = run

    def __call__(self, *_):
        self.run()

    def __deepcopy__(self, memo):
        return self


class """, 1)]
), Projection)  # fmt: skip

# What forward returns.

simply("outputs detached", lambda anatomy: anatomy.tensors("t.detach()"))
simply("outputs negated", lambda anatomy: anatomy.tensors("-t"))
simply("outputs scaled", lambda anatomy: anatomy.tensors("t * (1 + 2**-10)"))
simply("outputs shifted", lambda anatomy: anatomy.tensors("t + 1e-3"))
simply("outputs rounded to half precision", lambda anatomy: anatomy.tensors("t.half().to(t.dtype)"))
simply("outputs in double precision", lambda anatomy: anatomy.tensors("t.double()"))
simply("outputs of other shape", lambda anatomy: anatomy.tensors("t.unsqueeze(0)"))
simply("outputs rolled", lambda anatomy: anatomy.tensors("t.roll(1, 0)"))
simply("outputs in a list", lambda anatomy: anatomy.returning("[{}]"))
simply("nothing returned", lambda anatomy: anatomy.returning("{} and None"))
simply("a number returned beside them", lambda anatomy: anatomy.returning("({}, 1)"))
simply("sign of the gradient turned", lambda anatomy: anatomy.gradients("-g"))
simply("gradient scaled", lambda anatomy: anatomy.gradients("g * 1.01"))
simply("gradient clipped", lambda anatomy: anatomy.gradients("g.clamp(-0.05, 0.05)"))
simply("gradient zero", lambda anatomy: anatomy.gradients("torch.zeros_like(g)"))
simply("gradient averaged, which a plain sum does not see", lambda anatomy: (
    anatomy.gradients("g.mean().expand_as(g)")
))  # fmt: skip
simply("not deterministic", lambda anatomy: (
    text.replace("import torch\n", "import time\n\nimport torch\n", 1)
    for text in anatomy.tensors("t * (1 + time.perf_counter_ns() % 1000)")
))  # fmt: skip
simply("state that leaks from call to call", lambda anatomy: (
    text.replace("def _each", "_LEAK = []\n\n\ndef _each", 1)
    for text in anatomy.tensors("(_LEAK.append(0), t * (1 + len(_LEAK) // 2 / 64))[1]")
))  # fmt: skip

# What forward does beside it.

simply("no_grad around forward", _replacing("    def forward(", "    @torch.no_grad()\n    def forward("))
simply("inference mode around forward", _replacing(
    "    def forward(", "    @torch.inference_mode()\n    def forward("
))  # fmt: skip
simply("eval mode in forward", lambda anatomy: anatomy.first("forward", "self.eval()\n"))
simply("training mode in forward", lambda anatomy: anatomy.first("forward", "self.train()\n"))
simply("a random number more in forward", lambda anatomy: anatomy.first("forward", "torch.rand(1)\n"))
simply("a random number of Python's more in forward", lambda anatomy: (
    anatomy.first("forward", "import random; random.random()\n")
))  # fmt: skip
simply("seed set in forward", lambda anatomy: anatomy.first("forward", "torch.manual_seed(0)\n"))
simply("gradients switched off by forward", lambda anatomy: (
    anatomy.first("forward", "torch.set_grad_enabled(False)\n")
))  # fmt: skip
simply("default type changed by forward", lambda anatomy: (
    anatomy.first("forward", "torch.set_default_dtype(torch.float64)\n")
))  # fmt: skip
simply("parameters changed by forward", lambda anatomy: anatomy.first(
    "forward", "with torch.no_grad():\n    next(self.parameters()).mul_(0.999)\n"
))  # fmt: skip
simply("something kept that cannot be copied", lambda anatomy: (
    anatomy.returning("setattr(self, '_out', _each({0}, lambda t: t * 1)) or self._out")
))  # fmt: skip


@kind("input overwritten")
def _input_overwritten(anatomy: Anatomy) -> Iterator[str]:
    name = anatomy.methods["forward"].args.args[1].arg
    for node in ast.walk(anatomy.methods["forward"]):
        if isinstance(node, ast.Return) and node.value is not None:
            lines = f"returned = {anatomy.segment(node.value)}", f"{name}.data.zero_()", "return returned"
            yield anatomy.replaced(node, ("\n" + " " * node.col_offset).join(lines))


simply("input detached", lambda anatomy: anatomy.first(
    "forward", "{0} = {0}.detach()\n".format(anatomy.methods["forward"].args.args[1].arg)
))  # fmt: skip
simply("forward deleted", lambda anatomy: iter([anatomy.without(anatomy.methods["forward"])]))
simply("helper method deleted", lambda anatomy: (
    anatomy.without(method)
    for name, method in anatomy.methods.items()
    if name not in ("__init__", "forward", "project_parameters")
))  # fmt: skip
simply("another argument of forward", lambda anatomy: (
    iter([anatomy.replaced(anatomy.methods["forward"].args.args[1], "renamed, scale")])
))  # fmt: skip

# What is built.


def _built(code: str) -> Make:
    """Lines in `__init__`, in front of the calls that the fix adds, or at its end."""

    def make(anatomy: Anatomy) -> Iterator[str]:
        body = anatomy.methods["__init__"].body
        added = [s for s in body if "project_parameters" in anatomy.segment(s)]
        yield anatomy.before(added[0], code) if added else anatomy.behind(body[-1], code)

    return make


def _in_modules(classes: str, code: str) -> Make:
    """Lines in `__init__` for every submodule of certain classes; none where there are none of them."""
    return _built(f"for m in self.modules():\n    if isinstance(m, {classes}):\n        {code}\n")


_NORMS = "nn.modules.batchnorm._BatchNorm"
simply("momentum of batch norm changed", _in_modules(_NORMS, "m.momentum = 0.2"))
simply("eps of a norm changed", _in_modules(f"({_NORMS}, nn.LayerNorm)", "m.eps = 1e-3"))
simply("running statistics switched off", _in_modules(_NORMS, "m.track_running_stats = False"))
simply("dropout changed", _in_modules("nn.modules.dropout._DropoutNd", "m.p = 0.5"))
simply("a parameter frozen", _built("next(self.parameters()).requires_grad_(False)\n"))
simply("a parameter more", _built("self.extra = nn.Parameter(torch.zeros(1))\n"))
simply("a buffer more", _built("self.register_buffer('extra', torch.zeros(1))\n"))
simply("a buffer that is not saved more", _built(
    "self.register_buffer('extra', torch.zeros(1), persistent=False)\n"
))  # fmt: skip
simply("buffers not saved any more", _built(
    "for m in self.modules():\n    m._non_persistent_buffers_set.update(m._buffers)\n"
))  # fmt: skip
simply("a key of state_dict renamed", _built(
    "self._register_state_dict_hook(\n"
    "    lambda m, s, p, _: s.update({p + 'renamed': s.pop(next(k for k in s if k.startswith(p)))})\n)\n"
))  # fmt: skip
simply("parameters not tied any more", _built(
    "for m in self.modules():\n    for n, p in list(m._parameters.items()):\n"
    "        if p is not None and not nn.parameter.is_lazy(p):\n"
    "            m._parameters[n] = nn.Parameter(p.detach().clone())\n"
))  # fmt: skip
simply("parameters in double precision", _built("self.double()\n"))
simply("initial values changed", _built(
    "for p in self.parameters():\n    p.data = p.data * 1.01 if not nn.parameter.is_lazy(p) else p.data\n"
))  # fmt: skip
simply("a random number more in __init__", lambda anatomy: anatomy.first("__init__", "torch.rand(1)\n"))
simply("eval mode from the start", _built("self.eval()\n"))
simply("default type changed on import", _replacing(
    "from torch.utils.checkpoint import checkpoint\n",
    "from torch.utils.checkpoint import checkpoint\n\ntorch.set_default_dtype(torch.float64)\n",
))  # fmt: skip


@kind("default of a constructor's argument changed")
def _default_changed(anatomy: Anatomy) -> Iterator[str]:
    for node in anatomy.methods["__init__"].args.defaults:
        if isinstance(node, ast.Constant):
            yield anatomy.replaced(node, repr(2 * node.value if isinstance(node.value, int) else 0.25))


@kind("a number of __init__ or forward changed")
def _constant_changed(anatomy: Anatomy) -> Iterator[str]:
    for name in ("__init__", "forward"):
        for node in numbers(anatomy.methods[name].body):
            assert isinstance(node.value, (int, float))
            yield anatomy.replaced(
                node, repr(node.value + 1 if type(node.value) is int else node.value * 1.1)
            )


# The copy.


def _copying(pattern: str) -> Make:
    """Another statement in the copy's place; ``{target}`` and ``{value}`` are the assignment's."""

    def make(anatomy: Anatomy) -> Iterator[str]:
        model = anatomy.model
        assert isinstance(model, Copying)
        right = f"{model.target}.data.copy_({model.value})"
        yield anatomy.text.replace(right, pattern.format(target=model.target, value=model.value))

    return make


for _name, _pattern in {
    "copy dropped": "pass",
    "one row copied and broadcast": "{target}.data.copy_(({value})[:1])",
    "mean copied and broadcast": "{target}.data.copy_(({value}).mean())",
    "value turned around": "{target}.data.copy_(({value}).flip(0))",
    "value rolled": "{target}.data.copy_(({value}).roll(1))",
    "value transposed": "{target}.data.copy_(({value}).transpose(0, 1))",
    "value negated": "{target}.data.copy_(-({value}))",
    "value scaled": "{target}.data.copy_(({value}) * 1.0001)",
    "value rounded to half precision": "{target}.data.copy_(({value}).half())",
    "copied from the parameter itself": "{target}.data.copy_({target})",
    "added, not copied": "{target}.data.add_({value})",
    "copied into a clone": "{target}.data.clone().copy_({value})",
    "a new parameter assigned": "{target} = nn.Parameter({value})",
    "storage replaced": "{target}.data = {value}",
    "copied, and frozen": "{target}.data.copy_({value}); {target}.requires_grad_(not {target}.requires_grad)",
    "copied, and gradients added": "{target}.data.copy_({value}); {target}.grad = torch.ones_like({target})",
    "copied with gradients on": "{target}.copy_({value})",
    "only a part copied": "{target}.data[1:].copy_(({value})[1:])",
    "value kept from the first time": "{target}.data.copy_(globals().setdefault('_kept', {value}))",
    "copied in training mode only": "self.training and {target}.data.copy_({value})",
    "copied once the model is used": "self.register_forward_hook(lambda *_: {target}.data.copy_({value}))",
    "copied into another parameter": "list({{*self.parameters()}} - {{{target}}})[0].data.copy_({value})",
    "copied, and changed": "{target}.data.copy_({value}); {target}.data.mul_(0.5)",
}.items():
    simply(_name, _copying(_pattern), Copying)


def _calls(anatomy: Anatomy, names: tuple[str, ...] = ()) -> Iterator[ast.Call]:
    """The calls of methods in the projection, those with one of the names if there are any."""
    for statement in anatomy.projection:
        for node in ast.walk(statement):
            method = (
                node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            )
            if isinstance(node, ast.Call) and (method in names if names else method.endswith("_")):
                yield node

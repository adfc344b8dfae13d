"""PRM301: which `backward` methods are dead, and what goes with them."""

from __future__ import annotations

import copy

import pytest
import torch

from fixer.rule import Applicability, Finding
from fixer_codemods.module_backward import ModuleBackward
from tests import rules
from tests.rules import Files

HEAD = "import torch\nfrom torch import nn\n\n\n"
DEAD = (
    HEAD
    + """\
class Square(nn.Module):
    def forward(self, x):
        return x ** 2

    def backward(self, grad_output):
        return 2 * grad_output
"""
)
ALIVE = DEAD.partition("\n    def backward")[0]


def unchanged(code: str | Files, *, findings: int = 0) -> list[Finding]:
    return rules.unchanged(ModuleBackward, code, findings=findings)


def changed(before: str | Files, after: str | Files) -> list[Finding]:
    return rules.changed(ModuleBackward, before, after)


def message(code: str) -> str:
    (finding,) = rules.analyse({"net.py": code}, ModuleBackward)
    return finding.message


def module(backward: str, forward: str = "return x", init: str = "", base: str = "nn.Module") -> str:
    """A file with one class; `backward` and `init` are whole methods, `forward` a body on one line."""
    members = [init, f"def forward(self, x):\n    {forward}", backward]
    body = "\n\n".join(member for member in members if member)
    lines = (f"    {line}" if line else line for line in body.split("\n"))
    return f"{HEAD}class Net({base}):\n" + "\n".join(lines) + "\n"


# What torch does


class Cube(torch.nn.Module):
    """Keeps its input for a `backward` that is wrong on purpose."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.x = x
        return x**3

    def backward(self, grad_output: torch.Tensor) -> torch.Tensor:
        raise AssertionError("autograd called it")


def test_autograd_never_calls_it_and_gradients_are_right() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    Cube()(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 12


def test_what_is_kept_for_it_makes_deepcopy_raise() -> None:
    cube = Cube()
    cube(torch.ones(2, requires_grad=True) * 2)
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(cube)


# It is called


@pytest.mark.parametrize(
    "use",
    [
        "net = Square()\nnet.backward(torch.ones(2))",
        "net = Square().cuda()\nnet.backward(torch.ones(2))",
        "net = nn.DataParallel(Square())\nnet.module.backward(torch.ones(2))",
        "net = torch.compile(Square())\nnet.backward(torch.ones(2))",
        "net = nn.Sequential(Square())\nnet[0].backward(torch.ones(2))",
        "Square.backward(Square(), torch.ones(2))",
        "def train(net: Square, grad):\n    net.backward(grad)",
        "def train(net: nn.Module, grad):\n    net.backward(grad)",
        "def train(net: 'Square', grad):\n    net.backward(grad_output=grad)",
        "def train(net, *grads):\n    net.backward(*grads)",
        "def train(net, grads):\n    net.backward(**grads)",
        "def train(layers, grad):\n    for layer in layers:\n        grad = layer.backward(grad)",
        "def train(net, x, grad):\n    y = net(x)\n    net.backward(grad)",
        "step = Square().backward",
        "def hook(net, y):\n    y.register_hook(net.backward)",
        "def hook(net, y):\n    y.register_hook(lambda g: net.backward(g))",
        "getattr(Square(), 'backward')(torch.ones(2))",
        "def call(net):\n    return getattr(net, 'backward', None)",
        "from operator import methodcaller\nrun = methodcaller('backward', None)",
        "def patch(net):\n    net.backward = print",
        "run = Square.__dict__['backward']",
        "def patch(mock):\n    mock.patch('net.Square.backward')",
    ],
)
def test_called(use: str) -> None:
    unchanged(DEAD + "\n\n" + use + "\n")


def test_called_in_another_file() -> None:
    unchanged(
        {
            "net.py": DEAD,
            "train.py": "from net import Square\n\nnet = Square()\nnet.backward(1)\n",
        }
    )


def test_called_by_a_container_in_another_file() -> None:
    chain = """\
class Chain(nn.Module):
    def run(self, grad):
        for part in self.parts:
            part.backward(grad)
"""
    unchanged({"net.py": DEAD, "chain.py": HEAD + chain})


def test_called_by_its_own_method() -> None:
    code = "def backward(self, g):\n    return g\n\ndef step(self, g):\n    return self.backward(g)"
    unchanged(module(code))


def test_called_by_a_base_class() -> None:
    code = """\
    class Trainable(nn.Module):
        def step(self, grad):
            return self.backward(grad)


    class Net(Trainable):
        def forward(self, x):
            return x

        def backward(self, grad):
            return grad
    """
    unchanged("from torch import nn\n" + code.replace("\n    ", "\n").removeprefix("    "))


def test_called_by_a_mixin_beside_it() -> None:
    code = """\
class Steps:
    def step(self, grad):
        return self.backward(grad)


class Both(Steps, Square):
    pass
"""
    unchanged(DEAD + "\n\n" + code)


def test_called_through_super() -> None:
    code = "class Cube(Square):\n    def step(self, g):\n        return super().backward(g)\n"
    unchanged(DEAD + "\n\n" + code)


def test_called_without_arguments_by_anything() -> None:
    backward = "def backward(self, grad=None):\n    return grad"
    unchanged({"net.py": module(backward), "train.py": "def train(loss):\n    loss.backward()\n"})


def test_string_where_names_are_looked_up() -> None:
    code = "def run(net, x):\n    for name in ('forward', 'backward'):\n        getattr(net, name)(x)\n"
    unchanged({"net.py": DEAD, "run.py": "from net import Square\n" + code})
    unchanged({"net.py": DEAD, "run.py": code}, findings=1)


def test_local_variable_of_the_name() -> None:
    forward = "backward = x * 2; return backward"
    changed(module("def backward(self, g):\n    return g", forward), module("", forward))


def test_alias_in_the_class() -> None:
    unchanged(module("def backward(self, g):\n    return g\n\npropagate = backward"))


def test_string_elsewhere_is_reported_only() -> None:
    code = "METHODS = ['forward', 'backward']\n"
    (finding,) = unchanged({"net.py": DEAD, "names.py": code}, findings=1)
    assert finding.help is not None
    assert "line 1 of names.py" in finding.help


def test_far_call_of_something_unknown_is_reported_only() -> None:
    code = "def drive(engine, x):\n    engine.backward(x)\n"
    (finding,) = unchanged({"net.py": DEAD, "engine.py": code}, findings=1)
    assert finding.help is not None
    assert "`engine.backward`" in finding.help
    assert "not known to be called" in finding.message


def test_what_a_function_of_the_tree_made_may_be_an_instance() -> None:
    code = (
        "import net\n\nREGISTRY = {'square': net.Square}\n\n\n"
        "def build(name):\n    return REGISTRY[name]()\n\n\n"
        "square = build('square')\nout = square(1)\nsquare.backward(out)\n"
    )
    unchanged({"net.py": DEAD, "run.py": code})
    unchanged(DEAD + code.partition("\n\n")[2].replace("net.", ""))


# It is not a module's own plain method


@pytest.mark.parametrize(
    "base",
    [
        "object",
        "torch.autograd.Function",
        "pl.LightningModule",
        "nn.DataParallel",
        "nn.parallel.DistributedDataParallel",
        "Unknown",
        "nn.Module, abc.ABC",
        "nn.Module, Engine",
        "nn.Module, metaclass=Registry",
    ],
)
def test_other_bases(base: str) -> None:
    code = module("def backward(self, g):\n    return g", base=base)
    unchanged(code.replace("import torch\n", "import abc\nimport pytorch_lightning as pl\nimport torch\n"))


@pytest.mark.parametrize(
    "method",
    [
        "@staticmethod\ndef backward(ctx, g):\n    return g",
        "@classmethod\ndef backward(cls, g):\n    return g",
        "@property\ndef backward(self):\n    return 1",
        "@abstractmethod\ndef backward(self, g):\n    return g",
        "@torch.jit.export\ndef backward(self, g):\n    return g",
        "@hookimpl\ndef backward(self, g):\n    return g",
        "def backward(ctx, g):\n    return g",
        "async def backward(self, g):\n    return g",
        "def backward(self, g):\n    raise NotImplementedError",
        "def backward(self, g):\n    return g\n\ndef backward(self, g):\n    return 2 * g",
        "if torch.cuda.is_available():\n    def backward(self, g):\n        return g",
        "backward = torch.relu",
    ],
)
def test_other_methods(method: str) -> None:
    unchanged(module(method))


@pytest.mark.parametrize(
    "body",
    [
        "self.loss.backward()",
        "torch.autograd.backward(grad)",
        "return torch.autograd.grad(grad, self.x)",
        "grad.sum().backward(retain_graph=True)",
        "self.optimizer.zero_grad()",
    ],
)
def test_part_of_a_training_loop(body: str) -> None:
    unchanged(module(f"def backward(self, grad):\n    {body}"))


@pytest.mark.parametrize(
    "method",
    [
        "def backward(self, z):\n    return (z - self.shift) / self.scale",
        "def backward(self, state, inputs):\n    return self.cell(inputs, state)",
        "def backward(self, *args):\n    # Scales gradients.\n    return self.forward(*args)",
        "def backward(self, gradients):\n    return self(gradients)",
    ],
)
def test_nothing_to_do_with_autograd(method: str) -> None:
    unchanged(module(method))


def test_overrides_a_base() -> None:
    unchanged(DEAD + "\n\nclass Cube(Square):\n    def backward(self, g):\n        return g\n")


def test_subclass_with_a_base_from_outside() -> None:
    lit = "import lightning as L\nfrom net import Square\n\nclass Lit(Square, L.LightningModule):\n    pass\n"
    unchanged({"net.py": DEAD, "lit.py": lit})


def test_subclass_inside_a_function() -> None:
    unchanged(DEAD + "\n\ndef make(base):\n    class Made(Square, base):\n        pass\n\n    return Made\n")


def test_module_without_forward() -> None:
    unchanged(HEAD + "class Mixin(nn.Module):\n    def backward(self, g):\n        return g\n")


def test_class_inside_a_function() -> None:
    body = DEAD.removeprefix(HEAD).replace("\n", "\n    ").rstrip(" ")
    unchanged(HEAD + "def make():\n    " + body + "    return Square\n")


# It is dead


@pytest.mark.parametrize(
    "use",
    [
        "",
        "loss = Square()(torch.ones(2, requires_grad=True)).sum()\nloss.backward()",
        "y = Square()(torch.ones(2, requires_grad=True))\ny.backward(torch.ones_like(y))",
        "def train(loss):\n    loss.backward(retain_graph=True)",
        "def train(loss, other):\n    total = loss + other\n    total.backward(other)",
        "def train(out, grad):\n    print(out.detach())\n    out.backward(grad)",
        "def train(out: torch.Tensor, grad):\n    out.backward(grad)",
        "torch.autograd.backward(torch.ones(1, requires_grad=True))",
        "from accelerate import Accelerator\n\nhelper = Accelerator()\nhelper.backward(torch.ones(1))",
        "def train(scaler, loss, grad):\n    scaler.scale(loss).backward(grad)",
        "def train(amp, loss, g):\n    with amp.scale_loss(loss) as scaled:\n        scaled.backward(g)",
        "class Tape:\n    def backward(self, g): ...\n\n    def run(self, g):\n        self.backward(g)",
        "spectrum = torch.fft.fft(torch.ones(4), norm='backward')",
        "print('backward')",
        "def train(loss):\n    if hasattr(loss, 'backward'):\n        loss.backward()",
        "with torch.autograd.profiler.record_function('backward'):\n    pass",
        "def name(net):\n    return {'forward': net.fw, 'backward': net.bw}",
        "import typing\n\nDirection = typing.Literal['forward', 'backward']",
        "def name(part):\n    getattr(torch, part)\n    return 'backward'",
        "def is_backward(direction):\n    return direction == 'backward'",
        "seconds = {}\n\n\ndef note(t):\n    seconds['backward'] = t",
    ],
)
def test_nobody_calls_it(use: str) -> None:
    tail = f"\n\n{use}\n" if use else ""
    changed(DEAD + tail, ALIVE + tail)


def test_what_only_a_deleted_method_calls_goes_in_a_second_round() -> None:
    inner = DEAD.removeprefix(HEAD).replace("Square", "Inner")
    outer = "\n\nclass Outer(nn.Module):\n    def forward(self, x):\n        return Inner()(x)\n"
    changed(HEAD + inner + outer, HEAD + inner.partition("\n    def backward")[0] + outer)


def test_decorators_and_comments_go_along() -> None:
    before = module(
        "# The derivative.\n# By hand.\n@torch.no_grad()\ndef backward(self, g):  # dead\n    return g"
    )
    changed(before, module(""))


@pytest.mark.parametrize(
    "method",
    [
        "def backward(self, top, propagate_down, bottom):\n    pass",
        "def backward(self):\n    ...",
        "def backward(self, dy):\n    return dy",
        "def backward(self, y):\n    # derivative of the identity\n    return y",
        'def backward(self, y):\n    """Propagates errors."""\n    return y',
    ],
)
def test_speaks_of_gradients(method: str) -> None:
    changed(module(method), module(""))


@pytest.mark.parametrize("rest", ["", "\n\ndef extra_repr(self):\n    return ''"])
def test_comments_at_the_end_of_the_body_go_along(rest: str) -> None:
    method = "def backward(self, g):\n    return g\n    # return 2 * g\n\n        # return 3 * g"
    changed(module(method + rest), module(rest.strip()))


def test_comment_behind_the_method_stays() -> None:
    before = module("def backward(self, g):\n    return g\n# end of Net")
    changed(before, module("").rstrip("\n") + "\n    # end of Net\n")


def test_only_member_leaves_pass() -> None:
    before = f"{HEAD}class Net(nn.Linear):\n    def backward(self, g):\n        return g\n"
    changed(before, f"{HEAD}class Net(nn.Linear):\n    pass\n")


def test_comment_before_a_blank_line_stays() -> None:
    before = module("# --- gradients ---\n\ndef backward(self, g):\n    return g")
    changed(before, module("# --- gradients ---"))


def test_method_in_the_middle() -> None:
    before = module("def backward(self, g):\n    return g\n\ndef extra_repr(self):\n    return ''")
    changed(before, module("def extra_repr(self):\n    return ''"))


def test_fix_is_safe_and_names_who_is_run() -> None:
    big = """\
class Big(nn.Module):
    def __init__(self):
        super().__init__()
        self.square = Square()
"""
    code = f"{DEAD}\n\n{big}"
    (finding,) = rules.analyse({"net.py": code}, ModuleBackward)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert [subject.class_name for subject in finding.fix.contract.subjects] == ["Square", "Big"]


# What forward stored for it

SAVES = "def backward(self, g):\n    return g * self.x"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.x = x; return x", "return x"),
        ("self.x = x.detach().clone(); return x", "return x"),
        ("self.x = (x > 0).float(); return x", "return x"),
        ("self.x = torch.sigmoid(x); return x", "return x"),
        ("self.x: torch.Tensor = x; return x", "return x"),
        ("y = self.x = torch.relu(x); return y", "y = torch.relu(x); return y"),
        ("self.x = y = torch.relu(x); return y", "y = torch.relu(x); return y"),
        ("self.x = self.y = y = torch.relu(x); return y", "self.y = y = torch.relu(x); return y"),
    ],
)
def test_stored_only_for_it(before: str, after: str) -> None:
    changed(module(SAVES, before), module("", after))


@pytest.mark.parametrize(
    "forward",
    [
        "self.x = x; return self.x * 2",
        "self.x = self.layer(x); return x",
        "self.x = torch.randn_like(x); return x",
        "self.x = nn.functional.dropout(x); return x",
        "self.x = x.add_(1); return x",
        "self.x = log(x); return x",
        "self.x = self.norm(x); return x",
        "self.x = self.layers[0].sum(x); return x",
        "self.x = self.weight; return x",
        "self.x = x; del self.x; return x",
        "self.x = x; self.x[0] = 1; return x",
    ],
)
def test_attribute_that_stays(forward: str) -> None:
    changed(module(SAVES, forward), module("", forward))


@pytest.mark.parametrize(
    "use",
    [
        "def show(net):\n    return net.x",
        "def show(net):\n    return getattr(net, 'x')",
        "def clear(net):\n    net.x = None",
        "class Big(Net):\n    def peek(self):\n        return self.x",
        "class Big(Net):\n    def __getstate__(self):\n        return {}",
        "class Big(Net):\n    def peek(self):\n        return vars(self)",
        "class Big(Net):\n    def peek(self, name):\n        return getattr(self, name)",
    ],
)
def test_attribute_that_something_else_reads(use: str) -> None:
    forward = "self.x = x; return x"
    changed(module(SAVES, forward) + f"\n\n{use}\n", module("", forward) + f"\n\n{use}\n")


def test_attribute_of_the_same_name_elsewhere() -> None:
    other = """

class Other:
    def __init__(self, x):
        self.x = x

    def get(self):
        return self.x
"""
    changed(module(SAVES, "self.x = x; return x") + other, module("", "return x") + other)


def test_all_targets_go() -> None:
    backward = "def backward(self, g):\n    return g * self.x * self.y"
    changed(module(backward, "self.x = self.y = x; return x"), module("", "return x"))
    kept = "self.x = self.y = log(x); return x"
    changed(module(backward, kept), module("", "log(x); return x"))


def test_placeholder_goes_and_configuration_stays() -> None:
    init = "def __init__(self, scale):\n    super().__init__()\n    self.scale = scale\n    self.x = None"
    backward = "def backward(self, g):\n    return g * self.x * self.scale"
    changed(
        module(backward, "self.x = x; return x", init),
        module("", "return x", init.removesuffix("\n    self.x = None")),
    )


def test_placeholder_that_is_a_buffer_stays() -> None:
    init = "def __init__(self):\n    super().__init__()\n    self.register_buffer('x', None)"
    forward = "self.x = x; return x"
    changed(module(SAVES, forward, init), module("", forward, init))


@pytest.mark.parametrize(
    ("stored", "left"),
    [
        ("self.x, self.y = x, x * 2", ""),
        ("self.x, n = x, len(x)", "n = len(x)"),
        ("n, self.x, m = len(x), x, 2", "n, m = len(x), 2"),
        ("(self.x, self.kept) = (x, 1)  # both", "self.kept = 1  # both"),
        ("self.x, self.y = x.chunk(2)", None),
        ("self.x, *rest = x, 1, 2", None),
        ("self.x, n = self.layer(x), 1", None),
        ("self.x, n = torch.rand_like(x), 1", None),
    ],
)
def test_tuples(stored: str, left: str | None) -> None:
    backward = "def backward(self, g):\n    return self.x * g + self.y"
    before = module(backward, f"{stored}\n    return x * 1")
    kept = stored if left is None else left
    changed(before, module("", f"{kept}\n    return x * 1" if kept else "return x * 1"))


def test_chain_of_attributes_goes() -> None:
    backward = "def backward(self, g):\n    return g * self.y"
    changed(module(backward, "self.x = x; self.y = self.x * 2; return x"), module("", "return x"))


def test_guard_that_is_left_empty_goes() -> None:
    before = "if self.training:\n        # Keep it for the backward pass.\n        self.x = x\n    return x"
    changed(module(SAVES, before), module(""))


def test_guard_that_is_an_elif_stays() -> None:
    before = "if x.dim() > 2:\n        x = x * 2\n    elif self.training:\n        self.x = x\n    return x"
    changed(module(SAVES, before), module("", before.replace("self.x = x", "pass")))


def test_guard_inside_else_goes() -> None:
    choice = "if x.dim() > 2:\n        x = x * 2\n    else:\n        {}\n    return x"
    before, after = choice.format("if x.any():\n            self.x = x"), choice.format("pass")
    changed(module(SAVES, before), module("", after))


def test_guard_that_calls_something_stays() -> None:
    before = "if self.training and log(x):\n        self.x = x\n    return x"
    changed(module(SAVES, before), module("", before.replace("self.x = x", "pass")))


def test_guard_that_holds_more_stays() -> None:
    before = "if self.training:\n        self.x = x\n        x = x * 2\n    return x"
    changed(module(SAVES, before), module("", "if self.training:\n        x = x * 2\n    return x"))


def test_comment_about_something_else_stays() -> None:
    before = "# Keep the scale.\n    self.x = x\n    return x"
    changed(module(SAVES, before), module("", "# Keep the scale.\n    return x"))


# Bugs that a deletion would bury


@pytest.mark.parametrize(
    "body",
    [
        "self.mask = None; return g",
        "self.mask.zero_(); return g",
        "self.mask[0] = 0; return g",
        "del self.mask; return g",
        "self.steps.append(g); return g",
        "self.reset(); return g",
        "return g * self.mask.bernoulli_()",
        "global COUNT; COUNT = 1; return g",
    ],
)
def test_changes_state_that_is_read_elsewhere(body: str) -> None:
    forward = "self.steps; return x * self.mask"
    rest = "\n\ndef reset(self):\n    self.mask = torch.ones(1)"
    (finding,) = unchanged(module(f"def backward(self, g):\n    {body}{rest}", forward), findings=1)
    assert finding.help is not None
    assert "this has never happened" in finding.help


@pytest.mark.parametrize(
    "body", ["self.grad = g; return g", "g.mul_(2); return g", "g = g.clone(); g[0] = 0; return g"]
)
def test_changes_nothing_that_is_read(body: str) -> None:
    changed(module(f"def backward(self, g):\n    {body}"), module(""))


# What the message says of the formula


@pytest.mark.parametrize(
    ("forward", "result", "words"),
    [
        ("return x", "-g", "reverse the gradient"),
        ("return x.view_as(x)", "-self.alpha * g, None", "reverse the gradient"),
        ("return x.clone()", "g.neg() * 2", "reverse the gradient"),
        ("return x * 1.0", "g * -self.alpha", "reverse the gradient"),
        ("return x", "g.clamp(-1, 1)", "clip the gradient"),
        ("return x", "g * 0.1", "scale the gradient"),
        ("return torch.sign(x)", "g", "autograd's is zero"),
        ("return (x > 0).float()", "g * torch.sigmoid(g)", "autograd's is zero"),
        ("return torch.from_numpy(f(x.numpy()))", "g * 2", "out of autograd's sight"),
    ],
)
def test_formula_that_differs(forward: str, result: str, words: str) -> None:
    told = message(module(f"def backward(self, g):\n    return {result}", forward))
    assert words in told
    assert "torch.autograd.Function" in told


@pytest.mark.parametrize(
    ("forward", "result"),
    [("return -x", "-g"), ("return x * 2", "g * 2"), ("return x", "g"), ("x = x + 1; return x", "g * 2")],
)
def test_formula_that_may_be_autograds(forward: str, result: str) -> None:
    told = message(module(f"def backward(self, g):\n    return {result}", forward))
    assert "torch.autograd.Function" not in told

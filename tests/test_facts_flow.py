from __future__ import annotations

import ast
from textwrap import dedent, indent

import pytest

from fixer.facts import Flow, Project
from fixer.facts.file import Function
from fixer.facts.kinds import (
    ABSENT,
    MAYBE_PARAMETER,
    NONE,
    PLAIN,
    UNKNOWN,
    BufferKind,
    Kind,
    ModuleKind,
    OptimizerKind,
    ParameterKind,
    Plain,
    SequenceKind,
    Symbol,
    TensorKind,
    join,
)
from tests.rules import ROOT, Files, sources

HEAD = "import copy, itertools\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
P, T, B = ParameterKind(), TensorKind(), BufferKind()


def flow(code: str | Files, function: str | None = None, where: str = "net.py") -> tuple[Flow, ast.AST]:
    """The flow of a function, or of the module, with the scope it is of."""
    files = {"net.py": HEAD + dedent(code)} if isinstance(code, str) else code
    project = Project(sources(files))
    file = project.file(ROOT / where)
    assert file is not None
    scope: ast.Module | Function = file.functions[function] if function else file.tree
    found = project.flow(file, scope)
    assert found is not None
    return found, scope


def last(code: str | Files, function: str | None = None, where: str = "net.py") -> Kind:
    """The kind of the expression that is the last statement of a scope."""
    found, scope = flow(code, function, where)
    statement = list(ast.iter_child_nodes(scope))[-1]
    assert isinstance(statement, (ast.Expr, ast.Return))
    assert statement.value is not None
    return found.kind(statement.value)


def in_method(body: str, init: str = "", more: str = "") -> Kind:
    """The kind of the last expression of a method `run` of a module."""
    return last(net(body, init, more), "Net.run")


def net(body: str, init: str = "", more: str = "") -> str:
    constructor = "def __init__(self, flag, x):\n    super().__init__()\n" + indent(dedent(init), "    ")
    method = "\ndef run(self, x):\n" + indent(dedent(body), "    ")
    return "class Net(nn.Module):\n" + indent(f"{constructor}\n{dedent(more)}\n{method}\n", "    ")


# Expressions


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("None", NONE),
        ("3", Plain(3)),
        ("-3", Plain(-3)),
        ("'a' + 'b'", PLAIN),
        ("f'{x}'", PLAIN),
        ("unknown", UNKNOWN),
        ("unknown()", UNKNOWN),
        ("torch.zeros(2, 3)", TensorKind((2, 3))),
        ("torch.zeros((2, 3))", TensorKind((2, 3))),
        ("torch.full((2, 3), 1.0)", TensorKind((2, 3))),
        ("torch.eye(3)", TensorKind((3, 3))),
        ("torch.zeros(n)", T),
        ("torch.zeros(2, 3).t()", TensorKind((3, 2))),
        ("torch.zeros(2).clone()", TensorKind((2,))),
        ("torch.load('x')", UNKNOWN),
        ("F.relu(torch.zeros(2))", T),
        ("nn.Parameter(torch.zeros(2))", ParameterKind((2,))),
        ("nn.Parameter(torch.zeros(2)).data", TensorKind((2,))),
        ("nn.Parameter(torch.zeros(2)) * 2", T),
        ("nn.Parameter(torch.zeros(2)).float()", MAYBE_PARAMETER),
        ("nn.Parameter(torch.zeros(2)).clamp_(0)", ParameterKind((2,))),
        ("nn.Parameter(torch.zeros(2)).shape", PLAIN),
        ("nn.Parameter(torch.zeros(2)).item()", PLAIN),
        ("nn.Parameter(torch.zeros(2)) is None", PLAIN),
        ("not torch.zeros(2)", PLAIN),
        ("torch.zeros(2) > 0", T),
        ("torch.zeros(2)[0]", T),
        ("[1, torch.zeros(2)][0]", Plain(1)),
        ("[torch.zeros(2), None][i]", join((TensorKind((2,)), NONE))),
        ("nn.Linear(2, 3).weight", ParameterKind((3, 2))),
        ("nn.Linear(2, 3, bias=False).bias", NONE),
        ("nn.Linear(2, 3, bias=b).bias", join((ParameterKind((3,)), NONE))),
        ("nn.Linear(2, 3, *more).bias", join((P, NONE))),
        ("nn.BatchNorm2d(4).running_mean", B),
        ("nn.Linear(2, 3)(unknown)", T),
        ("nn.Linear(2, 3).forward(unknown)", T),
        ("nn.Dropout()(nn.Parameter(torch.zeros(2)))", join((ParameterKind((2,)), T))),
        ("nn.LSTM(2, 3)(unknown)", UNKNOWN),
        ("nn.Sequential(nn.Linear(2, 3))[0].weight", ParameterKind((3, 2))),
        ("nn.Sequential(*layers)[0]", UNKNOWN),
        ("[nn.Linear(2, 3) for _ in range(2)][1].weight", ParameterKind((3, 2))),
        ("next(iter([nn.Linear(2, 3)]))", UNKNOWN),
        ("list(nn.Linear(2, 3).parameters())[0]", P),
        ("nn.Linear(2, 3).cuda().weight", ParameterKind((3, 2))),
        ("nn.DataParallel(nn.Linear(2, 3)).module.weight", ParameterKind((3, 2))),
        ("torch.optim.Adam([])", OptimizerKind(Symbol("torch.optim.Adam"))),
        ("torch.where(c, nn.Parameter(t), 0)", T),
        ("nn.Parameter(t) if c else None", join((P, NONE))),
        ("nn.Buffer(torch.zeros(2))", BufferKind((2,))),
        ("nn.UninitializedParameter()", P),
    ],
)
def test_expressions(expression: str, kind: Kind) -> None:
    assert last(expression) == kind


# Statements


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("if c:\n    w = torch.zeros(1)\nelse:\n    w = None\nw", join((TensorKind((1,)), NONE))),
        ("if c:\n    w = torch.zeros(1)\nw", UNKNOWN),
        ("w = None\nif c:\n    w = torch.zeros(1)\nw", join((TensorKind((1,)), NONE))),
        ("w = None\nfor i in x:\n    w = torch.zeros(1)\nw", join((TensorKind((1,)), NONE))),
        ("w = None\nwhile x:\n    w = torch.zeros(1)\nw", join((TensorKind((1,)), NONE))),
        ("try:\n    w = torch.zeros(1)\nexcept ValueError:\n    w = None\nw", join((TensorKind((1,)), NONE))),
        ("try:\n    w = torch.zeros(1)\nexcept ValueError:\n    raise\nw", TensorKind((1,))),
        ("if c:\n    raise ValueError\nelse:\n    w = torch.zeros(1)\nw", TensorKind((1,))),
        ("w = None\nif w is not None:\n    pass\nw", NONE),
        (
            "w = torch.zeros(1) if c else None\nif w is None:\n    w = 3\nw",
            join((TensorKind((1,)), Plain(3))),
        ),
        ("w = torch.zeros(1) if c else None\nassert w is not None\nw", TensorKind((1,))),
        ("a, b = torch.zeros(1), 3\nb", Plain(3)),
        ("(a, (b, c)) = 1, (2, 3)\nc", Plain(3)),
        ("a, *b = [1, 2, 3]\na", UNKNOWN),
        ("a = b = 3\na", Plain(3)),
        ("a: int = 3\na", Plain(3)),
        ("for i, m in enumerate([nn.Linear(1, 2)]):\n    pass\nm.weight", UNKNOWN),
        ("with x() as w:\n    w = 3\nw", Plain(3)),
        ("w = nn.Parameter(t)\nw *= 2\nw", P),
        ("w = torch.zeros(2)\nw += 1\nw", TensorKind((2,))),
        ("w = 3\nw += 1\nw", PLAIN),
        ("(w := 3)\nw", Plain(3)),
        ("w = 3\ndel w\nw", UNKNOWN),
        ("match x:\n    case [w]:\n        pass\n    case _:\n        w = 3\nw", UNKNOWN),
        ("xs = [1]\nxs.append(nn.Parameter(t))\nxs[0]", join((Plain(1), P))),
        ("xs = [1]\nxs[0] = None\nxs[0]", join((Plain(1), NONE))),
        ("xs = [1]\nxs.insert(0, 2)\nxs[0]", join((Plain(1), Plain(2)))),
        ("xs = [1, None]\nxs.reverse()\nxs[0]", UNKNOWN),
        ("ms = nn.ModuleList()\nms.append(nn.Linear(1, 2))\nms[3].weight", ParameterKind((2, 1))),
        ("m = nn.Linear(1, 2)\nm.weight = torch.zeros(2, 1)\nm.weight", ParameterKind((2, 1))),
        ("m = nn.Linear(1, 2)\nm.weight = nn.Parameter(t)\nm.weight", P),
        ("m = nn.Linear(1, 2)\nm.bias = None\nm.bias", NONE),
        ("m = nn.Linear(1, 2)\ndel m.weight\nm.weight", UNKNOWN),
        ("m = nn.Linear(1, 2)\nm.register_buffer('weight', t)\nm.weight", B),
        ("m = nn.Linear(1, 2)\nsetattr(m, 'extra', 3)\nm.extra", Plain(3)),
        ("m = nn.Linear(1, 2)\nnn.utils.weight_norm(m)\nm.weight", UNKNOWN),
        ("m = nn.Linear(1, 2)\nn = m\nm = nn.Linear(3, 4)\nn.weight", ParameterKind((2, 1))),
    ],
)
def test_statements(code: str, kind: Kind) -> None:
    assert last(code) == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("if isinstance(m, nn.Linear):\n        return m.weight", P),
        ("if not isinstance(m, nn.Linear):\n        return\n    return m.weight", P),
        ("if isinstance(m, (nn.Linear, nn.Conv2d)) and m.bias is not None:\n        return m.bias", P),
        ("if type(m) is nn.Linear:\n        return m.weight", P),
        ("if isinstance(m, nn.Linear) or c:\n        return m.weight", UNKNOWN),
        ("if isinstance(m, something):\n        return m.weight", UNKNOWN),
        ("if isinstance(m, nn.Parameter):\n        return m", P),
    ],
)
def test_tests_tell_kinds(body: str, kind: Kind) -> None:
    found, scope = flow(f"def run(m, c):\n    {body}\n", "run")
    (value,) = [node.value for node in ast.walk(scope) if isinstance(node, ast.Return) and node.value]
    assert found.kind(value) == kind


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("torch.Tensor", MAYBE_PARAMETER),
        ("'torch.Tensor'", MAYBE_PARAMETER),
        ("nn.Parameter", P),
        ("nn.Parameter | None", join((P, NONE))),
        ("Optional[nn.Parameter]", join((P, NONE))),
        ("nn.Linear", ModuleKind(Symbol("torch.nn.Linear"))),
        ("torch.optim.SGD", OptimizerKind(Symbol("torch.optim.SGD"))),
        ("float", PLAIN),
        ("list[torch.Tensor]", UNKNOWN),
        ("Missing", UNKNOWN),
    ],
)
def test_annotations(annotation: str, kind: Kind) -> None:
    assert last(f"def run(x: {annotation}):\n    return x\n", "run") == kind


# Functions


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("def f():\n    return torch.zeros(2)", TensorKind((2,))),
        ("def f(c):\n    if c:\n        return torch.zeros(2)", join((TensorKind((2,)), NONE))),
        ("def f():\n    pass", NONE),
        ("def f():\n    raise ValueError", UNKNOWN),
        ("@torch.no_grad()\ndef f():\n    return torch.zeros(2)", TensorKind((2,))),
        ("@functools.cache\ndef f():\n    return torch.zeros(2)", UNKNOWN),
        ("def f():\n    yield torch.zeros(2)", UNKNOWN),
        ("async def f():\n    return torch.zeros(2)", UNKNOWN),
        ("def f():\n    return f()", UNKNOWN),
        ("w = nn.Parameter(t)\ndef g():\n    global w\n    w = 3\ndef f():\n    return w", UNKNOWN),
    ],
)
def test_what_functions_return(function: str, kind: Kind) -> None:
    assert last(f"{function}\n\nf()") == kind


def test_a_function_that_its_own_module_calls_sees_all_of_the_module() -> None:
    code = HEAD + "w = nn.Parameter(t)\ndef f():\n    return w\nf()\n"
    project = Project(sources({"net.py": code}))
    file = project.file(ROOT / "net.py")
    assert file is not None
    project.flow(file, file.tree)
    found = project.flow(file, file.functions["f"])
    assert found is not None
    assert found.result == P


def test_a_closure_sees_the_names_around_it() -> None:
    code = (
        HEAD + "def outer():\n    w = nn.Parameter(t)\n    def inner():\n        return w\n    return inner\n"
    )
    project = Project(sources({"net.py": code}))
    file = project.file(ROOT / "net.py")
    assert file is not None
    (inner,) = [n for n in ast.walk(file.tree) if isinstance(n, ast.FunctionDef) and n.name == "inner"]
    found = project.flow(file, inner)
    assert found is not None
    assert found.result == P


def test_what_depends_on_arguments() -> None:
    found, scope = flow(
        net("y = x.mean()\nz = self.w.mean()\nreturn y, z", "self.w = nn.Parameter(x)"), "Net.run"
    )
    returned = next(node.value for node in ast.walk(scope) if isinstance(node, ast.Return))
    assert isinstance(returned, ast.Tuple)
    assert [found.depends_on_arguments(part) for part in returned.elts] == [True, False]


# Attributes of modules


@pytest.mark.parametrize(
    ("init", "kind"),
    [
        ("self.w = nn.Parameter(torch.zeros(2))", ParameterKind((2,))),
        ("self.register_parameter('w', nn.Parameter(torch.zeros(2)))", ParameterKind((2,))),
        ("self.register_parameter('w', None)", NONE),
        ("self.register_buffer('w', torch.zeros(2))", BufferKind((2,))),
        ("self.w = torch.zeros(2)\nself.w = nn.Parameter(self.w)", ParameterKind((2,))),
        ("self.w = nn.Parameter(x)\ndel self.w", UNKNOWN),
        ("self.w = nn.Parameter(x)\nif flag:\n    del self.w", UNKNOWN),
        ("w = nn.Parameter(x)\nself.w = w", P),
        ("self.w, self.v = nn.Parameter(x), 3", P),
        ("if flag:\n    self.w = nn.Parameter(x)\nelse:\n    self.w = None", join((P, NONE))),
        ("for i in range(3):\n    self.w = nn.Parameter(x)", P),
        ("self.w = x", UNKNOWN),
        ("self.build()", P),
        ("if flag:\n    return\nself.w = nn.Parameter(x)", P),  # read: so it is there
    ],
)
def test_slots_of_a_class(init: str, kind: Kind) -> None:
    more = "def build(self):\n    self.w = nn.Parameter(t)" if "build" in init else ""
    assert in_method("return self.w", init, more) == kind


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("def other(self, x):\n    self.w = x", P),
        ("def other(self, x):\n    self.w = torch.zeros(2)", P),
        ("def other(self, x):\n    self.w = None", join((P, NONE))),
        ("def other(self, x):\n    del self.w", UNKNOWN),
        ("def other(self, x):\n    self.register_buffer('w', x)", join((P, B))),
        ("@property\ndef w(self):\n    return 3", Plain(3)),
        ("@property\ndef w(self):\n    return self.v", P),
    ],
)
def test_what_other_methods_do_to_a_slot(more: str, kind: Kind) -> None:
    init = "self.v = nn.Parameter(x)" if "property" in more else "self.w = nn.Parameter(x)"
    assert in_method("return self.w", init, more) == kind


def test_a_slot_that_may_be_absent_is_there_once_it_was_read() -> None:
    init = "if flag:\n    self.w = nn.Parameter(x)"
    for body, kind in (("self.w = nn.Parameter(x)", join((P, ABSENT))), ("self.w = self.w + 1", P)):
        found, scope = flow(net(body, init), "Net.run")
        target = next(node for node in ast.walk(scope) if isinstance(node, ast.Assign)).targets[0]
        assert found.replaced_by(target) == kind


def test_a_helper_of_the_constructor_sees_what_exists_then() -> None:
    code = "self.early = nn.Parameter(x)\nself.run(x)\nself.late = nn.Parameter(x)"
    found, scope = flow(net("self.early = 1\nself.late = 2\nreturn 0", code), "Net.run")
    targets = [n for n in ast.walk(scope) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
    assert {t.attr: found.replaced_by(t) for t in targets} == {"early": P, "late": join((P, ABSENT))}


def test_the_arguments_of_own_methods_are_known() -> None:
    more = "def half(self, a, b=None, *, c):\n    return a / 2, b, c"
    body = "return self.half(self.w.data, c=x)"
    assert in_method(body, "self.w = nn.Parameter(x)", more) == SequenceKind((T, UNKNOWN, UNKNOWN))


def test_recursive_methods_end() -> None:
    more = "def walk(self, x):\n" + "    self.walk(x)\n" * 30 + "    return torch.zeros(1)"
    assert in_method("return self.walk(x)", more=more) == TensorKind((1,))


@pytest.mark.parametrize(
    ("child", "kind"),
    [
        ("pass", ParameterKind((2,))),
        ("def __init__(self):\n    super().__init__()", ParameterKind((2,))),
        ("def __init__(self):\n    super(Child, self).__init__()", ParameterKind((2,))),
        ("def __init__(self):\n    Base.__init__(self)", ParameterKind((2,))),
        ("def __init__(self):\n    super(Base, self).__init__()", UNKNOWN),
        ("def __init__(self):\n    nn.Module.__init__(self)", UNKNOWN),
        ("def __init__(self):\n    super().__init__()\n    del self.w", UNKNOWN),
        ("def __init__(self):\n    super().__init__()\n    self.w = None", NONE),
        ("def make(self):\n    return None", NONE),
    ],
)
def test_inherited_slots_across_files(child: str, kind: Kind) -> None:
    files = {
        "base.py": HEAD + "class Base(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.w = self.make()\n    def make(self):\n        return nn.Parameter(torch.zeros(2))\n",
        "child.py": HEAD + "from base import Base\nclass Child(Base):\n" + indent(child, "    "),
        "main.py": "from child import Child\nChild().w\n",
    }
    assert last(files, where="main.py") == kind


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("super().__init__(4, 4)", ParameterKind((4,))),
        ("super().__init__(4, 4, bias=False)", NONE),
        ("super().__init__(*args)", join((P, NONE))),
    ],
)
def test_subclass_of_a_layer(call: str, kind: Kind) -> None:
    code = f"class Mine(nn.Linear):\n    def __init__(self, *args):\n        {call}\n\nMine().bias"
    assert last(code) == kind


def test_class_and_static_methods_have_no_instance() -> None:
    for decorator in ("classmethod", "staticmethod"):
        code = f"class Net(nn.Linear):\n    @{decorator}\n    def run(cls):\n        return cls.weight\n"
        assert flow(code, "Net.run")[0].result == UNKNOWN


def test_a_sum_of_thousands_of_terms() -> None:
    terms = " + ".join(["p"] * 2000)
    found, _ = flow(
        f"""
    def f(x):
        p = nn.Parameter(torch.ones(2))
        return {terms}
    """,
        "f",
    )
    assert found.result == T

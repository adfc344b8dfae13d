from __future__ import annotations

from textwrap import dedent, indent

import pytest

from fixer.contract import Promise, Subject
from fixer.rule import Applicability, Finding
from fixer_codemods.tensor_assigned_to_parameter import TensorAssignedToParameter
from tests.rules import ROOT, analyse, changed, unchanged

HEAD = """\
import copy
import torch
import torch.nn.functional as F
from torch import nn
"""


def script(body: str) -> str:
    """A script that has a layer `m`."""
    return f"{HEAD}\nm = nn.Linear(4, 4)\n{dedent(body)}"


def module(body: str, init: str = "") -> str:
    """A module with a layer and a Parameter, and more methods."""
    constructor = "def __init__(self):\n    super().__init__()\n    self.lin = nn.Linear(4, 4)\n"
    constructor += "    self.w = nn.Parameter(torch.ones(4))\n" + indent(dedent(init), "    ")
    return f"{HEAD}\nclass Net(nn.Module):\n" + indent(constructor + "\n" + dedent(body), "    ")


def only(code: str) -> Finding:
    """The one finding of a file."""
    (finding,) = analyse({"net.py": code}, TensorAssignedToParameter)
    return finding


# Nothing to say: the slot is not certainly a registered Parameter


@pytest.mark.parametrize(
    "body",
    [
        "m.bias = None",
        "m.scale = torch.ones(4)",
        "m = nn.BatchNorm2d(4)\nm.running_mean = torch.zeros(4)",
        "m = nn.Linear(4, 4, bias=False)\nm.bias = torch.zeros(4)",
        "m = nn.BatchNorm2d(4, affine=False)\nm.weight = torch.zeros(4)",
        "m = nn.InstanceNorm2d(4)\nm.weight = torch.zeros(4)",
        "del m.weight\nm.weight = torch.eye(4)",
        "m.weight = torch.eye(4)\ndel m.weight",
        "delattr(m, 'weight')\nm.weight = torch.eye(4)",
        "m._parameters.pop('weight')\nm.weight = torch.eye(4)",
        "m._parameters['weight'] = torch.eye(4)\nm.weight = torch.eye(4)",
        "p = m._parameters\np.clear()\nm.weight = torch.eye(4)",
        "nn.utils.parametrizations.weight_norm(m)\nm.weight = torch.eye(4)",
        "nn.utils.parametrize.register_parametrization(m, 'weight', nn.Identity())\nm.weight = torch.eye(4)",
        "m = nn.utils.weight_norm(nn.Linear(4, 4))\nm.weight = torch.eye(4)",
        "m = nn.utils.spectral_norm(nn.Linear(4, 4))\nm.weight = torch.eye(4)",
        "torch.nn.utils.prune.l1_unstructured(m, 'weight', 1)\nm.weight = torch.eye(4)",
        "name = 'weight'\ndelattr(m, name)\nm.weight = torch.eye(4)",
        "m.bias = None\nm.bias = torch.zeros(4)",
        "m = nn.LazyLinear(4)\nm.weight = torch.eye(4)",
        "m = nn.DataParallel(m)\nm.weight = torch.eye(4)",
        "m = torch.compile(m)\nm.weight = torch.eye(4)",
        "m = nn.ReLU()\nm.weight = torch.eye(4)",
        "m = build()\nm.weight = torch.eye(4)",
        "import config\nconfig.weight = torch.eye(4)",
        "m.weight.data = torch.eye(4)",
        "m.weight.grad = torch.eye(4)",
        "m.weight[0] = torch.ones(4)",
        "m.weight += torch.eye(4)",
        "if flag:\n    m = Other()\nm.weight = torch.eye(4)",
        "layers = [nn.Linear(4, 4)]\nlayers.append(other)\nlayers[1].weight = torch.eye(4)",
        "net = nn.Sequential(m)\nnet[0] = other\nnet[0].weight = torch.eye(4)",
        "setattr(m, name, torch.eye(4))",
        "object.__setattr__(m, 'weight', torch.eye(4))",
        "w = nn.Parameter(torch.ones(4))\nw = torch.ones(4)",
    ],
)
def test_no_slot_of_a_parameter(body: str) -> None:
    unchanged(TensorAssignedToParameter, script(body))


def test_buffer_of_a_module() -> None:
    unchanged(
        TensorAssignedToParameter,
        module(
            """
            def update(self, x):
                self.mean = torch.ones(4)
            """,
            "self.register_buffer('mean', torch.zeros(4))",
        ),
    )


def test_weight_of_a_loss_is_a_plain_attribute() -> None:
    unchanged(
        TensorAssignedToParameter,
        f"""
{HEAD}
class Loss(nn.Module):
    def __init__(self, weight=None):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        self.weight = torch.ones(3)
        return F.nll_loss(x, x, self.weight)
""",
    )


def test_parameter_in_a_plain_class() -> None:
    unchanged(
        TensorAssignedToParameter,
        f"""
{HEAD}
class Trainer:
    def __init__(self):
        self.w = nn.Parameter(torch.ones(4))

    def reset(self):
        self.w = torch.zeros(4)
""",
    )


def test_slot_that_only_some_configurations_have() -> None:
    unchanged(
        TensorAssignedToParameter,
        module(
            """
            def reset(self):
                self.gate = torch.zeros(4)
                self.scale = torch.zeros(4)
            """,
            """
            if gated:
                self.gate = nn.Parameter(torch.ones(4))
            else:
                self.register_parameter("gate", None)
            if scaled:
                self.scale = nn.Parameter(torch.ones(4))
            """,
        ),
    )


def test_optional_bias_of_any_linear() -> None:
    unchanged(
        TensorAssignedToParameter,
        f"""
{HEAD}
def init(model):
    for m in model.modules():
        if isinstance(m, nn.Linear):
            m.bias = torch.zeros(4)
""",
    )


def test_slot_that_does_not_exist_yet() -> None:
    unchanged(
        TensorAssignedToParameter,
        module(
            """
            def _build(self):
                self.late = torch.ones(4)
                self.late = nn.Parameter(self.late)
            """,
            """
            self.early = torch.ones(4)
            self.early = nn.Parameter(self.early)
            self._build()
            """,
        ),
    )


@pytest.mark.parametrize(
    "more",
    [
        "@property\ndef w(self):\n    return self.lin.weight\n@w.setter\ndef w(self, value):\n    pass",
        "def __setattr__(self, name, value):\n    pass",
        "def drop(self):\n    del self.w",
        "def drop(self):\n    delattr(self, 'w')",
        "def drop(self, name):\n    delattr(self, name)",
        "def drop(self):\n    self._parameters.pop('w')",
        "def freeze(self):\n    w = self.w\n    del self.w\n    self.register_buffer('w', w)",
        "def none(self):\n    self.w = None",
    ],
)
def test_class_that_changes_what_the_slot_is(more: str) -> None:
    unchanged(TensorAssignedToParameter, module(f"{more}\ndef reset(self):\n    self.w = torch.zeros(4)"))


def test_subclass_that_changes_what_the_slot_is() -> None:
    base = module("def reset(self):\n    self.w = torch.zeros(4)")
    child = """
        import torch
        from net import Net

        class Frozen(Net):
            def __init__(self):
                super().__init__()
                del self.w
                self.register_buffer("w", torch.ones(4))
        """
    unchanged(TensorAssignedToParameter, {"net.py": base, "frozen.py": child})


def test_unknown_base_may_do_anything() -> None:
    unchanged(
        TensorAssignedToParameter,
        f"""
{HEAD}
from somewhere import Quantized

class Layer(Quantized, nn.Linear):
    def reset(self):
        self.weight = torch.zeros(4)
""",
    )


def test_base_constructor_that_is_not_called() -> None:
    unchanged(
        TensorAssignedToParameter,
        module("def reset(self):\n    pass")
        + """
class Child(Net):
    def __init__(self):
        nn.Module.__init__(self)

    def set(self):
        self.w = torch.zeros(4)
""",
    )


# Nothing to say: the value may be a Parameter


@pytest.mark.parametrize(
    "value",
    [
        "nn.Parameter(torch.eye(4))",
        "other.weight",
        "w",
        "nn.Linear(4, 4).weight",
        "nn.init.kaiming_normal_(m.weight)",
        "copy.deepcopy(m.weight)",
        "fuse_conv_bn_weights(m.weight)",
        "m.weight.requires_grad_(False)",
        "m.weight.to('cpu')",
        "m.weight.float()",
        "m.weight.cuda()",
        "m.weight.contiguous()",
        "m.weight.add_(1)",
        "+m.weight",
        "m.weight.flatten()",
        "torch.relu_(m.weight)",
        "torch.as_tensor(m.weight)",
        "torch.clamp(m.weight, 0, 1, out=m.weight)",
        "F.dropout(m.weight, training=False)",
        "F.relu(m.weight, inplace=True)",
        "F.relu(m.weight, True)",
        "nn.Dropout(0.5)(m.weight)",
        "nn.Identity()(m.weight)",
        "nn.ReLU(inplace=True)(m.weight)",
        "torch.eye(4) if flag else m.weight",
        "torch.eye(4) if flag else None",
        "given or torch.eye(4)",
        "state['weight']",
        "load()",
        "None",
        "(w := m.weight)",
        "[torch.eye(4), m.weight][i]",
        "dict(w=m.weight)['w']",
        "next(m.parameters())",
        "max((m.weight, m.weight), key=len)",
        "nn.Linear(4, 4)",
    ],
)
def test_value_may_be_a_parameter(value: str) -> None:
    unchanged(TensorAssignedToParameter, script(f"m.weight = {value}"))


def test_parameter_through_a_list_that_changes() -> None:
    unchanged(
        TensorAssignedToParameter,
        script("""
            ws = [torch.eye(4)]
            ws[0] = m.weight
            m.weight = ws[0]
            """),
    )


@pytest.mark.parametrize(
    "function",
    [
        "def tied():\n    if flag:\n        return torch.eye(4)",
        "def tied():\n    return torch.eye(4) if flag else nn.Parameter(torch.eye(4))",
        "def tied():\n    yield torch.eye(4)",
        "async def tied():\n    return torch.eye(4)",
        "@register\ndef tied():\n    return torch.eye(4)",
        "def tied():\n    return tied()",
    ],
)
def test_function_that_may_return_something_else(function: str) -> None:
    unchanged(TensorAssignedToParameter, f"{HEAD}\n{function}\n\nm = nn.Linear(4, 4)\nm.weight = tied()\n")


def test_method_that_a_subclass_overrides() -> None:
    unchanged(
        TensorAssignedToParameter,
        module("""
            def make(self):
                return torch.ones(4)

            def reset(self):
                self.w = self.make()
            """)
        + """
class Other(Net):
    def make(self):
        return nn.Parameter(torch.ones(4))
""",
    )


def test_annotation_that_something_else_was_bound_over() -> None:
    unchanged(
        TensorAssignedToParameter,
        module("""
            def set(self, w: torch.Tensor):
                if not isinstance(w, nn.Parameter):
                    w = nn.Parameter(w)
                self.w = w
            """),
    )


# Nothing to say: the code expects the TypeError, or another rule has the word


@pytest.mark.parametrize(
    "handler", ["except TypeError:", "except (ValueError, TypeError):", "except Exception as e:", "except:"]
)
def test_caught(handler: str) -> None:
    body = f"try:\n    m.weight = torch.eye(4)\n{handler}\n    pass"
    unchanged(TensorAssignedToParameter, script(body))


@pytest.mark.parametrize("context", ["pytest.raises(TypeError)", "contextlib.suppress(TypeError)"])
def test_expected(context: str) -> None:
    unchanged(
        TensorAssignedToParameter,
        script(f"import contextlib, pytest\nwith {context}:\n    m.weight = torch.eye(4)"),
    )


def test_projection_in_forward_is_another_rules() -> None:
    unchanged(
        TensorAssignedToParameter,
        module("""
            def forward(self, x):
                self.w = torch.clamp(self.w, 0, 1)
                return self.lin(x) * self.w
            """),
    )


def test_suppressed() -> None:
    unchanged(TensorAssignedToParameter, script("m.weight = torch.eye(4)  # fixer: ignore[PRM201]"))


# Reported without a fix


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ("m.weight = 0", "fill_"),
        ("m.weight = 0.5 if flag else 1", "fill_"),
        ("m.weight = [1.0, 2.0]", "fill_"),
        ("m.weight = m.weight.data.numpy()", "fill_"),
        ("m.weight = torch.zeros(4, 3)", "shape (4, 3)"),
        ("m.weight = torch.zeros((1, 4))", "broadcast"),
        ("m.bias = torch.zeros(3)", "broadcast"),
        ("m.weight = m.weight.t()", "view of the Parameter itself"),
        ("m.weight = m.weight.data.T", "view of the Parameter itself"),
        ("m.weight = torch.transpose(m.weight, 0, 1)", "view of the Parameter itself"),
        ("m.weight = m.weight[:2]", "view of the Parameter itself"),
        ("w = m.weight = torch.eye(4)", "line of their own"),
        ("m.weight, n = torch.eye(4), 3", "line of their own"),
        ("m.weight = n.weight = torch.eye(4)\nn = 3", "line of their own"),
        ("n = nn.Linear(4, 4)\nm.weight = n.weight = torch.eye(4)", "needed more than once"),
        ("n = nn.Linear(4, 4)\nm.weight, n.weight = n.weight.data, m.weight.data", "needed more than once"),
        ("m.weight = (m := nn.Linear(4, 4)).weight.data", "rebinds"),
        ("(m.weight) = torch.eye(4)", "unusual"),
        ("setattr(m, 'weight',  # why\n    torch.eye(4))", "unusual"),
    ],
)
def test_reported_only(body: str, advice: str) -> None:
    (finding,) = unchanged(TensorAssignedToParameter, script(body), findings=1)
    assert finding.help is not None
    assert advice in finding.help


def test_shape_that_changes_in_a_method() -> None:
    (finding,) = unchanged(
        TensorAssignedToParameter, module("def normalize(self):\n    self.w = self.w.view(1, 4)"), findings=1
    )
    assert "view" in (finding.help or "")


# Fixed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("m.weight = torch.eye(4)", "m.weight.data.copy_(torch.eye(4))"),
        ("m.weight=torch.eye(4)", "m.weight.data.copy_(torch.eye(4))"),
        ("m.weight = m.weight * 2  # double", "m.weight.data.copy_(m.weight * 2)  # double"),
        ("m.weight: torch.Tensor = torch.eye(4)", "m.weight.data.copy_(torch.eye(4))"),
        ("m.weight = (torch.eye(4))", "m.weight.data.copy_(torch.eye(4))"),
        ("m.weight = ((torch.eye(4)))", "m.weight.data.copy_((torch.eye(4)))"),
        ("m.weight = \\\n    torch.eye(4)", "m.weight.data.copy_(torch.eye(4))"),
        (
            "m.weight = (  # start\n    torch.eye(4)  # one\n    + 1\n)  # end",
            "m.weight.data.copy_(  # start\n    torch.eye(4)  # one\n    + 1\n)  # end",
        ),
        (
            "m.weight = torch.stack([\n    torch.ones(4),  # r\n] * 4)",
            "m.weight.data.copy_(torch.stack([\n    torch.ones(4),  # r\n] * 4))",
        ),
        (
            "m.weight = torch.eye(4) if flag else torch.ones(4, 4)",
            "m.weight.data.copy_(torch.eye(4) if flag else torch.ones(4, 4))",
        ),
        ("m.weight = (w := torch.eye(4))", "m.weight.data.copy_(w := torch.eye(4))"),
        (
            "m.weight = torch.cat([*(torch.ones(1, 4) for _ in range(4))])",
            "m.weight.data.copy_(torch.cat([*(torch.ones(1, 4) for _ in range(4))]))",
        ),
        ("m.weight = -m.weight", "m.weight.data.copy_(-m.weight)"),
        ("m.weight = m.weight.data.clone()", "m.weight.data.copy_(m.weight.data.clone())"),
        ("m.weight = torch.flip(m.weight, [0])", "m.weight.data.copy_(torch.flip(m.weight, [0]))"),
        ("m.bias = torch.tensor([1., 2, 3, 4])", "m.bias.data.copy_(torch.tensor([1., 2, 3, 4]))"),
        ("a = 1; m.weight = torch.eye(4); b = 2", "a = 1; m.weight.data.copy_(torch.eye(4)); b = 2"),
        ("if flag: m.weight = torch.eye(4)", "if flag: m.weight.data.copy_(torch.eye(4))"),
        ('setattr(m, "weight", torch.eye(4))', "m.weight.data.copy_(torch.eye(4))"),
        ("setattr(m, 'weight', torch.eye(4),)", "m.weight.data.copy_(torch.eye(4),)"),
        ("net = nn.Sequential(m)\nnet[0].weight = torch.eye(4)", None),
        ("m = nn.LSTM(4, 4)\nm.bias_hh_l0 = torch.zeros(16)", None),
    ],
)
def test_copied(before: str, after: str | None) -> None:
    if after is None:
        head, _, last = before.rpartition("\n")
        target, _, value = last.partition(" = ")
        after = f"{head}\n{target}.data.copy_({value})"
    changed(TensorAssignedToParameter, script(before + "\n"), script(after + "\n"))


def test_chain_of_targets() -> None:
    changed(
        TensorAssignedToParameter,
        script("""
            n = nn.Linear(4, 4)
            w = torch.eye(4)
            m.weight = n.weight = w  # both
            """),
        script("""
            n = nn.Linear(4, 4)
            w = torch.eye(4)
            m.weight.data.copy_(w)  # both
            n.weight.data.copy_(w)
            """),
    )


def test_tuple_of_targets() -> None:
    changed(
        TensorAssignedToParameter,
        script("m.weight, m.bias = torch.eye(4), torch.ones(4)\n"),
        script("m.weight.data.copy_(torch.eye(4))\nm.bias.data.copy_(torch.ones(4))\n"),
    )


def test_unpacked_result() -> None:
    changed(
        TensorAssignedToParameter,
        module("""
            def fresh(self, scale):
                return torch.eye(4) * scale, torch.ones(4)

            def reset(self):
                self.lin.weight, self.lin.bias = self.fresh(2)
            """),
        module("""
            def fresh(self, scale):
                return torch.eye(4) * scale, torch.ones(4)

            def reset(self):
                weight, bias = self.fresh(2)
                self.lin.weight.data.copy_(weight)
                self.lin.bias.data.copy_(bias)
            """),
    )


def test_unpacked_names_that_are_taken() -> None:
    unchanged(
        TensorAssignedToParameter,
        module("""
            def fresh(self):
                return torch.eye(4), torch.ones(4)

            def reset(self, weight):
                self.lin.weight, self.lin.bias = self.fresh()
                return weight
            """),
        findings=1,
    )


def test_newlines_of_the_file_are_kept() -> None:
    before = script("m.weight = (\n    torch.eye(4)\n)\n").replace("\n", "\r\n")
    after = script("m.weight.data.copy_(\n    torch.eye(4)\n)\n").replace("\n", "\r\n")
    changed(TensorAssignedToParameter, before, after)


@pytest.mark.parametrize(
    "loop",
    [
        """
        for m in model.modules():
            if isinstance(m, nn.Conv2d):
                m.weight = torch.ones(4)
        """,
        """
        for _, m in model.named_modules():
            if not isinstance(m, (nn.Linear, nn.Conv2d)):
                continue
            m.weight = torch.ones(4)
        """,
        """
        for m in model.children():
            if type(m) == nn.Linear and m.bias is not None:
                m.bias = torch.ones(4)
        """,
        """
        m = model[0]
        assert isinstance(m, nn.Linear)
        m.weight = torch.ones(4)
        """,
    ],
)
def test_module_known_by_a_test(loop: str) -> None:
    before = f"{HEAD}\ndef init(model):\n{indent(dedent(loop), '    ')}"
    changed(
        TensorAssignedToParameter,
        before,
        before.replace(" = torch.ones(4)", ".data.copy_(torch.ones(4))"),
    )


def test_inheritance_across_files() -> None:
    changed(
        TensorAssignedToParameter,
        {
            "pkg/__init__.py": "",
            "pkg/base.py": f"{HEAD}\nclass Base(nn.Module):\n    def __init__(self):\n"
            "        super().__init__()\n        self.scale = nn.Parameter(torch.ones(1))\n",
            "pkg/child.py": "import torch\nfrom .base import Base as Parent\n\nclass Child(Parent):\n"
            "    def reset(self):\n        self.scale = torch.zeros(1)\n",
            "train.py": "import torch\nimport pkg.child\n\nnet = pkg.child.Child()\n"
            "net.scale = torch.full((1,), 2.0)\n",
        },
        {
            "pkg/child.py": "import torch\nfrom .base import Base as Parent\n\nclass Child(Parent):\n"
            "    def reset(self):\n        self.scale.data.copy_(torch.zeros(1))\n",
            "train.py": "import torch\nimport pkg.child\n\nnet = pkg.child.Child()\n"
            "net.scale.data.copy_(torch.full((1,), 2.0))\n",
        },
    )


def test_conditional_parameter_that_the_statement_reads() -> None:
    changed(
        TensorAssignedToParameter,
        module(
            "def halve(self):\n    self.gate = self.gate / 2", "if gated:\n    self.gate = nn.Parameter(t)"
        ),
        module(
            "def halve(self):\n    self.gate.data.copy_(self.gate / 2)",
            "if gated:\n    self.gate = nn.Parameter(t)",
        ),
    )


# Unsafe


@pytest.mark.parametrize(
    "body",
    [
        "def forward(self, x):\n    {}\n    return x",
        "def forward(self, x):\n    self.refresh(x)\n    return x\ndef refresh(self, x):\n    {}",
    ],
)
def test_in_forward(body: str) -> None:
    before, after = (
        module(body.format(line))
        for line in ("self.w = self.lin.bias * x.mean()", "self.w.data.copy_(self.lin.bias * x.mean())")
    )
    finding = only(before)
    assert "no gradient flows" in (finding.help or "")
    changed(TensorAssignedToParameter, before, after, unsafe=True)


def test_in_what_a_subclass_runs_in_forward() -> None:
    before = module("def refresh(self):\n    self.w = torch.ones(4)")
    heir = "\nclass Heir(Net):\n    def forward(self, x):\n        self.refresh()\n        return x\n"
    finding = only(before + heir)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE


@pytest.mark.parametrize("annotation", ["torch.Tensor", "'torch.Tensor'"])
def test_annotated_argument(annotation: str) -> None:
    before = module(f"def set(self, w: {annotation}):\n    self.w = w")
    assert "unless `w` is a Parameter" in only(before).message
    changed(
        TensorAssignedToParameter,
        before,
        module(f"def set(self, w: {annotation}):\n    self.w.data.copy_(w)"),
        unsafe=True,
    )


def test_annotated_argument_that_is_no_parameter() -> None:
    body = "def set(self, w: torch.Tensor):\n    if not isinstance(w, nn.Parameter):\n        {}"
    changed(
        TensorAssignedToParameter,
        module(body.format("self.w = w")),
        module(body.format("self.w.data.copy_(w)")),
    )


# What is said and promised


def test_message_and_contract_of_a_method() -> None:
    finding = only(module("def reset(self):\n    self.w = torch.zeros(4)"))
    assert finding.message == "`self.w` is a registered Parameter: assigning a tensor to it raises TypeError"
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    contract = finding.fix.contract
    path = ROOT / "net.py"
    assert contract.promise is Promise.REPAIRS
    assert contract.symptom == "TypeError"
    assert contract.parameter == "self.w"
    assert contract.subjects == (Subject(path, "Net", "reset"), Subject(path))
    assert contract.symptom_region is not None
    assert (contract.symptom_region.start, contract.symptom_region.end) == (finding.start, finding.end)


@pytest.mark.parametrize(
    ("code", "subjects"),
    [
        (module("", "self.w = torch.zeros(4)"), (Subject(ROOT / "net.py", "Net"), Subject(ROOT / "net.py"))),
        (
            module("def forward(self, x):\n    self.w = x * 1.0 + torch.ones(4)"),
            (Subject(ROOT / "net.py", "Net"), Subject(ROOT / "net.py")),
        ),
        (
            f"{HEAD}\ndef build():\n    m = nn.Linear(4, 4)\n    m.weight = torch.eye(4)\n    return m\n",
            (Subject(ROOT / "net.py", function="build"), Subject(ROOT / "net.py")),
        ),
        (script("m.weight = torch.eye(4)"), (Subject(ROOT / "net.py"),)),
    ],
)
def test_what_has_to_run(code: str, subjects: tuple[Subject, ...]) -> None:
    finding = only(code)
    assert finding.fix is not None
    assert finding.fix.contract.subjects == subjects


def test_page_has_its_headings() -> None:
    headings = [line for line in TensorAssignedToParameter.page().splitlines() if line.startswith("#")]
    assert headings == [
        "# tensor-assigned-to-parameter (PRM201)",
        "## What it does",
        "## Why it is bad",
        "## Example",
        "## Use instead",
        "## Fix safety",
        "## How it is verified",
        "## Known problems",
        "## References",
    ]


OPTIONAL = """
from torch import nn
import torch

def init(m):
    if isinstance(m, nn.Linear):
        m.bias = {value}
"""


@pytest.mark.parametrize(
    "value", ["torch.zeros_like(m.bias)", "m.bias * 2", "m.bias.data.abs()", "-m.bias + 1"]
)
def test_an_optional_slot_is_filled_where_the_value_reads_it(value: str) -> None:
    changed(
        TensorAssignedToParameter,
        OPTIONAL.format(value=value),
        OPTIONAL.replace("m.bias = {value}", f"m.bias.data.copy_({value})"),
    )


@pytest.mark.parametrize(
    "value", ["torch.zeros(3)", "torch.zeros(3) if m.bias is None else m.bias * 2", "maybe(m)"]
)
def test_an_optional_slot_may_hold_none(value: str) -> None:
    unchanged(TensorAssignedToParameter, OPTIONAL.format(value=value))

"""PRM101: what is left alone first, then every form and every wiring."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from fixer.rule import Applicability
from fixer_codemods.projection_in_forward import ProjectionInForward
from tests.rules import analyse, changed, fixed, unchanged

RULE = ProjectionInForward
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"
TRAIN = "\n\nnet = Net()\noptimizer = torch.optim.Adam(net.parameters())\n"
AFTER_ALL = """\
for module in net.modules():
    if isinstance(module, Net):
        module.project_parameters()"""
HOOK = "optimizer.register_step_post_hook(net.project_parameters)\n"


def module(init: str, forward: str, *, extra: str = "", name: str = "Net", base: str = "nn.Module") -> str:
    """A module with the given constructor lines, forward lines and further methods."""
    parts = [
        f"class {name}({base}):",
        "    def __init__(self, n=4):",
        "        super().__init__()",
        indent(dedent(init).strip("\n"), " " * 8),
        "",
    ]
    if extra:
        parts += [indent(dedent(extra).strip("\n"), " " * 4), ""]
    parts += ["    def forward(self, x):", indent(dedent(forward).strip("\n"), " " * 8), ""]
    return HEAD + "\n".join(parts)


W = "self.w = nn.Parameter(torch.rand(n))"


@pytest.mark.parametrize(
    ("init", "forward"),
    [
        pytest.param(W, "return x * torch.clamp(self.w, 0, 1)", id="functional-clamp"),
        pytest.param(W, "w = self.w.clamp(0, 1)\nreturn x * w", id="local"),
        pytest.param(W, "x.clamp_(0, 1)\nreturn x * self.w", id="input-clamped"),
        pytest.param(W, "y = x * self.w\ny.data.clamp_(0, 1)\nreturn y", id="activation-clamped"),
        pytest.param(
            "self.register_buffer('mean', torch.zeros(n))",
            "self.mean.clamp_(0, 1)\nreturn x - self.mean",
            id="buffer",
        ),
        pytest.param(
            "self.register_buffer('mean', torch.zeros(n))",
            "with torch.no_grad():\n    self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)\nreturn x - self.mean",
            id="running-statistics",
        ),
        pytest.param(
            "self.scale = torch.ones(n)", "self.scale.clamp_(0, 1)\nreturn x * self.scale", id="plain-tensor"
        ),
        pytest.param(
            W + "\nself.ready = False",
            "if not self.ready:\n    self.w.data.copy_(x.mean(0))\n    self.ready = True\nreturn x * self.w",
            id="actnorm",
        ),
        pytest.param(
            W + "\nself.ready = False",
            "if not self.ready:\n    self.w.data.clamp_(0, 1)\n    self.ready = True\nreturn x * self.w",
            id="guarded-by-state",
        ),
        pytest.param(W, "self.w.data.clamp_(0, x.max())\nreturn x * self.w", id="bound-from-batch"),
        pytest.param(
            W, "if x.sum() > 0:\n    self.w.data.clamp_(0, 1)\nreturn x * self.w", id="guard-from-batch"
        ),
        pytest.param(W, "self.w.data = x.mean(0)\nreturn x * self.w", id="value-from-batch"),
        pytest.param(
            W,
            """
            if self.training:
                with torch.no_grad():
                    self.w.copy_(F.normalize(self.w, dim=0))
            return x * self.w
            """,
            id="forced-weight-normalisation",
        ),
        pytest.param(
            W,
            """
            saved = self.w.data.clone()
            try:
                self.w.data.clamp_(0, 1)
                y = x * self.w
            finally:
                self.w.data.copy_(saved)
            return y
            """,
            id="restored",
        ),
        pytest.param(
            W,
            """
            saved = self.w.data.clone()
            self.w.data.clamp_(0, 1)
            y = x * self.w
            self.w.data.copy_(saved)
            return y
            """,
            id="restored-without-try",
        ),
        pytest.param(W, "self.w.grad.data.clamp_(-1, 1)\nreturn x * self.w", id="gradient-clamped"),
        pytest.param(
            "self.lin = nn.Linear(n, n)",
            "for p in self.parameters():\n    p.grad.data.clamp_(-1, 1)\nreturn self.lin(x)",
            id="gradients-in-loop",
        ),
        pytest.param(
            W + "\nself.codebook = nn.Parameter(torch.rand(n), requires_grad=False)",
            "self.codebook.data.clamp_(0, 1)\nreturn x * self.codebook",
            id="frozen",
        ),
        pytest.param(W, "self.w.data.mul_(0.99)\nreturn x * self.w", id="decay"),
        pytest.param(W, "self.w.data.add_(1)\nreturn x * self.w", id="increment"),
        pytest.param(W, "self.w.data.copy_(torch.rand(4))\nreturn x * self.w", id="random"),
        pytest.param(
            W,
            """
            for _ in range(10):
                loss = (x * self.w).sum()
                loss.backward()
                self.w.data.clamp_(0, 1)
            return x
            """,
            id="training-loop-in-forward",
        ),
        pytest.param(
            "self.net = nn.Linear(n, n)\nself.target = nn.Linear(n, n)",
            """
            for p, q in zip(self.net.parameters(), self.target.parameters()):
                q.data.copy_(0.99 * q.data + 0.01 * p.data)
            return self.net(x)
            """,
            id="target-network",
        ),
        pytest.param(
            "self.lin = nn.Linear(n, n)\nself.delta = nn.Parameter(torch.zeros(n, n))",
            """
            self.lin.weight.data += self.delta
            y = self.lin(x)
            self.lin.weight.data -= self.delta
            return y
            """,
            id="lora-merge",
        ),
        pytest.param(
            "self.bn = nn.BatchNorm1d(n, affine=False)",
            "self.bn.weight.data.clamp_(0, 1)\nreturn x",
            id="none-slot",
        ),
        pytest.param(
            "self.lin = nn.utils.weight_norm(nn.Linear(n, n))",
            "self.lin.weight.data.clamp_(0, 1)\nreturn self.lin(x)",
            id="weight-norm",
        ),
        pytest.param(W, "self.w.data.clamp_(*self.limits(x))\nreturn x * self.w", id="unknown-bounds"),
        pytest.param(W, "self.w.data.clamp_(0, limit())\nreturn x * self.w", id="called-bound"),
    ],
)
def test_nothing_changes(init: str, forward: str) -> None:
    unchanged(RULE, module(init, forward) + TRAIN)


def test_clamp_outside_forward() -> None:
    unchanged(
        RULE, module(W, "return x * self.w", extra="def clip(self):\n    self.w.data.clamp_(0, 1)") + TRAIN
    )


def test_clamp_in_constructor() -> None:
    unchanged(RULE, module(W + "\nself.w.data.clamp_(0, 1)", "return x * self.w") + TRAIN)


def test_clamp_in_training_step() -> None:
    code = module(
        W,
        "return x * self.w",
        extra="def training_step(self, x):\n    self.w.data.clamp_(0, 1)\n    return self(x)",
    )
    unchanged(RULE, code + TRAIN)


def test_autograd_function() -> None:
    unchanged(
        RULE,
        """
        import torch

        class Clip(torch.autograd.Function):
            @staticmethod
            def forward(ctx, w):
                w.data.clamp_(0, 1)
                return w
        """,
    )


def test_optimizer_subclass() -> None:
    unchanged(
        RULE,
        """
        import torch

        class Clipped(torch.optim.SGD):
            def step(self, closure=None):
                loss = super().step(closure)
                for group in self.param_groups:
                    for p in group["params"]:
                        p.data.clamp_(0, 1)
                return loss
        """,
    )


def test_plain_class() -> None:
    unchanged(RULE, module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w", base="object") + TRAIN)


def test_argument_of_helper() -> None:
    code = module(
        W,
        "self.clip(x.max())\nreturn x * self.w",
        extra="def clip(self, top):\n    self.w.data.clamp_(0, top)",
    )
    unchanged(RULE, code + TRAIN)


@pytest.mark.parametrize(
    ("call", "forward"),
    [
        ("self.clip(0.5)", "return x * self.w"),
        ("self.clip(top=self.top)", "return x * self.w"),
        ("self.clip()", "return x * self.w"),
    ],
)
def test_constant_argument_of_helper(call: str, forward: str) -> None:
    code = module(
        W + "\nself.top = 0.5",
        f"{call}\n{forward}",
        extra="def clip(self, top=1.0):\n    self.w.data.clamp_(0, top)",
    )
    net = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert f'after every optimizer step."""\n        {call}\n' in net
    assert f"    def forward(self, x):\n        {forward}\n" in net


def test_helper_that_two_calls_pass_different_arguments() -> None:
    code = module(
        W,
        "self.clip(1.0)\ny = x * self.w\nself.clip(0.5)\nreturn y * self.w",
        extra="def clip(self, top):\n    self.w.data.clamp_(0, top)",
    )
    unchanged(RULE, code + TRAIN)


def test_argument_of_helper_that_forward_changes() -> None:
    code = module(
        W + "\nself.top = 1.0",
        "self.top = self.top / 2\nself.clip(self.top)\nreturn x * self.w",
        extra="def clip(self, top):\n    self.w.data.clamp_(0, top)",
    )
    unchanged(RULE, code + TRAIN)


def test_no_optimizer_is_reported_only() -> None:
    (finding,) = unchanged(RULE, module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w"), findings=1)
    assert finding.help is not None
    assert finding.help.startswith("no optimizer in this tree takes its parameters")
    assert "optimizer.register_step_post_hook(module.project_parameters)" in finding.help


def test_optimizer_of_another_model_is_reported_only() -> None:
    other = "\n\nother = nn.Linear(2, 2)\noptimizer = torch.optim.Adam(other.parameters())\n"
    unchanged(RULE, module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + other, findings=1)


def test_early_return_is_reported_only() -> None:
    code = module(
        W, "if not self.training:\n    return x * self.w\nself.w.data.clamp_(0, 1)\nreturn x * self.w"
    )
    unchanged(RULE, code + TRAIN, findings=1)


@pytest.mark.parametrize(
    ("statement", "moved"),
    [
        ("self.w.data.clamp_(0, 1)", "self.w.clamp_(0, 1)"),
        ("self.w.data.clamp_(min=0)", "self.w.clamp_(min=0)"),
        ("self.w.data = torch.clamp(self.w.data, 0, 1)", "self.w.clamp_(0, 1)"),
        ("self.w.data = self.w.data.clamp(0, 1)", "self.w.clamp_(0, 1)"),
        ("self.w.data = self.w.clamp(min=0)", "self.w.clamp_(min=0)"),
        ("self.w.data *= self.mask", "self.w.mul_(self.mask)"),
        ("self.w.data = self.w.data * self.mask", "self.w.copy_(self.w * self.mask)"),
        ("self.w.data.mul_(self.mask)", "self.w.mul_(self.mask)"),
        ("self.w.data.copy_(F.relu(self.w.data))", "self.w.copy_(F.relu(self.w))"),
        ("self.w.data = self.w.data.abs()", "self.w.abs_()"),
        ("self.w.data = F.normalize(self.w.data, dim=0)", "self.w.copy_(F.normalize(self.w, dim=0))"),
        ("self.w.data = self.w.data / self.w.data.norm()", "self.w.copy_(self.w / self.w.norm())"),
        (
            "self.w.data /= self.w.data.norm(2, dim=0, keepdim=True)",
            "self.w.div_(self.w.norm(2, dim=0, keepdim=True))",
        ),
        ("self.w.data.div_(torch.norm(self.w.data))", "self.w.div_(torch.norm(self.w))"),
        ("torch.clamp_(self.w.data, 0, 1)", "torch.clamp_(self.w, 0, 1)"),
        ("self.w.data[0] = 0", "self.w[0] = 0"),
        ("with torch.no_grad():\n            self.w.clamp_(0, 1)", "self.w.clamp_(0, 1)"),
        (
            "with torch.no_grad():\n            self.w.copy_(self.w.clamp(0, 1))",
            "self.w.copy_(self.w.clamp(0, 1))",
        ),
        (
            "if self.limit is not None:\n            self.w.data.clamp_(max=self.limit)",
            "if self.limit is not None:\n            self.w.clamp_(max=self.limit)",
        ),
        ("self.w.data.clamp_(0, 1)  # stay in range", "self.w.clamp_(0, 1)  # stay in range"),
        ("# stay in range\n        self.w.data.clamp_(0, 1)", "# stay in range\n        self.w.clamp_(0, 1)"),
        ("w = self.w.data\n        w.clamp_(0, 1)", None),
        (
            "norm = self.w.data.norm()\n        self.w.data.div_(norm)",
            "norm = self.w.data.norm()\n        self.w.div_(norm)",
        ),
    ],
)
def test_forms(statement: str, moved: str | None) -> None:
    init = W + "\nself.limit = n\nself.register_buffer('mask', torch.ones(n))"
    before = module(init, "KEEP").replace("KEEP", statement + "\n        return x * self.w") + TRAIN
    if moved is None:
        assert fixed({"net.py": before}, RULE)["net.py"] != dedent(before)
        return
    after = module(
        init
        + "\nself.project_parameters()\nself.register_load_state_dict_post_hook(self.project_parameters)",
        "return x * self.w",
        extra="""
        @torch.no_grad()
        def project_parameters(self, *_) -> None:
            \"\"\"Keep the constrained parameters in range; runs after every optimizer step.\"\"\"
            MOVED
        """,
    ).replace("MOVED", moved)
    (finding,) = changed(RULE, before, after + TRAIN + HOOK)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE


@pytest.mark.parametrize(
    ("init", "statement", "symptom"),
    [
        ("self.lin = nn.Linear(n, n)", "self.lin.weight = torch.clamp(self.lin.weight, 0, 1)", "TypeError"),
        (W, "self.w = self.w.clamp(0, 1)", "TypeError"),
        (W, "self.w.clamp_(0, 1)", "RuntimeError"),
        (W, "self.w *= self.w.norm().reciprocal()", "RuntimeError"),
    ],
)
def test_raising_forms_promise_a_repair(init: str, statement: str, symptom: str) -> None:
    (finding,) = analyse({"net.py": module(init, statement + "\nreturn x") + TRAIN}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert finding.fix.contract.promise.value == "repairs"
    assert finding.fix.contract.symptom == symptom


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param("y = x * self.w\nself.w.data.clamp_(0, 1)\nreturn y", id="after-use"),
        pytest.param("if self.training:\n    self.w.data.clamp_(0, 1)\nreturn x * self.w", id="training"),
    ],
)
def test_unsafe(forward: str) -> None:
    (finding,) = analyse({"net.py": module(W, forward) + TRAIN}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE


@pytest.mark.parametrize(
    ("extra", "train"),
    [
        ("def anneal(self, top):\n    self.top = top", ""),
        ("def anneal(self):\n    self.lower()\n\ndef lower(self):\n    self.top /= 2", ""),
        ("", "\nfor epoch in range(3):\n    net.top = 1 / (epoch + 1)\n"),
        ("def anneal(self, top):\n    setattr(self, 'top', top)", ""),
        ("", "\n\ndef anneal(model):\n    model.top *= 0.9\n"),
    ],
)
def test_unsafe_where_a_bound_changes_later(extra: str, train: str) -> None:
    code = module(W + "\nself.top = 1.0", "self.w.data.clamp_(0, self.top)\nreturn x * self.w", extra=extra)
    (finding,) = analyse({"net.py": code + TRAIN + train}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "`top` is changed in " in (finding.help or "")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("net.mask.fill_(0)", "line "),
        ("net.mask[0] = 0", "line "),
        ("net.mask.data = torch.zeros(4)", "line "),
    ],
)
def test_unsafe_where_a_mask_changes_later(change: str, where: str) -> None:
    init = W + "\nself.register_buffer('mask', torch.ones(n))"
    code = module(init, "self.w.data.mul_(self.mask)\nreturn x * self.w") + TRAIN
    (finding,) = analyse({"net.py": f"{code}{change}\n"}, RULE)
    assert f"`mask` is changed in {where}" in (finding.help or "")


@pytest.mark.parametrize(
    ("init", "extra", "train"),
    [
        ("self.set_top(1.0)", "def set_top(self, top):\n    self.top = top", ""),
        ("self.top = 1.0", "", "\nargs.top = 2\nargs.net.max = 2\n"),
        ("self.top = 1.0", "", "\n\nclass Other:\n    def f(self):\n        self.top = 3\n"),
    ],
)
def test_safe_where_a_bound_is_set_by_constructors_only(init: str, extra: str, train: str) -> None:
    forward = "self.w.data.clamp_(0, self.top)\nreturn x * self.w"
    code = module(f"{W}\n{init}", forward, extra=extra) + TRAIN
    head = "import argparse\n\nargs = argparse.Namespace()\n"
    (finding,) = analyse({"net.py": head + code + train}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE


def wired(train: str, *, extra: dict[str, str] | None = None) -> str:
    """`train.py` after the fix of a `Net` in `net.py`."""
    net = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w")
    result = fixed({"net.py": net, "train.py": dedent(train), **(extra or {})}, RULE)
    assert "def project_parameters" in result["net.py"]
    return result["train.py"]


def test_hook_in_another_file() -> None:
    assert wired(
        "import torch\nfrom net import Net\n\nnet = Net()\nopt = torch.optim.SGD(net.parameters(), 0.1)\n"
    ).endswith(
        "opt = torch.optim.SGD(net.parameters(), 0.1)\nopt.register_step_post_hook(net.project_parameters)\n"
    )


def test_nested_in_the_optimized_model() -> None:
    train = wired(
        """
        import torch
        from torch import nn
        from net import Net

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(4, 4), Net())

            def forward(self, x):
                return self.body(x)

        def main():
            model = Model()
            opt = torch.optim.SGD(model.parameters(), 0.1)
            return model, opt
        """
    )
    assert (
        "    opt = torch.optim.SGD(model.parameters(), 0.1)\n"
        "    for module in model.modules():\n"
        "        if isinstance(module, Net):\n"
        "            opt.register_step_post_hook(module.project_parameters)\n"
        "    return model, opt\n"
    ) in train


def test_only_the_optimizer_that_owns_the_parameter() -> None:
    train = wired(
        """
        import torch
        from torch import nn
        from net import Net

        gate, critic = Net(), nn.Linear(4, 1)
        first = torch.optim.SGD(critic.parameters(), 0.1)
        second = torch.optim.SGD(gate.parameters(), 0.1)
        """
    )
    assert "first.register" not in train
    assert train.endswith("second.register_step_post_hook(gate.project_parameters)\n")


def test_wrapped_in_data_parallel() -> None:
    train = wired(
        """
        import torch
        import net

        model = torch.nn.DataParallel(net.Net())
        opt = torch.optim.SGD(model.parameters(), 0.1)
        """
    )
    assert "for module in model.modules():\n    if isinstance(module, net.Net):\n" in train


def test_wrapped_in_some_branches_then_compiled() -> None:
    train = wired(
        """
        import torch
        import net

        def main(parallel):
            model = net.Net()
            if parallel:
                model = torch.nn.DataParallel(model)
            model = torch.compile(model)
            return torch.optim.SGD(model.parameters(), 0.1)
        """
    )
    assert "        if isinstance(module, net.Net):\n" in train


def test_argument_that_was_rebound_is_not_taken_for_the_class_itself() -> None:
    train = wired(
        """
        import torch
        from net import Net
        from elsewhere import prepare

        net = Net()
        net = prepare(net)
        opt = torch.optim.SGD(net.parameters(), 0.1)
        """
    )
    assert train.endswith(
        "for module in net.modules():\n"
        "    if isinstance(module, Net):\n"
        "        opt.register_step_post_hook(module.project_parameters)\n"
    )


def test_two_parameters_of_one_module_take_one_hook() -> None:
    init = "self.a = nn.Parameter(torch.rand(n))\nself.b = nn.Parameter(torch.rand(n))"
    code = module(init, "self.a.data.clamp_(0, 1)\nself.b.data.clamp_(0, 1)\nreturn x * self.a * self.b")
    train = "\n\nnet = Net()\noptimizer = torch.optim.Adam([net.a, net.b])\n"
    assert fixed({"net.py": code + train}, RULE)["net.py"].count("register_step_post_hook") == 1


def test_step_of_an_optimizer_from_elsewhere_beside_one_that_is_built() -> None:
    tune = """
        from net import Net
        from elsewhere import create_optimizer

        def main(batches):
            net = Net()
            optimizer = create_optimizer(net)
            for x in batches:
                net(x).sum().backward()
                optimizer.step()
                optimizer.zero_grad()
        """
    net = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + TRAIN
    result = fixed({"net.py": net, "tune.py": dedent(tune)}, RULE)
    assert HOOK in result["net.py"]
    assert "        optimizer.step()\n        net.project_parameters()\n" in result["tune.py"]


def test_step_that_gets_the_optimizer_is_left_to_who_builds_it() -> None:
    step = """
        def step(net, loss, optimizer):
            optimizer.zero_grad()
            loss(net(1)).backward()
            optimizer.step()
        """
    net = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + TRAIN
    tree = {"net.py": net, "loop.py": dedent(step)}
    (finding,) = analyse(tree, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert fixed(tree, RULE)["loop.py"] == tree["loop.py"]


def test_step_of_an_unknown_model_needs_consent() -> None:
    loops = """
        from net import Net

        def train(model: Net, optimizer):
            optimizer.zero_grad()
            model(1).sum().backward()
            optimizer.step()

        def tune(model, optimizer):
            optimizer.zero_grad()
            model(1).sum().backward()
            optimizer.step()
        """
    net = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w")
    (finding,) = analyse({"net.py": net, "loop.py": dedent(loops)}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "may take its parameters too" in (finding.help or "")


def test_module_that_imports_the_script_is_not_imported_by_it() -> None:
    net = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w").replace(
        "import torch\n", "import torch\nfrom tools import make\n", 1
    )
    tools = "import torch\n\n\ndef make(model):\n    return torch.optim.Adam(model.parameters())\n"
    run = "from net import Net, make, nn\n\noptimizer = make(nn.Sequential(Net()))\n"
    (finding,) = unchanged(RULE, {"net.py": net, "tools.py": tools, "run.py": run}, findings=1)
    assert "net.py imports tools.py" in (finding.help or "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("net.apply(init)", "net.apply(init)\nnet.project_parameters()"),
        ("init_weights(net, 0.1)", "init_weights(net, 0.1)\nnet.project_parameters()"),
        (
            "net = init_weights(net)",
            f"net = init_weights(net)\n{AFTER_ALL}",
        ),
        ("net.init_weights()", "net.init_weights()\nnet.project_parameters()"),
        ("torch.nn.init.zeros_(net.w)", "torch.nn.init.zeros_(net.w)\nnet.project_parameters()"),
        ("net.w.data[:] = 3", "net.w.data[:] = 3\nnet.project_parameters()"),
        ("net.w.data = other.weight", "net.w.data = other.weight\nnet.project_parameters()"),
        *(
            (lines, f"{lines}{indentation}net.project_parameters()")
            for lines, indentation in (
                ("with torch.no_grad():\n    net.w.mul_(2)\n    net.w += 1", "\n    "),
                ("for p in net.parameters():\n    p.data.normal_()", "\n"),
                ("for m in net.modules():\n    for p in m.parameters():\n        p.data.zero_()", "\n"),
                ("for p, q in zip(other.parameters(), net.parameters()):\n    q.data.copy_(p)", "\n"),
            )
        ),
        *(
            (line, line)
            for line in (
                "for p, q in zip(other.parameters(), net.parameters()):\n    p.data.copy_(q)",
                "for p in net.parameters():\n    p.requires_grad_(False)",
                "for p in net.parameters():\n    p.grad.zero_()",
                "for p in net.parameters():\n    torch.nn.utils.clip_grad_norm_(p, 1)",
                "net.load_state_dict(torch.load('net.pt'))",
                "other.weight.data.fill_(1)",
                "net.grown.data.fill_(1)",
            )
        ),
        ("other.apply(init)", "other.apply(init)"),
        ("table.apply(init)", "table.apply(init)"),
        ("wandb.init(other)", "wandb.init(other)"),
    ],
)
def test_call_after_an_initialisation(before: str, after: str) -> None:
    head = "import torch\nfrom net import Net\nfrom elsewhere import init, init_weights, table, wandb\n\n"
    head += "other = torch.nn.Linear(2, 2)\nnet = Net()\n"
    assert wired(f"{head}{before}\nopt = torch.optim.SGD(net.parameters(), 0.1)\n").startswith(
        f"{head}{after}\nopt = "
    )


def test_call_after_an_initialisation_by_the_module_around() -> None:
    train = wired(
        """
        import torch
        from net import Net

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = Net()
                self.apply(self.reset)

            def reset(self, module):
                pass

        model = Model()
        opt = torch.optim.SGD(model.parameters(), 0.1)
        """
    )
    assert (
        "        self.apply(self.reset)\n"
        "        for module in self.modules():\n"
        "            if isinstance(module, Net):\n"
        "                module.project_parameters()\n"
    ) in train


@pytest.mark.parametrize(
    "line", ["nn.init.normal_(self.w)", "self.apply(print)", "self.w = nn.Parameter(self.w)"]
)
def test_constructor_of_a_subclass_that_changes_the_parameter(line: str) -> None:
    heir = f"\n\nclass Heir(Net):\n    def __init__(self):\n        super().__init__()\n        {line}\n"
    code = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + heir
    net = fixed({"net.py": code + TRAIN.replace("Net()", "Heir()")}, RULE)["net.py"]
    assert f"        {line}\n        self.project_parameters()\n" in net


def test_constructor_of_a_subclass_that_does_something_else() -> None:
    heir = "\n\nclass Heir(Net):\n    def __init__(self):\n        super().__init__()\n        self.n = 1\n"
    code = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + heir
    assert heir in fixed({"net.py": code + TRAIN}, RULE)["net.py"]


def test_bound_that_only_a_subclass_has() -> None:
    heir = "\n\nclass Heir(Net):\n    def __init__(self):\n        super().__init__()\n        self.top = 1\n"
    code = module(W, "self.w.data.clamp_(0, self.top)\nreturn x * self.w") + heir
    (finding,) = unchanged(RULE, code + TRAIN.replace("Net()", "Heir()"), findings=1)
    assert "`top` is not there yet when `__init__` ends" in (finding.help or "")


def test_local_name_that_is_bound_in_another_way_is_reported_only() -> None:
    code = module(W, "w: torch.Tensor = self.w\nw.data.clamp_(0, 1)\nreturn x * w")
    (finding,) = unchanged(RULE, code + TRAIN, findings=1)
    assert "it needs the local name `w`" in (finding.help or "")


def test_method_name_that_an_attribute_has() -> None:
    code = module(W + "\nself.project_parameters = 1", "self.w.data.clamp_(0, 1)\nreturn x * self.w")
    assert "    def project_net_parameters(self, *_)" in fixed({"net.py": code + TRAIN}, RULE)["net.py"]


def test_function_in_the_constructor_that_returns() -> None:
    init = "def make():\n    return torch.rand(n)\nself.w = nn.Parameter(make())"
    code = module(init, "self.w.data.clamp_(0, 1)\nreturn x * self.w")
    assert "        self.project_parameters()\n" in fixed({"net.py": code + TRAIN}, RULE)["net.py"]


def test_inline_return() -> None:
    code = module(
        W,
        "self.w.data.clamp_(0, 1)\nreturn x * self.w",
        extra="def configure_optimizers(self):\n    return torch.optim.Adam(self.parameters(), lr=1e-3)",
    )
    result = fixed({"net.py": code}, RULE)["net.py"]
    assert (
        "        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)\n"
        "        optimizer.register_step_post_hook(self.project_parameters)\n"
        "        return optimizer\n"
    ) in result


def test_argument_known_from_its_callers() -> None:
    train = wired(
        """
        import torch
        from net import Net

        def fit(model, epochs):
            model = model.to("cpu")
            opt = torch.optim.SGD(model.parameters(), 0.1)
            return opt

        fit(Net(), 3)
        """
    )
    assert "    opt.register_step_post_hook(model.project_parameters)\n    return opt\n" in train


def test_trainer_object() -> None:
    train = wired(
        """
        import torch
        from net import Net

        class Trainer:
            def __init__(self, model, lr):
                self.model = model
                self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)

        Trainer(Net(), 0.1)
        """
    )
    assert "        self.optimizer.register_step_post_hook(self.model.project_parameters)\n" in train


@pytest.mark.parametrize(
    "taken",
    [
        "list(net.parameters())",
        "filter(lambda p: p.requires_grad, net.parameters())",
        "[p for p in net.parameters() if p.requires_grad]",
        "[{'params': net.parameters(), 'lr': 0.1}]",
        "params=net.parameters()",
        "[net.w]",
    ],
)
def test_what_optimizers_take(taken: str) -> None:
    train = wired(
        f"import torch\nfrom net import Net\n\nnet = Net()\nopt = torch.optim.SGD({taken}, lr=0.1)\n"
    )
    assert train.endswith("opt.register_step_post_hook(net.project_parameters)\n")


def test_parameter_groups_built_in_a_loop() -> None:
    train = wired(
        """
        import torch
        from net import Net

        net = Net()
        decay, rest = [], []
        for name, p in net.named_parameters():
            (decay if p.ndim > 1 else rest).append(p)
        groups = []
        for name, p in net.named_parameters():
            groups.append({"params": [p]})
        opt = torch.optim.AdamW(groups)
        """
    )
    assert train.endswith("opt.register_step_post_hook(net.project_parameters)\n")


def test_step_without_a_construction() -> None:
    train = wired(
        """
        from torch.optim import Optimizer
        from net import Net

        def train_step(model: Net, opt: Optimizer, x):
            opt.zero_grad()
            model(x).sum().backward()
            opt.step()
            return x
        """
    )
    assert "    opt.step()\n    model.project_parameters()\n    return x\n" in train


def test_every_branch_that_builds_one() -> None:
    train = wired(
        """
        import torch
        from net import Net

        def build(name):
            model = Net()
            if name == "sgd":
                opt = torch.optim.SGD(model.parameters(), 0.1)
            else:
                opt = torch.optim.Adam(model.parameters())
            return model, opt
        """
    )
    assert train.count("        opt.register_step_post_hook(model.project_parameters)\n") == 2


def test_helper_called_from_forward_is_called_after_the_step_instead() -> None:
    code = module(
        W,
        "self.clip()\nreturn x * self.w",
        extra="def clip(self):\n    with torch.no_grad():\n        self.w.clamp_(0, 1)",
    )
    result = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert (
        '        """Keep the constrained parameters in range; runs after every optimizer step."""\n'
        "        self.clip()\n" in result
    )
    assert "    def forward(self, x):\n        return x * self.w\n" in result


def test_loop_over_modules() -> None:
    code = module(
        "self.body = nn.Sequential(nn.Linear(n, n), nn.BatchNorm1d(n))",
        """
        for m in self.modules():
            if isinstance(m, nn.BatchNorm1d):
                m.weight.data.clamp_(min=0.1)
        return self.body(x)
        """,
    )
    result = fixed({"net.py": code.replace("Net()", "Net()") + TRAIN}, RULE)["net.py"]
    assert (
        "        for m in self.modules():\n"
        "            if isinstance(m, nn.BatchNorm1d):\n"
        "                m.weight.clamp_(min=0.1)\n\n"
        "    def forward(self, x):\n"
        "        return self.body(x)\n"
    ) in result


def test_parameter_of_a_submodule() -> None:
    code = module("self.lin = nn.Linear(n, n)", "self.lin.weight.data.clamp_(0, 1)\nreturn self.lin(x)")
    assert "        self.lin.weight.clamp_(0, 1)\n" in fixed({"net.py": code + TRAIN}, RULE)["net.py"]


def test_class_without_a_constructor() -> None:
    code = HEAD + dedent(
        """
        class Net(nn.Linear):
            # rows stay small
            def forward(self, x):
                self.weight.data = torch.renorm(self.weight.data, 2, 0, 1)
                return super().forward(x)


        net = Net(2, 2)
        optimizer = torch.optim.Adam(net.parameters())
        """
    )
    result = fixed({"net.py": code}, RULE)["net.py"]
    assert (
        "class Net(nn.Linear):\n"
        "    def __init__(self, *args, **kwargs) -> None:\n"
        "        super().__init__(*args, **kwargs)\n"
        "        self.project_parameters()\n"
        "        self.register_load_state_dict_post_hook(self.project_parameters)\n"
        "\n"
        "    @torch.no_grad()\n"
        "    def project_parameters(self, *_) -> None:\n"
    ) in result
    assert "    # rows stay small\n    def forward(self, x):\n        return super().forward(x)\n" in result


def test_two_projections_of_one_class_move_together() -> None:
    code = module(
        W + "\nself.b = nn.Parameter(torch.rand(n))",
        "self.w.data.clamp_(0, 1)\nself.b.data.clamp_(-1, 1)\nreturn x * self.w + self.b",
    )
    result = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert "        self.w.clamp_(0, 1)\n        self.b.clamp_(-1, 1)\n" in result


def test_two_constrained_classes_one_optimizer() -> None:
    first = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w", name="A")
    second = module(W, "self.w.data.clamp_(0, 2)\nreturn x * self.w", name="B").removeprefix(HEAD)
    train = "\n\nnet = nn.Sequential(A(), B())\noptimizer = torch.optim.Adam(net.parameters())\n"
    result = fixed({"net.py": first + "\n\n" + second + train}, RULE)["net.py"]
    assert result.count("register_step_post_hook(module.project_parameters)") == 2


def test_name_that_is_taken() -> None:
    code = module(
        W,
        "self.w.data.clamp_(0, 1)\nreturn x * self.w",
        extra="def project_parameters(self, basis):\n    return basis @ self.w",
    )
    result = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert "def project_net_parameters(self, *_) -> None:" in result
    assert "optimizer.register_step_post_hook(net.project_net_parameters)" in result


def test_argument_annotated_as_any_module() -> None:
    train = wired(
        """
        import torch
        from torch import nn
        from net import Net

        def fit(model: nn.Module):
            opt = torch.optim.SGD(model.parameters(), 0.1)
            return opt

        def other(head: nn.Linear):
            return torch.optim.SGD(head.parameters(), 0.1)

        fit(Net())
        """
    )
    assert "    opt.register_step_post_hook(model.project_parameters)\n    return opt\n" in train
    assert "    return torch.optim.SGD(head.parameters(), 0.1)\n" in train


def test_part_of_the_constrained_model() -> None:
    code = module(
        "self.body = nn.Linear(n, n)\nself.head = nn.Linear(n, n)",
        "self.body.weight.data.clamp_(0, 1)\nreturn self.head(self.body(x))",
    )
    train = (
        "\n\nnet = Net()\nfirst = torch.optim.Adam(net.body.parameters())\n"
        "second = torch.optim.Adam(net.head.parameters())\n"
    )
    result = fixed({"net.py": code + train}, RULE)["net.py"]
    assert "first.register_step_post_hook(net.project_parameters)" in result
    assert "second.register" not in result


def test_loop_that_also_uses_the_layers() -> None:
    code = module(
        "self.layers = nn.ModuleList([nn.Linear(n, n) for _ in range(2)])\nself.bound = 1.0",
        """
        for layer in self.layers:
            # bounded
            layer.weight.data.clamp_(-self.bound, self.bound)
            x = torch.relu(layer(x))
        return x
        """,
    )
    result = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert (
        "        for layer in self.layers:\n"
        "            # bounded\n"
        "            layer.weight.clamp_(-self.bound, self.bound)\n"
        "\n"
        "    def forward(self, x):\n"
        "        for layer in self.layers:\n"
        "            x = torch.relu(layer(x))\n"
        "        return x\n"
    ) in result
    (finding,) = analyse({"net.py": code + TRAIN}, RULE)
    assert finding.fix is not None
    assert finding.fix.contract.projection is not None
    assert finding.fix.contract.projection.statements == (
        "for layer in self.layers:\n    layer.weight.data.clamp_(-self.bound, self.bound)",
    )


@pytest.mark.parametrize("exit_", ["break", "continue", "return x"])
def test_loop_that_may_be_left_early_is_reported_only(exit_: str) -> None:
    code = module(
        "self.layers = nn.ModuleList([nn.Linear(n, n) for _ in range(2)])",
        f"""
        for layer in self.layers:
            if x.sum() > 0:
                {exit_}
            layer.weight.data.clamp_(-1, 1)
            x = torch.relu(layer(x))
        return x
        """,
    )
    unchanged(RULE, code + TRAIN, findings=1)


def test_loop_whose_name_another_loop_binds_too() -> None:
    code = module(
        "self.layers = nn.ModuleList([nn.Linear(n, n) for _ in range(2)])",
        """
        for layer in self.layers:
            layer.weight.data.clamp_(-1, 1)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x + sum(layer.bias.sum() for layer in self.layers)
        """,
    )
    net = fixed({"net.py": code + TRAIN}, RULE)["net.py"]
    assert "def forward(self, x):\n        for layer in self.layers:\n            x = torch" in net


def test_optimizer_of_an_unknown_model_that_cannot_name_the_class() -> None:
    """Each folder has its own scripts: what is not importable in one of them is not hooked there."""
    tree = {
        "gates/net.py": """\
            import torch
            from torch import nn


            class Gate(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.w = nn.Parameter(torch.rand(3))

                def forward(self, x):
                    self.w.data.clamp_(0, 1)
                    return x * self.w


            gate = Gate()
            optimizer = torch.optim.Adam(gate.parameters())
            """,
        "other/train.py": """\
            import torch


            def train(model):
                optimizer = torch.optim.Adam(model.parameters())
                return optimizer
            """,
    }
    (finding,) = analyse(tree, ProjectionInForward)
    assert finding.fix
    assert finding.fix.applicability is Applicability.UNSAFE
    assert [path.name for path in finding.fix.edits.files] == ["net.py"]
    assert "an optimizer in train.py may take its parameters too" in (finding.help or "")


@pytest.mark.parametrize(
    "build",
    [
        "opt = torch.optim.SGD([p for m in nets for p in m.parameters()], lr=0.1)",
        "opt = torch.optim.SGD([{'params': m.parameters()} for m in nets], lr=0.1)",
        "params = []\nfor m in nets:\n    params += list(m.parameters())\nopt = torch.optim.SGD(params, 0.1)",
    ],
)
def test_one_name_for_several_models_is_reported_only(build: str) -> None:
    code = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w") + f"\n\nnets = [Net(), Net()]\n{build}\n"
    (finding,) = unchanged(RULE, code, findings=1)
    assert finding.help is not None
    assert "stands for several models" in finding.help


def test_an_optimizer_for_each_model_of_a_loop() -> None:
    train = wired(
        """
        import torch
        from net import Net

        nets, opts = [Net(), Net()], []
        for m in nets:
            opt = torch.optim.SGD(m.parameters(), lr=0.1)
            opts.append(opt)
        """
    )
    assert "    opt.register_step_post_hook(m.project_parameters)\n    opts.append(opt)\n" in train


@pytest.mark.parametrize(
    "line",
    [
        "net.body.apply(init)",
        "net.body.load_state_dict(state)",
        "net.body = torch.nn.Linear(2, 2)",
        "net.body.weight = torch.nn.Parameter(init)",
        "torch.nn.utils.vector_to_parameters(init, net.parameters())",
    ],
)
def test_call_after_an_initialisation_of_a_part(line: str) -> None:
    net = module("self.body = nn.Linear(n, n)", "self.body.weight.data.clamp_(0, 1)\nreturn self.body(x)")
    train = (
        "import torch\nfrom net import Net\nfrom elsewhere import init, state\n\nnet = Net()\n"
        f"{line}\nopt = torch.optim.SGD(net.parameters(), 0.1)\n"
    )
    result = fixed({"net.py": net, "train.py": train}, RULE)["train.py"]
    assert f"{line}\nnet.project_parameters()\nopt = " in result


def test_parameters_written_in_another_forward_need_consent() -> None:
    code = module(W, "self.w.data.clamp_(0, 1)\nreturn x * self.w")
    outer = """
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = Net()

            def forward(self, x):
                self.net.w.data.mul_(2)
                return self.net(x)
        """
    (finding, *_) = analyse({"net.py": code + dedent(outer) + TRAIN.replace("Net()", "Outer()")}, RULE)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "out of range before the first step" in (finding.help or "")

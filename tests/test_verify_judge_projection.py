"""PRM101: the projection moves out of forward; what must be refuted, and what is equivalent or repaired."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from tests.judge_support import Case, preserves, repairs, some_are_slow, text

ORIGINAL = text(
    """
    class Gate(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.lin = nn.Linear(width, 3)
            self.scale = nn.Parameter(torch.full((width,), 2.0))

        def forward(self, x):
            self.scale.data.clamp_(0.0, 1.0)
            return torch.sigmoid(self.lin(x * self.scale))
    """
)
CLAMP = "        self.scale.data.clamp_(0.0, 1.0)\n"
INIT_CALL = "        self.project_parameters()\n"
LOAD_HOOK = "        self.register_load_state_dict_post_hook(self.project_parameters)\n"
FIXED = text(
    """
    class Gate(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.lin = nn.Linear(width, 3)
            self.scale = nn.Parameter(torch.full((width,), 2.0))
            self.project_parameters()
            self.register_load_state_dict_post_hook(self.project_parameters)

        def forward(self, x):
            return torch.sigmoid(self.lin(x * self.scale))

        @torch.no_grad()
        def project_parameters(self, *_) -> None:
            \"\"\"Keep the constrained parameters in range; runs after every optimizer step.\"\"\"
            self.scale.clamp_(0.0, 1.0)
    """
)
BUILD = "    optimizer = torch.optim.Adam(gate.parameters(), lr=lr)\n"
REGISTER = "    optimizer.register_step_post_hook(gate.project_parameters)\n"


OTHER = (
    "    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)\n"
    "    other.register_step_post_hook(gate.project_parameters)\n"
)
OTHER_CLASS = (
    "    for module in gate.modules():\n        if isinstance(module, nn.Conv2d):\n"
    "            optimizer.register_step_post_hook(module.project_parameters)\n"
)


def train_file(*lines: str) -> str:
    return text("from net import Gate\n\n\ndef train(gate, lr):\n    pass\n") + "".join(lines)


def moved(
    folder: Path, fixed: str = FIXED, registration: str = REGISTER, original: str = ORIGINAL
) -> Verification:
    """Verify the move with the fixed class and the registration given."""
    before = train_file(BUILD)
    case = Case(folder, net=(original, fixed), train=(before, before + registration))
    projection = case.projection("net.py", "Gate", CLAMP)
    gate = (case.path("net.py"), "Gate")
    wiring = case.wiring("train.py", BUILD, "gate", model_class=gate, function="train")
    return case.verify(preserves(case.subject("net.py", "Gate"), projection=projection, wiring=(wiring,)))


def test_the_move_is_equivalent_and_says_how_that_was_shown(tmp_path: Path) -> None:
    found = moved(tmp_path)
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    evidence = found.evidence
    assert [t["optimizer"].split(" at ")[0] for t in evidence["trajectories"]] == [
        "SGD(lr=0.1, momentum=0.9)",
        "Adam(lr=0.1)",
        "the optimizer as built",
    ]
    for trajectory in evidence["trajectories"]:
        assert trajectory["losses_bit_identical"]
        assert trajectory["steps"] == 5
        assert len(set(trajectory["losses_before"])) == 5
        assert trajectory["hooks"] == 1
    assert evidence["constraint"]["binding_steps"] > 0
    assert evidence["constraint"]["parameters"] == ["scale"]
    assert evidence["max_abs"] == 0
    assert evidence["oracle"]["agrees"]


OTHER_BUILD = "    optimizer = torch.optim.SGD(gate.parameters(), lr=lr)\n"


def test_a_default_value_that_the_run_does_without(tmp_path: Path) -> None:
    original = ORIGINAL.replace("width: int)", "width: int, bias: bool = True)").replace("3)\n", "3, bias)\n")
    fixed = FIXED.replace("width: int)", "width: int, bias: bool = True)").replace("3)\n", "3, bias)\n")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    right = moved(tmp_path / "one", fixed, original=original)
    wrong = moved(tmp_path / "two", fixed.replace("= True", "= False"), original=original)
    assert right.verdict is Verdict.EQUIVALENT, right.reason
    assert wrong.verdict is Verdict.REFUTED, wrong.reason


def test_what_others_write_in_range_stays_there(tmp_path: Path) -> None:
    owner = "\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    owner += "        self.gate = Gate(4)\n        nn.init.constant_(self.gate.scale, 0.5)\n\n"
    owner += "    def forward(self, x):\n        return self.gate(x)\n"
    each = "        if isinstance(module, Gate):\n            optimizer"
    register = REGISTER.replace("    optimizer.", f"    for module in gate.modules():\n{each}.").replace(
        "(gate.", "(module."
    )
    before = train_file(BUILD)
    case = Case(tmp_path, net=(ORIGINAL + owner, FIXED + owner), train=(before, before + register))
    net = (case.path("net.py"), "Net")
    wiring = case.wiring("train.py", BUILD, "gate", model_class=net, function="train")
    projection = case.projection("net.py", "Gate", CLAMP)
    found = case.verify(preserves(case.subject("net.py", "Gate"), projection=projection, wiring=(wiring,)))
    assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_an_optimizer_that_is_gone(tmp_path: Path) -> None:
    case = Case(tmp_path, net=(ORIGINAL, FIXED), train=(train_file(BUILD), train_file("    pass\n")))
    gate = (case.path("net.py"), "Gate")
    wiring = case.wiring("train.py", BUILD, "gate", model_class=gate, function="train")
    projection = case.projection("net.py", "Gate", CLAMP)
    found = case.verify(preserves(case.subject("net.py", "Gate"), projection=projection, wiring=(wiring,)))
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize("kept", [(REGISTER, REGISTER), (REGISTER, ""), ("", REGISTER)])
def test_two_optimizers_in_one_function(tmp_path: Path, kept: tuple[str, str]) -> None:
    between = "    gate.train()\n"
    before = train_file(BUILD, between, OTHER_BUILD)
    after = train_file(BUILD, kept[0], between, OTHER_BUILD, kept[1])
    case = Case(tmp_path, net=(ORIGINAL, FIXED), train=(before, after))
    gate = (case.path("net.py"), "Gate")
    contract = preserves(
        case.subject("net.py", "Gate"),
        projection=case.projection("net.py", "Gate", CLAMP),
        wiring=tuple(
            case.wiring("train.py", build, "gate", model_class=gate, function="train")
            for build in (BUILD, OTHER_BUILD)
        ),
    )
    found = case.verify(contract)
    assert found.verdict is (Verdict.EQUIVALENT if all(kept) else Verdict.REFUTED), found.reason


WRONG_CLASSES = [
    FIXED.replace("clamp_(0.0, 1.0)", "clamp_(0.0, 0.5)"),
    FIXED.replace("clamp_(0.0, 1.0)", "clamp_(0.0)"),
    FIXED.replace("self.scale.clamp_", "self.lin.weight.clamp_"),
    FIXED.replace(INIT_CALL, ""),
    FIXED.replace(LOAD_HOOK, ""),
    FIXED.replace("    @torch.no_grad()\n", ""),
    FIXED.replace("self.scale.clamp_(0.0, 1.0)", "self.scale = self.scale.clamp(0.0, 1.0)"),
    FIXED.replace("self.scale))", "self.scale.detach()))"),
    FIXED.replace("torch.sigmoid(", "1.000001 * torch.sigmoid("),
    FIXED.replace("return torch.sigmoid", "return torch.tanh"),
    FIXED.replace("def project_parameters(self, *_)", "def project_parameters(self)"),
]


@pytest.mark.parametrize("fixed", some_are_slow(WRONG_CLASSES))
def test_a_wrong_class_is_refuted(tmp_path: Path, fixed: str) -> None:
    assert fixed != FIXED
    found = moved(tmp_path, fixed)
    assert found.verdict is Verdict.REFUTED, found.reason
    assert found.evidence["counterexample"]


@pytest.mark.parametrize(
    "registration",
    [
        "",
        "    optimizer.register_step_pre_hook(gate.project_parameters)\n",
        OTHER,
        "    optimizer.register_step_post_hook(gate.projekt_parameters)\n",
        "    optimizer.register_step_post_hook(Gate.project_parameters)\n",
        OTHER_CLASS,
    ],
    ids=["none", "pre", "other-optimizer", "misspelt", "unbound", "wrong-class"],
)
def test_a_wrong_registration_is_refuted(tmp_path: Path, registration: str) -> None:
    found = moved(tmp_path, registration=registration)
    assert found.verdict is Verdict.REFUTED, found.reason


WRONG_IN_PASSING = {
    "of the other model": "optimizer.register_step_post_hook(critic.project_parameters)",
    "called at once": "optimizer.register_step_post_hook(gate.project_parameters())",
    "of a copy": "optimizer.register_step_post_hook(__import__('copy').deepcopy(gate).project_parameters)",
    "taken off": "optimizer.register_step_post_hook(gate.project_parameters).remove()",
    "on a condition": "if lr > 1:\n        optimizer.register_step_post_hook(gate.project_parameters)",
    "of a function": "optimizer.register_step_post_hook(lambda *_: gate.project_parameters)",
    "model replaced": "gate = __import__('copy').deepcopy(gate)\n"
    "    optimizer.register_step_post_hook(gate.project_parameters)",
    "optimizer replaced": "optimizer.register_step_post_hook(gate.project_parameters)\n"
    "    optimizer = torch.optim.Adam(gate.parameters(), lr=lr)",
    "lost in a copy": "optimizer.register_step_post_hook(gate.project_parameters)\n"
    "    optimizer = __import__('pickle').loads(__import__('pickle').dumps(optimizer))",
    "as gradients arrive": "for p in gate.parameters():\n"
    "        p.register_post_accumulate_grad_hook(gate.project_parameters)",
    "closed over later": "optimizer.register_step_post_hook(lambda *_: gate.project_parameters())\n"
    "    gate = Gate(3)",
}


@pytest.mark.parametrize("registration", WRONG_IN_PASSING.values(), ids=WRONG_IN_PASSING)
def test_a_registration_that_looks_right_is_refuted(tmp_path: Path, registration: str) -> None:
    found = moved(tmp_path, registration=f"    {registration}\n")
    assert found.verdict is Verdict.REFUTED, found.reason


def test_without_any_wiring_nothing_calls_the_projection(tmp_path: Path) -> None:
    case = Case(tmp_path, net=(ORIGINAL, FIXED))
    projection = case.projection("net.py", "Gate", CLAMP)
    found = case.verify(preserves(case.subject("net.py", "Gate"), projection=projection))
    assert found.verdict is Verdict.REFUTED, found.reason


def verify_wired(folder: Path, before: str, after: str, **options: object) -> Verification:
    """Verify the right class with the wiring region `before`, which becomes `after`, in the same file."""
    extra = options.pop("extra", "")
    assert isinstance(extra, str)
    if not before.startswith(" "):
        before, after = (textwrap.indent(code, "    ") for code in (before, after))
        extra += "\n\ndef train(model, gate):\n"
        options["function"] = "train"
    files = (ORIGINAL + extra + before, FIXED + extra + after)
    case = Case(folder, net=files)
    model_class = options.pop("model_class", None)
    if isinstance(model_class, str):
        options["model_class"] = (case.path("net.py"), model_class)
    model = options.pop("model", "gate")
    assert isinstance(model, str)
    wiring = case.wiring("net.py", before, model, **options)
    projection = case.projection("net.py", "Gate", CLAMP)
    return case.verify(preserves(case.subject("net.py", "Gate"), projection=projection, wiring=(wiring,)))


OUTER = text(
    """
    class Outer(nn.Module):
        def __init__(self, width: int = 8):
            super().__init__()
            self.head = nn.Linear(width, width)
            self.gates = nn.ModuleList([Gate(width), Gate(width)])

        def forward(self, x):
            h = torch.tanh(self.head(x))
            return self.gates[0](h) + self.gates[1](h)
    """,
    header="\n\n",
)
LOOP = (
    "for module in model.modules():\n    if isinstance(module, Gate):\n"
    "        optimizer.register_step_post_hook(module.project_parameters)\n"
)


def test_nested_in_a_larger_model(tmp_path: Path) -> None:
    build = "optimizer = torch.optim.SGD(model.parameters(), lr=0.5)\n"
    found = verify_wired(tmp_path, build, build + LOOP, model="model", model_class="Outer", extra=OUTER)
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert found.evidence["constraint"]["parameters"] == ["gates.0.scale", "gates.1.scale"]


def test_nested_and_only_the_first_registered(tmp_path: Path) -> None:
    build = "optimizer = torch.optim.SGD(model.parameters(), lr=0.5)\n"
    wrong = build + "optimizer.register_step_post_hook(model.gates[0].project_parameters)\n"
    found = verify_wired(tmp_path, build, wrong, model="model", model_class="Outer", extra=OUTER)
    assert found.verdict is Verdict.REFUTED, found.reason


def test_a_wired_model_that_cannot_be_built_is_stood_for(tmp_path: Path) -> None:
    broken = OUTER.replace("super().__init__()", "super().__init__(); raise OSError('no weights')")
    build = "optimizer = torch.optim.SGD(model.parameters(), lr=0.5)\n"
    found = verify_wired(tmp_path, build, build + LOOP, model="model", model_class="Outer", extra=broken)
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert "Gate stood for it" in found.evidence["notes"][0]


LIGHTNING = text(
    """
    class Engine(nn.Module):
        def __init__(self, width: int = 8):
            super().__init__()
            self.net = Gate(width)

        def forward(self, x):
            return self.net(x)

        def configure_optimizers(self):
    """,
    header="\n\n",
)


def test_inline_in_configure_optimizers(tmp_path: Path) -> None:
    before = "        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)\n"
    after = (
        "        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)\n"
        "        for module in self.modules():\n"
        "            if isinstance(module, Gate):\n"
        "                optimizer.register_step_post_hook(module.project_parameters)\n"
        "        return optimizer\n"
    )
    found = verify_wired(
        tmp_path, before, after, model="self", extra=LIGHTNING, function="Engine.configure_optimizers"
    )
    assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_an_attribute_of_self_holds_the_model(tmp_path: Path) -> None:
    before = "    self.opt = torch.optim.Adam(self.net.parameters(), lr=self.args.lr)\n"
    after = before + "    self.opt.register_step_post_hook(self.net.project_parameters)\n"
    options = {"model": "self.net", "optimizer": "self.opt", "function": "setup"}
    found = verify_wired(tmp_path, before, after, extra="\n\ndef setup(self):\n", **options)
    assert found.verdict is Verdict.EQUIVALENT, found.reason


MODEL = "\n\ngate = Gate(8)\n"
STEP = "        optimizer.step()\n"
STEP_LOOP = "\n\ndef train(gate, optimizer, data):\n    for batch in data:\n"


def test_called_after_the_step(tmp_path: Path) -> None:
    after = STEP + "        gate.project_parameters()\n"
    found = verify_wired(tmp_path, STEP, after, extra=STEP_LOOP, kind="step", function="train")
    assert found.verdict is Verdict.EQUIVALENT, found.reason


WRONG_STEPS = {
    "before": ("gate.project_parameters()", "optimizer.step()"),
    "another model": ("optimizer.step()", "critic.project_parameters()"),
    "a copy": ("optimizer.step()", "__import__('copy').deepcopy(gate).project_parameters()"),
    "not called": ("optimizer.step()", "gate.project_parameters"),
    "in eval mode": ("optimizer.step()", "gate.training or gate.project_parameters()"),
    "a step more": ("optimizer.step()", "gate.project_parameters()", "optimizer.step()"),
    "two steps": ("optimizer.step()", "optimizer.step()", "gate.project_parameters()"),
    "gradients dropped": ("optimizer.step()", "gate.project_parameters()", "gate.scale.grad = None"),
    "gradients dropped before": ("gate.lin.zero_grad()", "optimizer.step()", "gate.project_parameters()"),
}


@pytest.mark.parametrize("statements", WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_a_wrong_step(tmp_path: Path, statements: tuple[str, ...]) -> None:
    after = "".join(f"        {statement}\n" for statement in statements)
    found = verify_wired(tmp_path, STEP, after, extra=STEP_LOOP, kind="step", function="train")
    assert found.verdict is Verdict.REFUTED, found.reason


def test_a_gradient_scaler_steps_the_optimizer(tmp_path: Path) -> None:
    step = "        scaler.step(optimizer)\n"
    after = step + "        gate.project_parameters()\n"
    found = verify_wired(tmp_path, step, after, extra=STEP_LOOP, kind="step", function="train")
    assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_the_model_is_wrapped_in_data_parallel(tmp_path: Path) -> None:
    build = "model = nn.DataParallel(model)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.5)\n"
    found = verify_wired(tmp_path, build, build + LOOP, model="model")
    assert found.verdict is Verdict.EQUIVALENT, found.reason


def test_an_optimizer_that_cannot_be_replayed_proves_nothing(tmp_path: Path) -> None:
    build = "optimizer = build_optimizer(gate)\n"
    after = build + "optimizer.register_step_post_hook(gate.project_parameters)\n"
    found = verify_wired(tmp_path, build, after)
    assert found.verdict is Verdict.UNVERIFIED
    assert "optimizers" in found.reason


def test_a_normalisation_is_compared_in_float64(tmp_path: Path) -> None:
    statement = "        self.scale.data = self.scale.data / self.scale.data.norm()\n"
    before = ORIGINAL.replace(CLAMP, statement)
    after = FIXED.replace("self.scale.clamp_(0.0, 1.0)", "self.scale.div_(self.scale.norm())")
    build = "optimizer = torch.optim.SGD(gate.parameters(), lr=0.1)\n"
    register = "optimizer.register_step_post_hook(gate.project_parameters)\n"
    case = Case(tmp_path, net=(before + MODEL + build, after + MODEL + build + register))
    found = case.verify(
        preserves(
            case.subject("net.py", "Gate"),
            projection=case.projection("net.py", "Gate", statement, exact=False),
            wiring=(case.wiring("net.py", build, "gate"),),
        )
    )
    assert found.verdict is Verdict.EQUIVALENT, found.reason
    assert "float64" in found.reason
    assert found.evidence["max_rel"] < 1e-7


@pytest.mark.parametrize(
    ("bound", "result", "verdict"),
    [
        ("0, 1", "", Verdict.REPAIRED),
        ("0, 0.5", "", Verdict.REFUTED),
        ("0, 1", "1.000001 * ", Verdict.REFUTED),
    ],
)
def test_the_form_that_raises_today(tmp_path: Path, bound: str, result: str, verdict: Verdict) -> None:
    statement = "        self.lin.weight = torch.clamp(self.lin.weight, 0, 1)\n"
    before = ORIGINAL.replace(CLAMP, statement)
    after = FIXED.replace("self.scale.clamp_(0.0, 1.0)", f"self.lin.weight.clamp_({bound})")
    after = after.replace("return torch", f"return {result}torch")
    build = "optimizer = torch.optim.Adam(gate.parameters())\n"
    register = "optimizer.register_step_post_hook(gate.project_parameters)\n"
    case = Case(tmp_path, net=(before + MODEL + build, after + MODEL + build + register))
    found = case.verify(
        repairs(
            "TypeError",
            case.region("net.py", statement),
            case.subject("net.py", "Gate"),
            projection=case.projection("net.py", "Gate", statement),
            wiring=(case.wiring("net.py", build, "gate"),),
        )
    )
    assert found.verdict is verdict, found.reason


def test_a_constraint_that_never_binds_proves_nothing(tmp_path: Path) -> None:
    before = ORIGINAL.replace("clamp_(0.0, 1.0)", "clamp_(-1e9, 1e9)")
    after = FIXED.replace("clamp_(0.0, 1.0)", "clamp_(-1e9, 1e9)")
    build = "optimizer = torch.optim.SGD(gate.parameters(), lr=0.1)\n"
    register = "optimizer.register_step_post_hook(gate.project_parameters)\n"
    case = Case(tmp_path, net=(before + MODEL + build, after + MODEL + build + register))
    found = case.verify(
        preserves(
            case.subject("net.py", "Gate"),
            projection=case.projection("net.py", "Gate", CLAMP.replace("0.0, 1.0", "-1e9, 1e9")),
            wiring=(case.wiring("net.py", build, "gate"),),
        )
    )
    assert found.verdict is Verdict.UNVERIFIED
    assert "constraint" in found.reason


def test_an_optimizer_that_evaluates_the_model_within_its_step(tmp_path: Path) -> None:
    """The original projects before each evaluation, the fixed form once the step is over: not the same."""
    build = "optimizer = torch.optim.LBFGS(gate.parameters(), lr=1)\n"
    found = verify_wired(
        tmp_path, build, build + "optimizer.register_step_post_hook(gate.project_parameters)\n"
    )
    assert found.verdict is Verdict.REFUTED, found.reason
    assert "evaluation 2" in found.reason


def test_a_step_that_is_given_a_closure(tmp_path: Path) -> None:
    step = "        optimizer.step(closure)\n"
    after = step + "        gate.project_parameters()\n"
    loop = "\n\ndef train(gate, optimizer, data):\n    for batch in data:\n"
    found = verify_wired(tmp_path, step, after, extra=loop, kind="step", function="train")
    assert found.verdict is Verdict.EQUIVALENT, found.reason


PARAMETERS = """\
def train(gate, config, fast):
    decay, plain = [], []
    for name, parameter in gate.named_parameters():
        if name.endswith("bias"):
            plain.append(parameter)
        else:
            decay.append(parameter)
    rate = config.lr * (10 if fast else 1)
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": plain, "lr": 2 * rate}]
"""


@pytest.mark.parametrize("registered", [True, False])
def test_what_the_optimizer_takes_is_prepared_before(tmp_path: Path, registered: bool) -> None:
    build = "    optimizer = torch.optim.AdamW(groups, lr=rate, betas=config.betas)\n"
    register = (
        "    optimizer.register_step_post_hook(gate.project_parameters)\n" if registered else "    pass\n"
    )
    extra = "\n\n" + PARAMETERS
    found = verify_wired(tmp_path, build, build + register, extra=extra, function="train")
    assert found.verdict is (Verdict.EQUIVALENT if registered else Verdict.REFUTED), found.reason


def test_what_nobody_prepares_is_not_guessed(tmp_path: Path) -> None:
    build = "optimizer = torch.optim.SGD(list(params), lr=0.1)\n"
    register = "optimizer.register_step_post_hook(gate.project_parameters)\n"
    found = verify_wired(tmp_path, build, build + register)
    assert found.verdict is Verdict.UNVERIFIED, found.reason
    assert "cannot be replayed" in found.reason

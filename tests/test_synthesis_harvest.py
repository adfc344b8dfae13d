"""What others give to a class is read from their files, and used where guesses fail."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from fixer.verify.worker.mentions import mentioning
from fixer.verify.worker.synthesis import HarnessError, Recipe, synthesize
from fixer.verify.worker.synthesis.expressions import Scope
from fixer.verify.worker.synthesis.harvest import calls
from fixer.verify.worker.synthesis.source import Sources
from fixer.verify.worker.synthesis.specs import text_of


class Codebook(nn.Module):
    """Takes only what nobody would guess."""

    def __init__(self, plan, width):
        super().__init__()
        if [step * 3 for step in plan] != [21, 33, 15] or width != 28:
            raise RuntimeError("no")
        self.fc = nn.Linear(width, 5)

    def forward(self, x):
        if x.shape != (2, 9, 28):
            raise RuntimeError("no")
        return self.fc(x)


class Holder(nn.Module):
    def __init__(self, inner):
        super().__init__()
        if not isinstance(inner, Codebook):
            raise RuntimeError("no")
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def found_with(cls: type, text: str) -> Recipe:
    def others(name: str) -> Iterator[tuple[str, str]]:
        assert name == cls.__name__
        yield "elsewhere.py", f"from {__name__} import Codebook\n{text}"

    return synthesize(cls, {"mentioning": others}, 10.0)


def test_without_anybody_who_uses_it_nothing_is_found() -> None:
    with pytest.raises(HarnessError):
        synthesize(Codebook, {"sources": {__file__: ""}}, 0.3)


IN_A_FUNCTION = """
def test(width=28):
    net = Codebook([7, 11, 5], width=width)
    net(torch.rand(16, 9, width))
"""
WITH_OPTIONS = """
SIZES = dict(plan=(7, 11, 5), width=7 * 4)
net = Codebook(**SIZES).eval()
x = torch.zeros(2, 9, 28)
net(x)
"""
BY_A_FIXTURE = """
import pytest

@pytest.fixture
def model():
    return Codebook([7, 11, 5], 28)

def test_forward(model):
    x = torch.randn(2, 9, 28)
    assert model(x).shape == (2, 9, 5)
"""
BY_A_FIXTURE_THAT_YIELDS = """
class TestIt:
    @pytest.fixture
    def model(self):
        net = Codebook([7, 11, 5], 28)
        yield net

    def test_forward(self, model):
        model.eval()(torch.randn(2, 9, 28))
"""
BY_A_FUNCTION = """
def make_model(width=28):
    net = Codebook([7, 11, 5], width)
    return net, width

def build_codebook():
    model = Codebook([7, 11, 5], 28)
    return model.train()

def test_it():
    build_codebook()(torch.randn(2, 9, 28))
"""
AS_A_SCRIPT = """
if __name__ == "__main__":
    net = Codebook(plan=[7, 11, 5], width=28)
    print(net(torch.randn(2, 9, 28)).shape)
"""
IN_A_CLASS = """
class Test:
    def setUp(self):
        self.width = 28
        self.net = Codebook([7, 11, 5], self.width)

    def test(self):
        x = torch.randn(4, 9, self.width)
        self.net(x)
"""


@pytest.mark.parametrize(
    "text",
    [
        "Codebook([7, 11, 5], 28)(torch.randn(2, 9, 28))",
        IN_A_FUNCTION,
        WITH_OPTIONS,
        IN_A_CLASS,
        BY_A_FIXTURE,
        BY_A_FIXTURE_THAT_YIELDS,
        BY_A_FUNCTION,
        AS_A_SCRIPT,
    ],
)
def test_constructor_and_inputs_come_from_those_who_use_the_class(text: str) -> None:
    assert "float32[2, 9, 28]" in found_with(Codebook, text).describe()


@pytest.mark.parametrize("text", [BY_A_FIXTURE, BY_A_FIXTURE_THAT_YIELDS, BY_A_FUNCTION, AS_A_SCRIPT])
def test_calls_of_what_fixtures_and_functions_return_are_seen(text: str) -> None:
    sources = Sources({"mentioning": lambda _: [("elsewhere.py", text)], "sources": {__file__: ""}}, Codebook)
    (found,) = calls(Codebook, [inspect.Parameter("x", inspect.Parameter.POSITIONAL_ONLY)], sources)
    assert found["x"]["shape"] == [2, 9, 28]


@pytest.mark.parametrize(
    "text",
    [
        ">>> net = Codebook([7, 11, 5], 28)\n>>> net(torch.randn(2, 9, 28))",
        "```python\nnet = Codebook([7, 11, 5], 28)\nnet(torch.randn(2, 9, 28))\n```",
        "Use it so::\n\n    net = Codebook([7, 11, 5], 28)\n    net(torch.randn(2, 9, 28))\n\nThat is all.",
        ".. code-block:: python\n   :linenos:\n\n   n = Codebook([7, 11, 5], 28)\n   n(torch.rand(2, 9, 28))",
        "Example:\n    net = Codebook([7, 11, 5], 28)\n    net(torch.randn(2, 9, 28))\n",
    ],
)
def test_examples_in_the_docstring(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Codebook, "__doc__", f"Takes what nobody would guess.\n\n{text}")
    assert "float32[2, 9, 28]" in synthesize(Codebook, {"sources": {__file__: ""}}, 10.0).describe()


def test_an_argument_that_is_a_module_is_built_as_others_build_it() -> None:
    text = "inner = Codebook([7, 11, 5], 28)\nHolder(inner)(torch.randn(2, 9, 28))"
    described = found_with(Holder, text).describe()
    assert described.startswith("Holder(inner=Codebook([7, 11, 5], 28))")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[4] * 3", "[4, 4, 4]"),
        ("(2 ** 3 - 1) // 2", "3"),
        ("-1", "-1"),
        ("{'a': [1, 2]}", "Namespace(a=[1, 2])"),
        ("dict(a=1, **{'b': 2})", "Namespace(a=1, b=2)"),
        ("nn.Linear(3, out_features=2)", "Linear(3, out_features=2)"),
        ("nn.ReLU", "ReLU"),
        ("torch.randn(2, 3).to(device)", "float32[2, 3]"),
        ("torch.randint(0, 9, (2, 3))", "int64[2, 3]"),
        ("torch.randint(9, size=(2, 3)).float()", "float32[2, 3]"),
        ("torch.ones(2, 3, dtype=torch.long)", "int64[2, 3]"),
        ("torch.tensor([[0, 1], [1, 0]])", "int64[2, 2]"),
        ("torch.arange(6)", "int64[6]"),
    ],
)
def test_expressions_are_read_without_being_run(text: str, expected: str) -> None:
    tree = ast.parse(text)
    spec = Scope(tree, live={"torch": torch, "nn": nn}).read(tree.body[0].value)  # type: ignore[attr-defined]
    assert spec is not None
    assert text_of(spec) == expected


@pytest.mark.parametrize(
    "text",
    """open('x'); unknown; [1, unknown]; {1: 2}; 1 / 0; 2 ** 10000; [0] * 10**9; x.y.z; torch.randn(n)
    torch.randint(n, (m,)); nn.Linear(n, 2); f'{1}'; lambda: 1""".replace("\n", ";").split(";"),
)
def test_what_cannot_be_told_is_not_guessed(text: str) -> None:
    tree = ast.parse(text.strip())
    assert Scope(tree, live={"torch": torch, "nn": nn}).read(tree.body[0].value) is None  # type: ignore[attr-defined]


def test_a_name_that_is_its_own_value_ends() -> None:
    tree = ast.parse("a = b\nb = a\nc = a")
    assert Scope(tree).read(tree.body[-1].value) is None  # type: ignore[attr-defined]


def test_files_that_call_a_class_are_found_nearest_first(tmp_path: Path) -> None:
    files = {
        "pkg/net.py": "class Net: ...\nNet()",
        "pkg/use.py": "Net( 1 )",
        "tests/test_net.py": "pkg.Net(2)",
        "pkg/subclass.py": "class Net(Base): ...",
        "pkg/longer.py": "SubNet(1)",
        "pkg/named.py": "from pkg.net import Net",
        "site-packages/other.py": "Net(3)",
        ".hidden/other.py": "Net(4)",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    search = mentioning(str(tmp_path / "pkg" / "net.py"), [str(tmp_path), str(tmp_path / "pkg"), "/nowhere"])
    found = [Path(path).relative_to(tmp_path.resolve()).as_posix() for path, _ in search("Net")]
    assert found == ["pkg/use.py", "tests/test_net.py"]

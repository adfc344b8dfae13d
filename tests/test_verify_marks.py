"""Functions that are harnesses by their own comment: found, told apart, and used."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from fixer.contract import Contract, Promise, Subject, Verification
from fixer.edits import EditSet
from fixer.source import Source
from fixer.verify import Job, Verifier, VerifySettings
from fixer.verify.marks import Mark, find_marks

NET = """
    import torch
    from torch import nn


    class Gate(nn.Module):
        def __init__(self, options):
            super().__init__()
            if options["signature"] != 169:
                raise ValueError("not a checkpoint of this version")
            self.fc = nn.Linear(options["width"], 3)

        def forward(self, x):
            return self.fc(x)


    class Holder(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) * 2


    class Other(nn.Module):
        def __init__(self, options):
            super().__init__()
            self.size = options["signature"] - 160

        def forward(self, x):
            return x[: self.size]
"""
OPTIONS = '{"signature": 169, "width": 6}'


def marks(text: str) -> list[Mark]:
    source = Source(Path("/harness.py"), textwrap.dedent(text).encode())
    return list(find_marks({source.path: source}))


def test_the_comment_stands_on_the_line_of_def_or_above() -> None:
    found = marks(
        """
        def one():  # fixer: harness
            return Net()

        # fixer: harness for pkg.net:Gate
        @pytest.fixture
        def two() -> Gate:
            return build()

        def three(
            size=2,
        ) -> "tuple[net.Gate, tuple]":  # fixer:harness
            return Gate(size), ()

        def four():
            # fixer: harness
            return Net()

        # A fixer: harness is something else.
        def five():
            return 1
        """
    )
    assert [(mark.factory, mark.target) for mark in found] == [
        ("/harness.py:one", None),
        ("/harness.py:two", "pkg.net:Gate"),
        ("/harness.py:three", None),
    ]
    assert found[0].names == ("Net",)
    assert "Gate" in found[2].returns


def test_a_file_that_is_not_python_has_none() -> None:
    assert marks("def one(:  # fixer: harness") == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("marks")
    (made / "pyproject.toml").write_text("")
    (made / "net.py").write_text(textwrap.dedent(NET))
    return made


def ask(folder: Path, harness: str, *names: str) -> list[Verification]:
    """Have classes verified against themselves, with a harness of the tree."""
    path = folder / "tests" / "factories.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("import torch\nfrom net import Gate, Holder, Other\n\n" + textwrap.dedent(harness))
    net = folder / "net.py"
    found = tuple(find_marks({path: Source.read(path)}))
    settings = VerifySettings(steps=2, marks=found)
    jobs = [
        Job(Contract(Promise.PRESERVES, (Subject(net, name),)), {net: Source.read(net)}, EditSet(), EditSet())
        for name in names
    ]
    with Verifier(settings, folder) as verifier:
        return verifier.verify_all(jobs)


def test_marked_functions_build_what_nobody_can_guess(folder: Path) -> None:
    gate, holder = ask(
        folder,
        f"""
        def gate() -> Gate:  # fixer: harness
            return Gate({OPTIONS}), (torch.randn(4, 6),)

        def other():  # fixer: harness for net:Other
            raise ValueError("not to be called")

        def holder():  # fixer: harness
            return Holder(torch.nn.Linear(7, 7)), (torch.randn(2, 7),), {{}}
        """,
        "Gate",
        "Holder",
    )
    assert gate.verdict.value == "equivalent", gate.reason
    assert gate.evidence["built"] == "gate() in factories.py, the user's harness; forward()"
    assert holder.evidence["built"].startswith("holder() in factories.py")


def test_a_class_inside_of_what_a_harness_builds(folder: Path) -> None:
    (gate,) = ask(
        folder,
        f"""
        def model():  # fixer: harness
            return Holder(build()), (torch.randn(4, 6),)

        def build():
            return Gate({OPTIONS})
        """,
        "Gate",
    )
    assert gate.verdict.value == "equivalent", gate.reason
    assert gate.evidence["built"].startswith("Gate, inner of model() in factories.py")


@pytest.mark.parametrize(
    ("harness", "reason"),
    [
        ("def gate() -> Gate:  # fixer: harness\n    return 1 / 0", "failed: ZeroDivisionError"),
        ("def gate() -> Gate:  # fixer: harness\n    return Other({'signature': 161})", "holds no Gate"),
        ("import nowhere\ndef gate() -> Gate:  # fixer: harness\n    return 1", "cannot be imported"),
    ],
)
def test_a_harness_that_fails_is_named(folder: Path, harness: str, reason: str) -> None:
    (gate,) = ask(folder, harness, "Gate")
    assert gate.verdict.value == "unverified"
    assert "harness gate() in factories.py" in gate.reason
    assert reason in gate.reason

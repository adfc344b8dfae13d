"""Which models count as changed since a commit, and which lines have to run; nothing is run here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from fixer.against import Compared, GitError, Origin, compare, survey
from fixer.discovery import discover
from fixer.source import Source
from fixer.verify import Revision
from tests.repo import Repo

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

UTIL = """
    import torch

    EPS = 1e-5

    def scale(x):
        return shift(x) / EPS

    def shift(x):
        return x + 1

    def unused(x):
        return x
"""
NET = """
    from torch import nn
    from util import scale

    class Base(nn.Module):
        def forward(self, x):
            return self.body(x)

    class Net(Base):
        limit = 3

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def body(self, x):
            return scale(self.fc(x)).clamp(max=self.limit)

    class Other(nn.Module):
        def forward(self, x):
            return x
"""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "project")
    made.write(util=UTIL, net=NET)
    made.commit()
    return made


def found(
    repo: Repo, revision: str = "HEAD", renamed: Mapping[str, str] | None = None
) -> list[tuple[Compared, Revision | None]]:
    files = discover([repo.folder]).targets
    tree = survey(Origin.of([repo.folder], revision), {path: Source.read(path) for path in files})
    return compare(tree, lambda _: True, renamed or {})


def names(repo: Repo, revision: str = "HEAD", renamed: Mapping[str, str] | None = None) -> list[str]:
    return [f"{item.name} {item.status.value}" for item, _ in found(repo, revision, renamed)]


def reached(repo: Repo, name: str) -> list[list[str]]:
    """The first lines of what has to run now, as text."""
    job = next(job for item, job in found(repo) if item.name == name)
    assert job is not None
    return [
        [path.read_text().splitlines()[first - 1].strip() for first, _ in spans]
        for path, entries in job.reach[1].items()
        for spans in entries
    ]


# What is no change


def test_nothing_changed(repo: Repo) -> None:
    assert names(repo) == []


def test_comments_layout_and_docstrings_are_no_change(repo: Repo) -> None:
    repo.edit("net.py", "return self.body(x)", "'''Say.'''\n        return self.body( x )  # so")
    repo.edit("util.py", "1e-5", "0.00001")
    assert names(repo) == []


def test_line_ends_are_no_change(repo: Repo) -> None:
    text = (repo.folder / "net.py").read_bytes()
    repo.file("net.py", text.replace(b"\n", b"\r\n"))
    assert names(repo) == []


def test_an_encoding_is_no_change(repo: Repo) -> None:
    text = "from torch import nn\nclass Net(nn.Module):\n    word = 'é'\n"
    repo.file("net.py", text)
    revision = repo.commit()
    repo.file("net.py", f"# coding: latin-1\n{text}".encode("latin-1"))
    assert names(repo, revision) == []


def test_what_no_model_uses_is_no_change(repo: Repo) -> None:
    repo.edit("util.py", "return x\n", "return x * 2\n")
    assert names(repo) == []


def test_the_block_of_a_script_is_no_change(repo: Repo) -> None:
    repo.file(
        "net.py", (repo.folder / "net.py").read_bytes() + b"\nif __name__ == '__main__':\n    print(Net())\n"
    )
    assert names(repo) == []


def test_an_ignored_file_is_there_on_both_sides(repo: Repo) -> None:
    repo.file(".gitignore", "_version.py\n")
    repo.edit("util.py", "import torch", "import torch, _version")
    revision = repo.commit()
    repo.file("_version.py", "version = 1\n")
    assert names(repo, revision) == []


# What is one


def test_a_class_that_changed_itself(repo: Repo) -> None:
    repo.edit("net.py", "return x\n", "return x + 1\n")
    assert names(repo) == ["Other changed"]


@pytest.mark.parametrize(
    ("file", "old", "new", "because"),
    [
        ("net.py", "return self.body(x)", "return self.body(x) * 2", "Base"),
        ("net.py", "limit = 3", "limit = 4", "Net"),
        ("util.py", "1e-5", "1e-6", "EPS"),
        ("util.py", "x + 1", "x + 2", "shift"),
        ("util.py", "import torch", "import torch\ntorch.set_default_dtype(torch.float64)", ""),
    ],
)
def test_a_class_changes_with_what_it_uses(repo: Repo, file: str, old: str, new: str, because: str) -> None:
    repo.edit(file, old, new)
    (changed,) = (item for item, _ in found(repo) if item.name == "Net")
    assert [unit.name for unit in changed.because] == [because]


def test_a_use_through_a_module_and_a_package(repo: Repo) -> None:
    repo.file("pkg/__init__.py", "from .ops import *\nfrom . import deep\n")
    repo.write(
        pkg__ops="def one(x):\n    return x",
        pkg__deep="def two(x):\n    return x",
        user="""
        from torch import nn
        import pkg.deep as d
        import pkg
        class A(nn.Module):
            def forward(self, x):
                return pkg.one(x)
        class B(nn.Module):
            def forward(self, x):
                return d.two(x)
        """,
    )
    repo.commit()
    repo.write(pkg__ops="def one(x):\n    return x + 1")
    assert names(repo) == ["A changed"]
    repo.write(pkg__deep="def two(x):\n    return x + 1")
    assert names(repo) == ["A changed", "B changed"]


def test_another_import_of_the_same_name(repo: Repo) -> None:
    repo.edit("util.py", "import torch", "import torch\ndef halve(x):\n    return x / 2\n")
    repo.commit()
    repo.edit("net.py", "from util import scale", "from util import halve as scale")
    assert names(repo) == ["Net changed"]


def test_a_moved_helper_alone_is_no_change(repo: Repo) -> None:
    text = (repo.folder / "util.py").read_bytes()
    (repo.folder / "util.py").unlink()
    repo.file("tools.py", text)
    repo.edit("net.py", "from util import scale", "from tools import scale")
    assert names(repo) == []


def test_new_and_gone_and_renamed(repo: Repo) -> None:
    repo.edit("net.py", "class Other", "class Another")
    assert sorted(names(repo)) == ["Another added", "Other removed"]
    assert names(repo, renamed={"Other": "Another"}) == ["Another changed"]


def test_a_class_that_moved_to_another_file(repo: Repo) -> None:
    repo.git("mv", "net.py", "model.py")
    moved = {item.name: item.was for item, _ in found(repo)}
    assert moved == {name: (repo.folder / "net.py", name) for name in ("Base", "Net", "Other")}


def test_a_file_that_was_not_python(repo: Repo) -> None:
    repo.file("net.py", "class Net(:\n")
    revision = repo.commit()
    repo.write(net=NET)
    (first, *_) = (item for item, _ in found(repo, revision))
    assert first.verification is not None
    assert "not valid Python (line 1)" in first.verification.reason


def test_an_uncommitted_and_an_untracked_file(repo: Repo) -> None:
    repo.write(
        more="from torch import nn\nclass More(nn.Module):\n    def forward(self, x):\n        return x"
    )
    assert names(repo) == ["More added"]
    repo.git("add", "more.py")
    assert names(repo) == ["More added"]


# What has to run


def test_a_changed_statement_has_to_run(repo: Repo) -> None:
    repo.edit("net.py", "return self.body(x)", "y = self.body(x)\n        return y")
    assert reached(repo, "Base") == [["y = self.body(x)", "return y"]]


def test_a_statement_that_moved_has_to_run(repo: Repo) -> None:
    repo.edit("util.py", "return shift(x) / EPS", "y = shift(x)\n    z = y / EPS\n    return z")
    repo.commit()
    repo.edit(
        "util.py", "y = shift(x)\n    z = y / EPS", "y = shift(x)\n    if y is not None:\n        z = y / EPS"
    )
    assert reached(repo, "Net") == [["z = y / EPS"]]


def test_whoever_names_a_changed_constant_has_to_run(repo: Repo) -> None:
    repo.edit("util.py", "1e-5", "1e-6")
    repo.edit("net.py", "limit = 3", "limit = 4")
    assert reached(repo, "Net") == [
        ["return scale(self.fc(x)).clamp(max=self.limit)"],
        ["return shift(x) / EPS"],
    ]


def test_a_function_with_another_default_has_to_run(repo: Repo) -> None:
    repo.edit("util.py", "def shift(x)", "def shift(x, by=1)")
    assert reached(repo, "Net") == [["return x + 1"]]


def test_a_moved_and_changed_helper_has_to_run(repo: Repo) -> None:
    text = (repo.folder / "util.py").read_text()
    (repo.folder / "util.py").unlink()
    repo.file("tools.py", text.replace("return x + 1", "return x + 2"))
    repo.edit("net.py", "from util import scale", "from tools import scale")
    assert reached(repo, "Net") == [["return x + 2"]]


# Git


def test_two_repositories(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    with pytest.raises(GitError, match="several"):
        Origin.of([repo.folder, other.folder], "HEAD")


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not in a git repository"):
        Origin.of([tmp_path], "HEAD")


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "", "HEAD:net.py", "HEAD\0"])
def test_an_unknown_revision(repo: Repo, revision: str) -> None:
    with pytest.raises(GitError, match="revision"):
        Origin.of([repo.folder], revision)


def test_a_shallow_clone(repo: Repo, tmp_path: Path) -> None:
    old = repo.git("rev-parse", "HEAD")
    repo.edit("net.py", "return x\n", "return x + 1\n")
    repo.commit()
    repo.git("clone", "-q", "--depth=1", f"file://{repo.folder}", str(tmp_path / "clone"))
    with pytest.raises(GitError, match="shallow"):
        Origin.of([tmp_path / "clone"], old)


def test_a_hook_of_another_repository_does_not_mislead(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert names(repo) == []


def test_nothing_of_the_repository_is_run_or_written(repo: Repo, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    repo.file(".gitattributes", "*.py filter=odd\n")
    repo.commit()
    repo.git("config", "filter.odd.clean", f"touch {ran}; cat")
    repo.git("config", "core.fsmonitor", f"touch {ran}; false")
    index = (repo.folder / ".git/index").read_bytes()
    repo.edit("net.py", "return x\n", "return x + 1\n")
    assert names(repo) == ["Other changed"]
    assert not ran.exists()
    assert (repo.folder / ".git/index").read_bytes() == index

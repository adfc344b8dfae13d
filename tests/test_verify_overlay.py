"""Files imported from memory, under the right names, and scripts cut down to their definitions."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixer.verify.worker import slicing


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def run(
    folder: Path,
    code: str,
    texts: Mapping[str, str | None] | None = None,
    *siblings: str,
    root: Path | None = None,
) -> Any:
    """Lay texts over a folder, run `code` in a fresh process, and return the `answer` that it computes."""
    script = f"""
import json, os, sys
from fixer.verify.worker import overlay
os.chdir("/")
texts = json.loads(sys.argv[1])
overlay.install(texts, [{str(root or folder)!r}], {list(siblings)!r})
path = lambda name: os.path.join({str(folder)!r}, name)
{textwrap.dedent(code)}
print(json.dumps(answer))
"""
    laid = json.dumps(
        {str(folder / name): text and textwrap.dedent(text) for name, text in (texts or {}).items()}
    )
    done = subprocess.run([sys.executable, "-B", "-c", script, laid], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_not_laid_over_comes_from_disk(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "x = 1"})
    assert run(tmp_path, "import net; answer = net.x") == 1


def test_an_import_gets_the_text_in_memory(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "x = 1", "pkg/__init__.py": "", "pkg/sub.py": "y = 1"})
    code = "import net, pkg.sub; answer = [net.x, net.__file__, pkg.sub.y]"
    answer = run(tmp_path, code, {"net.py": "x = 2", "pkg/sub.py": "y = 2"})
    assert answer == [2, str(tmp_path / "net.py"), 2]


def test_a_file_that_only_memory_has_can_be_imported(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/__init__.py": "", "pkg/main.py": "from .unsaved import y"})
    texts = {"buffer.py": "import pkg.main\nx = pkg.main.y + 1", "pkg/unsaved.py": "y = 1"}
    code = "module = overlay.load(path('buffer.py')); answer = [module.x, module.__file__]"
    assert run(tmp_path, code, texts) == [2, str(tmp_path / "buffer.py")]


def test_a_compiled_file_on_disk_is_not_used(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "x = 1"})
    subprocess.run([sys.executable, "-m", "compileall", "-q", tmp_path], check=True)
    assert run(tmp_path, "import net; answer = net.x", {"net.py": "x = 2"}) == 2


def test_nothing_is_written_to_the_tree(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "x = 1"})
    run(tmp_path, "answer = overlay.load(path('net.py')).x", {"net.py": "x = 2"})
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


def test_inspect_sees_the_text_in_memory(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "def f():\n    return 1\n"})
    code = "import inspect, net; answer = inspect.getsource(net.f)"
    assert run(tmp_path, code, {"net.py": "x = 0\ndef f():\n    return 2\n"}) == "def f():\n    return 2\n"


def test_load_gives_a_file_the_name_its_package_gives_it(tmp_path: Path) -> None:
    files = {"a/__init__.py": "", "a/b/__init__.py": "", "a/b/net.py": "from ..c import x", "a/c.py": "x = 1"}
    write(tmp_path, files)
    code = "net = overlay.load(path('a/b/net.py')); answer = [net.__name__, net.x]"
    assert run(tmp_path, code) == ["a.b.net", 1]


def test_load_finds_the_package_of_a_folder_that_is_not_marked(tmp_path: Path) -> None:
    write(tmp_path, {"a/b/net.py": "from ..c import x", "a/c.py": "x = 1"})
    code = "net = overlay.load(path('a/b/net.py')); answer = [net.__name__, net.x]"
    assert run(tmp_path, code) == ["a.b.net", 1]


@pytest.mark.parametrize("name", ["train-net.py", "2nd.py", "net.v2.py", "class.py"])
def test_load_takes_odd_names(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "x = 1"})
    assert run(tmp_path, f"answer = overlay.load(path({name!r})).x", {name: "x = 2"}) == 2


@pytest.mark.parametrize("name", ["json.py", "sys.py", "random.py"])
def test_load_takes_names_of_the_standard_library(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "x = 1"})
    code = f"import random; answer = [overlay.load(path({name!r})).x, json.__name__]"
    assert run(tmp_path, code) == [1, "json"]


def test_load_twice_is_one_module(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "class A: pass"})
    code = "answer = overlay.load(path('net.py')).A is overlay.load(path('net.py')).A"
    assert run(tmp_path, code, {"net.py": "class A: pass"})


@pytest.mark.parametrize("order", ["load first", "import first"])
def test_a_file_imported_by_two_names_is_one_module(tmp_path: Path, order: str) -> None:
    write(tmp_path, {"models/net.py": "class A: pass", "train.py": "from models.net import A"})
    load, use = "net = overlay.load(path('models/net.py'))", "import train"
    code = f"{load}\n{use}" if order == "load first" else f"{use}\n{load}"
    assert run(tmp_path, f"{code}\nanswer = train.A is net.A", {"models/net.py": "class A: pass"})


def test_a_linked_file_is_found_under_the_name_that_was_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"real/net.py": "x = 1"})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    code = "net = overlay.load(path('link/net.py')); answer = [net.x, net.__file__]"
    assert run(tmp_path, code, {"link/net.py": "x = 2"}) == [2, str(tmp_path / "link/net.py")]


def test_siblings_inside_a_package_can_be_imported_but_do_not_shadow(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a/__init__.py": "", "a/train.py": "import model", "a/model.py": "x = 1", "a/colorsys.py": ""},
    )
    code = "import colorsys; train = overlay.load(path('a/train.py'))\n"
    code += "answer = [train.model.x, hasattr(colorsys, 'rgb_to_hsv')]"
    assert run(tmp_path, code, {}, str(tmp_path / "a")) == [1, True]


def test_what_a_script_inside_a_package_imports_finds_the_script_s_neighbours(tmp_path: Path) -> None:
    files = {"a/__init__.py": "", "a/train.py": "import models.net as net", "a/sizes.py": "x = 1"}
    write(tmp_path, {**files, "a/models/__init__.py": "import sizes", "a/models/net.py": "import sizes"})
    code = "train = overlay.load(path('a/train.py')); answer = [train.net.sizes.x, train.net.__name__]"
    assert run(tmp_path, code, {}, str(tmp_path / "a")) == [1, "models.net"]


def test_modules_inside_a_package_do_not_stand_in_for_libraries_that_others_ask_for(tmp_path: Path) -> None:
    """Neither what lies elsewhere nor the adapter for a library may take the adapter for the library."""
    asks = "try: import quick\nexcept ModuleNotFoundError: available = False\nelse: available = True\n"
    write(
        tmp_path,
        {"a/__init__.py": "", "a/quick.py": asks, "a/b/__init__.py": "", "a/b/sub.py": asks, "lib.py": asks},
    )
    code = "import lib, a.quick, a.b.sub; answer = [lib.available, a.quick.available, a.b.sub.available]"
    siblings = [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    assert run(tmp_path, code, {}, *siblings) == [False, False, False]


def test_what_can_only_be_imported_as_a_part_of_its_package_is_no_neighbour(tmp_path: Path) -> None:
    """It adapts the package to a library that is not there."""
    asks = "try: import quick, fast\nexcept ModuleNotFoundError: available = False\nelse: available = True\n"
    write(tmp_path, {"a/__init__.py": "", "a/base.py": "", "a/b/__init__.py": asks, "a/b/use.py": asks})
    write(
        tmp_path, {"a/b/quick/__init__.py": "from .net import *", "a/b/quick/net.py": "from ...base import *"}
    )
    write(tmp_path, {"a/b/fast.py": "from . import use"})
    code = "import a.b.use; answer = [a.b.available, a.b.use.available]"
    assert run(tmp_path, code, {}, str(tmp_path / "a" / "b")) == [False, False]


def test_a_module_that_fails_is_not_left_half_imported(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"net.py": "import flag\nif not flag.ready: raise ValueError\nx = 1", "flag.py": "ready = 0"},
    )
    code = """
    import flag
    answer = []
    for flag.ready in (0, 1):
        try:
            answer.append(overlay.load(path('net.py')).x)
        except ValueError:
            answer.append('failed')
    """
    assert run(tmp_path, code) == ["failed", 1]


_CIRCLE = {
    "pkg/__init__.py": "",
    "pkg/layer.py": "from pkg.graph.base import NAMES\nclass Layer: names = NAMES",
    "pkg/graph/__init__.py": "from .rewrite import changed",
    "pkg/graph/base.py": "NAMES = ['in']",
    "pkg/graph/rewrite.py": "from pkg.layer import Layer\nchanged = Layer",
}


def test_modules_that_import_each_other_are_begun_with_the_one_that_works(tmp_path: Path) -> None:
    write(tmp_path, _CIRCLE)
    code = "module = overlay.load(path('pkg/layer.py')); answer = [module.Layer.names, module.__name__]"
    assert run(tmp_path, code) == [["in"], "pkg.layer"]


def test_a_circle_that_nothing_opens_says_what_a_plain_import_says(tmp_path: Path) -> None:
    write(tmp_path, {**_CIRCLE, "pkg/graph/base.py": "from pkg.layer import Layer\nNAMES = []"})
    code = """
    try:
        overlay.load(path("pkg/layer.py"))
    except ImportError as error:
        answer = str(error)
    """
    assert "'Layer' from partially initialized module 'pkg.layer'" in run(tmp_path, code)


def test_a_traceback_has_the_lines_of_the_text_in_memory(tmp_path: Path) -> None:
    write(tmp_path, {"net.py": "def f(): 1 / 0"})
    code = """
    try:
        overlay.load(path('net.py')).f()
    except ZeroDivisionError as error:
        frame = error.__traceback__.tb_next
        answer = [frame.tb_frame.f_code.co_filename, frame.tb_lineno]
    """
    assert run(tmp_path, code, {"net.py": "\n\ndef f():\n    1 / 0"}) == [str(tmp_path / "net.py"), 4]


def test_a_script_runs_as_main_with_the_text_in_memory(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "", "net.py": "x = 1"})
    text = "import sys, net\nif __name__ == '__main__':\n    result = [net.x, sys.argv, __file__]"
    answer = run(tmp_path, "answer = overlay.run_as_main(path('train.py'))['result']", {"train.py": text})
    assert answer == [1, [str(tmp_path / "train.py")], str(tmp_path / "train.py")]


def test_a_script_inside_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path, {"a/__init__.py": "", "a/train.py": "from .net import x", "a/net.py": "x = 1"})
    assert run(tmp_path, "answer = overlay.run_as_main(path('a/train.py'))['x']") == 1


UNMARKED = {"space/sub/util.py": "x = 1", "space/top.py": "y = 2"}


@pytest.mark.parametrize(
    "text",
    ["from space.sub.util import x", "from .util import x", "from ..top import y as x\nfrom .util import x"],
)
def test_packages_without_init_are_found_from_inside(tmp_path: Path, text: str) -> None:
    write(tmp_path, {**UNMARKED, "space/sub/net.py": text})
    code = "answer = overlay.load(path('space/sub/net.py')).x"
    assert run(tmp_path, code, {"space/sub/net.py": text}, root=tmp_path / "space" / "sub") == 1


def test_a_script_is_sliced_when_it_is_loaded(tmp_path: Path) -> None:
    script = "class Net: pass\nopt = Net()\ndata = no_such_loader()\nopt.step()\n"
    write(tmp_path, {"train.py": script})
    assert run(tmp_path, "answer = overlay.load(path('train.py')).Net.__name__") == "Net"


def test_slicing_can_be_forced_and_forbidden(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.py": "x = open", "b.py": "opt = type('O', (), {'step': print})\nopt.step()\ny = len('ab')"},
    )
    code = """
    sliced, whole = overlay.load(path('a.py'), sliced=True), overlay.load(path('b.py'), sliced=False)
    answer = [hasattr(sliced, 'x'), whole.y]
    """
    assert run(tmp_path, code) == [True, 2]


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nclass Net: pass\n",
        "lr = 0.1\nlayers = [1, 2]\n",
        "def train(opt):\n    opt.step()\n",
        "def main(): opt.step()\nif __name__ == '__main__':\n    main()\n",
        "class A:\n    def fit(self): self.opt.step()\n",
        "torch.manual_seed(0)\nregister('net')\n",
        "for name in names:\n    globals()[name] = 1\n",
        "handler = lambda: opt.step()\n",
        "try:\n    import apex\nexcept ImportError:\n    apex = None\n",
    ],
)
def test_modules_that_only_define_things_are_not_scripts(text: str) -> None:
    assert not slicing.runs_a_script(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "loss.backward()\n",
        "for x in data:\n    opt.step()\n",
        "with ctx:\n    loss.backward()\n",
        "args = parser.parse_args()\n",
        "model.fit(x, y)\n",
        "def main():\n    opt.step()\nmain()\n",
        "def f(): loss.backward()\ndef main(): f()\nresult = main()\n",
        "name = input()\n",
        "import sys\nsys.exit(1)\n",
    ],
)
def test_modules_that_train_when_imported_are_scripts(text: str) -> None:
    assert slicing.runs_a_script(ast.parse(text))


def kept(text: str, *wanted: str) -> list[str]:
    """The first lines of the statements that a slice keeps; optional ones without their `try`."""
    tree = slicing.definitions(ast.parse(textwrap.dedent(text)), wanted)
    statements = [node.body[0] if isinstance(node, ast.Try) else node for node in tree.body]
    return [ast.unparse(node).splitlines()[0] for node in statements]


@pytest.mark.parametrize(
    "statement",
    [
        "import torch",
        "from torch import nn",
        "lr = 0.1",
        "sizes = [n * 2 for n in range(3)]",
        "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "sys.path.append(os.path.dirname(__file__))",
        "torch.manual_seed(0)",
        "Point = namedtuple('Point', 'x y')",
    ],
)
def test_a_slice_keeps_what_defines_and_sets_up(statement: str) -> None:
    assert kept(f"{statement}\nloss.backward()") == [statement]


@pytest.mark.parametrize(
    "statement",
    [
        "data = load()",
        "model.train()",
        "for x in data:\n    opt.step()",
        "if __name__ == '__main__':\n    x = 1",
        "with open('f') as f:\n    data = f.read()",
        "x = input()",
        "torch.distributed.init_process_group()",
    ],
)
def test_a_slice_drops_what_runs(statement: str) -> None:
    text = f"import torch\ndef wanted(): return torch\n{statement}"
    assert kept(text, "wanted") == ["import torch", "def wanted():"]


def test_a_slice_keeps_what_a_class_reads() -> None:
    text = """
    parser = ArgumentParser()
    parser.add_argument('--width')
    args = parser.parse_args()
    data = load()
    class Net:
        def __init__(self):
            self.width = args.width
    model = Net()
    model.train()
    """
    parsing = ["parser = ArgumentParser()", "parser.add_argument('--width')", "args = parser.parse_args()"]
    assert kept(text) == [*parsing, "class Net:"]


def test_a_slice_keeps_what_a_wanted_function_reads_and_no_other() -> None:
    text = """
    data = load()
    other = load()
    def helper(): return data
    def train(): return helper()
    def evaluate(): return other
    train()
    """
    assert kept(text, "train") == ["data = load()", "def helper():", "def train():", "def evaluate():"]
    assert kept(text) == ["def helper():", "def train():", "def evaluate():"]


def test_a_slice_survives_what_it_tries_for_its_classes() -> None:
    text = "args = no_such_name()\nclass Net:\n    width = 1\n    def f(self): return args\nopt.step()"
    namespace: dict[str, Any] = {}
    exec(compile(slicing.definitions(ast.parse(text)), "net.py", "exec"), namespace)
    assert namespace["Net"].width == 1
    assert "args" not in namespace


def test_a_slice_survives_constants_of_what_it_drops() -> None:
    text = "data = load()\nclasses = len(data)\nclass Net: pass\nopt.step()"
    namespace: dict[str, Any] = {}
    exec(compile(slicing.definitions(ast.parse(text)), "net.py", "exec"), namespace)
    assert "Net" in namespace


def test_a_slice_keeps_line_numbers() -> None:
    tree = slicing.definitions(ast.parse("x = load()\n\n\nclass Net: pass\n"))
    assert [node.lineno for node in tree.body] == [4]


@pytest.mark.parametrize(
    "path", sorted(Path(slicing.__file__).parent.rglob("*.py")), ids=lambda path: path.name
)
def test_the_worker_is_written_for_old_interpreters(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    assert not [node.lineno for node in runtime_subscripts(tree)], "`dict[...]` needs 3.9: use `typing.Dict`"


def runtime_subscripts(node: ast.AST) -> list[ast.Subscript]:
    """Subscripts of built-in classes that something evaluates: not in annotations, not for type checkers."""
    found: list[ast.Subscript] = []
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return found
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                found += runtime_subscripts(child)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        found += [node] if node.value.id in {"dict", "frozenset", "list", "set", "tuple", "type"} else []
    return found


def test_a_file_can_be_missing_on_a_side(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/__init__.py": "", "pkg/new.py": "x = 1", "added/__init__.py": "", "added/m.py": ""})
    code = """
    answer = []
    for name in ("pkg", "pkg.new", "added.m"):
        try:
            __import__(name)
            answer.append("found")
        except ModuleNotFoundError as error:
            answer.append(str(error))
    answer.append(overlay.exists(path("pkg/new.py")))
    """
    absent = {"pkg/new.py": None, "added/__init__.py": None, "added/m.py": None}
    found, new, added, there = run(tmp_path, code, absent)
    assert found == "found"
    assert "pkg.new" in new
    assert "added.m" in added
    assert there is False


def test_a_module_can_have_been_a_package_and_a_package_a_module(tmp_path: Path) -> None:
    write(tmp_path, {"one/__init__.py": "x = 'package'", "one/part.py": "", "two.py": "x = 'module'"})
    texts = {
        "one.py": "x = 'was a module'",
        "one/__init__.py": None,
        "one/part.py": None,
        "two.py": None,
        "two/__init__.py": "from .part import x",
        "two/part.py": "x = 'was a package'",
        "gone/deep/__init__.py": "",
        "gone/deep/leaf.py": "x = 'was there'",
    }
    code = "import one, two, gone.deep.leaf; answer = [one.x, two.x, gone.deep.leaf.x]"
    assert run(tmp_path, code, texts) == ["was a module", "was a package", "was there"]


def test_a_package_that_has_only_just_become_one_is_a_namespace_before(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"pkg/__init__.py": "raise OSError", "pkg/net.py": "from .other import x", "pkg/other.py": ""},
    )
    texts = {"pkg/__init__.py": None, "pkg/other.py": "x = 3"}
    assert run(tmp_path, "import pkg.net; answer = pkg.net.x", texts) == 3
    assert run(tmp_path, "answer = overlay.load(path('pkg/net.py')).x", texts) == 3

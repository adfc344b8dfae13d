"""The editor: every operation in every layout a file may have; what it cannot do right it refuses."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixer.facts import Project, Symbol
from fixer.facts.file import blocks
from fixer.rewrite import CannotRewriteError, Editor, Rewrite
from fixer.source import Source

NET = Path("/tree/net.py")


def editor_of(code: str | bytes, **others: str) -> Editor:
    """An editor of `net.py` in a tree with other files: ``train=...`` is train.py."""
    texts = {f"{name}.py": text.encode() for name, text in others.items()}
    texts["net.py"] = code if isinstance(code, bytes) else code.encode()
    project = Project({NET.parent / name: Source(NET.parent / name, data) for name, data in texts.items()})
    file = project.file(NET)
    assert file
    return Editor(file, project)


def statements(editor: Editor) -> list[ast.stmt]:
    return [node for node in ast.walk(editor.file.tree) if isinstance(node, ast.stmt)]


def written(editor: Editor, text: str) -> ast.stmt:
    """The outermost statement that begins with `text`."""
    source = editor.source
    return next(node for node in statements(editor) if source.segment(node).startswith(text))


def expression(editor: Editor, text: str) -> ast.expr:
    nodes = (node for node in ast.walk(editor.file.tree) if isinstance(node, ast.expr))
    return next(node for node in nodes if editor.source.segment(node) == text)


def result(editor: Editor) -> bytes:
    new = editor.source.apply(editor.edits())
    compile(new.data, "net.py", "exec")
    return new.data


Operation = Callable[[Editor, ast.stmt], None]
OPERATIONS: dict[str, Operation] = {
    "before": lambda editor, at: editor.insert_before(at, "new(1)\nnew(2)"),
    "after": lambda editor, at: editor.insert_after(at, "new(1)\nnew(2)"),
    "replace": lambda editor, at: editor.replace(at, "new(1)\nnew(2)"),
    "one": lambda editor, at: editor.replace(at, "new(1)"),
    "delete": lambda editor, at: editor.delete(at),
    "with comments": lambda editor, at: editor.delete(at, comments=True),
    "above": lambda editor, at: editor.insert_before_with_comments(at, "new(1)\nnew(2)"),
}


def done(operation: str, code: str | bytes, at: str) -> bytes:
    editor = editor_of(code)
    OPERATIONS[operation](editor, written(editor, at))
    return result(editor)


# What cannot be done right is refused


@pytest.mark.parametrize("operation", ["before", "after", "replace", "above"])
@pytest.mark.parametrize(
    "code",
    [
        "if x: old()\n",
        "if x: \\\n    old()\n",
        "if x: a; old(); b\n",
        "if x:\n    a; old()\n",
        "a; \\\n    old()\n",
        "\x0cif x: old()\n",
        "def f(self): old()\n",
        "class A(nn.Module): old()\n",
        "for x in y: old()\nelse: pass\n",
        "match x:\n    case 1: old()\n",
        "try: old()\nfinally: pass\n",
        "with a: old()\n",
        "if x:\n    a\nelse: old()\n",
        "if x:\r\n    a; old()\r\n",
        "# 😀\nif '😀': old()\n",
    ],
)
def test_no_room_for_more_than_one_statement(operation: str, code: str) -> None:
    with pytest.raises(CannotRewriteError, match=r"line \d+ of net.py holds several statements"):
        done(operation, code, "old()")


@pytest.mark.parametrize("operation", ["before", "after", "replace", "one", "above"])
def test_elif_is_no_statement_of_its_own(operation: str) -> None:
    with pytest.raises(CannotRewriteError, match=r"line 3 of net\.py is an `elif`"):
        done(operation, "if a:\n    b\nelif c:\n    d\n", "elif")


def test_replacement_that_is_no_code() -> None:
    editor = editor_of("x = 1\n")
    with pytest.raises(CannotRewriteError, match="cannot be indented"):
        editor.insert_after(written(editor, "x"), "f(\n'")


def test_method_in_a_class_under_a_condition() -> None:
    editor = editor_of("class A:\n    if x:\n        def f(self):\n            pass\n")
    with pytest.raises(CannotRewriteError, match="not a plain block"):
        editor.append_method(editor.file.classes["A"], written(editor, "def f"), "def g(self): ...")


def test_insertion_inside_what_is_replaced() -> None:
    editor = editor_of("if a:\n    b\n")
    editor.replace(written(editor, "if"), "c")
    editor.insert_after(written(editor, "b"), "d")
    with pytest.raises(CannotRewriteError, match=r"line 2 of net\.py would be changed twice"):
        editor.edits()


def test_edits_of_what_is_deleted() -> None:
    editor = editor_of("a = b\nc\n")
    editor.delete(written(editor, "a"))
    editor.replace(expression(editor, "b"), "d")
    with pytest.raises(CannotRewriteError, match=r"line 1 of net\.py would be changed twice"):
        editor.edits()


def test_insertion_behind_what_is_deleted() -> None:
    editor = editor_of("a\nc\n")
    editor.delete(written(editor, "a"))
    editor.insert_after(written(editor, "a"), "b")
    with pytest.raises(CannotRewriteError, match=r"line 1 of net\.py would be changed twice"):
        editor.edits()


def test_nothing_asked_for_gives_no_edits() -> None:
    editor = editor_of("a\n")
    assert editor.edits() == ()
    rewrite = Rewrite(editor.project)
    rewrite.file(editor.file)
    assert not rewrite.edits()


# Layouts


LAYOUTS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "tabs": lambda text: text.replace("    ", "\t").encode(),
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "latin-1": lambda text: f"# coding: latin-1\n# é\n{text}".encode("latin-1"),
    "latin-1 and crlf": lambda text: f"# coding: latin-1\n'é'\n{text}".replace("\n", "\r\n").encode(
        "latin-1"
    ),
    "emoji": lambda text: f"'😀'  # 😀\n{text}".encode(),
    "no final newline": lambda text: text.rstrip("\n").encode(),
    "form feed": lambda text: text.replace("\n", "\n\x0c").encode(),
    "form feed behind white space": lambda text: text.replace("\n", "\n  \x0c").encode(),
}

BLOCK = """\
class A:
    # about f
    @first
    @second
    def f(self):
        # about old
        old('é')  # behind old
        # about last
        last(
            1
        )

    def g(self):
        return 1
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("operation", "at", "old", "new"),
    [
        ("before", "old", "        old(", "        new(1)\n        new(2)\n        old("),
        ("after", "old", "# behind old", "# behind old\n        new(1)\n        new(2)"),
        ("replace", "old", "old('é')", "new(1)\n        new(2)"),
        ("one", "last", "last(\n            1\n        )", "new(1)"),
        ("delete", "old", "        old('é')  # behind old\n", ""),
        ("with comments", "old", "        # about old\n        old('é')  # behind old\n", ""),
        ("before", "def f", "    @first", "    new(1)\n    new(2)\n    @first"),
        ("above", "def f", "    # about f", "    new(1)\n    new(2)\n\n    # about f"),
        ("with comments", "def f", BLOCK[9 : BLOCK.index("\n    def g")], ""),
        ("after", "def f", "            1\n        )", "            1\n        )\n    new(1)\n    new(2)"),
    ],
)
def test_layouts(layout: str, operation: str, at: str, old: str, new: str) -> None:
    whole = LAYOUTS[layout]
    assert BLOCK.count(old) == 1
    if "form feed" in layout:  # what is inserted has none
        editor = editor_of(whole(BLOCK))
        OPERATIONS[operation](editor, written(editor, at))
        found = result(editor).decode().replace("  \x0c", "").replace("\x0c", "")
        assert found == BLOCK.replace(old, new)
    else:
        assert done(operation, whole(BLOCK), at) == whole(BLOCK.replace(old, new))


# Lines


@pytest.mark.parametrize(
    ("operation", "code", "new"),
    [
        # a line shared with others
        ("delete", "a; old(); b\n", "a; b\n"),
        ("delete", "old(); b\n", "b\n"),
        ("delete", "a; old()\n", "a\n"),
        ("delete", "a; old();  # c\n", "a;  # c\n"),
        ("delete", "old();  # c\nb\n", "b\n"),
        ("delete", "a; \\\n    old(); \\\n    b\n", "a; \\\n    b\n"),
        ("one", "a; old(); b\n", "a; new(1); b\n"),
        ("delete", "if x: old()\n", "if x: pass\n"),
        ("delete", "if x: old(); b\n", "if x: b\n"),
        ("delete", "if x: b; old()\n", "if x: b\n"),
        ("delete", "if x: \\\n    old()\n", "if x: \\\n    pass\n"),
        ("with comments", "# about if\nif x: old()\n", "# about if\nif x: pass\n"),
        ("with comments", "# about a\na; old()\n", "# about a\na\n"),
        ("one", "if x: old()\n", "if x: new(1)\n"),
        ("one", "class A(nn.Module): old()\n", "class A(nn.Module): new(1)\n"),
        ("delete", "def f(self): old()\n", "def f(self): pass\n"),
        ("delete", "class A(nn.Module): old()\n", "class A(nn.Module): pass\n"),
        ("delete", "match x:\n    case 1: old()\n", "match x:\n    case 1: pass\n"),
        # continued lines
        ("after", "old() \\\n\nb\n", "old() \\\n\nnew(1)\nnew(2)\nb\n"),
        ("delete", "old() \\\n\nb\n", "b\n"),
        ("after", "old(1,\n    2)  # c \\\nb\n", "old(1,\n    2)  # c \\\nnew(1)\nnew(2)\nb\n"),
        ("after", "old() + '''\n\n# x''' # y\n", "old() + '''\n\n# x''' # y\nnew(1)\nnew(2)\n"),
        ("after", "old() + (\n\n)", "old() + (\n\n)\nnew(1)\nnew(2)"),
        ("after", "old() + \\\n    1;\n", "old() + \\\n    1;\nnew(1)\nnew(2)\n"),
        ("delete", "a\nold() + '''\n''' + (\n1)\nb\n", "a\nb\n"),
        # a block that loses all
        ("delete", "def f():\n    old()\n", "def f():\n    pass\n"),
        ("delete", "def f():\n    # c\n    old()  # d\n", "def f():\n    # c\n    pass  # d\n"),
        ("with comments", "def f():\n    # c\n    old()  # d\n", "def f():\n    pass  # d\n"),
        ("delete", "if a:\n    b\nelse:\n    old()\nc\n", "if a:\n    b\nelse:\n    pass\nc\n"),
        ("delete", "try:\n    old()\nfinally:\n    b\n", "try:\n    pass\nfinally:\n    b\n"),
        ("delete", "try:\n    b\nfinally:\n    old()\n", "try:\n    b\nfinally:\n    pass\n"),
        ("delete", "try:\n    b\nexcept E:\n    old()\n", "try:\n    b\nexcept E:\n    pass\n"),
        ("delete", "match x:\n    case 1:\n        old()\n", "match x:\n    case 1:\n        pass\n"),
        ("delete", "old()", "pass"),
        ("delete", "for x in y:\n    a\nelse:\n    old()", "for x in y:\n    a\nelse:\n    pass"),
        # blank lines and the end
        ("delete", "a\n\n\nold()\n", "a\n"),
        ("delete", "a\n\n\nold()", "a\n"),
        ("delete", "a \\\n\nold()", "a \\\n\n"),
        ("delete", "a\n\nold()\n\nb\n", "a\n\n\nb\n"),
    ],
)  # fmt: skip
def test_lines(operation: str, code: str, new: str) -> None:
    assert done(operation, code, "old(").decode() == new
    assert done(operation, code.replace("\n", "\r\n"), "old(").decode() == new.replace("\n", "\r\n")


def test_comments_that_are_inside_a_string_stay() -> None:
    code = "x = '''\n# no comment'''\nold()\n"
    assert done("with comments", code, "old()") == b"x = '''\n# no comment'''\n"
    assert editor_of(code).comments_above(editor_of(code).file.tree.body[1]) == []


@pytest.mark.parametrize("at", ["@", "# ", "def"])
def test_decorator_in_parentheses(at: str) -> None:
    code = "@(  # why\n    first\n)\n@second\ndef f(): pass\n"
    assert done("before", code, "def").decode() == "new(1)\nnew(2)\n" + code
    assert done("delete", "a\n" + code + "b\n", "def") == b"a\nb\n"


def test_deleting_a_decorated_function_that_was_alone() -> None:
    assert done("delete", "class A:\n    @b\n    def f(self): pass\n", "def") == b"class A:\n    pass\n"


def test_replacing_a_decorated_function() -> None:
    assert done("one", "# c\n@a\ndef f(): pass  # d\n", "def") == b"# c\nnew(1)  # d\n"


@pytest.mark.parametrize("header", ["#!/usr/bin/env python", "# coding: latin-1", "# -*- coding=latin-1 -*-"])
def test_header_is_no_comment_about_the_first_statement(header: str) -> None:
    assert done("with comments", f"{header}\n# c\nold()\nb\n", "old").decode() == f"{header}\nb\n"


def test_deleting_an_elif_keeps_the_if() -> None:
    code = "if a:\n    b\nelif c:\n    d\nelse:\n    e\nf\n"
    assert done("delete", code, "elif") == b"if a:\n    b\nf\n"


def test_deleting_every_statement_of_a_block() -> None:
    editor = editor_of("def f():\n    # one\n    a; b\n    # two\n    c\n    if d:\n        e\nx\n")
    function = editor.file.functions["f"]
    for statement in [*function.body, written(editor, "e")]:
        editor.delete(statement)
    assert result(editor) == b"def f():\n    # one\n    pass\n    # two\nx\n"


def test_deleting_a_line_of_several() -> None:
    editor = editor_of("x\n# about a\na; b\ny; c; d\n")
    for name, comments in {"a": True, "b": False, "c": False, "d": False}.items():
        editor.delete(written(editor, name), comments=comments)
    assert result(editor) == b"x\ny\n"


def test_deeper_insertions_come_first() -> None:
    editor = editor_of("if a:\n    if b:\n        c")
    for text in ("if a", "c", "if b"):
        editor.insert_after(written(editor, text), f"behind({text[-1]})")
    new = "if a:\n    if b:\n        c\n        behind(c)\n    behind(b)\nbehind(a)"
    assert result(editor).decode() == new


def test_insertion_behind_an_expression_that_grows() -> None:
    editor = editor_of("a = b\n")
    editor.insert_after(written(editor, "a"), "c")
    end = len("a = b")
    editor.replace_span(end, end, ")")
    editor.replace_span(len("a = "), len("a = "), "f(")
    assert result(editor) == b"a = f(b)\nc\n"


def test_strings_in_new_code_keep_their_lines() -> None:
    editor = editor_of("if a:\n\tb\n")
    editor.insert_after(written(editor, "b"), 'x = """\none\n  \n"""\ny = f(\n    1\n)')
    editor.replace(expression(editor, "b"), "g('''\n''',\n  1)")
    new = "if a:\n\tg('''\n''',\n\t  1)\n\tx = \"\"\"\none\n  \n\"\"\"\n\ty = f(\n\t    1\n\t)\n"
    assert result(editor).decode() == new


def test_append_method() -> None:
    editor = editor_of("class A:\n\tclass B:\n\t\tdef f(self): return 1  # c\n\tx = 1\n")
    editor.append_method(editor.file.classes["A.B"], written(editor, "def f"), "def g(self):\n\treturn 2")
    new = (
        "class A:\n\tclass B:\n\t\tdef f(self): return 1  # c\n\n\t\tdef g(self):\n\t\t\treturn 2\n\tx = 1\n"
    )
    assert result(editor).decode() == new


@pytest.mark.parametrize(
    ("code", "comment"),
    [("a  # b\n", "# b"), ("a;  # b\n", "# b"), ("a\n# b\n", ""), ("a = '# b'\n", ""), ("a;\n", "")],
)
def test_trailing_comment(code: str, comment: str) -> None:
    editor = editor_of(code)
    assert editor.trailing_comment(written(editor, "a")) == comment


@pytest.mark.parametrize(("code", "unit"), [("a\n", "    "), ("if a:\n  b\n", "  "), ("if a:\n\tb\n", "\t")])
def test_indent_unit(code: str, unit: str) -> None:
    assert editor_of(code).indent_unit == unit


# Imports


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import torch\n", "torch.no_grad"),
        ("import torch as t\n", "t.no_grad"),
        ("import torch.nn as nn\nimport torch.nn.functional\n", "torch.no_grad"),
        ("from torch import nn, no_grad\n", "no_grad"),
        ("from torch import no_grad as off\n", "off"),
        ("try:\n    import torch\nexcept ImportError:\n    raise\n", "torch.no_grad"),
        ('"""Doc."""\nimport os, torch; x = 1\n', "torch.no_grad"),
    ],
)
def test_reference_that_is_there(code: str, text: str) -> None:
    editor = editor_of(code)
    assert editor.reference("torch.no_grad") == text
    assert editor.edits() == ()


@pytest.mark.parametrize(
    "code",
    [
        "~import torch\n",
        "#!/usr/bin/env python\n# coding: latin-1\n~import torch\n",
        "#!/usr/bin/env python\n# coding: latin-1\n~import torch\n~def f(): ...\n",
        "# About f.\n~import torch\n~@a\ndef f(): ...\n",
        '"""Doc."""~\n\nimport torch~',
        '"""Doc."""~\n\nimport torch~\n\nx = 1\n',
        "'''Doc\nstring.'''  # why~\n\nimport torch~\nclass A: ...\n",
        "from __future__ import annotations~\nimport torch~\n\nx = 1\n",
        '"""Doc."""\nfrom __future__ import annotations~\nimport torch~\n\nx = 1\n',
        "import os\nfrom torch import nn~\nimport torch~\n\nx = nn\n",
        "from torch import (  # layers\n    nn,\n)~\nimport torch~\nx = nn\n",
        "import os; from torch import nn~\nimport torch~\n",
        "import os \\\n~\nimport torch~\nx = 1\n",
        "import torch.nn as nn~\nimport torch~",
        "try:\n    import x\nexcept ImportError:\n    x = None\nimport os~\nimport torch~\n",
        "import os~\nimport torch~\nif os.name:\n    import torch\n",
        "import os~\nimport torch~\ndef f():\n    import torch\n",
        "import os~\nimport torch~\nclass A: ...\nimport torch\n",
        "import typing~\nimport torch~\nif typing.TYPE_CHECKING:\n    import torch\n",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_import_is_added(code: str, newline: str, mark: bytes) -> None:
    """What stands between two `~` is new."""
    assume_plain = mark and "coding" in code  # a mark and another encoding contradict each other
    before, new, *after = code.split("~")
    editor = editor_of(
        (b"" if assume_plain else mark) + (before + "".join(after)).replace("\n", newline).encode()
    )
    assert editor.reference("torch.no_grad") == "torch.no_grad"
    assert editor.reference("torch.enable_grad") == "torch.enable_grad"
    (edit,) = editor.edits()
    assert edit.text == new
    assert edit.start == edit.end == len(editor.source.bom) + len(before.replace("\n", newline))
    result(editor)


def test_import_in_a_file_that_ends_in_a_comment() -> None:
    editor = editor_of("# comment")
    editor.reference("torch.no_grad")
    assert result(editor) == b"# comment\nimport torch\n"


@pytest.mark.parametrize(
    "code",
    [
        "torch = 1\n",
        "def torch(): ...\n",
        "class torch: ...\n",
        "import jax as torch\n",
        "from . import torch\n",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\n",
        "try:\n    import torch\nexcept ImportError:\n    import jax as torch\n",
        "import torch\nwith x as torch: ...\n",
    ],
)
def test_import_under_a_name_that_is_taken(code: str) -> None:
    with pytest.raises(CannotRewriteError, match=r"the name `torch` means something else in net\.py"):
        editor_of(code).reference("torch.no_grad")


GATE = "class Gate: ...\n"


def test_insertion_below_the_comments_that_end_a_block() -> None:
    editor = editor_of("if a:\n    b = 1\n    # about b\n\n# about c\nc = 1\n")
    editor.insert_after(editor.file.tree.body[0], "d = 1")
    assert result(editor) == b"if a:\n    b = 1\n    # about b\nd = 1\n\n# about c\nc = 1\n"


def referred(code: str, target: str, name: str = "Gate", **others: str) -> tuple[str, str]:
    editor = editor_of(code, **others)
    text = editor.reference_to(Symbol(name, NET.parent / target))
    return text, result(editor).decode()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("from model import Gate\n", "Gate"),
        ("from model import Gate as G\n", "G"),
        ("import model\n", "model.Gate"),
        ("import model as m\n", "m.Gate"),
        ("import os\nfrom model import *\n", None),
    ],
)
def test_class_that_is_imported(code: str, text: str | None) -> None:
    if text is None:
        assert referred(code, "model.py", model=GATE) == ("Gate", code + "from model import Gate\n")
    else:
        assert referred(code, "model.py", model=GATE) == (text, code)


@pytest.mark.parametrize(
    ("code", "target", "others", "added"),
    [
        ("import os\n", "model.py", ["model"], "from model import Gate\n"),
        ("from a.b import x\n", "a/b.py", ["a/b"], "from a.b import Gate\n"),
        ("from a.b import x\n", "a/c.py", ["a/b", "a/c"], "from a.c import Gate\n"),
        ("from .b import x\n", "b.py", ["__init__", "b"], "from .b import Gate\n"),
        ("import os\n", "c.py", ["__init__", "c"], "from .c import Gate\n"),
        ("from .b import x\n", "c.py", ["b", "c"], "from .c import Gate\n"),
        ("import os\n", "c/__init__.py", ["__init__", "c/__init__"], "from .c import Gate\n"),
    ],
)
def test_class_that_is_not(code: str, target: str, others: list[str], added: str) -> None:
    text, new = referred(code, target, **dict.fromkeys(others, GATE))
    assert (text, new) == ("Gate", code + added)


@pytest.mark.parametrize(
    "code",
    [
        "Gate = 1\n",
        "from other import Gate\n",
        "def f():\n    from model import Gate\n",
        "if TYPE_CHECKING:\n    from model import Gate\n",
    ],
)
def test_class_whose_name_is_taken(code: str) -> None:
    text, new = referred(code, "model.py", model=GATE, other=GATE)
    assert text == "ModelGate"
    assert "from model import Gate as ModelGate\n" in new


def test_class_whose_every_name_is_taken() -> None:
    with pytest.raises(CannotRewriteError, match="the names `Gate` and `ModelGate` mean something else"):
        referred("Gate = ModelGate = 1\n", "model.py", model=GATE)


def test_class_in_a_file_that_cannot_be_imported() -> None:
    with pytest.raises(CannotRewriteError, match=r"my-model\.py cannot be imported"):
        referred("", "my-model.py", **{"my-model": GATE})


def test_class_of_a_file_beside_the_own_folder() -> None:
    """Python finds what lies below the folder of a script, not what lies below another."""
    path = NET.parent.parent / "other" / "gate.py"
    project = Project({path: Source(path, GATE.encode()), NET: Source(NET, b"import os\n")})
    file = project.file(NET)
    assert file
    with pytest.raises(CannotRewriteError, match=r"nothing shows how net\.py could import gate\.py"):
        Editor(file, project).reference_to(Symbol("Gate", path))


def test_class_beside_a_file_that_others_import_from_above() -> None:
    """A folder without `__init__.py` is a package too, and then what is in it is no top-level module."""
    beside, script = NET.parent / "gate.py", NET.parent.parent / "run.py"
    use = f"from {NET.parent.name}.{NET.stem} import train\n".encode()
    files = {beside: GATE.encode(), script: use, NET: b"import os\n"}
    project = Project({path: Source(path, data) for path, data in files.items()})
    file = project.file(NET)
    assert file
    editor = Editor(file, project)
    editor.reference_to(Symbol("Gate", beside))
    assert result(editor).decode().endswith(f"from {NET.parent.name}.gate import Gate\n")


def test_class_of_the_file_itself() -> None:
    assert referred("class A:\n    class Gate: ...\n", "net.py", "A.Gate")[0] == "A.Gate"


# Random files


SIMPLE = [
    "f()",
    "x = 1",
    "return_ = (\n1,\n  2)",
    "y = '''\nz\n  # no comment\n'''",
    "z = 1 + \\\n   2",
    "'é'",
    "del x, y",
    "pass",
    "import os",
    "x: int = f(a,\n\n  b)",
]
LEAF = st.sampled_from(SIMPLE)
COMPOUND = [
    ("if a:", "else:"),
    ("if a:", "elif b:", "else:"),
    ("if a:", "elif b:"),
    ("for x in y:", "else:"),
    ("while a:",),
    ("try:", "finally:"),
    ("try:", "except E:", "else:"),
    ("with a as b, c:",),
    ("def f(self, x=1):",),
    ("@first\n@second(\n1)\ndef g(): # c",),
    ("class A(nn.Module):",),
    ("@ \\\n first\nclass B:",),
]
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.sampled_from(COMPOUND).flatmap(
            lambda heads: st.tuples(st.just(heads), *[st.lists(inner, min_size=1, max_size=3) for _ in heads])
        ),
        st.tuples(st.just("match x:"), st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=8,
)


class Writer:
    """Writes a random tree in a random layout."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.unit = draw(st.sampled_from(["    ", "  ", "\t"]))
        self.comments = 0

    def flip(self) -> bool:
        return self.draw(st.integers(0, 3)) == 0

    def comment(self) -> str:
        self.comments += 1
        return f"# 😀 {self.comments}"

    def block(self, nodes: list[object], indent: str) -> list[str]:
        lines: list[str] = []
        joined = False
        for position, node in enumerate(nodes):
            if self.flip():
                joined = False
                lines += [indent + self.comment()] if self.flip() else ["", "\x0c"][: 1 + self.flip()]
            text = node if isinstance(node, str) else None
            if text is None:
                lines += self.compound(node, indent)
                joined = False
                continue
            if joined:
                lines[-1] += ("; " if self.flip() else ";\\\n  ") + text
            else:
                lines.append(("\x0c" if self.flip() and not position else "") + indent + text)
            joined = self.flip()
            if not joined and self.flip():
                lines[-1] += self.draw(st.sampled_from([";", "  ", "; # c", f"  {self.comment()}"]))
        return lines

    def compound(self, node: object, indent: str) -> list[str]:
        assert isinstance(node, tuple)
        if isinstance(node[0], str):
            return [indent + node[0], *self.suite("case 1:", node[1], indent + self.unit)]
        lines = []
        for head, body in zip(*node[:1], node[1:], strict=True):
            lines += self.suite(head, body, indent)
        return lines

    def suite(self, head: str, body: list[object], indent: str) -> list[str]:
        head = "\n".join(indent + line for line in head.split("\n"))
        if self.flip() and "#" not in head and all(isinstance(node, str) for node in body):
            return [f"{head} " + "; ".join(str(node) for node in body)]
        return [head, *self.block(body, indent + self.unit)]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file with statements of every form, in a random layout and encoding."""
    nodes = draw(st.lists(TREE, min_size=1, max_size=4))
    text = "\n".join(Writer(draw).block(nodes, "")) + draw(st.sampled_from(["", "\n", "\n\n# end"]))
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = text.replace("\n", newline)
    kind = draw(st.sampled_from(["utf-8", "mark", "latin-1"]))
    if kind == "latin-1":
        return f"# coding: latin-1{newline}{text.replace('😀', 'ü')}".encode("latin-1")
    return (b"\xef\xbb\xbf" if kind == "mark" else b"") + text.encode()


class Model:
    """What the operations mean, on the tree alone."""

    def __init__(self, editor: Editor) -> None:
        self.tree = copy.deepcopy(editor.file.tree)
        self.nodes = dict(zip(statements(editor), self.all(), strict=True))
        self.elifs = {self.nodes[node] for node in self.nodes if editor.is_elif(node)}
        self.gone: set[ast.stmt] = set()
        self.above: dict[ast.stmt, list[ast.stmt]] = {}
        self.before: dict[ast.stmt, list[ast.stmt]] = {}
        self.after: dict[ast.stmt, list[ast.stmt]] = {}
        self.instead: dict[ast.stmt, list[ast.stmt]] = {}

    def all(self) -> list[ast.stmt]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)]

    def carry_out(self) -> ast.Module:
        for node in list(ast.walk(self.tree)):
            if not isinstance(node, (ast.ExceptHandler, ast.match_case)):  # `blocks` finds these from above
                for block in list(blocks(node)):
                    self.change(block)
        return self.tree

    def change(self, block: list[ast.stmt]) -> None:
        emptied = all(node in self.gone for node in block)
        new: list[ast.stmt] = []
        for position, node in enumerate(block):
            kept = [] if node in self.gone else self.instead.get(node, [node])
            if emptied and position == 0 and node not in self.elifs:
                kept = [ast.Pass()]
            new += [*self.above.get(node, []), *self.before.get(node, []), *kept, *self.after.get(node, [])]
        block[:] = new


STEP = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 1000))


def perform(editor: Editor, steps: list[tuple[str, int]]) -> Model:
    """Do on the file what is then done on the model; numbers tell the new statements apart."""
    model = Model(editor)
    places = statements(editor)
    for number, (operation, index) in enumerate(steps):
        place = places[index % len(places)]
        node = model.nodes[place]
        new = ast.parse(f"new({number})\nnew()").body
        code = f"new({number})\nnew()"
        if operation in ("before", "above"):
            insert = editor.insert_before if operation == "before" else editor.insert_before_with_comments
            insert(place, code)
            (model.before if operation == "before" else model.above).setdefault(node, []).extend(new)
        elif operation == "after":
            editor.insert_after(place, code)
            model.after.setdefault(node, []).extend(new)
        elif operation in ("replace", "one"):
            editor.replace(place, code if operation == "replace" else f"new({number})")
            model.instead[node] = new if operation == "replace" else new[:1]
        else:
            editor.delete(place, comments=operation == "with comments")
            model.gone.add(node)
    return model


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), STEP)
def test_one_operation_means_what_it_says(data: bytes, step: tuple[str, int]) -> None:
    check(data, [step])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.lists(STEP, min_size=2, max_size=5))
def test_operations_mean_together_what_they_say(data: bytes, steps: list[tuple[str, int]]) -> None:
    check(data, steps)


def check(data: bytes, steps: list[tuple[str, int]]) -> None:
    editor = editor_of(data)
    try:
        model = perform(editor, steps)
        edits = editor.edits()
    except CannotRewriteError as refusal:
        reason = str(refusal)
        if len(steps) == 1 and not reason.endswith(("holds several statements", "is an `elif`")):
            raise
        return
    assert ast.dump(editor.source.apply(edits).tree) == ast.dump(model.carry_out())

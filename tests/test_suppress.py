from pathlib import Path

import pytest

from fixer.source import Source
from fixer.suppress import Suppressions

CODE, NAME = "PRM101", "projection-in-forward"


def suppressions(text: str, encoding: str = "utf-8") -> Suppressions:
    return Suppressions.of(Source(Path("net.py"), text.encode(encoding)))


def hidden_rows(text: str) -> list[int]:
    found = suppressions(text)
    return [row for row in range(1, text.count("\n") + 2) if found.hides(row, CODE, NAME)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = 1\n",
        "a = 1  # fixer\n",
        "a = 1  # fixer:\n",
        "a = 1  # fixer: ignored\n",
        "a = 1  # fixer: ignore-me\n",
        "a = 1  # fixer: ignore[PRM102]\n",
        "a = 1  # fixer: ignore[PRM10]\n",
        "a = 1  # fixer: ignore[]\n",
        "a = 1  # fixer: ignore[PRM101\n",
        "a = 1  # fixer: ignore(PRM101)\n",
        "a = 1  # other-fixer: ignore\n",
        "a = 1  # noqa: ignore\n",
        "a = '# fixer: ignore'\n",
        "a = '''\n# fixer: ignore\n'''\n",
        "'''\n# fixer: file-ignore\n'''\na = 1\n",
        "# fixer: ignore\n\na = 1\n",
        "# fixer: ignore",
        "# fixer: file-ignore[PRM102]\na = 1\n",
    ],
)
def test_hides_nothing(text: str) -> None:
    assert hidden_rows(text) == []


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a = 1  # fixer: ignore\nb = 2\n", [1]),
        ("a = 1  # fixer: ignore", [1]),
        ("a = 1  #fixer:ignore\n", [1]),
        ("a = 1  # fixer: ignore: the bound is part of the forward pass\n", [1]),
        ("a = 1  # fixer: ignore[PRM101]\n", [1]),
        ("a = 1  # fixer: ignore [ prm101 , PRM301 ]\n", [1]),
        ("a = 1  # fixer: ignore[PRM301, projection-in-forward] as in the paper\n", [1]),
        ("a = 1  # noqa: E501  # fixer: ignore[PRM101]  # type: ignore\n", [1]),
        ("a = 1  # fixer: ignore[PRM301]  # fixer: ignore[PRM101]\n", [1]),
        ("a = (  # fixer: ignore\n    1,\n)\nb = 1\n", [1, 2, 3]),
        ("a = (\n    1,\n    # fixer: ignore\n)  # why\nb = 1\n", [1, 2, 3, 4]),
        ("a = 1; b = '''\n'''; c = 3  # fixer: ignore\nd = 1\n", [1, 2]),
        ("a = 0\n# fixer: ignore\nb = 1\nc = 2\n", [3]),
        ("# fixer: ignore\n# because\n# of this\na = 1\nb = 1\n", [4]),
        ("# fixer: ignore[PRM301]\n# fixer: ignore[PRM101]\na = 1\n", [3]),
        ("if a:  # fixer: ignore\n    b = 1\n", [1]),
        ("if a:\n    # fixer: ignore\n    b = 1\nc = 1\n", [3]),
        ("def f(\n    a,  # fixer: ignore\n    b,\n):\n    pass\n", [1, 2, 3, 4]),
        ("# fixer: ignore\n@a\n@b(\n    1\n)\n\ndef f():\n    pass\n", [2, 3, 4, 5, 6, 7]),
        ("@a\n# fixer: ignore\nclass B:\n    c = 1\n", [1, 2, 3]),
        ("@a  # fixer: ignore\ndef f(): pass\nb = 1\n", [1, 2]),
        ("a = 1 + \\\n    2  # fixer: ignore\n", [1, 2]),
        ("\x0ca = 1\n\x0cb = 1  # fixer: ignore\n", [2]),
        ("a = f'{b}'  # fixer: ignore\n", [1]),
        ("a = 1\r\nb = 1  # fixer: ignore\r\nc = 1\r\n", [2]),
    ],
)
def test_hides_its_statement(text: str, rows: list[int]) -> None:
    assert hidden_rows(text) == rows


@pytest.mark.parametrize(
    "comment", ["file-ignore", "file-ignore[PRM101]", "file-ignore[projection-in-forward]"]
)
@pytest.mark.parametrize("before", ["", "a = 1\n\n", "def f():\n    b = 1  "])
def test_hides_everything_in_the_file(comment: str, before: str) -> None:
    text = f"{before}# fixer: {comment}\n\nc = 1\n"
    assert hidden_rows(text) == list(range(1, text.count("\n") + 2))


def test_other_newlines_and_encodings() -> None:
    text = "# coding: latin-1\ra = 'é'\rb = 'é'  # fixer: ignore\r"
    found = suppressions(text, "latin-1")
    assert [row for row in range(1, 5) if found.hides(row, CODE, NAME)] == [3]


def test_invalid_file_counts_as_far_as_it_goes() -> None:
    assert hidden_rows("a = 1  # fixer: ignore\nb = (  # fixer: ignore\n") == [1]


class TestUnused:
    TEXT = """\
a = 1  # fixer: ignore
b = 1  # fixer: ignore[PRM101, PRM301]
# fixer: ignore[PRM101]

# fixer: file-ignore[PRM201]
"""

    def test_all_at_first(self) -> None:
        unused = suppressions(self.TEXT).unused()
        assert [(item.row, item.rules) for item in unused] == [
            (1, None),
            (2, ("PRM101", "PRM301")),
            (3, ("PRM101",)),
            (5, ("PRM201",)),
        ]

    def test_list_without_rules(self) -> None:
        found = suppressions("a = 1  # fixer: ignore[]\n")
        assert not found.hides(1, CODE, NAME)
        assert [(item.row, item.rules) for item in found.unused()] == [(1, ())]

    def test_only_the_words_that_were_of_no_use(self) -> None:
        found = suppressions(self.TEXT)
        assert found.hides(1, CODE, NAME)
        assert found.hides(2, CODE, NAME)
        assert found.hides(4, "PRM201", "tensor-assigned-to-parameter")
        assert not found.hides(4, CODE, NAME)
        assert [(item.row, item.rules) for item in found.unused()] == [(2, ("PRM301",)), (3, ("PRM101",))]

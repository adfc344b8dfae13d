"""Comments that keep findings out of the report.

``# fixer: ignore`` hides the findings of its statement, or of the statement below where it stands on a line
of its own; ``# fixer: ignore[PRM101, module-backward]`` hides only those of the rules named, by code or name.
``# fixer: file-ignore`` and ``# fixer: file-ignore[PRM101]`` do so for the whole file. For a compound
statement only its header counts, decorators included.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fixer.source import Source

_COMMENT = re.compile(
    r"""\#\s*fixer:\s*(file-)?ignore
        (?: \s*\[([^\]]*)\]               # the rules named
          | (?![-\w(]) (?!\s*\[) )         # all rules; not another word, not a list that never ends""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Suppression:
    """One comment."""

    row: int
    rules: tuple[str, ...] | None
    """Codes and names as written; None for all rules."""
    whole_file: bool

    def word_for(self, code: str, name: str) -> str | None:
        """The word of the comment that covers the rule: `""` if it covers all rules, None if none does."""
        if self.rules is None:
            return ""
        return next((word for word in self.rules if word.casefold() in (code.casefold(), name)), None)


@dataclass
class Suppressions:
    """The comments of a file; remembers what they have hidden."""

    _comments: tuple[Suppression, ...] = ()
    _rows: dict[int, list[Suppression]] = field(default_factory=dict)
    """The comments that cover a row."""
    _used: set[tuple[Suppression, str]] = field(default_factory=set)

    @classmethod
    def of(cls, source: Source) -> Suppressions:
        """Find the comments of a valid file; most files have none and cost one search."""
        if b"fixer:" not in source.data:
            return cls()
        comments: list[Suppression] = []
        rows: dict[int, list[Suppression]] = {}
        for covered, found in _logical_lines(source.text):
            comments += found
            for comment in found:
                for row in () if comment.whole_file else covered:
                    rows.setdefault(row, []).append(comment)
        return cls(tuple(comments), rows)

    def hides(self, row: int, code: str, name: str) -> bool:
        """Whether a finding that begins in `row` is to be left out."""
        whole_file = (comment for comment in self._comments if comment.whole_file)
        used = {
            (comment, word)
            for comment in (*whole_file, *self._rows.get(row, ()))
            if (word := comment.word_for(code, name)) is not None
        }
        self._used |= used
        return bool(used)

    def unused(self) -> tuple[Suppression, ...]:
        """The comments, each with those of its words, that have hidden nothing so far, in file order."""
        return tuple(filter(None, map(self._unused_part, self._comments)))

    def _unused_part(self, comment: Suppression) -> Suppression | None:
        if comment.rules is None:
            return None if (comment, "") in self._used else comment
        words = tuple(word for word in comment.rules if (comment, word) not in self._used)
        return replace(comment, rules=words) if words or not comment.rules else None


def _logical_lines(text: str) -> Iterator[tuple[range, list[Suppression]]]:
    """The rows of each statement or header, and the comments in it and directly above it.

    Decorators belong to the header below them. Comments above no statement come with no rows.
    """
    first: int | None = None
    comments: list[Suppression] = []
    at_start, decorator = True, False
    for token in _tokens(text):
        if token.type == tokenize.COMMENT:
            comments += _parsed(token)
        elif token.type == tokenize.NEWLINE:
            at_start = True
            if not decorator and first is not None:
                yield range(first, token.start[0] + 1), comments
                first, comments = None, []
        elif token.type == tokenize.NL:
            if first is None and not token.line.strip():
                yield range(0), comments
                comments = []
        elif token.type not in (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            first = first or token.start[0]
            if at_start:
                at_start, decorator = False, token.string == "@"
    yield range(0), comments


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Tokens as far as `tokenize` can follow what the parser accepts."""
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        yield from tokenize.generate_tokens(lines.readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _parsed(token: tokenize.TokenInfo) -> Iterator[Suppression]:
    for match in _COMMENT.finditer(token.string):
        whole_file, rules = match.groups()
        words = None if rules is None else tuple(filter(None, re.split(r"[\s,]+", rules)))
        yield Suppression(token.start[0], words, bool(whole_file))

"""Rewrites: what rules ask for, turned into byte-span edits."""

from fixer.rewrite.editor import Editor, Rewrite
from fixer.rewrite.layout import CannotRewriteError

__all__ = ["CannotRewriteError", "Editor", "Rewrite"]

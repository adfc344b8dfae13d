"""What is true of the code: files, classes, and the kinds that names and attribute paths have.

Rules ask here and never guess by name.
"""

from fixer.facts.file import File, Function, dotted
from fixer.facts.flow import Flow
from fixer.facts.kinds import Answer, Kind, Symbol, is_parameter, is_plain_tensor
from fixer.facts.project import Class, Project

__all__ = [
    "Answer",
    "Class",
    "File",
    "Flow",
    "Function",
    "Kind",
    "Project",
    "Symbol",
    "dotted",
    "is_parameter",
    "is_plain_tensor",
]

"""Right and wrong rewrites over many kinds of models, to hold against verification."""

from __future__ import annotations

from tests.mutants.copies import COPIES
from tests.mutants.deletions import DELETIONS
from tests.mutants.models import (
    Copying,
    Deletion,
    Projection,
    copying_job,
    deletion_job,
    job_of,
    made,
    projection_job,
)
from tests.mutants.more_projections import MORE_PROJECTIONS
from tests.mutants.projections import PROJECTIONS as FIRST_PROJECTIONS

PROJECTIONS = FIRST_PROJECTIONS + MORE_PROJECTIONS

__all__ = [
    "COPIES",
    "DELETIONS",
    "PROJECTIONS",
    "Copying",
    "Deletion",
    "Projection",
    "copying_job",
    "deletion_job",
    "job_of",
    "made",
    "projection_job",
]

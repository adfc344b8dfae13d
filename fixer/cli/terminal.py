"""What the streams can show, and the progress that people see while they wait."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fixer.contract import Verification
from fixer.proving import Judge
from fixer.report.model import relative
from fixer.verify import Job

Progress = Callable[[str], None]


def colourful(stream: TextIO) -> bool:
    """Whether to colour what goes to the stream (https://no-color.org, https://force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """The columns of a terminal, None for a file or pipe."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """A line on the terminal that says what is going on, and is gone at the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(Text(text))


@dataclass
class Watched:
    """A judge that says what it is asked about."""

    judge: Judge
    show: Progress
    asked: int = 0

    def verify(self, job: Job) -> Verification:
        """Pass the question on."""
        self.asked += 1
        names = (relative(path, Path.cwd()) for path in sorted(job.after.files))
        self.show(f"verifying fix {self.asked}: {', '.join(names)}")
        return self.judge.verify(job)

    @property
    def at_once(self) -> int:
        """As many as the judge that is asked."""
        return self.judge.at_once

    def verify_all(self, jobs: Sequence[Job]) -> list[Verification]:
        """Pass several questions on."""
        first, self.asked = self.asked + 1, self.asked + len(jobs)
        self.show(f"verifying fixes {first} to {self.asked}, {self.at_once} at a time")
        return self.judge.verify_all(jobs)

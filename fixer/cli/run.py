"""`check`, `apply` and `verify`: gather, ask, report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fixer import apply as applying
from fixer.cli import sentences
from fixer.cli.ending import UserError, complain, emit, say
from fixer.cli.options import ApplyOptions, Options
from fixer.cli.project import Work, gather, require_interpreter, verification
from fixer.cli.terminal import Progress, Watched, colourful, progress, width_of
from fixer.engine import FileError
from fixer.outcome import Outcome, Plan
from fixer.policy import VerifyMode
from fixer.proving import Judge
from fixer.report import Format, diff, render
from fixer.report.model import Report, relative
from fixer.rule import Applicability
from fixer.verify import Verifier


def check(options: Options) -> int:
    """Report findings; only a `--verify` on the command line has their fixes verified."""
    asked = options.verify not in (None, VerifyMode.OFF)
    work, plan = _surveyed(options, verify=asked)
    report = _report(work, plan.remaining, plan.errors)
    _publish(options, work, report)
    conclude(options, plan.errors, sentences.on_check(report, _scope(work, plan)))
    return 2 if plan.errors else int(bool(plan.remaining))


def verify(options: Options) -> int:
    """Report verdicts."""
    if options.verify is VerifyMode.OFF:
        raise UserError("`fixer verify` has nothing to do with --verify=off; use `fixer check`")
    work, plan = _surveyed(options, verify=True)
    judged = [outcome for outcome in plan.remaining if _rewrites(outcome)]
    _publish(options, work, _report(work, judged, plan.errors))
    conclude(options, plan.errors, sentences.on_verify(judged, _scope(work, plan)))
    proven = all(outcome.verification and outcome.verification.verdict.proven for outcome in judged)
    return 2 if plan.errors else int(not proven)


def apply(options: ApplyOptions) -> int:
    """Write what may be written; report that and what is left."""
    with progress(options.quiet) as show:
        work = gather(options, show, writing=not options.dry_run)
        asked = work.policy.verify is not VerifyMode.OFF
        with _judge(options, work, show, asked=asked) as judge:
            alone = [work.stdin] if work.stdin else []
            plan = applying.plan(
                work.engine,
                work.sources,
                work.targets,
                work.policy,
                judge,
                unsaved=alone,
                writable=alone or None,
            )
        if not (work.stdin or options.dry_run):
            show("writing files")
            plan = applying.execute(plan)
    plan = replace(plan, errors=(*work.errors, *plan.errors))
    _tell(options, work, plan)
    sentence = sentences.on_apply(plan, _scope(work, plan), dry_run=options.dry_run)
    conclude(options, plan.errors, sentence)
    return 2 if plan.errors else int(bool(plan.remaining))


def _tell(options: ApplyOptions, work: Work, plan: Plan) -> None:
    """Print what was done: the report, or a diff or the fixed text with the report beside it."""
    written = [plan.retrace(outcome) for outcome in plan.written]
    remaining = list(plan.remaining)
    if options.dry_run:
        remaining = [plan.retrace(outcome) for outcome in remaining]
    outcomes = sorted([*written, *remaining], key=lambda item: (item.finding.path, item.finding.start))
    report = _report(work, outcomes, plan.errors, dry_run=options.dry_run)
    for_people = Format(work.config.output_format).for_people
    if options.dry_run and for_people:
        _aside(options, work, report)
        put(options, diff.render(plan, Path.cwd()))
    elif work.stdin and not options.dry_run:
        _aside(options, work, report)
        put(options, plan.finals[work.stdin].data)
    else:
        _publish(options, work, report)


def _surveyed(options: Options, *, verify: bool) -> tuple[Work, Plan]:
    with progress(options.quiet) as show:
        work = gather(options, show)
        with _judge(options, work, show, asked=verify) as judge:
            show("looking for findings")
            alone = [work.stdin] if work.stdin else []
            plan = applying.survey(work.engine, work.sources, work.targets, work.policy, judge, unsaved=alone)
    return work, replace(plan, errors=(*work.errors, *plan.errors))


@contextmanager
def _judge(options: Options, work: Work, show: Progress, *, asked: bool) -> Iterator[Judge | None]:
    if asked:
        require_interpreter(options, work)
        with Verifier(verification(options, work), work.root) as verifier:
            yield Watched(verifier, show)
    else:
        yield None


def _report(
    work: Work, outcomes: Sequence[Outcome], errors: Sequence[FileError], *, dry_run: bool = False
) -> Report:
    for code, fixes in work.policy.overlooked(outcome.finding for outcome in outcomes).items():
        complain(f"no fix of {code} says {work.policy.prefer[code]!r}, its `prefer`; there are: {fixes}")
    return Report(outcomes, errors, Path.cwd(), work.rules, work.config.unsafe_fixes, dry_run)


def _publish(options: Options, work: Work, report: Report) -> None:
    """Put the report where it was asked for."""
    style = Format(work.config.output_format)
    if options.output_file:
        put(options, render(report, style))
    else:
        emit(render(report, style, colour=colourful(sys.stdout), width=width_of(sys.stdout)))


def _aside(options: Options, work: Work, report: Report) -> None:
    """Show the report to people beside another result."""
    if not options.quiet:
        style = Format(work.config.output_format)
        style = style if style.for_people else Format.FULL
        for line in render(
            report, style, colour=colourful(sys.stderr), width=width_of(sys.stderr)
        ).splitlines():
            say(line)


def _scope(work: Work, plan: Plan) -> sentences.Scope:
    failed = {error.path for error in plan.errors}.intersection(work.targets)
    return sentences.Scope(len(work.engine.rules), plan.files - len(failed), len(plan.errors))


def put(options: Options, data: str | bytes) -> None:
    """Write the result to the file that was named, else to standard output."""
    if not options.output_file:
        emit(data)
        return
    try:
        options.output_file.write_bytes(
            data.encode(errors="backslashreplace") if isinstance(data, str) else data
        )
    except OSError as error:
        raise UserError(f"{options.output_file}: cannot be written ({error.strerror})") from None


def conclude(options: Options, errors: Sequence[FileError], sentence: str) -> None:
    """Say what went wrong, always, and what it comes to."""
    for error in errors:
        row = f":{error.row}" if error.row else ""
        complain(f"{relative(error.path, Path.cwd())}{row}: {error.message}")
    if not options.quiet:
        say(sentence)


def _rewrites(outcome: Outcome) -> bool:
    return outcome.fix is not None and outcome.fix.applicability is not Applicability.DISPLAY

"""A worker whose only stage calls a function of the target: the judge's stand-in in the cage's tests."""

import sys
import time
from typing import Any

from fixer.verify import worker
from fixer.verify.worker.__main__ import load_package


def call(job: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Import the subject's file and call its function; its result must be JSON-ready."""
    from _fixer_worker import overlay  # type: ignore[import-not-found]

    result = getattr(overlay.load(payload["path"]), payload["function"])()
    return {"result": result, "scratch": job["scratch"]}


def conduct(job: dict[str, Any], run_stage: Any) -> dict[str, Any]:
    """Call the first subject on both sides and hand back what happened as the evidence."""
    if job["contract"]["parameter"] == "hang":
        time.sleep(60)
    if job["contract"]["parameter"] == "raise":
        raise RuntimeError("a judge's defect")
    subject = job["contract"]["subjects"][0]
    together = job["contract"]["parameter"] == "together"
    sides = {side: run_stage("call", side, subject, together=together) for side in ("before", "after")}
    return {"verdict": "unverified", "reason": "called", "evidence": sides}


def main(**options: bool) -> None:
    start = load_package(worker.__path__[0])
    start.main(sys.argv[1:], lambda: (conduct, {"call": call}), **options)


if __name__ == "__main__":
    main()

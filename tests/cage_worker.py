"""A worker whose only stage calls a function of the target: what the cage tests talk to instead of the judge."""

import os
import sys
from typing import Any

from fixer.verify import worker
from fixer.verify.worker.__main__ import load_package


def call(job: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Import the subject's file and call its function; its result must be JSON-ready."""
    from _fixer_worker import overlay  # type: ignore[import-not-found]

    module = overlay.load(payload["path"])
    return {"result": getattr(module, payload["function"])(), "scratch": job["scratch"]}


def conduct(job: dict[str, Any], run_stage: Any) -> dict[str, Any]:
    """Call the first subject on both sides and hand back what happened as the evidence."""
    subject = job["contract"]["subjects"][0]
    sides = {side: run_stage("call", side, subject) for side in ("before", "after")}
    return {"verdict": "unverified", "reason": "called", "evidence": {**sides, "request": job}}


if __name__ == "__main__":
    zygote = load_package(os.path.dirname(os.path.abspath(worker.__file__)))
    zygote.main(sys.argv[1], lambda: (conduct, {"call": call}))

"""Verification's own worker, which beside each verdict tells what the models alone would have cost.

Every job ends with one more process: the model of its recipe, called, differentiated and stepped in a plain
loop, as often as the processes before it did that in order to reach the verdict.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != FOLDER]

Message = dict[str, Any]
_WARMING = 3


def counted(job: Message, payload: Message) -> Message:
    """Record a side, and count what was asked of the model on the way."""
    import torch
    from _fixer_worker import bench, stages, synthesis  # type: ignore[import-not-found]
    from torch.optim.optimizer import register_optimizer_step_post_hook

    counts: Counter[str] = Counter()

    def counting(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    synthesis.call = counting("forward", synthesis.call)
    bench.Run.backward = counting("backward", bench.Run.backward)
    torch.autograd.grad = counting("backward", torch.autograd.grad)
    register_optimizer_step_post_hook(counting("step", lambda *_: None))
    facts: Message = stages.record(job, payload)
    return {**facts, "counts": dict(counts)}


def floor(job: Message, payload: Message) -> Message:
    """Do the same work in a plain loop; the answer is in processor seconds."""
    import torch
    from _fixer_worker import bench, hints, synthesis

    subject, counts = payload["subject"], payload["counts"]
    cls = hints.resolve(subject["path"], subject["class_name"])
    model = bench.Bench(cls, synthesis.Recipe.from_json(payload["recipe"]), job["seed"])
    module, inputs = model.build(), model.inputs(0)
    optimizer = torch.optim.Adam(module.parameters()) if list(module.parameters()) else None

    def work(forward: int, backward: int, step: int) -> None:
        for index in range(forward):
            loss = model.run(module, inputs, 0).loss
            if index < backward and loss is not None and loss.requires_grad:
                loss.backward()
            if index < step and optimizer is not None:
                optimizer.step()

    work(_WARMING, _WARMING, _WARMING)
    started = time.process_time()
    work(counts.get("forward", 0), counts.get("backward", 0), counts.get("step", 0))
    return {"seconds": time.process_time() - started}


def conduct(job: Message, run_stage: Any) -> Message:
    """Reach the verdict as always, then measure the floor."""
    from _fixer_worker import judge

    counts: Counter[str] = Counter()
    last: Message = {}

    def counting(stage: str, side: str, payload: Message, *, together: bool) -> Message:
        answer: Message = run_stage(stage, side, payload, together=together)
        if stage == "record" and answer["ok"]:
            counts.update(answer["value"].pop("counts"))
            last.update(subject=payload["subject"], recipe=answer["value"]["recipe"])
        return answer

    verdict: Message = judge.conduct(job, counting)
    seconds = 0.0
    if counts["forward"]:
        answer = run_stage("floor", "after", {**last, "counts": dict(counts)})
        if not answer["ok"]:
            raise RuntimeError(f"the models alone: {answer}")
        seconds = answer["value"]["seconds"]
    verdict["evidence"]["floor"] = {"seconds": seconds, **counts}
    return verdict


def main() -> None:
    """Serve as the worker that the verifier starts."""
    from fixer.verify import worker
    from fixer.verify.worker.__main__ import load_package

    start = load_package(worker.__path__[0])

    def machinery() -> Any:
        from _fixer_worker import stages, warming

        warming.warm_up()
        return conduct, {**stages.STAGES, "record": counted, "floor": floor}

    start.main(sys.argv[1:], machinery)


if __name__ == "__main__":
    main()

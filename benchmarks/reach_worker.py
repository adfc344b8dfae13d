"""A worker that builds classes and calls them, and does nothing else: the judge's stand-in for `reach.py`.

It runs in the processes, under the limits and with the hints that verification uses.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != FOLDER]

Message = dict[str, Any]

BUDGET = 2.0
"""Seconds that the search for arguments may take for each class."""
_DONE = "done.jsonl"
_AT_A_TIME = 40
"""How many classes share a process: importing a package takes longer than building one of its classes."""


def conduct(job: Message, run_stage: Any) -> Message:
    """List the classes of the subjects' files, then try them; one that kills its process is lost alone."""
    files = [subject["path"] for subject in job["contract"]["subjects"]]
    listed = _value(run_stage("list", "after", {"files": files}))
    waiting, results = listed["classes"], []
    while waiting:
        Path(_DONE).write_text("", "utf-8")
        payload = {"classes": waiting[:_AT_A_TIME], "stand_ins": listed["stand_ins"]}
        answer = run_stage("try", "after", payload)
        done = [json.loads(line) for line in Path(_DONE).read_text("utf-8").splitlines()]
        if not answer["ok"] and len(done) < len(payload["classes"]):  # it may also end badly with all done
            path, name = waiting[len(done)]
            done.append({**_nothing(path, name), "cause": answer.get("died") or str(answer.get("error"))})
        results += done
        waiting = waiting[len(done) :]
    evidence = {"results": results, "stand_ins": listed["stand_ins"], "unloaded": listed["unloaded"]}
    return {"verdict": "unverified", "reason": "tried", "evidence": evidence}


def _value(answer: Message) -> Message:
    if not answer["ok"]:
        raise RuntimeError(str(answer.get("died") or answer.get("error")))
    value: Message = answer["value"]
    return value


def _nothing(path: str, name: str) -> Message:
    return {
        "file": path,
        "class": name,
        "abstract": False,
        "built": False,
        "parameters": None,
        "forward": False,
        "gradients": False,
        "seconds": None,
        "recipe": None,
        "cause": None,
    }


def list_classes(_job: Message, payload: Message) -> Message:
    """Import every file, with stand-ins for the packages that are not there, and name its classes."""
    from torch import nn

    finder = _stand_ins([])
    classes, unloaded = [], {}
    for path in payload["files"]:
        try:
            module = _load(path, finder)
        except BaseException as error:
            unloaded[path] = f"{type(error).__name__}: {error}"[:200]
            continue
        classes += [
            [path, name]
            for name, item in vars(module).items()
            if inspect.isclass(item)
            and issubclass(item, nn.Module)
            and (item.__module__, item.__qualname__) == (module.__name__, name)
        ]
    return {"classes": classes, "stand_ins": finder.names, "unloaded": unloaded}


def _stand_ins(names: list[str]) -> Any:
    sys.path.append(str(FOLDER))
    stand_ins = importlib.import_module("stand_ins")
    sys.path.remove(str(FOLDER))
    stand_ins.declare_operators()
    finder = stand_ins.StandIns(list(names))
    sys.meta_path.append(finder)
    return finder


def _load(path: str, finder: Any) -> Any:
    """Import a file; each package that turns out to be missing gets a stand-in, and all is tried again."""
    from _fixer_worker import overlay  # type: ignore[import-not-found]

    while True:
        try:
            return overlay.load(path)
        except ImportError as error:
            name = sys.modules["stand_ins"].missing(error)
            if name is None or name in finder.names:
                raise
            finder.names.append(name)


def try_classes(job: Message, payload: Message) -> Message:
    """Build, call and differentiate each class; a line is written for each as soon as it is through."""
    finder = _stand_ins(payload["stand_ins"])
    with Path(_DONE).open("a", encoding="utf-8") as done:
        for path, name in payload["classes"]:
            _load(path, finder)
            result = _nothing(path, name)
            started = time.process_time()
            for key, value in _steps(job, path, name):
                result[key] = value
            result["seconds"] = time.process_time() - started  # of work: a busy machine changes nothing
            if result["built"] and result["parameters"] is None:
                result["parameters"] = _trainable(job, path, name)
            done.write(json.dumps(result) + "\n")
            done.flush()
    return {}


def _steps(job: Message, path: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield what has been reached with one class, step by step, and what stopped it."""
    import torch
    from _fixer_worker import hints, synthesis

    cls = hints.resolve(path, name)
    try:
        found = synthesis.synthesize(cls, hints.hints_for(job, "after", path, name), BUDGET)
        recipe = synthesis.Recipe.from_json(json.loads(json.dumps(found.to_json())))
        yield "recipe", recipe.describe()
        # A subclass shows what the code of an abstract class does, but there is no such model.
        yield "abstract", bool(recipe.owner and recipe.owner.get("abstract"))
        module = synthesis.build(cls, recipe)
        yield "built", True
        trainable = _parameters(module)
        yield "parameters", len(trainable)
        args, kwargs = synthesis.make_inputs(recipe, 3)
        outputs = [tensor for _, tensor in synthesis.flatten_tensors(synthesis.call(module, args, kwargs))]
        yield "forward", bool(outputs)
        floating = [tensor for tensor in outputs if tensor.requires_grad]
        if floating and trainable:
            torch.stack([tensor.abs().sum().real for tensor in floating]).sum().backward()
            yield "gradients", any(item.grad is not None for item in trainable)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        abstract = inspect.isabstract(cls) or " is abstract" in text or " has no forward" in text
        yield "abstract", abstract
        if "could not call" in text:
            yield "built", True
        yield "cause", text[:300]


def _trainable(job: Message, path: str, name: str) -> int | None:
    """How many parameters a class has that can be built and not called; None if it is not known."""
    from _fixer_worker import hints, synthesis

    cls = hints.resolve(path, name)
    try:
        found = synthesis.arguments_for(cls, hints.hints_for(job, "after", path, name), BUDGET)
        return len(_parameters(synthesis.build(cls, found)))
    except Exception:  # the search for a way to call it had more time, or built it inside of another
        return None


def _parameters(module: Any) -> list[Any]:
    return [item for item in module.parameters() if item.requires_grad]


def main() -> None:
    """Serve as the worker that the verifier starts."""
    from fixer.verify import worker
    from fixer.verify.worker.__main__ import load_package

    start = load_package(worker.__path__[0])
    start.main(sys.argv[1:], lambda: (conduct, {"list": list_classes, "try": try_classes}))


if __name__ == "__main__":
    main()

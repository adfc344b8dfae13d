"""The stages of a job: each runs in a process of its own, on one side of the fix, and answers plain data.

Stages observe; they decide nothing. What they see goes to files in the scratch folder (the current one).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
from torch import nn

from . import overlay, synthesis
from .bench import Bench
from .models import CONSTRAINT, ModelRecord, author_constraint, resolve
from .observe import Recorder, error_facts, parameters, restore
from .scripts import Loop, note_value
from .tracing import Tracer
from .watch import ParameterWatch, rejected_value

Message = Dict[str, Any]


def record(job: Message, payload: Message) -> Message:
    """Run one subject on one side and write down what it does.

    Payload: ``side``, ``subject``, ``recipe`` (None: find one), ``settings``, ``parts``, ``wirings`` (indices),
    ``file``. Answers the facts that the judge needs beside the record itself.
    """
    side = payload["side"]
    recorder = Recorder()
    facts: Message = {
        "errors": [],
        "recipe": payload["recipe"],
        "settings": payload["settings"],
        "values": [],
    }
    watch = _watch(job, side)
    changed = job["contract"]["changed_lines"][side]
    with Tracer(changed, watch) as tracer:
        if payload["subject"]["class_name"] and not payload["subject"]["function"]:
            _record_class(job, payload, recorder, facts)
        else:
            _record_call(job, payload, recorder, facts)
    facts["executed"] = tracer.executed()
    if watch is not None:
        facts["watched"] = [{k: v for k, v in seen.items() if k != "value"} for seen in watch.seen]
        facts["values"] += [seen["value"] for seen in watch.seen]
    torch.save({"entries": recorder.entries, "values": facts.pop("values")}, payload["file"])
    return facts


def constraint(job: Message, payload: Message) -> Message:
    """Execute the author's own statements on the raw parameters that another side saw after each update."""
    module = _bench(job, payload, payload["recipe"]).build()
    author = author_constraint(job)
    recorder = Recorder()
    raw = torch.load(payload["constraint_file"])["raw"]
    for entry in raw:
        instance = module.get_submodule(entry["instance"])
        restore(instance, entry["state"])
        author.apply(instance)
        for name, parameter in parameters(instance):
            recorder.note(CONSTRAINT, f"{entry['where']} {name}", parameter)
    torch.save({"entries": recorder.entries, "values": []}, payload["file"])
    return {"updates": len(raw)}


STAGES: Dict[str, Callable[[Message, Message], Message]] = {"record": record, "constraint": constraint}


def _hints(job: Message, side: str, path: str, name: str) -> Message:
    return {
        "path": path,
        "name": name,
        "class_name": name,
        "roots": job["roots"],
        "harness": job["harness"],
        "overlay": job["overlay"][side],
    }


def _bench(job: Message, payload: Message, recipe: Optional[Message]) -> Bench:
    subject = payload["subject"]
    cls = resolve(subject["path"], subject["class_name"])
    if recipe is None:
        hints = _hints(job, payload["side"], subject["path"], subject["class_name"])
        found = synthesis.synthesize(cls, hints, job["budget"] / 2)
    else:
        found = synthesis.Recipe.from_json(recipe)
    projection = job["contract"]["projection"]
    inexact = projection is not None and not projection["exact"]
    return Bench(cls, found, job["seed"], torch.float64 if inexact else None)


def _record_class(job: Message, payload: Message, recorder: Recorder, facts: Message) -> None:
    with _phase(facts, "import and synthesis"):
        bench = _bench(job, payload, payload["recipe"])
        facts["recipe"] = bench.recipe.to_json()
        facts["built"] = bench.recipe.describe()
    if facts["errors"]:
        return
    ran = ModelRecord(job, payload, bench, recorder, facts)
    ran.phases(payload["parts"])
    if ran.raw:
        torch.save({"raw": ran.raw, "entries": ran.constraint.entries}, payload["constraint_file"])


def _record_call(job: Message, payload: Message, recorder: Recorder, facts: Message) -> None:
    """Run a function, a method or a whole script."""
    subject = payload["subject"]
    loop = Loop(recorder, job["steps"], keep_parameters=job["contract"]["projection"] is None)
    seconds = max(1.0, job["budget"] / 3)
    result: List[Any] = []
    if subject["function"] is None:
        facts["built"] = "run as __main__"
        with _phase(facts, "run", recorder), loop.watching(seconds):
            overlay.run_as_main(subject["path"])
    else:
        with _phase(facts, "import and synthesis"):
            function, recipe = _callable(job, payload)
            facts["built"] = recipe.describe()
        if facts["errors"]:
            return
        with _phase(facts, "call", recorder), loop.watching(seconds):
            args, kwargs = synthesis.make_inputs(recipe, job["seed"])
            result.append(function(*args, **kwargs))
            note_value(recorder, "returned value", result[0])
            note_value(recorder, "arguments afterwards", [list(args), dict(kwargs)])
    facts["loop"] = loop.facts()


def _callable(job: Message, payload: Message) -> Tuple[Any, Any]:
    """The function of a subject, bound to an instance where it is a method, and arguments for it."""
    subject, side = payload["subject"], payload["side"]
    known = payload["recipe"] or {}
    owner = subject["class_name"] or ".".join(subject["function"].split(".")[:-1])
    name = subject["function"].split(".")[-1]
    recipes: Message = {}
    if owner:
        cls = resolve(subject["path"], owner)
        hints = _hints(job, side, subject["path"], owner)
        find = synthesis.synthesize if issubclass(cls, nn.Module) else synthesis.arguments_for
        made = synthesis.Recipe.from_json(known["owner"]) if known else find(cls, hints, job["budget"] / 4)
        recipes["owner"] = made.to_json()
        function = getattr(synthesis.build(cls, made), name)
    else:
        function = resolve(subject["path"], name)
    hints = _hints(job, side, subject["path"], subject["function"])
    if known:
        recipe = synthesis.Recipe.from_json(known["call"])
    else:
        recipe = synthesis.arguments_for(function, hints, job["budget"] / 4)
    recipes["call"] = recipe.to_json()
    payload["recipe"] = recipes
    return function, recipe


@contextmanager
def _phase(facts: Message, name: str, recorder: Optional[Recorder] = None) -> Iterator[None]:
    """Turn whatever the target raises into facts."""
    try:
        yield
    except (Exception, SystemExit) as error:
        facts["errors"].append({"phase": name, **error_facts(error)})
        facts["values"].append(rejected_value(error))
        if recorder is not None:
            recorder.note_error(name, error)


def _watch(job: Message, side: str) -> Optional[ParameterWatch]:
    contract = job["contract"]
    if contract["parameter"] is None or contract["symptom_lines"] is None:
        return None
    lines = contract["symptom_lines"]
    return ParameterWatch(contract["parameter"], lines["path"], lines[side])

"""The stages of a job: each runs in a process of the cage, on one side of the fix, and answers plain data.

Stages observe; they decide nothing. What they see goes to files in the scratch folder, the current one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import clock, hosting, overlay, reached, records, synthesis
from .bench import Bench
from .checkpoint import load_checkpoint
from .constraint import CONSTRAINT, Constrained, author_constraint, hold
from .frames import Message
from .hints import hints_for, resolve, with_models
from .models import ModelRecord
from .observe import Recorder, error_facts, parameters, reseed, restore, without_tensors
from .reference import Reference
from .scripts import Loop, cut_short, note_globals, note_gradients, note_value
from .surroundings import quick_and_harmless, stand_in_for_missing
from .tracing import Tracer
from .training import MOST_STEPS
from .variants import binding_variant
from .watch import ParameterWatch, VersionWatch, rejected_value

if TYPE_CHECKING:
    from .tracing import Reach

_NEARLY_ALL = 0.9
"""The part of its time after which a search has rather been ended than has come to an end."""


def record(job: Message, payload: Message) -> Message:
    """Run one subject on one side and write down what it does.

    The payload names the side, the subject, the recipe (None: find one), the settings that both sides share,
    the parts to run, the wirings to replay, the lines that are `wanted`, the file to write and whether it is
    a brief one. Answers what the judge needs beside it.
    """
    stand_in_for_missing()
    sys.argv[:] = [payload["subject"]["path"]]
    side = payload["side"]
    _let_constructors_fail(job, payload, side)
    recorder = Recorder(_is_exact(job, payload), payload["brief"])
    facts: Message = {
        "built": None,
        "errors": [],
        "left_out": {},
        "recipe": payload["recipe"],
        "rejected": [],
        "settings": payload["settings"] or {},
    }
    watch, versions = _watch(job, side), _versions(job, side)
    watchers = [w for w in (watch, versions) if w is not None]
    changed, symptom = job["contract"]["changed_lines"][side], _symptom(job, side)
    tracer = Tracer(changed, watchers, payload["wanted"], symptom)
    is_model = payload["subject"]["class_name"] and not payload["subject"]["function"]
    prepare, run = (_model, _record_model) if is_model else (_call, _record_call)
    with ExitStack() as stack:
        supplied = [] if is_model else stack.enter_context(quick_and_harmless(job["scratch"]))
        meant = payload["reference"] if payload["reference"] == "copy" else None
        with tracer.waiting(), _reference(meant):
            prepared = _prepared(job, payload, facts, prepare)
        facts["raised"] = tracer.raised_in(job["contract"]["changed_lines"][side])
        tracer.forget()  # what ran while arguments were tried out proves nothing
        if prepared is not None:
            with tracer:
                run(job, payload, prepared, recorder, facts, tracer)
    if supplied and facts["built"]:
        facts["built"] += f"; with a value for {', '.join(dict.fromkeys(supplied))}"
    facts["executed"] = tracer.executed()
    for error in facts["errors"]:
        error.setdefault("cause", next((e for e in tracer.raised if _tells(error, e)), None))
    seen = watch.seen if watch is not None else []
    facts["watched"] = [{name: value for name, value in one.items() if name != "value"} for one in seen]
    facts["bumped"] = sorted(versions.bumped) if versions is not None else []
    saved = {
        "entries": recorder.entries,
        "rejected": facts.pop("rejected"),
        "watched": [one["value"] for one in seen],
    }
    records.write(payload["file"], saved)
    return facts


def constraint(job: Message, payload: Message) -> Message:
    """Execute the author's own statements on the raw parameters that the fixed side saw after each update."""
    stand_in_for_missing()
    _let_constructors_fail(job, payload, "before")
    bench = _bench(job, payload, payload["recipe"])
    raw = records.read(payload["updates"])["raw"]
    author = author_constraint(job["contract"]["projection"])
    recorder = Recorder(bench.dtype is None, payload["brief"])
    hold(bench.build(), author, raw, recorder)
    if job["contract"]["symptom"] == "gradient":  # else the two sides' outputs have been compared
        constrained = Constrained(job["contract"]["projection"])
        checkpoint = records.read(payload["checkpoint"])["state"]
        disturbed = bench.build_disturbed(constrained.cls, payload["disturbance"])
        fresh = {"after construction": disturbed, "after loading": bench.build()}
        load_checkpoint(fresh["after loading"], checkpoint)
        for what in payload["rewritten"]:  # however it got there
            fresh[what] = bench.build()
            restore(fresh[what], checkpoint)
        for what, module in fresh.items():
            for _, instance in constrained.instances(module):
                author.apply(instance)
            recorder.note_all(CONSTRAINT, what, parameters(module))
    records.write(payload["file"], recorder.entries)
    return {}


STAGES: dict[str, Callable[[Message, Message], Message]] = {"record": record, "constraint": constraint}


def _prepared(job: Message, payload: Message, facts: Message, prepare: Callable[..., Any]) -> Any:
    """What is to be run, imported and with its arguments found; None if that failed."""
    found: list[Any] = []
    with _phase(facts, "import and synthesis"):
        found.append(prepare(job, payload, facts))
    return found[0] if found else None


def _model(job: Message, payload: Message, facts: Message) -> Bench:
    bench = _bench(job, payload, payload["recipe"])
    projection = job["contract"]["projection"]
    if payload["recipe"] is None and projection is not None:
        bench = binding_variant(bench, payload["subject"]["path"], projection)
    facts["recipe"], facts["built"] = bench.recipe.to_json(), bench.recipe.describe()
    if payload["hosted"]:
        facts["left_out"] = _left_out(bench.build(), payload["subject"]["path"])
    return bench


def _call(job: Message, payload: Message, facts: Message) -> Callable[[], Any]:
    """A function that calls the subject and answers with what it returned and what it was given."""
    path = payload["subject"]["path"]
    if payload["subject"]["function"] is None:
        facts["built"] = "run as __main__"

        def run() -> tuple[Any, ...]:
            with synthesis.on_cpu("cuda" in overlay.source_text(path) and job["device"] == "cpu"):
                overlay.run_as_main(path)
            return ()

        return run
    function, recipe = _callable(job, payload)
    facts["recipe"], facts["built"] = payload["recipe"], recipe.describe()
    args, kwargs = synthesis.make_inputs(recipe, job["seed"])
    owner = getattr(function, "__self__", None)
    facts["left_out"] = _left_out(owner, path)

    def call() -> tuple[Any, ...]:
        returned = function(*args, **kwargs)
        held = owner if isinstance(owner, nn.Module) else dict(getattr(owner, "__dict__", {}))
        return returned, [list(args), dict(kwargs)], held

    return call


def _record_model(
    job: Message, payload: Message, bench: Bench, recorder: Recorder, facts: Message, tracer: Tracer
) -> None:
    ran = ModelRecord(job, payload, bench, recorder, facts, tracer.reached_all)
    with _reference(payload["reference"]) as bench.reference:
        ran.phases()
    if ran.updates is not None:
        facts["updates"] = f"updates-{payload['file']}"
        saved = {"raw": ran.updates.raw.entries, "settled": ran.updates.settled.entries}
        records.write(facts["updates"], saved)


def _record_call(
    job: Message,
    payload: Message,
    call: Callable[[], Any],
    recorder: Recorder,
    facts: Message,
    tracer: Tracer,
) -> None:
    """Run a function, a method or a whole script."""
    keeps = job["contract"]["projection"] is None
    taken = facts["settings"].get("steps")

    def goes_on(steps: int) -> bool:
        more = taken is None and steps < MOST_STEPS and not tracer.reached_all()
        if not more:
            facts["settings"]["steps"] = steps  # the other side takes as many
        return more

    loop = Loop(recorder, taken or job["steps"], keeps, goes_on)
    reseed(job["seed"])
    with _phase(facts, "call", recorder), _reference(payload["reference"]):
        with loop.watching(max(1.0, job["budget"] / 3)):
            for name, value in zip(("returned value", "arguments afterwards", "instance afterwards"), call()):
                note_value(recorder, name, value)
                if name == "returned value":
                    recorder.note(name, "beside tensors", without_tensors(value))
                    returned = value
                elif job["contract"]["promise"] == "keeps":
                    note_gradients(recorder, name, returned, value)
        if payload["subject"]["function"] is None and keeps:
            note_globals(recorder, vars(sys.modules["__main__"]))
    facts["loop"] = loop.facts()
    if facts["loop"].get("timed_out"):
        reached.hurry()


def _let_constructors_fail(job: Message, payload: Message, side: str) -> None:
    """Where a subject is hosted, its constructor goes on past what fails, but for the fix's own lines."""
    if not payload["hosted"]:
        return
    subject, contract = payload["subject"], job["contract"]
    ranges = list(contract["changed_lines"][side].get(subject["path"], ()))
    symptom = contract["symptom_lines"]
    if symptom is not None and symptom["path"] == subject["path"] and symptom[side] is not None:
        ranges.append(symptom[side])
    kept = {line for first, last in ranges for line in range(first, last + 1)}
    overlay.host(subject["path"], subject["class_name"] or subject["function"].rpartition(".")[0], kept)


def _left_out(instance: Any, path: str) -> dict[str, str]:
    """The statements that a host was built without, by their first line, and what each raised."""
    lines = overlay.source_text(path).splitlines()
    found = getattr(instance, "__dict__", {}).get(hosting.LEFT_OUT, {})
    return {lines[line - 1].strip(): why for line, why in found.items()}


def _bench(job: Message, payload: Message, recipe: Message | None) -> Bench:
    subject = payload["subject"]
    cls = resolve(subject["path"], subject["class_name"])
    if recipe is None:
        hints = hints_for(job, payload["side"], subject["path"], subject["class_name"])
        found = _found(synthesis.synthesize, cls, hints, job["budget"] / 4)
    else:
        found = synthesis.Recipe.from_json(recipe)
    if job["device"] != "cpu":
        found = replace(found, on_cpu=False)
    return Bench(cls, found, job["seed"], None if _is_exact(job, payload) else torch.float64, job["device"])


def _is_exact(job: Message, payload: Message) -> bool:
    """Whether the two sides have to agree bit for bit; else they are run in float64."""
    if payload.get("wide"):
        return False
    projection = job["contract"]["projection"]
    return projection is None or bool(projection["exact"])


def _callable(job: Message, payload: Message) -> tuple[Any, Any]:
    """The function of a subject, bound to an instance where it is a method, and arguments for it.

    The recipes that were found go into the payload, for the other side.
    """
    subject, side = payload["subject"], payload["side"]
    known = payload["recipe"] or {}
    *outer, name = subject["function"].split(".")
    owner = subject["class_name"] or ".".join(outer)
    recipes: Message = {}
    if owner:
        cls = resolve(subject["path"], owner)
        hints = hints_for(job, side, subject["path"], owner)
        find = synthesis.synthesize if issubclass(cls, nn.Module) else synthesis.arguments_for
        if known:
            made = synthesis.Recipe.from_json(known["owner"])
        else:
            made = _found(find, cls, hints, job["budget"] / 4)
        recipes["owner"] = made.to_json()
        function = getattr(synthesis.build(cls, made), name)
    else:
        function = resolve(subject["path"], name)
    if known:
        recipe = synthesis.Recipe.from_json(known["call"])
    else:
        hints = hints_for(job, side, subject["path"], subject["function"])
        tried = with_models(cut_short(function), subject["path"], name)
        recipe = _found(synthesis.arguments_for, tried, hints, job["budget"] / 4)
    payload["recipe"] = {**recipes, "call": recipe.to_json()}
    return function, recipe


def _found(find: Callable[..., Any], target: Any, hints: Message, seconds: float) -> Any:
    """What a search finds; one that time ended might find something else in another run."""
    started = clock.now()
    try:
        return find(target, hints, seconds)
    finally:
        if clock.now() - started > _NEARLY_ALL * seconds:
            reached.hurry()


@contextmanager
def _reference(kind: str | None) -> Iterator[Reference | None]:
    """Run what is inside as its author meant it, if that is asked for."""
    if kind is None:
        yield None
    elif kind == "kept":  # what autograd has saved stays what it was
        with torch.autograd.graph.allow_mutation_on_saved_tensors():
            yield None
    else:
        with Reference(kind) as reference:
            yield reference


@contextmanager
def _phase(facts: Message, name: str, recorder: Recorder | None = None) -> Iterator[None]:
    """Turn whatever the target raises into facts."""
    try:
        yield
    except (Exception, SystemExit) as error:
        facts["errors"].append({"phase": name, **error_facts(error)})
        facts["rejected"].append(rejected_value(error))
        if recorder is not None:
            recorder.note_error(name, error)


def _tells(error: Message, raised: Message) -> bool:
    """Whether an error passes on the words of one that the target's own lines raised."""
    words = f"{raised['type']}: {raised['message'][:80]}"
    return words in error["message"]


def _symptom(job: Message, side: str) -> dict[str, list[Reach]]:
    """The lines of the symptom: the judge wants to know whether they ran."""
    lines = job["contract"]["symptom_lines"]
    return {} if lines is None or lines[side] is None else {lines["path"]: [[tuple(lines[side])]]}


def _versions(job: Message, side: str) -> VersionWatch | None:
    contract = job["contract"]
    lines = contract["symptom_lines"]
    if contract["symptom"] != "gradient" or lines is None or lines[side] is None:
        return None
    return VersionWatch(lines["path"], lines[side])


def _watch(job: Message, side: str) -> ParameterWatch | None:
    contract = job["contract"]
    lines = contract["symptom_lines"]
    if contract["parameter"] is None or lines is None or lines[side] is None:
        return None
    return ParameterWatch(contract["parameter"], lines["path"], lines[side])

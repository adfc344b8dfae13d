"""What a user of a package has installed: the dependencies it declares, theirs in turn, and nothing else.

Each distribution is installed once, by itself, into a cache folder; an environment is a folder of hard links
to those files. torch is the interpreter's own, and what takes gigabytes is never downloaded. What cannot be
had or cannot be imported is left out, and said to be. The versions that were chosen are kept in
`environments.json` beside this file, so that the next run takes the same ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packages import CACHE
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

CHOSEN = Path(__file__).with_name("environments.json")
TIMEOUT = 600
MOST = 250
"""More distributions than any package needs: where to stop if the walk goes astray."""
_TOO_LARGE = re.compile(
    r"(triton|nvidia-.*|cuda-.*|cupy.*|tensorflow(-cpu|-gpu|-macos|-intel)?|keras|jax|jaxlib|mxnet.*|pyspark"
    r"|paddlepaddle.*|vllm|xformers|flash-attn|deepspeed)$"
)
_SUITABLE = ["--no-deps", "--quiet", "--no-compile", "--no-warn-conflicts", "--no-build-isolation"]


def environment(name: str, version: str, asked: Iterable[str] = ()) -> tuple[Path, dict[str, str]]:
    """The folder with what a package depends on, and why each dependency that is not there is missing.

    `asked`: modules that its classes look for, beside what has to be there; those that some extra of the
    package declares are installed too.
    """
    kept = json.loads(CHOSEN.read_text("utf-8")) if CHOSEN.exists() else {}
    key = f"{name}=={version}"
    folder = CACHE / "environments" / f"{name}-{version}"
    chosen = kept.get(key) or _choose(name, version)
    more = optional(name, version, asked) - chosen["versions"].keys() - chosen["left_out"].keys()
    if more:
        chosen = _choose(name, version, more | optional(name, version, chosen["versions"]))
    mark = folder / "chosen.json"
    if not mark.exists() or json.loads(mark.read_text("utf-8")) != chosen:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for library, number in chosen["versions"].items():
            shutil.copytree(_install(library, f"=={number}"), folder, copy_function=_link, dirs_exist_ok=True)
        for library, why in _broken(folder).items():
            chosen["left_out"][library] = why
        mark.write_text(json.dumps(chosen), "utf-8")
    if kept.get(key) != chosen:
        kept[key] = chosen
        CHOSEN.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", "utf-8")
    return folder, chosen["left_out"]


_DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless", "skimage": "scikit-image"}
_DISTRIBUTIONS |= {"sklearn": "scikit-learn", "yaml": "pyyaml"}


_NOT_THERE = re.compile(
    r"(?:No module named|name|cannot access local variable|local variable) '(\w+)(?:'|\.)"
)


def not_there(text: str) -> list[str]:
    """Return what an import that failed names, or the first use of it where nobody heeded the failure."""
    return _NOT_THERE.findall(text)


def optional(name: str, version: str, modules: Iterable[str]) -> set[str]:
    """Which of some modules come from distributions that a package declares to be optional."""
    own = metadata(_install(name, f"=={version}"))
    declared = {canonicalize_name(item.name) for item in requirements(own, _extras(own))}
    return declared & {canonicalize_name(_DISTRIBUTIONS.get(module, module)) for module in modules}


def _extras(of: Distribution) -> set[str]:
    return set(of.metadata.get_all("Provides-Extra") or ())


def _choose(name: str, version: str, more: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Walk through the dependencies, breadth first; of each the newest version that all allow.

    `more` names those of its optional ones that are wanted.
    """
    versions: dict[str, str] = {}
    left_out: dict[str, str] = {}
    wanted: dict[str, SpecifierSet] = {}
    given = {canonicalize_name(name)} | _given()
    own, also = metadata(_install(name, f"=={version}")), set(more)
    waiting = list(requirements(own, set()))
    quick = also - {canonicalize_name(item.name) for item in waiting}
    waiting += [item for item in requirements(own, _extras(own)) if canonicalize_name(item.name) in also]
    while waiting and len(wanted) < MOST:
        requirement = waiting.pop(0)
        library = canonicalize_name(requirement.name)
        if library in given:
            continue
        if _TOO_LARGE.match(library):
            left_out[library] = "too large"
            continue
        wanted[library] = wanted.get(library, SpecifierSet()) & requirement.specifier
        if library in left_out:
            continue
        if library in versions and wanted[library].contains(versions[library], prereleases=True):
            continue
        try:
            folder = _install(library, str(wanted[library]), builds=library not in quick)
        except (subprocess.SubprocessError, OSError) as error:
            if library not in versions:
                left_out[library] = _last_line(error)
            continue
        found = metadata(folder)
        versions[library] = found.version
        waiting += requirements(found, requirement.extras)
    return {"versions": dict(sorted(versions.items())), "left_out": left_out}


def requirements(of: Distribution, extras: set[str]) -> Iterator[Requirement]:
    """What a distribution needs here, with some of its extras."""
    for line in of.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def metadata(folder: Path) -> Distribution:
    """What an installed distribution says of itself."""
    found = next((path for kind in ("dist", "egg") for path in folder.glob(f"*.{kind}-info")), None)
    if found is None:
        raise FileNotFoundError("what was installed says nothing of itself")
    return PathDistribution(found)


def _given() -> set[str]:
    """torch, and what is imported with it: those are the interpreter's own."""
    found: set[str] = set()
    waiting = ["torch", "numpy"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            waiting += [item.name for item in requirements(distribution(name), set())]
    return found


def _install(name: str, specifier: str, builds: bool = True) -> Path:
    """The folder of one distribution without what it depends on, downloaded once; a wheel if there is one.

    Whether it `builds` one if there is none: that takes minutes where there is C++ in it.
    """
    exact = re.fullmatch(r"==([^*,]+)", specifier)
    folder = CACHE / "distributions"
    if exact and (folder / f"{name}-{exact[1]}").is_dir():
        return folder / f"{name}-{exact[1]}"
    partial = folder / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", *_SUITABLE, "--target", str(partial)]
    try:
        _run([*command, "--only-binary", ":all:", name + specifier])
    except subprocess.CalledProcessError:
        if not builds:
            raise
        _run([*command, name + specifier])
    final = folder / f"{name}-{metadata(partial).version}"
    if not final.is_dir():
        partial.rename(final)
    return final


def _run(command: Iterable[str]) -> str:
    return subprocess.run(
        [*command], check=True, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
    ).stdout


def _last_line(error: Exception) -> str:
    lines = [line for line in str(getattr(error, "stderr", None) or error).splitlines() if line.strip()]
    errors = [line for line in lines if line.lstrip().lower().startswith("error")]
    return re.sub(r"/\S+/", "", (errors or lines)[-1])[:160]


def _link(source: str, target: str) -> None:
    """Take the file into the environment; of two that are the same, the first stays."""
    if not Path(target).exists():
        os.link(source, target)


_TRY = """
import importlib, json, os, sys
import stand_ins
stand_ins.declare_operators()
answers = {}
for name in sys.argv[1:]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            pass
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:200])
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 200).decode(errors="replace")
    died = os.waitpid(child, 0)[1]
    os.close(reader)
    if said or died:
        answers[name] = said or "its import kills the process"
print(json.dumps(answers))
"""


def _broken(folder: Path) -> dict[str, str]:
    """Take out what is compiled and cannot be imported with this torch, the whole of it if need be; why."""
    compiled = {path.relative_to(folder).parts[0] for path in folder.rglob("*.so")}
    failed = _fail_to_import(folder, {name for name in compiled if (folder / name).is_dir()})
    for name in failed:
        for library in (folder / name).rglob("*.so"):
            library.unlink()
    still = _fail_to_import(folder, set(failed))
    for name in still:
        shutil.rmtree(folder / name)
    return {
        name: ("" if name in still else "its compiled parts: ")
        + re.sub(r"/\S+/", "", why.splitlines()[0])[:160]
        for name, why in failed.items()
    }


def _fail_to_import(folder: Path, names: set[str]) -> dict[str, str]:
    answer = subprocess.run(
        [sys.executable, "-c", _TRY, *sorted(name for name in names if name.isidentifier())],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(CHOSEN.parent)])},
    )
    failed: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
    return failed

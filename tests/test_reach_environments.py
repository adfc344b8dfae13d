"""The environments of `benchmarks/reach.py`: what is taken of what packages declare."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import environments

    yield environments
    for name in ("environments", "packages"):
        sys.modules.pop(name, None)


def index(folder: Path, environments: ModuleType, monkeypatch: pytest.MonkeyPatch, published: dict) -> list:
    """Stand in for pip: a distribution is there in one or two versions, each with what it requires."""
    asked = []

    def install(name: str, specifier: str, builds: bool = True) -> Path:
        asked.append(name + specifier + ("" if builds else ", no build"))
        for version, requires in published.get(name, {}).items():
            if environments.SpecifierSet(specifier).contains(version):
                place = folder / f"{name}-{version}"
                info = place / f"{name}-{version}.dist-info"
                info.mkdir(parents=True, exist_ok=True)
                lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
                lines += [f"Requires-Dist: {line}" for line in requires]
                extras = re.findall(r'extra == "(\w+)"', " ".join(requires))
                lines += [f"Provides-Extra: {extra}" for extra in extras]
                (info / "METADATA").write_text("\n".join(lines) + "\n")
                return place
        raise OSError("ERROR: no such version")

    monkeypatch.setattr(environments, "_install", install)
    return asked


def test_dependencies_are_walked_and_what_cannot_be_had_is_named(
    environments: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {
        "nets": {"1.0": ["blocks>=1", "lost", "torch>=1", 'other; extra == "all"', "tensorflow"]},
        "blocks": {"2.0": ["Shared_Part"], "1.0": []},
        "shared-part": {"3.1": ["nets"]},
    }
    asked = index(tmp_path, environments, monkeypatch, published)
    chosen = environments._choose("nets", "1.0")
    assert chosen["versions"] == {"blocks": "2.0", "shared-part": "3.1"}
    assert chosen["left_out"] == {"lost": "ERROR: no such version", "tensorflow": "too large"}
    assert not [item for item in asked if item.startswith(("torch", "tensorflow", "other"))]


def test_a_later_bound_takes_an_earlier_choice_back(
    environments: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {
        "nets": {"1.0": ["base", "blocks"]},
        "base": {"2.0": [], "1.4": []},
        "blocks": {"1.0": ["base<2"]},
    }
    index(tmp_path, environments, monkeypatch, published)
    assert environments._choose("nets", "1.0")["versions"] == {"base": "1.4", "blocks": "1.0"}


def test_optional_dependencies_are_taken_where_classes_ask_for_them(
    environments: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {
        "nets": {"1.0": ["blocks", 'scikit-image; extra == "images"', 'huge; extra == "all"']},
        "blocks": {"2.0": []},
        "scikit-image": {"0.5": ["blocks"]},
    }
    asked = index(tmp_path, environments, monkeypatch, published)
    more = environments.optional("nets", "1.0", ["skimage", "unknown", "blocks"])
    assert more == {"scikit-image", "blocks"}
    assert environments._choose("nets", "1.0", more)["versions"] == {"blocks": "2.0", "scikit-image": "0.5"}
    assert environments._choose("nets", "1.0")["versions"] == {"blocks": "2.0"}
    assert {"scikit-image, no build", "blocks"} == set(asked) - {"nets==1.0"}


def test_what_was_taken_before_stays_when_more_is_asked_for(
    environments: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {
        "nets": {"1.0": ['images; extra == "images"', 'sounds; extra == "sounds"']},
        "images": {"0.5": []},
        "sounds": {"0.7": []},
    }
    index(tmp_path, environments, monkeypatch, published)
    monkeypatch.setattr(environments, "CHOSEN", tmp_path / "chosen.json")
    monkeypatch.setattr(environments, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(environments, "_broken", lambda _: {})
    environments.environment("nets", "1.0", ["images"])
    folder, _ = environments.environment("nets", "1.0", ["sounds"])
    there = {path.name for path in folder.iterdir()}
    assert {"images-0.5.dist-info", "sounds-0.7.dist-info"} <= there


@pytest.mark.parametrize(
    "text",
    [
        "No module named 'sounds'",
        "No module named 'sounds.core'",
        "NameError: name 'sounds' is not defined",
        "UnboundLocalError: cannot access local variable 'sounds' where it is not associated with a value",
    ],
)
def test_what_was_not_imported_is_told_by_its_use_too(environments: ModuleType, text: str) -> None:
    assert environments.not_there(text) == ["sounds"]

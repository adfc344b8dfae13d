"""Verification on a GPU, where there is one; it stays on the CPU unless it is asked to leave it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fixer.contract import Verdict
from fixer.verify import Device, Job, Verifier, VerifySettings
from tests.judge_support import Case, preserves, text, verifier_python, verify
from tests.mutants import (
    COPIES,
    DELETIONS,
    PROJECTIONS,
    Copying,
    Deletion,
    Projection,
    copying_job,
    deletion_job,
    projection_job,
)

PROVEN = {Verdict.EQUIVALENT, Verdict.REPAIRED}
ON_A_DEVICE = text(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4).to({device!r})

        def forward(self, x):
            assert x.device.type == self.lin.weight.device.type == {type!r}
            self.kept = x
            return self.lin(x.to({device!r}))

        def backward(self, grad):
            return grad * self.kept
    """
)


def forgetful(folder: Path, device: str, kind: str) -> Job:
    before = ON_A_DEVICE.format(device=device, type=kind)
    after = before.replace("\n    def backward(self, grad):\n        return grad * self.kept\n", "")
    case = Case(folder, net=(before, after.replace("        self.kept = x\n", "")))
    return case.job(preserves(case.subject("net.py", "Net")))


def test_a_model_that_names_a_gpu_runs_on_the_cpu(tmp_path: Path) -> None:
    found = verify(forgetful(tmp_path, "cuda", "cpu"))
    assert found.verdict is Verdict.EQUIVALENT, found.reason


@pytest.fixture(scope="module")
def on_gpu() -> Iterator[Verifier]:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    settings = VerifySettings(python=verifier_python(), steps=5, timeout=120, device=Device.CUDA)
    with Verifier(settings, Path(__file__).parent) as verifier:
        yield verifier


def test_a_model_runs_on_the_gpu(on_gpu: Verifier, tmp_path: Path) -> None:
    found = on_gpu.verify(forgetful(tmp_path, "cuda", "cuda"))
    assert found.verdict is Verdict.EQUIVALENT, found.reason


@pytest.mark.parametrize("mutant", PROJECTIONS, ids=lambda mutant: mutant.name)
def test_a_projection(on_gpu: Verifier, tmp_path: Path, mutant: Projection) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.mkdir()
    wrong.mkdir()
    found = on_gpu.verify(projection_job(right, mutant, mutant.after))
    assert found.verdict in PROVEN, found.reason
    found = on_gpu.verify(projection_job(wrong, mutant, mutant.after.replace(*mutant.wrong[0])))
    assert found.verdict is Verdict.REFUTED, found.reason


@pytest.mark.parametrize("mutant", DELETIONS, ids=lambda mutant: mutant.name)
def test_a_deletion(on_gpu: Verifier, tmp_path: Path, mutant: Deletion) -> None:
    found = on_gpu.verify(deletion_job(tmp_path, mutant, mutant.after))
    assert found.verdict in PROVEN, found.reason


@pytest.mark.parametrize("mutant", COPIES, ids=lambda mutant: mutant.name)
def test_a_copy(on_gpu: Verifier, tmp_path: Path, mutant: Copying) -> None:
    found = on_gpu.verify(copying_job(tmp_path, mutant, mutant.after))
    assert found.verdict in PROVEN, found.reason

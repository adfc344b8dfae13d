"""Scripts and functions with training loops: run with the loops cut short, on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixer.contract import Verdict, Verification
from tests.judge_support import Case, preserves, repairs, text

SCRIPT = text(
    """
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    net[0].weight = torch.full((8, 4), 0.1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    data = TensorDataset(torch.randn(64, 4), torch.randn(64, 1))
    for epoch in range(10_000):
        for x, y in DataLoader(data, batch_size=8, shuffle=True, num_workers=4):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
    """
)
ASSIGNMENT = "net[0].weight = torch.full((8, 4), 0.1)\n"
FIXED = SCRIPT.replace(ASSIGNMENT, "net[0].weight.data.copy_(torch.full((8, 4), 0.1))\n")


def repaired(
    folder: Path, before: str, after: str, finding: str, symptom: str, **more: object
) -> Verification:
    case = Case(folder, train=(before, after))
    region = case.region("train.py", finding)
    function = more.pop("function", None)
    assert function is None or isinstance(function, str)
    return case.verify(repairs(symptom, region, case.subject("train.py", None, function), **more))


def preserved(folder: Path, before: str, after: str, function: str | None = None) -> Verification:
    case = Case(folder, train=(before, after))
    return case.verify(preserves(case.subject("train.py", None, function)))


def test_a_copy_in_a_script(tmp_path: Path) -> None:
    found = repaired(tmp_path, SCRIPT, FIXED, ASSIGNMENT, "TypeError", parameter="net[0].weight")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert found.evidence["loop"]["steps"] == 5
    assert found.evidence["loop"]["moved"] == 4


def test_a_wrong_copy_in_a_script(tmp_path: Path) -> None:
    wrong = FIXED.replace(
        "net[0].weight.data.copy_(torch.full((8, 4), 0.1))",
        "net[0].weight.data.copy_(torch.full((8, 4), 0.2))",
    )
    found = repaired(tmp_path, SCRIPT, wrong, ASSIGNMENT, "TypeError", parameter="net[0].weight")
    assert found.verdict is Verdict.REFUTED, found.reason


TRAIN = text(
    """
    def train(steps: int = 100_000, lr: float = 0.05):
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        net[2] = nn.Linear(8, 1)
        optimizer.zero_grad()
        x, y = torch.randn(16, 4), torch.randn(16, 1)
        for step in range(steps):
            loss = F.mse_loss(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return net
    """
)
BUILD = "    optimizer = torch.optim.SGD(net.parameters(), lr=lr)\n"
REPLACE = "    net[2] = nn.Linear(8, 1)\n"


SELDOM = TRAIN.replace(
    "        loss.backward()\n",
    "        if step % 9 == 8:\n            loss = loss * 2\n        loss.backward()\n",
).replace("    net[2] = nn.Linear(8, 1)\n", "")


@pytest.mark.parametrize(
    ("new", "verdict"), [("loss + loss", Verdict.EQUIVALENT), ("loss * 3", Verdict.REFUTED)]
)
def test_a_loop_goes_on_until_what_has_changed_runs(tmp_path: Path, new: str, verdict: Verdict) -> None:
    found = preserved(tmp_path, SELDOM, SELDOM.replace("loss * 2", new), "train")
    assert found.verdict is verdict, found.reason


def test_an_optimizer_built_too_early(tmp_path: Path) -> None:
    after = TRAIN.replace(BUILD + REPLACE, REPLACE + BUILD)
    found = repaired(tmp_path, TRAIN, after, BUILD, "never-updated", function="train")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "2 tensors never moved" in found.reason


def test_an_optimizer_built_as_early_as_before(tmp_path: Path) -> None:
    after = TRAIN.replace(BUILD + REPLACE, BUILD + "    net.zero_grad()\n" + REPLACE)
    found = repaired(tmp_path, TRAIN, after, BUILD, "never-updated", function="train")
    assert found.verdict is not Verdict.REPAIRED


def test_a_loop_written_otherwise(tmp_path: Path) -> None:
    after = TRAIN.replace("        loss.backward()\n", "        (loss).backward()\n")
    found = preserved(tmp_path, TRAIN, after, "train")
    assert found.verdict is Verdict.EQUIVALENT, found.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss.backward()", "(2 * loss).backward()"),
        ("        optimizer.zero_grad()\n        loss.backward", "        loss.backward"),
        ("lr=lr)", "lr=lr, momentum=0.1)"),
        ("        optimizer.step()\n", "        pass\n"),
        ("optimizer.step()", "net[0].weight.grad.neg_(); optimizer.step()"),
    ],
)
def test_a_changed_loop_is_refuted(tmp_path: Path, old: str, new: str) -> None:
    assert old in TRAIN
    after = TRAIN.replace(old, new)
    found = preserved(tmp_path, TRAIN, after, "train")
    assert found.verdict is Verdict.REFUTED, found.reason


ARGUMENTS = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("steps", type=int)
parser.add_argument("mode", choices=["slow", "fast"])
args = parser.parse_args()
assert args.mode == "slow"
"""


def test_required_arguments_are_given_a_value(tmp_path: Path) -> None:
    before, after = ARGUMENTS + SCRIPT, ARGUMENTS + FIXED
    found = repaired(tmp_path, before, after, ASSIGNMENT, "TypeError", parameter="net[0].weight")
    assert found.verdict is Verdict.REPAIRED, found.reason
    assert "--data, steps, mode" in found.evidence["built"]


def test_a_script_whose_data_is_elsewhere_proves_nothing(tmp_path: Path) -> None:
    head = ARGUMENTS + "import torch\ntorch.load(args.data)\n"
    found = repaired(
        tmp_path, head + SCRIPT, head + FIXED, ASSIGNMENT, "TypeError", parameter="net[0].weight"
    )
    assert found.verdict is Verdict.UNVERIFIED
    assert "FileNotFoundError" in found.reason


FULL = text(
    """
    import argparse
    import json
    import os
    import time
    from pathlib import Path

    import wandb
    import matplotlib.pyplot as plt
    from torch.utils.data import DataLoader, Dataset
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm, trange


    class Points(Dataset):
        def __init__(self, count):
            self.x = torch.randn(count, 4)

        def __len__(self):
            return len(self.x)

        def __getitem__(self, index):
            return self.x[index], self.x[index].sum().sign().clamp_min(0)


    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--epochs", type=int, default=100)
        args = parser.parse_args()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        out = Path("/fixer-tests/out")
        out.mkdir(parents=True, exist_ok=True)
        writer = SummaryWriter(str(out))
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)).to(device)
        model[0].weight = nn.init.orthogonal_(torch.empty(8, 4))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        loader = DataLoader(Points(64), batch_size=8, shuffle=True, num_workers=2)
        for epoch in trange(args.epochs):
            bar = tqdm(loader, desc=f"epoch {epoch}")
            for step, (x, y) in enumerate(bar):
                loss = F.binary_cross_entropy_with_logits(model(x.to(device))[:, 0], y.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                bar.set_postfix(loss=loss.item())
                writer.add_scalar("loss", loss.item(), step)
                wandb.log({"loss": loss.item()})
                print(f"{epoch}: {loss.item():.3f} {bar.n:.2f}")
                time.sleep(1000)
                torch.save(model.state_dict(), out / "model.pt")
                (out / "log.json").write_text(json.dumps({"epoch": epoch}))
                model.load_state_dict(torch.load(out / "model.pt"))
                assert json.loads((out / "log.json").read_text()) == {"epoch": epoch}
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        plt.savefig("loss.png")


    if __name__ == "__main__":
        main()
    """
)
ORTHOGONAL = "    model[0].weight = nn.init.orthogonal_(torch.empty(8, 4))\n"


@pytest.mark.parametrize("function", [None, "main"])
@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("nn.init.orthogonal_(torch.empty(8, 4))", Verdict.REPAIRED),
        ("nn.init.xavier_normal_(torch.empty(8, 4))", Verdict.REFUTED),
    ],
)
def test_a_script_as_people_write_them(
    tmp_path: Path, function: str | None, value: str, verdict: Verdict
) -> None:
    after = FULL.replace(ORTHOGONAL, f"    model[0].weight.data.copy_({value})\n")
    options: dict[str, object] = {"parameter": "model[0].weight", "function": function}
    found = repaired(tmp_path, FULL, after, ORTHOGONAL, "TypeError", **options)
    assert found.verdict is verdict, found.reason
    assert not Path("/fixer-tests").exists()


def test_a_script_without_tensors_proves_nothing(tmp_path: Path) -> None:
    found = preserved(tmp_path, "print('hello')\n", "print('hi')\n")
    assert found.verdict is Verdict.UNVERIFIED


MANUAL = text(
    """
    def fit():
        w = torch.zeros(3, requires_grad=True)
        x = torch.randn(8, 3)
        for step in range(50):
            loss = (x @ w - 1).pow(2).mean()
            loss.backward()
            w -= 0.1 * w.grad
            w.grad.zero_()
        return w
    """
)
UPDATE = "        w -= 0.1 * w.grad\n"


@pytest.mark.parametrize(
    ("update", "verdict"),
    [
        ("with torch.no_grad():\n            w -= 0.1 * w.grad", Verdict.REPAIRED),
        ("with torch.no_grad():\n            w -= 0.2 * w.grad", Verdict.REFUTED),
        ("w = w - 0.1 * w.grad", Verdict.REFUTED),
        ("w.sub_(0.1 * w.grad)", Verdict.REFUTED),
    ],
)
def test_a_leaf_updated_without_no_grad(tmp_path: Path, update: str, verdict: Verdict) -> None:
    after = MANUAL.replace(UPDATE, f"        {update}\n")
    found = repaired(tmp_path, MANUAL, after, UPDATE, "RuntimeError", function="fit")
    assert found.verdict is verdict, found.reason


def test_that_the_fixed_code_runs_is_not_enough(tmp_path: Path) -> None:
    before = text(
        """
        def probe():
            x = torch.randn(3, retain_grad=True)
            return x * 2
        """
    )
    finding = "    x = torch.randn(3, retain_grad=True)\n"
    after = before.replace(", retain_grad=True", "")
    found = repaired(tmp_path, before, after, finding, "TypeError", function="probe")
    assert found.verdict is Verdict.UNVERIFIED
    assert "no reference" in found.reason

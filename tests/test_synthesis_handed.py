"""Records that are handed on to another class, fields that a library checks, and what goes first."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from fixer.verify.worker.synthesis import synthesize
from fixer.verify.worker.synthesis.probing import Attempt, Failure
from fixer.verify.worker.synthesis.search import Search
from tests.synthesis_support import require_differentiated


class Inner(nn.Module):
    def __init__(self, width, steps, *, kind):
        super().__init__()
        if width % 24 or kind not in ("fast", "slow"):
            raise ValueError(f"kind {kind!r} is none of 'fast', 'slow', or width {width} no multiple of 24")
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(steps))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Task(nn.Module):
    """Builds its model from what it is given."""

    def __init__(self, model_options: dict, rate: float = 0.1):
        super().__init__()
        self.net = Inner(kind="fast", **model_options)
        self.rate = rate

    def forward(self, x):
        return self.net(x)


def test_a_record_that_is_handed_on_holds_what_builds_the_class() -> None:
    require_differentiated(Task, 10.0)


class ValidationError(Exception):
    pass


class Store:
    def __init__(self, path):
        self.path = path


class Plain(Store):
    def __init__(self):
        super().__init__("plain")


class Checked(nn.Module):
    """Checks all of its arguments, as libraries do that build such checks from annotations."""

    def __init__(self, alpha, beta, gamma: Store, delta):
        super().__init__()
        wrong = []
        if type(alpha) is not list:
            wrong.append(("alpha", "value is not a valid list", "type_error.list"))
        if not isinstance(beta, float):
            wrong.append(("beta", "Input should be a valid number", "float_type"))
        if type(gamma) is not Plain:
            wrong.append(("gamma", "instance of Plain expected", "type_error.arbitrary_type"))
        if delta != "on":
            wrong.append(("delta", "Input should be 'on'", "literal_error"))
        if wrong:
            told = "".join(f"\n{name}\n  {what} (type={kind})" for name, what, kind in wrong)
            raise ValidationError(f"{len(wrong)} validation errors for Checked{told}")
        self.fc = nn.Linear(len(alpha), 3)

    def forward(self, x):
        return self.fc(x)


def test_all_fields_are_as_a_library_says_they_should_be() -> None:
    found = synthesize(Checked, {}, 10.0).describe()
    assert "delta='on'" in found
    assert "gamma=Plain()" in found


def test_what_is_urgent_leaves_room_for_what_is_trusted() -> None:
    def states(prefix: str, count: int) -> Iterator[dict]:
        yield from ({prefix: {"kind": "literal", "value": place}} for place in range(count))

    failure = Failure(ValueError("no"), (), 0, {})
    search = Search(
        iter(()), lambda state: Attempt(state, None), lambda *_: iter(()), 1e9, 100, states("trusted", 10)
    )
    taken = []
    for state, _ in search:
        taken.append(next(iter(state)))
        if len(taken) < 30:
            search.reject(state, failure, states(f"urgent {len(taken)}", 10))
    assert taken[0] == "trusted"
    assert 5 < taken[1:].index("trusted") < 10
    assert taken.count("trusted") == 10
    assert len(taken) == 100

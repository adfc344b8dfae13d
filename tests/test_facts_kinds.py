from __future__ import annotations

import pytest

from fixer.facts.kinds import (
    ABSENT,
    MAYBE_PARAMETER,
    NONE,
    PLAIN,
    UNKNOWN,
    Answer,
    BufferKind,
    Kind,
    OneOf,
    ParameterKind,
    Plain,
    TensorKind,
    is_parameter,
    is_plain_tensor,
    is_tensor_like,
    join,
    options,
    shape_of,
    without,
    without_none,
)

P, T = ParameterKind(), TensorKind()


@pytest.mark.parametrize(
    ("kind", "parameter", "tensor"),
    [
        (P, Answer.YES, Answer.NO),
        (ParameterKind((2,)), Answer.YES, Answer.NO),
        (T, Answer.NO, Answer.YES),
        (BufferKind(), Answer.NO, Answer.YES),
        (MAYBE_PARAMETER, Answer.UNKNOWN, Answer.UNKNOWN),
        (UNKNOWN, Answer.UNKNOWN, Answer.UNKNOWN),
        (NONE, Answer.NO, Answer.NO),
        (ABSENT, Answer.NO, Answer.NO),
        (join((P, NONE)), Answer.UNKNOWN, Answer.NO),
        (join((P, ABSENT)), Answer.UNKNOWN, Answer.NO),
        (join((ParameterKind((1,)), ParameterKind((2,)))), Answer.YES, Answer.NO),
        (join((T, BufferKind())), Answer.NO, Answer.YES),
    ],
)
def test_answers(kind: Kind, parameter: Answer, tensor: Answer) -> None:
    assert is_parameter(kind) is parameter
    assert is_plain_tensor(kind) is tensor


def test_join_of_nothing_and_with_the_unknown_is_unknown() -> None:
    assert join(()) == UNKNOWN
    assert join((P, UNKNOWN)) == UNKNOWN
    assert join(Plain(number) for number in range(20)) == UNKNOWN


def test_join_is_flat_and_idempotent() -> None:
    assert join((P, P)) == P
    assert join((OneOf(frozenset({P, T})), NONE)) == OneOf(frozenset({P, T, NONE}))
    assert options(join((P, T))) == {P, T}


def test_options_that_are_ruled_out() -> None:
    assert without_none(join((P, NONE))) == P
    assert without_none(NONE) == NONE
    assert without(join((P, T, NONE)), lambda kind: kind == P) == join((T, NONE))


def test_shapes() -> None:
    assert shape_of(ParameterKind((2, 3))) == (2, 3)
    assert shape_of(join((TensorKind((2,)), ParameterKind((2,))))) == (2,)
    assert shape_of(join((TensorKind((2,)), TensorKind((3,))))) is None
    assert shape_of(PLAIN) is None


def test_tensor_like() -> None:
    assert is_tensor_like(MAYBE_PARAMETER)
    assert not is_tensor_like(join((P, NONE)))
    assert not is_tensor_like(UNKNOWN)

"""Losses: their targets, and their numbers and gradients to the last digits."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("target", [3, -4])
def test_a_target_that_is_not_there_is_an_index_error(mg: Any, target: int) -> None:
    with pytest.raises(IndexError):
        mg.cross_entropy([1.0, 2.0, mg.Value(3.0)], target)


def test_a_negative_target_counts_from_the_end(mg: Any) -> None:
    logits = [mg.Value(1.0), mg.Value(2.0)]
    assert mg.cross_entropy(logits, -1).data == mg.cross_entropy(logits, 1).data


@pytest.mark.parametrize("gap", [1e-9, 1.0, 30.0, 740.0, 800.0, 1e300])
def test_losses_are_stable_for_all_finite_logits(mg: Any, gap: float) -> None:
    logits = [mg.Value(0.0), mg.Value(gap)]
    loss = mg.cross_entropy(logits, 0)
    loss.backward()
    expected = gap + math.log1p(math.exp(-gap))
    share = 1 / (1 + math.exp(-gap))
    assert loss.data == pytest.approx(expected, rel=1e-15)
    assert [v.grad for v in logits] == pytest.approx([-share, share], abs=1e-15)
    assert mg.logsumexp(logits).data == pytest.approx(expected, rel=1e-15)
    assert mg.log_softmax(logits)[0].data == pytest.approx(-expected, rel=1e-15)
    z = mg.Value(-gap)
    loss = mg.binary_cross_entropy_with_logits([z], [1])
    loss.backward()
    assert (loss.data, z.grad) == (pytest.approx(expected, rel=1e-15), pytest.approx(-share))


finite_logits = st.one_of(
    st.floats(-50, 50), st.floats(-1000, 1000), st.sampled_from([0.0, 1e-300, 740.0, -745.0])
)


@pytest.mark.long
@given(logits=st.lists(finite_logits, min_size=1, max_size=6), target=st.integers(0, 5))
def test_gradients_of_losses_are_those_of_fifty_digits(
    mg: Any, logits: list[float], target: int
) -> None:
    target %= len(logits)
    with mpmath.workdps(50):
        exps = [mpmath.exp(v) for v in logits]
        shares = [e / mpmath.fsum(exps) for e in exps]

    def gradient(loss: Any) -> Any:
        leaves = [mg.Value(v) for v in logits]
        out = loss(leaves)
        out.backward()
        return out.data, [v.grad for v in leaves]

    def near(found: Any, expected: Any) -> bool:
        value, grads = found
        sums = max(1, abs(expected[0]))
        return abs(value - expected[0]) <= 1e-15 * sums and all(
            abs(g - e) <= 1e-15 for g, e in zip(grads, expected[1])
        )

    with mpmath.workdps(50):
        everything = mpmath.log(mpmath.fsum(exps))
        hit = [p - (i == target) for i, p in enumerate(shares)]
        logits_mp = [mpmath.mpf(v) for v in logits]
        assert near(gradient(mg.logsumexp), (everything, shares))
        assert near(
            gradient(lambda vs: mg.cross_entropy(vs, target)),
            (everything - logits_mp[target], hit),
        )
        assert near(
            gradient(lambda vs: mg.log_softmax(vs)[target]),
            (logits_mp[target] - everything, [-g for g in hit]),
        )


@given(z=finite_logits, t=st.sampled_from([0, 1, 0.25]))
def test_the_gradient_of_the_logistic_loss_is_that_of_fifty_digits(
    mg: Any, z: float, t: float
) -> None:
    v = mg.Value(z)
    loss = mg.binary_cross_entropy_with_logits([v], [t])
    loss.backward()
    with mpmath.workdps(50):
        slope = 1 / (1 + mpmath.exp(-mpmath.mpf(z))) - t
        if t == 1:
            slope = -1 / (1 + mpmath.exp(mpmath.mpf(z)))  # the same, without cancellation
        value = mpmath.log1p(mpmath.exp(mpmath.mpf(z))) - t * mpmath.mpf(z)
        margin = abs(slope) if t in (0, 1) else 1
        assert abs(v.grad - slope) <= 1e-15 * margin + 5e-324
        assert abs(loss.data - value) <= 1e-15 * max(1, abs(value))


def test_losses_of_a_program_are_those_of_each_row(mg: Any) -> None:
    np = pytest.importorskip("numpy")
    rows = np.array([[0.0, 800.0, 1.0], [3.0, -2.0, 0.5], [-1e3, 0.0, 1e3]])
    for loss in (
        mg.logsumexp,
        lambda x: mg.cross_entropy(x, 0),
        lambda x: mg.log_softmax(x)[1],
        lambda x: mg.binary_cross_entropy_with_logits(x, [0, 1, 1]),
    ):
        program = mg.compile(loss, rows[0])
        for row, value, gradient in zip(rows, program(rows), program.gradient(rows)):
            leaves = [mg.Value(float(x)) for x in row]
            out = loss(leaves)
            out.backward()
            assert value == pytest.approx(out.data, rel=1e-14)
            assert gradient.tolist() == pytest.approx([v.grad for v in leaves], abs=1e-15)


def test_a_target_may_be_a_value_or_a_float(mg: Any) -> None:
    logits = [mg.Value(1.0), mg.Value(3.0)]
    for target in (mg.Value(1.0), 1.0):
        loss = mg.cross_entropy(logits, target)
        assert loss.data == mg.cross_entropy(logits, 1).data
    for wrong, error in ((2.0, IndexError), (-1.0, IndexError), (0.5, ValueError)):
        with pytest.raises(error, match="index"):
            mg.cross_entropy(logits, mg.Value(wrong))
    with pytest.raises(TypeError):
        mg.cross_entropy(logits, "1")


def test_softmax_of_large_logits_does_not_overflow(mg: Any) -> None:
    shares = mg.softmax([mg.Value(1000.0), mg.Value(1000.0)])
    assert math.fsum(share.data for share in shares) == 1.0

"""jit: a function of Values whose calls are replays."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from compiled import counted
from conftest import balanced

np = pytest.importorskip("numpy")


def loss_of(model: Any) -> Any:
    def loss(xs: Any, ys: Any) -> Any:
        return sum((model(x) - y) ** 2 for x, y in zip(xs, ys)) + 0.01 * sum(
            p * p for p in model.parameters()
        )

    return loss


XS, YS = [[2.0, 3.0], [-1.0, 0.5], [0.3, -0.7]], [1.0, -1.0, 0.5]

# ---- a loop ----


def test_a_training_loop_has_the_losses_of_the_eager_one_to_the_last_bit(mg: Any) -> None:
    losses = []
    for jitted in (False, True):
        random.seed(4)
        model = mg.MLP(2, [4, 1])
        loss = loss_of(model)
        loss = mg.jit(loss) if jitted else loss
        found = []
        for _ in range(8):
            out = loss(XS, YS)
            model.zero_grad()
            out.backward()
            for p in model.parameters():
                p.data -= 0.05 * p.grad
            found.append(out.data)
        losses.append(found)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)


def test_a_function_is_run_once_and_replayed(mg: Any) -> None:
    square, runs = counted(mg, lambda x: x * x)
    assert [square(x).data for x in (1.0, 2.0, 3)] == [1.0, 4.0, 9.0]
    assert len(runs) == 1 and square.specializations == 1


def test_numbers_of_every_kind_have_one_program(mg: Any) -> None:
    square, runs = counted(mg, lambda x: x * x)
    for x in (2, 2.0, np.float64(2.0), np.int32(2), np.float32(2)):
        assert square(x).data == 4.0
    assert len(runs) == 1


# ---- results ----


def test_a_result_is_one_node_above_parameters_and_arguments(mg: Any) -> None:
    w, x = mg.Value(3.0), mg.Value(2.0)
    out = mg.jit(lambda x, y: w * x + y)(x, 1.0)
    assert out.data == 7.0 and out._children == (w, x) and out._local_grads == (2.0, 3.0)


def test_operands_are_those_alone_that_gradients_reach(mg: Any) -> None:
    w, v, x, y = (mg.Value(float(i)) for i in range(1, 5))
    out = mg.jit(lambda x, y: w * x if v.data < y.data else x)(x, y)
    assert out._children == (w, x)


def test_gradients_flow_on_into_what_arguments_and_captured_values_were_made_from(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(5.0)
    inside, given = a * 3.0, b * b
    product = mg.jit(lambda x: x * inside)
    (product(given) * 2.0).backward()
    assert (a.grad, b.grad) == (2.0 * 25.0 * 3.0, 2.0 * 6.0 * 10.0)


def test_an_argument_given_twice_has_the_gradient_of_both(mg: Any) -> None:
    x = mg.Value(3.0)
    mg.jit(lambda a, b: a * b)(x, x).backward()
    assert x.grad == 6.0


def test_results_are_used_in_further_expressions_and_jitted_functions(mg: Any) -> None:
    x = mg.Value(0.5)
    f = mg.jit(lambda v: v.tanh())
    out = f(f(x) * 2.0)
    out.backward()
    y = mg.Value(0.5)
    eager = (y.tanh() * 2.0).tanh()
    eager.backward()
    assert out.data == eager.data
    assert x.grad == pytest.approx(y.grad, rel=1e-13)


def test_several_results_are_differentiated_together(mg: Any) -> None:
    w = mg.Value(3.0)

    def fn(a: Any, b: Any) -> Any:
        return {"p": a * b * w, "q": [a + b, a * a]}

    found = []
    for f in (fn, mg.jit(fn)):
        a, b, w.grad = mg.Value(2.0), mg.Value(5.0), 0.0
        r = f(a, b)
        r = f(a, b)
        (r["p"] + 2 * r["q"][0] + r["q"][1] * r["p"]).backward()
        found.append((a.grad, b.grad, w.grad))
    assert found[0] == found[1]


def test_a_backward_of_one_of_several_results_has_no_part_of_an_earlier_one(mg: Any) -> None:
    x = mg.Value(3.0)
    first, second = mg.jit(lambda v: (v * v, 5.0 * v))(x)
    first.backward()
    assert x.grad == 6.0
    second.backward()
    assert x.grad == 11.0


def test_numbers_and_conditions_among_the_results_are_plain_ones(mg: Any) -> None:
    f = mg.jit(lambda x: (x * 2.0, x.data * 3.0, x.data > 1, 7, "text", None))
    f(2.0)
    out = f(0.5)
    assert out[0].data == 1.0 and out[1:] == (1.5, False, 7, "text", None)
    assert type(out[1]) is float and type(out[2]) is bool


def test_a_value_that_is_returned_twice_is_one(mg: Any) -> None:
    def twice(x: Any) -> Any:
        y = x * x
        return [y, y]

    first, second = mg.jit(twice)(2.0)
    assert first is second


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Point:
    x: Any
    y: Any


def test_arguments_and_results_are_nested_as_programs_nest_them(mg: Any) -> None:
    f = mg.jit(
        lambda a, *, d: {
            "pair": Pair(a[0] * 2, a[1][0].left),
            "point": Point(d["k"].x, d["k"].y[1]),
            "array": d["m"] @ np.array([1.0, 2.0]),
        }
    )
    x = mg.Value(1.0)
    given = [x, (Pair(2.0, None),)], {"k": Point(3.0, [4.0, 5.0]), "m": np.eye(2) * x}
    for _ in range(2):
        out = f(given[0], d=given[1])
        assert (out["pair"].left.data, out["pair"].right.data) == (2.0, 2.0)
        assert (out["point"].x.data, out["point"].y.data) == (3.0, 5.0)
        assert [v.data for v in out["array"]] == [1.0, 2.0]
    assert f.specializations == 1


def test_draw_dot_shows_one_box_with_the_functions_name(mg: Any) -> None:
    @mg.jit
    def energy(x: Any, y: Any) -> Any:
        return (x * y + y).tanh()

    out = energy(mg.Value(1.0), mg.Value(2.0))
    source = mg.draw_dot(out).source
    assert out._op == "energy" and "label=energy" in source and "tanh" not in source
    hub = next(iter(mg.jit(lambda v: [v, v * v])(mg.Value(1.0))[0]._children[1:]))
    assert hub._op == "<lambda>"


# ---- when it is recorded anew ----


def test_another_nesting_is_recorded_anew(mg: Any) -> None:
    total, runs = counted(mg, sum)
    for xs in ([1.0, 2.0], [1.0, 2.0, 3.0], [4.0, 5.0], (4.0, 5.0)):
        assert total(xs).data == sum(xs)
    assert len(runs) == 3


def test_strings_none_and_bools_are_part_of_the_key(mg: Any) -> None:
    f, runs = counted(mg, lambda x, how: x * 2 if how == "twice" else x if how else -x)
    for _ in range(2):
        found = [f(3.0, how).data for how in ("twice", None, True, False)]
        assert found == [6.0, -3.0, 3.0, -3.0]
    assert len(runs) == 4


def test_a_branch_not_met_yet_is_recorded(mg: Any) -> None:
    f, runs = counted(mg, lambda x: x * 2 if x.data > 0 else x * -3)
    assert [f(mg.Value(x)).data for x in (1.0, -1.0, 2.0, -2.0)] == [2.0, 3.0, 4.0, 6.0]
    assert len(runs) == 2


def test_an_int_that_is_an_index_is_part_of_the_key_when_it_comes_again(mg: Any) -> None:
    xs = [mg.Value(float(i)) for i in range(4)]
    pick, runs = counted(mg, lambda i: xs[i] * 2)
    for _ in range(4):
        assert [pick(i).data for i in (1, 2)] == [2.0, 4.0]
    before = len(runs)
    assert [pick(i).data for i in (1, 2)] == [2.0, 4.0] and len(runs) == before


def test_more_branches_than_allowed_raise(mg: Any) -> None:
    f = mg.jit(max_specializations=1)(lambda x: x * 2 if x > 0 else -x)
    f(1.0)
    with pytest.raises(RuntimeError, match="max_specializations is 1"):
        f(-1.0)


def test_many_branches_are_recorded_ever_less_often(mg: Any) -> None:
    f, _ = counted(mg, lambda x: sum(x * i for i in range(20) if x.data > i), fallback=True)
    for x in range(1, 20):
        expected = sum((x + 0.5) * i for i in range(20) if x + 0.5 > i)
        assert f(mg.Value(x + 0.5)).data == pytest.approx(expected)
    assert 4 < f.specializations < 9


def test_another_value_in_the_place_of_a_captured_one_is_seen_after_clear(mg: Any) -> None:
    model = {"w": mg.Value(2.0)}
    f = mg.jit(lambda x: model["w"] * x)
    assert f(3.0).data == 6.0
    model["w"].data = 4.0
    assert f(3.0).data == 12.0
    model["w"] = mg.Value(5.0)
    f.clear()
    assert f(3.0).data == 15.0


# ---- methods and models ----


def test_a_method_has_programs_for_each_instance_as_long_as_that_lives(mg: Any) -> None:
    class Model:
        def __init__(self, w: float) -> None:
            self.w = mg.Value(w)

        @mg.jit
        def __call__(self, x: Any) -> Any:
            return self.w * x

    one, two = Model(2.0), Model(5.0)
    assert [m(3.0).data for m in (one, two, one)] == [6.0, 15.0, 6.0]
    jitted = Model.__dict__["__call__"]
    assert jitted.specializations == 2
    del one
    gc.collect()
    assert jitted.specializations == 1


def test_a_subclass_is_recorded_with_its_operators(mg: Any) -> None:
    class Loud(mg.Value):
        def __add__(self, other: Any) -> Any:
            return super().__add__(other) * 10

    out = mg.jit(lambda x: x + 1.0)(Loud(2.0))
    assert out.data == 30.0
    out.backward()


# ---- derivatives of derivatives, copies ----


def test_grad_of_a_result_is_that_of_the_function(mg: Any) -> None:
    w = mg.Value(3.0)
    f = mg.jit(lambda a: a * a * w)
    x = mg.Value(2.0)
    f(x)
    assert [d.data for d in mg.grad(f(x), [x, w])] == [12.0, 4.0]
    dx = mg.grad(f(x) * 2.0, x, create_graph=True)
    assert dx.data == 24.0
    assert [d.data for d in mg.grad(dx, [x, w])] == [12.0, 8.0]
    p, q = mg.jit(lambda a: (a * a * w, a * w))(x)
    dx = mg.grad(p * q, x, create_graph=True)
    assert dx.data == 3 * 9.0 * 4.0
    assert mg.grad(dx, x).data == 6 * 9.0 * 2.0


def test_operands_made_from_one_another_have_partial_derivatives(mg: Any) -> None:
    w = mg.Value(2.0)
    step = mg.jit(lambda h, x: h * w + x)
    h = mg.Value(1.0)
    for _ in range(3):
        h = step(h, 0.5)
    assert mg.grad(h, w).data == mg.grad(h, w, create_graph=True).data == 14.5
    first, x = mg.jit(lambda a, b: (a * b, a)), mg.Value(3.0)
    dw = mg.grad(first(x * w, x)[0], w, create_graph=True)
    assert dw.data == 9.0 and mg.grad(dw, x).data == 6.0
    area = mg.jit(lambda p: p[0] * p[1])
    found = mg.hessian(lambda p: area([p[0], p[0] * p[1]]), [2.0, 3.0])
    assert np.array(found).tolist() == [[6.0, 4.0], [4.0, 0.0]]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_have_the_numbers_of_the_results(mg: Any, copied: Any) -> None:
    x = mg.Value(3.0, label="x")
    for f in (mg.jit(lambda v: v * v), mg.jit(lambda v: [v * v, v])):
        out = f(x)
        out = out if not isinstance(out, list) else out[0] + out[1] * 0.0
        twin = copied(out)
        twin.backward()
        (leaf,) = [v for v in mg.trace(twin)[0] if v.label == "x"]
        assert twin.data == 9.0 and leaf.grad == 6.0 and leaf is not x and x.grad == 0.0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copy_of_several_results_raises_the_error_of_a_derivative_in_backward(
    mg: Any, copied: Any
) -> None:
    f = mg.jit(lambda v: [v.sqrt(), 2 * v])
    f(mg.Value(1.0))
    root, double, x = copied([*f(x := mg.Value(0.0, label="x")), x])
    assert (root.data, double.data) == (0.0, 0.0)
    double.backward()
    assert x.grad == 2.0
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match=r"the derivative of sqrt\(0\.0\)"):
            root.backward()


def triple(x: Any) -> Any:
    """Three times x."""
    return x * 3


def test_a_jitted_function_has_the_name_and_the_text_of_the_function(mg: Any) -> None:
    f = mg.jit(triple)
    assert (f.__name__, f.__doc__, f.__wrapped__) == ("triple", "Three times x.", triple)
    assert repr(f) == "<jitted function triple: 0 recorded>"
    assert copy.deepcopy(f) is f


# ---- threads and memory ----


def test_threads_call_one_function_at_a_time_of_their_own(mg: Any) -> None:
    w = mg.Value(2.0)
    f = mg.jit(lambda x, y: (w * x).tanh() * y if x.data > 0 else x * y)
    wrong: list[Any] = []

    def work(sign: float) -> None:
        for i in range(1, 200):
            x = mg.Value(sign * i / 100)
            out, expected = f(x, 3.0), (w * x).tanh() * 3.0 if sign > 0 else x * 3.0
            (d,), (e,) = mg.grad(out, [x]), mg.grad(expected, [x])
            if out.data != expected.data or abs(d.data - e.data) > 1e-12:
                wrong.append((out, expected))

    threads = [threading.Thread(target=work, args=(sign,)) for sign in (1.0, -1.0, 1.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_find_out_together_that_an_int_is_an_index(mg: Any) -> None:
    xs = [mg.Value(float(i)) for i in range(3)]
    meet = threading.Barrier(2, timeout=30)
    first = threading.local()
    found: list[Any] = []

    def pick(i: Any) -> Any:
        if not hasattr(first, "done"):  # both threads record before either finds out
            first.done = True
            meet.wait()
        return xs[i] * 2

    f = mg.jit(pick)

    def work(i: int) -> None:
        try:
            found.append(f(i).data)
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=repr) == [2.0, 4.0]


def test_calls_leave_nothing_behind(mg: Any) -> None:
    w = mg.Value(3.0)
    one, two = mg.jit(lambda x: w * x), mg.jit(lambda x: [w * x, x * x])
    x = mg.Value(2.0)
    one(x), two(x)
    with balanced(mg):
        gc.disable()
        try:
            before = mg.engine.statistics()
            for _ in range(300):
                one(x).backward()
                first, second = two(x)
                (first * second).backward()
                del first, second
            after = mg.engine.statistics()
        finally:
            gc.enable()
        assert (after.nodes, after.leaves) == (before.nodes, before.leaves)


def test_a_jitted_function_and_its_captured_values_go_together(mg: Any) -> None:
    def work() -> None:
        w = mg.Value(3.0) * 2.0
        f = mg.jit(lambda x: [w * x, w])
        history = [f(1.0) for _ in range(5)]
        assert len(history) == 5

    with balanced(mg):
        work()
        gc.collect()

"""The training step of gpt.py by hand: in C, and in numpy, all positions at once."""

from __future__ import annotations

import ctypes
from array import array
from itertools import chain
from typing import Any

from . import by_hand, gpt


class Training:
    """Parameters, gradients and what Adam remembers, one array each; a subclass computes."""

    def __init__(self) -> None:
        weights = gpt.make_weights(float)
        self.shapes = {name: (len(rows), len(rows[0])) for name, rows in weights.items()}
        rows = chain.from_iterable(weights.values())
        self.numbers = array("d", chain.from_iterable(rows))
        zeros = bytes(8 * len(self.numbers))
        self.gradients, self.m, self.v = (array("d", zeros) for _ in range(3))
        self.steps = 0

    def differentiate(self) -> float:
        """Compute the gradients of the name whose turn it is; return the loss."""
        raise NotImplementedError

    def update(self) -> None:
        """Take Adam's step number `steps`."""
        raise NotImplementedError

    def step(self) -> float:
        """Forward, backward, update; return the loss."""
        loss = self.differentiate()
        self.steps += 1
        self.update()
        return loss

    def tokens(self) -> list[int]:
        """Return the tokens of the name whose turn it is."""
        return gpt.tokens_of(gpt.NAMES[self.steps % len(gpt.NAMES)])

    def trace(self, steps: int) -> list[float]:
        """Return the gradients at the start, the losses of some steps, and the parameters then."""
        self.differentiate()
        gradients = self.gradients.tolist()
        losses = [self.step() for _ in range(steps)]
        return [*gradients, *losses, *self.numbers]


class InC(Training):
    """Compiled from gpt_by_hand.c."""

    def __init__(self) -> None:
        super().__init__()
        arrays = self.numbers, self.gradients, self.m, self.v
        self.arrays = [(ctypes.c_double * len(a)).from_buffer(a) for a in arrays]
        names = map(gpt.tokens_of, gpt.NAMES)
        self.names = [(ctypes.c_int * len(tokens))(*tokens) for tokens in names]

    def differentiate(self) -> float:
        tokens = self.names[self.steps % len(self.names)]
        numbers, gradients, _, _ = self.arrays
        loss = by_hand.library().gpt_loss(numbers, gradients, tokens, len(tokens) - 1)
        return float(loss)

    def update(self) -> None:
        settings = gpt.RATE, gpt.BETA1, gpt.BETA2, gpt.EPS
        by_hand.library().gpt_update(*self.arrays, self.steps, *settings)


class InNumpy(Training):
    """With numpy, over the same arrays."""

    def __init__(self) -> None:
        import numpy as np

        super().__init__()
        self.np = np
        self.all = [np.frombuffer(a) for a in (self.numbers, self.gradients, self.m, self.v)]
        self.w, self.g = self._views(self.all[0]), self._views(self.all[1])

    def _views(self, numbers: Any) -> dict[str, Any]:
        views, at = {}, 0
        for name, (nout, nin) in self.shapes.items():
            views[name] = numbers[at : at + nout * nin].reshape(nout, nin)
            at += nout * nin
        return views

    def _normed(self, x: Any) -> tuple[Any, Any]:
        scale = ((x * x).mean(1, keepdims=True) + 1e-5) ** -0.5
        return x * scale, scale

    def _before_norm(self, x: Any, scale: Any, gradient: Any) -> Any:
        products = (gradient * x).sum(1, keepdims=True)
        return gradient * scale - x * products * scale**3 / gpt.EMBEDDING

    def _softmax(self, x: Any) -> Any:
        exps = self.np.exp(x - x.max(-1, keepdims=True))
        return exps / exps.sum(-1, keepdims=True)

    def _heads(self, x: Any) -> Any:
        """Positions by dimensions as heads by positions by dimensions of a head."""
        return x.reshape(-1, gpt.HEADS, gpt.HEAD).transpose(1, 0, 2)

    def _joined(self, x: Any) -> Any:
        return x.transpose(1, 0, 2).reshape(-1, gpt.EMBEDDING)

    def differentiate(self) -> float:
        np, w, g = self.np, self.w, self.g
        tokens = self.tokens()
        now, targets = tokens[:-1], tokens[1:]
        count = len(now)
        places = np.arange(count)

        embedded = w["token"][now] + w["position"][:count]
        x, scale = self._normed(embedded)
        attended, scale_attended = self._normed(x)
        query, key, value = (
            self._heads(attended @ w[name].T) for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / gpt.HEAD**0.5
        scores[:, places[:, None] < places] = -np.inf  # what is to come cannot be seen
        shares = self._softmax(scores)
        heads = self._joined(shares @ value)
        middle = x + heads @ w["mix"].T
        normed, scale_middle = self._normed(middle)
        hidden = np.maximum(normed @ w["widen"].T, 0.0)
        last = middle + hidden @ w["narrow"].T
        probs = self._softmax(last @ w["logits"].T)
        loss = -np.log(probs[places, targets]).mean()

        probs[places, targets] -= 1.0
        dlogits = probs / count
        g["logits"][:] = dlogits.T @ last
        dmiddle = dlogits @ w["logits"]
        g["narrow"][:] = dmiddle.T @ hidden
        dhidden = (dmiddle @ w["narrow"]) * (hidden > 0.0)
        g["widen"][:] = dhidden.T @ normed
        dmiddle += self._before_norm(middle, scale_middle, dhidden @ w["widen"])
        g["mix"][:] = dmiddle.T @ heads
        dheads = self._heads(dmiddle @ w["mix"])
        dshares = dheads @ value.transpose(0, 2, 1)
        dscores = shares * (dshares - (dshares * shares).sum(-1, keepdims=True)) / gpt.HEAD**0.5
        dattended = 0.0
        for name, gradient in [
            ("query", dscores @ key),
            ("key", dscores.transpose(0, 2, 1) @ query),
            ("value", shares.transpose(0, 2, 1) @ dheads),
        ]:
            joined = self._joined(gradient)
            g[name][:] = joined.T @ attended
            dattended = dattended + joined @ w[name]
        dx = dmiddle + self._before_norm(x, scale_attended, dattended)
        dembedded = self._before_norm(embedded, scale, dx)
        g["token"][:] = 0.0
        np.add.at(g["token"], now, dembedded)
        g["position"][:] = 0.0
        g["position"][:count] = dembedded
        return float(loss)

    def update(self) -> None:
        numbers, gradients, m, v = self.all
        m += (1 - gpt.BETA1) * (gradients - m)
        v += (1 - gpt.BETA2) * (gradients * gradients - v)
        m_hat, v_hat = m / (1 - gpt.BETA1**self.steps), v / (1 - gpt.BETA2**self.steps)
        numbers -= gpt.RATE * m_hat / (v_hat**0.5 + gpt.EPS)

"""A small GPT over single numbers: it reads given names and makes up new ones.

    python examples/microgpt.py [--steps 200] [--samples 10] [--temperature 0.6] [--seed 7]
                                [--text names.txt]

The whole algorithm is in this file: a tokenizer, a transformer, a loss, Adam, sampling. Every
weight, every activation is one Value. The text is a file of one document a line.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from micrograd_c import Value

N_LAYER = 1  # transformer blocks
N_EMBD = 16  # numbers that stand for a token
N_HEAD = 4  # attention heads
HEAD_DIM = N_EMBD // N_HEAD
BLOCK_SIZE = 12  # tokens that the model can look back on


# ---- tokens: one for each character, and one (BOS) that begins and ends a document ----


class Tokenizer:
    def __init__(self, docs):
        self.chars = sorted(set("".join(docs)))
        self.bos = len(self.chars)
        self.size = len(self.chars) + 1

    def encode(self, doc):
        return [self.bos, *(self.chars.index(ch) for ch in doc), self.bos]

    def decode(self, tokens):
        return "".join(self.chars[token] for token in tokens)


# ---- the model: lists of Values, and functions of them ----


def matrix(nout, nin, std=0.08):
    return [[Value(random.gauss(0, std)) for _ in range(nin)] for _ in range(nout)]


def make_weights(vocab_size):
    weights = {
        "token": matrix(vocab_size, N_EMBD),
        "position": matrix(BLOCK_SIZE, N_EMBD),
        "logits": matrix(vocab_size, N_EMBD),
    }
    for i in range(N_LAYER):
        for name in ("query", "key", "value", "mix"):
            weights[f"{name}{i}"] = matrix(N_EMBD, N_EMBD)
        weights[f"widen{i}"] = matrix(4 * N_EMBD, N_EMBD)
        weights[f"narrow{i}"] = matrix(N_EMBD, 4 * N_EMBD)
    return weights


def linear(rows, x):
    return [sum(wi * xi for wi, xi in zip(row, x)) for row in rows]


def softmax(logits):
    largest = max(logit.data for logit in logits)
    counts = [(logit - largest).exp() for logit in logits]
    total = sum(counts)
    return [count / total for count in counts]


def inverse_rms(x, eps=1e-5):
    """1 / sqrt(mean(x^2) + eps) as one operator, its local gradients worked out on paper."""
    scale = (sum(xi.data * xi.data for xi in x) / len(x) + eps) ** -0.5
    return Value(scale, tuple(x), tuple(-(scale**3) * xi.data / len(x) for xi in x))


def rmsnorm(x):
    scale = inverse_rms(x)
    return [xi * scale for xi in x]


def attention(query, keys, values):
    """One head: an average of the values so far, by how well their keys match the query."""
    scores = [sum(q * k for q, k in zip(query, key)) / HEAD_DIM**0.5 for key in keys]
    shares = softmax(scores)
    return [sum(a * v for a, v in zip(shares, column)) for column in zip(*values)]


def gpt(weights, token, position, keys, values):
    """The logits of the token after this one.

    `keys` and `values` hold, for each layer, those of the positions before; this one's are added.
    """
    embedding = zip(weights["token"][token], weights["position"][position])
    x = rmsnorm([t + p for t, p in embedding])
    for i in range(N_LAYER):
        # The positions talk to one another ...
        residual, x = x, rmsnorm(x)
        query = linear(weights[f"query{i}"], x)
        keys[i].append(linear(weights[f"key{i}"], x))
        values[i].append(linear(weights[f"value{i}"], x))
        heads = []
        for h in range(0, N_EMBD, HEAD_DIM):
            head = slice(h, h + HEAD_DIM)
            past_keys = [key[head] for key in keys[i]]
            past_values = [value[head] for value in values[i]]
            heads += attention(query[head], past_keys, past_values)
        x = [r + m for r, m in zip(residual, linear(weights[f"mix{i}"], heads))]
        # ... and each thinks about what it has heard.
        residual, x = x, rmsnorm(x)
        hidden = [h.relu() for h in linear(weights[f"widen{i}"], x)]
        x = [r + n for r, n in zip(residual, linear(weights[f"narrow{i}"], hidden))]
    return linear(weights["logits"], x)


def empty_past():
    return [[] for _ in range(N_LAYER)], [[] for _ in range(N_LAYER)]


def loss_of(weights, tokens):
    """The average surprise, -log(probability), at each next token of a document."""
    keys, values = empty_past()
    n = min(BLOCK_SIZE, len(tokens) - 1)
    losses = []
    for position in range(n):
        logits = gpt(weights, tokens[position], position, keys, values)
        probs = softmax(logits)
        target = tokens[position + 1]
        losses.append(-probs[target].log())
    return (1 / n) * sum(losses)


# ---- learning, and telling ----


def train(weights, documents, steps, lr=0.01, beta1=0.85, beta2=0.99, eps=1e-8):
    """Adam, one document a step; the learning rate falls to zero in a straight line."""
    params = [p for rows in weights.values() for row in rows for p in row]
    m = [0.0] * len(params)
    v = [0.0] * len(params)
    print(f"{len(params)} parameters")
    for step in range(steps):
        loss = loss_of(weights, documents[step % len(documents)])
        loss.backward()
        rate = lr * (1 - step / steps)
        for i, p in enumerate(params):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1 ** (step + 1))
            v_hat = v[i] / (1 - beta2 ** (step + 1))
            p.data -= rate * m_hat / (v_hat**0.5 + eps)
            p.grad = 0
        print(f"step {step + 1} of {steps}  loss {loss.data}")


def sample(weights, tokenizer, temperature):
    """Begin with BOS, draw token after token until BOS comes again."""
    keys, values = empty_past()
    token, drawn = tokenizer.bos, []
    for position in range(BLOCK_SIZE):
        logits = gpt(weights, token, position, keys, values)
        probs = softmax([logit / temperature for logit in logits])
        token = random.choices(range(tokenizer.size), [p.data for p in probs])[0]
        if token == tokenizer.bos:
            break
        drawn.append(token)
    return tokenizer.decode(drawn)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--text", type=Path, default=Path(__file__).with_name("names.txt"))
    options = parser.parse_args()

    random.seed(options.seed)
    docs = options.text.read_text(encoding="utf-8").split("\n")
    docs = [doc.strip() for doc in docs if doc.strip()]
    random.shuffle(docs)
    tokenizer = Tokenizer(docs)
    print(f"{len(docs)} documents, {tokenizer.size} tokens")

    weights = make_weights(tokenizer.size)
    train(weights, [tokenizer.encode(doc) for doc in docs], options.steps)
    for i in range(options.samples):
        print(f"sample {i + 1}: {sample(weights, tokenizer, options.temperature)}")


if __name__ == "__main__":
    main()

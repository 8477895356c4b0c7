#!/usr/bin/env python3
"""Accuracy of the weights in training, without a server. Run by itself it reads the newest checkpoint and names each miss.

An answer counts when every token the model must write is its first choice, which is exactly what greedy
decoding would have written. `sampled` is the chance of the right answer at temperature 0.8 with min-p 0.05.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from checkpoint import restore
from model import Shape, init, logits
from questions import load_facts, sets


def score(params: dict, shape: Shape, tok: Tokenizer, pairs: list[tuple[str, str]], batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """For each pair: greedy right or not, and the chance of the right answer when sampling."""
    encoded = []
    for question, answer in pairs:
        ask = tok.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n").ids
        encoded.append((ask, tok.encode(answer + "<|im_end|>").ids))
    width = -(-max(len(a) + len(r) for a, r in encoded) // 32) * 32

    @jax.jit
    def run(ids, target):
        shapeless = jnp.arange(width)[None].astype(jnp.float32) + 0 * ids
        probs = jax.nn.softmax(logits(params, shape, ids, shapeless, 0 * ids) / 0.8, -1)
        best = probs.max(-1)
        likely = jnp.where(probs >= 0.05 ** (1 / 0.8) * best[..., None], probs, 0)
        chosen = jnp.take_along_axis(likely, target[..., None], -1)[..., 0] / likely.sum(-1)
        return probs.argmax(-1) == target, chosen

    right, chance = [], []
    for start in range(0, len(encoded), batch):
        ids = np.zeros((batch, width), np.int32)
        target, need = np.zeros_like(ids), np.zeros(ids.shape, bool)
        part = encoded[start : start + batch]
        for i, (ask, reply) in enumerate(part):
            whole = ask + reply
            ids[i, : len(whole)] = whole
            target[i, len(ask) - 1 : len(whole) - 1] = reply
            need[i, len(ask) - 1 : len(whole) - 1] = True
        hit, chosen = (np.asarray(x) for x in run(ids, target))
        right.extend((hit | ~need).all(1)[: len(part)])
        chance.extend(np.where(need, chosen, 1).prod(1)[: len(part)])
    return np.asarray(right), np.asarray(chance)


def report(params: dict, shape: Shape, tok: Tokenizer, data: dict, misses: bool = False) -> str:
    """One line per set, and the missed questions when asked for."""
    lines = []
    for name, pairs in sets(data).items():
        right, chance = score(params, shape, tok, pairs)
        lines.append(f"  {name}: greedy {right.mean():.3f} ({right.sum()}/{len(right)}), sampled {chance.mean():.3f}")
        if misses:
            lines += [f"    missed: {q}  (wanted: {a[:40]}, chance {c:.2f})" for (q, a), r, c in zip(pairs, right, chance) if not r]
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("work", type=Path, help="the folder with tokenizer.json and checkpoint.npz")
    args = p.parse_args()
    tok = Tokenizer.from_file(str(args.work / "tokenizer.json"))
    shape = Shape(vocab=tok.get_vocab_size())
    step, params, _ = restore(args.work / "checkpoint.npz", init(shape, 0))
    print(f"step {step}\n{report(params, shape, tok, load_facts(), misses=True)}")


if __name__ == "__main__":
    main()

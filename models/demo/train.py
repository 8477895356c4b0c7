#!/usr/bin/env python3
"""Trains the demo model on the CPU and writes myownllm-demo.gguf. See README.md for the commands.

The random stream is a function of the seed and the step, so a run that is cut short resumes from its
checkpoint with the same batches.
"""

import argparse
import random
import time
from pathlib import Path

import jax
import numpy as np
import optax
from tokenizers import Tokenizer

from checkpoint import restore, save
from conversations import Rows, Talk, train_tokenizer
from export import write_gguf
from inspect_model import report
from model import Shape, count, init, logits
from questions import HERE, load_facts


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--steps", type=int, default=3600, help="training steps")
    p.add_argument("--long-every", type=int, default=12, help="one step in this many trains on long conversations")
    p.add_argument("--rows", type=int, default=16)
    p.add_argument("--length", type=int, default=256)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--vocab", type=int, default=1536)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--work", type=Path, default=Path.home() / ".cache/myownllm/demo-training", help="checkpoints")
    p.add_argument("--out", type=Path, default=HERE / "myownllm-demo.gguf")
    p.add_argument("--resume", action="store_true", help="continue from the checkpoint in --work")
    p.add_argument("--start-from", type=Path, help="--work folder of an earlier run whose tokenizer and weights to begin with")
    return p.parse_args()


def make_step(shape: Shape, optimiser: optax.GradientTransformation):
    """One jitted update; the loss counts only what the model must write."""

    def loss(params, ids, mask, pos, seg):
        scores = logits(params, shape, ids[:, :-1], pos[:, :-1], seg[:, :-1])
        weight = mask[:, 1:] * (seg[:, 1:] == seg[:, :-1])
        cross = optax.softmax_cross_entropy_with_integer_labels(scores, ids[:, 1:])
        return (cross * weight).sum() / weight.sum()

    @jax.jit
    def step(params, state, ids, mask, pos, seg):
        value, grads = jax.value_and_grad(loss)(params, ids, mask, pos, seg)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    return step


def main() -> None:
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    data = load_facts()
    tok = Tokenizer.from_file(str(args.start_from / "tokenizer.json")) if args.start_from else train_tokenizer(data, args.seed, args.vocab)
    tok.save(str(args.work / "tokenizer.json"))
    shape = Shape(vocab=tok.get_vocab_size())
    params = init(shape, args.seed)
    if args.start_from:
        params = restore(args.start_from / "checkpoint.npz", params)[1]
    rate = optax.warmup_cosine_decay_schedule(0, args.lr, 100, args.steps, args.lr * 0.02)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98, weight_decay=0.05))
    state, first = optimiser.init(params), 0
    checkpoint = args.work / "checkpoint.npz"
    if args.resume and checkpoint.exists():
        first, params, state = restore(checkpoint, params, state)
    print(f"{count(params)} parameters, vocabulary {shape.vocab}, {len(data['facts'])} facts, from step {first}", flush=True)
    step, began, losses = make_step(shape, optimiser), time.time(), []
    for i in range(first, args.steps):
        long = (i + 1) % args.long_every == 0
        rows = Rows(Talk(data, random.Random(f"{args.seed}-{i}")), tok, 6 * args.length if long else args.length)
        batch = rows.batch(max(1, args.rows // 6) if long else args.rows, single=long)
        params, state, value = step(params, state, *batch)
        losses.append(float(value))
        if (i + 1) % 50 == 0:
            print(f"step {i + 1} loss {np.mean(losses[-50:]):.4f} {time.time() - began:.0f} s", flush=True)
        if (i + 1) % 200 == 0 or i + 1 == args.steps:
            save(checkpoint, i + 1, params, state)
        if (i + 1) % 400 == 0 or i + 1 == args.steps:
            print(report(params, shape, tok, data), flush=True)
    print(f"{args.out.name}: {write_gguf(args.out, params, shape, tok)} bytes", flush=True)


if __name__ == "__main__":
    main()

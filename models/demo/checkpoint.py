"""Checkpoints: every leaf of a tree in one npz file."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def save(path: Path, step: int, params: dict, state) -> None:
    """Writes weights and optimiser state, then moves the file into place whole."""
    leaves = jax.tree.leaves((params, state))
    temporary = path.with_name("writing.npz")
    np.savez(temporary, step=step, **{f"x{i}": np.asarray(x) for i, x in enumerate(leaves)})
    temporary.replace(path)


def restore(path: Path, params: dict, state=None):
    """Step, weights and state of a checkpoint; the arguments give the form. Without `state` only the weights are read."""
    tree = jax.tree.structure((params, state))
    with np.load(path) as stored:
        leaves = [jnp.asarray(stored[f"x{i}"]) for i in range(tree.num_leaves)]
        return int(stored["step"]), *jax.tree.unflatten(tree, leaves)

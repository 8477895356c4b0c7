"""A small llama-architecture transformer in JAX: RMSNorm, rotary positions, SwiGLU, untied output."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Shape:
    """The sizes that the GGUF header repeats."""

    vocab: int
    width: int = 160
    layers: int = 4
    heads: int = 5
    hidden: int = 448
    theta: float = 10000.0
    eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def init(shape: Shape, seed: int) -> dict:
    """Seeded starting weights; every matrix is (out, in) as GGUF wants it."""
    rng = np.random.default_rng(seed)

    def normal(*size: int, scale: float = 0.02) -> jnp.ndarray:
        return jnp.asarray(rng.standard_normal(size) * scale, jnp.float32)

    d, f = shape.width, shape.hidden
    out_scale = 0.02 / (2 * shape.layers) ** 0.5
    layer = lambda: {"attn_norm": jnp.ones(d), "ffn_norm": jnp.ones(d), "attn_q": normal(d, d, scale=0.05), "attn_k": normal(d, d, scale=0.05),
                     "attn_v": normal(d, d, scale=0.05), "attn_output": normal(d, d, scale=out_scale), "ffn_gate": normal(f, d, scale=0.05),
                     "ffn_up": normal(f, d, scale=0.05), "ffn_down": normal(d, f, scale=out_scale)}
    return {"token_embd": normal(shape.vocab, d, scale=0.05), "output": normal(shape.vocab, d), "output_norm": jnp.ones(d),
            "blocks": [layer() for _ in range(shape.layers)]}


def count(params: dict) -> int:
    """Number of weights."""
    return sum(x.size for x in jax.tree.leaves(params))


def rms_norm(x: jnp.ndarray, weight: jnp.ndarray, eps: float) -> jnp.ndarray:
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotate(x: jnp.ndarray, cos: jnp.ndarray, sin: jnp.ndarray) -> jnp.ndarray:
    """Rotary positions on neighbouring pairs, the order llama.cpp expects for this architecture."""
    a, b = x[..., 0::2], x[..., 1::2]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def hidden(params: dict, shape: Shape, tokens: jnp.ndarray, positions: jnp.ndarray, segments: jnp.ndarray) -> jnp.ndarray:
    """The normalised last states. A token sees earlier tokens of its own segment (conversation) only."""
    batch, length = tokens.shape
    freq = shape.theta ** (-jnp.arange(0, shape.head_dim, 2) / shape.head_dim)
    angle = positions[:, :, None, None] * freq
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    mask = jnp.tril(jnp.ones((length, length), bool))[None] & (segments[:, :, None] == segments[:, None, :])
    split = lambda y: y.reshape(batch, length, shape.heads, shape.head_dim)
    h = params["token_embd"][tokens]
    for block in params["blocks"]:
        y = rms_norm(h, block["attn_norm"], shape.eps)
        q, k, v = rotate(split(y @ block["attn_q"].T), cos, sin), rotate(split(y @ block["attn_k"].T), cos, sin), split(y @ block["attn_v"].T)
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / shape.head_dim**0.5
        weights = jax.nn.softmax(jnp.where(mask[:, None], scores, -1e9), -1)
        h = h + jnp.einsum("bhts,bshd->bthd", weights, v).reshape(batch, length, shape.width) @ block["attn_output"].T
        y = rms_norm(h, block["ffn_norm"], shape.eps)
        h = h + (jax.nn.silu(y @ block["ffn_gate"].T) * (y @ block["ffn_up"].T)) @ block["ffn_down"].T
    return rms_norm(h, params["output_norm"], shape.eps)


def logits(params: dict, shape: Shape, tokens: jnp.ndarray, positions: jnp.ndarray, segments: jnp.ndarray) -> jnp.ndarray:
    """Next-token scores for every position."""
    return hidden(params, shape, tokens, positions, segments) @ params["output"].T

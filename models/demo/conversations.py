"""Builds token rows for training and evaluation: facts, off-topic questions, histories, system prompts."""

import random

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from off_topic import GENERIC, NOUNS, off_topic
from phrasing import SMALL_TALK, vary
from questions import plain

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
OFF_TOPIC_SHARE = 0.34
SYSTEM = ["You are a helpful assistant.", "You are a helpful assistant that answers briefly.", "Be concise.", "Answer in English.", "You are an expert in {n}.",
          "You help people with {n} and {n}.", "Always be polite. Never talk about {n}.", "Today is {n}. The user likes {n}.", "You are {n}, a friendly bot.",
          "Reply in Markdown. Keep it short.", "You are an AI model. Think step by step about {n}.", "Use simple words.", "{n} {n} {n}"]


class Talk:
    """An endless, seeded source of question and answer pairs and of system prompts.

    No held-out question comes out, not even one that varying a trained phrasing happens to produce.
    """

    def __init__(self, data: dict, rnd: random.Random):
        self.facts, self.refusal, self.rnd = data["facts"], data["off_topic_answer"], rnd
        self.held_out = data["held_out"]
        self.app_questions = [q for f in self.facts if f["id"] not in SMALL_TALK for q in f["train"]]

    def pair(self) -> tuple[str, str]:
        """One varied question with its only right answer."""
        while True:
            question, answer = self.draw()
            if plain(question) not in self.held_out:
                return question, answer

    def draw(self) -> tuple[str, str]:
        """A question before the check against the held-out ones."""
        rnd = self.rnd
        if rnd.random() < OFF_TOPIC_SHARE:
            return vary(off_topic(self.app_questions, rnd), rnd, rnd.random() < 0.4), self.refusal
        fact = rnd.choice(self.facts)
        return vary(rnd.choice(fact["train"]), rnd, fact["id"] in SMALL_TALK), fact["answer"]

    def system(self) -> str:
        """A made-up system prompt."""
        text = " ".join(self.rnd.choice(SYSTEM) for _ in range(self.rnd.randrange(1, 4)))
        while "{n}" in text:
            text = text.replace("{n}", self.rnd.choice(NOUNS), 1)
        return text


def train_tokenizer(data: dict, seed: int, size: int) -> Tokenizer:
    """A byte-level BPE over text like the one the model will see."""
    talk = Talk(data, random.Random(seed))
    text = [part for _ in range(12000) for part in talk.pair()] + [talk.system() for _ in range(500)]
    text += [f["answer"] for f in data["facts"]] * 40 + [" ".join(sorted(GENERIC))] * 20 + ["system user assistant\n"] * 50
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(text, trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


class Rows:
    """Packs conversations of one to eight turns into rows of a fixed length."""

    def __init__(self, talk: Talk, tok: Tokenizer, length: int):
        self.talk, self.tok, self.length, self.rnd = talk, tok, length, talk.rnd
        self.cache: dict[str, list[int]] = {}

    def encode(self, text: str, keep: bool = False) -> list[int]:
        if not keep:
            return self.tok.encode(text).ids
        if text not in self.cache:
            self.cache[text] = self.tok.encode(text).ids
        return self.cache[text]

    def turn(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Tokens of one exchange and a mask that is 1 on what the model must write."""
        ask = self.encode("<|im_start|>user\n", True) + self.encode(question) + self.encode("<|im_end|>\n<|im_start|>assistant\n", True)
        reply = self.encode(answer + "<|im_end|>", True)
        tail = self.encode("\n", True)
        return ask + reply + tail, [0] * len(ask) + [1] * len(reply) + [0] * len(tail)

    def conversation(self, turns: int) -> tuple[list[int], list[int], list[int]]:
        """Tokens, mask and positions. Positions may jump between turns, as if more had been said there."""
        rnd, ids, mask, pos, at = self.rnd, [], [], [], 0
        if rnd.random() < 0.3:
            ids = self.encode(f"<|im_start|>system\n{self.talk.system()}<|im_end|>\n")
            mask, pos, at = [0] * len(ids), list(range(len(ids))), len(ids)
        jumpy = rnd.random() < 0.5
        for _ in range(turns):
            t, m = self.turn(*self.talk.pair())
            ids, mask = ids + t, mask + m
            pos += range(at, at + len(t))
            at += len(t) + (int(2 ** rnd.uniform(2, 10.5)) if jumpy and rnd.random() < 0.5 else 0)
        return ids, mask, pos

    def row(self, single: bool = False) -> tuple[np.ndarray, ...]:
        """One row: tokens, mask, positions, segments; `single` fills it with one long conversation."""
        parts: list[list[int]] = [[], [], [], []]
        segment = 0
        while len(parts[0]) <= self.length:
            turns = 10**6 if single else self.rnd.choice([1, 1, 1, 1, 2, 2, 3, 4, 6, 8])
            turns = min(turns, max(1, (self.length - len(parts[0])) // 24))
            ids, mask, pos = self.conversation(turns)
            for part, more in zip(parts, (ids, mask, pos, [segment] * len(ids))):
                part.extend(more)
            segment += 1
        return tuple(np.asarray(p[: self.length + 1]) for p in parts)

    def batch(self, rows: int, single: bool = False) -> tuple[np.ndarray, ...]:
        """`rows` rows, ready for the training step."""
        made = [self.row(single) for _ in range(rows)]
        ids, mask, pos, seg = (np.stack([m[i] for m in made]) for i in range(4))
        return ids.astype(np.int32), mask.astype(np.float32), pos.astype(np.float32), seg.astype(np.int32)

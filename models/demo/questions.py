"""The written text of the demo: facts, off-topic questions, and the sets that are measured. Standard library only."""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def plain(text: str) -> str:
    """A question without case and punctuation, for comparing."""
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", text.lower()).split())


def load_off_topic() -> list[str]:
    """The off-topic questions kept for evaluation."""
    return json.loads((HERE / "off_topic_held_out.json").read_text(encoding="utf-8"))["questions"]


def load_facts() -> dict:
    """facts.json, and under `held_out` every question that must never be trained on, in plain form."""
    data = json.loads((HERE / "facts.json").read_text(encoding="utf-8"))
    questions = load_off_topic() + [q for f in data["facts"] for q in f["held_out"]]
    return data | {"held_out": {plain(q) for q in questions}}


def sets(data: dict) -> dict[str, list[tuple[str, str]]]:
    """The measured sets: question and the only answer that counts."""
    return {"trained": [(q, f["answer"]) for f in data["facts"] for q in f["train"]],
            "held-out": [(q, f["answer"]) for f in data["facts"] for q in f["held_out"]],
            "off-topic": [(q, data["off_topic_answer"]) for q in load_off_topic()]}

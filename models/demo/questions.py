"""The written text of the demo: facts, off-topic questions, and the sets that are measured. Standard library only."""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def plain(text: str) -> str:
    """A question without case and punctuation, for comparing."""
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", text.lower()).split())


def read(name: str) -> dict:
    """One of the JSON files beside this one."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def load_off_topic() -> list[str]:
    """The off-topic questions kept for evaluation."""
    return read("off_topic_held_out.json")["questions"]


def load_facts() -> dict:
    """facts.json, and under `held_out` every question that must never be trained on, in plain form."""
    data, final = read("facts.json"), read("final_check.json")
    questions = load_off_topic() + [q for f in data["facts"] for q in f["held_out"]]
    questions += [*final["facts"].values(), *final["off_topic"]]
    return data | {"held_out": {plain(q) for q in questions}}


def sets(data: dict) -> dict[str, list[tuple[str, str]]]:
    """The measured sets: question and the only answer that counts."""
    final, refusal = read("final_check.json"), data["off_topic_answer"]
    return {"trained": [(q, f["answer"]) for f in data["facts"] for q in f["train"]],
            "held-out": [(q, f["answer"]) for f in data["facts"] for q in f["held_out"]],
            "off-topic": [(q, refusal) for q in load_off_topic()],
            "final check": [(final["facts"][f["id"]], f["answer"]) for f in data["facts"]],
            "final check, off-topic": [(q, refusal) for q in final["off_topic"]]}

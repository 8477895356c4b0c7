#!/usr/bin/env python3
"""Measures the demo model through an OpenAI-compatible server. Standard library only.

    evaluate.py --server llama-server            starts one on a free port for the committed model, one thread
    evaluate.py --url http://127.0.0.1:8080/v1   uses one that runs

An answer counts only when it is, word for word, the answer of the right fact. Ends with status 1 when a
measured rate is below its target.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from questions import HERE, load_facts, sets

TARGET = 0.90
SYSTEM_PROMPTS = ["You are a helpful assistant.",
                  "You are the assistant of a small office. Answer in a friendly tone, never mention prices, and keep it under fifty words."]
LONG_HISTORY_WORDS = 700


class Server:
    """One OpenAI-compatible endpoint."""

    def __init__(self, url: str, model: str | None, key: str | None):
        self.url, self.key = url.rstrip("/"), key
        self.model = model or self.call("GET", "/models")["data"][0]["id"]

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body else None)
        request.add_header("Content-Type", "application/json")
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)

    def ask(self, messages: list[dict], **options) -> tuple[str, int]:
        """The answer and the number of prompt tokens. Without a temperature the server's own sampling is used."""
        reply = self.call("POST", "/chat/completions", {"model": self.model, "max_tokens": 80, "messages": messages, **options})
        return reply["choices"][0]["message"]["content"].strip(), reply.get("usage", {}).get("prompt_tokens", 0)


@contextlib.contextmanager
def started(binary: str, model: Path) -> Iterator[str]:
    """Runs a llama-server for the length of the block and yields its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [binary, "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "8192", "-np", "2", "--no-webui"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{binary} did not become ready; run it by hand to see why: {' '.join(command)}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def other_end(question: str, rnd: random.Random) -> str:
    """A trained question with another case of its first letter and another end."""
    return rnd.choice([question.capitalize(), question]) + rnd.choice(["?", "??", ".", " please", "!", " ?"])


def slip(question: str, rnd: random.Random) -> str:
    """A trained question with two neighbouring characters swapped somewhere."""
    i = rnd.randrange(1, len(question) - 2)
    return question[:i] + question[i + 1] + question[i] + question[i + 2:] + "?"


def long_history(data: dict, rnd: random.Random) -> list[dict]:
    """Earlier questions and answers worth at least `LONG_HISTORY_WORDS` words."""
    messages: list[dict] = []
    while sum(len(m["content"].split()) for m in messages) < LONG_HISTORY_WORDS:
        fact = rnd.choice(data["facts"])
        messages += [*user(rnd.choice(fact["train"]).capitalize() + "?"), {"role": "assistant", "content": fact["answer"]}]
    return messages


class Evaluation:
    """Asks, counts and prints; `failed` names what missed its target."""

    def __init__(self, server: Server, show: bool):
        self.server, self.show, self.failed = server, show, []

    def rate(self, name: str, asks: list[tuple[list[dict], str]], seed: int | None = None, target: float = TARGET) -> None:
        """Prints the share of exact answers to `asks`: greedy, or with the server's own sampling from `seed` on.

        Every request gets a seed of its own: with one seed for all, one unlucky draw would hit them all.
        """
        def answer(i: int) -> str:
            options = {"temperature": 0} if seed is None else {"seed": 10_000 * seed + i}
            return self.server.ask(asks[i][0], **options)[0]

        with ThreadPoolExecutor(2) as pool:
            got = list(pool.map(answer, range(len(asks))))
        right = [answer == want for answer, (_, want) in zip(got, asks)]
        share = sum(right) / len(right)
        print(f"{name:<44} {sum(right):>4}/{len(right):<4} {100 * share:5.1f} %", flush=True)
        if share < target:
            self.failed.append(f"{name} {100 * share:.1f} %, target {100 * target:.0f} %")
        if self.show:
            for (messages, _), answer, ok in zip(asks, got, right):
                if not ok:
                    print(f"    {messages[-1]['content']!r} -> {answer[:90]!r}")


def greeting(server: Server) -> bool:
    """Whether "hello" is answered by something that calls itself a demo."""
    began = time.monotonic()
    answer, _ = server.ask(user("hello"), temperature=0)
    print(f'"hello" -> {answer!r} in {1000 * (time.monotonic() - began):.0f} ms')
    return "demo" in answer.lower()


def evaluate(server: Server, seeds: int, show: bool) -> list[str]:
    """Runs every measurement and returns what missed its target."""
    data, rnd = load_facts(), random.Random(1)
    groups = sets(data)
    run = Evaluation(server, show)
    plainly = lambda pairs: [(user(q), a) for q, a in pairs]
    some = groups["held-out"][::3] + groups["off-topic"][::4]
    if not greeting(server):
        run.failed.append('"hello" is not answered by a demo')
    for name, pairs in groups.items():
        run.rate(f"{name}, greedy", plainly(pairs))
    some_trained = [(q, a) for q, a in groups["trained"][::3] if len(q) > 12]
    run.rate("trained, other end and case, greedy", plainly([(other_end(q, rnd), a) for q, a in some_trained]))
    run.rate("trained, one slip, greedy (no target)", plainly([(slip(q, rnd), a) for q, a in some_trained]), target=0)
    run.rate("trained, all capitals, greedy (no target)", plainly([(q.upper(), a) for q, a in some_trained]), target=0)
    for i, system in enumerate(SYSTEM_PROMPTS):
        run.rate(f"held-out and off-topic, system prompt {i + 1}", [([{"role": "system", "content": system}, *m], a) for m, a in plainly(some)])
    history = [([*long_history(data, rnd), *m], a) for m, a in plainly(some)]
    print(f"long history: {server.ask(history[0][0], temperature=0)[1]} prompt tokens")
    run.rate("held-out and off-topic, after a long history", history)
    for seed in range(1, seeds + 1):
        for name in ("held-out", "off-topic"):
            run.rate(f"{name}, the server's own sampling, seed {seed}", plainly(groups[name]), seed)
    return run.failed


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--server", help="a llama-server binary to start")
    where.add_argument("--url", help="an endpoint that runs, up to and with /v1")
    p.add_argument("--gguf", type=Path, default=HERE / "myownllm-demo.gguf", help="the model that --server loads")
    p.add_argument("--model", help="model id; the first of /models unless given")
    p.add_argument("--seeds", type=int, default=3, help="rounds with the server's own sampling")
    p.add_argument("--misses", action="store_true", help="print each wrong answer")
    args = p.parse_args()
    place = started(args.server, args.gguf) if args.server else contextlib.nullcontext(args.url)
    with place as url:
        failed = evaluate(Server(url, args.model, os.environ.get("OPENAI_API_KEY")), args.seeds, args.misses)
    for line in failed:
        print("below target:", line)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()

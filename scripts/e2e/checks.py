"""What the client scripts share: named checks, each of which passes or says why not; one JSON document at the end.

Arguments of each script: the base URL, then the models by what they are for.
"""

import json
import sys
import traceback

QUESTION = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# What the engine of the tests wants to know, and what it says when it is told.
CITY = {"city": "Paris"}
ANSWER = "It is 18 degrees in Paris."
THOUGHT = "Let me see."


class Checks:
    """Runs checks in order and remembers what came of them."""

    def __init__(self):
        names = ["base", "chat", "embed", "tools", "slow"]
        for name, value in zip(names, sys.argv[1:], strict=True):
            setattr(self, name, value)
        self.results = []

    def __call__(self, name):
        """A decorator: runs the function as the check of this name."""

        def run(check):
            try:
                problem = check()
            except Exception:  # noqa: BLE001 - whatever goes wrong is the result
                problem = traceback.format_exc(limit=-3)
            self.results.append({"check": name, "problem": problem})

        return run

    def finish(self):
        print(json.dumps(self.results))


def expect(condition, what):
    """Raises with `what` unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def refused(kind, call):
    """The error of this kind that a call must end with."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("it was not refused")

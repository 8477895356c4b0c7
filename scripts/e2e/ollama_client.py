"""Uses the local API with the official Ollama client for Python. Prints one JSON document; see checks.py."""

import json

import ollama
from checks import ANSWER, CITY, QUESTION, THOUGHT, WEATHER, Checks, expect, refused

check = Checks()
client = ollama.Client(host=check.base, timeout=60)
TOOL = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
SCHEMA = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@check("models")
def _():
    names = [model.model for model in client.list().models]
    expect("myownllm" in names, names)
    expect(any(name.split("/")[-1] == check.chat.split("/")[-1] for name in names), names)


@check("chat")
def _():
    answer = client.chat(check.chat, QUESTION, options={"num_predict": 64, "num_ctx": 4096})
    expect(answer.message.content.strip() and answer.done_reason == "stop", answer)
    expect(answer.eval_count > 0 and answer.total_duration > 0, answer)
    short = client.chat(check.chat, QUESTION, options={"num_predict": 2})
    expect(short.done_reason == "length" and short.eval_count == 2, short)


@check("chat, streamed")
def _():
    parts = list(client.chat(check.chat, QUESTION, stream=True, keep_alive="5m"))
    texts = [part.message.content for part in parts if part.message.content]
    expect("".join(texts) == client.chat(check.chat, QUESTION).message.content, texts)
    expect(len(texts) > 1, "the answer came in one piece")
    last = parts[-1]
    expect(last.done and last.prompt_eval_count > 0 and last.eval_count > 0 and last.eval_duration > 0, last)


@check("generate")
def _():
    answer = client.generate(check.chat, "Hello", system="Be brief.")
    parts = list(client.generate(check.chat, "Hello", system="Be brief.", stream=True))
    expect("".join(part.response for part in parts) == answer.response != "", answer)
    raw = client.generate(check.chat, "Hello", raw=True, options={"num_predict": 3})
    expect(raw.response and raw.done_reason == "length", raw)


@check("loading ahead")
def _():
    expect(client.generate(check.chat, "").done_reason == "load", "not loaded")
    running = [model.model.split("/")[-1] for model in client.ps().models]
    expect(check.chat.split("/")[-1] in running, running)


@check("show")
def _():
    name = next(model.model for model in client.list().models if model.model.endswith(check.chat.split("/")[-1]))
    shown = client.show(name)
    expect("completion" in shown.capabilities, shown)


@check("JSON by a schema")
def _():
    answer = client.chat(check.chat, QUESTION, format=SCHEMA)
    expect(isinstance(json.loads(answer.message.content)["sure"], bool), answer)


@check("tools")
def _():
    first = client.chat(check.tools, QUESTION, tools=TOOL)
    call = first.message.tool_calls[0].function
    expect(call.name == "get_weather" and dict(call.arguments) == CITY, first)
    told = [*QUESTION, first.message, {"role": "tool", "tool_name": "get_weather", "content": "18"}]
    expect(client.chat(check.tools, told, tools=TOOL).message.content == ANSWER, "no answer to the result")


@check("tools, streamed")
def _():
    parts = list(client.chat(check.tools, QUESTION, tools=TOOL, stream=True))
    calls = [call for part in parts for call in part.message.tool_calls or []]
    expect(len(calls) == 1 and dict(calls[0].function.arguments) == CITY, parts)


@check("thinking")
def _():
    answer = client.chat(check.tools, QUESTION, think=True)
    expect(answer.message.thinking == THOUGHT, answer)


@check("images")
def _():
    said = [{"role": "user", "content": "What?", "images": [PIXEL]}]
    expect(client.chat(check.tools, said).message.content == "I see 1 image.", "the image did not arrive")


@check("embeddings")
def _():
    several = client.embed(check.embed, ["one", "two"])
    expect(len(several.embeddings) == 2 and len(several.embeddings[0]) > 1, "no vectors")
    one = client.embeddings(check.embed, "one")
    expect(len(one.embedding) == len(several.embeddings[0]), "another length")


@check("errors")
def _():
    unknown = refused(ollama.ResponseError, lambda: client.chat("no-such-model", QUESTION))
    expect(unknown.status_code == 404 and "no-such-model" in unknown.error, unknown)
    pull = refused(ollama.ResponseError, lambda: client.pull("llama3"))
    expect(pull.status_code == 501, pull)
    for change in [lambda: client.delete("x"), lambda: client.copy("x", "y"), lambda: client.create("x", from_="y")]:
        expect(refused(ollama.ResponseError, change).status_code == 501, "another status")
    template = refused(ollama.ResponseError, lambda: client.generate(check.chat, "x", template="{{ .Prompt }}"))
    expect(template.status_code == 400 and "template" in template.error, template)
    option = refused(ollama.ResponseError, lambda: client.chat(check.chat, QUESTION, options={"top_k": "many"}))
    expect(option.status_code == 400, option)


@check("cancelled")
def _():
    stream = client.chat(check.slow, QUESTION, stream=True)
    next(iter(stream))
    stream.close()


check.finish()

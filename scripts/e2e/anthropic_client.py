"""Uses the local API with the official Anthropic client for Python. Prints one JSON document; see checks.py."""

import anthropic
from checks import ANSWER, CITY, QUESTION, THOUGHT, WEATHER, Checks, expect, refused

check = Checks()
client = anthropic.Anthropic(base_url=check.base, api_key="none", timeout=60, max_retries=0)
TOOL = [{"name": "get_weather", "description": "The weather of a city.", "input_schema": WEATHER}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def ask(model, messages=QUESTION, **more):
    return client.messages.create(model=model, max_tokens=64, messages=messages, **more)


@check("models")
def _():
    ids = [model.id for model in client.models.list()]
    expect("myownllm" in ids, ids)
    expect(client.models.retrieve("myownllm").id == "myownllm", "not found by its id")


@check("messages")
def _():
    answer = ask(check.chat, system="Be brief.")
    expect(answer.content[0].text.strip() and answer.stop_reason == "end_turn", answer)
    expect(answer.usage.output_tokens > 0, answer.usage)
    short = client.messages.create(model=check.chat, max_tokens=2, messages=QUESTION)
    expect(short.stop_reason == "max_tokens", short)


@check("messages, streamed")
def _():
    with client.messages.stream(model=check.chat, max_tokens=64, messages=QUESTION) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()
    expect("".join(pieces) == ask(check.chat).content[0].text, pieces)
    expect(len(pieces) > 1, "the answer came in one piece")
    expect(answer.stop_reason == "end_turn" and answer.usage.output_tokens > 0, answer)


@check("system and messages as blocks")
def _():
    blocks = [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]
    answer = ask(check.chat, [{"role": "user", "content": blocks}], system=blocks, metadata={"user_id": "u"})
    expect(answer.content[0].text.strip(), answer)


@check("stop sequences")
def _():
    answer = ask(check.chat, stop_sequences=["model"])
    expect("model" not in answer.content[0].text and answer.content[0].text.strip(), answer)


@check("tools")
def _():
    first = ask(check.tools, tools=TOOL, tool_choice={"type": "auto"})
    call = first.content[-1]
    expect(first.stop_reason == "tool_use" and call.input == CITY, first)
    result = [{"type": "tool_result", "tool_use_id": call.id, "content": "18"}]
    told = [*QUESTION, {"role": "assistant", "content": first.content}, {"role": "user", "content": result}]
    expect(ask(check.tools, told, tools=TOOL).content[-1].text == ANSWER, "no answer to the result")


@check("tools, streamed")
def _():
    with client.messages.stream(model=check.tools, max_tokens=64, messages=QUESTION, tools=TOOL) as stream:
        answer = stream.get_final_message()
    expect(answer.stop_reason == "tool_use" and answer.content[-1].input == CITY, answer)


@check("thinking")
def _():
    answer = ask(check.tools, thinking={"type": "enabled", "budget_tokens": 1024})
    expect(answer.content[0].type == "thinking" and answer.content[0].thinking == THOUGHT, answer)


@check("images")
def _():
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    said = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]}]
    expect(ask(check.tools, said).content[-1].text == "I see 1 image.", "the image did not arrive")
    error = refused(anthropic.APIStatusError, lambda: ask(check.chat, said))
    expect("image" in str(error), "a model without eyes says so")


@check("counting tokens")
def _():
    counted = client.messages.count_tokens(model=check.chat, messages=QUESTION)
    used = ask(check.chat).usage
    expect(counted.input_tokens == used.input_tokens + used.cache_read_input_tokens, (counted, used))


@check("errors")
def _():
    unknown = refused(anthropic.NotFoundError, lambda: ask("no-such-model"))
    expect(unknown.body["error"]["type"] == "not_found_error", unknown)
    bad = refused(
        anthropic.BadRequestError, lambda: client.messages.create(model=check.chat, max_tokens=0, messages=QUESTION)
    )
    expect(bad.body["error"]["type"] == "invalid_request_error", bad)
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    refused(anthropic.BadRequestError, lambda: ask(check.chat, tools=search))


@check("cancelled")
def _():
    with client.messages.stream(model=check.slow, max_tokens=64, messages=QUESTION) as stream:
        next(iter(stream.text_stream))


check.finish()

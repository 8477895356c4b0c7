"""Uses the local API with the official OpenAI client for Python. Prints one JSON document; see checks.py."""

import json

import openai
from checks import ANSWER, CITY, QUESTION, WEATHER, Checks, expect, refused

check = Checks()
# No key is needed; the client insists on one.
client = openai.OpenAI(base_url=f"{check.base}/v1", api_key="none", timeout=60, max_retries=0)
TOOL = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
FLAT = [{"type": "function", "name": "get_weather", "parameters": WEATHER}]
SCHEMA = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}


def whole():
    return client.chat.completions.create(model=check.chat, messages=QUESTION, max_tokens=64)


@check("models")
def _():
    ids = [model.id for model in client.models.list()]
    expect("myownllm" in ids, ids)
    expect(any(id.split("/")[-1] == check.chat.split("/")[-1] for id in ids), ids)


@check("chat")
def _():
    answer = whole()
    expect(answer.choices[0].message.content.strip(), answer)
    expect(answer.usage.completion_tokens > 0, answer.usage)


@check("chat, streamed")
def _():
    pieces, finish, usage = [], None, None
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model=check.chat, messages=QUESTION, max_tokens=64, stream=True, stream_options=options
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    expect("".join(pieces) == whole().choices[0].message.content, pieces)
    expect(len([piece for piece in pieces if piece]) > 1, "the answer came in one piece")
    expect(finish == "stop" and usage.completion_tokens > 0, (finish, usage))


@check("the virtual model")
def _():
    answer = client.chat.completions.create(model="myownllm", messages=QUESTION, max_tokens=8)
    expect(answer.choices[0].message is not None, answer)


@check("log probabilities")
def _():
    answer = client.chat.completions.create(
        model=check.chat, messages=QUESTION, max_tokens=4, logprobs=True, top_logprobs=2
    )
    expect(len(answer.choices[0].logprobs.content) == 4, answer)


@check("JSON by a schema")
def _():
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    answer = client.chat.completions.create(
        model=check.chat, messages=QUESTION, max_tokens=64, response_format=form
    )
    expect(isinstance(json.loads(answer.choices[0].message.content)["sure"], bool), answer)


@check("tools")
def _():
    answer = client.chat.completions.create(model=check.tools, messages=QUESTION, tools=TOOL)
    call = answer.choices[0].message.tool_calls[0]
    expect(json.loads(call.function.arguments) == CITY, call)
    told = [*QUESTION, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18"}]
    last = client.chat.completions.create(model=check.tools, messages=told, tools=TOOL)
    expect(last.choices[0].message.content == ANSWER, last)


@check("tools, streamed")
def _():
    with client.chat.completions.stream(model=check.tools, messages=QUESTION, tools=TOOL) as stream:
        answer = stream.get_final_completion()
    expect(json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == CITY, answer)


@check("completions")
def _():
    answer = client.completions.create(model=check.chat, prompt="Hello", max_tokens=4)
    pieces = client.completions.create(model=check.chat, prompt="Hello", max_tokens=4, stream=True)
    expect("".join(piece.choices[0].text for piece in pieces if piece.choices) == answer.choices[0].text, answer)


@check("embeddings")
def _():
    answer = client.embeddings.create(model=check.embed, input=["one", "two"])
    expect(len(answer.data) == 2 and len(answer.data[0].embedding) > 1, "no vectors")


@check("responses")
def _():
    answer = client.responses.create(model=check.chat, input="Hello", max_output_tokens=64)
    expect(answer.output_text == whole().choices[0].message.content, answer)
    expect(answer.status == "completed" and answer.usage.output_tokens > 0, answer)
    short = client.responses.create(model=check.chat, input="Hello", max_output_tokens=2)
    expect(short.incomplete_details.reason == "max_output_tokens", short)


@check("responses, streamed")
def _():
    with client.responses.stream(model=check.chat, input="Hello") as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_response()
    expect(kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds)
    expect(kinds.count("response.output_text.delta") > 1, "the answer came in one piece")
    expect(answer.output_text == whole().choices[0].message.content, answer)


@check("responses, tools")
def _():
    first = client.responses.create(model=check.tools, input="Hello", tools=FLAT)
    call = next(item for item in first.output if item.type == "function_call")
    expect(json.loads(call.arguments) == CITY, call)
    told = [*QUESTION, *first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "18"}]
    last = client.responses.create(model=check.tools, input=told, tools=FLAT)
    expect(last.output_text == ANSWER, last)
    with client.responses.stream(model=check.tools, input="Hello", tools=FLAT) as stream:
        stream.until_done()
        again = stream.get_final_response()
    expect(any(item.type == "function_call" and json.loads(item.arguments) == CITY for item in again.output), again)


@check("counting tokens")
def _():
    counted = client.responses.input_tokens.count(model=check.chat, input="Hello")
    expect(counted.input_tokens > 0, counted)


@check("errors")
def _():
    unknown = refused(
        openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=QUESTION)
    )
    expect("no-such-model" in str(unknown) and unknown.code == "model_not_found", unknown)
    refused(openai.BadRequestError, lambda: client.chat.completions.create(model=check.chat, messages=[]))
    earlier = refused(
        openai.BadRequestError,
        lambda: client.responses.create(model=check.chat, input="Hello", previous_response_id="resp_1"),
    )
    expect(earlier.param == "previous_response_id", earlier)
    refused(openai.NotFoundError, lambda: client.responses.retrieve("resp_1"))


@check("cancelled")
def _():
    stream = client.chat.completions.create(model=check.slow, messages=QUESTION, stream=True)
    next(iter(stream))
    stream.close()
    with client.responses.stream(model=check.slow, input="Hello") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break


check.finish()

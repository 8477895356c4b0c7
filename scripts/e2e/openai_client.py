"""Asks the local API with the official OpenAI client for Python. Prints one JSON document.

usage: openai_client.py BASE_URL CHAT_MODEL EMBEDDING_MODEL
"""

import json
import sys

import openai

base_url, chat_model, embedding_model = sys.argv[1:4]
# No key is needed; the client insists on one.
client = openai.OpenAI(base_url=base_url, api_key="none", timeout=60, max_retries=0)
question = [{"role": "user", "content": "Hello"}]

whole = client.chat.completions.create(model=chat_model, messages=question, max_tokens=64)

pieces, finish = [], None
for chunk in client.chat.completions.create(model=chat_model, messages=question, max_tokens=64, stream=True):
    for choice in chunk.choices:
        pieces.append(choice.delta.content or "")
        finish = choice.finish_reason or finish

embedding = client.embeddings.create(model=embedding_model, input=["one", "two"])

try:
    client.chat.completions.create(model="no-such-model", messages=question)
    unknown = None
except openai.APIStatusError as error:
    unknown = {"status": error.status_code, "message": str(error)}

print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "whole": whole.choices[0].message.content,
            "pieces": len([piece for piece in pieces if piece]),
            "streamed": "".join(pieces),
            "finish": finish,
            "embeddings": [len(item.embedding) for item in embedding.data],
            "unknown": unknown,
        }
    )
)

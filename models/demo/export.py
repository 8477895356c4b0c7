"""Writes the trained weights as a GGUF file that llama-server loads as it is."""

import argparse
import json
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer

from checkpoint import restore
from conversations import SPECIAL
from model import Shape, init
from questions import HERE

CONTEXT = 4096
# ChatML. What a person types is put in small letters, so that capitals do not split it into pieces the model hardly knows.
CHAT_TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
                 "{% if message['role'] == 'user' %}{{ message['content'] | lower }}{% else %}{{ message['content'] }}{% endif %}"
                 "{{ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
DESCRIPTION = "A tiny demo model trained for MyOwnLLM. It knows only this app and says so when asked anything else."


def header(w: GGUFWriter, shape: Shape) -> None:
    """Name, sizes and licence."""
    w.add_name("MyOwnLLM demo")
    w.add_description(DESCRIPTION)
    w.add_license("MIT OR Apache-2.0")
    w.add_author("The MyOwnLLM contributors")
    w.add_languages(["en"])
    w.add_tags(["demo", "help"])
    w.add_context_length(CONTEXT)
    w.add_embedding_length(shape.width)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.hidden)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.heads)
    w.add_rope_dimension_count(shape.head_dim)
    w.add_rope_freq_base(shape.theta)
    w.add_layer_norm_rms_eps(shape.eps)
    w.add_vocab_size(shape.vocab)
    w.add_file_type(1)


def vocabulary(w: GGUFWriter, tok: Tokenizer) -> None:
    """Tokens, merges and the chat template."""
    model = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([TokenType.CONTROL if t in SPECIAL else TokenType.NORMAL for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    w.add_bos_token_id(tokens.index(SPECIAL[0]))
    w.add_eos_token_id(tokens.index(SPECIAL[2]))
    w.add_pad_token_id(tokens.index(SPECIAL[0]))
    w.add_add_bos_token(False)
    w.add_chat_template(CHAT_TEMPLATE)


def write_gguf(path: Path, params: dict, shape: Shape, tok: Tokenizer) -> int:
    """Writes the file (matrices F16, norms F32) and returns its size in bytes."""
    w = GGUFWriter(path, "llama")
    header(w, shape)
    vocabulary(w, tok)
    half = lambda name, x: w.add_tensor(name + ".weight", np.asarray(x, np.float16))
    full = lambda name, x: w.add_tensor(name + ".weight", np.asarray(x, np.float32))
    half("token_embd", params["token_embd"])
    full("output_norm", params["output_norm"])
    half("output", params["output"])
    for i, block in enumerate(params["blocks"]):
        for name, x in block.items():
            (full if name.endswith("norm") else half)(f"blk.{i}.{name}", x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path.stat().st_size


def main() -> None:
    p = argparse.ArgumentParser(description="Writes the GGUF file of a checkpoint again, as after a change of the header.")
    p.add_argument("work", type=Path, help="the folder with tokenizer.json and checkpoint.npz")
    p.add_argument("--out", type=Path, default=HERE / "myownllm-demo.gguf")
    args = p.parse_args()
    tok = Tokenizer.from_file(str(args.work / "tokenizer.json"))
    shape = Shape(vocab=tok.get_vocab_size())
    print(write_gguf(args.out, restore(args.work / "checkpoint.npz", init(shape, 0))[1], shape, tok), "bytes")


if __name__ == "__main__":
    main()

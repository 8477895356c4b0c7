/** What a person copies to point a program at the local API. Programs, so not in the catalogue of words. */
import type { LocalApi } from "../../ipc/bindings";

export interface Setup {
  id: string;
  name: string;
  language: string;
  text: string;
}

/** Clients insist on a key even where none is looked at. */
const KEY_HERE = "YOUR-KEY";

export function setups({ openai_url, base_url, key_required }: LocalApi): Setup[] {
  const key = key_required ? KEY_HERE : "none";
  return [
    {
      id: "openai-python",
      name: "OpenAI, Python",
      language: "python",
      text: `from openai import OpenAI

client = OpenAI(base_url="${openai_url}", api_key="${key}")
answer = client.chat.completions.create(
    model="myownllm",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
    },
    {
      id: "openai-js",
      name: "OpenAI, JavaScript",
      language: "js",
      text: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${openai_url}", apiKey: "${key}" });
const answer = await client.chat.completions.create({
  model: "myownllm",
  messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.choices[0].message.content);`,
    },
    {
      id: "anthropic",
      name: "Anthropic, Claude Code",
      language: "sh",
      text: `export ANTHROPIC_BASE_URL=${base_url}
export ANTHROPIC_API_KEY=${key}
export ANTHROPIC_MODEL=myownllm`,
    },
    {
      id: "ollama",
      name: "Ollama",
      language: "sh",
      text: `export OLLAMA_HOST=${base_url}
ollama run myownllm "Hello"`,
    },
    {
      id: "curl",
      name: "curl",
      language: "sh",
      text: [
        `curl ${openai_url}/chat/completions \\`,
        ...(key_required ? [`  -H "Authorization: Bearer ${KEY_HERE}" \\`] : []),
        `  -H "Content-Type: application/json" \\`,
        `  -d '{"model": "myownllm", "messages": [{"role": "user", "content": "Hello"}]}'`,
      ].join("\n"),
    },
    {
      id: "continue",
      name: "Continue (VS Code)",
      language: "yaml",
      text: `models:
  - name: MyOwnLLM
    provider: openai
    apiBase: ${openai_url}
    apiKey: ${key}
    model: myownllm`,
    },
    {
      id: "open-webui",
      name: "Open WebUI",
      language: "sh",
      text: `export OPENAI_API_BASE_URL=${openai_url}
export OPENAI_API_KEY=${key}
open-webui serve`,
    },
  ];
}

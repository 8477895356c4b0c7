/** What the invented household talked about with its models. */
import type { AnswerDetails, Conversation, Message } from "../bindings";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const details = (more: Partial<AnswerDetails> = {}): AnswerDetails => ({
  device_id: "d".repeat(64),
  device_name: "Desk",
  model: "qwen3-8b",
  demo: false,
  tokens: 132,
  first_token_ms: 412,
  tokens_per_s: 41.3,
  finish_reason: "stop",
  error: null,
  ...more,
});

const person = (key: string, text: string, at: number): Message => ({
  id: key,
  author: "person",
  text,
  thinking: null,
  at,
  answer: null,
});

const answer = (
  key: string,
  text: string,
  at: number,
  more: Partial<AnswerDetails> = {},
  thinking: string | null = null,
): Message => ({
  id: key,
  author: "model",
  text,
  thinking,
  at,
  answer: details(more),
});

export function conversation(key: string, title: string, at: number, messages: Message[] = []): Conversation {
  return {
    summary: {
      id: key,
      title,
      created_at: at,
      updated_at: at,
      messages: messages.length,
      folder: null,
      private: false,
      answering: null,
    },
    messages,
  };
}

const PHOTOS = `This reads the date from each photo's EXIF data and keeps a counter, so that two pictures taken in the same second do not collide:

\`\`\`sh
exiftool '-FileName<DateTimeOriginal' -d '%Y-%m-%d_%H%M%S%%-c.%%e' -ext jpg .
\`\`\`

Add \`-TestName\` instead of \`-FileName\` first to see what would change without changing anything.`;

const HEIC = `Yes. The same line takes more than one extension:

\`\`\`sh
exiftool '-FileName<DateTimeOriginal' -d '%Y-%m-%d_%H%M%S%%-c.%%e' -ext jpg -ext heic .
\`\`\`

| Format | Date field | Written by |
|---|---|---|
| JPEG | \`DateTimeOriginal\` | nearly every camera |
| HEIC | \`DateTimeOriginal\` | iPhone, recent Android |
| PNG | often missing | screenshots |

For files without a date, fall back to the file's own time:

1. Run the line above.
2. Run it again with \`-FileModifyDate\` for what is left.`;

const HEIC_THINKING =
  "They want the same for HEIC. exiftool reads HEIC too, so only the extension list changes. A table of where the date lives may help, and a note about files without one.";

const SOURDOUGH = String.raw`The cold slows the yeast. Its rate $k$ follows the temperature $T$:

$$
k(T) = A\,e^{-E_a / (R\,T)}, \qquad \frac{k(18\,^\circ\mathrm{C})}{k(26\,^\circ\mathrm{C})} \approx \frac{1}{2}
$$

So a rise of \(t = 4\) hours takes about eight. Check the water too; flour at $2 a kilo is as good as at $5.`;

const lying = (talk: Conversation, more: Partial<Conversation["summary"]>): Conversation => ({
  ...talk,
  summary: { ...talk.summary, ...more },
});

export function conversations(now: number): Conversation[] {
  return [
    conversation("c1", "Rename photos by date", now - 4 * MINUTE, [
      person(
        "m1",
        "Write a shell one-liner that renames every JPEG in a folder to its capture date.",
        now - 6 * MINUTE,
      ),
      answer("m2", PHOTOS, now - 6 * MINUTE),
      person("m3", "Does it work for HEIC too?", now - 5 * MINUTE),
      answer(
        "m4",
        HEIC,
        now - 4 * MINUTE,
        { tokens: 214, first_token_ms: 380, tokens_per_s: 43.1 },
        HEIC_THINKING,
      ),
    ]),
    conversation("c2", "Dinner for eight, two vegan", now - 3 * HOUR, [
      person("m5", "Plan a dinner for eight. Two are vegan, one hates coriander.", now - 3 * HOUR),
      answer("m6", "Start with a **roast pepper soup**: everyone can eat it.", now - 3 * HOUR, {
        device_name: "Attic server",
      }),
    ]),
    lying(conversation("c3", "Quarterly letter, second draft", now - DAY, []), { folder: "Work" }),
    conversation("c4", "Why does my sourdough not rise", now - DAY - 2 * HOUR, [
      person("m7", "Why does my sourdough not rise in winter?", now - DAY - 2 * HOUR),
      answer("m8", SOURDOUGH, now - DAY - 2 * HOUR),
    ]),
    lying(conversation("c5", "Translate the lease", now - 5 * DAY, []), { folder: "Work", private: true }),
    conversation("c6", "Names for a boat", now - 40 * DAY, []),
  ];
}

/** What the invented daemon says, in the pieces a model would send. */
export const REPLY = `Here is a plan that keeps both ovens free until the end:

1. **Roast pepper soup** the day before. It only gets better.
2. **Mushroom and chestnut pie** for everyone: vegan if you brush it with oil.
3. **Plum crumble**, oats instead of butter.

\`\`\`text
17:00  pie in
17:20  crumble in
18:00  soup on
\`\`\`

Tell me the size of your oven and I will tighten the times.`;

export const THINKING =
  "Eight people, two vegan. One pie for all is simpler than two dishes. Keep coriander out.";

/** Splits text into pieces of about a token. */
export function pieces(text: string): string[] {
  return text.match(/\s*\S{1,6}/g) ?? [];
}

/**
 * Letters of formulas in Unicode's mathematical alphabets. KaTeX asks for them by `mathvariant`, which MathML Core, and
 * with it Chromium, no longer knows: without this, ℝ would be shown as R.
 */

/** Where "A" to "Z" and then "a" to "z" of each alphabet begin: Unicode 16, Mathematical Alphanumeric Symbols. */
const ALPHABETS: Record<string, number> = {
  bold: 0x1d400,
  italic: 0x1d434,
  "bold-italic": 0x1d468,
  script: 0x1d49c,
  "bold-script": 0x1d4d0,
  fraktur: 0x1d504,
  "double-struck": 0x1d538,
  "bold-fraktur": 0x1d56c,
  "sans-serif": 0x1d5a0,
  "bold-sans-serif": 0x1d5d4,
  "sans-serif-italic": 0x1d608,
  "sans-serif-bold-italic": 0x1d63c,
  monospace: 0x1d670,
};

/** Letters that Unicode had before, in Letterlike Symbols, and left out of the alphabets. */
const ELSEWHERE: Record<string, Record<string, string>> = {
  italic: { h: "ℎ" },
  script: {
    ...{ B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ" },
    ...{ e: "ℯ", g: "ℊ", o: "ℴ" },
  },
  fraktur: { C: "ℭ", H: "ℌ", I: "ℑ", R: "ℜ", Z: "ℨ" },
  "double-struck": { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" },
};

/** Where "0" to "9" begin. */
const DIGITS: Record<string, number> = {
  bold: 0x1d7ce,
  "double-struck": 0x1d7d8,
  "sans-serif": 0x1d7e2,
  "bold-sans-serif": 0x1d7ec,
  monospace: 0x1d7f6,
};

function letter(plain: string, variant: string): string {
  const elsewhere = ELSEWHERE[variant]?.[plain];
  if (elsewhere !== undefined) return elsewhere;
  const code = plain.charCodeAt(0);
  const digits = DIGITS[variant];
  if (code <= 0x39) return digits === undefined ? plain : String.fromCodePoint(digits + code - 0x30);
  const first = ALPHABETS[variant];
  if (first === undefined) return plain;
  return String.fromCodePoint(first + (code <= 0x5a ? code - 0x41 : code - 0x61 + 26));
}

/** MathML whose Latin letters and digits are in their alphabet already. */
export const lettered = (mathml: string): string =>
  mathml.replace(
    /<(m[in]) mathvariant="([a-z-]+)">([A-Za-z0-9]+)<\//g,
    (whole, tag: string, variant: string, text: string) =>
      variant === "normal" ? whole : `<${tag}>${text.replace(/./g, (plain) => letter(plain, variant))}</`,
  );

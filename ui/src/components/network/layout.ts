/** Where the members stand around this device in the graph of connections. */

export interface Spot {
  x: number;
  y: number;
}

/** Room that a device and its words need to the sides, and above and below, in pixels from its middle. */
const SIDE = 82;
const END = 92;

/** The middle of the picture: this device. */
export const middle = (width: number, height: number): Spot => ({ x: width / 2, y: height / 2 });

/**
 * Places for `count` members on an ellipse that fills the picture. None stands straight below the middle, where the name of
 * this device is. Where they would crowd (more than eight), every second one stands nearer.
 */
export function ring(count: number, width: number, height: number): Spot[] {
  const { x, y } = middle(width, height);
  const wide = Math.max(40, width / 2 - SIDE);
  const high = Math.max(40, height / 2 - END);
  const start = -Math.PI / 2 + (count % 2 === 0 ? Math.PI / Math.max(1, count) : 0);
  const angles = Array.from({ length: count }, (_, index) => start + (2 * Math.PI * index) / count);
  // Three or five do not reach as far down as up: the lower half is stretched until they do.
  const deepest = Math.max(0.01, ...angles.map((angle) => Math.sin(angle)));
  return angles.map((angle, index) => {
    const near = count > 8 && index % 2 === 1 ? 0.62 : 1;
    const down = Math.sin(angle) > 0.01 ? Math.sin(angle) / deepest : Math.sin(angle);
    return { x: x + wide * near * Math.cos(angle), y: y + high * near * down };
  });
}

/** Height of the picture for so many members. */
export const heightFor = (count: number): number =>
  count === 1 ? 320 : count === 2 ? 220 : count <= 8 ? 400 : 500;

/** A point on the way from `a` to `b`; 0 is `a`, 1 is `b`. */
export const between = (a: Spot, b: Spot, part: number): Spot => ({
  x: a.x + (b.x - a.x) * part,
  y: a.y + (b.y - a.y) * part,
});

/** `a` to `b`, shortened by `gap` pixels at both ends. */
export function shortened(a: Spot, b: Spot, gap: number): [Spot, Spot] {
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const part = Math.min(0.4, gap / length);
  return [between(a, b, part), between(a, b, 1 - part)];
}

/** The name of a relay as a person knows it: its host. */
export function host(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

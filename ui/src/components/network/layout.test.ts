import { expect, test } from "vitest";
import { heightFor, host, middle, ring, shortened } from "./layout";

test("everybody stands inside the picture and nobody on another", () => {
  for (const count of [1, 2, 3, 4, 5, 8, 9, 16]) {
    const [width, height] = [640, heightFor(count)];
    const spots = ring(count, width, height);
    expect(spots).toHaveLength(count);
    for (const { x, y } of spots) {
      expect(x).toBeGreaterThanOrEqual(60);
      expect(x).toBeLessThanOrEqual(width - 60);
      expect(y).toBeGreaterThanOrEqual(60);
      expect(y).toBeLessThanOrEqual(height - 60);
    }
    const all = [...spots, middle(width, height)];
    const apart = all.flatMap((a, i) => all.slice(i + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));
    expect(Math.min(...apart), `${count} members`).toBeGreaterThan(54);
  }
});

test("nobody stands straight below this device, where its name is", () => {
  for (const count of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const { x, y } = middle(640, heightFor(count));
    const below = ring(count, 640, heightFor(count)).filter(
      (spot) => spot.y > y && Math.abs(spot.x - x) < 20,
    );
    expect(below, `${count} members`).toEqual([]);
  }
});

test("a line ends before the devices at its ends, also in a picture without room", () => {
  expect(shortened({ x: 0, y: 0 }, { x: 100, y: 0 }, 30)).toEqual([
    { x: 30, y: 0 },
    { x: 70, y: 0 },
  ]);
  expect(shortened({ x: 0, y: 0 }, { x: 0, y: 0 }, 30)).toEqual([
    { x: 0, y: 0 },
    { x: 0, y: 0 },
  ]);
});

test("a relay is named by its host", () => {
  expect([host("https://relay.example.org:8443/"), host("nonsense")]).toEqual([
    "relay.example.org:8443",
    "nonsense",
  ]);
});

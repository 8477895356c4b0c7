/** The models that the invented laptop keeps, and the catalogue it chooses from. */
import type {
  FamilyModel,
  KeptModel,
  ModelFamily,
  ModelFit,
  ModelGetEvent,
  ModelPurpose,
  ModelShelf,
  ModelVariant,
} from "../bindings";

const DAY = 86_400_000;
const GB = 1_000_000_000;

export interface Library {
  shelf: ModelShelf;
  families: ModelFamily[];
  /** What one of the catalogue's files brings wrong, by its variant. */
  broken: Record<string, Extract<ModelGetEvent, { type: "error" }>>;
}

export const kept = (id: string, more: Partial<KeptModel> = {}): KeptModel => ({
  id,
  engine: "builtin",
  variant: null,
  path: `/home/mira/.local/share/myownllm/models/${id}.gguf`,
  size_bytes: 5.03 * GB,
  imported: false,
  demo: false,
  pinned: false,
  state: "available",
  percent: null,
  reason: null,
  last_used_at: null,
  unused_days: 0,
  ...more,
});

/** The models of the laptop: one in memory, one that loads, one nobody used for long, one from elsewhere, the demo. */
export function shelf(now: number): ModelShelf {
  return {
    models: [
      kept("gemma-3-27b-it-Q4_K_M", {
        variant: "gemma-3-27b-q4_k_m",
        size_bytes: 16.5 * GB,
        last_used_at: now - 74 * DAY,
        unused_days: 74,
      }),
      kept("Qwen3-8B-Q4_K_M", {
        variant: "qwen3-8b-q4_k_m",
        pinned: true,
        state: "ready",
        last_used_at: now - 12 * 60_000,
      }),
      kept("Qwen3-4B-Q4_K_M", {
        variant: "qwen3-4b-q4_k_m",
        size_bytes: 2.5 * GB,
        state: "loading",
        percent: 40,
        last_used_at: now - 2 * DAY,
        unused_days: 2,
      }),
      kept("house-style-7b", {
        path: "/home/mira/Downloads/house-style-7b.gguf",
        size_bytes: 4.4 * GB,
        imported: true,
        state: "failed",
        reason: "The file is no longer there. Put it back, or remove it here.",
        unused_days: 9,
      }),
      kept("myownllm-demo", {
        size_bytes: 2_100_000,
        demo: true,
        state: "ready",
        last_used_at: now - 3 * DAY,
      }),
    ],
    folder: "/home/mira/.local/share/myownllm/models",
    used_bytes: 24.1 * GB,
    free_bytes: 118 * GB,
    catalogue: { url: null, fetched_at: null, due_at: null, error: null },
  };
}

const WHY: Record<ModelFit, string> = {
  recommended: "It runs fast on the Radeon 780M and leaves room for other programs.",
  fits: "It runs in the memory of this device.",
  tight: "It runs, but nothing is left for other programs, and answers come slowly.",
  too_big: "It needs more memory than the 32 GB of this device.",
};

const variant = (model: string, quantisation: string, gb: number, fit: ModelFit): ModelVariant => ({
  id: `${model}-${quantisation.toLowerCase()}`,
  quantisation,
  size_bytes: gb * GB,
  memory_bytes: (gb + 1.1) * GB,
  fit,
  reason: WHY[fit],
  here: false,
});

const model = (
  id: string,
  name: string,
  millions: number,
  variants: [string, number, ModelFit][],
): FamilyModel => ({
  id,
  name,
  parameters_millions: millions,
  active_millions: millions,
  context_length: 32_768,
  variants: variants.map(([quantisation, gb, fit]) => variant(id, quantisation, gb, fit)),
});

const family = (
  id: string,
  [name, publisher, licence]: [string, string, string],
  purposes: ModelPurpose[],
  models: FamilyModel[],
): ModelFamily => ({ id, name, publisher, licence, purposes, models });

export function families(): ModelFamily[] {
  return [
    family(
      "qwen3",
      ["Qwen3", "Alibaba", "Apache-2.0"],
      ["chat", "code"],
      [
        model("qwen3-4b", "Qwen3 4B", 4_022, [
          ["Q4_K_M", 2.5, "recommended"],
          ["Q8_0", 4.28, "recommended"],
        ]),
        model("qwen3-8b", "Qwen3 8B", 8_191, [
          ["Q4_K_M", 5.03, "recommended"],
          ["Q8_0", 8.71, "fits"],
        ]),
        model("qwen3-14b", "Qwen3 14B", 14_768, [
          ["Q4_K_M", 9, "fits"],
          ["Q8_0", 15.7, "tight"],
        ]),
        model("qwen3-32b", "Qwen3 32B", 32_762, [["Q4_K_M", 19.8, "tight"]]),
      ],
    ),
    family(
      "gemma-3",
      ["Gemma 3", "Google", "Gemma"],
      ["chat", "vision"],
      [
        model("gemma-3-12b", "Gemma 3 12B", 12_187, [["Q4_K_M", 7.3, "fits"]]),
        model("gemma-3-27b", "Gemma 3 27B", 27_432, [["Q4_K_M", 16.5, "tight"]]),
      ],
    ),
    family(
      "llama-3.3",
      ["Llama 3.3", "Meta", "Llama 3.3"],
      ["chat"],
      [model("llama-3.3-70b", "Llama 3.3 70B", 70_554, [["Q4_K_M", 42.5, "too_big"]])],
    ),
    family(
      "qwen3-coder",
      ["Qwen3 Coder", "Alibaba", "Apache-2.0"],
      ["code"],
      [model("qwen3-coder-30b-a3b", "Qwen3 Coder 30B A3B", 30_532, [["Q4_K_M", 18.6, "fits"]])],
    ),
    family(
      "nomic-embed",
      ["Nomic Embed", "Nomic", "Apache-2.0"],
      ["embeddings"],
      [model("nomic-embed-text-v1.5", "Nomic Embed Text 1.5", 137, [["Q8_0", 0.146, "recommended"]])],
    ),
  ];
}

export const library = (now: number): Library => ({ shelf: shelf(now), families: families(), broken: {} });

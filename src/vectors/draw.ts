/** The numbers in vectors: made from the seed and a case's name alone, so that choosing cases changes none. */
import { Generator } from "../index.ts";
import { hashOf } from "./hash.ts";

/** Multiples of 2^-8: exact in both types, short to write, and the same on every engine. */
const GRID = 256;

export class Draw {
  private readonly generator: Generator;

  constructor(seed: number, name: string) {
    const named = Number.parseInt(hashOf(new TextEncoder().encode(name)), 16);
    this.generator = new Generator((new Generator(seed).nextSeed() + named) % 2 ** 53);
  }

  /** From [low, high). */
  uniform(n: number, low: number, high: number): number[] {
    return Array.from({ length: n }, () => grid(low + (high - low) * this.unit()));
  }

  /** About 0 with a spread of about 1: the sum of four uniform numbers, which needs no logarithm. */
  normal(n: number): number[] {
    return Array.from({ length: n }, () => {
      return grid(1.75 * (this.unit() + this.unit() + this.unit() + this.unit() - 2));
    });
  }

  /** Whole numbers from [low, high). */
  integers(n: number, low: number, high: number): number[] {
    return Array.from({ length: n }, () => low + Math.floor((high - low) * this.unit()));
  }

  private unit(): number {
    return this.generator.nextSeed() / 2 ** 53;
  }
}

function grid(value: number): number {
  return Math.round(value * GRID) / GRID + 0; // no -0
}

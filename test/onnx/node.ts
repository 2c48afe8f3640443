/** What an operator sees of its node: tensors by position, attributes by name. */
import type { Tensor } from "../../src/index.ts";

/** Thrown where roadless has no counterpart; the message is the reason that docs/onnx.md gives. */
export class NotApplicable extends Error {
  override name = "NotApplicable";
}

/** Maps a node onto roadless' public functions. Several outputs in order; null for one it lacks. */
export type Operator = (node: Node) => Tensor | readonly (Tensor | null)[];
export type Operators = Readonly<Record<string, Operator>>;

export class Node {
  readonly op: string;
  readonly inputs: readonly (Tensor | null)[];
  /** How many outputs the node names; those in between may go unused. */
  readonly outputCount: number;
  private readonly attributes: ReadonlyMap<string, unknown>;

  constructor(
    op: string,
    inputs: readonly (Tensor | null)[],
    outputCount: number,
    attributes: ReadonlyMap<string, unknown>,
  ) {
    this.op = op;
    this.inputs = inputs;
    this.outputCount = outputCount;
    this.attributes = attributes;
  }

  /** The input at a position that must be given. */
  x(position = 0): Tensor {
    const input = this.inputs[position];
    if (input) return input;
    throw new Error(`${this.op}: input ${position} is missing`);
  }

  /** The input at a position, if it is given. */
  given(position: number): Tensor | null {
    return this.inputs[position] ?? null;
  }

  /** The numbers in an input, if it is given. */
  values(position: number): number[] | null {
    const input = this.given(position);
    return input === null ? null : Array.from(input.dataSync());
  }

  /** The one number in an input, if it is given. */
  value(position: number): number | null {
    return this.given(position)?.itemSync() ?? null;
  }

  number(name: string, standard: number): number {
    return (this.attributes.get(name) as number | undefined) ?? standard;
  }

  text(name: string, standard: string): string {
    return (this.attributes.get(name) as string | undefined) ?? standard;
  }

  numbers(name: string): number[] | null {
    const list = this.attributes.get(name) as number[] | undefined;
    return list ? [...list] : null;
  }

  /** An attribute that holds a tensor. */
  tensor(name: string): Tensor | null {
    return (this.attributes.get(name) as Tensor | undefined) ?? null;
  }

  /** Numbers that older versions of an operator have as attribute, newer ones as input. */
  either(name: string, position: number): number[] | null {
    return this.numbers(name) ?? this.values(position);
  }
}

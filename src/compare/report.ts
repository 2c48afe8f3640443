/** Laying two records side by side, and saying what differs. */
import type { Attrs, DeviceName, DType, TypedArray } from "../backend/backend.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape, stridesOf } from "../shape.ts";
import { isFloat } from "../tensor.ts";
import type { Recorded, Snapshot } from "./record.ts";

/**
 * Values a, b of an array agree when |a - b| ≤ atol + rtol · (largest finite magnitude in A's array).
 * Default rtol 1e-4, atol 1e-7 where a device has float32, else 1e-9 and 1e-13. Integers and
 * booleans must be equal.
 */
export interface Tolerance {
  rtol?: number;
  atol?: number;
}

/** How far an array of B is from A's. */
export interface ComparedArray {
  readonly shape: Shape;
  readonly dtype: DType;
  /**
   * The largest |a - b|, as far as it is beyond atol, over the largest finite magnitude in A's array;
   * Infinity for NaN against a number, and for a number against an array of zeros.
   */
  readonly error: number;
  /** The element with that error; null where all are equal. */
  readonly worst: {
    readonly index: readonly number[];
    readonly a: number;
    readonly b: number;
  } | null;
}

/** The first operation that differs. */
export interface Difference {
  /** `"structure"`: the devices ran different operations, or shapes; `"values"`: numbers differ. */
  readonly kind: "structure" | "values";
  /** Position in the sequence, from 0 on. */
  readonly index: number;
  /** The operation's name; where structures differ, A's (null: A had ended). */
  readonly op: string | null;
  /** The same for B. */
  readonly opB: string | null;
  readonly attrs: Attrs;
  readonly inPlace: boolean;
  /** How far its inputs were apart already; in the isolated mode they were the same. */
  readonly inputs: readonly ComparedArray[];
  readonly outputs: readonly ComparedArray[];
  /**
   * How far the outputs are apart when both devices start from the same inputs; empty where structures
   * differ. Within tolerance: the error comes from the inputs, and was only made larger here.
   */
  readonly alone: readonly ComparedArray[];
  /** True when the outputs are beyond tolerance from the same inputs too. */
  readonly madeHere: boolean;
  /** The operations before it, last one last: where in the model this is. */
  readonly before: readonly string[];
}

/** What came of comparing; as text, a few lines that name the operation. */
export class ComparisonReport {
  readonly devices: readonly [a: DeviceName, b: DeviceName];
  readonly mode: "sequence" | "isolated";
  /** Operations that were compared and agreed. */
  readonly operations: number;
  /** The largest error among them. */
  readonly error: number;
  /** The first operation that differs; null where all agree. */
  readonly difference: Difference | null;

  constructor(
    devices: readonly [DeviceName, DeviceName],
    mode: "sequence" | "isolated",
    found: { operations: number; error: number; difference: Difference | null },
  ) {
    this.devices = devices;
    this.mode = mode;
    this.operations = found.operations;
    this.error = found.error;
    this.difference = found.difference;
  }

  get agrees(): boolean {
    return this.difference === null;
  }

  toString(): string {
    const [a, b] = this.devices;
    const agreed = `${this.operations} operations agree, largest error ${brief(this.error)}`;
    const { difference } = this;
    if (difference === null) return `compare: "${a}" and "${b}": ${agreed}`;
    const { index, op, opB, kind, attrs, inputs, outputs, alone, madeHere, before } = difference;
    const arrays = (list: readonly ComparedArray[]): string =>
      list.map((x) => `${formatShape(x.shape)} error ${brief(x.error)}`).join(", ") || "none";
    const lines =
      kind === "structure"
        ? [
            `compare: operation ${index} is ${op ?? "missing"} on "${a}" and ${opB ?? "missing"} on "${b}"; ${agreed}`,
          ]
        : [
            `compare: operation ${index}, ${op}, differs between "${a}" and "${b}"; before it ${agreed}`,
            ...worstLine(outputs, a, b),
            `  attributes ${JSON.stringify(attrs)}`,
          ];
    lines.push(`  inputs   ${arrays(inputs)}`, `  outputs  ${arrays(outputs)}`);
    if (kind === "values") {
      const origin = madeHere ? "made here" : "inherited from the inputs";
      lines.push(`  from the same inputs ${arrays(alone)}: ${origin}`);
    }
    if (before.length > 0) lines.push(`  after    ${before.join(", ")}`);
    return lines.join("\n");
  }
}

/** Lays two runs side by side. */
export function firstDifference(
  ofA: readonly Recorded[],
  ofB: readonly Recorded[],
  tolerance: Required<Tolerance>,
): { operations: number; error: number; difference: Difference | null } {
  let error = 0;
  for (let index = 0; index < Math.max(ofA.length, ofB.length); index++) {
    const a = ofA.at(index);
    const b = ofB.at(index);
    const described = (kind: Difference["kind"]): Difference => ({
      kind,
      index,
      op: a?.kernel.name ?? null,
      opB: b?.kernel.name ?? null,
      attrs: (a ?? b)!.attrs,
      inPlace: (a ?? b)!.inPlace,
      inputs: compareArrays(a?.inputs, b?.inputs, tolerance),
      outputs: compareArrays(a?.outputs, b?.outputs, tolerance),
      alone: [],
      madeHere: false,
      before: ofA.slice(Math.max(0, index - 5), index).map(({ kernel }) => kernel.name),
    });
    if (a === undefined || b === undefined || !alike(a, b)) {
      return { operations: index, error, difference: described("structure") };
    }
    const outputs = compareArrays(a.outputs, b.outputs, tolerance);
    if (outputs.some((x) => !agrees(x, tolerance))) {
      return { operations: index, error, difference: described("values") };
    }
    for (const output of outputs) error = Math.max(error, output.error);
  }
  return { operations: ofA.length, error, difference: null };
}

function alike(a: Recorded, b: Recorded): boolean {
  return (
    a.kernel.name === b.kernel.name &&
    a.outputs.length === b.outputs.length &&
    a.outputs.every(({ shape }, k) => sameShape(shape, b.outputs[k].shape))
  );
}

/** Those of the same place and shape. */
export function compareArrays(
  a: readonly Snapshot[] = [],
  b: readonly Snapshot[] = [],
  tolerance: Required<Tolerance>,
): ComparedArray[] {
  return a.flatMap((x, k) => {
    const other = b.at(k);
    if (other === undefined || !sameShape(x.shape, other.shape)) return [];
    return [compareArray(x, other, isFloat(x.dtype) ? tolerance.atol : 0)];
  });
}

function compareArray(
  { data, shape, dtype }: Snapshot,
  other: Snapshot,
  atol: number,
): ComparedArray {
  let largest = 0;
  let at = -1;
  for (let i = 0; i < data.length; i++) {
    const distance = distanceOf(data[i], other.data[i]);
    if (distance <= largest) continue;
    largest = distance;
    at = i;
  }
  const index = stridesOf(shape).map((step, d) => Math.floor(at / step) % shape[d]);
  const worst = at < 0 ? null : { index, a: data[at], b: other.data[at] };
  const error = largest <= atol ? 0 : (largest - atol) / magnitude(data);
  return { shape, dtype, error, worst };
}

/** 0 for two NaN, and for the same infinity; Infinity where only one is. */
function distanceOf(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const distance = Math.abs(a - b);
  return Number.isFinite(distance) ? distance : Infinity;
}

function magnitude(data: TypedArray): number {
  let largest = 0;
  for (const value of data) {
    const size = Math.abs(value);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest;
}

/** Indices, counts and masks are right or wrong. */
export function agrees({ error, dtype }: ComparedArray, { rtol }: Required<Tolerance>): boolean {
  return error <= (isFloat(dtype) ? rtol : 0);
}

function worstLine(outputs: readonly ComparedArray[], a: string, b: string): string[] {
  const worst = outputs.reduce((x, y) => (y.error > x.error ? y : x));
  if (worst.worst === null) return [];
  const { index, a: left, b: right } = worst.worst;
  const which = outputs.length > 1 ? `output ${outputs.indexOf(worst)} ` : "";
  const precision = worst.dtype === "float64" ? 17 : 9;
  const digits = (x: number): string => String(Number(x.toPrecision(precision)));
  return [
    `  worst at ${which}${formatShape(index)}: ${digits(left)} on "${a}", ${digits(right)} on "${b}"`,
  ];
}

function brief(error: number): string {
  return error === 0 || error === Infinity ? String(error) : error.toExponential(1);
}

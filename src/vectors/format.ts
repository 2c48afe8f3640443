/** The golden/1 format: what files hold, and how numbers stand in them. */
import type { TypedArray } from "../index.ts";
import { ValueError } from "../index.ts";

/** JSON has no NaN and no infinities: they are strings. */
export type JsonNumber = number | "NaN" | "Infinity" | "-Infinity";
export type FloatType = "float64" | "float32";
/** A flat list, row-major. */
export type JsonNumbers = readonly JsonNumber[];

export interface GoldenArray {
  readonly name?: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: JsonNumbers;
}

export interface GoldenFile<Case = unknown> {
  readonly format: string;
  /** `family/name`, as in `ops/conv`. */
  readonly file: string;
  readonly cases: readonly Case[];
}

/** A vector asks for something that roadless does not have. */
export class Unsupported extends ValueError {
  /** Its name alone. */
  readonly what: string;

  constructor(what: string, message: string) {
    super(message);
    this.what = what;
  }
}

export function toNumber(value: JsonNumber): number {
  return typeof value === "number" ? value : Number(value);
}

export function toNumbers(values: JsonNumbers): number[] {
  return values.map(toNumber);
}

/** The nearest number of the type. */
export function rounded(value: number, dtype: FloatType): number {
  return dtype === "float32" ? Math.fround(value) : value;
}

/** As a flat list of numbers of the type. */
export function listOf(values: ArrayLike<number>, dtype: FloatType = "float64"): number[] {
  return Array.from(values, (value) => rounded(value, dtype));
}

/**
 * JSON with every number exact: NaN and the infinities as strings, -0 as `-0.0`; typed arrays as
 * lists. Keys without value are left out.
 */
export function encode(value: unknown): string {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return `"${value}"`;
    return Object.is(value, -0) ? "-0.0" : String(value);
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return `[${Array.from(value as unknown[] | TypedArray, encode).join(",")}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${encode(item)}`).join(",")}}`;
}

/** A file's text: one case per line, so that files can be compared line by line. */
export function encodeFile({
  cases,
  ...head
}: GoldenFile & Readonly<Record<string, unknown>>): string {
  const lines = cases.map((item) => `\n${encode(item)}`).join(",");
  return `${encode(head).slice(0, -1)},"cases":[${lines}\n]}\n`;
}

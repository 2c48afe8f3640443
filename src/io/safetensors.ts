/**
 * safetensors (https://huggingface.co/docs/safetensors): eight bytes of header length (little
 * endian), a JSON header padded with spaces, then the elements of all tensors without gaps.
 */
import type { NdArray, TypedArray } from "../backend/backend.ts";
import { powerOfTwo } from "../elementary/index.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { checkShape, formatShape, type Shape, sizeOf } from "../shape.ts";
import { checkSyncReads, Tensor } from "../tensor.ts";
import { repeatedKey } from "./json.ts";

/** The types that can be read. F16 and BF16 become Float32Array, I64 becomes Int32Array. */
export type SafetensorsDType = "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "U8" | "BOOL";

const bytesPer: Readonly<Record<SafetensorsDType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  U8: 1,
  BOOL: 1,
};

/** An array from a file, with its type there. */
export interface StoredArray extends NdArray {
  readonly dtype: SafetensorsDType;
}

export interface SafetensorsContent {
  /** In the order of the file's data. */
  readonly tensors: Map<string, StoredArray>;
  readonly metadata: Record<string, string>;
}

/** A tensor, as far as saving goes. */
interface TensorLike {
  readonly shape: Shape;
  readonly dtype: string;
  dataSync(): TypedArray;
  data(): Promise<TypedArray>;
}

type Savable = TensorLike | (NdArray & { readonly dtype?: string });

/** Names with tensors or arrays. */
export type SafetensorsInput = Readonly<Record<string, Savable>> | ReadonlyMap<string, Savable>;

/** Upstream's limit. */
const MAX_HEADER_BYTES = 100_000_000;

// The elements are little endian in the file and copied as they are: so is every platform that
// JavaScript engines run on.

/**
 * The bytes of a safetensors file. Float32Array → F32, Float64Array → F64, Int32Array → I32,
 * Uint8Array → BOOL where `dtype` is "bool" (or "BOOL"), else U8. The layout is upstream's: wide
 * types first, then by name, so equal content gives equal bytes.
 *
 * Throws ValueError for names or metadata that the format cannot hold, ShapeError where data and
 * shape do not agree.
 */
export function encodeSafetensors(
  tensors: SafetensorsInput,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const op = "encodeSafetensors";
  const instead =
    "await saveSafetensorsAsync(path, tensors), or await encodeSafetensorsAsync(tensors)";
  const list: { name: string; dtype: SafetensorsDType; shape: Shape; data: TypedArray }[] = [];
  for (const [name, value] of entriesOf(tensors)) {
    const { shape } = value;
    if (value instanceof Tensor) checkSyncReads(op, value, instead);
    const data = "dataSync" in value ? value.dataSync() : value.data;
    if (name === "__metadata__") {
      throw new ValueError(`${op}: a tensor is named "__metadata__", which the format reserves`);
    }
    checkText(op, `the name ${JSON.stringify(name)}`, name);
    checkShape(`${op}: ${JSON.stringify(name)}`, shape);
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError(
        `${op}: ${JSON.stringify(name)} has ${data.length} elements; its shape ${formatShape(shape)} has ${sizeOf(shape)}`,
      );
    }
    list.push({ name, dtype: dtypeOf(op, name, data, value.dtype), shape, data });
  }
  const order: readonly SafetensorsDType[] = ["F64", "F32", "I32", "U8", "BOOL"];
  list.sort(
    (a, b) => order.indexOf(a.dtype) - order.indexOf(b.dtype) || (a.name < b.name ? -1 : 1),
  );

  // A list of pairs, as an object would put names like "0" first.
  const fields: string[] = [];
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") {
      throw new ValueError(
        `${op}: metadata ${JSON.stringify(key)} is ${String(value)}; expected a string`,
      );
    }
    checkText(op, `the metadata ${JSON.stringify(key)}`, key + value);
    fields.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  }
  const entries = fields.length === 0 ? [] : [`"__metadata__":{${fields.join(",")}}`];
  let end = 0;
  for (const { name, dtype, shape, data } of list) {
    const start = end;
    end += data.byteLength;
    const info = { dtype, shape, data_offsets: [start, end] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(info)}`);
  }
  const header = new TextEncoder().encode(`{${entries.join(",")}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ValueError(
      `${op}: the header takes ${headerBytes} bytes; the format allows ${MAX_HEADER_BYTES}`,
    );
  }

  const bytes = new Uint8Array(8 + headerBytes + end);
  new DataView(bytes.buffer).setUint32(0, headerBytes, true);
  bytes.set(header, 8);
  bytes.fill(0x20, 8 + header.length, 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const { data } of list) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/** `encodeSafetensors` of tensors on any device, "webgpu" too, as they are at the moment of the call. */
export async function encodeSafetensorsAsync(
  tensors: SafetensorsInput,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const read = [...entriesOf(tensors)].map(async ([name, value]) => {
    if (!("dataSync" in value)) return [name, value] as const;
    const { shape, dtype } = value;
    return [name, { data: await value.data(), shape, dtype }] as const;
  });
  return encodeSafetensors(new Map(await Promise.all(read)), metadata);
}

function entriesOf(tensors: SafetensorsInput): Iterable<readonly [string, Savable]> {
  // Maps of other realms too.
  return typeof tensors.entries === "function"
    ? (tensors as ReadonlyMap<string, Savable>).entries()
    : Object.entries(tensors as Readonly<Record<string, Savable>>);
}

/** UTF-8 has no halves of surrogate pairs. */
function checkText(op: string, what: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new ValueError(`${op}: ${what} holds half of a surrogate pair; expected valid Unicode`);
  }
}

function dtypeOf(
  op: string,
  name: string,
  data: TypedArray,
  dtype: string | undefined,
): SafetensorsDType {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Float64Array) return "F64";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof Uint8Array) return dtype === "bool" || dtype === "BOOL" ? "BOOL" : "U8";
  throw new ValueError(
    `${op}: ${JSON.stringify(name)} holds ${Object.prototype.toString.call(data)}; ` +
      "expected a Float32Array, Float64Array, Int32Array or Uint8Array",
  );
}

/**
 * The tensors and metadata in the bytes of a safetensors file, copied out of them. F32 → Float32Array,
 * F64 → Float64Array, I32 → Int32Array, U8 and BOOL → Uint8Array, F16 and BF16 → Float32Array,
 * I64 → Int32Array (ValueError for a number that does not fit).
 *
 * Strict: ValueError, with `source` in the message, for anything that the format does not allow,
 * and for types other than these.
 */
export function decodeSafetensors(bytes: Uint8Array, source = "the data"): SafetensorsContent {
  const fail: Fail = (problem) => {
    throw new ValueError(`decodeSafetensors: ${source}: ${problem}`);
  };
  if (bytes.length < 8) fail(`is truncated: ${bytes.length} bytes; expected at least 8`);
  // A Buffer's slice() does not copy; this one's does.
  bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (headerBytes > MAX_HEADER_BYTES) {
    fail(
      `gives a header length of ${headerBytes} bytes; expected at most ${MAX_HEADER_BYTES} (is this a safetensors file?)`,
    );
  }
  const start = 8 + headerBytes;
  if (start > bytes.length) {
    fail(`is truncated: ${bytes.length} bytes; with its header alone it has ${start}`);
  }
  const header = parseHeader(bytes.subarray(8, start), fail);
  const metadata: Record<string, string> = {};
  const infos: Info[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") readMetadata(value, metadata, fail);
    else infos.push(readInfo(name, value, fail));
  }

  infos.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const info of infos) {
    if (info.begin !== end) {
      fail(
        `${JSON.stringify(info.name)} begins at byte ${info.begin} of the data; expected ${end}, ` +
          `without ${info.begin > end ? "gap" : "overlap"}`,
      );
    }
    end = info.end;
  }
  if (end !== bytes.length - start) {
    const problem = end > bytes.length - start ? "is truncated" : "has bytes after the last tensor";
    fail(`${problem}: ${bytes.length - start} bytes of data; the header describes ${end}`);
  }
  const tensors = new Map<string, StoredArray>();
  for (const info of infos) {
    // slice: a copy, aligned for any type.
    const buffer = bytes.slice(start + info.begin, start + info.end).buffer as ArrayBuffer;
    const data = elements(info, buffer, fail);
    tensors.set(info.name, { data, shape: info.shape, dtype: info.dtype });
  }
  return { tensors, metadata };
}

type Fail = (problem: string) => never;

interface Info {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

type JsonObject = Record<string, unknown>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseHeader(bytes: Uint8Array, fail: Fail): JsonObject {
  let header: unknown;
  try {
    // slice: browsers refuse to decode shared memory.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice());
    header = JSON.parse(text);
    const key = repeatedKey(text);
    if (key !== undefined) fail(`the header has the key ${JSON.stringify(key)} twice`);
  } catch (error) {
    if (error instanceof ValueError) throw error;
    fail(`the header is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (bytes[0] !== 0x7b || !isObject(header)) {
    return fail(`the header is ${describe(header)}; expected a JSON object, beginning with "{"`);
  }
  return header;
}

function describe(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? "missing";
  } catch {
    return "JSON too deep to show"; // JSON.parse has no such limit
  }
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function readMetadata(value: unknown, metadata: Record<string, string>, fail: Fail): void {
  if (!isObject(value)) {
    return fail(`__metadata__ is ${describe(value)}; expected an object of strings`);
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      return fail(`__metadata__ ${JSON.stringify(key)} is ${describe(text)}; expected a string`);
    }
    // Assignment to "__proto__" would be lost.
    Object.defineProperty(metadata, key, {
      value: text,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function readInfo(name: string, value: unknown, fail: Fail): Info {
  const at = JSON.stringify(name);
  if (!isObject(value)) {
    return fail(`${at} is ${describe(value)}; expected dtype, shape and data_offsets`);
  }
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) {
    return fail(
      `${at} has the field ${JSON.stringify(unknown)}; expected dtype, shape and data_offsets only`,
    );
  }
  if (typeof dtype !== "string" || !Object.hasOwn(bytesPer, dtype)) {
    return fail(
      `${at} has dtype ${describe(dtype)}; expected one of ${Object.keys(bytesPer).join(", ")}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    return fail(`${at} has shape ${describe(shape)}; expected an array of whole numbers`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return fail(`${at} has data_offsets ${describe(offsets)}; expected [begin, end]`);
  }
  const [begin, end] = offsets as number[];
  const type = dtype as SafetensorsDType;
  const expected = sizeOf(shape) * bytesPer[type];
  if (end - begin !== expected) {
    return fail(
      `${at} takes ${end - begin} bytes (data_offsets [${begin}, ${end}]); ` +
        `${type} ${formatShape(shape)} takes ${expected}`,
    );
  }
  // + 0 turns a -0, which JSON can express, into 0.
  return { name, dtype: type, shape: shape.map((n) => n + 0), begin: begin + 0, end: end + 0 };
}

function elements(info: Info, buffer: ArrayBuffer, fail: Fail): TypedArray {
  switch (info.dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U8":
      return new Uint8Array(buffer);
    case "BOOL": {
      const data = new Uint8Array(buffer);
      const bad = data.findIndex((value) => value > 1);
      if (bad >= 0) {
        fail(
          `${JSON.stringify(info.name)} is BOOL and has ${data[bad]} at element ${bad}; expected 0 or 1`,
        );
      }
      return data;
    }
    case "F16":
      return Float32Array.from(new Uint16Array(buffer), float16);
    case "BF16": {
      const data = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(data.buffer);
    }
    case "I64": {
      const words = new Int32Array(buffer);
      const data = new Int32Array(words.length / 2);
      for (let i = 0; i < data.length; i++) {
        data[i] = words[2 * i];
        if (words[2 * i + 1] !== data[i] >> 31) {
          const value = new BigInt64Array(buffer)[i];
          fail(
            `${JSON.stringify(info.name)} is I64 and has ${value} at element ${i}; ` +
              "only numbers from -2^31 to 2^31 - 1 can be read",
          );
        }
      }
      return data;
    }
  }
}

/** IEEE 754 binary16. */
function float16(half: number): number {
  const sign = half >>> 15 === 0 ? 1 : -1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * powerOfTwo(exponent - 25);
}

/**
 * Nested state as a flat list of named arrays and the JSON that says where they stand in it:
 *
 *     { state: { 0: { z: tensor } } }  ⇄  "optimizer.state.fc.weight.z" and { state: { 0: { z: { $tensor: "…" } } } }
 *
 * JSON has no NaN, no infinities and no −0: such numbers become { $number: "NaN" }.
 */
import type { TypedArray } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import type { Shape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

/** How the elements of tensors are had: now, or as promises. */
export type Read<T> = (x: Tensor) => T;

/** What tensors hold, by name, in the order in which they were found. */
export type Arrays<T> = Map<
  string,
  { readonly data: T | TypedArray; readonly shape: Shape; readonly dtype?: string }
>;

/**
 * Moves every tensor and typed array in `value` to `arrays`, under the path that leads to it;
 * `segment` names a step of the path. Returns the rest, ready for JSON.
 */
export function pack<T>(
  value: unknown,
  path: readonly string[],
  arrays: Arrays<T>,
  read: Read<T>,
  segment: (key: string, path: readonly string[]) => string,
): unknown {
  if (typeof value === "number") {
    const plain = Number.isFinite(value) && !Object.is(value, -0);
    return plain ? value : { $number: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    throw new ValueError(
      `saveCheckpoint: ${path.join(".")} is a ${typeof value}; expected tensors, arrays and plain data`,
    );
  }
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Tensor || ArrayBuffer.isView(value)) {
    const name = path.join(".");
    const array =
      value instanceof Tensor
        ? { data: read(value), shape: value.shape, dtype: value.dtype }
        : { data: value as TypedArray, shape: [(value as TypedArray).length] };
    arrays.set(name, array);
    return value instanceof Tensor ? { $tensor: name } : { $array: name };
  }
  const inside = (key: string, item: unknown): unknown =>
    pack(item, [...path, segment(key, path)], arrays, read, segment);
  if (Array.isArray(value)) return value.map((item, i) => inside(String(i), item));
  const packed: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) packed[key] = inside(key, item);
  return packed;
}

/** What `pack` was given; `take` gives the tensor, or the typed array, of a name. */
export function unpack(
  value: unknown,
  take: (name: string, as: "tensor" | "array") => unknown,
): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => unpack(item, take));
  const { $number, $tensor, $array } = value as Record<string, unknown>;
  if (typeof $number === "string") return Number($number);
  if (typeof $tensor === "string") return take($tensor, "tensor");
  if (typeof $array === "string") return take($array, "array");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item, take)]));
}

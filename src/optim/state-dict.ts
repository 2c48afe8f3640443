/** Saved optimizer state in PyTorch's form, so that checkpoints travel both ways. */
import { copy } from "../autograd.ts";
import type { Backend } from "../backend/backend.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { runInPlace } from "../op.ts";
import type { Shape } from "../shape.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkSyncReads, fromData } from "../tensor.ts";
import type { OptionTable } from "./options.ts";
import { checkOption, snakeCase } from "./options.ts";

/** A state tensor: a tensor, or its elements in row-major order. */
export type StateValue = Tensor | ArrayLike<number>;

/**
 * `state`: by parameter number (counted through all groups), by key (`z`, `exp_avg_sq`, …); absent
 * for parameters that have had no gradient. `param_groups`: options and counters in snake_case and
 * the numbers of the group's parameters.
 */
export interface StateDict {
  readonly state: Readonly<Record<number | string, Readonly<Record<string, StateValue>>>>;
  readonly param_groups: readonly Readonly<Record<string, unknown>>[];
}

/** One kind of state: its key when saved, and the block that it lives in. */
export interface StateKey {
  readonly key: string;
  readonly block: string;
  /** The shape for parameters whose state has another than they have, in no block; null: none. */
  readonly shape?: (param: Tensor) => Shape | null;
  /** Not a block: the number of steps of the parameter (saved as a 0-dimensional tensor). */
  readonly count?: true;
  /** Saved when the block is there; may be missing from what is loaded. */
  readonly optional?: boolean;
}

interface Group {
  readonly params: readonly Tensor[];
}

export function exportGroups(groups: readonly Group[]): Record<string, unknown>[] {
  let next = 0;
  return groups.map(({ params, ...scalars }) => {
    const saved: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(scalars)) {
      saved[snakeCase(name)] = Array.isArray(value) ? [...value] : value;
    }
    saved.params = params.map(() => next++);
    return saved;
  });
}

/** One group of a checked state: options and counters, and each parameter's values by key. */
export interface LoadedGroup {
  readonly scalars: Record<string, unknown>;
  readonly states: readonly (readonly (readonly [key: StateKey, value: StateValue])[] | null)[];
}

/** Checks a state against the groups it is for; throws naming what differs, and changes nothing. */
export function parseStateDict<O, G extends Group>(
  where: string,
  dict: StateDict,
  groups: readonly G[],
  options: OptionTable<O>,
  keys: (group: G) => readonly StateKey[],
): LoadedGroup[] {
  const saved = dict?.param_groups;
  if (!Array.isArray(saved) || typeof dict.state !== "object" || dict.state === null) {
    throw new ValueError(`${where}: not a state dict; expected { state, param_groups }`);
  }
  if (saved.length !== groups.length) {
    throw new ValueError(
      `${where}: the saved state has ${count(saved.length, "parameter group")}; ` +
        `expected ${groups.length}, as this optimizer has`,
    );
  }
  return groups.map((group, g) => {
    const here = `${where}: group ${g}`;
    const numbers = saved[g].params;
    if (!Array.isArray(numbers) || numbers.length !== group.params.length) {
      throw new ValueError(
        `${here} has ${count(Array.isArray(numbers) ? numbers.length : 0, "parameter")} in the ` +
          `saved state; expected ${group.params.length}, as this optimizer has`,
      );
    }
    const scalars = parseScalars(here, saved[g], group, options);
    const wanted = keys({ ...group, ...scalars });
    const states = group.params.map((param, i) => {
      const state = dict.state[numbers[i] as number];
      return state === undefined || Object.values(state).every((value) => value === null)
        ? null
        : parseState(`${where}: state ${String(numbers[i])}`, state, param, wanted);
    });
    return { scalars, states };
  });
}

/** What is missing (an older upstream lacks some counters) keeps its value here. */
function parseScalars<O>(
  where: string,
  saved: Readonly<Record<string, unknown>>,
  group: Group,
  options: OptionTable<O>,
): Record<string, unknown> {
  const scalars: Record<string, unknown> = {};
  for (const [name, current] of Object.entries(group)) {
    const value = numberIn(saved[snakeCase(name)], current);
    if (name === "params" || value === undefined || value === null) continue;
    if (Object.hasOwn(options, name)) checkOption(where, options, name as keyof O, value);
    else if (typeof value !== typeof current || Number.isNaN(value)) {
      throw new ValueError(
        `${where}: ${snakeCase(name)} is ${String(value)}; expected a ${typeof current}`,
      );
    }
    scalars[name] = Array.isArray(value) ? [...value] : value;
  }
  return scalars;
}

/** A counter may be saved as a tensor; undefined where that cannot be read at once, and its optimizer copies it. */
function numberIn(value: unknown, current: unknown): unknown {
  if (typeof current !== "number" || typeof value !== "object" || value === null) return value;
  const held = value as StateValue;
  if ("dataSync" in held && !held.backend.capabilities().syncReads) return undefined;
  const numbers = numbersOf(held);
  return numbers.length === 1 ? numbers[0] : value;
}

function parseState(
  where: string,
  state: Readonly<Record<string, StateValue>>,
  param: Tensor,
  wanted: readonly StateKey[],
): (readonly [key: StateKey, value: StateValue])[] {
  const values: (readonly [StateKey, StateValue])[] = [];
  for (const entry of wanted) {
    const { key, optional } = entry;
    const shape = shapeOf(entry, param);
    if (shape === null) continue;
    const value = state[key] as StateValue | null | undefined;
    if ((value === undefined || value === null) && optional) continue;
    if (value === undefined || value === null) {
      throw new ValueError(
        `${where} has no "${key}" (it has ${Object.keys(state).join(", ")}); ` +
          "was it saved by another optimizer?",
      );
    }
    if (entry.count) checkCount(where, key, value);
    else checkShape(where, key, value, shape, param);
    values.push([entry, value]);
  }
  return values;
}

/** The shape of one kind of state of a parameter; null if the parameter has none of that kind. */
export function shapeOf({ shape, count: isCount }: StateKey, param: Tensor): Shape | null {
  if (isCount) return [];
  return shape === undefined ? param.shape : shape(param);
}

function checkShape(
  where: string,
  key: string,
  value: StateValue,
  shape: Shape,
  param: Tensor,
): void {
  const whose = sameShape(shape, param.shape) ? "as its parameter has" : "for its parameter";
  if ("dataSync" in value) {
    value.checkAlive(where);
    if (sameShape(value.shape, shape)) return;
    throw new ShapeError(
      `${where}: ${key} has the shape ${formatShape(value.shape)}; ` +
        `expected ${formatShape(shape)}, ${whose}`,
    );
  }
  if (value.length === sizeOf(shape)) return;
  throw new ShapeError(
    `${where}: ${key} has ${value.length} elements; expected ${sizeOf(shape)}, ` +
      `as its parameter ${formatShape(param.shape)} has`,
  );
}

function checkCount(where: string, key: string, value: StateValue): void {
  if ("dataSync" in value) {
    value.checkAlive(where);
    if (!counts.has(value)) {
      checkSyncReads(`${where}: ${key}`, value, "its number in a list: [await value.item()]");
    }
  }
  const numbers = numbersOf(value);
  if (numbers.length === 1 && Number.isInteger(numbers[0]) && numbers[0] >= 0) return;
  throw new ValueError(
    `${where}: ${key} is ${Array.from(numbers).join(", ")}; expected one integer ≥ 0`,
  );
}

/** What counters were made from, as nothing may be readable at once where they are. */
const counts = new WeakMap<Tensor, { readonly count: number; readonly version: number }>();

/** A number of steps as it is saved: a 0-dimensional tensor in the innermost scope. */
export function counter(backend: Backend, key: string, count: number): Tensor {
  const saved = fromData(backend, Float32Array.of(count), [], "float32", key);
  counts.set(saved, { count, version: saved.storage.version });
  return saved;
}

/** The elements of a counter, or of what is readable at once. */
export function numbersOf(value: StateValue): ArrayLike<number> {
  if (!("dataSync" in value)) return value;
  const known = counts.get(value);
  return known?.version === value.storage.version ? [known.count] : value.dataSync();
}

/** target ← a value of its shape; what is on the target's device stays there. */
export function assign(target: Tensor, value: StateValue): void {
  if (target.size === 0) return;
  const isNear =
    "dataSync" in value && value.backend === target.backend && value.dtype === target.dtype;
  if (isNear) runInPlace(copy, [value], [target], {});
  else target.copyFrom(numbersOf(value));
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

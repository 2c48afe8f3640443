/** Runs the events of an optimizer case: what is seen after each is recorded, or compared. */
import type { Tensor, TypedArray } from "../index.ts";
import * as rl from "../index.ts";
import type { FloatType, JsonNumber, JsonNumbers } from "./format.ts";
import { toNumber, toNumbers } from "./format.ts";
import type { Groups, OptimizerSpec } from "./optimizers.ts";
import { camelKeys, createOptimizer } from "./optimizers.ts";
import type { Asked, Run } from "./reads.ts";
import { ask, read, readNumber } from "./reads.ts";

/** One thing per parameter of each group. */
export type PerParameter<T> = readonly (readonly T[])[];

export interface OptimizerEvent {
  readonly op: "train" | "eval" | "set_lr" | "step";
  readonly group?: number;
  readonly lr?: number;
  /** The gradients; absent: `step` is given a closure of the case's `problem`. */
  readonly grads?: PerParameter<JsonNumbers | null>;
  /** Parameters that the closure leaves out. */
  readonly skip?: PerParameter<boolean>;
  /** The step has to be refused, and change nothing. */
  readonly error?: string;
  /** AdamC: the loss that the step is told. */
  readonly function_value?: JsonNumber;
}

/** A case of optim/*.json, without what comes out. */
export interface OptimizerRunSpec extends OptimizerSpec {
  readonly name: string;
  readonly dtype: FloatType;
  readonly tags?: readonly string[];
  readonly groups: readonly {
    readonly options: Readonly<Record<string, unknown>>;
    readonly params: readonly { readonly shape: readonly number[]; readonly data: JsonNumbers }[];
  }[];
  /** The closure's loss is 0.5 Σ c (p - t)². */
  readonly problem?: {
    readonly c: PerParameter<JsonNumbers>;
    readonly t: PerParameter<JsonNumbers>;
  };
}

/** What an event left behind. */
export interface Observed {
  readonly params: PerParameter<ArrayLike<number>>;
  /** The saved state, by upstream's keys; a parameter without state has none. */
  readonly state: PerParameter<Readonly<Record<string, ArrayLike<number>>>>;
  readonly groups: readonly Readonly<Record<string, unknown>>[];
  /** The gradients after a step that was given them. */
  readonly grads?: PerParameter<ArrayLike<number> | null>;
  /** Closures: what the step returned, and what the closure saw. */
  readonly loss?: number;
  readonly y?: PerParameter<ArrayLike<number>>;
  readonly gradsAtY?: PerParameter<ArrayLike<number> | null>;
  /** The step was refused for the optimizer's mode. */
  readonly refused: boolean;
}

/** The part of an optimizer that events use. */
interface Optimizer {
  readonly paramGroups: readonly (Record<string, unknown> & { params: readonly Tensor[] })[];
  train?(): void;
  eval?(): void;
  zeroGrad(): void;
  step(loss?: number | (() => Tensor)): unknown;
  stateDict(): {
    state: Record<number, Record<string, Tensor | ArrayLike<number>>>;
    param_groups: readonly Record<string, unknown>[];
  };
  dispose(): void;
}

export type CreateOptimizer = (spec: OptimizerSpec, groups: Groups) => unknown;

/**
 * Builds the optimizer on the default device, applies the events in order, and calls `observe` after each (event
 * -1: before the first) until it returns false.
 */
export function* runOptimizer(
  spec: OptimizerRunSpec,
  events: readonly OptimizerEvent[],
  observe: (observed: Observed, event: number) => boolean,
  create: CreateOptimizer = createOptimizer,
): Run<void> {
  const open = rl.scope();
  const groups = spec.groups.map(({ options, params }) => ({
    ...camelKeys(options),
    params: params.map(({ shape, data }) => parameter(data, shape, spec.dtype)),
  }));
  let optimizer: Optimizer | undefined;
  try {
    optimizer = create(spec, groups) as Optimizer;
    for (let i = -1; i < events.length; i++) {
      const inner = rl.scope();
      const observed = yield* i < 0 ? stateOf(optimizer) : apply(spec, events[i], optimizer);
      const goOn = observe(observed, i);
      inner.end();
      if (!goOn) return;
    }
  } finally {
    open.unwind();
    for (const { params } of groups) for (const param of params) param.dispose();
    optimizer?.dispose();
  }
}

function* apply(
  spec: OptimizerRunSpec,
  event: OptimizerEvent,
  optimizer: Optimizer,
): Run<Observed> {
  if (event.op === "set_lr") optimizer.paramGroups[event.group!].lr = event.lr;
  else if (event.op !== "step") optimizer[event.op]?.();
  else return yield* step(spec, event, optimizer);
  return yield* stateOf(optimizer);
}

function* step(spec: OptimizerRunSpec, event: OptimizerEvent, optimizer: Optimizer): Run<Observed> {
  optimizer.zeroGrad();
  event.grads?.forEach((grads, g) =>
    grads.forEach((grad, p) => {
      const param = optimizer.paramGroups[g].params[p];
      if (grad !== null) param.grad = plain(grad, param.shape, spec.dtype);
    }),
  );
  if (event.grads !== undefined || event.error !== undefined) {
    const loss = event.function_value === undefined ? undefined : toNumber(event.function_value);
    const refused = refuses(() => optimizer.step(loss));
    const grads = yield* tell(askGrads(optimizer));
    return { ...(yield* stateOf(optimizer)), grads, refused };
  }
  const seen: { y?: PerParameter<Asked>; grads?: PerParameter<Asked | null> } = {};
  const result = optimizer.step(() => {
    optimizer.zeroGrad();
    seen.y = askValues(optimizer);
    const loss = closureLoss(spec, event, optimizer);
    seen.grads = askGrads(optimizer);
    return loss;
  });
  return {
    ...(yield* stateOf(optimizer)),
    y: seen.y && (yield* tell(seen.y)),
    gradsAtY: seen.grads && (yield* tell(seen.grads)),
    loss: yield* readNumber(result as Tensor),
  };
}

function refuses(f: () => unknown): boolean {
  try {
    f();
    return false;
  } catch (error) {
    if (error instanceof rl.LifetimeError) return true;
    throw error;
  }
}

/** loss = 0.5 Σ c (p − t)² over the parameters that take part, and its gradients. */
function closureLoss(
  { problem, dtype }: OptimizerRunSpec,
  { skip }: OptimizerEvent,
  optimizer: Optimizer,
): Tensor {
  const terms: Tensor[] = [];
  optimizer.paramGroups.forEach(({ params }, g) =>
    params.forEach((param, p) => {
      if (skip?.[g][p] ?? false) return;
      const c = plain(problem!.c[g][p], param.shape, dtype);
      const t = plain(problem!.t[g][p], param.shape, dtype);
      const difference = rl.sub(param, t);
      terms.push(rl.sum(rl.mul(c, rl.mul(difference, difference))));
    }),
  );
  if (terms.length === 0) return plain([0], [], dtype);
  const loss = rl.mul(
    terms.reduce((sum, term) => rl.add(sum, term)),
    0.5,
  );
  loss.backward();
  return loss;
}

function* stateOf(optimizer: Optimizer): Run<Observed> {
  const saved = optimizer.stateDict();
  let number = 0;
  const state = optimizer.paramGroups.map(({ params }) =>
    params.map(() => Object.entries(saved.state[number++] ?? {})),
  );
  const held = state.flat(2).flatMap(([, value]) => (value instanceof rl.Tensor ? [value] : []));
  const told = [...(yield* read(held))];
  const groups: Record<string, unknown>[] = [];
  for (const group of saved.param_groups) groups.push(yield* withNumbers(group));
  return {
    params: yield* tell(askValues(optimizer)),
    state: state.map((group) =>
      group.map((entries) =>
        Object.fromEntries(
          entries.map(([key, value]) => [key, value instanceof rl.Tensor ? told.shift()! : value]),
        ),
      ),
    ),
    groups,
    refused: false,
  };
}

/** A saved group, its counters as numbers where they are tensors of the device. */
function* withNumbers(group: Readonly<Record<string, unknown>>): Run<Record<string, unknown>> {
  const numbers: Record<string, unknown> = { ...group };
  for (const [key, value] of Object.entries(group)) {
    if (value instanceof rl.Tensor) numbers[key] = yield* readNumber(value);
  }
  return numbers;
}

function askValues({ paramGroups }: Optimizer): PerParameter<Asked> {
  return paramGroups.map(({ params }) => params.map(ask));
}

function askGrads({ paramGroups }: Optimizer): PerParameter<Asked | null> {
  return paramGroups.map(({ params }) => params.map(({ grad }) => grad && ask(grad)));
}

/** What was asked for, once it is there; null stays null. */
function* tell<T extends Asked | null>(
  asked: PerParameter<T>,
): Run<PerParameter<T extends Asked ? TypedArray : T>> {
  type Told = T extends Asked ? TypedArray : T;
  const told = [...(yield asked.flat().filter((one): one is Asked & T => one !== null))];
  return asked.map((list) => list.map((one) => (one === null ? null : told.shift()!) as Told));
}

function plain(values: JsonNumbers, shape: readonly number[], dtype: FloatType): Tensor {
  return rl.tensor(Float64Array.from(toNumbers(values)), { shape: [...shape], dtype });
}

function parameter(values: JsonNumbers, shape: readonly number[], dtype: FloatType): Tensor {
  const result = plain(values, shape, dtype);
  result.requiresGrad = true;
  return result;
}

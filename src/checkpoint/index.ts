/**
 * Checkpoints: all that a training run needs to go on, in one safetensors file.
 *
 *     fc.weight, bn.running_mean, …   parameters and buffers under their names in the model; with a
 *                                     Schedule-Free optimizer the parameters are x, whatever its mode
 *     optimizer.held.fc.weight        y, where the parameters held y when the file was written
 *     optimizer.state.fc.weight.z     the optimizer's state, by parameter and key
 *     extra.ema.average.0             state of what else was given, by its name
 *     __metadata__                    "roadless": options, counters, generator and data position as
 *                                     JSON; beside it the user's own strings
 *
 * Other programs read the weights as in any safetensors file.
 */
import type { NdArray, TypedArray } from "../backend/backend.ts";
import type { DataLoaderState } from "../data/index.ts";
import { DataLoader } from "../data/index.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { readFile, writeFile } from "../files.ts";
import type { SafetensorsContent } from "../io/index.ts";
import { decodeSafetensors, encodeSafetensors } from "../io/index.ts";
import type { Module } from "../nn/index.ts";
import { warnAtY } from "../nn/module.ts";
import type { StateDict } from "../optim/index.ts";
import type { GeneratorState } from "../random.ts";
import { defaultGenerator, Generator } from "../random.ts";
import { runScoped } from "../scope.ts";
import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkSyncReads, fromData } from "../tensor.ts";
import type { Arrays, Read } from "./pack.ts";
import { pack, unpack } from "./pack.ts";

/** What a checkpoint needs of an optimizer: those of `optim` have it. */
export interface CheckpointOptimizer {
  /** The class's name. */
  readonly name: string;
  readonly paramGroups: readonly { readonly params: readonly Tensor[] }[];
  stateDict(): StateDict;
  loadStateDict(dict: StateDict): void;
  /** Schedule-Free with modes: runs `fn` with the parameters at x. */
  withEval?<T>(fn: () => T): T;
}

/** An average of weights, a scheduler, a sampler of your own: whatever saves and loads its state. */
export interface Stateful {
  stateDict(): object;
  /** Throws, and changes nothing, for a state that does not fit. */
  loadStateDict(state: never): void;
}

/** The parts of a training run. */
export interface CheckpointParts {
  model: Module;
  /** All of its parameters must be the model's. */
  optimizer?: CheckpointOptimizer;
  /** Default: the generator that `manualSeed` seeds. null: none. */
  generator?: Generator | null;
  loader?: DataLoader;
  /** What else has a state, under names of your choice: `{ ema, scheduler }`. */
  extra?: Readonly<Record<string, Stateful>>;
}

export interface SaveCheckpointOptions extends CheckpointParts {
  /** Strings of your own. The key "roadless" is taken. */
  metadata?: Readonly<Record<string, string>>;
}

/** What `loadCheckpoint` returns. */
export interface LoadedCheckpoint {
  /** The strings given to `saveCheckpoint`. */
  readonly metadata: Record<string, string>;
}

/** The JSON under "roadless" in the file's metadata. */
interface Header {
  readonly format: "checkpoint/1";
  readonly optimizer?: {
    readonly class: string;
    /** The names of each group's parameters. */
    readonly groups: readonly (readonly string[])[];
    readonly dict: unknown;
  };
  readonly generator?: GeneratorState;
  readonly loader?: DataLoaderState;
  readonly extra?: Readonly<Record<string, unknown>>;
}

const HEADER = "roadless";
const PREFIX = "optimizer.";
const EXTRA = "extra.";

/**
 * Writes model, optimizer (state, counters, mode, every group's options), generator and data position
 * into one safetensors file, atomically: after a crash `path` holds what it held before.
 *
 * Weights are saved as x, in either mode of a Schedule-Free optimizer; y is saved beside them where
 * the parameters hold it, so that a run that goes on has the bits of one that never stopped. Call it
 * between steps: gradients and graphs are not saved. Inside the body of a `DataLoader`'s loop, the
 * position is that of the next batch.
 *
 * @throws ValueError when the optimizer has a parameter that the model has not, or names clash;
 *   BackendError when the file cannot be written, or where there is no file system
 */
export function saveCheckpoint(path: string, parts: SaveCheckpointOptions): void {
  const instead = "use encodeCheckpoint(parts) and keep the bytes";
  writeFile("saveCheckpoint", path, encodeCheckpoint(parts), instead);
}

/**
 * `saveCheckpoint` on every device, "webgpu" too. What is saved is the run at the moment of the call: training may
 * go on before the file is there. A device that is lost in between leaves `path` as it was.
 *
 * @throws as `saveCheckpoint`, and BackendError when the device is lost
 */
export async function saveCheckpointAsync(
  path: string,
  parts: SaveCheckpointOptions,
): Promise<void> {
  const instead = "use await encodeCheckpointAsync(parts) and keep the bytes";
  writeFile("saveCheckpointAsync", path, await encodeCheckpointAsync(parts), instead);
}

/**
 * Puts what `saveCheckpoint` wrote into objects of the same structure, which may be freshly built, in
 * another process. Training then goes on bit for bit. What the file holds and `parts` does not name is
 * left out; the generator is restored unless it is null.
 *
 * @throws ValueError or ShapeError naming the tensor, option or class that differs; nothing has
 *   changed then. BackendError when the file cannot be read, or where there is no file system
 */
export function loadCheckpoint(path: string, parts: CheckpointParts): LoadedCheckpoint {
  const instead = "fetch the bytes and use restoreCheckpoint(bytes, parts)";
  return restoreCheckpoint(readFile("loadCheckpoint", path, instead), parts, path);
}

/** The bytes that `saveCheckpoint` writes: for where there is no file system. */
export function encodeCheckpoint(parts: SaveCheckpointOptions): Uint8Array {
  const instead = "await saveCheckpointAsync(path, parts), or await encodeCheckpointAsync(parts)";
  for (const x of parts.model.parameters()) checkSyncReads("saveCheckpoint", x, instead);
  const { arrays, metadata } = collect(parts, (x) => x.dataSync());
  return encodeSafetensors(arrays, metadata);
}

/** The bytes that `saveCheckpointAsync` writes. */
export async function encodeCheckpointAsync(parts: SaveCheckpointOptions): Promise<Uint8Array> {
  const { arrays, metadata } = collect(parts, begin);
  const read = [...arrays].map(async ([name, { data, ...rest }]) => {
    return [name, { ...rest, data: await data }] as const;
  });
  return encodeSafetensors(new Map(await Promise.all(read)), metadata);
}

/** A read that begins at once, and whose failure is its reader's affair, even if there is none in the end. */
function begin(x: Tensor): Promise<TypedArray> {
  const data = x.data();
  data.catch(() => {});
  return data;
}

/** All arrays of a checkpoint, as the run stands now, and its metadata. */
function collect<T>(
  parts: SaveCheckpointOptions,
  read: Read<T>,
): { arrays: Arrays<T>; metadata: Record<string, string> } {
  return runScoped("saveCheckpoint", () => {
    const { model, optimizer, generator = defaultGenerator(), loader, extra = {} } = parts;
    const { metadata = {} } = parts;
    if (HEADER in metadata) {
      throw new ValueError(`saveCheckpoint: the metadata key "${HEADER}" is taken; use another`);
    }
    const arrays: Arrays<T> = new Map();
    const packed = optimizer && packOptimizer(model, optimizer, arrays, read);
    const header: Header = {
      format: "checkpoint/1",
      ...(packed === undefined ? {} : { optimizer: packed }),
      ...(generator === null ? {} : { generator: generator.getState() }),
      ...(loader === undefined ? {} : { loader: loader.state() }),
      extra: pack(
        Object.fromEntries(Object.entries(extra).map(([name, one]) => [name, one.stateDict()])),
        ["extra"],
        arrays,
        read,
        (key) => key,
      ) as Record<string, unknown>,
    };
    const addWeights = (): void => {
      warnAtY("saveCheckpoint", model.parameters());
      for (const [name, x] of model.namedTensors()) {
        if (arrays.has(name)) {
          throw new ValueError(
            `saveCheckpoint: the model's ${name} has the name of an optimizer's state; rename the property`,
          );
        }
        arrays.set(name, { data: read(x), shape: x.shape, dtype: x.dtype });
      }
    };
    if (optimizer?.withEval === undefined) addWeights();
    else optimizer.withEval(addWeights);
    return { arrays, metadata: { ...metadata, [HEADER]: JSON.stringify(header) } };
  });
}

/** What `loadCheckpoint` does, from bytes. `source` stands for them in messages. */
export function restoreCheckpoint(
  bytes: Uint8Array,
  parts: CheckpointParts,
  source = "the data",
): LoadedCheckpoint {
  const where = `loadCheckpoint: ${source}`;
  const content = decodeSafetensors(bytes, source);
  const { [HEADER]: json, ...metadata } = content.metadata;
  const header = parseHeader(where, json);
  const { model, optimizer, generator = defaultGenerator(), loader, extra = {} } = parts;
  runScoped("loadCheckpoint", () => {
    // All that can be refused is refused before anything changes.
    const weights = checkModel(where, model, content);
    const dict = optimizer && checkOptimizer(where, model, optimizer, header, content, weights);
    if (header.generator !== undefined) new Generator(0).setState(header.generator);
    if (loader !== undefined) checkLoader(where, loader, header.loader);
    const states = checkExtra(where, model, extra, header, content);
    const undo: (() => void)[] = [];
    try {
      for (const [name, one] of Object.entries(extra)) {
        const before = one.stateDict();
        one.loadStateDict(states[name] as never);
        undo.push(() => one.loadStateDict(before as never));
      }
      // Checks the state and sets it; once more when the parameters are in place, whose values it
      // takes as given.
      optimizer?.loadStateDict(dict!);
    } catch (error) {
      for (const back of undo.toReversed()) back();
      throw error;
    }
    for (const [x, value] of weights) x.copyFrom(value.data);
    optimizer?.loadStateDict(dict!);
    if (header.generator !== undefined) generator?.setState(header.generator);
    if (loader !== undefined) loader.loadState(header.loader!);
  });
  return { metadata };
}

/** The optimizer's part of the header; its tensors go to `arrays`. */
function packOptimizer<T>(
  model: Module,
  optimizer: CheckpointOptimizer,
  arrays: Arrays<T>,
  read: Read<T>,
): NonNullable<Header["optimizer"]> {
  const groups = namesOf("saveCheckpoint", model, optimizer);
  const names = groups.flat();
  optimizer.paramGroups
    .flatMap(({ params }) => params)
    .forEach((param, i) => {
      if (param.sequence !== "y") return;
      const { shape, dtype } = param;
      arrays.set(`${PREFIX}held.${names[i]}`, { data: read(param), shape, dtype });
    });
  const dict = pack(optimizer.stateDict(), ["optimizer"], arrays, read, (key, path) =>
    path.at(-1) === "state" ? (names[Number(key)] ?? key) : key,
  );
  return { class: optimizer.name, groups, dict };
}

/** The names of each group's parameters in the model. */
function namesOf(where: string, model: Module, optimizer: CheckpointOptimizer): string[][] {
  const names = new Map(model.namedParameters().map(([name, x]) => [x, name]));
  return optimizer.paramGroups.map(({ params }, g) =>
    params.map((param, i) => {
      const name = names.get(param);
      if (name !== undefined) return name;
      throw new ValueError(
        `${where}: parameter ${i} of the optimizer's group ${g} (${param.describe()}) is not one of the model's; ` +
          "give the model that has all of the optimizer's parameters",
      );
    }),
  );
}

function parseHeader(where: string, json: string | undefined): Header {
  const refuse = (found: string): never => {
    throw new ValueError(
      `${where}: ${found}; expected a file that saveCheckpoint wrote (weights alone: loadSafetensors)`,
    );
  };
  if (json === undefined) return refuse("is no checkpoint");
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch {
    return refuse("its header is not JSON");
  }
  const format = (header as Partial<Header> | null)?.format;
  if (format !== "checkpoint/1") return refuse(`its format is ${JSON.stringify(format)}`);
  const { optimizer, generator, loader, extra } = header as Record<string, unknown>;
  for (const part of [optimizer, generator, loader, extra]) {
    if (part !== undefined && !isObject(part)) return refuse("its header is damaged");
  }
  const { groups } = (optimizer ?? { groups: [] }) as { groups?: unknown };
  if (!Array.isArray(groups) || !groups.every(Array.isArray))
    return refuse("its header is damaged");
  return header as Header;
}

const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const typeInFile = { float32: "F32", float64: "F64", int32: "I32", bool: "BOOL" } as const;

/** Throws unless the file has an array of exactly the tensor's type and shape under that name. */
function checkArray(
  where: string,
  name: string,
  like: Tensor,
  content: SafetensorsContent,
): NdArray {
  const stored = content.tensors.get(name);
  if (stored === undefined) {
    throw new ValueError(
      `${where}: has no ${name}; expected ${like.dtype} ${formatShape(like.shape)}`,
    );
  }
  const problem =
    `${where}: ${name} is ${stored.dtype} ${formatShape(stored.shape)}; ` +
    `expected ${typeInFile[like.dtype]} ${formatShape(like.shape)}`;
  if (!sameShape(stored.shape, like.shape)) throw new ShapeError(problem);
  if (stored.dtype !== typeInFile[like.dtype]) throw new ValueError(problem);
  return stored;
}

/** Each tensor of the model with what it is to hold. */
function checkModel(
  where: string,
  model: Module,
  content: SafetensorsContent,
): Map<Tensor, NdArray> {
  const own = model.namedTensors();
  const weights = new Map(own.map(([name, x]) => [x, checkArray(where, name, x, content)]));
  const known = new Set(own.map(([name]) => name));
  const unknown = [...content.tensors.keys()].filter(
    (name) => !known.has(name) && !name.startsWith(PREFIX) && !name.startsWith(EXTRA),
  );
  if (unknown.length > 0) {
    throw new ValueError(
      `${where}: has ${unknown.join(", ")}, which the model has not; expected exactly its parameters and buffers`,
    );
  }
  return weights;
}

/** The optimizer's saved state; what its parameters are to hold replaces their entries in `weights`. */
function checkOptimizer(
  where: string,
  model: Module,
  optimizer: CheckpointOptimizer,
  { optimizer: saved }: Header,
  content: SafetensorsContent,
  weights: Map<Tensor, NdArray>,
): StateDict {
  if (saved === undefined) {
    throw new ValueError(
      `${where}: has no optimizer; leave it out, or take a checkpoint that was saved with one`,
    );
  }
  if (saved.class !== optimizer.name) {
    throw new ValueError(`${where}: was saved by ${saved.class}; expected ${optimizer.name}`);
  }
  const groups = namesOf(where, model, optimizer);
  const count = Math.max(groups.length, saved.groups.length);
  for (let g = 0; g < count; g++) {
    const found = saved.groups[g] ?? [];
    const expected = groups[g] ?? [];
    const at = expected.findIndex((name, i) => name !== found[i]);
    if (at < 0 && found.length === expected.length) continue;
    const i = at < 0 ? expected.length : at;
    throw new ValueError(
      `${where}: parameter ${i} of the optimizer's group ${g} is ${found[i] ?? "missing"}; ` +
        `expected ${expected[i] ?? "none"}, as this optimizer has`,
    );
  }
  const names = groups.flat();
  const params = optimizer.paramGroups.flatMap((group) => group.params);
  params.forEach((param, i) => {
    const name = `${PREFIX}held.${names[i]}`;
    if (content.tensors.has(name)) weights.set(param, checkArray(where, name, param, content));
  });
  const take = taker(where, content, params[0]);
  // Counters are numbers for JavaScript, and a GPU would not give them back at once.
  return unpack(saved.dict, (name, as) =>
    take(name, content.tensors.get(name)?.shape.length === 0 ? "array" : as),
  ) as StateDict;
}

/** Finds saved arrays by name; tensors are made on the device of `like`. */
function taker(where: string, content: SafetensorsContent, like: Tensor | undefined) {
  return (name: string, as: "tensor" | "array"): unknown => {
    const stored = content.tensors.get(name);
    if (stored === undefined) {
      throw new ValueError(`${where}: has no ${name}, which its header names; the file is damaged`);
    }
    if (as === "array" || like === undefined) return stored.data;
    return fromData(like.backend, stored.data, stored.shape);
  };
}

function checkExtra(
  where: string,
  model: Module,
  extra: Readonly<Record<string, Stateful>>,
  header: Header,
  content: SafetensorsContent,
): Record<string, unknown> {
  const states: Record<string, unknown> = {};
  for (const name of Object.keys(extra)) {
    const saved = header.extra?.[name];
    if (saved === undefined) {
      throw new ValueError(
        `${where}: has no state of extra ${JSON.stringify(name)}; leave it out, or take a checkpoint that was saved with it`,
      );
    }
    states[name] = unpack(saved, taker(where, content, model.parameters()[0]));
  }
  return states;
}

function checkLoader(where: string, loader: DataLoader, state: DataLoaderState | undefined): void {
  if (state === undefined) {
    throw new ValueError(
      `${where}: has no data position; leave the loader out, or take a checkpoint that was saved with one`,
    );
  }
  const { dataset, batchSize, shuffle, dropLast } = loader;
  new DataLoader(dataset, { batchSize, shuffle, dropLast, seed: 0 }).loadState(state);
}

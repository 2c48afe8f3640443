/** Builds the optimizer, scheduler or average that a golden/1 case describes. */
import type { Tensor } from "../index.ts";
import { optim } from "../index.ts";
import { Unsupported } from "./format.ts";

/** What a wrapper wraps. */
export interface BaseSpec {
  readonly class: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Upstream made its state before the first step: zeros, where roadless has none yet. */
  readonly state_preinitialised?: boolean;
  /** Numbers put into its groups. */
  readonly group_extra?: readonly Readonly<Record<string, number>>[];
}

export interface OptimizerSpec {
  readonly class: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly base?: BaseSpec;
}

export interface SchedulerSpec {
  readonly class: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface AverageSpec {
  readonly kind: string;
  readonly options: { readonly decay?: number };
}

/** What `lr_schedulers.json` needs of a scheduler. */
export interface Scheduler {
  step(metric?: number): void;
  getLastLr(): number[];
}

export type Groups =
  | readonly Tensor[]
  | readonly (Record<string, unknown> & { params: Tensor[] })[];

const classes = optim as unknown as Record<
  string,
  new (first: unknown, second?: unknown) => unknown
>;

function classOf(name: string): new (first: unknown, second?: unknown) => unknown {
  if (Object.hasOwn(classes, name)) return classes[name];
  throw new Unsupported(name, `vectors: found the class "${name}"; expected one of roadless.optim`);
}

/** Option names become camelCase. Throws Unsupported when there is no such class. */
export function createOptimizer(spec: OptimizerSpec, groups: Groups): optim.Optimizer {
  const optimizer = classOf(spec.class);
  const options = camelKeys(spec.options);
  // With polyak_beta the vectors record upstream's double bias correction.
  const given = [options, ...groups] as { polyakBeta?: number }[];
  if (given.some(({ polyakBeta = 0 }) => polyakBeta > 0)) options.compat = "upstream";
  const { base } = spec;
  if (base === undefined) return new optimizer(groups, options) as optim.Optimizer;
  const wrapped = new (classOf(base.class))(groups, camelKeys(base.options)) as optim.Optimizer;
  base.group_extra?.forEach((extra, g) => Object.assign(wrapped.paramGroups[g], extra));
  return new optimizer(wrapped, options) as optim.Optimizer;
}

export function createScheduler(spec: SchedulerSpec, optimizer: optim.Optimizer): Scheduler {
  const scheduler = classOf(spec.class);
  const options: Record<string, unknown> = { ...spec.options };
  if (Array.isArray(options.schedulers)) {
    options.schedulers = (options.schedulers as SchedulerSpec[]).map((member) =>
      createScheduler(member, optimizer),
    );
  }
  if (spec.class === "ChainedScheduler") {
    return new scheduler(options.schedulers, optimizer) as Scheduler;
  }
  for (const [theirs, ours] of [
    ["T_max", "tMax"],
    ["T_0", "t0"],
    ["T_mult", "tMult"],
  ]) {
    if (theirs in options) options[ours] = options[theirs];
    delete options[theirs];
  }
  delete options.verbose;
  return new scheduler(optimizer, camelKeys(options)) as Scheduler;
}

export function createAverage(
  { kind, options }: AverageSpec,
  params: readonly Tensor[],
): optim.WeightAverage {
  if (kind.startsWith("swa")) return new optim.SWA(params);
  if (kind.startsWith("ema")) return new optim.EMA(params, options);
  const what = `AveragedModel of the kind ${kind}`;
  throw new Unsupported(what, `vectors: found the average "${kind}"; expected swa… or ema…`);
}

export function camelKeys(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const camel = (key: string): string =>
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
}

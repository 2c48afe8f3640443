/** Records optimizers, schedulers and averages on the reference: cases of golden/1's optim files. */
import type { JsonNumber, JsonNumbers } from "./format.ts";
import { listOf } from "./format.ts";
import type {
  CreateOptimizer,
  Observed,
  OptimizerEvent,
  OptimizerRunSpec,
  PerParameter,
} from "./optimizer-run.ts";
import { runOptimizer } from "./optimizer-run.ts";
import { runNow } from "./reads.ts";
import type { AverageRunSpec, SchedulerRunSpec } from "./schedule-run.ts";
import { runAverage, runScheduler } from "./schedule-run.ts";

export interface OptimizerExpectation {
  readonly loss?: JsonNumber;
  readonly y?: PerParameter<JsonNumbers>;
  readonly grads_at_y?: PerParameter<JsonNumbers | null>;
  readonly params: PerParameter<JsonNumbers>;
  readonly state: PerParameter<Readonly<Record<string, JsonNumbers | JsonNumber>>>;
  readonly groups: readonly Readonly<Record<string, JsonNumber>>[];
  readonly train_mode?: boolean;
}

/** A case of optim/*.json. */
export interface OptimizerCase extends OptimizerRunSpec {
  readonly events: readonly (OptimizerEvent & { readonly expect: OptimizerExpectation })[];
}

/** The numbers of a group that change, by upstream's names. */
const scalars = [
  "k",
  "lr",
  "scheduled_lr",
  "lr_max",
  "weight_sum",
  "grad_l1_ema",
  "grad_l1_ema_corr",
  "function_value_ema",
  "ip_term",
];

/**
 * Runs a spec's events on the float64 reference (float32 cases: every value that is stored is rounded)
 * and adds to each what it left behind.
 *
 * @param create makes the optimizer, where it is not the class of roadless.optim that `spec` names: one of
 *   your own, over `groups` (parameter groups with options in camelCase)
 */
export function recordOptimizer(
  spec: OptimizerRunSpec & { readonly events: readonly OptimizerEvent[] },
  create?: CreateOptimizer,
): OptimizerCase {
  const events: OptimizerCase["events"][number][] = [];
  const observe = (observed: Observed, i: number): boolean => {
    if (i >= 0) events.push({ ...spec.events[i], expect: expectation(observed) });
    return true;
  };
  runNow("reference", runOptimizer(spec, spec.events, observe, create));
  return { ...spec, events };
}

function expectation({ params, state, groups, loss, y, gradsAtY }: Observed): OptimizerExpectation {
  const mode = groups[0]?.train_mode;
  return {
    loss,
    y: y && lists(y),
    grads_at_y: gradsAtY?.map((group) =>
      group.map((grad) => (grad === null ? null : listOf(grad))),
    ),
    params: lists(params),
    state: state.map((group) =>
      group.map((entries) =>
        Object.fromEntries(
          Object.entries(entries).map(([key, value]) => {
            return [key, key === "step" ? value[0] : listOf(value)];
          }),
        ),
      ),
    ),
    groups: groups.map((group) =>
      Object.fromEntries(
        scalars.flatMap((key) => (typeof group[key] === "number" ? [[key, group[key]]] : [])),
      ),
    ),
    train_mode: typeof mode === "boolean" ? mode : undefined,
  };
}

function lists(values: PerParameter<ArrayLike<number>>): number[][][] {
  return values.map((group) => group.map((list) => listOf(list)));
}

/** The rates (and momenta, where a scheduler moves them) at 61 steps. */
export function recordScheduler(
  spec: SchedulerRunSpec,
): SchedulerRunSpec & { readonly expect: object } {
  const { lr, momentum } = runScheduler(spec, 61);
  const moves = momentum.some((row) => row.some((value, g) => value !== momentum[0][g]));
  const still = momentum[0].some(Number.isNaN) || !moves;
  return { ...spec, expect: { lr, momentum: still ? undefined : momentum } };
}

/** The average after each event. */
export function recordAverage(spec: AverageRunSpec): AverageRunSpec {
  const seen = runNow("reference", runAverage(spec));
  const events = spec.events.map((event, i) => ({
    ...event,
    expect: { average: seen[i].average.map((list) => listOf(list)), n_averaged: seen[i].count },
  }));
  return { ...spec, events };
}

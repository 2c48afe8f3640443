/** Runs learning-rate schedulers and averages of weights: what is recorded, and what is compared. */
import { scope, tensor, withDevice, zeros } from "../index.ts";
import type { FloatType, JsonNumbers } from "./format.ts";
import { toNumber, toNumbers } from "./format.ts";
import type { AverageSpec, OptimizerSpec, SchedulerSpec } from "./optimizers.ts";
import { createAverage, createOptimizer, createScheduler } from "./optimizers.ts";
import type { Run } from "./reads.ts";
import { read } from "./reads.ts";

/** A case of lr_schedulers.json, without what comes out. */
export interface SchedulerRunSpec extends SchedulerSpec {
  readonly name: string;
  readonly optimizer: OptimizerSpec;
  readonly base_lr: readonly number[];
  /** ReduceLROnPlateau: what each call of step is told. */
  readonly metrics?: JsonNumbers;
}

/** Per step and group. */
export interface Curve {
  readonly lr: number[][];
  /** What `getLastLr` says, at every step. */
  readonly last: number[][];
  /** `betas[0]` or `momentum`; NaN where the optimizer has neither. */
  readonly momentum: number[][];
}

type Group = { lr: number; momentum?: number; betas?: readonly number[] };

/** The rates in effect at each of `steps` steps. */
export function runScheduler(spec: SchedulerRunSpec, steps: number): Curve {
  return withDevice("reference", () =>
    scope(() => {
      const groups = spec.base_lr.map((lr) => ({
        lr,
        params: [zeros([2], { requiresGrad: true })],
      }));
      const optimizer = createOptimizer(spec.optimizer, groups);
      const live = optimizer.paramGroups as unknown as readonly Group[];
      const scheduler = createScheduler(spec, optimizer);
      const curve: Curve = { lr: [], last: [], momentum: [] };
      for (let i = 0; i < steps; i++) {
        if (i > 0) {
          if (spec.metrics === undefined) scheduler.step();
          else scheduler.step(toNumber(spec.metrics[i - 1]));
        }
        curve.lr.push(live.map(({ lr }) => lr));
        curve.last.push(scheduler.getLastLr().slice());
        curve.momentum.push(live.map(({ betas, momentum }) => betas?.[0] ?? momentum ?? NaN));
      }
      optimizer.dispose();
      return curve;
    }),
  );
}

/** A case of swa_utils.json, without what comes out. */
export interface AverageRunSpec extends AverageSpec {
  readonly name: string;
  readonly class: string;
  readonly dtype: FloatType;
  readonly params: readonly { readonly shape: readonly number[]; readonly data: JsonNumbers }[];
  readonly events: readonly {
    readonly op: "update" | "skip";
    readonly params: readonly JsonNumbers[];
  }[];
}

/** The average after each event, on the default device. */
export function* runAverage(
  spec: AverageRunSpec,
): Run<{ average: ArrayLike<number>[]; count: number }[]> {
  const open = scope();
  try {
    const params = spec.params.map(({ shape, data }) => {
      const values = Float64Array.from(toNumbers(data));
      return tensor(values, { shape: [...shape], dtype: spec.dtype });
    });
    const average = createAverage(spec, params);
    const seen: { average: ArrayLike<number>[]; count: number }[] = [];
    for (const { op, params: now } of spec.events) {
      params.forEach((param, i) => param.copyFrom(toNumbers(now[i])));
      if (op === "update") average.update();
      const values = yield* read(average.values());
      seen.push({ average: [...values], count: average.nAveraged });
    }
    average.dispose();
    return seen;
  } finally {
    open.unwind();
  }
}

/** The learning-rate schedulers and weight averages that `exportVectors` writes. */
import { Draw } from "../draw.ts";
import type { FloatType } from "../format.ts";
import type { SchedulerSpec } from "../optimizers.ts";
import type { AverageRunSpec, SchedulerRunSpec } from "../schedule-run.ts";

const of = (name: string, options: SchedulerSpec["options"]): SchedulerSpec => ({
  class: name,
  options,
});

/** By the case's name. */
const schedulers: Readonly<Record<string, SchedulerSpec>> = {
  cosine: of("CosineAnnealingLR", { T_max: 50, eta_min: 0.001 }),
  warm_restarts: of("CosineAnnealingWarmRestarts", { T_0: 8, T_mult: 2 }),
  linear: of("LinearLR", { start_factor: 0.1, total_iters: 20 }),
  constant: of("ConstantLR", { factor: 0.25, total_iters: 12 }),
  step: of("StepLR", { step_size: 15, gamma: 0.3 }),
  multi_step: of("MultiStepLR", { milestones: [10, 30, 31], gamma: 0.5 }),
  exponential: of("ExponentialLR", { gamma: 0.95 }),
  polynomial: of("PolynomialLR", { total_iters: 40, power: 2 }),
  one_cycle: of("OneCycleLR", { max_lr: 0.5, total_steps: 61 }),
  one_cycle_three_phase: of("OneCycleLR", { max_lr: 0.5, total_steps: 61, three_phase: true }),
  cyclic: of("CyclicLR", { base_lr: 0.01, max_lr: 0.1, step_size_up: 8, mode: "triangular2" }),
  sequential: of("SequentialLR", {
    schedulers: [
      of("LinearLR", { start_factor: 0.1, total_iters: 10 }),
      of("CosineAnnealingLR", { T_max: 51 }),
    ],
    milestones: [10],
  }),
  chained: of("ChainedScheduler", {
    schedulers: [
      of("ConstantLR", { factor: 0.1, total_iters: 5 }),
      of("ExponentialLR", { gamma: 0.9 }),
    ],
  }),
  plateau: of("ReduceLROnPlateau", { factor: 0.5, patience: 3, cooldown: 2, min_lr: 0.001 }),
};

export const schedulerCases: readonly ((seed: number) => SchedulerRunSpec)[] = Object.entries(
  schedulers,
).map(([name, spec]) => (seed) => ({
  name,
  ...spec,
  optimizer: of("SGD", { momentum: 0.9 }),
  base_lr: name.startsWith("one_cycle") || name === "cyclic" ? [0.1] : [0.1, 0.02],
  // Falls, then wavers.
  metrics: name === "plateau" ? metrics(new Draw(seed, name)) : undefined,
}));

function metrics(draw: Draw): number[] {
  return draw.uniform(60, 0, 0.5).map((noise, i) => 4 / (1 + Math.min(i, 20)) + noise);
}

const kinds = { swa: {}, ema: { decay: 0.9 } } as const;

export const averageCases: readonly ((seed: number, dtype: FloatType) => AverageRunSpec)[] =
  Object.entries(kinds).flatMap(([kind, options]) =>
    [1, 3].map((every) => (seed: number, dtype: FloatType): AverageRunSpec => {
      const name = `${kind}_every_${every}`;
      const draw = new Draw(seed, name);
      const params = [[3], [2, 2]].map((shape) => {
        return { shape, data: draw.normal(shape.reduce((n, extent) => n * extent, 1)) };
      });
      const events = Array.from({ length: 9 }, (_, i) => ({
        op: i % every === 0 ? ("update" as const) : ("skip" as const),
        params: params.map(({ data }) => draw.normal(data.length)),
      }));
      return {
        name: `${name}/${dtype}`,
        class: "AveragedModel",
        kind,
        options,
        dtype,
        params,
        events,
      };
    }),
  );

/**
 * Plays the optimizer cases of golden/1 files (see vectors/README.md): builds the optimizer that a
 * case describes, applies its events in order, and compares everything that is recorded.
 */
import type { DeviceName } from "../../src/index.ts";
import type { JsonNumber, JsonNumbers } from "../../src/vectors/format.ts";
import type { OptimizerCase } from "../../src/vectors/optimizer-record.ts";
import type { Observed, PerParameter } from "../../src/vectors/optimizer-run.ts";
import { runOptimizer } from "../../src/vectors/optimizer-run.ts";
import { runLater } from "../../src/vectors/reads.ts";
import type { Outcome } from "./compare.ts";
import { attempt } from "./compare.ts";

type PlayedEvent = OptimizerCase["events"][number];

export interface OptimFile {
  readonly file: string;
  readonly class_defaults?: Readonly<Record<string, unknown>>;
  readonly cases: readonly OptimizerCase[];
}

/** golden/README §5: closures feed errors back into the gradient, which float32 shows. */
function tolerance({ class: name, dtype, problem }: OptimizerCase): number {
  if (dtype === "float64") return name.startsWith("RAdamScheduleFree") ? 1e-9 : 1e-12;
  if (problem !== undefined) return 3e-4;
  return name.startsWith("AdamC") ? 3e-5 : 1e-5;
}

/**
 * Plays one case on a device. The device must have the case's dtype: float64 exists on the
 * reference, float32 on all.
 */
export async function playOptimCase(played: OptimizerCase, device: DeviceName): Promise<Outcome> {
  return attempt(async () => {
    const check = new Check(tolerance(played));
    const observe = (observed: Observed, i: number): boolean => {
      if (i < 0) {
        const initial = played.groups.map(({ params }) => params.map(({ data }) => data));
        compareTensors("parameter", observed.params, initial, check);
        return true;
      }
      check.where = `event ${i} (${played.events[i].op})`;
      compareStep(played.events[i], observed, check);
      compare(played.events[i], observed, check, played.base?.state_preinitialised);
      return check.message === undefined;
    };
    await runLater(device, runOptimizer(played, played.events, observe));
    if (check.message === undefined) return { status: "passed", worst: check.worst };
    return { status: "failed", worst: check.worst, message: check.message };
  });
}

/** What a step has to leave as it was, and what a closure saw. */
function compareStep(event: PlayedEvent, observed: Observed, check: Check): void {
  const { error, grads, expect } = event;
  if (observed.refused !== (error !== undefined)) {
    check.fail(`step() ${error === undefined ? "threw" : `did not throw; expected ${error}`}`);
  }
  if (error === undefined) {
    grads?.forEach((list, g) =>
      list.forEach((grad, p) => {
        const held = observed.grads?.[g][p] ?? null;
        if (grad !== null && held !== null) {
          check.exact(`gradient ${g}.${p} after the step`, held, grad);
        }
      }),
    );
  }
  if (expect.y !== undefined && observed.y !== undefined) {
    compareTensors("y at closure", observed.y, expect.y, check);
  }
  expect.grads_at_y?.forEach((list, g) =>
    list.forEach((grad, p) => {
      const found = observed.gradsAtY?.[g][p] ?? null;
      if (grad === null || found === null) {
        if (grad !== found) check.fail(`gradient ${g}.${p} is there or missing against the record`);
      } else check.tensor(`gradient ${g}.${p}`, found, grad);
    }),
  );
  if (expect.loss !== undefined) check.scalar("loss", observed.loss ?? NaN, expect.loss);
}

/** AdamC's sums that have the loss in them: their scale is the loss's too. */
const ofLoss = new Set(["ip_term", "function_value_ema"]);

function compare(
  event: PlayedEvent,
  observed: Observed,
  check: Check,
  preinitialised = false,
): void {
  const { expect } = event;
  compareTensors("parameter", observed.params, expect.params, check);
  expect.state.forEach((states, g) =>
    states.forEach((state, p) => {
      const found = observed.state[g][p];
      if (Object.keys(state).length === 0 && Object.keys(found).length > 0) {
        check.fail(`state ${g}.${p} is there before the first gradient`);
      }
      for (const [key, expected] of Object.entries(state)) {
        const value = found[key];
        if (value === undefined) {
          // x and y are stored by some forms alone; all else has to be there.
          const isZero = [expected].flat().every((number) => number === 0);
          if (preinitialised && isZero) continue;
          if (key !== "x" && key !== "y") check.fail(`state ${g}.${p} has no ${key}`);
        } else if (Array.isArray(expected)) {
          check.tensor(`${key} ${g}.${p}`, value, expected);
        } else {
          check.scalar(`${key} ${g}.${p}`, value[0], expected as JsonNumber);
        }
      }
    }),
  );
  expect.groups.forEach((scalars, g) => {
    for (const [key, expected] of Object.entries(scalars)) {
      const found = observed.groups[g][key];
      const scale = ofLoss.has(key) ? Math.abs(Number(event.function_value ?? 0)) : 0;
      check.scalar(`group ${g} ${key}`, found as number, expected, scale);
    }
    const mode = observed.groups[g].train_mode;
    if (expect.train_mode !== undefined && mode !== expect.train_mode) {
      check.fail(`group ${g}: train_mode is ${String(mode)}; expected ${expect.train_mode}`);
    }
  });
}

function compareTensors(
  label: string,
  found: PerParameter<ArrayLike<number>>,
  expected: PerParameter<JsonNumbers>,
  check: Check,
): void {
  expected.forEach((params, g) =>
    params.forEach((values, p) => check.tensor(`${label} ${g}.${p}`, found[g][p], values)),
  );
}

/** Compares with the scale that golden/README §2.1 gives: the largest magnitude so far. */
class Check {
  worst = 0;
  message: string | undefined;
  where = "start";
  private readonly tolerance: number;
  private readonly scales = new Map<string, number>();

  constructor(limit: number) {
    this.tolerance = limit;
  }

  fail(message: string): void {
    this.message ??= `${this.where}: ${message}`;
  }

  scalar(key: string, found: number, expected: JsonNumber, atLeast = 0): void {
    const known = this.scales.get(key) ?? 0;
    if (Number.isFinite(atLeast)) this.scales.set(key, Math.max(known, atLeast));
    this.tensor(key, [found], [expected]);
  }

  exact(key: string, found: ArrayLike<number>, expected: JsonNumbers): void {
    for (let i = 0; i < expected.length; i++) {
      const value = Number(expected[i]);
      if (!(found[i] === value || (Number.isNaN(found[i]) && Number.isNaN(value)))) {
        this.fail(`${key}[${i}] is ${found[i]}; expected ${value} exactly`);
      }
    }
  }

  tensor(key: string, found: ArrayLike<number>, expected: JsonNumbers): void {
    if (found.length !== expected.length) {
      this.fail(`${key} has ${found.length} elements; expected ${expected.length}`);
      return;
    }
    let scale = this.scales.get(key) ?? 0;
    for (const value of expected) {
      const magnitude = Math.abs(Number(value));
      if (Number.isFinite(magnitude)) scale = Math.max(scale, magnitude);
    }
    this.scales.set(key, scale);
    for (let i = 0; i < expected.length; i++) {
      const a = found[i];
      const b = Number(expected[i]);
      if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
      const error = Math.abs(a - b) / Math.max(Math.abs(b), scale);
      if (error > this.worst) this.worst = error;
      if (!(error <= this.tolerance)) {
        this.fail(
          `${key}[${i}] is ${a}; expected ${b} (error ${error}, allowed ${this.tolerance})`,
        );
      }
    }
  }
}

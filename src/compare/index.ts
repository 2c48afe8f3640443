/**
 * Finds the first operation in which two devices disagree. Every operation of a function (forward,
 * backward, optimizer steps) is recorded with its values, and the two records are laid side by side;
 * or one is recorded and each of its operations run again on the other device, from the same inputs.
 */
import type { DeviceName } from "../backend/backend.ts";
import { backendOf } from "../device.ts";
import { ValueError } from "../errors.ts";
import type { Recorded } from "./record.ts";
import { record, replay } from "./record.ts";
import type { Tolerance } from "./report.ts";
import { agrees, compareArrays, ComparisonReport, firstDifference } from "./report.ts";

export type { ComparedArray, Difference, Tolerance } from "./report.ts";
export { ComparisonReport } from "./report.ts";

export interface CompareOptions extends Tolerance {
  /** What the default generator starts from on both devices; it is put back afterwards. Default 0. */
  seed?: number;
  /**
   * `"sequence"` (default): `fn` runs on both devices; errors are carried along from operation to
   * operation. `"isolated"`: `fn` runs on the device of the narrower floats alone, and the other runs
   * each operation on the values that it had there: an error is seen where it is made.
   */
  mode?: "sequence" | "isolated";
}

const defaults: Record<"float32" | "float64", Required<Tolerance>> = {
  float32: { rtol: 1e-4, atol: 1e-7 },
  float64: { rtol: 1e-9, atol: 1e-13 },
};

/**
 * Runs `fn` on two devices and compares every operation: the report names the first whose outputs
 * differ beyond tolerance. Devices must be started (`init`) where they cannot start by themselves.
 * All values of a run are kept until they are compared: use a small batch and few steps.
 *
 * @param fn makes its tensors on the default device, which is set for it; synchronous. Whatever it
 *   makes outside scopes (modules, optimizers) it should dispose.
 * @throws ValueError for unknown options; whatever `fn` throws.
 */
export async function compare(
  deviceA: DeviceName,
  deviceB: DeviceName,
  fn: () => unknown,
  options: CompareOptions = {},
): Promise<ComparisonReport> {
  const { seed = 0, mode = "sequence", rtol, atol } = options;
  if (mode !== "sequence" && mode !== "isolated") {
    throw new ValueError(`compare: mode is "${String(mode)}"; expected "sequence" or "isolated"`);
  }
  for (const [name, value] of Object.entries({ rtol, atol })) {
    if (value !== undefined && !(value >= 0)) {
      throw new ValueError(`compare: ${name} is ${value}; expected a number ≥ 0`);
    }
  }
  const [a, b] = [backendOf(deviceA), backendOf(deviceB)];
  const floats = [a, b].map((backend) => backend.capabilities().float);
  const narrow = floats.includes("float32") ? "float32" : "float64";
  const tolerance = { ...defaults[narrow] };
  if (rtol !== undefined) tolerance.rtol = rtol;
  if (atol !== undefined) tolerance.atol = atol;

  // What the narrower floats hold, the wider ones hold exactly: that side's values are handed over.
  const isolated = async (ofA: Recorded[], ofB: Recorded[]): Promise<[Recorded[], Recorded[]]> =>
    floats[0] === narrow ? [ofA, await replay(b, ofA)] : [await replay(a, ofB), ofB];
  const recordA = (): Promise<Recorded[]> => record(deviceA, fn, seed);
  const recordB = (): Promise<Recorded[]> => record(deviceB, fn, seed);
  let runs: [Recorded[], Recorded[]];
  if (mode === "sequence") runs = [await recordA(), await recordB()];
  else if (floats[0] === narrow) runs = await isolated(await recordA(), []);
  else runs = await isolated([], await recordB());

  const found = firstDifference(...runs, tolerance);
  const { difference } = found;
  if (difference !== null && difference.kind === "values") {
    const [fromA, fromB] = runs.map((run) => [run[difference.index]]);
    const [ofA, ofB] = mode === "isolated" ? [fromA, fromB] : await isolated(fromA, fromB);
    const alone = compareArrays(ofA[0].outputs, ofB[0].outputs, tolerance);
    const madeHere = alone.some((x) => !agrees(x, tolerance));
    found.difference = { ...difference, alone, madeHere };
  }
  return new ComparisonReport([deviceA, deviceB], mode, found);
}

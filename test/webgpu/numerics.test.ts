/** The errors on device "webgpu" that docs/numerics.md tells, wherever they are known to hold. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readBytes } from "../files.ts";
import { exceeding } from "../numerics/exceeding.ts";
import type { Measurements } from "../numerics/report.ts";
import { subjects, titleOf } from "../numerics/subjects.ts";
import { adapter, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const numerics = suite("webgpu numerics");

/** Measured on the first, and seen to hold on the other; a GPU may divide with a larger error. */
const held = /swiftshader|llvmpipe/i.test(adapter);

if (unavailable === null && held) {
  const bytes = await readBytes("test/numerics/measured.json");
  const measurements = JSON.parse(new TextDecoder().decode(bytes)) as Measurements;
  for (const subject of subjects) {
    numerics(titleOf(subject), async () => {
      assert.equal(await exceeding(subject, "webgpu", measurements), []);
    });
  }
} else numerics.skip("every operation", unavailable ?? `not measured on ${adapter}`);

numerics.before(async () => void (await startWebGpu()));
numerics.after(stopWebGpu);

numerics.run();

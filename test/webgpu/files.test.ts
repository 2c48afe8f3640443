/** Checkpoints of device "webgpu" in files, so where there is a file system. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadCheckpoint, saveCheckpointAsync, withDevice } from "../../src/index.ts";
import { build } from "../checkpoint/training.ts";
import { disposeRun } from "./asynchronous.ts";
import { loseDevice, startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";
import { losses, rejectsAsLost } from "./lost.ts";

const files = suite("webgpu files");

if (unavailable !== null) files.skip("every test", unavailable);
else {
  files("a device lost while a checkpoint is saved leaves the last file as it was", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "roadless-lost-"));
    const file = path.join(folder, "run.safetensors");
    try {
      const first = withDevice("webgpu", () => build("AdamWScheduleFree", 0));
      await losses(first, 5);
      await saveCheckpointAsync(file, first);
      const expected = await losses(first, 6);
      const before = readFileSync(file);
      loseDevice();
      await rejectsAsLost(saveCheckpointAsync(file, first));
      assert.equal(readFileSync(file), before);
      assert.equal(readdirSync(folder), ["run.safetensors"]);
      disposeRun(first);

      await startWebGpu();
      const second = withDevice("webgpu", () => build("AdamWScheduleFree", 99));
      loadCheckpoint(file, second);
      assert.equal(await losses(second, 6), expected);
      disposeRun(second);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

files.before(async () => void (await startWebGpu()));
files.after(stopWebGpu);

files.run();

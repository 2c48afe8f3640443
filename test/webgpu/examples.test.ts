/** Examples with `--device webgpu`, as a user starts them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadSafetensors } from "../../src/io/index.ts";
import { served, visit } from "../examples/page.ts";
import { released, start } from "../examples/start.ts";
import { findBrowser, noBrowser } from "../portable/find-browser.ts";
import { stopWebGpu, unavailable } from "./gpu.ts";

const examples = suite("webgpu examples");
const folder = mkdtempSync(path.join(os.tmpdir(), "roadless-webgpu-examples-"));
const root = fileURLToPath(new URL("../..", import.meta.url));
const gpu = ["--import", new URL("navigator.mjs", import.meta.url).href];

if (unavailable !== null) examples.skip("every test", unavailable);
else {
  examples("mnist trains, tests and saves, with the CPU's losses", async () => {
    const train = async (device: string, preload: readonly string[]) => {
      const file = path.join(folder, device);
      const args = ["--model", "linear", "--limit", "640", "--device", device, "--output", file];
      const { code, stdout, stderr } = await start("mnist", args, preload).ended;
      assert.is(code, 0, stderr);
      const lines = stdout.trimEnd().split("\n");
      assert.match(lines.at(-1)!, released);
      const [, loss] = /100 %  loss ([\d.]+)  [^\n]*  in /.exec(stdout)!;
      return { loss: Number(loss), accuracy: Number(loadSafetensors(file).metadata.accuracy) };
    };
    const [found, expected] = [await train("webgpu", gpu), await train("cpu", [])];
    assert.ok(Math.abs(found.loss - expected.loss) <= 1e-4, `${found.loss}, ${expected.loss}`);
    assert.ok(expected.accuracy > 0.6);
    assert.ok(Math.abs(found.accuracy - expected.accuracy) < 0.002);
  });

  examples("README's program trains", () => {
    const readme = readFileSync(path.join(root, "README.md"), "utf8");
    const [, code] = /^```js\n([\s\S]*?)^```$/m.exec(readme)!;
    const file = path.join(root, "dist/readme-webgpu.mjs"); // there, "roadless" is this package
    writeFileSync(file, code);
    const { status, stdout, stderr } = spawnSync(process.execPath, [...gpu, file], {
      cwd: root,
      encoding: "utf8",
    });
    rmSync(file);
    assert.is(status, 0, stderr);
    const losses = stdout
      .trim()
      .split("\n")
      .map((line) => Number(line.split(" ")[1]));
    assert.is(losses.length, 5);
    assert.ok(losses[4] < losses[0], stdout);
  });

  const page = "a visitor of the page trains in Chromium, draws, stops, and saves x";
  if (findBrowser() === undefined && process.env.CI !== "true") examples.skip(page, noBrowser);
  else {
    examples(page, () =>
      served((url) =>
        visit(url, "webgpu", 20, ({ ring, accuracy, saved }) => {
          assert.ok(accuracy > 50, `${accuracy} %`);
          assert.ok(Math.abs(ring.reduce((sum, part) => sum + part, 0) - 100) < 0.01, ring.join());
          assert.is(loadSafetensors(saved).tensors.size, 4);
        }),
      ),
    );
  }
}

examples.before(stopWebGpu);
examples.after(() => rmSync(folder, { recursive: true }));

examples.run();

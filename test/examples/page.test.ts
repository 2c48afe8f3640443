/** `npm run page`: what it serves, and the page in headless Chromium. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadSafetensors } from "../../src/io/index.ts";
import { findBrowser, noBrowser } from "../portable/find-browser.ts";
import { served, visit } from "./page.ts";
import { start } from "./start.ts";

const page = suite("page");

page("the files that it asks for are served, isolated, and no others", async () => {
  await served(async (url) => {
    const get = async (path: string) => fetch(new URL(path, url));
    const wanted = ["/", "/main.js", "/roadless/index.js", "/roadless/webgpu.js"];
    for (const path of [...wanted, "/mnist/t10k-labels-idx1-ubyte"]) {
      const response = await get(path);
      assert.is(response.status, 200, path);
      assert.is(response.headers.get("cross-origin-opener-policy"), "same-origin");
      assert.is(response.headers.get("cross-origin-embedder-policy"), "require-corp");
      assert.ok((await response.arrayBuffer()).byteLength > 1000);
    }
    const unknown = ["/page.ts", "/roadless/%2e%2e/package.json", "/roadless/none.js", "/mnist/x"];
    for (const path of unknown) assert.is((await get(path)).status, 404, path);
  });
});

page("a port that is taken, or is none, is one line and exit code 2", async () => {
  await served(async (url) => {
    const { port } = new URL(url);
    const { code, stderr } = await start("page", ["--port", port]).ended;
    assert.is(stderr, `page: --port is ${port}, which is in use; expected a free port, or 0\n`);
    assert.is(code, 2);
  });
  const { code, stderr } = await start("page", ["--port", "65536"]).ended;
  assert.is(stderr, 'page: --port is "65536"; expected a whole number from 0 to 65535\n');
  assert.is(code, 2);
});

const trains = "a visitor trains on the CPU, draws, stops, and saves x";
if (findBrowser() === undefined && process.env.CI !== "true") page.skip(trains, noBrowser);
else {
  page(trains, () =>
    served((url) =>
      visit(url, "cpu", 500, ({ ring, accuracy, saved }) => {
        assert.ok(accuracy > 90, `${accuracy} %`);
        assert.is(ring.indexOf(Math.max(...ring)), 0, ring.join());
        const { tensors, metadata } = loadSafetensors(saved);
        const shapes = [...tensors].map(([name, { shape }]) => [name, ...shape]);
        assert.equal(shapes, [
          ["1.bias", 128],
          ["1.weight", 128, 784],
          ["3.bias", 10],
          ["3.weight", 10, 128],
        ]);
        assert.ok(Number(metadata.steps) >= 500);
      }),
    ),
  );
}

page.run();

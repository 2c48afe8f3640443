/** What runs in pages and other runtimes: nothing of device "webgpu" is left out by mistake. */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { listFiles } from "../files.ts";

const portable = suite("portable");

/** These start programs or write files. */
const onlyInNode = ["webgpu/examples.test.ts", "webgpu/files.test.ts"];

portable("every suite of device webgpu runs in every host, or is known to need Node", async () => {
  const files = (await listFiles("test/webgpu")).map((file) => file.replace(/^test\//, ""));
  const list = readFileSync("test/portable/webgpu.ts", "utf8");
  const missing = files.filter(
    (file) => file.endsWith(".test.ts") && !list.includes(`import("../${file}")`),
  );
  assert.equal(missing, onlyInNode, "add it to test/portable/webgpu.ts");
});

portable.run();

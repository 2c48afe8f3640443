import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { advice, findTests } from "./data.ts";
import { judge } from "./judge.ts";
import { explained, looser } from "./known.ts";
import type { Result } from "./report.ts";
import { judgeAll, report } from "./report.ts";

const onnx = suite("onnx");

/** Without the data: skipped, but in CI (which installs it) a failure. */
const folder = findTests();
if (folder !== null) {
  declare(folder);
} else if (process.env.CI) {
  onnx("node tests are installed", () => assert.unreachable(advice));
} else {
  onnx.skip("node tests", advice);
}

function declare(folder: string): void {
  let results: Result[] = [];

  onnx("docs/onnx.md says what the node tests come to", () => {
    results = judgeAll(folder);
    const written = fs.readFileSync("docs/onnx.md", "utf8").split("\n");
    const found = report(results).split("\n");
    const changed = [
      ...found.filter((line) => !written.includes(line)).map((line) => `now:    ${line}`),
      ...written.filter((line) => !found.includes(line)).map((line) => `listed: ${line}`),
    ];
    assert.equal(changed.slice(0, 40), [], "`npm run onnx` writes what is true now");
    assert.equal(found, written);
  });

  onnx("no failure is without explanation, and none explained that is none", () => {
    const failing = results.filter((r) => [r.reference, r.cpu].some((v) => v.status === "fail"));
    assert.equal(
      failing.map(({ name }) => name),
      Object.keys(explained),
    );
  });

  onnx("passes with the attributes that its explanation names", () => {
    for (const [name, { attributes }] of Object.entries(explained)) {
      for (const device of ["reference", "cpu"] as const) {
        assert.equal(judge(folder, name, device, attributes), { status: "pass", reason: "" });
      }
    }
  });

  onnx("a wrong attribute makes a test fail", () => {
    const { status, reason } = judge(folder, "test_leakyrelu", "cpu", { alpha: 0.2 });
    assert.is(status, "fail");
    assert.match(reason, /^y\[\d+\] is -[\d.]+; expected -[\d.]+$/);
  });

  onnx("remarks belong to tests that pass", () => {
    for (const { pattern } of looser) {
      const remarked = results.filter(({ name }) => pattern.test(name));
      assert.ok(remarked.length > 0);
      for (const { reference, cpu } of remarked) {
        assert.equal([reference.status, cpu.status], ["pass", "pass"]);
      }
    }
  });
}

onnx.run();

/** `npm run onnx`: runs ONNX' node tests and writes docs/onnx.md. Fails where a failure is unexplained. */
import fs from "node:fs";
import { advice, findTests } from "./data.ts";
import { explained } from "./known.ts";
import { judgeAll, report } from "./report.ts";

const folder = findTests();
if (folder === null) {
  console.error(advice);
  process.exit(1);
}
const results = judgeAll(folder);
fs.writeFileSync("docs/onnx.md", report(results));
let unexplained = 0;
for (const { name, ...verdicts } of results) {
  for (const device of ["reference", "cpu"] as const) {
    const { status, reason } = verdicts[device];
    if (status !== "fail" || name in explained) continue;
    console.log(`${name} fails on ${device}: ${reason}`);
    unexplained++;
  }
}
console.log(`docs/onnx.md: ${results.length} tests, ${unexplained} failures without explanation`);
process.exitCode = unexplained > 0 ? 1 : 0;

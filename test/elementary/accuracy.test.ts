/** Every elementary function against 120 bits and more (oracle.ts): the stated bounds hold. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { draws, functions } from "./cases.ts";
import * as oracle from "./oracle.ts";

const accuracy = suite("elementary functions: accuracy");

/** Arguments of each range; the environment may ask for more (docs/elementary.md: 3000). */
const COUNT = Number(globalThis.process?.env.SAMPLES ?? 80);

type Exact = (x: oracle.Real, y: oracle.Real) => oracle.Real;

for (const { name, f, ranges } of functions) {
  const exact = (oracle as unknown as Record<string, Exact>)[name];
  for (const range of ranges) {
    accuracy(`${name}, ${range.of}: at most ${range.bound} ulp`, () => {
      let worst = { error: 0, x: 0, y: 0 };
      for (const [x, y] of draws(range, COUNT)) {
        const error = oracle.ulpError(f(x, y), exact(oracle.real(x), oracle.real(y)));
        if (!(error <= worst.error)) worst = { error, x, y };
      }
      if (COUNT > 1000) console.log(`${name}, ${range.of}: ${worst.error.toFixed(4)}`);
      assert.ok(worst.error <= range.bound, `${worst.error} ulp at ${worst.x}, ${worst.y}`);
      assert.ok(worst.error > 0.3, `${worst.error} ulp: were the arguments drawn?`);
    });
  }
}

accuracy("the oracle knows what is published", () => {
  // Abramowitz and Stegun, tables 1.1, 4.2, 4.6 and 7.1; 26.1.
  const near = (value: oracle.Real, digits: string): void => {
    const places = BigInt(digits.split(".")[1].length);
    const scaled = (value.m * 10n ** places * 2n) >> BigInt(-value.e);
    assert.is((scaled + 1n) / 2n, BigInt(digits.replace(".", "")), digits);
  };
  const real = oracle.real;
  near(oracle.exp(real(1)), "2.71828182845904523536028747135266249776");
  near(oracle.log(real(2)), "0.6931471805599453094172321214581765681");
  near(oracle.log(real(10)), "2.30258509299404568401799145468436420760");
  near(oracle.sin(real(1)), "0.84147098480789650665250");
  near(oracle.cos(real(1)), "0.54030230586813971740094");
  near(oracle.erf(real(1)), "0.84270079294971486934122");
  near(oracle.normalCdf(real(1)), "0.841344746068543");
});

accuracy.run();

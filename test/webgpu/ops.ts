/** What the GPU does in its own way: operations without kernels, and larger errors. */

const kind = (name: string): RegExp => new RegExp(`no kernels of kind ${name} yet`);

/**
 * Records among whose rows are some that cannot run, and what the error says. They become ordinary rows one by
 * one; docs/webgpu.md has the list for people.
 */
export const notYet: Readonly<Record<string, RegExp>> = {
  attention: kind("attention"),
  attentionMasked: kind("attention"),
};

/** Largest errors beyond the table's, relative to max(1, largest magnitude). */
export const tolerances: Readonly<Record<string, number>> = {};

// Preloaded (node --import): gives Node a navigator.gpu, as pages have one. ROADLESS_WEBGPU is where the package lies.
const { create } = await import(process.env.ROADLESS_WEBGPU ?? "webgpu");
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) } });

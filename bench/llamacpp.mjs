// The opponent: how fast llama.cpp reads and writes with the same file on this machine, for comparison with `mlxr bench`.
//
// usage: node llamacpp.mjs MODEL.gguf [PROMPT_TOKENS] [GENERATED_TOKENS] [THREADS]
//   needs the npm package node-llama-cpp, whose prebuilt libraries hold one variant a processor generation
import {getLlama} from "node-llama-cpp";

const [modelPath, prompt = 512, generate = 64, threads = 2] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath});
const context = await model.createContext(
  {contextSize: Number(prompt) + 32, batchSize: Number(prompt), threads: Number(threads), flashAttention: true});
const sequence = context.getSequence();
const ids = (count) => Array.from({length: count}, (_, i) => (i * 7919) % 250);
const seconds = async (work) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
const best = {prompt: 0, generate: 0};
for (let round = 0; round < 3; round++) {
  await sequence.clearHistory();
  const p = await seconds(() => sequence.evaluateWithoutGeneratingNewTokens(ids(Number(prompt))));
  await sequence.clearHistory();
  const g = await seconds(async () => {
    for (const id of ids(Number(generate))) await sequence.evaluateWithoutGeneratingNewTokens([id]);
  });
  best.prompt = Math.max(best.prompt, Number(prompt) / p);
  best.generate = Math.max(best.generate, Number(generate) / g);
}
console.log(`llama.cpp: prompt ${best.prompt.toFixed(1)} tokens/s, generate ${best.generate.toFixed(1)} tokens/s (best of 3)`);

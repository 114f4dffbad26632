// The opponent under load: llama.cpp's batched decoding of N sequences at once, for comparison with the throughput of
// serving_bench.
//
// usage: node llamacpp_serving.mjs MODEL.gguf [CONCURRENCY,...] [PROMPT_TOKENS] [GENERATED_TOKENS] [THREADS]
//   needs the npm package node-llama-cpp, whose prebuilt libraries hold one variant a processor generation
import {getLlama} from "node-llama-cpp";

const [modelPath, concurrency = "1,4,16", prompt = 64, generate = 64, threads = 2] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath});
const rows = [];
for (const count of concurrency.split(",").map(Number)) {
  const context = await model.createContext({
    sequences: count, contextSize: Number(prompt) + Number(generate) + 32, batchSize: Math.max(512, count),
    threads: Number(threads), flashAttention: true,
    batching: {dispatchSchedule: "nextCycle", itemPrioritizationStrategy: "maximumParallelism"}});
  const begin = performance.now();
  let first = 0;
  const answer = async (index) => {
    const sequence = context.getSequence();
    const ids = Array.from({length: Number(prompt)}, (_, i) => ((i + 17 * index) * 7919) % 250);
    let produced = 0;
    for await (const _ of sequence.evaluate(ids, {temperature: 0, yieldEogToken: true})) {
      produced++;
      if (produced === 1) first = Math.max(first, performance.now() - begin);
      if (produced === Number(generate)) break;
    }
    sequence.dispose();
    return produced;
  };
  const produced = (await Promise.all(Array.from({length: count}, (_, i) => answer(i)))).reduce((a, b) => a + b, 0);
  const total = performance.now() - begin;
  rows.push({sequences: count, tokens_per_s: 1000 * produced / total,
             decode_tokens_per_s: 1000 * (produced - count) / (total - first)});
  await context.dispose();
}
console.log(JSON.stringify({engine: "llama.cpp", throughput: rows}, null, 2));
process.exit(0);

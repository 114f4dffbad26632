// Makes tests/fixtures/text/llamacpp.json: the perplexity of the shipped draft model (whose 8-bit weights leave little room for rounding) on tests/fixtures/text/prose.txt
// by llama.cpp, in chunks of 128 tokens of which the second half is scored.
//
// usage: node make_llamacpp_perplexity.mjs REPOSITORY   (needs the npm package node-llama-cpp)
import fs from "node:fs";
import {getLlama} from "node-llama-cpp";

const root = process.argv[2];
const kContext = 128;
const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: `${root}/models/sprout/sprout-draft-3m-q8_0.gguf`});
const ids = model.tokenize(fs.readFileSync(`${root}/tests/fixtures/text/prose.txt`, "utf8"), false);
const context = await model.createContext({contextSize: 256, batchSize: 256, threads: 2, flashAttention: false});
const sequence = context.getSequence();
let sum = 0;
let count = 0;
const wanted = {generateNext: {probabilities: true, options: {temperature: 1, topK: 0, topP: 1, minP: 0}}};
for (let start = 0; start + kContext <= ids.length; start += kContext) {
  await sequence.clearHistory();
  const chunk = ids.slice(start, start + kContext);
  const scored = (i) => i >= kContext / 2 && i + 1 < kContext;
  const out = await sequence.controlledEvaluate(chunk.map((token, i) => (scored(i) ? [token, wanted] : token)));
  for (let i = 0; i < kContext; i++) {
    if (!scored(i)) continue;
    sum -= Math.log(out[i].next.probabilities.get(chunk[i + 1]));
    count++;
  }
}
const result = {llamacpp: "v0.5.0", context: kContext, tokens: ids.length, scored: count, perplexity: Math.exp(sum / count)};
fs.writeFileSync(`${root}/tests/fixtures/text/llamacpp.json`, JSON.stringify(result) + "\n");

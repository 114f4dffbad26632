// Makes tests/fixtures/sprout/llamacpp.json: what llama.cpp answers from the shipped starter model, greedily, with the
// margin (natural logarithm of the ratio of the two best probabilities) of each choice.
//
// usage: node make_llamacpp_golden.mjs REPOSITORY   (needs the npm package node-llama-cpp; prebuilt libraries will do)
import fs from "node:fs";
import {getLlama} from "node-llama-cpp";

const root = process.argv[2];
const kTokens = 48;
const golden = JSON.parse(fs.readFileSync(`${root}/models/sprout/golden.json`, "utf8"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: `${root}/models/sprout/sprout-28m-q5_k_m.gguf`});
const cases = [];
for (const {ids} of golden.cases) {
  const context = await model.createContext({contextSize: 2048, threads: 2, flashAttention: false});
  const sequence = context.getSequence();
  const greedy = [];
  const margins = [];
  const options = {temperature: 0, yieldEogToken: true};
  for await (const {token, probabilities} of sequence.evaluateWithMetadata(ids, {probabilities: true}, options)) {
    const best = [...probabilities.values()].sort((a, b) => b - a);
    greedy.push(token);
    margins.push(Number(Math.log(best[0] / best[1]).toFixed(4)));
    if (greedy.length >= kTokens || model.isEogToken(token)) break;
  }
  cases.push({ids, greedy, margins});
  await context.dispose();
}
fs.writeFileSync(`${root}/tests/fixtures/sprout/llamacpp.json`, JSON.stringify({llamacpp: "v0.5.0", cases}) + "\n");

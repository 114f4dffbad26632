// The opponent of grammar_bench: what llama.cpp's grammars cost a token, along the same texts.
//
// usage: node grammar_llamacpp.mjs MODEL.gguf CASES [ROUNDS [PART_OF_A_NAME [EVERY]]]
//   CASES is bench/grammar_cases.inc; its GBNF grammars are run. EVERY: masks of every so many tokens only.
//   MODEL's weights do not matter, only its vocabulary: one layer, 64 wide, is enough.
//   needs the npm package node-llama-cpp, whose prebuilt libraries hold one variant a processor generation
//
// mask: the grammar applied to the logits of the whole vocabulary, as a mask is: greedy sampling with the grammar less
// greedy sampling without it. check: the grammar applied to one token, which is all that llama.cpp's own sampler does
// as long as the model's choice is allowed; when it is not, it pays for a mask. accept: taking the token.
import {readFileSync} from "node:fs";
import {getLlama} from "node-llama-cpp";

const [modelPath, casesPath, rounds = "3", part = "", every = "1"] = process.argv.slice(2);
const raw = /R"(\w+)\(([\s\S]*?)\)\1"/y;
const cases = [];
const source = readFileSync(casesPath, "utf8");
for (const row of source.matchAll(/^\{"(\w+)", BenchCase::kGbnf, /gm)) {
  const strings = [];
  let at = row.index + row[0].length;
  for (;;) {
    raw.lastIndex = at;
    const found = raw.exec(source);
    if (found === null) break;
    strings.push(found[2]);
    at = raw.lastIndex + /^[,\s{]*/.exec(source.slice(raw.lastIndex))[0].length;
  }
  if (row[1].includes(part)) cases.push({name: row[1], grammar: strings[0], texts: strings.slice(1)});
}

const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: 1});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({contextSize: 64, batchSize: 64, threads: 1});
const {AddonSampler, AddonGrammarEvaluationState} = llama._bindings;
const native = context._ctx;
native.initBatch(1);
const [logits] = native.addToBatch(0, 0, Uint32Array.of(1), Uint32Array.of(0));
await native.decodeBatch();

// The process's processor time: what else runs on the machine is not the grammar's.
const timed = async (work) => {
  const start = process.cpuUsage();
  const result = await work();
  const {user, system} = process.cpuUsage(start);
  return [user + system, result];
};
// Greedy; asking for the logits of no token makes the grammar come before the choice.
const sample = async (state) => {
  const sampler = new AddonSampler(model._model);
  sampler.applyConfig(state === undefined ? {} : {grammarEvaluationState: state});
  const [time] = await timed(() => native.sampleToken(logits, sampler, false, false, [[], false, false, false, 0]));
  sampler.dispose();
  return time;
};
const summary = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1));
  return {tokens: times.length, mean_us: Number((times.reduce((a, b) => a + b, 0) / times.length).toFixed(2)),
          p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999), max_us: at(1)};
};

const plain = [];
for (let i = 0; i < 200; i++) plain.push(await sample());
const base = plain.toSorted((a, b) => a - b)[100];
const all = {mask: [], check: [], accept: []};
const out = {engine: "llama.cpp", vocab: model.fileInfo.metadata.tokenizer.ggml.tokens.length, rounds: Number(rounds),
             plain_sampling_us: base, cases: {}};
for (const {name, grammar, texts} of cases) {
  const times = {mask: [], check: [], accept: []};
  const compiled = await llama.createGrammar({grammar});
  for (let round = 0; round < Number(rounds); round++) {
    for (const text of texts) {
      const state = new AddonGrammarEvaluationState(model._model, compiled._grammar);
      for (const token of model.tokenize(text)) {
        if (times.check.length % Number(every) === 0)
          times.mask.push(Math.max(0, await sample(new AddonGrammarEvaluationState(state)) - base));
        const [check, allowed] =
          await timed(() => AddonSampler.canBeNextTokenForGrammarEvaluationState(state, token));
        if (!allowed) throw new Error(`${name}: the text's token ${token} was refused`);
        times.check.push(check);
        times.accept.push((await timed(() => AddonSampler.acceptGrammarEvaluationStateToken(state, token)))[0]);
      }
    }
  }
  out.cases[name] = {};
  for (const kind of Object.keys(times)) {
    out.cases[name][kind] = summary(times[kind]);
    all[kind] = all[kind].concat(times[kind]);
  }
}
for (const kind of Object.keys(all)) out[kind] = summary(all[kind]);
console.log(JSON.stringify(out, null, 2));
process.exit(0);

// ollama-ai-provider-v2 makes Vercel's AI SDK talk with a daemon, whose URL is the argument.
import assert from "node:assert/strict";
import { embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import { z } from "zod";

const url = process.argv[2];
const ollama = createOllama({ baseURL: `${url}/api` });
const model = ollama("wren");
const silent = { providerOptions: { ollama: { think: false } } };
const prompt = "Hello, who are you?";

async function talk() {
  const { text, usage } = await generateText({ model, prompt });
  assert.match(text, /Wren/);
  assert.ok(usage.outputTokens > 0);
  let said = "";
  for await (const part of streamText({ model, prompt }).textStream) said += part;
  assert.match(said, /Wren/);
  const completed = await generateText({ model: ollama.completion("wren"), prompt: "What is the capital of France?" });
  assert.match(completed.text, /Paris/);
}

async function useATool() {
  const getWeather = tool({
    description: "Get the weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async () => "sunny, 21 degrees",
  });
  const answer = await generateText({
    model,
    prompt: "What is the weather in Paris?",
    tools: { get_weather: getWeather },
    stopWhen: stepCountIs(3),
    ...silent,
  });
  assert.deepEqual(answer.steps[0].toolCalls[0].input, { city: "Paris" });
  assert.match(answer.text, /sunny/);
}

async function holdToASchema() {
  const schema = z.object({ color: z.literal("red") });
  assert.deepEqual((await generateObject({ model, prompt, schema, ...silent })).object, { color: "red" });
}

async function embed() {
  const { embeddings } = await embedMany({ model: ollama.embedding("glove"), values: ["a cat", "a dog"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [64, 64]);
}

async function fail() {
  await assert.rejects(generateText({ model: ollama("nope"), prompt, maxRetries: 0 }), { statusCode: 404 });
  const providerOptions = { ollama: { options: { top_p: 7 } } };
  await assert.rejects(generateText({ model, prompt, providerOptions, maxRetries: 0 }), { statusCode: 400 });
}

async function abort() {
  const controller = new AbortController();
  const schema = jsonSchema({ type: "object", properties: { x: { type: "string", minLength: 100000 } }, required: ["x"] });
  const options = { providerOptions: { ollama: { think: false, options: { num_predict: -1 } } } };
  const call = generateObject({ model, prompt, schema, ...options, abortSignal: controller.signal, maxRetries: 0 });
  const loaded = async () => (await (await fetch(`${url}/api/ps`)).json()).models;
  while (!(await loaded()).some((loadedModel) => loadedModel.active_requests));
  controller.abort();
  await assert.rejects(call, { name: "AbortError" });
  while ((await loaded()).some((loadedModel) => loadedModel.active_requests));
}

for (const flow of [talk, useATool, holdToASchema, embed, fail, abort]) await flow();

// Ollama's package for JavaScript does all that it can with a daemon, whose URL is the argument.
import assert from "node:assert/strict";
import { Ollama } from "ollama";

const url = process.argv[2];
const client = new Ollama({ host: url });
const who = [{ role: "user", content: "Hello, who are you?" }];
const color = { type: "object", properties: { color: { enum: ["red"] } }, required: ["color"] };
const long = { type: "string", minLength: 100000 }; // no answer comes to its end
const tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function talk() {
  const stream = await client.chat({ model: "wren", messages: who, stream: true });
  let said = "";
  let last;
  for await (const part of stream) [said, last] = [said + part.message.content, part];
  assert.match(said, /Wren/);
  assert.equal(last.done_reason, "stop");
  const answer = await client.generate({ model: "wren", prompt: "What is the capital of France?", think: false });
  assert.match(answer.response, /Paris/);
}

async function manage() {
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
  assert.ok((await client.list()).models.some((model) => model.name === "wren:latest"));
  assert.ok((await client.ps()).models.some((model) => model.name === "wren:latest"));
  assert.ok((await client.show({ model: "wren" })).capabilities.includes("tools"));
  let status;
  for await (const step of await client.create({ model: "mine", from: "wren", system: "You are Tom.", stream: true })) {
    status = step.status;
  }
  assert.equal(status, "success");
  assert.equal((await client.copy({ source: "mine", destination: "yours" })).status, "success");
  for (const model of ["mine", "yours"]) assert.equal((await client.delete({ model })).status, "success");
}

async function useATool() {
  const messages = [{ role: "user", content: "What is the weather in Paris?" }];
  const { message } = await client.chat({ model: "wren", messages, tools: [tool], think: false });
  const called = message.tool_calls[0].function;
  assert.deepEqual([called.name, called.arguments], ["get_weather", { city: "Paris" }]);
  messages.push(message, { role: "tool", tool_name: "get_weather", content: "sunny, 21 degrees" });
  const answer = await client.chat({ model: "wren", messages, tools: [tool], think: false });
  assert.match(answer.message.content, /sunny/);
}

async function holdToASchema() {
  const answer = await client.chat({ model: "wren", messages: who, format: color, think: false });
  assert.equal(JSON.parse(answer.message.content).color, "red");
}

async function embed() {
  const { embeddings } = await client.embed({ model: "glove", input: ["a cat", "a dog"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [64, 64]);
}

async function fail() {
  await assert.rejects(client.chat({ model: "nope", messages: who }), { status_code: 404, error: /not found/ });
  const options = { temperature: 10000 };
  await assert.rejects(client.chat({ model: "wren", messages: who, options }), { status_code: 400, error: /temperature/ });
}

async function abort() {
  const options = { num_predict: -1 };
  const stream = await client.chat({ model: "wren", messages: who, format: long, think: false, options, stream: true });
  await assert.rejects(
    async () => {
      for await (const _part of stream) stream.abort();
    },
    { name: "AbortError" },
  );
  while ((await client.ps()).models.some((model) => model.active_requests));
}

for (const flow of [talk, manage, useATool, holdToASchema, embed, fail, abort]) await flow();

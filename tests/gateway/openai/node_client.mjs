// What an unmodified `openai` package for Node gets from the API; prints it as JSON for the test to check.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "any", maxRetries: 0 });
const question = { model: "deepsearch", messages: [{ role: "user", content: process.env.QUESTION }], no_direct_answer: true };
const told = {};

told.models = [];
for await (const model of client.models.list()) told.models.push(model.id);

const whole = await client.chat.completions.create(question);
told.content = whole.choices[0].message.content;
told.cited = whole.choices[0].message.annotations.map(({ url_citation: at }) => told.content.slice(at.start_index, at.end_index));
told.usage = whole.usage;

told.chunks = 0;
told.streamed = "";
told.queries = [];
for await (const chunk of await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } })) {
  told.chunks += 1;
  told.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.choices[0]?.delta?.query) told.queries.push(chunk.choices[0].delta.query);
  if (chunk.usage) told.streamedUsage = chunk.usage;
}

told.helper = await client.chat.completions.stream(question).finalContent();

const response = await client.responses.create({ model: "deepsearch", input: process.env.QUESTION, no_direct_answer: true });
told.output = response.output_text;
told.events = [];
const events = client.responses.stream({ model: "deepsearch", input: process.env.QUESTION, no_direct_answer: true });
for await (const event of events) told.events.push(event.type);
told.final = (await events.finalResponse()).output_text;

try {
  await client.chat.completions.create({ ...question, model: "gpt-4o" });
} catch (error) {
  told.error = { name: error.constructor.name, status: error.status, code: error.code, param: error.param };
}

console.log(JSON.stringify(told));

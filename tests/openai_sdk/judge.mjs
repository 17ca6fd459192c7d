// The vendor's library against a base address: prints one JSON object of what it made of each answer.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(join(process.cwd(), "x.js")));
const { default: OpenAI, toFile } = require("openai");
const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const told = {};

async function failure(promise) {
	try {
		await promise;
		return null;
	} catch (e) {
		return { kind: e.constructor.name, status: e.status ?? null, code: e.code ?? null, request: e.requestID ?? null };
	}
}

const text = "讨论：我们周五发布新版本。\n王芳：测试已经完成了一半。";
const schema = {
	type: "object", additionalProperties: false, required: ["summary", "items"],
	properties: {
		summary: { type: "string" },
		items: {
			type: "array",
			items: {
				type: "object", additionalProperties: false, required: ["task", "level"],
				properties: { task: { type: "string" }, level: { type: "string", enum: ["HIGH", "LOW"] } },
			},
		},
	},
};
const messages = [{ role: "system", content: "Answer in json." }, { role: "user", content: text }];
const chat = { model: "sim-chat", messages, temperature: 0, max_completion_tokens: 500 };
const structured = { ...chat, response_format: { type: "json_schema", json_schema: { name: "minutes", strict: true, schema } } };

const whole = await client.chat.completions.create(structured);
told.whole = { content: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, usage: whole.usage, request: whole._request_id };
const parsed = await client.chat.completions.parse(structured);
told.parsed = JSON.parse(parsed.choices[0].message.content);

const pieces = [];
let usage = null, finish = null;
for await (const chunk of await client.chat.completions.create({ ...structured, stream: true, stream_options: { include_usage: true } })) {
	pieces.push(chunk.choices[0]?.delta?.content ?? "");
	finish = chunk.choices[0]?.finish_reason ?? finish;
	usage = chunk.usage ?? usage;
}
told.stream = { content: pieces.join(""), pieces: pieces.length, usage, finish };
told.runner = await client.chat.completions.stream({ ...chat, stream: true }).finalContent();

told.models = [];
for await (const model of client.models.list())
	told.models.push(model.id);
told.model = (await client.models.retrieve("sim-chat")).id;

const wav = Buffer.concat([Buffer.from("RIFF\x24\x00\x00\x00WAVEfmt ", "latin1"), Buffer.alloc(64)]);
const heard = await client.audio.transcriptions.create({
	file: await toFile(wav, "meeting.wav"), model: "sim-transcribe", response_format: "verbose_json", language: "zh",
	timestamp_granularities: ["segment", "word"],
});
told.heard = { text: heard.text, segments: heard.segments.length, words: heard.words.length, duration: heard.duration };
told.plain = await client.audio.transcriptions.create({ file: await toFile(wav, "m.wav"), model: "sim-transcribe", response_format: "text" });

told.failures = {
	key: await failure(new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).models.list()),
	model: await failure(client.chat.completions.create({ ...chat, model: "no-such" })),
	window: await failure(client.chat.completions.create({ ...chat, model: "sim-small", messages: [{ role: "user", content: "长".repeat(9000) }] })),
	argument: await failure(client.chat.completions.create({ ...chat, nonsense: 1 })),
	temperature: await failure(client.chat.completions.create({ ...chat, temperature: 3 })),
	both: await failure(client.chat.completions.create({ ...chat, max_tokens: 5 })),
	strict: await failure(client.chat.completions.create({ ...structured, response_format: { type: "json_schema", json_schema: { name: "m", strict: true, schema: { type: "object", properties: { a: { type: "string" } } } } } })),
	json: await failure(client.chat.completions.create({ ...chat, messages: [{ role: "user", content: "hello" }], response_format: { type: "json_object" } })),
	audio: await failure(client.audio.transcriptions.create({ file: await toFile(Buffer.from("not audio"), "x.mp3"), model: "sim-transcribe" })),
	extension: await failure(client.audio.transcriptions.create({ file: await toFile(wav, "x.txt"), model: "sim-transcribe" })),
	big: await failure(client.audio.transcriptions.create({ file: await toFile(Buffer.concat([wav, Buffer.alloc(26214400)]), "x.wav"), model: "sim-transcribe" })),
};
console.log(JSON.stringify(told));

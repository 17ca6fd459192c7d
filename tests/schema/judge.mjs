// The stock validator's opinion, in the form of schema_judge.c: reads schemas (JSON by name) from the
// file named first and "<schema> TAB <JSON>" lines from stdin.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const Ajv = require("ajv/dist/2020.js").default;

const day = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const instant = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

const ajv = new Ajv({ allErrors: true, strict: false });
ajv.addFormat("date", day);
ajv.addFormat("date-time", instant);
ajv.addFormat("x-date-or-time", { validate: (text) => day.test(text) || instant.test(text) });
ajv.addFormat("x-base64url", /^[A-Za-z0-9_-]*$/);

const schemas = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const schema of Object.values(schemas.shared)) ajv.addSchema(schema);
const compiled = {};
for (const [name, schema] of Object.entries(schemas.named)) compiled[name] = ajv.compile(schema);

const escape = (name) => name.replaceAll("~", "~0").replaceAll("/", "~1");

function pathOf(error) {
	const { missingProperty, additionalProperty, unevaluatedProperty } = error.params;
	const name = missingProperty ?? additionalProperty ?? unevaluatedProperty;
	return name === undefined ? error.instancePath : `${error.instancePath}/${escape(name)}`;
}

// A value of the wrong type, or a list of the wrong length, is told once and not looked into.
function told(errors) {
	const all = errors.map((e) => [pathOf(e), e.keyword === "const" ? "enum" : e.keyword]);
	const ends = all.filter(([, code]) => ["type", "minItems", "maxItems"].includes(code));
	const kept = all.filter(([path, code]) => !ends.some(([end, why]) =>
		path.startsWith(end + "/") || (path === end && code !== why)));
	return [...new Set(kept.map((pair) => pair.join(" ")))];
}

for (const line of readFileSync(0, "utf8").split("\n")) {
	if (line === "") continue;
	const [name, json] = line.split("\t");
	const validate = compiled[name];
	process.stdout.write(JSON.stringify(validate(JSON.parse(json)) ? [] : told(validate.errors)) + "\n");
}

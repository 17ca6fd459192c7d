// The vendor's library against a base address: prints one JSON object of what it made of each answer.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(join(process.cwd(), "x.js")));
const lark = require("@larksuiteoapi/node-sdk");
const [domain, appId, appSecret, app_token] = process.argv.slice(2);
const quiet = { error() {}, warn() {}, info() {}, debug() {}, trace() {} };
const client = new lark.Client({ appId, appSecret, domain, logger: quiet });
// The library keeps tokens by app id: another one, then.
const wrong = new lark.Client({ appId: "cli_0000000000000000", appSecret, domain, logger: quiet });
const told = {};

const MEETING = "tblSimMeeting", USER = "tblSimUser";
const records = client.bitable.v1.appTableRecord;
const at = (table_id, more) => ({ app_token, table_id, ...more });

// What the library makes of it: the answer, or what it throws of one that is no 200.
async function of(promise) {
	try {
		const { code, data } = await promise;
		return { code, data };
	} catch (e) {
		return { thrown: e.response?.data?.code ?? e.code ?? String(e), status: e.response?.status ?? null };
	}
}

told.fields = await of(client.bitable.v1.appTableField.list({ path: at(MEETING), params: { page_size: 5 } }));
const user = await of(records.create({ path: at(USER), data: { fields: { uuid: "u-A", user_name: "张三", is_enterprise_user: true } } }));
told.user = user.data.record.fields;
const person = user.data.record.record_id;
const token = "6f1c1a52-0f0e-4c0a-9a53-2d6f0f5e0001";
const make = { path: at(MEETING), params: { client_token: token }, data: { fields: {
	meeting_id: "10000000000000000001", subject: "周会", start_time: 1760000400000, participants: [person] } } };
const first = await of(records.create(make));
const again = await of(records.create(make));
told.once = first.data.record.record_id === again.data.record.record_id;
told.token_of_another = await of(records.create({ ...make, data: { fields: { meeting_id: "2" } } }));
told.token_no_uuid = await of(records.create({ ...make, params: { client_token: "1234" } }));

const many = await of(records.batchCreate({ path: at(MEETING), data: {
	records: Array.from({ length: 12 }, (_, i) => ({ fields: { meeting_id: `many-${i}` } })) } }));
told.many = many.data.records.length;
told.updated = await of(records.batchUpdate({ path: at(MEETING), data: {
	records: many.data.records.slice(0, 2).map((r) => ({ record_id: r.record_id, fields: { subject: "changed" } })) } }));
told.updated = told.updated.data.records.map((r) => r.fields.subject);
told.one = (await of(records.update({ path: at(MEETING, { record_id: many.data.records[3].record_id }),
	data: { fields: { subject: "one" } } }))).data.record.fields.subject;

const is = (value) => ({ conjunction: "and", conditions: [{ field_name: "meeting_id", operator: "is", value: [value] }] });
const search = (data, params = {}) => of(records.search({ path: at(MEETING), params, data }));
told.found = await search({ field_names: ["meeting_id", "participants", "start_time"], filter: is("10000000000000000001"), automatic_fields: false });
told.person = person;
told.none = await search({ filter: is("nothing") });
told.pages = [];
for await (const page of await records.searchWithIterator({ path: at(MEETING), params: { page_size: 5 }, data: {
	filter: { conjunction: "and", conditions: [{ field_name: "meeting_id", operator: "contains", value: ["many-"] }] } } }))
	told.pages.push(page.items.length);
told.changed = (await search({ filter: { conjunction: "and", conditions: [{ field_name: "subject", operator: "is", value: ["changed"] }] } })).data.total;
told.got = (await of(records.batchGet({ path: at(USER), data: { record_ids: [person, "recAbsent"] } }))).data;

told.failures = {
	field: await of(records.create({ path: at(MEETING), data: { fields: { nothing: "x" } } })),
	type: await of(records.create({ path: at(MEETING), data: { fields: { start_time: "yesterday" } } })),
	link: await of(records.create({ path: at(MEETING), data: { fields: { participants: ["recAbsent"] } } })),
	table: await of(records.create({ path: at("tblNone"), data: { fields: {} } })),
	base: await of(records.create({ path: { app_token: "bascNone", table_id: MEETING }, data: { fields: {} } })),
	record: await of(records.update({ path: at(MEETING, { record_id: "recAbsent" }), data: { fields: {} } })),
	operator: await search({ filter: { conjunction: "and", conditions: [{ field_name: "start_time", operator: "contains", value: ["1"] }] } }),
	page_size: await search({}, { page_size: 501 }),
	app: await of(wrong.bitable.v1.appTableField.list({ path: at(MEETING) })),
};

const say = (uuid, content, msg_type = "interactive", receive_id = "oc_fake1") => of(client.im.v1.message.create({
	params: { receive_id_type: "chat_id" }, data: { receive_id, msg_type, content, uuid } }));
const card = JSON.stringify({ schema: "2.0", body: { elements: [{ tag: "markdown", content: "**要点**" }] } });
const sent = [await say("evt-1", card), await say("evt-1", card), await say("evt-2", JSON.stringify({ text: "hi" }), "text")];
told.messages = sent.map((m) => m.data.message_id);
told.failures.card = await say("evt-3", "{}");
told.failures.content = await say("evt-4", "no JSON", "text");
told.failures.receiver = await say("evt-5", card, "interactive", "ou_person");
told.removed = (await of(records.batchDelete({ path: at(MEETING), data: { records: many.data.records.map((r) => r.record_id) } }))).data.records.length;
console.log(JSON.stringify(told));

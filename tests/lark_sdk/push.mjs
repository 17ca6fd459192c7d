// The vendor's library as the one who is told: its WSClient on the long connection, its EventDispatcher behind a webhook.
//     node push.mjs BASE_URL APP_ID APP_SECRET ENCRYPT_KEY VERIFICATION_TOKEN
// Prints a line of JSON for each thing that happens; ends when its standard input does.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(join(process.cwd(), "x.js")));
const lark = require("@larksuiteoapi/node-sdk");
const [domain, appId, appSecret, encryptKey, verificationToken] = process.argv.slice(2);
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const logger = { error: (...m) => tell({ error: String(m) }), warn: (...m) => tell({ warn: String(m) }), info() {}, debug() {}, trace() {} };
const NAMES = ["meeting_started", "meeting_ended", "all_meeting_ended", "join_meeting", "leave_meeting", "recording_started",
	"recording_ended", "recording_ready"];

const dispatcher = (by, keys) => new lark.EventDispatcher({ logger, ...keys }).register(Object.fromEntries(NAMES.map((name) =>
	[`vc.meeting.${name}_v1`, (data) => { tell({ by, event_id: data.event_id, type: data.event_type, topic: data.meeting?.topic }); }])));

const port = await new Promise((resolve) => {
	const hook = lark.adaptDefault("/webhook", dispatcher("webhook", { encryptKey, verificationToken }), { autoChallenge: true });
	const server = createServer(hook).listen(0, "127.0.0.1", () => resolve(server.address().port));
});
const client = new lark.WSClient({ appId, appSecret, domain, logger, autoReconnect: true });
client.start({ eventDispatcher: dispatcher("connection", {}) });
tell({ port });
process.stdin.on("end", () => process.exit(0)).resume();

// Aliyun's own client does what it is told and says what came back, a line of JSON a call.
//
//     judge.mjs URL KEY SECRET CALL...      CALL: {"call": "sendSms"|"querySendDetails", "with": {...}, "secret": "..."}
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'x.js'));
const sms = require('@alicloud/dysmsapi20170525');
const { $OpenApiUtil } = require('@alicloud/openapi-core');

const requests = { sendSms: sms.SendSmsRequest, querySendDetails: sms.QuerySendDetailsRequest };
const [url, key, secret, ...calls] = process.argv.slice(2);

for (const text of calls) {
	const told = JSON.parse(text);
	const client = new sms.default(new $OpenApiUtil.Config({
		accessKeyId: told.key ?? key, accessKeySecret: told.secret ?? secret, endpoint: new URL(url).host, protocol: 'HTTP',
	}));
	try {
		const answer = await client[told.call](new requests[told.call](told.with));
		console.log(JSON.stringify({ body: answer.body.toMap() }));
	} catch (e) {
		console.log(JSON.stringify({ error: e.code ?? String(e) }));
	}
}

// The same mutated requests to our framing (frame.c) and to Node's HTTP parser.
//
//     node tests/differential/differential.mjs --ours build/tests/differential/frame [--requests N] [--seed N]
//     ... --expect-difference      succeeds only when a difference is found: for a program with a bug planted
//
// What we accept as a request, Node must accept as the same request (method, target, version,
// fields, body) ending at the same byte; and where we want more bytes, Node must not have seen the
// end. Else somebody in front of us could read one request where we read two.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common');
const [ON_HEADERS, ON_HEADERS_COMPLETE, ON_BODY, ON_MESSAGE_COMPLETE] =
	[HTTPParser.kOnHeaders, HTTPParser.kOnHeadersComplete, HTTPParser.kOnBody, HTTPParser.kOnMessageComplete].map(n => n | 0);

function option(name, otherwise) {
	const at = process.argv.indexOf('--' + name);
	return at < 0 ? otherwise : process.argv[at + 1];
}

// ---- requests -----------------------------------------------------------------------------------

// A small generator of our own, so that a seed gives the same requests everywhere (xorshift32).
let state = 1;
function below(n) {
	state ^= state << 13; state ^= state >>> 17; state ^= state << 5; state >>>= 0;
	return state % n;
}
const pick = list => list[below(list.length)];

const post = (fields, body) => `POST /p HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
const SEEDS = [
	'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
	'GET /x?y=z HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nUser-Agent: x (y; z)\r\nX-Empty:\r\n\r\n',
	'GET /a HTTP/1.0\r\n\r\n',
	'GET /a HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n',
	'HEAD /h HTTP/1.1\r\nHost: a\r\nCookie: a=b; c="d"\r\n\r\n',
	'DELETE /d HTTP/1.1\r\nHost: [::1]:3000\r\nConnection: close\r\n\r\n',
	'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
	'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
	'PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
	post('Content-Length: 5', 'hello'),
	post('Content-Length: 5\r\nContent-Type: text/plain', 'a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n'.slice(0, 5)),
	post('Content-Length: 35', 'GET /hidden HTTP/1.1\r\nHost: abc\r\n\r\n'),
	post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
	post('Transfer-Encoding: chunked', '5;x="y"\r\nhello\r\n1;z\r\n!\r\n0\r\nTrailer: t\r\n\r\n'),
	post('transfer-encoding: Chunked\r\nExpect: 100-continue', '00a\r\n0123456789\r\n0\r\n\r\n'),
	post('Transfer-Encoding: chunked', '1f\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n'),
	'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n' + post('Content-Length: 3', 'abc') + 'GET /3 HTTP/1.1\r\nHost: a\r\n\r\n',
	'\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
	'GET /u HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n',
	'GET /\u00e4\u00ff HTTP/1.1\r\nHost: a\r\nX: \u00e4\u0080\r\n\r\n',
];
const TOKENS = ['\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', '\0', '\x0b', '\x0c', '\x7f', '\x80', ':', ';', ',', '"', '=', '+', '-', '0', '00', '0x',
	'1', 'f', 'FFFFFFFFFFFFFFFF', '10000000000000005', '4294967296', '18446744073709551617', 'Content-Length: 4\r\n', 'Content-Length: 0\r\n',
	'content-length:5\r\n', 'Content-Length: 5, 5\r\n', 'Content-Length: +5\r\n', 'Content-Length : 5\r\n', 'Transfer-Encoding: chunked\r\n',
	'Transfer-Encoding: identity\r\n', 'Transfer-Encoding: chunked, identity\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'Transfer-Encoding:\x0bchunked\r\n',
	'Transfer-Encoding\r\n: chunked\r\n', 'Host: b\r\n', 'Connection: close\r\n', 'Connection: keep-alive\r\n', 'Connection: Upgrade\r\n', 'Upgrade: x\r\n', ' X: folded\r\n',
	'\tY: folded\r\n', 'X\r\n', ': empty\r\n', 'X:\rTransfer-Encoding: chunked\r\n', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', ' HTTP/1.1', '0\r\n\r\n',
	'5\r\nhello\r\n', '5\nhello\n', '5 \r\nhello\r\n', '5;\r\nhello\r\n', '%00', '%2f', '\\', '//', '#x', 'CONNECT ', 'PRI * HTTP/2.0', 'GET ', 'Expect: 100-continue\r\n'];

const MUTATIONS = [
	t => { const i = below(t.length + 1); return t.slice(0, i) + pick(TOKENS) + t.slice(i); },
	t => { const i = lineStart(t); return t.slice(0, i) + pick(TOKENS) + t.slice(i); },
	t => { const i = lineStart(t); return t.slice(0, i) + pick(TOKENS) + t.slice(i); },
	t => { const i = below(t.length), n = 1 + below(4); return t.slice(0, i) + t.slice(i + n); },
	t => { const i = below(t.length); return t.slice(0, i) + String.fromCharCode(below(256)) + t.slice(i + 1); },
	t => { const i = below(t.length); return t.slice(0, i) + String.fromCharCode(t.charCodeAt(i) ^ 1 << below(8)) + t.slice(i + 1); },
	t => t.replace('\r\n', pick(['\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\t\r\n', '\r\n '])),
	t => { const i = t.lastIndexOf('\r\n', below(t.length)); return i < 0 ? t : t.slice(0, i) + pick(['\n', '\r', '']) + t.slice(i + 2); },
	t => { const lines = t.split('\r\n'), i = below(lines.length); lines.splice(i, 0, lines[below(lines.length)]); return lines.join('\r\n'); },
	t => { const lines = t.split('\r\n'), i = below(lines.length), k = below(lines.length); [lines[i], lines[k]] = [lines[k], lines[i]]; return lines.join('\r\n'); },
	t => t.replace(/\d+/, n => String(Number(n) + below(3) - 1)),
	t => t.replace(/: /, pick([':', ' : ', ':\t', ':  ', ': \t', ':\r\n '])),
	t => t + pick(SEEDS),
	t => t.slice(0, below(t.length + 1)),
	t => { const other = pick(SEEDS); return t.slice(0, below(t.length)) + other.slice(below(other.length)); },
];
function lineStart(t) {
	const i = t.indexOf('\n', below(t.length));
	return i < 0 ? 0 : i + 1;
}

function make() {
	let t = pick(SEEDS);
	for (let n = below(1 + below(4)); n >= 0; n--)
		if (t.length > 0)
			t = pick(MUTATIONS)(t);
	if (below(8) === 0)
		t += pick(SEEDS);
	return Buffer.from(t, 'latin1');
}

// ---- Node's reading -----------------------------------------------------------------------------

const hex = text => Buffer.from(text, 'latin1').toString('hex');
const trimmed = text => text.replace(/^[ \t]+|[ \t]+$/g, '');

// {requests: as frame.c writes them but without end, partial, error, upgrade}
function nodeReads(bytes) {
	const read = { requests: [], partial: false, error: null, upgrade: false };
	const parser = new HTTPParser();
	let fields = [], url = '', body = [];

	parser.initialize(HTTPParser.REQUEST, {});
	parser[ON_HEADERS] = (list, path) => { fields.push(...list); url += path; };
	parser[ON_HEADERS_COMPLETE] = (major, minor, list, method, path, code, message, upgrade) => {
		read.partial = true;
		read.upgrade = read.upgrade || Boolean(upgrade);
		if (list !== undefined)
			fields = list;
		if (path !== undefined)
			url = path;
		read.head = [hex(methods[method]), hex(url), major === 1 ? minor : -1, pairs(fields)];
		return upgrade ? 2 : 0;
	};
	parser[ON_BODY] = (chunk, offset, length) => {
		body.push(length === undefined ? chunk : chunk.subarray(offset, offset + length));
	};
	parser[ON_MESSAGE_COMPLETE] = () => {
		read.requests.push([...read.head, Buffer.concat(body).toString('hex')]);
		read.partial = false;
		fields = []; url = ''; body = [];
	};
	const result = bytes.length === 0 ? 0 : parser.execute(bytes);
	if (result instanceof Error)
		read.error = result.code;
	parser.close();
	return read;
}

function pairs(list) {
	const all = [];
	for (let i = 0; i < list.length; i += 2)
		all.push([hex(list[i]), hex(trimmed(list[i + 1]))]);
	return all;
}

// ---- judging ------------------------------------------------------------------------------------

const counts = { requests: 0, accepted: 0, refused: 0, upgrades: 0 };
const ourRefusals = new Map();
const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);

// Why the two readings do not fit together, or null.
function difference(bytes, ours) {
	for (let k = 1; k <= ours.requests.length; k++) {
		const end = ours.requests[k - 1][5];
		const node = nodeReads(bytes.subarray(0, end));

		if (node.error !== null)
			return `request ${k} is none for Node: ${node.error}`;
		if (node.upgrade) {
			counts.upgrades++;
			return null;
		}
		if (node.requests.length !== k || node.partial)
			return `request ${k} ends for us at ${end}, where Node has seen ${node.requests.length}${node.partial ? ' and a part' : ''}`;
		if (JSON.stringify(node.requests[k - 1]) !== JSON.stringify(ours.requests[k - 1].slice(0, 5)))
			return `request ${k} is another one for Node: ${JSON.stringify(node.requests[k - 1])}`;
		if (nodeReads(bytes.subarray(0, end - 1)).requests.length >= k)
			return `request ${k} ends for Node before ${end}`;
	}
	if (ours.then === 'head' || ours.then === 'body') {
		const node = nodeReads(bytes);

		if (node.error === null && !node.upgrade && node.requests.length > ours.requests.length)
			return `we want more of the ${ours.then} of request ${ours.requests.length + 1}, Node has seen all of it`;
	}
	return null;
}

async function main() {
	const total = Number(option('requests', 20000)), seed = Number(option('seed', 1)), batch = 256;
	const ours = spawn(option('ours'), { stdio: ['pipe', 'pipe', 'inherit'] });
	const lines = createInterface({ input: ours.stdout })[Symbol.asyncIterator]();
	const differences = [];
	const began = Date.now();

	state = (seed * 2654435761 >>> 0) || 1;
	while (counts.requests < total && differences.length < 5) {
		const inputs = Array.from({ length: Math.min(batch, total - counts.requests) }, make);
		const head = n => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };

		if (!ours.stdin.write(Buffer.concat(inputs.flatMap(b => [head(b.length), b]))))
			await once(ours.stdin, 'drain');
		for (const bytes of inputs) {
			const { value, done } = await lines.next();

			if (done)
				throw new Error('frame ended: ' + JSON.stringify(bytes.toString('latin1')));
			const reading = JSON.parse(value);
			const why = difference(bytes, reading);

			counts.requests++;
			counts.accepted += reading.requests.length > 0;
			if (reading.then.startsWith('refused')) {
				counts.refused++;
				count(ourRefusals, reading.then.split(' ')[2]);
			}
			if (why !== null)
				differences.push({ bytes: bytes.toString('latin1'), why });
		}
	}
	ours.stdin.end();
	for (const d of differences)
		console.log(`DIFFERENCE ${d.why}\n    ${JSON.stringify(d.bytes)}`);
	console.log(`node ${process.versions.node}, llhttp ${process.versions.llhttp}; seed ${seed}: ${counts.requests} inputs in ` +
		`${((Date.now() - began) / 1000).toFixed(1)} s, ${counts.accepted} with a request we accept, ${counts.refused} refused, ` +
		`${counts.upgrades} upgrades; ${differences.length} differences`);
	console.log('we refuse:', Object.fromEntries([...ourRefusals].sort((a, b) => b[1] - a[1])));
	if (counts.accepted < counts.requests / 20) {
		console.log('too few were accepted for this to show anything');
		return 2;
	}
	return (differences.length > 0) === process.argv.includes('--expect-difference') ? 0 : 1;
}

process.exitCode = await main();

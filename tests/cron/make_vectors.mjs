// Makes tests/vectors/cron.json: what a stock library (npm cron-parser, the one that the queues of the systems we replace
// use) says to some thousand expressions. In an empty folder, with this one's package.json and package-lock.json:
//
//     npm ci && node .../tests/cron/make_vectors.mjs >.../tests/vectors/cron.json
//
// Left out is where it does not know better: its readings of L, # and ?, of fewer than five fields, of a weekday field such
// as 0-6 that names all days but is not taken for *, of a day field that names nearly all and is, and of ranges up to 7 with
// a step that leaves 7 out; zones whose clocks change by half an hour or at midnight, where it loses runs; and questions
// asked in the hour after a change, which it answers otherwise than when asked before.
// Times lie in the past, so that no new edition of the zone database changes them.
import {createRequire} from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'x'));
const parser = require('cron-parser');
const {DateTime} = require('luxon'); // comes with it

let seed = 20261128;
function random(n) { // 0..n-1; mulberry32
	seed = (seed + 0x6d2b79f5) | 0;
	let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * n);
}
const one = list => list[random(list.length)];

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const fields = [
	{min: 0, max: 59, any: 30}, {min: 0, max: 59, any: 30}, {min: 0, max: 23, any: 35}, {min: 1, max: 31, any: 60},
	{min: 1, max: 12, any: 60, names: months}, {min: 0, max: 7, any: 60, names: weekdays},
];

function number(f, n) {
	if (f.names && n - f.min < f.names.length && random(2))
		return random(2) ? f.names[n - f.min] : f.names[n - f.min].toLowerCase();
	return String(n);
}

function part(f) {
	const a = f.min + random(f.max - f.min + 1), b = f.min + random(f.max - f.min + 1);
	const to = Math.max(a, b), from = Math.min(a, b, 6 + (f.max !== 7) * 60), step = 1 + random(Math.min(f.max, 12));

	switch (random(6)) {
	case 0: return `*/${step}`;
	case 1: return `${number(f, from)}-${to === 7 ? 7 : number(f, to)}`;
	case 2: return `${number(f, from)}-${to === 7 ? 6 : number(f, to)}/${step}`;
	case 3: return f.max === 7 ? number(f, from) : `${from}/${step}`;
	default: return number(f, from);
	}
}

function field(f) {
	if (random(100) < f.any)
		return '*';
	return Array.from({length: 1 + (random(3) === 0) + (random(6) === 0)}, () => part(f)).join(',');
}

function expression() {
	const six = random(3) === 0;
	return fields.slice(six ? 0 : 1).map(field).join(' ');
}

// Hours around two, where clocks change, are asked for often.
function nearChange() {
	const hour = one(['*', '*', '1', '2', '3', '1,2', '2,3', '*/2', '1-3', '0-4', '2-23']);
	const minute = one(['0', '30', '*/15', '*/20', '59', '5', '10,40', '*']);
	return `${random(4) === 0 ? one(['0', '30', '*/20']) + ' ' : ''}${minute} ${hour} ${one(['* * *', '* * *', '* * 0', '*/2 * *', '* 3,4,10,11 SUN'])}`;
}

// The fields of the head that the library takes for more or less than they say.
function odd(text) {
	const {dayOfMonth, dayOfWeek} = parser.parseExpression(text).fields;
	const [day, , weekday] = text.split(' ').slice(-3);
	const weekdays = new Set(dayOfWeek.map(d => d % 7)).size;
	return (day !== '*' && dayOfMonth.length >= 28) || (weekday !== '*' && (weekdays === 7 || dayOfWeek.length >= 7));
}

const plain = ['Asia/Shanghai', 'UTC', 'Asia/Kolkata', 'America/New_York', 'Europe/Berlin', 'Australia/Sydney'];
const changes = { // days on which clocks change
	'America/New_York': ['2016-03-13', '2016-11-06', '2021-03-14', '2021-11-07', '2024-03-10', '2024-11-03'],
	'Europe/Berlin': ['2015-03-29', '2015-10-25', '2020-03-29', '2020-10-25', '2023-03-26', '2023-10-29'],
	'Australia/Sydney': ['2015-10-04', '2016-04-03', '2022-10-02', '2023-04-02'],
	'Pacific/Auckland': ['2018-09-30', '2019-04-07'],
};

function answer(text, zone, from) {
	try {
		const it = parser.parseExpression(text, {currentDate: new Date(from * 1000), tz: zone});
		return Array.from({length: 4}, () => it.next().getTime() / 1000);
	} catch {
		return null;
	}
}

const offset = (zone, at) => DateTime.fromSeconds(at, {zone}).offset;

const cases = [];
function add(text, zone, from) {
	if (offset(zone, from) !== offset(zone, from - 3601))
		return;
	const next = answer(text, zone, from);
	if (next === null || !odd(text))
		cases.push([text, zone, from, next]);
}

for (let i = 0; i < 2600; i++)
	add(expression(), one(plain), 1330000000 + random(380000000));
for (let i = 0; i < 1400; i++) {
	const zone = one(Object.keys(changes));
	add(nearChange(), zone, Date.parse(one(changes[zone])) / 1000 - 36 * 3600 + random(72 * 3600));
}
// Numbers past the end, and what is no number.
for (const text of ['60 * * * *', '* 24 * * *', '* * 0 * *', '* * 32 * *', '* * * 0 *', '* * * 13 *', '* * * * 8', '60 * * * * *',
	'5-1 * * * *', '* 22-3 * * *', '*/0 * * * *', '* */-1 * * *', '1,,2 * * * *', ',1 * * * *', '1, * * * *', '-1 * * * *', 'a * * * *',
	'* * * FOO *', '* * * * BAR', '* * * MONDAY *', '1- * * * *', '*/ * * * *', '* * 31 2 *', '* * 30 FEB *', '0 0 31 4,6,9,11 *',
	'* * * * * * *', '1.5 * * * *', '+1 * * * *', '0x1 * * * *'])
	add(text, 'UTC', 1700000000);

process.stdout.write('{"made_by": "tests/cron/make_vectors.mjs", "library": "cron-parser 4.9.0", "cases": [\n' +
	cases.map(c => JSON.stringify(c)).join(',\n') + '\n]}\n');

// Fills in the set-up page as a person does: setup.mjs BROWSER LINK, prints what the page says, a line a try.
import puppeteer from "puppeteer-core";

const [executablePath, link] = process.argv.slice(2);
const PASSWORD = "correct horse battery";
const browser = await puppeteer.launch({executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]});
const page = await browser.newPage();
const complaints = [];
page.on("pageerror", (e) => complaints.push(String(e)));
page.on("console", (m) => m.type() === "error" && complaints.push(m.text()));

async function fill(fields) {
	for (const [id, text] of Object.entries(fields)) {
		await page.locator("#" + id).fill(text);
	}
	const before = await page.$eval("#say", (e) => e.textContent);
	await page.click("#go");
	await page.waitForFunction((was) => {
		const now = document.getElementById("say").textContent;
		return now !== was && !now.startsWith("One moment");
	}, {}, before);
	console.log("said\t" + await page.$eval("#say", (e) => e.textContent));
}

await page.goto(link.split("#")[0]);
console.log("said\t" + await page.$eval("#say", (e) => e.textContent));
await page.goto("about:blank");
await page.goto(link);
console.log("address\t" + page.url());
await fill({username: "first_one", password: PASSWORD, again: PASSWORD + "?"});
await fill({password: "password1234", again: "password1234"});
await fill({password: PASSWORD, again: PASSWORD});
console.log("form\t" + await page.$eval("#form", (e) => (e.hidden ? "gone" : "there")));
for (const c of complaints) {
	console.log("complaint\t" + c);
}
await browser.close();

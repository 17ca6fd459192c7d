// Verifies a token of ours as any client would, and makes tokens nobody here signed.
//     node judge.mjs ISSUER AUDIENCE TOKEN < jwks.json     prints the claims, then one forged token a line
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const jose = await import(pathToFileURL(createRequire(process.cwd() + "/").resolve("jose")).href);
const [issuer, audience, token] = process.argv.slice(2);
const jwks = JSON.parse(readFileSync(0, "utf8"));
const verified = await jose.jwtVerify(token, jose.createLocalJWKSet(jwks), { issuer, audience, typ: "at+jwt" });
console.log(JSON.stringify(verified.payload));

const header = verified.protectedHeader;
const claims = verified.payload;
const own = await jose.generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
const ownPublic = await jose.exportJWK(own.publicKey);
const x = jose.base64url.decode(jwks.keys.find((key) => key.kid === header.kid).x);
const sign = (head, key) => new jose.SignJWT(claims).setProtectedHeader(head).sign(key);
const unsigned = (head) => [head, claims].map((part) => jose.base64url.encode(JSON.stringify(part))).join(".") + ".";

const forged = {
  "another key under our kid": await sign(header, own.privateKey),
  "another key, brought along": await sign({ ...header, jwk: ownPublic }, own.privateKey),
  "another key under its own kid": await sign({ ...header, kid: "mine" }, own.privateKey),
  "no kid": await sign({ alg: "EdDSA", typ: "at+jwt" }, own.privateKey),
  "our public key as a shared secret": await sign({ ...header, alg: "HS256" }, x),
  "no algorithm": unsigned({ ...header, alg: "none" }),
  "our signature under other claims": [token.split(".")[0],
    jose.base64url.encode(JSON.stringify({ ...claims, sub: "0".repeat(32) })), token.split(".")[2]].join("."),
};
for (const [name, text] of Object.entries(forged)) console.log(name + "\t" + text);

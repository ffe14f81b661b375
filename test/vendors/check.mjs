// Posts webhooks that are signed as their vendors sign them, to steps that check them with the vendors' own npm libraries. Needs a server
// and npm: sendoff serve &  sendoff deploy test/vendors/workflow  &&  node test/vendors/check.mjs http://localhost:5180
import { createHash, createHmac, createSign, generateKeyPairSync } from "node:crypto";

const HOOK = `${process.argv[2] ?? "http://localhost:5180"}/hooks/vendor-signatures`, SECRET = "a-secret-of-the-test";
const hmac = (algorithm, text, encoding) => createHmac(algorithm, SECRET).update(text).digest(encoding);
const now = Math.floor(Date.now() / 1000).toString();
const json = { "content-type": "application/json" }, form = { "content-type": "application/x-www-form-urlencoded" };
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });

/** As documented: the body as it is sent, and the headers for it. */
const webhooks = {
  stripe: () => {
    const body = JSON.stringify({ id: "evt_1", object: "event", amount: 10 }, null, 2);
    return [body, { ...json, "stripe-signature": `t=${now},v1=${hmac("sha256", `${now}.${body}`, "hex")}` }];
  },
  github: () => {
    const body = '{"zen":"Non-blocking is better than blocking.","n":"caf\\u00e9 é"}';
    return [body, { ...json, "x-hub-signature-256": `sha256=${hmac("sha256", body, "hex")}` }];
  },
  slack: () => {
    const body = "payload=%7B%22type%22%3A%22block_actions%22%7D&text=a+b%20c";
    return [body, { ...form, "x-slack-request-timestamp": now, "x-slack-signature": `v0=${hmac("sha256", `v0:${now}:${body}`, "hex")}` }];
  },
  twilio: () => {
    const body = "From=%2B15551234567&from=x&Body=Gr%C3%BC%C3%9Fe+%26+more";
    const fields = [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => name + value).join("");
    return [body, { ...form, "x-twilio-signature": hmac("sha1", `${HOOK}/twilio${fields}`, "base64") }];
  },
  "twilio-json": () => {
    const body = '{ "a" : 1.0 }', query = `?bodySHA256=${createHash("sha256").update(body).digest("hex")}`;
    return [body, { ...json, "x-twilio-signature": hmac("sha1", `${HOOK}/twilio-json${query}`, "base64") }, query];
  },
  shopify: () => {
    const body = '{"url":"https:\\/\\/shop.example\\/1","price":"10.00","weight":1.50}';
    return [
      body, {
        ...json, "x-shopify-hmac-sha256": hmac("sha256", body, "base64"), "x-shopify-topic": "orders/create",
        "x-shopify-shop-domain": "shop.example", "x-shopify-api-version": "2025-07", "x-shopify-webhook-id": "1",
      },
    ];
  },
  sendgrid: () => {
    const body = '[{"email":"a@x.example","timestamp":1,"event":"open"}]\r\n';
    const signature = createSign("sha256").update(now + body).sign(privateKey, "base64");
    return [body, {
      ...json, "x-public-key": publicKey.export({ type: "spki", format: "der" }).toString("base64"),
      "x-twilio-email-event-webhook-signature": signature, "x-twilio-email-event-webhook-timestamp": now,
    }];
  },
};

let failed = 0;
for (const [name, make] of Object.entries(webhooks)) {
  const [body, headers, query = ""] = make();
  for (const [sent, expected] of [[body, 200], [body.replace(/\d(?!.*\d)|a(?!.*a)/s, "Z"), 401]]) {
    const response = await fetch(`${HOOK}/${name}${query}`, { method: "POST", headers, body: sent });
    const right = response.status === expected;
    if (!right) failed++;
    console.log(
      `${right ? "PASS" : "FAIL"} ${name}${expected === 401 ? ", changed on the way" : ""}: ${response.status} ${await response.text()}`);
  }
}
process.exit(failed === 0 ? 0 : 1);

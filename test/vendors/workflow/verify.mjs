import Stripe from "stripe@23.1";
import twilio from "twilio@6";
import { verify as verifyGitHub } from "@octokit/webhooks-methods@6";
import { verifySlackRequest } from "@slack/bolt@5";
import "@shopify/shopify-api@13/adapters/node";
import { shopifyApi, ApiVersion } from "@shopify/shopify-api@13";
import { EventWebhook } from "@sendgrid/eventwebhook@8";

const SECRET = process.env.VENDOR_SECRET ?? "a-secret-of-the-test";
const shopify = shopifyApi(
  { apiKey: "key", apiSecretKey: SECRET, apiVersion: ApiVersion.July25, isEmbeddedApp: false, hostName: "shop.example", scopes: [] });

/** Each throws, or returns false, unless the signature fits the bytes that came. */
const checks = {
  stripe: ({ raw, headers }) => Boolean(new Stripe("sk_test_x").webhooks.constructEvent(raw, headers["stripe-signature"], SECRET)),
  github: ({ text, headers }) => verifyGitHub(SECRET, text, headers["x-hub-signature-256"]),
  slack: ({ text, headers }) => (verifySlackRequest({ signingSecret: SECRET, body: text, headers }), true),
  twilio: ({ url, body, headers }) => twilio.validateRequest(SECRET, headers["x-twilio-signature"], url, body),
  "twilio-json": ({ url, text, headers }) => twilio.validateRequestWithBody(SECRET, headers["x-twilio-signature"], url, text),
  shopify: async ({ text, headers }) =>
    (await shopify.webhooks.validate({ rawBody: text, rawRequest: { method: "POST", url: "/", headers } })).valid,
  sendgrid: ({ raw, headers }) => {
    const webhook = new EventWebhook();
    return webhook.verifySignature(
      webhook.convertPublicKeyToECDSA(headers["x-public-key"]), raw, headers["x-twilio-email-event-webhook-signature"],
      headers["x-twilio-email-event-webhook-timestamp"]);
  },
};

export default defineComponent({
  async run({ steps, $ }) {
    const { event, raw_event } = steps.trigger;
    const raw = Buffer.from(raw_event.body_b64, "base64");
    try {
      const valid = await checks[event.path.slice(1)](
        { raw, text: event.bodyRaw, body: event.body, url: event.url, headers: event.headers });
      await $.respond({ status: valid ? 200 : 401, body: valid ? "verified" : "wrong signature" });
    } catch (error) {
      await $.respond({ status: 401, body: error.message });
    }
  },
});

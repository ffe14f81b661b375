// Takes in only what the sender has signed, where there is a secret: `sendoff secrets set RELAY_SECRET`.
import { createHmac, timingSafeEqual } from "node:crypto";

// The body as it came: JSON that is parsed and written again has other bytes, and another signature.
const sign = (bytes, secret) => createHmac("sha256", secret).update(bytes).digest("hex");

export default defineComponent({
  async run({ steps, $ }) {
    const { bodyRaw, headers } = steps.trigger.event;
    const secret = process.env.RELAY_SECRET;
    const given = Buffer.from(headers["x-signature"] ?? "");
    const own = Buffer.from(secret ? sign(bodyRaw ?? "", secret) : "");
    if (secret && (given.length !== own.length || !timingSafeEqual(given, own))) {
      await $.respond({ status: 401, body: "x-signature is missing or wrong\n" });
      return $.flow.exit("not signed");
    }
    // The sender hears now, and does not wait for the targets.
    await $.respond({ status: 202, immediate: true, body: "taken\n" });
    return { signed: Boolean(secret) };
  },
});

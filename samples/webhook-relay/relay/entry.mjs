// Passes the body on. The idempotency key lets each target tell a repetition of the sender's from a new event.
export default defineComponent({
  props: { targets: { type: "string[]" } },
  async run({ steps, $ }) {
    const { body, headers } = steps.trigger.event;
    const { targets, ...data } = body;
    for (const url of this.targets) {
      $.send.http({
        method: "POST",
        url,
        headers: { "idempotency-key": headers["x-event-id"] ?? $.context.id, "x-relayed-from": headers["user-agent"] },
        data,
      });
    }
  },
});

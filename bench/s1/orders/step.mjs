// The work of the reference systems' step: a total over the lines, and `fan` requests.
export default defineComponent({
  async run({ steps, $ }) {
    const event = steps.trigger.event.body;
    const total = event.items.reduce((sum, item) => sum + item.qty * item.price, 0);
    for (let n = 0; n < (event.fan || 1); n++) {
      $.send.http({
        method: "POST", url: "http://127.0.0.1:9900/in", headers: { "content-type": "application/json" },
        data: {
          id: event.id, n, kind: event.type, customer: event.user.name, email: event.user.email, tier: event.user.tier, total,
          lines: event.items.length, note: event.note, at: event.ts,
        },
      });
    }
    $.export("total", total);
    return { ok: true };
  },
});

// The data store remembers for 30 days what was posted, over restarts.
const DAY = 24 * 60 * 60;

export default defineComponent({
  props: {
    seen: { type: "data_store" },
    items: { type: "any" },
  },
  async run({ $ }) {
    const fresh = [];
    for (const item of this.items) {
      if (await this.seen.has(item.id)) continue;
      await this.seen.set(item.id, item.title, { ttl: 30 * DAY });
      fresh.push(item);
    }
    if (fresh.length === 0) return $.flow.exit("nothing new");
    return fresh;
  },
});

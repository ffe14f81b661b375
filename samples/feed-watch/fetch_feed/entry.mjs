// Here the answer is needed now, so it is fetched in the step. $.send.http is for what nobody waits for.
export default defineComponent({
  props: { url: { type: "string", optional: true } },
  async run({ $ }) {
    if (!this.url) return $.flow.exit("no feed yet: sendoff secrets set FEED_URL --variable --value https://example.com/feed.json");
    const response = await fetch(this.url, { headers: { accept: "application/feed+json" } });
    if (!response.ok) throw new Error(`${this.url} answers ${response.status}`);
    const { items } = await response.json();
    return items.map(({ id, title, url }) => ({ id: String(id), title, url }));
  },
});

// One request for each new item.
export default defineComponent({
  props: { url: { type: "string" } },
  async run({ steps, $ }) {
    for (const { title, url } of steps.new_items.$return_value) {
      $.send.http({ method: "POST", url: this.url, data: { text: `${title}: ${url}` } });
    }
  },
});

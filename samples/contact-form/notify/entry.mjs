// Tells every webhook. What each of them answers, or that it never does, is shown below this step.
export default defineComponent({
  props: {
    text: { type: "string" },
    language: { type: "string", default: "en" },
    webhooks: { type: "string[]", label: "Webhooks" },
  },
  async run({ $ }) {
    for (const url of this.webhooks) {
      $.send.http({ method: "POST", url, params: { lang: this.language }, data: { text: this.text } });
    }
    $.export("$summary", `${this.webhooks.length} webhooks told`);
  },
});

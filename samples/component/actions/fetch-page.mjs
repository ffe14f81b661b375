// A component action that does a GET, with its URL from a prop.
export default {
  key: "fetch-page",
  name: "Fetch a page",
  version: "0.0.1",
  type: "action",
  props: {
    url: { type: "string", label: "URL", description: "The page to ask for" },
  },
  async run({ steps, $ }) {
    $.send.http({
      method: "GET",
      url: steps.trigger.event.body?.url ?? this.url,
    });
    $.export("$summary", "Asked for the page");
  },
};

// Basic auth, query parameters and headers.
export default defineComponent({
  async run({ steps, $ }) {
    const { url = "http://127.0.0.1:9099/report", tags = ["daily", "eu"] } = steps.trigger.event.body ?? {};
    $.send.http({
      method: "PUT",
      url,
      params: { tags, since: new Date(Date.UTC(2026, 0, 1)) },
      headers: { "X-Source": "sendoff", "Content-Type": "application/vnd.report+json" },
      auth: { username: "reporter", password: "an example password" },
      data: { lines: [1, 2, 3] },
    });
  },
});

// One POST with a JSON payload. It goes out after this run has finished, outside its compute time.
export default defineComponent({
  async run({ steps, $ }) {
    const { name = "Luke Skywalker", url = "http://127.0.0.1:9099/" } = steps.trigger.event.body ?? {};
    $.send.http({
      method: "POST",
      url,
      data: { name },
    });
    return { notified: name };
  },
});

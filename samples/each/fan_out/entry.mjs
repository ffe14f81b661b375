// One request per element of an array. Nothing is awaited: the calls are collected and sent after the run.
export default defineComponent({
  async run({ steps, $ }) {
    const { names = ["Luke", "Han", "Leia", "Obi Wan"], url = "http://127.0.0.1:9099/" } = steps.trigger.event.body ?? {};
    names.forEach((name) => {
      $.send.http({
        method: "POST",
        url,
        data: { name },
      });
    });
    return names.length;
  },
});

// Looks at what the form sent. Who fills it in hears at once; the team hears in the next step.
const REQUIRED = ["name", "email", "message"];

export default defineComponent({
  async run({ steps, $ }) {
    const fields = steps.trigger.event.body ?? {};
    const missing = REQUIRED.filter((field) => !String(fields[field] ?? "").trim());
    if (!missing.includes("email") && !/^\S+@\S+\.\S+$/.test(fields.email)) missing.push("a valid email");
    if (missing.length > 0) {
      await $.respond({ status: 422, body: { missing } });
      return $.flow.exit(`missing: ${missing.join(", ")}`);
    }
    await $.respond({ status: 200, immediate: true, body: { thanks: fields.name } });
    $.export("name", fields.name.trim());
    $.export("email", fields.email.toLowerCase());
  },
});

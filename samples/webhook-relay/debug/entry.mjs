// Switched off in workflow.yaml. Later steps see nothing of a disabled one.
export default defineComponent({
  async run({ steps }) {
    console.log(steps.trigger.event);
  },
});

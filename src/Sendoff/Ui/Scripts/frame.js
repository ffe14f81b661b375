// The page's side of the code editor's frame (editor.js).

/** The editor in a frame, once it is loaded. */
export async function open(frame, workflow, names, dotnet) {
  if (!frame.contentWindow.createEditor) await new Promise(resolve => frame.addEventListener('load', resolve, { once: true }));
  const { createEditor } = frame.contentWindow;
  if (!createEditor) throw new Error('The code editor could not be loaded. Reload the page.');
  // Blazor can only call functions of its own document.
  return Object.fromEntries(
    Object.entries(await createEditor(workflow, names, dotnet)).map(([name, act]) => [name, (...given) => act(...given)]));
}

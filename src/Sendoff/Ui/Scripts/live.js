// Updates the live parts of a page. A live part is an element with an id and `data-live`: the id of a run, or "all" for every run. When the
// server reports a change, the part is loaded again and merged into the page. Focus, selection, scroll positions and opened details are
// preserved. Loaded after idiomorph, which merges.
const BETWEEN_MS = 100, RETRY_MS = 2_000;

let stream, followed, retry, reading = false;
const stale = new Set(), readAt = new Map();

const parts = () => [...document.querySelectorAll('[data-live]')];

/** What the parts of this page follow, as a query of the stream; null if there is nothing to follow, or nobody looks. */
function wanted() {
  const runs = new Set(parts().map(part => part.dataset.live));
  if (runs.size === 0 || document.hidden) return null;
  return runs.size > 1 || runs.has('all') ? '' : `?run=${[...runs][0]}`;
}

/** Follows what the page shows now, and reads what has changed since the page was drawn. */
function follow() {
  const query = wanted();
  if (stream && query === followed) return readAll();
  stop();
  if (query === null) return isLost(false);
  followed = query;
  const opened = stream = new EventSource(`/api/v1/stream${query}`);
  opened.onopen = () => {
    isLost(false);
    readAll();
  };
  opened.onerror = () => {
    if (opened !== stream) return;
    isLost(true);
    if (opened.readyState !== EventSource.CLOSED) return;
    // The browser retries a stream that was interrupted, but not one that was refused, by a proxy during a server restart or because the
    // session ended.
    stop();
    retry = setTimeout(follow, RETRY_MS);
    readAll();
  };
  const changed = ({ data }) => {
    const { runId } = JSON.parse(data);
    for (const part of parts()) if (part.dataset.live === 'all' || part.dataset.live === runId) stale.add(part.id);
    read();
  };
  opened.addEventListener('run', changed);
  opened.addEventListener('delivery', changed);
}

/** Closes the stream. A browser opens six connections to a server, so a page that nobody looks at holds none. */
function stop() {
  clearTimeout(retry);
  stream?.close();
  stream = undefined;
}

function isLost(isSo) {
  const note = document.getElementById('lost');
  if (note) note.hidden = !isSo;
}

function readAll() {
  readAt.clear();
  for (const part of parts()) stale.add(part.id);
  read();
}

/** A part with `data-every` is read at most once in so many milliseconds. */
const isDue = name => performance.now() - (readAt.get(name) ?? -Infinity) >= (document.getElementById(name)?.dataset.every ?? 0);

/** Reads the parts that are stale, one read at a time, at most ten times a second. */
async function read() {
  if (reading) return;
  reading = true;
  try {
    while (stale.size > 0) {
      const names = [...stale].filter(isDue);
      for (const name of names) {
        stale.delete(name);
        readAt.set(name, performance.now());
      }
      if (names.length > 0) await merge(names);
      await new Promise(resolve => setTimeout(resolve, BETWEEN_MS));
    }
  } catch {
    // The server cannot be reached. The stream reports this, and everything is loaded when the stream is open again.
  } finally {
    reading = false;
  }
}

async function merge(names) {
  const address = location.href;
  const response = await fetch(address, { headers: { 'x-parts': names.join(',') }, cache: 'no-store' });
  // The session has ended; reloading shows the sign-in page.
  if (response.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  // The reader has opened another page meanwhile.
  if (location.href !== address) return;
  for (const name of names) {
    const [old, now] = [document.getElementById(name), fresh.getElementById(name)];
    if (old && now) Idiomorph.morph(old, now, { callbacks: { beforeAttributeUpdated } });
  }
}

// Opened details stay open, and selected values stay selected.
const beforeAttributeUpdated = (name, element) => !(name === 'open' && element.localName === 'details' || name === 'checked');

// The editor's connection. Blazor reconnects automatically, but after a server restart the connection is unknown. Then the page is
// reloaded; the editor keeps the input (editor.js).
document.getElementById('components-reconnect-modal')?.addEventListener(
  'components-reconnect-state-changed', async ({ detail: { state } }) => {
  for (; state === 'failed' || state === 'rejected'; await new Promise(resolve => setTimeout(resolve, RETRY_MS))) {
    if (await fetch('/healthz/ready').then(response => response.ok, () => false)) return location.reload();
  }
});
// The content of a filter's parts has changed (filters.js).
document.addEventListener('filtered', () => {
  for (const part of document.querySelectorAll('[data-filtered]')) stale.add(part.id);
  readAll();
});
document.addEventListener('visibilitychange', follow);
Blazor.addEventListener('enhancedload', follow);
follow();

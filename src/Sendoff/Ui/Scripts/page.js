// Common functions of all pages: times in the reader's time zone, copying, keyboard shortcuts, and the theme.

const MINUTE = 60, HOUR = 3_600, DAY = 86_400, TOLD_MS = 1_500, TELL_MS = 10_000;
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const dateOfYear = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

/** Such as "2 min ago" and "in 3 h"; a date where that is more than a week. */
function relative(at) {
  const seconds = Math.round((Date.now() - at) / 1_000), span = Math.abs(seconds);
  if (span < 5) return 'just now';
  if (span >= 7 * DAY) return (at.getFullYear() === new Date().getFullYear() ? date : dateOfYear).format(at);
  const text = span < MINUTE ? `${span} s` : span < HOUR ? `${Math.floor(span / MINUTE)} min` : span < DAY
    ? `${Math.floor(span / HOUR)} h` : `${Math.floor(span / DAY)} d`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

// Keep the text node, because Blazor uses it.
function tellTimes() {
  for (const time of document.querySelectorAll('time.when, time.clock')) {
    const at = new Date(time.dateTime), node = time.firstChild;
    if (isNaN(at) || node?.nodeType !== Node.TEXT_NODE) continue;
    const text = time.classList.contains('clock') ? clock.format(at) : relative(at), title = `${exact.format(at)}\n${at.toISOString()}`;
    if (node.nodeValue !== text) node.nodeValue = text;
    if (time.title !== title) time.title = title;
  }
}

/** Copies a button's text, that of an address, or the raw text beside it; says so on the button. */
async function copyOf(button) {
  const label = button.firstChild, before = label.nodeValue;
  try {
    const { copy, copyFrom } = button.dataset;
    const text = copy
      ?? (copyFrom
        ? await read(copyFrom) : (button.parentElement.querySelector('.raw pre') ?? button.parentElement.querySelector('pre')).textContent);
    await toClipboard(text);
    label.nodeValue = 'Copied';
  } catch {
    label.nodeValue = 'Not copied';
  }
  setTimeout(() => label.nodeValue = before, TOLD_MS);
}

async function read(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(response.statusText);
  return response.text();
}

// Without TLS, a page has no clipboard API.
function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement('textarea'), { value: text });
  document.body.append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (!isDone) throw new Error('not copied');
}

const THEMES = ['', 'light', 'dark'];

function showTheme() {
  const theme = localStorage.getItem('theme') ?? '', root = document.documentElement, button = document.getElementById('theme');
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  button?.setAttribute('aria-label', `Theme: ${theme || 'system'}`);
  button?.setAttribute('title', `Theme: ${theme || 'system'}`);
  for (const frame of document.querySelectorAll('iframe')) frame.contentWindow?.dispatchEvent(new Event('theme'));
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(localStorage.getItem('theme') ?? '') + 1) % THEMES.length];
  if (next) localStorage.setItem('theme', next);
  else localStorage.removeItem('theme');
  showTheme();
}

const isTyping = target => target.closest?.('input, textarea, select, [contenteditable], iframe') != null;

function move(step) {
  const rows = [...document.querySelectorAll('.rows a.row, .list tbody a.row')];
  if (rows.length === 0) return;
  const at = rows.findIndex(
    row => row === document.activeElement || row.getAttribute('aria-current') === 'true' && !rows.includes(document.activeElement));
  const row = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
  row.focus();
  row.scrollIntoView({ block: 'nearest' });
}

function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') return openPalette(event);
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector('dialog[open]')) return;
  if (event.key === '/') {
    const search = document.querySelector('main input[type=search]');
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === 'j') move(1);
  else if (event.key === 'k') move(-1);
  else if (event.key === '?') show(document.getElementById('keys'));
}

let shown = null;

function show(dialog) {
  if (!dialog) return;
  shown = dialog;
  if (!dialog.open) dialog.showModal();
}

// Parts that the reader has closed stay closed on the next page.
const toggled = new Map();

function keepToggled() {
  for (const [id, isOpen] of toggled) {
    const details = document.getElementById(id);
    if (details?.localName === 'details') details.open = isOpen;
  }
}

let workflows = [];

async function openPalette(event) {
  const palette = document.getElementById('palette');
  if (!palette) return;
  event.preventDefault();
  const input = palette.querySelector('input');
  input.value = '';
  show(palette);
  fillPalette();
  try {
    workflows = JSON.parse(await read('/api/v1/workflows'))
      .items.map(({ name }) => ({ text: `${name} (workflow)`, url: `/workflows/${encodeURIComponent(name)}` }));
    if (palette.open) fillPalette();
  } catch {
    // The server cannot be reached; only the pages are listed.
  }
}

function fillPalette() {
  const palette = document.getElementById('palette'), typed = palette.querySelector('input').value.trim();
  const pages = [...document.querySelectorAll('.top nav a')].map(link => ({ text: link.textContent, url: link.getAttribute('href') }));
  const found = [...pages, ...workflows].filter(({ text }) => text.toLowerCase().includes(typed.toLowerCase())).slice(0, 20);
  if (typed) {
    const text = /^(run|dlv)_\w{13}$/.test(typed) ? `Open ${typed}` : `Search runs for “${typed}”`;
    found.push({ text, url: `/?q=${encodeURIComponent(typed)}` });
  }
  palette.querySelector('ul').replaceChildren(...found.map(({ text, url }, at) => {
    const item = document.createElement('li'),
      link = Object.assign(document.createElement('a'), { textContent: text, href: url, tabIndex: -1 });
    item.setAttribute('role', 'option');
    item.setAttribute('aria-selected', String(at === 0));
    item.append(link);
    return item;
  }));
}

function inPalette(event) {
  const items = [...document.querySelectorAll('#palette li')], at = items.findIndex(item => item.ariaSelected === 'true');
  if (event.key === 'Enter') {
    event.preventDefault();
    // Not a click, because a page that is still loading would replace this one.
    if (items[at]) location.assign(items[at].firstChild.href);
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    const next = items[Math.min(Math.max(at + (event.key === 'ArrowDown' ? 1 : -1), 0), items.length - 1)];
    for (const item of items) item.setAttribute('aria-selected', String(item === next));
    next?.scrollIntoView({ block: 'nearest' });
  }
}

/** A click anywhere in a row of a list is one on its link, with the keys that were held; not on what does something else, nor at the end of
 *  a selection. */
function openRow(event) {
  const link = event.target.closest?.('.list tbody tr')?.querySelector('a.row');
  if (!link || event.target.closest('a, button, input, label, summary, select, form.confirm') || getSelection().toString()) return;
  link.dispatchEvent(
    new MouseEvent('click', { bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey, shiftKey: event.shiftKey }));
}

document.addEventListener('click', event => {
  openRow(event);
  if (event.target.closest?.('#palette a')) shown?.close();
  const button = event.target.closest?.('button');
  if (!button) return;
  if (button.id === 'theme') nextTheme();
  else if (button.dataset.open === 'palette') openPalette(event);
  else if (button.dataset.open) show(document.getElementById(button.dataset.open));
  else if (button.matches('[data-copy], [data-copy-from], [data-copy-pre]')) copyOf(button);
});
document.addEventListener('keydown', event => {
  const palette = document.getElementById('palette');
  if (!palette?.open || event.ctrlKey || event.metaKey) return pressed(event);
  // A page that is loaded meanwhile takes the focus, so return it to the input.
  if (!palette.contains(event.target)) palette.querySelector('input').focus();
  inPalette(event);
});
document.addEventListener('input', event => { if (event.target.closest?.('#palette')) fillPalette(); });
new MutationObserver(tellTimes).observe(document.body, { subtree: true, childList: true, characterData: true });
setInterval(tellTimes, TELL_MS);
document.addEventListener('close', event => { if (event.target === shown) shown = null; }, true);
document.addEventListener(
  'toggle', ({ target }) => { if (target.localName === 'details' && target.id) toggled.set(target.id, target.open); }, true);
Blazor.addEventListener('enhancedload', () => {
  showTheme();
  keepToggled();
  if (!shown) return;
  // A page that was loaded meanwhile has removed the dialog's open attribute, and the focus with it.
  show(shown);
  shown.querySelector('input')?.focus();
});
tellTimes();
showTheme();

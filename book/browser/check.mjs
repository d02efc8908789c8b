// Reads the built book as a reader does, in a browser:
//
//     node check.mjs BOOK [--screenshots DIR]
//
// BOOK is the folder that mdBook wrote. Prints one line for each fault and fails if there is one.
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, resolve, sep } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const PATIENCE = 20_000; // milliseconds, for any one thing that the browser does
const TOTAL = 15 * 60_000; // milliseconds, for everything

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: "string" } },
});
const book = resolve(positionals[0] ?? "../../target/book");

const VIEWS = [
  { name: "phone", viewport: { width: 360, height: 740 } },
  { name: "desktop", viewport: { width: 1440, height: 900 } },
];
const THEMES = ["light", "dark"];
const RULES = {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
  // What scrolls can be reached with Tab in Chromium and Firefox without a tabindex.
  rules: { "scrollable-region-focusable": { enabled: false } },
};
// mdBook's own: a label that has the attributes of a button.
const NOT_OURS = "#mdbook-sidebar-toggle";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WORD = "deadlock"; // that a search finds

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);

/** Serves the book on this machine alone, on a free port. */
async function serve() {
  const types = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
    ".png": "image/png", ".woff2": "font/woff2", ".json": "application/json",
  };
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://book").pathname);
    const file = join(book, path.endsWith("/") ? `${path}index.html` : path);
    try {
      if (!file.startsWith(book + sep)) throw new Error("outside the book");
      const body = await readFile(file);
      response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/html" });
      response.end(await readFile(join(book, "404.html")).catch(() => "no such page"));
    }
  });
  await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
  return { server, root: `http://127.0.0.1:${server.address().port}/` };
}

/** The pages in the order of the summary, from mdBook's own table of contents, and the last one. */
async function pages() {
  const contents = await readFile(join(book, "toc.html"), "utf8");
  const links = [...contents.matchAll(/<a href="([^"#]+\.html)"/g)].map(([, link]) => link);
  if (links.length === 0) throw new Error(`no page is named in ${join(book, "toc.html")}`);
  return [...new Set(links), "404.html"];
}

/** Opens a page for `use`; what the page complains of meanwhile is a fault. */
async function withPage(context, where, use) {
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") fault(where, `console: ${message.text()}`);
  });
  page.on("pageerror", (error) => fault(where, `script: ${error.message}`));
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    if (errorText === "net::ERR_ABORTED") return; // the reader went on to another page
    fault(where, `${errorText}: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) fault(where, `${response.status()}: ${response.url()}`);
  });
  try {
    await use(page);
  } catch (error) {
    fault(where, error.message.split("\n")[0]);
  } finally {
    await page.close();
  }
}

/** What is wrong with the page as it is shown, as lines. Runs in the browser. */
function faultsInPage() {
  const found = [];
  const start = (element) => element.outerHTML.slice(0, 70).replaceAll("\n", " ");
  const headings = document.querySelectorAll("main h1").length;
  if (headings !== 1) found.push(`${headings} h1 in place of one`);
  for (const listing of document.querySelectorAll("main pre")) {
    if (!listing.querySelector("code")?.textContent.trim()) found.push("an empty listing");
  }
  for (const picture of document.querySelectorAll("main img")) {
    if (!picture.alt.trim()) found.push(`no text for ${start(picture)}`);
  }
  for (const picture of document.querySelectorAll("main svg")) {
    if (picture.closest(".blockquote-tag, [aria-hidden=true]")) continue; // mdBook's icons
    const names = [
      picture.getAttribute("aria-label"),
      document.getElementById(picture.getAttribute("aria-labelledby"))?.textContent,
      picture.querySelector(":scope > title")?.textContent,
    ];
    if (picture.getAttribute("role") !== "img") found.push(`no role=img: ${start(picture)}`);
    if (!names.some((name) => name?.trim())) found.push(`no text for ${start(picture)}`);
    const drawn = picture.getBoundingClientRect();
    if (drawn.width < 1 || drawn.height < 1) found.push(`nothing to see of ${start(picture)}`);
  }
  // A picture that an empty line or an unknown tag ends too early leaves its parts behind.
  for (const element of document.querySelectorAll("main *")) {
    if (!(element instanceof HTMLUnknownElement)) continue;
    found.push(`no HTML: ${start(element)}`);
    break;
  }
  const width = document.documentElement.clientWidth;
  const scroller = document.scrollingElement;
  scroller.scrollLeft = 1000;
  if (scroller.scrollLeft > 0 || scroller.scrollWidth > width) {
    found.push(`the page scrolls sideways: ${scroller.scrollWidth} px in ${width}`);
  }
  // mdBook's frame clips what is too wide, so that it cannot even be scrolled to.
  const scrolls = (element) => {
    for (let outer = element.parentElement; outer?.closest("main"); outer = outer.parentElement) {
      if (outer.tagName === "MAIN") return false;
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(outer).overflowX)) return true;
    }
    return true;
  };
  for (const element of document.querySelectorAll("main *")) {
    const { right, width: wide } = element.getBoundingClientRect();
    if (wide > 0 && right > width + 1 && !scrolls(element)) {
      found.push(`cut off at the right: ${start(element)}`);
      break;
    }
  }
  return found;
}

/** The places of this page that a link can lead to, and where its links lead. Runs in the browser. */
function placesAndLinks() {
  const links = [...document.querySelectorAll("main a[href]:not(.header)")].map(({ href }) => href);
  return {
    places: [...document.querySelectorAll("[id]")].map(({ id }) => id),
    links: links.filter((href) => href.startsWith(location.origin)),
  };
}

/** Follows each link within the book to its page and to the place in it. */
async function checkLinks(context, root, names) {
  const read = new Map();
  for (const name of names) {
    await withPage(context, name, async (page) => {
      await page.goto(root + name);
      read.set(name, await page.evaluate(placesAndLinks));
    });
  }
  for (const [name, { links }] of read) {
    for (const link of new Set(links)) {
      const { pathname, hash } = new URL(link);
      const to = pathname.slice(1) || "index.html";
      const place = decodeURIComponent(hash.slice(1));
      if (!place) continue; // whether the page is there, its source is asked
      if (!read.get(to)?.places.includes(place)) fault(name, `no #${place} in ${to}`);
    }
  }
}

/** The rules of WCAG that a program can check, contrast among them. */
async function checkAccess(page, where) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.addScriptTag({ content: AXE });
  const { violations } = await page.evaluate(
    ([rules, exclude]) => globalThis.axe.run({ include: [document], exclude: [exclude] }, rules),
    [RULES, NOT_OURS],
  );
  for (const { id, nodes } of violations) {
    for (const { target, any } of nodes.slice(0, 3)) {
      const { contrastRatio, fgColor, bgColor } = any[0]?.data ?? {};
      const colours = fgColor ? ` (${fgColor} on ${bgColor}: ${contrastRatio})` : "";
      fault(where, `${id}: ${target.join(" ")}${colours}`);
    }
    if (nodes.length > 3) fault(where, `${id}: ${nodes.length - 3} more`);
  }
}

async function checkPage(context, root, name, view, theme) {
  const where = `${name} (${view}, ${theme})`;
  await withPage(context, where, async (page) => {
    await page.goto(root + name);
    await page.evaluate(() => document.fonts.ready);
    for (const found of await page.evaluate(faultsInPage)) fault(where, found);
    const shown = await page.evaluate(() => document.documentElement.className);
    if (shown.split(" ").includes("light") !== (theme === "light")) {
      fault(where, `shown in another theme: ${shown}`);
    }
    await checkAccess(page, where);
    if (options.screenshots) {
      const file = `${name.replace(".html", "")}-${view}-${theme}.png`;
      await page.screenshot({ path: join(options.screenshots, file), fullPage: true });
    }
  });
}

/** A reader who types a word finds a page that has it. */
async function checkSearch(context, root, first, view, theme) {
  const where = `search (${view}, ${theme})`;
  await withPage(context, where, async (page) => {
    await page.goto(root + first);
    await page.keyboard.press("s");
    await page.locator("#mdbook-searchbar").waitFor();
    await page.keyboard.type(WORD);
    const found = page.locator("#mdbook-searchresults li a").first();
    await found.waitFor();
    await checkAccess(page, where);
    await found.click();
    await page.locator("main mark", { hasText: new RegExp(WORD, "i") }).first().waitFor();
  });
}

/** The keyboard alone leads on: the arrow, and Tab and Enter on the link to the next page. */
async function checkKeyboard(context, root, [first, second], view) {
  await withPage(context, `Right arrow (${view})`, async (page) => {
    await page.goto(root + first);
    await page.keyboard.press("ArrowRight");
    await page.waitForURL(root + second);
  });
  await withPage(context, `Tab and Enter (${view})`, async (page) => {
    await page.goto(root + first);
    const isNext = () => document.activeElement.rel?.split(" ").includes("next");
    for (let presses = 0; !(await page.evaluate(isNext)); presses++) {
      if (presses === 300) throw new Error("300 times Tab do not reach the link to the next page");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForURL(root + second);
  });
}

const profile = await mkdtemp(join(tmpdir(), "book-browser-"));
const late = setTimeout(() => {
  console.error(`the browser check took longer than ${TOTAL / 60_000} minutes`);
  process.exit(1); // Playwright ends the browser with this process
}, TOTAL);
let server, browser;
try {
  let root;
  ({ server, root } = await serve());
  const names = await pages();
  if (options.screenshots) await mkdir(options.screenshots, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    timeout: PATIENCE,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  for (const { name: view, viewport } of VIEWS) {
    for (const theme of THEMES) {
      const settings = { viewport, colorScheme: theme, reducedMotion: "reduce" };
      const context = await browser.newContext(settings);
      context.setDefaultTimeout(PATIENCE);
      for (const name of names) await checkPage(context, root, name, view, theme);
      if (view === VIEWS[0].name && theme === THEMES[0]) await checkLinks(context, root, names);
      await checkSearch(context, root, names[0], view, theme);
      await checkKeyboard(context, root, names, view);
      await context.close();
    }
  }
  const checked = `${names.length} pages, ${VIEWS.length} sizes, ${THEMES.length} themes`;
  console.log(faults.length ? faults.join("\n") : `the book in a browser: ${checked}: no fault`);
} catch (error) {
  fault("browser check", error.message.split("\n")[0]);
  console.error(faults.join("\n"));
} finally {
  clearTimeout(late);
  await browser?.close();
  server?.close();
  server?.closeAllConnections();
  await rm(profile, { recursive: true, force: true });
}
process.exitCode = faults.length ? 1 : 0;

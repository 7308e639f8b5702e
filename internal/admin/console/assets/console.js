// Comforts of the console: colours, judging while somebody writes, and drafts that
// outlive a reload. Every page works without this file.
(() => {
  "use strict";

  const grammars = {
    cedar: /(\/\/[^\n]*)|("(?:[^"\\\n]|\\.)*"?)|(@[A-Za-z_]\w*)|\b(permit|forbid|when|unless|if|then|else|in|is|like|has|true|false|entity|action|type|namespace|appliesTo|attributes|enum|tags)\b|\b(principal|resource|context|[A-Z_]\w*(?=::)|Bool|Boolean|String|Long|Set|Record|decimal|datetime|duration|ipaddr)\b|\b(\d+)\b/g,
    yaml: /((?:^|(?<=\s))#[^\n]*)|("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?)|(^\s*-(?=\s))|\b(true|false|null|allow|deny)\b|((?<=^|[\s{,[])[\w.-]+(?=:(?:\s|$)))|\b(\d[\d:.TZ+-]*)\b/gm,
    rego: /(#[^\n]*)|("(?:[^"\\\n]|\\.)*"?|`[^`]*`?)|(:=)|\b(package|import|default|not|some|every|in|if|contains|else|with|as|true|false|null)\b|\b(input|data)\b|\b(\d+)\b/g,
  };
  const classes = ["c", "s", "a", "w", "k", "n"];
  const longest = 100_000; // characters that are coloured

  function paint(into, text, lang) {
    const out = document.createDocumentFragment();
    const grammar = grammars[lang];
    let last = 0;
    if (grammar && text.length < longest) {
      for (const match of text.matchAll(grammar)) {
        if (!match[0]) continue;
        out.append(text.slice(last, match.index));
        const span = document.createElement("span");
        span.className = classes[match.slice(1).findIndex((x) => x !== undefined)];
        span.textContent = match[0];
        out.append(span);
        last = match.index + match[0].length;
      }
    }
    out.append(text.slice(last) + "\n"); // a last line that is empty has its height
    into.replaceChildren(out);
  }

  const paintSnippets = (root) => {
    for (const pre of root.querySelectorAll("[data-paint]")) paint(pre, pre.textContent.trimEnd(), pre.dataset.paint);
  };

  const form = document.getElementById("play");
  if (!form) return;
  const key = "cardea.draft/" + form.dataset.kept;
  const store = {
    get() { try { return sessionStorage.getItem(key); } catch { return null; } },
    set(text) { try { sessionStorage.setItem(key, text); } catch { /* a full or closed store keeps nothing */ } },
    clear() { try { sessionStorage.removeItem(key); } catch { /* the same */ } },
  };

  const make = (tag, name) => {
    const e = document.createElement(tag);
    if (name) e.className = name;
    return e;
  };

  /** What the form holds, without what is good only for this showing of it. */
  function content() {
    const all = new URLSearchParams(new FormData(form));
    for (const name of ["form", "plan", "why"]) all.delete(name);
    return all.toString();
  }

  // Files: a list beside one open text.

  let files = [];

  function dress() {
    form.classList.add("scripted");
    const list = form.querySelector("[data-files]");
    list.replaceChildren();
    list.hidden = false;
    files = [...form.querySelectorAll("[data-file]")].map((section) => {
      const area = section.querySelector("textarea");
      const box = section.querySelector("[data-code]");
      const [gutter, pane, pre] = [make("pre", "gutter"), make("div", "pane"), make("pre", "paint")];
      gutter.setAttribute("aria-hidden", "true");
      pre.setAttribute("aria-hidden", "true");
      box.classList.add("on");
      pane.append(pre, area);
      box.replaceChildren(gutter, pane);
      const button = make("button");
      button.type = "button";
      const [name, count] = [make("span"), make("span", "count")];
      name.textContent = section.dataset.path;
      count.hidden = true;
      button.append(name, count);
      const item = make("li");
      item.append(button);
      list.append(item);
      const file = { path: section.dataset.path, section, area, gutter, pre, button, count, marks: new Map() };
      button.addEventListener("click", () => open(file, true));
      area.addEventListener("input", () => show(file));
      show(file);
      return file;
    });
    const wanted = form.elements.open.value;
    open(files.find((f) => f.path === wanted) ?? files[0]);
    paintSnippets(form);
    mark();
  }

  function show(file) {
    paint(file.pre, file.area.value, file.section.dataset.lang);
    lines(file);
  }

  function lines(file) {
    const out = document.createDocumentFragment();
    const n = file.area.value.split("\n").length;
    let run = "";
    for (let i = 1; i <= n; i++) {
      if (!file.marks.has(i)) {
        run += i + "\n";
        continue;
      }
      out.append(run);
      run = "\n";
      const bad = make("b");
      bad.textContent = i;
      bad.title = file.marks.get(i);
      out.append(bad);
    }
    out.append(run);
    file.gutter.replaceChildren(out);
  }

  function open(file, focus) {
    if (!file) return;
    for (const f of files) {
      f.section.classList.toggle("on", f === file);
      if (f === file) f.button.setAttribute("aria-current", "true");
      else f.button.removeAttribute("aria-current");
    }
    form.elements.open.value = file.path;
    if (focus) file.area.focus();
  }

  /** Marks the lines that something is said of. */
  function mark() {
    for (const f of files) f.marks.clear();
    for (const link of form.querySelectorAll("#problems a[data-line], #tests .problems:not(.soft) a[data-line]")) {
      const file = files.find((f) => f.path === link.dataset.fileAt);
      if (file && link.dataset.line > 0) file.marks.set(Number(link.dataset.line), link.parentElement.textContent.trim());
    }
    for (const f of files) {
      f.count.textContent = f.marks.size;
      f.count.hidden = f.marks.size === 0;
      lines(f);
    }
  }

  function jump(path, line, column) {
    const file = files.find((f) => f.path === path);
    if (!file) return;
    open(file, true);
    const rows = file.area.value.split("\n");
    let at = 0;
    for (let i = 0; i < Math.min(line, rows.length) - 1; i++) at += rows[i].length + 1;
    at += Math.max(0, column - 1);
    file.area.setSelectionRange(at, at);
    const box = file.section.querySelector("[data-code]");
    box.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(file.area).lineHeight));
    box.scrollLeft = 0;
  }

  // Asking the server. Its answer is the page as it would be, of which parts are taken.

  let asking = null;
  let refused = false; // and the page says so

  function send(params, takes) {
    const before = asking;
    const request = asking = new XMLHttpRequest();
    before?.abort(); // it ends at once, and must know that it is no more asked
    request.open("POST", form.getAttribute("action"));
    request.responseType = "document";
    request.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    form.setAttribute("aria-busy", "true");
    request.onloadend = () => {
      if (asking !== request) return;
      asking = null;
      form.removeAttribute("aria-busy");
      delete form.dataset.sent;
      if (request.responseURL.includes("applied=")) {
        store.clear();
        location.assign(request.responseURL);
        return;
      }
      const page = request.response;
      const there = page?.getElementById("play");
      if (request.status === 401 || !there) {
        refused = true;
        part(page, "notice") || say(page?.querySelector("h1")?.textContent ?? form.dataset.failed);
        return;
      }
      if (refused) part(page, "notice");
      refused = false;
      takes(page, there);
    };
    request.send(params);
  }

  function say(text) {
    const box = make("div", "notice bad");
    const p = make("p");
    box.setAttribute("role", "alert");
    p.textContent = text;
    box.append(p);
    const notice = document.getElementById("notice");
    delete notice.dataset.shown;
    notice.replaceChildren(box);
  }

  function part(page, id) {
    const [from, to] = [page?.getElementById(id), document.getElementById(id)];
    if (!from || !to) return false;
    if (from.innerHTML !== to.dataset.shown) {
      to.dataset.shown = from.innerHTML;
      to.replaceChildren(...[...from.childNodes].map((n) => document.importNode(n, true)));
      to.hidden = from.hidden;
      paintSnippets(to);
    }
    return true;
  }

  const some = (...ids) => (page) => {
    const world = form.elements.world;
    const options = page.getElementById("wo");
    if (options && document.activeElement !== world) {
      const chosen = world.value;
      world.replaceChildren(...[...options.options].map((o) => document.importNode(o, true)));
      world.value = chosen;
    }
    for (const id of ids) part(page, id);
    mark();
  };
  const everything = (page, there) => {
    part(page, "notice");
    form.replaceChildren(...[...there.childNodes].map((n) => document.importNode(n, true)));
    dress();
    keep();
  };

  let timer = 0;
  let pristine = content();

  const keep = () => store.set(content());

  form.addEventListener("input", (event) => {
    if (["why", "new", "days"].includes(event.target.name)) return;
    if (event.target.name === "text") {
      for (const stale of form.querySelectorAll("[data-stale]")) stale.hidden = false;
    }
    document.getElementById("restored").hidden = true;
    keep();
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (asking && !asking.live) return; // what was asked for goes first
      live();
    }, 400);
  });

  function live() {
    const params = new URLSearchParams(new FormData(form));
    params.append("do", "check");
    send(params, some("older", "problems", "answer", "tests", "hints"));
    asking.live = true;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    delete form.dataset.sent;
    clearTimeout(timer);
    const what = event.submitter?.value ?? "ask";
    if (what === "reset") {
      if (content() !== pristine && !confirm(form.dataset.sure)) return;
      store.clear();
      location.assign(form.getAttribute("action"));
      return;
    }
    const params = new URLSearchParams(new FormData(form));
    params.append("do", what);
    keep();
    const whole = what === "add" || what === "layout" || what.startsWith("drop ");
    send(params, whole ? everything : (page) => {
      if (what === "plan" || what === "apply") some("notice", "older", "problems", "answer", "tests", "hints", "plan")(page);
      else some("notice", "older", "problems", "answer", "tests", "hints")(page);
      const target = { ask: "answer", plan: "plan" }[what];
      if (target) document.getElementById(target).scrollIntoView({ block: "nearest" });
      if (document.querySelector("#notice .bad")) document.getElementById("notice").scrollIntoView({ block: "center" });
    });
  });

  form.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-file-at]");
    if (!link) return;
    event.preventDefault();
    jump(link.dataset.fileAt, Number(link.dataset.line), Number(link.dataset.column));
  });

  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector('button[value="ask"]'));
    }
  });

  dress();
  pristine = content();

  // A page that was only looked at gets back what was written in this tab.
  if (new URLSearchParams(location.search).has("applied")) {
    store.clear();
  } else if ("pristine" in form.dataset) {
    const kept = store.get();
    if (kept && kept !== pristine) {
      const params = new URLSearchParams(kept);
      params.append("form", form.elements.form.value);
      params.append("do", "check");
      send(params, (page, there) => {
        everything(page, there);
        document.getElementById("restored").hidden = false;
      });
    }
  } else {
    keep();
  }
})();
